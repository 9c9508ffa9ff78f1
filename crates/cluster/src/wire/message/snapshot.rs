//! A snapshot, for a follower that the leader's log does not reach back to.

use bytes::Bytes;
use ovsdb::Uuid;

use super::MessageError;
use super::fields::Fields;
use super::members;
use crate::entry::{Index, Servers, Term};
use crate::wire::frame::FrameWriter;

/// From the leader: all that came up to an entry, in one message however large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallSnapshotRequest {
    /// The leader's term.
    pub term: Term,
    /// The last entry that is in it.
    pub last_index: Index,
    /// That entry's term.
    pub last_term: Term,
    /// The members as of that entry.
    pub last_servers: Servers,
    /// The last transaction that is in it.
    pub last_eid: Uuid,
    /// The election timer as of that entry, in milliseconds.
    pub election_timer: u64,
    /// A JSON array of two: the schema, and a transaction's record that inserts every row. All
    /// messages that have the same bytes share them.
    pub data: Bytes,
}

impl InstallSnapshotRequest {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, MessageError> {
        Ok(InstallSnapshotRequest {
            term: fields.number("term")?,
            last_index: fields.number("last_index")?,
            last_term: fields.number("last_term")?,
            last_servers: fields.servers("last_servers")?,
            last_eid: fields.uuid("last_eid")?,
            election_timer: fields.number("election_timer")?,
            data: fields.data("data")?,
        })
    }

    pub(super) fn write(&self, out: &mut FrameWriter) {
        let bytes = out.bytes();
        members::number(bytes, "term", self.term);
        members::number(bytes, "last_index", self.last_index);
        members::number(bytes, "last_term", self.last_term);
        members::servers(bytes, "last_servers", &self.last_servers);
        members::uuid(bytes, "last_eid", &self.last_eid);
        members::number(bytes, "election_timer", self.election_timer);
        members::name(bytes, "data");
        out.share(&self.data);
    }
}

/// The answer to an [`InstallSnapshotRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallSnapshotReply {
    /// The follower's term.
    pub term: Term,
    /// As in the request.
    pub last_index: Index,
    /// As in the request.
    pub last_term: Term,
}

impl InstallSnapshotReply {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, MessageError> {
        Ok(InstallSnapshotReply {
            term: fields.number("term")?,
            last_index: fields.number("last_index")?,
            last_term: fields.number("last_term")?,
        })
    }

    pub(super) fn write(&self, out: &mut FrameWriter) {
        let bytes = out.bytes();
        members::number(bytes, "term", self.term);
        members::number(bytes, "last_index", self.last_index);
        members::number(bytes, "last_term", self.last_term);
    }
}
