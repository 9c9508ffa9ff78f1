//! Failures that a test has asked for: what a member does about them by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::asking::Wire;
use super::life::Life;
use super::{Inner, Node, chance};
use crate::failure_test::{self, FailureTest};

/// How long the sockets may take for what is to be sent before a crash.
const WRITING: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(1);

impl Wire {
    /// New entries have been queued for a peer.
    pub(super) fn entries_sent(self: &Arc<Self>) {
        self.crash_when_written_if(FailureTest::CrashAfterSendingAppendRequest);
        self.failing.become_that(
            FailureTest::TransferLeadershipAfterSendingAppendRequest,
            FailureTest::TransferLeadership,
        );
    }

    /// Crashes as soon as the sockets have got what waits for them, if that is to be.
    pub(super) fn crash_when_written_if(self: &Arc<Self>, test: FailureTest) {
        if !self.failing.is(test) {
            return;
        }
        let wire = self.clone();
        tokio::spawn(async move {
            let until = tokio::time::Instant::now() + WRITING;
            while tokio::time::Instant::now() < until {
                tokio::time::sleep(STEP).await;
                let links = wire.peers.links();
                if links.iter().all(|link| link.waiting_messages == 0) {
                    break;
                }
            }
            failure_test::crash(test);
        });
    }
}

impl Inner {
    /// Hands the leadership over, if that is to be.
    pub(super) fn transfer_if_to(self: &Arc<Self>, life: &Arc<Life>) {
        if life.is_leader() && self.wire.failing.take(FailureTest::TransferLeadership) {
            let (inner, life) = (self.clone(), life.clone());
            tokio::spawn(async move { inner.hand_over_and_stay(&life).await });
        }
    }
}

impl Node {
    /// Fails in this way from now on, or in none. Must be called in a runtime.
    pub fn fail(&self, test: Option<FailureTest>) {
        let inner = &self.inner;
        let wire = &inner.wire;
        wire.failing.set(test);
        wire.peers
            .set_halted(test == Some(FailureTest::StopRaftRpc));
        let delays = test == Some(FailureTest::DelayElection);
        inner
            .clock
            .lock()
            .set_delayed(delays, Instant::now(), chance());
        let Some(life) = inner.life() else { return };
        inner.transfer_if_to(&life);
        if wire.failing.take(FailureTest::ForceElection) && !life.is_leader() {
            let inner = inner.clone();
            tokio::spawn(async move { inner.stand(&life, "timeout").await });
        }
    }

    /// Ends the process if it is to crash before it sends something.
    pub fn crash_before(&self, test: FailureTest) {
        self.inner.wire.failing.crash_if(test);
    }

    /// Ends the process soon, if it is to crash when it has sent something.
    pub fn crash_after(&self, test: FailureTest) {
        self.inner.wire.crash_when_written_if(test);
    }
}
