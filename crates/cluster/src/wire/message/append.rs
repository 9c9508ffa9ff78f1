//! Replication: entries and heartbeats.

use super::MessageError;
use super::fields::Fields;
use super::log::Log;
use super::members;
use crate::entry::{Index, Term};
use crate::wire::frame::FrameWriter;

/// From the leader: entries to append, or none as a sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendRequest {
    /// The leader's term.
    pub term: Term,
    /// The place of the entry before the first one here.
    pub prev_log_index: Index,
    /// The term of that entry.
    pub prev_log_term: Term,
    /// What the leader knows to be committed.
    pub leader_commit: Index,
    /// The entries.
    pub log: Log,
}

impl AppendRequest {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, MessageError> {
        let prev_log_index = fields.number("prev_log_index")?;
        let array = fields.array("log")?;
        Ok(AppendRequest {
            term: fields.number("term")?,
            prev_log_index,
            prev_log_term: fields.number("prev_log_term")?,
            leader_commit: fields.number("leader_commit")?,
            log: Log::parse(array, fields.text(), prev_log_index)?,
        })
    }

    pub(super) fn write(&self, out: &mut FrameWriter) {
        let bytes = out.bytes();
        members::number(bytes, "term", self.term);
        members::number(bytes, "prev_log_index", self.prev_log_index);
        members::number(bytes, "prev_log_term", self.prev_log_term);
        members::number(bytes, "leader_commit", self.leader_commit);
        members::name(bytes, "log");
        self.log.write(out);
    }
}

/// What became of an [`AppendRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendResult {
    /// The follower's log has the entries.
    Ok,
    /// The follower's log does not have the entry before them.
    Inconsistency,
    /// The follower could not write them.
    IoError,
}

impl AppendResult {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            AppendResult::Ok => "OK",
            AppendResult::Inconsistency => "inconsistency",
            AppendResult::IoError => "I/O error",
        }
    }

    fn find(word: &str) -> Option<Self> {
        [Self::Ok, Self::Inconsistency, Self::IoError]
            .into_iter()
            .find(|result| result.as_str() == word)
    }
}

/// The answer to an [`AppendRequest`], which it names by its place and size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendReply {
    /// The follower's term.
    pub term: Term,
    /// Behind the follower's last entry.
    pub log_end: Index,
    /// As in the request.
    pub prev_log_index: Index,
    /// As in the request.
    pub prev_log_term: Term,
    /// How many entries the request had.
    pub n_entries: u64,
    /// What became of it.
    pub result: AppendResult,
}

impl AppendReply {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, MessageError> {
        Ok(AppendReply {
            term: fields.number("term")?,
            log_end: fields.number("log_end")?,
            prev_log_index: fields.number("prev_log_index")?,
            prev_log_term: fields.number("prev_log_term")?,
            n_entries: fields.number("n_entries")?,
            result: fields.word("result", AppendResult::find)?,
        })
    }

    pub(super) fn write(&self, out: &mut FrameWriter) {
        let bytes = out.bytes();
        members::number(bytes, "term", self.term);
        members::number(bytes, "log_end", self.log_end);
        members::number(bytes, "prev_log_index", self.prev_log_index);
        members::number(bytes, "prev_log_term", self.prev_log_term);
        members::number(bytes, "n_entries", self.n_entries);
        members::string(bytes, "result", self.result.as_str());
    }
}
