//! Each message as a line of the log, at its finest level.

use tracing::Level;

use crate::wire::Body;
use crate::wire::frame::Frame;

/// So many bytes of a message are shown; a snapshot may be long.
const SHOWN: usize = 8 << 10;

/// Whether anybody reads such lines: they cost something.
pub(super) fn is_logged() -> bool {
    tracing::enabled!(Level::DEBUG)
}

/// A message goes to a peer.
pub(super) fn sent(db: &str, address: &str, body: &Body, frame: &Frame) {
    let method = body.method();
    let mut text = Vec::new();
    for piece in frame.pieces() {
        let room = SHOWN.saturating_sub(text.len());
        text.extend_from_slice(&piece[..piece.len().min(room)]);
    }
    let text = String::from_utf8_lossy(&text);
    let (_, params) = text.split_once("\"params\":").unwrap_or(("", &text));
    let params = match text.len() < frame.len() {
        true => params,
        false => params.strip_suffix('}').unwrap_or(params),
    };
    tracing::debug!(
        db,
        "jsonrpc: {address}: send notification, method=\"{method}\", params={params}"
    );
}

/// A message has come from a peer.
pub(super) fn received(db: &str, address: &str, method: &str, params: &[u8]) {
    let params = String::from_utf8_lossy(&params[..params.len().min(SHOWN)]);
    tracing::debug!(
        db,
        "jsonrpc: {address}: received notification, method=\"{method}\", params={params}"
    );
}
