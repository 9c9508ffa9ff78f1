//! Failures that a test has asked for, where transactions are passed on.

use ovsdb::Uuid;
use ovsdb_cluster::failure_test::FailureTest;
use ovsdb_cluster::node::Node;
use ovsdb_cluster::wire::Body;
use ovsdb_cluster::wire::stream::SendError;

use super::Clustered;

impl Clustered {
    /// Sends the leader what is to be executed.
    pub(super) fn send_request(&self, node: &Node, to: Uuid, body: &Body) -> Result<(), SendError> {
        node.crash_before(FailureTest::CrashBeforeSendingExecuteCommandRequest);
        let sent = node.send(to, body);
        node.crash_after(FailureTest::CrashAfterSendingExecuteCommandRequest);
        sent
    }

    /// Tells a follower what was executed.
    pub(super) fn send_reply(&self, node: &Node, to: Uuid, body: &Body) -> Result<(), SendError> {
        node.crash_before(FailureTest::CrashBeforeSendingExecuteCommandReply);
        let sent = node.send(to, body);
        node.crash_after(FailureTest::CrashAfterSendingExecuteCommandReply);
        sent
    }
}
