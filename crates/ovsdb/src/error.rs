//! Errors as OVSDB answers them (RFC 7047 section 3.1, `<error>`).

use crate::json::{Json, write};

/// The short string in an error's `error` member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Tag {
    /// The request cannot be understood.
    #[error("syntax error")]
    SyntaxError,
    /// A value or the result of the transaction breaks a rule of the schema.
    #[error("constraint violation")]
    ConstraintViolation,
    /// A strong reference would dangle.
    #[error("referential integrity violation")]
    ReferentialIntegrityViolation,
    /// Two inserts of one transaction have the same `uuid-name`.
    #[error("duplicate uuid-name")]
    DuplicateUuidName,
    /// An insert's `uuid` is taken.
    #[error("duplicate uuid")]
    DuplicateUuid,
    /// No such column.
    #[error("unknown column")]
    UnknownColumn,
    /// No such table (in a file).
    #[error("unknown table")]
    UnknownTable,
    /// No such condition function.
    #[error("unknown function")]
    UnknownFunction,
    /// No such mutator.
    #[error("unknown mutator")]
    UnknownMutator,
    /// No such database.
    #[error("unknown database")]
    UnknownDatabase,
    /// The database has no contents yet.
    #[error("database not available")]
    DatabaseNotAvailable,
    /// Division by zero.
    #[error("domain error")]
    DomainError,
    /// The result of arithmetic does not fit.
    #[error("range error")]
    RangeError,
    /// A `wait` did not come true in time.
    #[error("timed out")]
    TimedOut,
    /// The transaction asked for it.
    #[error("aborted")]
    Aborted,
    /// An asserted lock is not held.
    #[error("not owner")]
    NotOwner,
    /// A write where only reads are allowed.
    #[error("not allowed")]
    NotAllowed,
    /// The request was canceled.
    #[error("canceled")]
    Canceled,
    /// Parameters that do not fit the database.
    #[error("invalid parameters")]
    InvalidParameters,
    /// The role may not do this.
    #[error("permission error")]
    PermissionError,
    /// The log could not be written.
    #[error("I/O error")]
    IoError,
    /// A limit of this server.
    #[error("resources exhausted")]
    ResourcesExhausted,
    /// Any other.
    #[error("ovsdb error")]
    OvsdbError,
}

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
        member("error", &self.tag.to_string());
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
