//! OVSDB's Raft messages as values, read as strictly and written in the same way as the
//! reference does it.
//!
//! Each is a JSON-RPC notification with one parameter, an object: a [`Head`] that all have, and a
//! [`Body`] that its method names. Whether the head is right (the cluster, the receiver) is
//! for the receiver to judge: here it only has to be there.

mod append;
mod command;
mod fields;
mod log;
mod members;
mod membership;
mod own;
mod snapshot;
mod vote;

use bytes::Bytes;
use ovsdb::json::{Document, Json};

pub use append::{AppendReply, AppendRequest, AppendResult};
pub use command::{CommandStatus, ExecuteCommandReply, ExecuteCommandRequest};
pub use log::Log;
pub use membership::{
    AddServerReply, AddServerRequest, HelloRequest, RemoveServerReply, RemoveServerRequest,
};
pub use own::Own;
pub use snapshot::{InstallSnapshotReply, InstallSnapshotRequest};
pub use vote::{BecomeLeader, VoteReply, VoteRequest};

use self::fields::Fields;
use super::ClusterId;
use super::frame::{Frame, FrameWriter};
use crate::entry::{ServerId, Term};

/// Why something is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MessageError(pub(crate) String);

impl MessageError {
    fn new(text: &str) -> Self {
        MessageError(text.to_owned())
    }
}

/// What every message begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The sender's cluster. Only who wants to join may not know it (and our own members among
    /// themselves).
    pub cluster: Option<ClusterId>,
    /// The sender.
    pub from: ServerId,
    /// The receiver. Who says hello or wants to join may not know it.
    pub to: Option<ServerId>,
    /// A remark for people; between our own members also an [`Announcement`].
    ///
    /// [`Announcement`]: super::Announcement
    pub comment: Option<String>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// From whom to whom.
    pub head: Head,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Who calls.
    HelloRequest(HelloRequest),
    /// Entries, or a heartbeat.
    AppendRequest(AppendRequest),
    /// The answer to it.
    AppendReply(AppendReply),
    /// A candidate asks for a vote.
    VoteRequest(VoteRequest),
    /// The answer to it.
    VoteReply(VoteReply),
    /// A server wants to become a member.
    AddServerRequest(AddServerRequest),
    /// The answer to it.
    AddServerReply(AddServerReply),
    /// A member shall be removed.
    RemoveServerRequest(RemoveServerRequest),
    /// The answer to it.
    RemoveServerReply(RemoveServerReply),
    /// All that came before an entry.
    InstallSnapshotRequest(InstallSnapshotRequest),
    /// The answer to it.
    InstallSnapshotReply(InstallSnapshotReply),
    /// The leader wants the receiver to lead.
    BecomeLeader(BecomeLeader),
    /// A follower has a transaction for the leader.
    ExecuteCommandRequest(ExecuteCommandRequest),
    /// The answer to it.
    ExecuteCommandReply(ExecuteCommandReply),
    /// What only our own members say to each other.
    Own(Own),
}

