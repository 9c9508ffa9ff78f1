//! A cluster of Debian's servers, of which each answer is compared with ours.

use std::collections::BTreeMap;

use ovsdb_cluster::entry::ServerId;
use ovsdb_cluster::status::{MemberStatus, short_id};

use super::read;
use super::reference::{Reference, wait_for};

pub const IPS: [&str; 3] = ["127.0.0.1", "127.0.0.1", "::1"];

/// A cluster, and what its servers are called.
pub struct Cluster {
    pub members: Reference,
    pub ids: BTreeMap<String, ServerId>,
}

impl Cluster {
    pub fn start(ips: &[&str]) -> Cluster {
        let members = Reference::start(ips);
        let ids = (0..ips.len()).map(|member| members.id(member, "cluster/sid"));
        let ids = ids.map(|id| (short_id(id), id)).collect();
        Cluster { members, ids }
    }

    /// What a member says, after the comparison.
    pub fn status(&self, member: usize) -> MemberStatus {
        let text = self.members.status(member);
        let status = read::read(&text, &self.ids);
        assert_eq!(status.to_string(), text);
        let json = serde_json::to_string(&status).expect("JSON");
        assert_eq!(
            serde_json::from_str::<MemberStatus>(&json).expect("read back"),
            status
        );
        status
    }

    /// Waits for a state that may last only a moment.
    pub fn wait(
        &self,
        what: &str,
        member: usize,
        reached: impl Fn(&MemberStatus) -> bool,
    ) -> MemberStatus {
        wait_for(what, || Some(self.status(member)).filter(&reached))
    }

    /// Everybody has connections with both others.
    pub fn settle(&self) {
        for member in 0..IPS.len() {
            self.wait("both ways to both others", member, |status| {
                let ways = status.connections.iter();
                ways.filter(|way| way.connected).count() == 4
            });
        }
    }

    /// What a member says to a command, whether it does it or not.
    pub fn says(&self, member: usize, command: &[&str]) -> String {
        match self.members.control(member, command) {
            Ok(text) => text,
            Err(text) => text.lines().next().unwrap_or_default().to_owned(),
        }
    }
}
