//! Whole files: a new cluster's first member, a server that is to join, a log made short.

use std::sync::Arc;

use ovsdb::{Schema, Uuid};
use ovsdb_engine::Version;
use ovsdb_engine::record::write_contents;
use ovsdb_log::{LogError, RecordWriter};

use super::entries::Position;
use super::header::{Header, Identity, Origin, Snapshot, SnapshotMeta, write_snapshot};
use super::record::{Fact, Record, write_entry};
use crate::address::{Address, AddressError, same_address};
use crate::entry::{Entry, Index, Payload, ServerId, Servers, Term};

/// The smallest and the largest election timer, in milliseconds.
pub const ELECTION_TIMERS: std::ops::RangeInclusive<u64> = 100..=600_000;

/// Why a file cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// One of the addresses.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Nobody to ask, or only the server itself.
    #[error("at least one remote address (other than the local address) is required")]
    NoRemote,
    /// Out of [`ELECTION_TIMERS`].
    #[error("election timer must be between 100 and 600000 ms, not {0}")]
    ElectionTimer(u64),
    /// The nil UUID names no cluster.
    #[error("all-zero UUID is not valid cluster ID")]
    ClusterId,
}

/// A whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The first record.
    pub header: Header,
    /// The others.
    pub records: Vec<Record>,
}

/// What a new cluster is to be like; the ids are the caller's random ones.
#[derive(Debug, Clone)]
pub struct Founding {
    /// The first member's id.
    pub server_id: ServerId,
    /// The cluster's id.
    pub cluster_id: Uuid,
    /// The id of the contents, as that of a transaction.
    pub eid: Uuid,
    /// Where the first member listens for others.
    pub local_address: String,
    /// The election timer in milliseconds, unless it is the default.
    pub election_timer: Option<u64>,
    /// When, in milliseconds since the epoch.
    pub date: u64,
    /// Why, for people who read the file.
    pub comment: Option<String>,
    /// Where an earlier cluster's log ended, which the new one goes on behind, as clients remember the
    /// indexes that they have seen; the default is to begin anew.
    pub behind: Position,
}

impl Position {
    /// Behind the log of any cluster that ended before `date`, in milliseconds since the epoch: no log has had an
    /// entry in each millisecond. For a cluster that is made of a copy, as nothing else tells how far the log
    /// went of which clients have seen the end.
    pub fn by_clock(date: u64) -> Position {
        Position {
            term: 0,
            index: date,
        }
    }
}

impl Contents {
    /// A new cluster with one member and the contents of `version`.
    pub fn new_cluster(founding: Founding, version: &Version) -> Result<Contents, CreateError> {
        founding.local_address.parse::<Address>()?;
        if founding.cluster_id.is_nil() {
            return Err(CreateError::ClusterId);
        }
        let meta = SnapshotMeta {
            index: founding.behind.index.saturating_add(1),
            term: founding.behind.term.saturating_add(1),
            eid: founding.eid,
            servers: Servers::from([(founding.server_id, founding.local_address.clone())]),
            election_timer: None,
        };
        let records = match founding.election_timer {
            None => Vec::new(),
            Some(timer) if !ELECTION_TIMERS.contains(&timer) => {
                return Err(CreateError::ElectionTimer(timer));
            }
            Some(timer) => vec![Record::from(Fact::Entry(Entry {
                term: meta.term,
                index: meta.index + 1,
                payload: Payload::ElectionTimer(timer),
            }))],
        };
        let mut data = Vec::new();
        write_data(
            &mut data,
            version,
            founding.date,
            founding.comment.as_deref(),
        );
        Ok(Contents {
            header: Header {
                identity: Identity {
                    server_id: founding.server_id,
                    cluster_id: Some(founding.cluster_id),
                    name: version.schema().name.to_string(),
                    local_address: founding.local_address,
                },
                origin: Origin::Snapshot(Snapshot {
                    meta,
                    data: data.into(),
                }),
            },
            records,
        })
    }

    /// A server that is to join the cluster which has a member at one of these addresses; the
    /// server's own address among them is left out.
    pub fn joining(
        identity: Identity,
        remote_addresses: Vec<String>,
    ) -> Result<Contents, CreateError> {
        identity.local_address.parse::<Address>()?;
        if identity.cluster_id.is_some_and(|id| id.is_nil()) {
            return Err(CreateError::ClusterId);
        }
        let mut remotes: Vec<String> = Vec::with_capacity(remote_addresses.len());
        for address in remote_addresses {
            address.parse::<Address>()?;
            let known = remotes.iter().chain([&identity.local_address]);
            if !known.into_iter().any(|known| same_address(known, &address)) {
                remotes.push(address);
            }
        }
        if remotes.is_empty() {
            return Err(CreateError::NoRemote);
        }
        Ok(Contents {
            header: Header {
                identity,
                origin: Origin::Joining {
                    remote_addresses: remotes,
                },
            },
            records: Vec::new(),
        })
    }

    /// Writes the file, for [`Appender::create`](ovsdb_log::Appender::create) and
    /// [`replace`](ovsdb_log::replace()).
    pub fn write(&self, writer: &mut RecordWriter) -> Result<(), LogError> {
        writer.record(|out| self.header.write(out))?;
        for record in &self.records {
            writer.record(|out| record.write(out))?;
        }
        Ok(())
    }
}

/// Appends the whole contents as a snapshot or an entry has them: an array of schema and
/// record. Clusters have no ephemeral columns (ovsdb(7)), so the schema is written without them.
pub fn write_data(out: &mut Vec<u8>, version: &Version, date: u64, comment: Option<&str>) {
    out.push(b'[');
    without_ephemeral(version.schema()).write_json(out);
    out.push(b',');
    write_contents(out, version, date, comment);
    out.push(b']');
}

/// The schema with every column persistent, as clusters need it.
pub fn without_ephemeral(schema: &Schema) -> Schema {
    let mut schema = schema.clone();
    for column in schema.tables.iter_mut().flat_map(|t| &mut t.columns) {
        column.persistent = true;
    }
    schema
}

/// What a file holds behind its snapshot.
#[derive(Debug, Clone)]
pub struct Tail {
    /// The entries behind the snapshot, committed or not.
    pub entries: Vec<Arc<Entry>>,
    /// The current term.
    pub term: Term,
    /// The vote in it.
    pub vote: Option<ServerId>,
    /// The leader in it.
    pub leader: Option<ServerId>,
    /// Up to where entries are committed; at least the snapshot's index.
    pub commit_index: Index,
}

impl Tail {
    /// Writes a whole file that starts from a snapshot, whose contents `data` appends.
    pub fn write_behind(
        &self,
        writer: &mut RecordWriter,
        identity: &Identity,
        meta: &SnapshotMeta,
        data: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), LogError> {
        writer.record(|out| write_snapshot(out, identity, meta, data))?;
        for entry in &self.entries {
            writer.record(|out| write_entry(out, entry))?;
        }
        let term = self.term;
        let state = match self.vote {
            Some(server) => Fact::Vote { term, server },
            None => Fact::Term(term),
        };
        let leader = self.leader.map(|server| Fact::Leader { term, server });
        let committed = self.commit_index > meta.index;
        let committed = committed.then_some(Fact::CommitIndex(self.commit_index));
        for fact in [Some(state), leader, committed].into_iter().flatten() {
            writer.record(|out| Record::from(fact).write(out))?;
        }
        Ok(())
    }
}
