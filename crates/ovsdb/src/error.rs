//! Errors as OVSDB answers them (RFC 7047 section 3.1, `<error>`).

use crate::json::{Json, write};

/// The short string in an error's `error` member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// The request cannot be understood.
    SyntaxError,
    /// A value or the result of the transaction breaks a rule of the schema.
    ConstraintViolation,
    /// A strong reference would dangle.
    ReferentialIntegrityViolation,
    /// Two inserts of one transaction have the same `uuid-name`.
    DuplicateUuidName,
    /// An insert's `uuid` is taken.
    DuplicateUuid,
    /// No such column.
    UnknownColumn,
    /// No such table (in a file).
    UnknownTable,
    /// No such condition function.
    UnknownFunction,
    /// No such mutator.
    UnknownMutator,
    /// No such database.
    UnknownDatabase,
    /// The database has no contents yet.
    DatabaseNotAvailable,
    /// Division by zero.
    DomainError,
    /// The result of arithmetic does not fit.
    RangeError,
    /// A `wait` did not come true in time.
    TimedOut,
    /// The transaction asked for it.
    Aborted,
    /// An asserted lock is not held.
    NotOwner,
    /// A write where only reads are allowed.
    NotAllowed,
    /// The request was canceled.
    Canceled,
    /// Parameters that do not fit the database.
    InvalidParameters,
    /// The role may not do this.
    PermissionError,
    /// The log could not be written.
    IoError,
    /// A limit of this server.
    ResourcesExhausted,
    /// Any other.
    OvsdbError,
}

impl Tag {
    /// All of them, in their order.
    pub const ALL: [Tag; 23] = [
        Tag::SyntaxError,
        Tag::ConstraintViolation,
        Tag::ReferentialIntegrityViolation,
        Tag::DuplicateUuidName,
        Tag::DuplicateUuid,
        Tag::UnknownColumn,
        Tag::UnknownTable,
        Tag::UnknownFunction,
        Tag::UnknownMutator,
        Tag::UnknownDatabase,
        Tag::DatabaseNotAvailable,
        Tag::DomainError,
        Tag::RangeError,
        Tag::TimedOut,
        Tag::Aborted,
        Tag::NotOwner,
        Tag::NotAllowed,
        Tag::Canceled,
        Tag::InvalidParameters,
        Tag::PermissionError,
        Tag::IoError,
        Tag::ResourcesExhausted,
        Tag::OvsdbError,
    ];

    /// The string.
    pub const fn name(self) -> &'static str {
        match self {
            Tag::SyntaxError => "syntax error",
            Tag::ConstraintViolation => "constraint violation",
            Tag::ReferentialIntegrityViolation => "referential integrity violation",
            Tag::DuplicateUuidName => "duplicate uuid-name",
            Tag::DuplicateUuid => "duplicate uuid",
            Tag::UnknownColumn => "unknown column",
            Tag::UnknownTable => "unknown table",
            Tag::UnknownFunction => "unknown function",
            Tag::UnknownMutator => "unknown mutator",
            Tag::UnknownDatabase => "unknown database",
            Tag::DatabaseNotAvailable => "database not available",
            Tag::DomainError => "domain error",
            Tag::RangeError => "range error",
            Tag::TimedOut => "timed out",
            Tag::Aborted => "aborted",
            Tag::NotOwner => "not owner",
            Tag::NotAllowed => "not allowed",
            Tag::Canceled => "canceled",
            Tag::InvalidParameters => "invalid parameters",
            Tag::PermissionError => "permission error",
            Tag::IoError => "I/O error",
            Tag::ResourcesExhausted => "resources exhausted",
            Tag::OvsdbError => "ovsdb error",
        }
    }

    /// The one with this string.
    pub fn from_name(name: &str) -> Option<Tag> {
        Tag::ALL.into_iter().find(|tag| tag.name() == name)
    }
}

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for Tag {}

/// An error with all that its JSON object says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{tag}{}{}", quoted(.syntax), after(.details), in_brackets(.io_error))]
pub struct Error {
    /// The `error` member.
    pub tag: Tag,
    /// The `details` member.
    pub details: Option<String>,
    /// The `syntax` member: the canonical text of the JSON that is wrong.
    pub syntax: Option<String>,
    /// The `io-error` member: the operating system's text.
    pub io_error: Option<String>,
}

fn quoted(syntax: &Option<String>) -> String {
    syntax
        .as_ref()
        .map_or_else(String::new, |s| format!("syntax \"{s}\": "))
}

fn after(details: &Option<String>) -> String {
    details
        .as_ref()
        .map_or_else(String::new, |d| format!(": {d}"))
}

fn in_brackets(io_error: &Option<String>) -> String {
    io_error
        .as_ref()
        .map_or_else(String::new, |e| format!(" ({e})"))
}

impl Error {
    /// An error that quotes no JSON.
    pub fn new(tag: Tag, details: impl Into<String>) -> Self {
        Error {
            tag,
            details: Some(details.into()),
            syntax: None,
            io_error: None,
        }
    }

    /// An error of any tag that quotes the JSON it is about.
    pub fn about(json: Json<'_>, tag: Tag, details: impl Into<String>) -> Self {
        Error {
            syntax: Some(json.canonical()),
            ..Error::new(tag, details)
        }
    }

    /// A syntax error in `json`.
    pub fn syntax(json: Json<'_>, details: impl Into<String>) -> Self {
        Error::about(json, Tag::SyntaxError, details)
    }

    /// A "constraint violation".
    pub fn constraint(details: impl Into<String>) -> Self {
        Error::new(Tag::ConstraintViolation, details)
    }

    /// Appends the error as a JSON object.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let mut separator = b'{';
        let mut member = |name: &str, value: &str| {
            out.push(separator);
            separator = b',';
            write::string(out, name);
            out.push(b':');
            write::string(out, value);
        };
        if let Some(details) = &self.details {
            member("details", details);
        }
        member("error", self.tag.name());
        if let Some(io_error) = &self.io_error {
            member("io-error", io_error);
        }
        if let Some(syntax) = &self.syntax {
            member("syntax", syntax);
        }
        out.push(b'}');
    }

    /// The error as the text of a JSON object.
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.write_json(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Document;

    #[test]
    fn each_tag_has_its_place_and_its_name() {
        for (place, tag) in Tag::ALL.into_iter().enumerate() {
            assert_eq!(tag as usize, place);
            assert_eq!(Tag::from_name(tag.name()), Some(tag));
        }
        assert_eq!(Tag::from_name("no error"), None);
    }

    #[test]
    fn an_error_is_a_json_object_and_a_line() {
        let document = Document::parse("[1, 2]").expect("JSON");
        let error = Error::syntax(document.root(), "no \"good\"");
        assert_eq!(
            error.to_json(),
            r#"{"details":"no \"good\"","error":"syntax error","syntax":"[1,2]"}"#
        );
        assert_eq!(
            error.to_string(),
            r#"syntax "[1,2]": syntax error: no "good""#
        );
    }
}
