//! A follower's transaction, executed there, for the leader to put into the log.

use bytes::Bytes;
use ovsdb::Uuid;

use super::MessageError;
use super::fields::Fields;
use super::members;
use crate::entry::Index;
use crate::wire::frame::FrameWriter;

/// From a follower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecuteCommandRequest {
    /// As in a log entry.
    pub data: Bytes,
    /// The transaction that must be the log's last one.
    pub prereq: Uuid,
    /// The id of this transaction.
    pub result: Uuid,
}

impl ExecuteCommandRequest {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, MessageError> {
        Ok(ExecuteCommandRequest {
            data: fields.data("data")?,
            prereq: fields.uuid("prereq")?,
            result: fields.uuid("result")?,
        })
    }

    pub(super) fn write(&self, out: &mut FrameWriter) {
        let bytes = out.bytes();
        members::uuid(bytes, "prereq", &self.prereq);
        members::uuid(bytes, "result", &self.result);
        members::name(bytes, "data");
        out.share(&self.data);
    }
}

/// How far an [`ExecuteCommandRequest`] has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandStatus {
    /// Still going on: the follower should not give up.
    Incomplete,
    /// Committed.
    Success,
    /// The receiver does not lead.
    NotLeader,
    /// The log's last transaction is another one.
    BadPrerequisite,
    /// The receiver led, and does not any more; whether it is committed is not known.
    LostLeadership,
    /// The receiver is stopping.
    Shutdown,
    /// The receiver could not write its log.
    IoError,
    /// It took too long.
    Timeout,
}

impl CommandStatus {
    const ALL: [CommandStatus; 8] = [
        CommandStatus::Incomplete,
        CommandStatus::Success,
        CommandStatus::NotLeader,
        CommandStatus::BadPrerequisite,
        CommandStatus::LostLeadership,
        CommandStatus::Shutdown,
        CommandStatus::IoError,
        CommandStatus::Timeout,
    ];

    /// The words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            CommandStatus::Incomplete => "operation still in progress",
            CommandStatus::Success => "success",
            CommandStatus::NotLeader => "not leader",
            CommandStatus::BadPrerequisite => "prerequisite check failed",
            CommandStatus::LostLeadership => "lost leadership",
            CommandStatus::Shutdown => "server shutdown",
            CommandStatus::IoError => "I/O error",
            CommandStatus::Timeout => "timeout",
        }
    }

    fn find(words: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == words)
    }
}

/// The answer to an [`ExecuteCommandRequest`], several times if it takes long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecuteCommandReply {
    /// As in the request.
    pub result: Uuid,
    /// How far it has come.
    pub status: CommandStatus,
    /// Its place in the log once it is committed, 0 before.
    pub commit_index: Index,
}

impl ExecuteCommandReply {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, MessageError> {
        Ok(ExecuteCommandReply {
            result: fields.uuid("result")?,
            status: fields.word("status", CommandStatus::find)?,
            commit_index: fields.number_or_zero("commit_index")?,
        })
    }

    pub(super) fn write(&self, out: &mut FrameWriter) {
        let bytes = out.bytes();
        members::uuid(bytes, "result", &self.result);
        members::string(bytes, "status", self.status.as_str());
        if self.commit_index != 0 {
            members::number(bytes, "commit_index", self.commit_index);
        }
    }
}
