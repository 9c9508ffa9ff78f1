//! The incremental scanner: from a stream of bytes to one checked and indexed JSON text.

use super::number;
use super::value::{Kind, Token};

/// Containers may be nested this deep, as in the reference.
pub const MAX_DEPTH: usize = 1000;

/// Why a text is not JSON, and where (bytes from its beginning).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {reason}")]
pub struct SyntaxError {
    /// Offset of the offending byte in the text.
    pub offset: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first value.
    Start,
    /// After `[`: a value or `]`.
    FirstElement,
    /// After `,` in an array: a value.
    Element,
    /// After `{`: a name or `}`.
    FirstName,
    /// After `,` in an object: a name.
    Name,
    /// After a name.
    Colon,
    /// After `:`.
    MemberValue,
    /// After a value inside a container.
    Next,
    /// The text is complete.
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lexeme {
    None,
    String(OpenString),
    Number { start: usize },
    Keyword { start: usize },
}

/// A quoted string whose end has not come yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OpenString {
    /// Offset behind the opening quote.
    start: usize,
    escaped: bool,
    /// The last piece ended in a backslash: the next byte belongs to it.
    after_backslash: bool,
    /// It is a member's name.
    is_name: bool,
}

/// Finds, checks and indexes one JSON text, however it is cut into pieces.
///
/// Memory is bounded by the caller's bound on the text: at most one token for each of its bytes,
/// and [`MAX_DEPTH`] open containers.
#[derive(Debug)]
pub struct Scanner {
    position: usize,
    state: State,
    lexeme: Lexeme,
    open: Vec<u32>,
    tokens: Vec<Token>,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// A scanner before the first byte of a text.
    pub fn new() -> Self {
        Scanner {
            position: 0,
            state: State::Start,
            lexeme: Lexeme::None,
            open: Vec::new(),
            tokens: Vec::new(),
        }
    }

    /// The memory of the index so far, in bytes.
    pub fn memory(&self) -> usize {
        self.tokens.len() * size_of::<Token>()
    }

    /// True if nothing but white space has been seen.
    pub fn is_empty(&self) -> bool {
        self.state == State::Start
    }

    /// Goes on where the last call stopped. `text` is everything since the text's beginning,
    /// grown since the last call. Returns the text's length once its last byte is there.
    pub fn scan(&mut self, text: &[u8]) -> Result<Option<usize>, SyntaxError> {
        if text.len() > u32::MAX as usize {
            return self.fail(u32::MAX as usize, "text longer than 4 GiB");
        }
        while self.position < text.len() && self.state != State::Done {
            match self.lexeme {
                Lexeme::None => self.structural(text)?,
                Lexeme::String(string) => self.string(text, string)?,
                Lexeme::Number { start } => self.number(text, start)?,
                Lexeme::Keyword { start } => self.keyword(text, start)?,
            }
        }
        Ok((self.state == State::Done).then_some(self.position))
    }

    /// The index of the finished text; the scanner is ready for the next one.
    pub(super) fn take_tokens(&mut self) -> Vec<Token> {
        let tokens = std::mem::take(&mut self.tokens);
        *self = Scanner {
            open: std::mem::take(&mut self.open),
            ..Scanner::new()
        };
        self.open.clear();
        tokens
    }

    fn fail<T>(&self, offset: usize, reason: &'static str) -> Result<T, SyntaxError> {
        Err(SyntaxError { offset, reason })
    }

