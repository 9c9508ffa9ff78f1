//! Failures on demand, for tests: `cluster/failure-test` of a control socket.
//!
//! These are those of the reference, by their names. A member says which of them it can do.

/// A way to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureTest {
    /// The process ends when a leader has entries for a follower, before they are sent.
    CrashBeforeSendingAppendRequest,
    /// The process ends when a leader has sent a new entry to every follower that can take it.
    CrashAfterSendingAppendRequest,
    /// The process ends when a leader has executed a follower's command, before it says so.
    CrashBeforeSendingExecuteCommandReply,
    /// The process ends when a leader has said how a follower's command went.
    CrashAfterSendingExecuteCommandReply,
    /// The process ends when a follower has a command for the leader, before it is sent.
    CrashBeforeSendingExecuteCommandRequest,
    /// The process ends when a follower has sent a command to the leader.
    CrashAfterSendingExecuteCommandRequest,
    /// The process ends when a follower has received new entries, before they are written.
    CrashAfterReceivingAppendRequestUpdate,
    /// The process ends when a follower has received a snapshot, before it says so.
    CrashBeforeSendingInstallSnapshotReply,
    /// A follower waits another election timer before it stands for election.
    DelayElection,
    /// A candidate asks nobody for a vote.
    DontSendVoteRequest,
    /// Nothing is sent to other members, and nothing of theirs is read; connections stay open.
    StopRaftRpc,
    /// A leader hands leadership over when it has sent the next new entry to the followers.
    TransferLeadershipAfterSendingAppendRequest,
    /// A leader hands leadership over, once.
    TransferLeadership,
}

impl FailureTest {
    /// All of them.
    pub const ALL: [FailureTest; 13] = [
        FailureTest::CrashBeforeSendingAppendRequest,
        FailureTest::CrashAfterSendingAppendRequest,
        FailureTest::CrashBeforeSendingExecuteCommandReply,
        FailureTest::CrashAfterSendingExecuteCommandReply,
        FailureTest::CrashBeforeSendingExecuteCommandRequest,
        FailureTest::CrashAfterSendingExecuteCommandRequest,
        FailureTest::CrashAfterReceivingAppendRequestUpdate,
        FailureTest::CrashBeforeSendingInstallSnapshotReply,
        FailureTest::DelayElection,
        FailureTest::DontSendVoteRequest,
        FailureTest::StopRaftRpc,
        FailureTest::TransferLeadershipAfterSendingAppendRequest,
        FailureTest::TransferLeadership,
    ];

    /// The name that the command takes.
    pub fn name(self) -> &'static str {
        match self {
            FailureTest::CrashBeforeSendingAppendRequest => "crash-before-sending-append-request",
            FailureTest::CrashAfterSendingAppendRequest => "crash-after-sending-append-request",
            FailureTest::CrashBeforeSendingExecuteCommandReply => {
                "crash-before-sending-execute-command-reply"
            }
            FailureTest::CrashAfterSendingExecuteCommandReply => {
                "crash-after-sending-execute-command-reply"
            }
            FailureTest::CrashBeforeSendingExecuteCommandRequest => {
                "crash-before-sending-execute-command-request"
            }
            FailureTest::CrashAfterSendingExecuteCommandRequest => {
                "crash-after-sending-execute-command-request"
            }
            FailureTest::CrashAfterReceivingAppendRequestUpdate => {
                "crash-after-receiving-append-request-update"
            }
            FailureTest::CrashBeforeSendingInstallSnapshotReply => {
                "crash-before-sending-install-snapshot-reply"
            }
            FailureTest::DelayElection => "delay-election",
            FailureTest::DontSendVoteRequest => "dont-send-vote-request",
            FailureTest::StopRaftRpc => "stop-raft-rpc",
            FailureTest::TransferLeadershipAfterSendingAppendRequest => {
                "transfer-leadership-after-sending-append-request"
            }
            FailureTest::TransferLeadership => "transfer-leadership",
        }
    }

    /// The one of a name.
    pub fn of_name(name: &str) -> Option<FailureTest> {
        let mut all = FailureTest::ALL.into_iter();
        all.find(|test| test.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_of_its_own() {
        for test in FailureTest::ALL {
            assert_eq!(FailureTest::of_name(test.name()), Some(test));
        }
        assert_eq!(FailureTest::of_name("clear"), None);
    }
}
