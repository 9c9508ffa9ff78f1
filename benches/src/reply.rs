//! Is a reply the success that was asked for? Decided by searching, without building a JSON value.

use anyhow::{Result, bail};
use memchr::memmem;

/// What the result of a request has to contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// One `{"count":1}`: an update that found its one row.
    OneRowChanged,
    /// This many `"uuid"` results of inserts.
    Inserted(usize),
    /// This many rows of the table `Port`, whole ones.
    Rows(usize),
    /// Success is enough.
    Anything,
}

/// Refuses a message that is an error, holds an error at any place, or lacks what was expected; the text of the
/// message is in the error then.
pub fn check(message: &[u8], expect: Expect) -> Result<()> {
    let mut errors = memmem::find_iter(message, b"\"error\":");
    let only_null = match (errors.next(), errors.next()) {
        // A server may leave out the member that is null.
        (None, _) => memmem::find(message, b"\"result\":").is_some(),
        (Some(at), None) => message[at + 8..].trim_ascii_start().starts_with(b"null"),
        (Some(_), Some(_)) => false,
    };
    let complete = match expect {
        Expect::OneRowChanged => occurrences(message, b"\"count\":1}") == 1,
        Expect::Inserted(rows) => occurrences(message, b"{\"uuid\":[\"uuid\",") == rows,
        Expect::Rows(rows) => occurrences(message, b"\"chassis\":") == rows,
        Expect::Anything => true,
    };
    if !only_null || !complete {
        bail!("expected {expect:?}, got {}", excerpt(message));
    }
    Ok(())
}

/// The number in the member `id`. The requests of this program have numbers as ids and no column called `id`.
pub fn id(message: &[u8]) -> Result<usize> {
    number_after(message, b"\"id\":")
        .ok_or_else(|| anyhow::anyhow!("no id in {}", excerpt(message)))
}

/// The first whole number that follows `name`.
pub fn number_after(message: &[u8], name: &[u8]) -> Option<usize> {
    let at = memmem::find(message, name)? + name.len();
    let digits = message[at..].trim_ascii_start();
    let length = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    std::str::from_utf8(&digits[..length]).ok()?.parse().ok()
}

/// The beginning of a message, for people.
pub fn excerpt(message: &[u8]) -> String {
    String::from_utf8_lossy(&message[..message.len().min(600)]).into_owned()
}

fn occurrences(message: &[u8], needle: &[u8]) -> usize {
    memmem::find_iter(message, needle).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_passes() {
        check(
            br#"{"id":1,"result":[{"count":1}],"error":null}"#,
            Expect::OneRowChanged,
        )
        .unwrap();
        check(
            br#"{"id":1,"result":[{"count":1},{}],"error":null}"#,
            Expect::OneRowChanged,
        )
        .unwrap();
        check(
            br#"{"error":null,"id":1,"result":[{"uuid":["uuid","a"]}]}"#,
            Expect::Inserted(1),
        )
        .unwrap();
        check(
            br#"{"id":1,"result":[{"rows":[{"chassis":"c"}]}],"error":null}"#,
            Expect::Rows(1),
        )
        .unwrap();
        assert_eq!(id(br#"{"id": 17,"result":[],"error":null}"#).unwrap(), 17);
    }

    #[test]
    fn anything_else_is_refused() {
        let update = |text: &str| check(text.as_bytes(), Expect::OneRowChanged).is_err();
        assert!(update(r#"{"id":1,"result":[{"count":0}],"error":null}"#));
        assert!(update(r#"{"id":1,"result":[{"count":10}],"error":null}"#));
        assert!(update(
            r#"{"id":1,"result":[{"count":1},{"error":"timed out"}],"error":null}"#
        ));
        assert!(update(r#"{"id":1,"error":{"error":"unknown database"}}"#));
        assert!(update(r#"{"id":null,"method":"update3","params":[]}"#));
        assert!(
            check(
                br#"{"id":1,"result":[{"uuid":["uuid","a"]}],"error":null}"#,
                Expect::Inserted(2)
            )
            .is_err()
        );
        assert!(id(br#"{"id":null,"result":[]}"#).is_err());
    }
}
