//! What a new cluster begins with, and what it gives up.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use ovsdb::Uuid;
use ovsdb_cluster::file::replay::DEFAULT_ELECTION_TIMER;
use ovsdb_cluster::file::{Contents, Founding, Position, Replayed, Standing};

use crate::inspection::Inspected;

/// How far the new log begins behind the end of the old one. Clients take a server whose log ends
/// before what they have seen for one that lags behind, and go away; the lost servers may have shown
/// them more than the survivor has.
const GAP: u64 = 1_000_000;

/// A new cluster's first file, not yet written.
#[derive(Debug)]
pub struct Plan {
    /// The file.
    pub contents: Contents,
    /// For the person who decides.
    pub words: String,
}

impl Plan {
    /// Plans a cluster with all that a file has: what is not known to be committed, too, as a lost
    /// server may have acknowledged it.
    pub fn make(
        file: &Inspected,
        local_address: Option<&str>,
        now: SystemTime,
    ) -> anyhow::Result<Plan> {
        let Some(version) = &file.version else {
            bail!("is of a server that has yet to join a cluster, and holds nothing");
        };
        let date = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let date = u64::try_from(date.as_millis()).unwrap_or(u64::MAX);
        let (behind, timer, own_address, mut words) = match &file.member {
            Some(member) => (
                Position {
                    term: member.term,
                    index: member.entries.last().index.saturating_add(GAP),
                },
                member.election_timer(),
                Some(member.header.identity.local_address.as_str()),
                of_member(member, version.row_count()),
            ),
            None => (
                Position::by_clock(date),
                DEFAULT_ELECTION_TIMER,
                None,
                format!("a standalone database of {} rows", version.row_count()),
            ),
        };
        if let Some(torn) = &file.torn {
            let _ = write!(words, "\n  not whole, and given up: {torn}");
        }
        let local_address = local_address
            .or(own_address)
            .context("a standalone file does not say where a server listens for others: --local-address=tcp:IP:PORT does")?;
        let founding = Founding {
            server_id: Uuid::new_v4(),
            cluster_id: Uuid::new_v4(),
            eid: Uuid::new_v4(),
            local_address: local_address.to_owned(),
            election_timer: (timer != DEFAULT_ELECTION_TIMER).then_some(timer),
            date,
            comment: Some("made of a survivor's copy".to_owned()),
            behind,
        };
        Ok(Plan {
            contents: Contents::new_cluster(founding, version)?,
            words,
        })
    }
}

fn of_member(member: &Replayed, rows: usize) -> String {
    let identity = &member.header.identity;
    let last = member.entries.last();
    let mut words = format!(
        "the copy of server {} at {}: {rows} rows by the entries up to {} (term {})",
        identity.server_id, identity.local_address, last.index, last.term
    );
    match member.standing() {
        Standing::Left | Standing::NotAMember => words
            .push_str("\n  WARNING: this server was no member at last, and what it has may be old"),
        Standing::Joining | Standing::Member => {}
    }
    let open = last.index.saturating_sub(member.commit_index);
    let _ = match open {
        0 => write!(words, "\n  kept: all of it is known to be committed"),
        _ => write!(
            words,
            "\n  kept: {open} entries behind {}, too, which this server does not know to be committed; clients may have been told so",
            member.commit_index
        ),
    };
    let cluster = identity.cluster_id.unwrap_or_default();
    let _ = write!(
        words,
        "\n  given up: what only other servers have, and the old cluster {cluster} with them:"
    );
    let servers = member.servers().into_iter().flatten();
    for (server, address) in servers.filter(|(server, _)| **server != identity.server_id) {
        let _ = write!(words, "\n    {server} at {address}");
    }
    words.push_str(
        "\n  They cannot be members of the new cluster: stop those that run, and take their database files away before they are started again.",
    );
    words
}
