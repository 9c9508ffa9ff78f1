//! A value as OVSDB's error texts quote it: no white space, members sorted, numbers and strings
//! in one notation.

use std::borrow::Cow;

use super::number::Number;
use super::value::{Json, Kind};
use super::write;

impl<'a> Json<'a> {
    /// The members sorted by name; of duplicates, the last one.
    pub fn sorted_members(self) -> Vec<(Cow<'a, str>, Json<'a>)> {
        let mut members: Vec<_> = self
            .members()
            .map(|(name, value)| (name.string().unwrap_or_default(), value))
            .collect();
        members.reverse();
        members.sort_by(|a, b| a.0.cmp(&b.0));
        members.dedup_by(|a, b| a.0 == b.0);
        members
    }

    /// The canonical text: equal values, and only they, have equal ones.
    pub fn canonical(self) -> String {
        let mut out = Vec::with_capacity(self.source().len());
        append(self, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }
}

/// Recursion is as deep as the text's nesting, which the scanner bounds.
fn append(json: Json<'_>, out: &mut Vec<u8>) {
    match json.kind() {
        Kind::Null => out.extend_from_slice(b"null"),
        Kind::False => out.extend_from_slice(b"false"),
        Kind::True => out.extend_from_slice(b"true"),
        Kind::Integer | Kind::Real => match json.number() {
            Some(Number::Integer(integer)) => write::integer(out, integer),
            Some(Number::Real(real)) => write::real(out, real),
            None => {}
        },
        Kind::String => write::string(out, &json.string().unwrap_or_default()),
        Kind::Array => {
            out.push(b'[');
            for (i, element) in json.elements().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                append(element, out);
            }
            out.push(b']');
        }
        Kind::Object => {
            out.push(b'{');
            for (i, (name, value)) in json.sorted_members().into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write::string(out, &name);
                out.push(b':');
                append(value, out);
            }
            out.push(b'}');
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::json::Document;

    #[test]
    fn equal_values_have_one_text() {
        let text = r#" { "b" : [ 1.0 , 2.50 , "A\/" ] , "a" : null , "b" : [ -0 ] , "c" : { } } "#;
        let document = Document::parse(text).expect("JSON");
        assert_eq!(document.root().canonical(), r#"{"a":null,"b":[0],"c":{}}"#);
    }
}
