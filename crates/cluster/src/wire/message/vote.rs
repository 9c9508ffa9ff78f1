//! Elections and handing leadership over.

use super::MessageError;
use super::fields::Fields;
use super::members;
use crate::entry::{Index, ServerId, Term};
use crate::wire::frame::FrameWriter;

/// From a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoteRequest {
    /// The candidate's term; in a pre-vote the one that it is still in.
    pub term: Term,
    /// Its last entry's place.
    pub last_log_index: Index,
    /// Its last entry's term.
    pub last_log_term: Term,
    /// The leader asked for this election: vote even though it is alive.
    pub leadership_transfer: bool,
    /// Only a question whether a vote would be given. Peers older than 3.3 refuse the word as
    /// unknown and close the connection.
    pub is_prevote: bool,
}

impl VoteRequest {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, MessageError> {
        Ok(VoteRequest {
            term: fields.number("term")?,
            last_log_index: fields.number("last_log_index")?,
            last_log_term: fields.number("last_log_term")?,
            leadership_transfer: fields.boolean_or_false("leadership_transfer")?,
            is_prevote: fields.boolean_or_false("is_prevote")?,
        })
    }

    pub(super) fn write(&self, out: &mut FrameWriter) {
        let bytes = out.bytes();
        members::number(bytes, "term", self.term);
        members::number(bytes, "last_log_index", self.last_log_index);
        members::number(bytes, "last_log_term", self.last_log_term);
        members::flag(bytes, "leadership_transfer", self.leadership_transfer);
        members::flag(bytes, "is_prevote", self.is_prevote);
    }
}

/// The answer to a [`VoteRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoteReply {
    /// The voter's term.
    pub term: Term,
    /// Whom it voted for in that term.
    pub vote: ServerId,
    /// As in the request.
    pub is_prevote: bool,
}

impl VoteReply {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, MessageError> {
        Ok(VoteReply {
            term: fields.number("term")?,
            vote: fields.uuid("vote")?,
            is_prevote: fields.boolean_or_false("is_prevote")?,
        })
    }

    pub(super) fn write(&self, out: &mut FrameWriter) {
        let bytes = out.bytes();
        members::number(bytes, "term", self.term);
        members::uuid(bytes, "vote", &self.vote);
        members::flag(bytes, "is_prevote", self.is_prevote);
    }
}

/// From the leader: call an election now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BecomeLeader {
    /// The leader's term.
    pub term: Term,
}

impl BecomeLeader {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, MessageError> {
        Ok(BecomeLeader {
            term: fields.number("term")?,
        })
    }

    pub(super) fn write(&self, out: &mut FrameWriter) {
        members::number(out.bytes(), "term", self.term);
    }
}
