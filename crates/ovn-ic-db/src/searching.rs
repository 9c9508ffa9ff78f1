//! A node that looks for its cluster, as its operator sees it.

use std::sync::{Mutex, PoisonError};

use ovsdb_cluster::entry::ServerId;
use ovsdb_cluster::failure_test::FailureTest;
use ovsdb_cluster::operator::{Member, Refusal};
use ovsdb_cluster::status::MemberStatus;

use crate::schemas::Side;
use crate::settings::ClusterSettings;

/// A node that has no cluster yet.
#[derive(Debug)]
pub struct Searching {
    status: Mutex<MemberStatus>,
    side: Side,
    server: ServerId,
}

impl Searching {
    /// One that has just begun.
    pub fn new(side: Side, server: ServerId, cluster: &ClusterSettings) -> Searching {
        let status = MemberStatus {
            remotes: cluster.other_addresses(side),
            election_timer: u64::try_from(cluster.election_timer.as_millis()).unwrap_or(u64::MAX),
            ..MemberStatus::joining(side.database(), server, cluster.local_address(side))
        };
        Searching {
            status: Mutex::new(status),
            side,
            server,
        }
    }

    /// Which database it is for.
    pub fn database(&self) -> &'static str {
        self.side.database()
    }

    /// The id that it introduces itself by.
    pub fn server(&self) -> ServerId {
        self.server
    }

    /// For what it waits.
    pub fn say(&self, what: String) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.troubles = vec![what];
    }
}

fn no_member() -> Refusal {
    Refusal("the server has not joined a cluster yet".to_owned())
}

impl Member for Searching {
    fn status(&self) -> MemberStatus {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.clone()
    }

    fn remove(&self, _: ServerId) -> Result<(), Refusal> {
        Err(no_member())
    }

    fn ask_to_remove(&self, _: ServerId) -> bool {
        false
    }

    fn leave(&self) -> Result<(), Refusal> {
        Err(no_member())
    }

    fn change_election_timer(&self, _: u64) -> Result<(), Refusal> {
        Err(no_member())
    }

    fn set_backlog_threshold(&self, _: usize, _: usize) -> Result<(), Refusal> {
        Err(no_member())
    }

    fn test_failure(&self, _: Option<FailureTest>) -> Result<(), Refusal> {
        Err(no_member())
    }
}
