//! Appending JSON to a buffer, as the reference prints it.

use uuid::Uuid;

use super::number;

/// Appends an integer.
pub fn integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a real with 15 significant digits, as on the wire.
pub fn real(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(number::format_real(value).as_bytes());
}

/// Appends a real so that reading gives the same value back, as in files.
pub fn real_exactly(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(number::format_real_exactly(value).as_bytes());
}

/// Appends `true` or `false`.
pub fn boolean(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Appends a quoted string.
pub fn string(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    let bytes = value.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// Appends a UUID as a quoted string.
pub fn uuid(out: &mut Vec<u8>, value: &Uuid) {
    let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
    out.push(b'"');
    out.extend_from_slice(value.hyphenated().encode_lower(&mut buffer).as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Document;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn strings_read_back(value in "[^\u{0}]{0,40}") {
            let mut out = b"[".to_vec();
            string(&mut out, &value);
            out.push(b']');
            let document = Document::parse(out).expect("JSON");
            let back = document.root().element(0).and_then(|v| v.string().map(|s| s.into_owned()));
            prop_assert_eq!(back, Some(value));
        }
    }
}
