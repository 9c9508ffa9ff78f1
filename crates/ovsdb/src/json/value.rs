//! A checked JSON text and cursors into it.

use std::borrow::Cow;

use super::number::{self, Number};
use super::scan::{Scanner, SyntaxError};
use super::string;

/// What a JSON value is. Integers and reals are told apart by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `false`
    False,
    /// `true`
    True,
    /// A number that is exactly a 64-bit integer.
    Integer,
    /// Any other number.
    Real,
    /// A quoted string.
    String,
    /// `[...]`
    Array,
    /// `{...}`
    Object,
}

impl Kind {
    /// The name that OVSDB's error texts use.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::False => "false",
            Kind::True => "true",
            Kind::Integer | Kind::Real => "number",
            Kind::String => "string",
            Kind::Array => "array",
            Kind::Object => "object",
        }
    }
}

/// One value (or member's name) of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    /// A container's bracket, a number's first digit, a string's first byte behind the quote.
    pub(super) start: u32,
    /// Behind the last byte; for a string, its closing quote.
    pub(super) end: u32,
    /// Index of the first token behind this value and all that it contains.
    pub(super) next: u32,
    /// How many values a container has.
    pub(super) count: u32,
    pub(super) kind: Kind,
    /// A string with escapes in it.
    pub(super) escaped: bool,
}

/// One JSON text, checked and indexed. `T` holds the bytes (a slice, a vector, shared bytes).
#[derive(Debug, Clone)]
pub struct Document<T> {
    text: T,
    tokens: Vec<Token>,
}

impl<T: AsRef<[u8]>> Document<T> {
    /// A document from the text that `scanner` has just found the end of; the scanner is ready
    /// for the next text afterwards. None if `scanner` is not at the end of a text of this length.
    pub fn from_scanned(scanner: &mut Scanner, text: T) -> Option<Self> {
        if scanner.scan(text.as_ref()) != Ok(Some(text.as_ref().len())) {
            return None;
        }
        Some(Document {
            tokens: scanner.take_tokens(),
            text,
        })
    }

    /// Parses a text that holds one value, an array or object, and white space.
    pub fn parse(text: T) -> Result<Self, SyntaxError> {
        let mut scanner = Scanner::new();
        let bytes = text.as_ref();
        let Some(length) = scanner.scan(bytes)? else {
            return Err(SyntaxError {
                offset: bytes.len(),
                reason: "unexpected end of input",
            });
        };
        if let Some(behind) = bytes[length..]
            .iter()
            .position(|b| !b.is_ascii_whitespace())
        {
            return Err(SyntaxError {
                offset: length + behind,
                reason: "trailing garbage at end of input",
            });
        }
        Ok(Document {
            tokens: scanner.take_tokens(),
            text,
        })
    }

    /// The text's value.
    pub fn root(&self) -> Json<'_> {
        Json {
            text: self.text.as_ref(),
            tokens: &self.tokens,
            index: 0,
        }
    }

    /// Rough memory that the document holds, in bytes.
    pub fn memory(&self) -> usize {
        self.text.as_ref().len() + self.tokens.len() * size_of::<Token>()
    }

    /// The value at a place remembered by [`Json::place`].
    pub fn at(&self, place: u32) -> Json<'_> {
        Json {
            index: place,
            ..self.root()
        }
    }
}

/// A value in a [`Document`].
#[derive(Clone, Copy)]
pub struct Json<'a> {
    text: &'a [u8],
    tokens: &'a [Token],
    index: u32,
}

impl std::fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.canonical())
    }
}

impl<'a> Json<'a> {
    fn token(self) -> Token {
        self.tokens[self.index as usize]
    }

