//! Failures on demand, for tests: `cluster/failure-test` of a control socket.
//!
//! The places are those of the reference's tests, by the same names. A member asks at each of them
//! whether it is to fail there; in a process that nobody has told to fail that costs one load.

use std::sync::atomic::{AtomicU8, Ordering};

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

/// The way in which a process is to fail, if in any.
#[derive(Debug, Default)]
pub struct Failures(AtomicU8);

impl Failures {
    /// From now on it fails in this way, or in none, whatever was said before.
    pub fn engage(&self, test: Option<FailureTest>) {
        let place = FailureTest::ALL.iter().position(|one| Some(*one) == test);
        // At most 13.
        let number = place.map_or(0, |place| place as u8 + 1);
        self.0.store(number, Ordering::Relaxed);
    }

    /// Whether it is to fail in this way.
    pub fn engaged(&self, test: FailureTest) -> bool {
        match self.0.load(Ordering::Relaxed) {
            0 => false,
            number => FailureTest::ALL.get(usize::from(number) - 1) == Some(&test),
        }
    }

    /// Whether it is to fail in this way, once: it is not asked to any more afterwards.
    pub fn take(&self, test: FailureTest) -> bool {
        let engaged = self.engaged(test);
        if engaged {
            self.engage(None);
        }
        engaged
    }

    /// Ends the process at once if it is to fail in this way, without a word to anybody: as a crash.
    pub fn crash(&self, test: FailureTest) {
        if self.engaged(test) {
            tracing::error!("failure test: {}", test.name());
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_test_at_a_time() {
        let failures = Failures::default();
        for test in FailureTest::ALL {
            assert_eq!(FailureTest::of_name(test.name()), Some(test));
            failures.engage(Some(test));
            let engaged = FailureTest::ALL
                .into_iter()
                .filter(|t| failures.engaged(*t));
            assert_eq!(engaged.collect::<Vec<_>>(), [test]);
        }
        assert!(failures.take(FailureTest::TransferLeadership));
        assert!(!failures.take(FailureTest::TransferLeadership));
        assert_eq!(FailureTest::of_name("clear"), None);
        // Nobody is to fail, so this goes on.
        failures.crash(FailureTest::StopRaftRpc);
    }
}
