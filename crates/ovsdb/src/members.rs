//! Reading a JSON object of which every member must be known (the reference's strictness).

use std::cell::{Cell, RefCell};
use std::fmt::Display;

use smallvec::SmallVec;

use crate::error::Error;
use crate::json::{Json, Kind};

/// Which kinds of value a member may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u16);

impl Kinds {
    /// A string.
    pub const STRING: Kinds = Kinds(1 << Kind::String as u16);
    /// `true` or `false`.
    pub const BOOLEAN: Kinds = Kinds(1 << Kind::True as u16 | 1 << Kind::False as u16);
    /// An integer.
    pub const INTEGER: Kinds = Kinds(1 << Kind::Integer as u16);
    /// Any number.
    pub const NUMBER: Kinds = Kinds(1 << Kind::Integer as u16 | 1 << Kind::Real as u16);
    /// An array.
    pub const ARRAY: Kinds = Kinds(1 << Kind::Array as u16);
    /// An object.
    pub const OBJECT: Kinds = Kinds(1 << Kind::Object as u16);
    /// Anything.
    pub const ANY: Kinds = Kinds(0xff);
    /// A string that is an `<id>` of RFC 7047 section 3.1.
    pub const ID: Kinds = Kinds(1 << 8);

    /// Either of two.
    pub const fn or(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    fn allow(self, json: Json<'_>) -> bool {
        self.0 & 1 << json.kind() as u16 != 0
            || self.0 & Kinds::ID.0 != 0 && json.string().is_some_and(|s| is_id(&s))
    }
}

/// True if `text` is an `<id>`: letters, digits and underscores, not beginning with a digit.
pub fn is_id(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// An object being read. The first error wins; [`Members::finish`] gives it, or an error for
/// members that nobody asked for.
pub struct Members<'a> {
    json: Json<'a>,
    what: &'a dyn Display,
    asked: RefCell<SmallVec<[&'static str; 8]>>,
    error: RefCell<Option<Error>>,
    present: Cell<usize>,
}

impl<'a> Members<'a> {
    /// Begins to read `json`; `what` names it in error texts.
    pub fn new(json: Json<'a>, what: &'a dyn Display) -> Self {
        let members = Members {
            json,
            what,
            asked: RefCell::default(),
            error: RefCell::default(),
            present: Cell::new(0),
        };
        if json.kind() != Kind::Object {
            // The reference does not quote what is no object at all.
            let details = format!("Parsing {} failed: Object expected.", members.what);
            *members.error.borrow_mut() = Some(Error::new(crate::Tag::SyntaxError, details));
        }
        members
    }

    /// The member, which may be missing.
    pub fn optional(&self, name: &'static str, kinds: Kinds) -> Option<Json<'a>> {
        self.asked.borrow_mut().push(name);
        let value = self.json.member(name)?;
        self.present.set(self.present.get() + 1);
        if kinds.allow(value) {
            return Some(value);
        }
        self.fail(format!("Type mismatch for member '{name}'."));
        None
    }

    /// The member; an error is noted if it is missing.
    pub fn required(&self, name: &'static str, kinds: Kinds) -> Option<Json<'a>> {
        let value = self.optional(name, kinds);
        if value.is_none() && self.json.kind() == Kind::Object {
            self.fail(format!("Required '{name}' member is missing."));
        }
        value
    }

    /// Notes an error unless there is one already.
    pub fn fail(&self, message: String) {
        let mut error = self.error.borrow_mut();
        if error.is_none() {
            let details = format!("Parsing {} failed: {message}", self.what);
            *error = Some(Error::syntax(self.json, details));
        }
    }

    /// The error noted so far.
    pub fn check(&self) -> Result<(), Error> {
        match &*self.error.borrow() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// The object that is read.
    pub fn json(&self) -> Json<'a> {
        self.json
    }

    /// Checks that there was no error and that every member was asked for.
    pub fn finish(self) -> Result<(), Error> {
        self.check()?;
        if self.present.get() == self.json.len() {
            return Ok(());
        }
        let asked = self.asked.borrow();
        let mut unknown: Vec<_> = self
            .json
            .members()
            .filter_map(|(name, _)| name.string())
            .filter(|name| !asked.iter().any(|a| a == name))
            .collect();
        unknown.sort();
        unknown.dedup();
        match unknown.as_slice() {
            [] => {}
            [name] => self.fail(format!("Member '{name}' is present but not allowed here.")),
            [name, others @ ..] => self.fail(format!(
                "Member '{name}' and {} other member{} are present but not allowed here.",
                others.len(),
                if others.len() > 1 { "s" } else { "" },
            )),
        }
        drop(asked);
        self.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Document;

    fn read(text: &str) -> Result<(), String> {
        let document = Document::parse(text).expect("JSON");
        let members = Members::new(document.root(), &"test");
        members.required("a", Kinds::INTEGER);
        members.optional("b", Kinds::ID.or(Kinds::ARRAY));
        members.finish().map_err(|e| e.details.unwrap_or_default())
    }

    #[test]
    fn members_are_checked() {
        assert_eq!(read(r#"{"a":1}"#), Ok(()));
        assert_eq!(read(r#"{"a":1,"b":"x_1"}"#), Ok(()));
        for (text, details) in [
            ("[]", "Object expected."),
            ("{}", "Required 'a' member is missing."),
            (r#"{"a":"x"}"#, "Type mismatch for member 'a'."),
            (r#"{"a":1,"b":"1x"}"#, "Type mismatch for member 'b'."),
            (
                r#"{"a":1,"c":1}"#,
                "Member 'c' is present but not allowed here.",
            ),
            (
                r#"{"a":1,"c":1,"d":1}"#,
                "Member 'c' and 1 other member are present but not allowed here.",
            ),
            (
                r#"{"a":1,"c":1,"d":1,"e":1}"#,
                "Member 'c' and 2 other members are present but not allowed here.",
            ),
        ] {
            assert_eq!(read(text), Err(format!("Parsing test failed: {details}")));
        }
    }
}
