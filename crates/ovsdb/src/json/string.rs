//! Quoted strings: checking and decoding their escapes.

use std::borrow::Cow;

/// Checks the escapes of a string's raw text (without its quotes).
pub(super) fn check_escapes(raw: &str) -> Result<(), &'static str> {
    decode(raw, |_| {}, |_| {})
}

/// The string that a raw text with correct escapes stands for.
pub(super) fn unescape(raw: &str, escaped: bool) -> Cow<'_, str> {
    if !escaped {
        return Cow::Borrowed(raw);
    }
    let out = std::cell::RefCell::new(String::with_capacity(raw.len()));
    // The scanner has checked the escapes already.
    let _ = decode(
        raw,
        |plain| out.borrow_mut().push_str(plain),
        |c| out.borrow_mut().push(c),
    );
    Cow::Owned(out.into_inner())
}

fn decode(raw: &str, plain: impl Fn(&str), special: impl Fn(char)) -> Result<(), &'static str> {
    let mut rest = raw;
    while let Some(backslash) = memchr::memchr(b'\\', rest.as_bytes()) {
        plain(&rest[..backslash]);
        rest = &rest[backslash + 1..];
        let Some(&escape) = rest.as_bytes().first() else {
            return Err("quoted string may not end with backslash");
        };
        let character = match escape {
            b'"' | b'\\' | b'/' => escape as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (character, length) = unicode(&rest.as_bytes()[1..])?;
                special(character);
                rest = &rest[1 + length..];
                continue;
            }
            _ => return Err("bad escape"),
        };
        special(character);
        rest = &rest[1..];
    }
    plain(rest);
    Ok(())
}

/// Decodes what follows `\u`; returns the character and how many bytes it took.
fn unicode(rest: &[u8]) -> Result<(char, usize), &'static str> {
    let first = four_hex(rest)?;
    if !(0xd800..0xdc00).contains(&first) {
        return match char::from_u32(first) {
            Some(character) => Ok((character, 4)),
            None => Err("unpaired surrogate in \\u escape"),
        };
    }
    if rest.get(4..6) != Some(b"\\u") {
        return Err("malformed escaped surrogate pair");
    }
    let second = four_hex(&rest[6..])?;
    if !(0xdc00..0xe000).contains(&second) {
        return Err("second half of escaped surrogate pair is not trailing surrogate");
    }
    let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    char::from_u32(code)
        .map(|character| (character, 10))
        .ok_or("malformed escaped surrogate pair")
}

fn four_hex(rest: &[u8]) -> Result<u32, &'static str> {
    let digits = rest
        .get(..4)
        .ok_or("quoted string ends within \\u escape")?;
    let mut value = 0;
    for &digit in digits {
        let digit = (digit as char).to_digit(16).ok_or("malformed \\u escape")?;
        value = value * 16 + digit;
    }
    if value == 0 {
        return Err("null bytes not supported in quoted strings");
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded() {
        let raw = r#"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00z"#;
        assert_eq!(check_escapes(raw), Ok(()));
        assert_eq!(
            unescape(raw, true),
            "a\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}z"
        );
    }

    #[test]
    fn wrong_escapes_are_refused() {
        for raw in [
            r"\x",
            r"\u12",
            r"\u12g4",
            r"\u0000",
            r"\ud83d",
            r"\ud83dab\u1234",
            r"\ud83d\u0041",
            r"\ude00",
        ] {
            assert!(check_escapes(raw).is_err(), "{raw}");
        }
    }
}