    fn structural(&mut self, text: &[u8]) -> Result<(), SyntaxError> {
        let at = self.position;
        let byte = text[at];
        self.position += 1;
        match (byte, self.state) {
            (b' ' | b'\t' | b'\n' | b'\r', _) => Ok(()),
            (b'"', State::FirstName | State::Name) => {
                self.begin_string(at, true);
                Ok(())
            }
            (b'}', State::FirstName) => self.close(at, Kind::Object),
            (_, State::FirstName | State::Name) => {
                self.fail(at, "syntax error parsing object expecting string")
            }
            (b':', State::Colon) => {
                self.state = State::MemberValue;
                Ok(())
            }
            (_, State::Colon) => self.fail(at, "syntax error parsing object expecting ':'"),
            (b',', State::Next) => {
                self.state = match self.innermost() {
                    Some(Kind::Object) => State::Name,
                    _ => State::Element,
                };
                Ok(())
            }
            (b'}', State::Next) => self.close(at, Kind::Object),
            (b']', State::Next | State::FirstElement) => self.close(at, Kind::Array),
            (_, State::Next) => self.fail(at, "syntax error expecting ',' or the container's end"),
            (b'{', _) => self.open(at, Kind::Object),
            (b'[', _) => self.open(at, Kind::Array),
            (_, State::Start) => self.fail(at, "syntax error at beginning of input"),
            (b'"', _) => {
                self.begin_string(at, false);
                Ok(())
            }
            (b'-' | b'0'..=b'9', _) => {
                self.lexeme = Lexeme::Number { start: at };
                Ok(())
            }
            (b'a'..=b'z', _) => {
                self.lexeme = Lexeme::Keyword { start: at };
                Ok(())
            }
            _ => self.fail(at, "syntax error expecting value"),
        }
    }

    fn begin_string(&mut self, quote: usize, is_name: bool) {
        self.lexeme = Lexeme::String(OpenString {
            start: quote + 1,
            escaped: false,
            after_backslash: false,
            is_name,
        });
    }

    fn innermost(&self) -> Option<Kind> {
        let index = *self.open.last()?;
        Some(self.tokens[index as usize].kind)
    }

    fn open(&mut self, at: usize, kind: Kind) -> Result<(), SyntaxError> {
        if self.open.len() == MAX_DEPTH {
            return self.fail(at, "input exceeds maximum nesting depth 1000");
        }
        let index = self.tokens.len() as u32;
        self.value(kind, at, at, false);
        self.open.push(index);
        self.state = match kind {
            Kind::Object => State::FirstName,
            _ => State::FirstElement,
        };
        Ok(())
    }

    fn close(&mut self, at: usize, kind: Kind) -> Result<(), SyntaxError> {
        match self.open.pop() {
            Some(index) if self.tokens[index as usize].kind == kind => {
                let next = self.tokens.len() as u32;
                let token = &mut self.tokens[index as usize];
                token.end = at as u32 + 1;
                token.next = next;
            }
            _ => return self.fail(at, "syntax error: the wrong kind of bracket closes here"),
        }
        self.state = if self.open.is_empty() {
            State::Done
        } else {
            State::Next
        };
        Ok(())
    }

    /// Adds a value to the index and to its container's count.
    fn value(&mut self, kind: Kind, start: usize, end: usize, escaped: bool) {
        if let Some(&container) = self.open.last() {
            self.tokens[container as usize].count += 1;
        }
        self.push(kind, start, end, escaped);
        self.state = State::Next;
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize, escaped: bool) {
        let next = self.tokens.len() as u32 + 1;
        self.tokens.push(Token {
            start: start as u32,
            end: end as u32,
            next,
            count: 0,
            kind,
            escaped,
        });
    }

    fn string(&mut self, text: &[u8], mut string: OpenString) -> Result<(), SyntaxError> {
        if std::mem::take(&mut string.after_backslash) {
            self.position += 1;
        }
        loop {
            let rest = &text[self.position..];
            let Some(found) = rest
                .iter()
                .position(|&b| b == b'"' || b == b'\\' || b < 0x20)
            else {
                self.position = text.len();
                self.lexeme = Lexeme::String(string);
                return Ok(());
            };
            let at = self.position + found;
            match text[at] {
                b'"' => {
                    self.position = at + 1;
                    return self.end_string(text, string, at);
                }
                b'\\' => {
                    string.escaped = true;
                    if at + 1 == text.len() {
                        string.after_backslash = true;
                        self.position = at + 1;
                        self.lexeme = Lexeme::String(string);
                        return Ok(());
                    }
                    self.position = at + 2;
                }
                _ => return self.fail(at, "control character in quoted string"),
            }
        }
    }

