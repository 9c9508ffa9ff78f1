//! Whether a command printed what the document says.

/// The first of the document's lines that is not printed, looking for each behind the one before.
/// `...` stands for anything, and spaces count as one.
pub fn missing<'a>(expected: &'a [String], printed: &str) -> Option<&'a str> {
    let mut lines = printed.lines();
    expected
        .iter()
        .find(|wanted| !lines.any(|line| fits(wanted, line)))
        .map(String::as_str)
}

fn fits(wanted: &str, line: &str) -> bool {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (wanted, line) = (plain(wanted), plain(line));
    let parts: Vec<&str> = wanted.split("...").collect();
    let [first, between @ .., last] = parts.as_slice() else {
        return wanted == line;
    };
    let Some(mut rest) = line.strip_prefix(first.trim_end()) else {
        return false;
    };
    for part in between {
        let part = part.trim();
        let Some(place) = rest.find(part) else {
            return false;
        };
        rest = &rest[place + part.len()..];
    }
    rest.ends_with(last.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_gaps() {
        for (wanted, line, expected) in [
            ("a b", "a b", true),
            ("a b", "  a   b ", true),
            ("a b", "a b c", false),
            ("...", "", true),
            ("a ...", "a", true),
            ("a ... z", "a b c z", true),
            ("a ... z", "a b c z y", false),
            ("a ... m ... z", "a b m c z", true),
            ("a ... m ... z", "a b c z", false),
            ("a ... a", "a", false),
        ] {
            assert_eq!(fits(wanted, line), expected, "{wanted} {line}");
        }
    }

    #[test]
    fn lines_come_in_order() {
        let all = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
        let printed = "one\ntwo\nthree\n";
        assert_eq!(missing(&all(&["one", "three"]), printed), None);
        assert_eq!(missing(&all(&["three", "one"]), printed), Some("one"));
        assert_eq!(missing(&[], ""), None);
    }
}
