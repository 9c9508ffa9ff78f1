//! Where one JSON-RPC message ends and the next begins, by counting braces.

use memchr::{memchr2, memchr3};

/// Finds the end of a message that may arrive in any number of pieces; no byte is looked at twice.
///
/// Only braces and strings are understood: a peer that sends something that is not JSON is found out by the check of
/// the reply, or by the silence that follows.
#[derive(Debug, Default, Clone)]
pub struct Framer {
    depth: u32,
    in_string: bool,
    escaped: bool,
}

impl Framer {
    /// Looks at the next piece of the stream. `Some(n)`: a message ends with the first `n` bytes of `piece`, and the
    /// framer is ready for the one after it. `None`: all of `piece` belongs to a message that goes on.
    pub fn scan(&mut self, piece: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < piece.len() {
            if self.escaped {
                self.escaped = false;
                at += 1;
            } else if self.in_string {
                at += memchr2(b'"', b'\\', &piece[at..])? + 1;
                if piece[at - 1] == b'"' {
                    self.in_string = false;
                } else {
                    self.escaped = true;
                }
            } else {
                at += memchr3(b'{', b'}', b'"', &piece[at..])? + 1;
                match piece[at - 1] {
                    b'{' => self.depth += 1,
                    b'"' => self.in_string = true,
                    _ => {
                        self.depth = self.depth.saturating_sub(1);
                        if self.depth == 0 {
                            return Some(at);
                        }
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = r#"{"a":{"b":"}{\"\\"}}{"c":[1]} {"d":"\\\"}"}"#;
    const MESSAGES: [&str; 3] = [
        r#"{"a":{"b":"}{\"\\"}}"#,
        r#"{"c":[1]}"#,
        r#" {"d":"\\\"}"}"#,
    ];

    #[test]
    fn every_way_to_cut_the_stream_gives_the_same_messages() {
        for size in 1..=STREAM.len() {
            let mut framer = Framer::default();
            let mut messages = Vec::new();
            let mut message = Vec::new();
            for mut piece in STREAM.as_bytes().chunks(size) {
                while let Some(end) = framer.scan(piece) {
                    message.extend_from_slice(&piece[..end]);
                    messages.push(String::from_utf8(std::mem::take(&mut message)).unwrap());
                    piece = &piece[end..];
                }
                message.extend_from_slice(piece);
            }
            assert_eq!(messages, MESSAGES, "pieces of {size} bytes");
            assert!(message.is_empty());
        }
    }
}