    fn end_string(
        &mut self,
        text: &[u8],
        string: OpenString,
        end: usize,
    ) -> Result<(), SyntaxError> {
        let OpenString {
            start,
            escaped,
            is_name,
            ..
        } = string;
        let raw = &text[start..end];
        let Ok(raw) = std::str::from_utf8(raw) else {
            return self.fail(start, "quoted string is not UTF-8");
        };
        if escaped && let Err(reason) = super::string::check_escapes(raw) {
            return self.fail(start, reason);
        }
        self.lexeme = Lexeme::None;
        if is_name {
            self.push(Kind::String, start, end, escaped);
            self.state = State::Colon;
        } else {
            self.value(Kind::String, start, end, escaped);
        }
        Ok(())
    }

    fn number(&mut self, text: &[u8], start: usize) -> Result<(), SyntaxError> {
        let rest = &text[self.position..];
        let is_number = |b: &u8| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'-' | b'+');
        let Some(length) = rest.iter().position(|b| !is_number(b)) else {
            self.position = text.len();
            return Ok(());
        };
        let end = self.position + length;
        self.position = end;
        self.lexeme = Lexeme::None;
        match number::parse(&text[start..end]) {
            Ok(number::Number::Integer(_)) => self.value(Kind::Integer, start, end, false),
            Ok(number::Number::Real(_)) => self.value(Kind::Real, start, end, false),
            Err(reason) => return self.fail(start, reason),
        }
        Ok(())
    }

    fn keyword(&mut self, text: &[u8], start: usize) -> Result<(), SyntaxError> {
        let rest = &text[self.position..];
        let Some(length) = rest.iter().position(|b| !b.is_ascii_alphabetic()) else {
            self.position = text.len();
            // The longest keyword has five letters: what is longer needs no further bytes.
            if self.position - start > 5 {
                return self.fail(start, "invalid keyword");
            }
            return Ok(());
        };
        let end = self.position + length;
        self.position = end;
        self.lexeme = Lexeme::None;
        let kind = match &text[start..end] {
            b"null" => Kind::Null,
            b"false" => Kind::False,
            b"true" => Kind::True,
            _ => return self.fail(start, "invalid keyword"),
        };
        self.value(kind, start, end, false);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Document;
    use proptest::prelude::*;

    fn scan_in_pieces(text: &[u8], piece: usize) -> Result<Option<usize>, SyntaxError> {
        let mut scanner = Scanner::new();
        let mut end = piece.min(text.len());
        loop {
            if let Some(length) = scanner.scan(&text[..end])? {
                return Ok(Some(length));
            }
            if end == text.len() {
                return Ok(None);
            }
            end = (end + piece).min(text.len());
        }
    }

    #[test]
    fn a_text_ends_at_its_last_bracket() {
        for piece in 1..20 {
            let text = br#" {"a\"b":[1,-2.5e3,true,null,"x\u0041"]} [next"#;
            assert_eq!(scan_in_pieces(text, piece), Ok(Some(40)), "piece {piece}");
        }
    }

    #[test]
    fn what_is_not_json_is_said_with_its_place() {
        for (text, offset) in [
            (&b"x"[..], 0),
            (b"[1,]", 3),
            (b"[1}", 2),
            (b"{\"a\" 1}", 5),
            (b"{1:2}", 1),
            (b"[01]", 1),
            (b"[1e999]", 1),
            (b"[\"\x01\"]", 2),
            (b"[\"\\u00\"]", 2),
            (b"[\"\\u0000\"]", 2),
            (b"[\"\xff\"]", 2),
            (b"[nul]", 1),
            (b"\"text\"", 0),
        ] {
            for piece in [1, 2, 100] {
                let error = scan_in_pieces(text, piece).expect_err("not JSON");
                assert_eq!(error.offset, offset, "{:?}", String::from_utf8_lossy(text));
            }
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
        assert_eq!(scan_in_pieces(&deep(1000), 4096), Ok(Some(2000)));
        assert_eq!(
            scan_in_pieces(&deep(10_000), 4096).map_err(|e| e.offset),
            Err(1000)
        );
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in r#"[\[\]{}:,"\\ea1.0 -]{0,24}"#, piece in 1usize..5) {
            let text = text.as_bytes();
            prop_assert_eq!(scan_in_pieces(text, piece), scan_in_pieces(text, text.len().max(1)));
        }

        #[test]
        fn random_bytes_never_panic(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Document::parse(&text);
        }
    }
}
