//! Errors by their kind.

use memchr::memmem;
use ovsdb::Tag;
use ovsdb::json::{Document, Json};
use ovsdb_counters::Kind;

/// The kind of an error that a client was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// One of OVSDB's.
    Ovsdb(Tag),
    /// Another string: an unknown method, an unknown monitor.
    Other,
}

const COUNT: usize = Tag::ALL.len() + 1;

const ALL: [ErrorKind; COUNT] = {
    let mut all = [ErrorKind::Other; COUNT];
    let mut place = 0;
    while place < Tag::ALL.len() {
        all[place] = ErrorKind::Ovsdb(Tag::ALL[place]);
        place += 1;
    }
    all
};

impl Kind for ErrorKind {
    const ALL: &'static [ErrorKind] = &ALL;

    fn place(self) -> usize {
        match self {
            ErrorKind::Ovsdb(tag) => tag as usize,
            ErrorKind::Other => COUNT - 1,
        }
    }

    fn name(self) -> &'static str {
        match self {
            ErrorKind::Ovsdb(tag) => tag.name(),
            ErrorKind::Other => "other",
        }
    }
}

/// The error among a transaction's results, if it has failed.
///
/// Results come from other servers, too, so their text is asked. Within a string a quote has a
/// backslash before it: where these bytes are, there is a member of that name, mostly an error's.
pub(crate) fn error_of(results: &[u8]) -> Option<ErrorKind> {
    memmem::find(results, br#""error":""#)?;
    let document = Document::parse(results).ok()?;
    let error = document
        .root()
        .elements()
        .find_map(|result| result.member("error").and_then(Json::string))?;
    // A row that was selected may have a column of that name; no error of this server is unknown.
    Some(Tag::from_name(&error).map_or(ErrorKind::Other, ErrorKind::Ovsdb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_stands_at_its_place() {
        for (place, kind) in ErrorKind::ALL.iter().enumerate() {
            assert_eq!(kind.place(), place, "{}", kind.name());
        }
    }

    #[test]
    fn a_failed_transaction_is_known_by_its_results() {
        let cases: [(&str, Option<ErrorKind>); 7] = [
            ("[]", None),
            (r#"[{"count":1},{}]"#, None),
            (
                r#"[{},{"details":"x \"y\"","error":"timed out"},null]"#,
                Some(ErrorKind::Ovsdb(Tag::TimedOut)),
            ),
            (
                r#"[{"count":1},{"error":"constraint violation","syntax":"z"}]"#,
                Some(ErrorKind::Ovsdb(Tag::ConstraintViolation)),
            ),
            (r#"[{"error":"not yet invented"}]"#, Some(ErrorKind::Other)),
            (r#"[{"rows":[{"a":"\"error\":\"timed out\""}]}]"#, None),
            (r#"[{"rows":[{"error":"timed out"}]}]"#, None),
        ];
        for (results, kind) in cases {
            assert_eq!(error_of(results.as_bytes()), kind, "{results}");
        }
    }
}
