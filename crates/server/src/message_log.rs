//! Messages as they are received and sent, for the log (`vlog/set jsonrpc:dbg`).
//!
//! While nobody wants to see them, a message costs a look at a flag.

use ovsdb::json::{Document, Json, Scanner};
use ovsdb::message::Message;
use tracing::{Level, Span};

use crate::outbox::Outbox;

/// Of each part of a message so many bytes are shown.
const LONGEST: usize = 60 << 10;

/// Messages are logged.
pub(crate) fn is_on() -> bool {
    tracing::enabled!(target: "jsonrpc", Level::DEBUG)
}

/// A message has come.
pub(crate) fn received(span: &Span, peer: &str, message: Json<'_>) {
    if is_on() {
        show(span, peer, "received", message);
    }
}

/// What was written to an outbox since it was looked at last; must be called between messages.
pub(crate) fn sent(span: &Span, peer: &str, outbox: &mut Outbox) {
    let written = outbox.listen(is_on());
    let mut rest = &written[..];
    while !rest.is_empty() {
        let mut scanner = Scanner::new();
        let Ok(Some(length)) = scanner.scan(rest) else {
            return;
        };
        let (text, behind) = rest.split_at(length);
        if let Some(document) = Document::from_scanned(&mut scanner, text) {
            show(span, peer, "send", document.root());
        }
        rest = behind;
    }
}

/// The same for one message.
pub(crate) fn sent_text(span: &Span, peer: &str, text: &[u8]) {
    if is_on()
        && let Ok(document) = Document::parse(text)
    {
        show(span, peer, "send", document.root());
    }
}

fn show(span: &Span, peer: &str, what: &str, message: Json<'_>) {
    let (kind, text) = describe(message);
    tracing::debug!(target: "jsonrpc", parent: span, "{peer}: {what} {kind}{text}");
}

fn describe(message: Json<'_>) -> (&'static str, String) {
    let kind = match Message::parse(message) {
        Ok(Message::Request { .. }) => "request",
        Ok(Message::Notification { .. }) => "notification",
        Ok(Message::Reply { error: Some(_), .. }) => "error",
        Ok(Message::Reply { .. }) => "reply",
        Err(_) => "message",
    };
    let mut text = String::new();
    for name in ["method", "params", "result", "error", "id"] {
        let Some(value) = message.member(name) else {
            continue;
        };
        let source = value.source();
        if source == b"null" {
            continue;
        }
        let shown = &source[..source.len().min(LONGEST)];
        text.push_str(&format!(", {name}={}", String::from_utf8_lossy(shown)));
    }
    (kind, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_as_the_reference_does() {
        for (message, told) in [
            (
                r#"{"id":0,"method":"echo","params":[1, "x"]}"#,
                r#"request, method="echo", params=[1, "x"], id=0"#,
            ),
            (
                r#"{"id":null,"method":"update","params":[]}"#,
                r#"notification, method="update", params=[]"#,
            ),
            (
                r#"{"id":"a","result":{},"error":null}"#,
                r#"reply, result={}, id="a""#,
            ),
            (
                r#"{"id":1,"result":null,"error":"e"}"#,
                r#"error, error="e", id=1"#,
            ),
        ] {
            let document = Document::parse(message.as_bytes()).expect("JSON");
            let (kind, text) = describe(document.root());
            assert_eq!(format!("{kind}{text}"), told);
        }
    }

    #[test]
    fn what_is_written_is_heard_while_somebody_listens() {
        let mut outbox = Outbox::default();
        outbox.copy(b"unheard");
        assert!(outbox.listen(true).is_empty());
        outbox.copy(b"a");
        outbox.write(|out| out.push(b'b'));
        outbox.give(vec![b'c'; 20_000]);
        outbox.share(&vec![b'd'; 20_000].into());
        let heard = outbox.listen(false);
        assert_eq!(heard.len(), 40_002);
        assert!(heard.starts_with(b"abcc") && heard.ends_with(b"dd"));
        outbox.copy(b"unheard");
        assert!(outbox.listen(false).is_empty());
    }
}