impl Body {
    /// The message's JSON-RPC method.
    pub fn method(&self) -> &'static str {
        match self {
            Body::HelloRequest(_) => "hello_request",
            Body::AppendRequest(_) => "append_request",
            Body::AppendReply(_) => "append_reply",
            Body::VoteRequest(_) => "vote_request",
            Body::VoteReply(_) => "vote_reply",
            Body::AddServerRequest(_) => "add_server_request",
            Body::AddServerReply(_) => "add_server_reply",
            Body::RemoveServerRequest(_) => "remove_server_request",
            Body::RemoveServerReply(_) => "remove_server_reply",
            Body::InstallSnapshotRequest(_) => "install_snapshot_request",
            Body::InstallSnapshotReply(_) => "install_snapshot_reply",
            Body::BecomeLeader(_) => "become_leader",
            Body::ExecuteCommandRequest(_) => "execute_command_request",
            Body::ExecuteCommandReply(_) => "execute_command_reply",
            Body::Own(_) => own::METHOD,
        }
    }

    /// The sender's term, where the message says it.
    pub fn term(&self) -> Option<Term> {
        match self {
            Body::AppendRequest(m) => Some(m.term),
            Body::AppendReply(m) => Some(m.term),
            Body::VoteRequest(m) => Some(m.term),
            Body::VoteReply(m) => Some(m.term),
            Body::InstallSnapshotRequest(m) => Some(m.term),
            Body::InstallSnapshotReply(m) => Some(m.term),
            Body::BecomeLeader(m) => Some(m.term),
            _ => None,
        }
    }

    /// True for an append_request without entries.
    pub fn is_heartbeat(&self) -> bool {
        matches!(self, Body::AppendRequest(m) if m.log.is_empty())
    }

    fn parse(method: &str, fields: &mut Fields<'_>) -> Result<Body, MessageError> {
        Ok(match method {
            "hello_request" => Body::HelloRequest(HelloRequest::parse(fields)?),
            "append_request" => Body::AppendRequest(AppendRequest::parse(fields)?),
            "append_reply" => Body::AppendReply(AppendReply::parse(fields)?),
            "vote_request" => Body::VoteRequest(VoteRequest::parse(fields)?),
            "vote_reply" => Body::VoteReply(VoteReply::parse(fields)?),
            "add_server_request" => Body::AddServerRequest(AddServerRequest::parse(fields)?),
            "add_server_reply" => Body::AddServerReply(AddServerReply::parse(fields)?),
            "remove_server_request" => {
                Body::RemoveServerRequest(RemoveServerRequest::parse(fields)?)
            }
            "remove_server_reply" => Body::RemoveServerReply(RemoveServerReply::parse(fields)?),
            "install_snapshot_request" => {
                Body::InstallSnapshotRequest(InstallSnapshotRequest::parse(fields)?)
            }
            "install_snapshot_reply" => {
                Body::InstallSnapshotReply(InstallSnapshotReply::parse(fields)?)
            }
            "become_leader" => Body::BecomeLeader(BecomeLeader::parse(fields)?),
            "execute_command_request" => {
                Body::ExecuteCommandRequest(ExecuteCommandRequest::parse(fields)?)
            }
            "execute_command_reply" => {
                Body::ExecuteCommandReply(ExecuteCommandReply::parse(fields)?)
            }
            own::METHOD => Body::Own(Own::parse(fields)?),
            _ => return Err(MessageError::new("unknown method")),
        })
    }

    fn write(&self, out: &mut FrameWriter) {
        match self {
            Body::HelloRequest(m) => m.write(out),
            Body::AppendRequest(m) => m.write(out),
            Body::AppendReply(m) => m.write(out),
            Body::VoteRequest(m) => m.write(out),
            Body::VoteReply(m) => m.write(out),
            Body::AddServerRequest(m) => m.write(out),
            Body::AddServerReply(m) => m.write(out),
            Body::RemoveServerRequest(m) => m.write(out),
            Body::RemoveServerReply(m) => m.write(out),
            Body::InstallSnapshotRequest(m) => m.write(out),
            Body::InstallSnapshotReply(m) => m.write(out),
            Body::BecomeLeader(m) => m.write(out),
            Body::ExecuteCommandRequest(m) => m.write(out),
            Body::ExecuteCommandReply(m) => m.write(out),
            Body::Own(m) => m.write(out),
        }
    }

    /// Whether the head must name the cluster and the receiver.
    pub(crate) fn must_name(&self) -> (bool, bool) {
        match self {
            Body::AddServerRequest(_) | Body::Own(_) => (false, false),
            Body::HelloRequest(_) => (true, false),
            _ => (true, true),
        }
    }
}

impl Message {
    /// Reads a whole JSON-RPC text.
    pub fn parse(text: &Bytes) -> Result<Message, MessageError> {
        let document =
            Document::parse(text.clone()).map_err(|error| MessageError(error.to_string()))?;
        match ovsdb::message::Message::parse(document.root()).map_err(MessageError)? {
            ovsdb::message::Message::Notification { method, params } => {
                Message::from_notification(&method, params, text)
            }
            _ => Err(MessageError::new("expecting notification")),
        }
    }

    /// Reads a notification that is a part of `text`. Data is not copied: it shares `text`.
    pub fn from_notification(
        method: &str,
        params: Json<'_>,
        text: &Bytes,
    ) -> Result<Message, MessageError> {
        let object = match params.element(0) {
            Some(object) if params.len() == 1 => object,
            _ => return Err(MessageError::new("one parameter expected")),
        };
        let mut fields = Fields::new(object, text)?;
        let body = Body::parse(method, &mut fields)?;
        let head = Head {
            cluster: fields.optional_uuid("cluster")?,
            from: fields.uuid("from")?,
            to: fields.optional_uuid("to")?,
            comment: fields.optional_string("comment")?,
        };
        let (cluster, to) = body.must_name();
        if cluster && head.cluster.is_none() {
            return Err(MessageError::new("required 'cluster' member is missing"));
        }
        if to && head.to.is_none() {
            return Err(MessageError::new("required 'to' member is missing"));
        }
        fields.finish()?;
        Ok(Message { head, body })
    }

    /// The message as it is sent.
    pub fn frame(&self) -> Frame {
        frame(&self.head, &self.body)
    }
}

/// A message as it is sent, from its parts.
pub fn frame(head: &Head, body: &Body) -> Frame {
    let mut out = FrameWriter::default();
    let bytes = out.bytes();
    bytes.extend_from_slice(b"{\"id\":null,\"method\":\"");
    bytes.extend_from_slice(body.method().as_bytes());
    bytes.extend_from_slice(b"\",\"params\":[{\"from\":");
    ovsdb::json::write::uuid(bytes, &head.from);
    if let Some(cluster) = &head.cluster {
        members::uuid(bytes, "cluster", cluster);
    }
    if let Some(to) = &head.to {
        members::uuid(bytes, "to", to);
    }
    if let Some(comment) = &head.comment {
        members::string(bytes, "comment", comment);
    }
    body.write(&mut out);
    out.bytes().extend_from_slice(b"}]}");
    out.finish()
}
