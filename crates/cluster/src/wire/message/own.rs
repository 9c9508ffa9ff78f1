//! What has no place in OVSDB's messages, for peers that have announced that they are ours: any
//! other closes the connection at a method that it does not know.

use bytes::Bytes;

use super::MessageError;
use super::fields::Fields;
use super::members;
use crate::wire::frame::FrameWriter;

/// The method of all messages of our own.
pub(super) const METHOD: &str = "ovn_ic_db";

/// A message of our own. Unlike others it may come before there is a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// What it is.
    pub kind: String,
    /// A JSON array or object.
    pub data: Bytes,
}

impl Own {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, MessageError> {
        Ok(Own {
            kind: fields.string("kind")?,
            data: fields.data("data")?,
        })
    }

    pub(super) fn write(&self, out: &mut FrameWriter) {
        let bytes = out.bytes();
        members::string(bytes, "kind", &self.kind);
        members::name(bytes, "data");
        out.share(&self.data);
    }
}
