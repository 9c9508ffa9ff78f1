//! Answers and notifications around what is in them (RFC 7047 section 4, JSON-RPC 1.0).

use bytes::Bytes;
use ovsdb::Error;
use ovsdb::json::write;

use crate::outbox::Outbox;

fn begin(outbox: &mut Outbox, id: &[u8]) {
    outbox.copy(b"{\"id\":");
    outbox.copy(id);
}

/// A result that is already JSON.
pub(super) fn result(outbox: &mut Outbox, id: &[u8], json: &[u8]) {
    begin(outbox, id);
    outbox.copy(b",\"result\":");
    outbox.copy(json);
    outbox.copy(b",\"error\":null}");
}

/// Like [`result`], for a buffer that nobody else needs.
pub(super) fn own_result(outbox: &mut Outbox, id: &[u8], json: Vec<u8>) {
    begin(outbox, id);
    outbox.copy(b",\"result\":");
    outbox.give(json);
    outbox.copy(b",\"error\":null}");
}

/// Like [`result`], between `before` and `after`, for bytes that others have, too.
pub(super) fn shared_result(
    outbox: &mut Outbox,
    id: &[u8],
    before: &[u8],
    json: &Bytes,
    after: &[u8],
) {
    begin(outbox, id);
    outbox.copy(b",\"result\":");
    outbox.copy(before);
    outbox.share(json);
    outbox.copy(after);
    outbox.copy(b",\"error\":null}");
}

/// An OVSDB error.
pub(super) fn error(outbox: &mut Outbox, id: &[u8], error: &Error) {
    begin(outbox, id);
    outbox.copy(b",\"result\":null,\"error\":");
    outbox.write(|out| error.write_json(out));
    outbox.copy(b"}");
}

/// An error that is already JSON.
pub(super) fn raw_error(outbox: &mut Outbox, id: &[u8], json: Vec<u8>) {
    begin(outbox, id);
    outbox.copy(b",\"result\":null,\"error\":");
    outbox.give(json);
    outbox.copy(b"}");
}

/// An error that is only a string.
pub(super) fn error_text(outbox: &mut Outbox, id: &[u8], text: &str) {
    begin(outbox, id);
    outbox.copy(b",\"result\":null,\"error\":");
    outbox.write(|out| write::string(out, text));
    outbox.copy(b"}");
}

/// A notification with one parameter, which is already JSON.
pub(super) fn notification(outbox: &mut Outbox, method: &str, param: &[u8]) {
    outbox.copy(b"{\"id\":null,\"method\":\"");
    outbox.copy(method.as_bytes());
    outbox.copy(b"\",\"params\":[");
    outbox.copy(param);
    outbox.copy(b"]}");
}