    fn raw(self) -> &'a [u8] {
        let token = self.token();
        &self.text[token.start as usize..token.end as usize]
    }

    /// Where the value is in its document, for [`Document::at`].
    pub fn place(self) -> u32 {
        self.index
    }

    /// What the value is.
    pub fn kind(self) -> Kind {
        self.token().kind
    }

    /// The value's bytes in the text, quotes included.
    pub fn source(self) -> &'a [u8] {
        let token = self.token();
        let quote = u32::from(token.kind == Kind::String);
        &self.text[(token.start - quote) as usize..(token.end + quote) as usize]
    }

    /// The string, if it is one.
    pub fn string(self) -> Option<Cow<'a, str>> {
        let token = self.token();
        if token.kind != Kind::String {
            return None;
        }
        // The scanner has checked that it is UTF-8.
        let raw = std::str::from_utf8(self.raw()).ok()?;
        Some(string::unescape(raw, token.escaped))
    }

    /// True if it is this string.
    pub fn is_string(self, expected: &str) -> bool {
        let token = self.token();
        if token.kind != Kind::String {
            return false;
        }
        if !token.escaped {
            return self.raw() == expected.as_bytes();
        }
        self.string().is_some_and(|s| s == expected)
    }

    /// The number, if it is one.
    pub fn number(self) -> Option<Number> {
        match self.kind() {
            Kind::Integer | Kind::Real => number::parse(self.raw()).ok(),
            _ => None,
        }
    }

    /// The integer, if it is one.
    pub fn integer(self) -> Option<i64> {
        match self.number()? {
            Number::Integer(integer) => Some(integer),
            Number::Real(_) => None,
        }
    }

    /// The boolean, if it is one.
    pub fn boolean(self) -> Option<bool> {
        match self.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    /// How many elements or members (duplicates counted) it has.
    pub fn len(self) -> usize {
        self.token().count as usize
    }

    /// True if it has no elements or members.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The elements, if it is an array; nothing otherwise.
    pub fn elements(self) -> Elements<'a> {
        let remaining = match self.kind() {
            Kind::Array => self.len(),
            _ => 0,
        };
        Elements {
            next: self.at(self.index + 1),
            remaining,
        }
    }

    /// The element at a place in an array.
    pub fn element(self, place: usize) -> Option<Json<'a>> {
        self.elements().nth(place)
    }

    /// The members in the order of the text, duplicates included, if it is an object.
    pub fn members(self) -> Members<'a> {
        let remaining = match self.kind() {
            Kind::Object => self.len(),
            _ => 0,
        };
        Members {
            next: self.at(self.index + 1),
            remaining,
        }
    }

    /// The member of a name; the last one, should there be several.
    pub fn member(self, name: &str) -> Option<Json<'a>> {
        let mut found = None;
        for (key, value) in self.members() {
            if key.is_string(name) {
                found = Some(value);
            }
        }
        found
    }

    fn at(self, index: u32) -> Json<'a> {
        Json { index, ..self }
    }
}

/// The elements of an array.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    next: Json<'a>,
    remaining: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Json<'a>> {
        self.remaining = self.remaining.checked_sub(1)?;
        let element = self.next;
        self.next = element.at(element.token().next);
        Some(element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for Elements<'_> {}

/// The members of an object: name (always a string) and value.
#[derive(Debug, Clone)]
pub struct Members<'a> {
    next: Json<'a>,
    remaining: usize,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Json<'a>, Json<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.remaining = self.remaining.checked_sub(1)?;
        let name = self.next;
        let value = name.at(name.index + 1);
        self.next = value.at(value.token().next);
        Some((name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for Members<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_in_place() {
        let text = r#"{"a":[1,2.5,"x\n",{"b":null}],"c":true,"a":{"d":[]}}"#;
        let document = Document::parse(text).expect("JSON");
        let root = document.root();
        assert_eq!(root.len(), 3);
        assert_eq!(root.member("c").and_then(Json::boolean), Some(true));
        let last = root.member("a").expect("member");
        assert_eq!(last.kind(), Kind::Object);
        let (_, first) = root.members().next().expect("member");
        assert_eq!(first.elements().len(), 4);
        assert_eq!(first.element(0).and_then(Json::integer), Some(1));
        assert_eq!(
            first.element(1).and_then(Json::number),
            Some(Number::Real(2.5))
        );
        assert_eq!(
            first.element(2).and_then(Json::string).as_deref(),
            Some("x\n")
        );
        assert_eq!(first.element(2).map(Json::source), Some(&br#""x\n""#[..]));
        assert_eq!(
            first.element(3).and_then(|v| v.member("b")).map(Json::kind),
            Some(Kind::Null)
        );
        assert!(first.element(4).is_none());
    }

    #[test]
    fn what_follows_a_text_is_garbage() {
        assert!(Document::parse("[] \n").is_ok());
        assert!(Document::parse("[] x").is_err());
        assert!(Document::parse("[").is_err());
        assert!(Document::parse("").is_err());
    }
}
