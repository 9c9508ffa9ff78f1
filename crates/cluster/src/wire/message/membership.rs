//! Who calls, who comes and who goes.

use super::MessageError;
use super::fields::Fields;
use super::members;
use crate::entry::ServerId;
use crate::wire::frame::FrameWriter;

/// The first message on a connection, from who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloRequest {
    /// The sender's address.
    pub address: String,
}

impl HelloRequest {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, MessageError> {
        Ok(HelloRequest {
            address: fields.string("address")?,
        })
    }

    pub(super) fn write(&self, out: &mut FrameWriter) {
        members::string(out.bytes(), "address", &self.address);
    }
}

/// The sender wants to become a member. It asks again until it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddServerRequest {
    /// The sender's address.
    pub address: String,
}

impl AddServerRequest {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, MessageError> {
        Ok(AddServerRequest {
            address: fields.string("address")?,
        })
    }

    pub(super) fn write(&self, out: &mut FrameWriter) {
        members::string(out.bytes(), "address", &self.address);
    }
}

/// The answer to an [`AddServerRequest`]; the head's comment says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddServerReply {
    /// It is a member now.
    pub success: bool,
    /// Where to ask next: the leader, or the members.
    pub remote_addresses: Vec<String>,
}

impl AddServerReply {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, MessageError> {
        Ok(AddServerReply {
            success: fields.boolean("success")?,
            remote_addresses: fields.optional_addresses("remote_addresses")?,
        })
    }

    pub(super) fn write(&self, out: &mut FrameWriter) {
        let bytes = out.bytes();
        members::boolean(bytes, "success", self.success);
        if self.remote_addresses.is_empty() {
            return;
        }
        members::name(bytes, "remote_addresses");
        for (place, address) in self.remote_addresses.iter().enumerate() {
            bytes.push(if place == 0 { b'[' } else { b',' });
            ovsdb::json::write::string(bytes, address);
        }
        bytes.push(b']');
    }
}

/// A member shall be removed: the sender itself, or one that a person named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveServerRequest {
    /// Whom to remove.
    pub server_id: ServerId,
}

impl RemoveServerRequest {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, MessageError> {
        Ok(RemoveServerRequest {
            server_id: fields.uuid("server_id")?,
        })
    }

    pub(super) fn write(&self, out: &mut FrameWriter) {
        members::uuid(out.bytes(), "server_id", &self.server_id);
    }
}

/// The answer to a [`RemoveServerRequest`]; the head's comment says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveServerReply {
    /// It is no member any more.
    pub success: bool,
    /// Who that is, if not the receiver.
    pub target_server: Option<ServerId>,
}

impl RemoveServerReply {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, MessageError> {
        Ok(RemoveServerReply {
            success: fields.boolean("success")?,
            target_server: fields.optional_uuid("target_server")?,
        })
    }

    pub(super) fn write(&self, out: &mut FrameWriter) {
        let bytes = out.bytes();
        members::boolean(bytes, "success", self.success);
        if let Some(target) = &self.target_server {
            members::uuid(bytes, "target_server", target);
        }
    }
}
