//! Failures on demand, for tests: `cluster/failure-test` of a control socket.
//!
//! These are those of the reference, by their names.

use std::sync::OnceLock;

use parking_lot::Mutex;

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
    /// A leader hands leadership over when it has begun to add a server.
    TransferLeadershipAfterStartingToAdd,
    /// A leader hands leadership over, once.
    TransferLeadership,
    /// A follower stands for election, once.
    ForceElection,
}

impl FailureTest {
    /// All of them.
    pub const ALL: [FailureTest; 15] = [
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
        FailureTest::TransferLeadershipAfterStartingToAdd,
        FailureTest::TransferLeadership,
        FailureTest::ForceElection,
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
            FailureTest::TransferLeadershipAfterStartingToAdd => {
                "transfer-leadership-after-starting-to-add"
            }
            FailureTest::TransferLeadership => "transfer-leadership",
            FailureTest::ForceElection => "force-election",
        }
    }

    /// The one of a name.
    pub fn of_name(name: &str) -> Option<FailureTest> {
        let mut all = FailureTest::ALL.into_iter();
        all.find(|test| test.name() == name)
    }
}

/// The failure that a member is to have, if any.
#[derive(Debug, Default)]
pub struct Failing(Mutex<Option<FailureTest>>);

impl Failing {
    /// It is this one from now on.
    pub fn set(&self, test: Option<FailureTest>) {
        *self.0.lock() = test;
    }

    /// Whether it is this one.
    pub fn is(&self, test: FailureTest) -> bool {
        *self.0.lock() == Some(test)
    }

    /// The same; it is none afterwards.
    pub fn take(&self, test: FailureTest) -> bool {
        let mut present = self.0.lock();
        let is = *present == Some(test);
        if is {
            *present = None;
        }
        is
    }

    /// Makes this failure that one.
    pub fn become_that(&self, test: FailureTest, that: FailureTest) {
        if self.take(test) {
            self.set(Some(that));
        }
    }

    /// Ends the process if it is this one.
    pub fn crash_if(&self, test: FailureTest) {
        if self.is(test) {
            crash(test);
        }
    }
}

static BEFORE_CRASH: OnceLock<fn()> = OnceLock::new();

/// What is to be done before a process ends that is to crash: the reference removes its sockets'
/// files even then, and its tests wait for that.
pub fn before_crash(act: fn()) {
    // Always the same.
    let _ = BEFORE_CRASH.set(act);
}

/// Ends the process as a crash does: nothing is finished.
pub fn crash(test: FailureTest) -> ! {
    tracing::error!("raft: test: {}", test.name());
    if let Some(act) = BEFORE_CRASH.get() {
        act();
    }
    std::process::exit(1)
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

    #[test]
    fn some_happen_once() {
        use FailureTest::{DelayElection, StopRaftRpc, TransferLeadership};
        let failing = Failing::default();
        failing.set(Some(StopRaftRpc));
        failing.become_that(DelayElection, TransferLeadership);
        assert!(failing.is(StopRaftRpc) && failing.is(StopRaftRpc));
        failing.become_that(StopRaftRpc, TransferLeadership);
        assert!(!failing.take(StopRaftRpc));
        assert!(failing.take(TransferLeadership) && !failing.take(TransferLeadership));
    }
}
