//! Atoms: the values that sets and maps are made of (RFC 7047 section 3.1, `<atomic-type>`).

use std::cmp::Ordering;

use smol_str::SmolStr;
use uuid::Uuid;

use crate::column_type::BaseType;
use crate::error::Error;
use crate::json::{self, Json, Kind, Number, write};
use crate::names::Names;

/// The type of an atom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AtomicType {
    /// A 64-bit signed integer.
    Integer,
    /// A finite double.
    Real,
    /// True or false.
    Boolean,
    /// UTF-8 text without NUL.
    String,
    /// A UUID; with a `refTable`, a reference to a row.
    Uuid,
}

impl AtomicType {
    /// The type of a name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "integer" => AtomicType::Integer,
            "real" => AtomicType::Real,
            "boolean" => AtomicType::Boolean,
            "string" => AtomicType::String,
            "uuid" => AtomicType::Uuid,
            _ => return None,
        })
    }

    /// The type's name in schemas.
    pub fn name(self) -> &'static str {
        match self {
            AtomicType::Integer => "integer",
            AtomicType::Real => "real",
            AtomicType::Boolean => "boolean",
            AtomicType::String => "string",
            AtomicType::Uuid => "uuid",
        }
    }

    /// The value of columns that nobody has set.
    pub fn default_atom(self) -> Atom {
        match self {
            AtomicType::Integer => Atom::Integer(0),
            AtomicType::Real => Atom::Real(0.0),
            AtomicType::Boolean => Atom::Boolean(false),
            AtomicType::String => Atom::String(SmolStr::default()),
            AtomicType::Uuid => Atom::Uuid(Uuid::nil()),
        }
    }
}

/// An atom.
#[derive(Debug, Clone)]
pub enum Atom {
    /// A 64-bit signed integer.
    Integer(i64),
    /// A finite double, never a negative zero.
    Real(f64),
    /// True or false.
    Boolean(bool),
    /// UTF-8 text without NUL; in place up to 23 bytes, and shared above.
    String(SmolStr),
    /// A UUID.
    Uuid(Uuid),
}

impl Atom {
    /// The atom's type.
    pub fn atomic_type(&self) -> AtomicType {
        match self {
            Atom::Integer(_) => AtomicType::Integer,
            Atom::Real(_) => AtomicType::Real,
            Atom::Boolean(_) => AtomicType::Boolean,
            Atom::String(_) => AtomicType::String,
            Atom::Uuid(_) => AtomicType::Uuid,
        }
    }

    /// A string atom.
    pub fn string(text: &str) -> Atom {
        Atom::String(SmolStr::new(text))
    }

    /// The UUID, if it is one.
    pub fn as_uuid(&self) -> Option<Uuid> {
        match self {
            Atom::Uuid(uuid) => Some(*uuid),
            _ => None,
        }
    }

    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Atom::String(text) => Some(text),
            _ => None,
        }
    }

    /// Parses an atom and checks it against its type's constraints. References are only checked
    /// when a transaction commits.
    pub fn parse(json: Json<'_>, base: &BaseType, names: &mut dyn Names) -> Result<Self, Error> {
        let atom = Atom::parse_unchecked(json, base.atomic, names)?;
        base.check(&atom)?;
        Ok(atom)
    }

    fn parse_unchecked(
        json: Json<'_>,
        atomic: AtomicType,
        names: &mut dyn Names,
    ) -> Result<Self, Error> {
        let atom = match (atomic, json.kind()) {
            (AtomicType::Integer, Kind::Integer) => json.integer().map(Atom::Integer),
            (AtomicType::Real, _) => json.number().map(|number| {
                Atom::Real(match number {
                    Number::Integer(integer) => integer as f64,
                    Number::Real(real) => real,
                })
            }),
            (AtomicType::Boolean, _) => json.boolean().map(Atom::Boolean),
            (AtomicType::String, Kind::String) => json.string().map(|s| Atom::string(&s)),
            (AtomicType::Uuid, _) => return parse_uuid_atom(json, names).map(Atom::Uuid),
            _ => None,
        };
        atom.ok_or_else(|| Error::syntax(json, format!("expected {}", atomic.name())))
    }

    /// Appends the atom as JSON; reals as on the wire, or exactly.
    pub fn write_json(&self, out: &mut Vec<u8>, exactly: bool) {
        match self {
            Atom::Integer(integer) => write::integer(out, *integer),
            Atom::Real(real) if exactly => write::real_exactly(out, *real),
            Atom::Real(real) => write::real(out, *real),
            Atom::Boolean(boolean) => write::boolean(out, *boolean),
            Atom::String(text) => write::string(out, text),
            Atom::Uuid(uuid) => {
                out.extend_from_slice(b"[\"uuid\",");
                write::uuid(out, uuid);
                out.push(b']');
            }
        }
    }

    /// Appends the atom as error texts and command lines show it.
    pub fn write_text(&self, out: &mut String) {
        match self {
            Atom::Integer(integer) => out.push_str(&integer.to_string()),
            Atom::Real(real) => out.push_str(&json::format_real(*real)),
            Atom::Boolean(boolean) => out.push_str(if *boolean { "true" } else { "false" }),
            Atom::String(text) if needs_quotes(text) => {
                let mut quoted = Vec::new();
                write::string(&mut quoted, text);
                out.push_str(&String::from_utf8_lossy(&quoted));
            }
            Atom::String(text) => out.push_str(text),
            Atom::Uuid(uuid) => out.push_str(&uuid.to_string()),
        }
    }
}

fn needs_quotes(text: &str) -> bool {
    let mut bytes = text.bytes();
    let starts_well = bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    !starts_well
        || !bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        || matches!(text, "true" | "false")
        || parse_uuid(text).is_some()
}

/// Parses a UUID in the only notation that OVSDB has: 8-4-4-4-12 hexadecimal digits.
pub fn parse_uuid(text: &str) -> Option<Uuid> {
    if text.len() != uuid::fmt::Hyphenated::LENGTH {
        return None;
    }
    Uuid::try_parse(text).ok()
}

fn parse_uuid_atom(json: Json<'_>, names: &mut dyn Names) -> Result<Uuid, Error> {
    if let Some(text) = tagged_string(json, "uuid") {
        return parse_uuid(&text)
            .ok_or_else(|| Error::syntax(json, format!("\"{text}\" is not a valid UUID")));
    }
    if names.allowed()
        && let Some(name) = tagged_string(json, "named-uuid")
    {
        if !crate::members::is_id(&name) {
            return Err(Error::syntax(json, "named-uuid string is not a valid <id>"));
        }
        if let Some(uuid) = names.resolve(&name) {
            return Ok(uuid);
        }
    }
    Err(Error::syntax(json, "expected [\"uuid\", <string>]"))
}

/// The string in `[tag, string]`.
fn tagged_string<'a>(json: Json<'a>, tag: &str) -> Option<std::borrow::Cow<'a, str>> {
    if json.kind() != Kind::Array || json.len() != 2 {
        return None;
    }
    let mut elements = json.elements();
    if !elements.next()?.is_string(tag) {
        return None;
    }
    elements.next()?.string()
}

impl Ord for Atom {
    /// Within a type, OVSDB's order: numbers by value, strings and UUIDs by bytes.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Atom::Integer(a), Atom::Integer(b)) => a.cmp(b),
            (Atom::Real(a), Atom::Real(b)) => a.total_cmp(b),
            (Atom::Boolean(a), Atom::Boolean(b)) => a.cmp(b),
            (Atom::String(a), Atom::String(b)) => a.cmp(b),
            (Atom::Uuid(a), Atom::Uuid(b)) => a.cmp(b),
            _ => (self.atomic_type() as u8).cmp(&(other.atomic_type() as u8)),
        }
    }
}

impl PartialOrd for Atom {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Atom {
    /// Not by [`Ord::cmp`]: selects compare every row of a table, and need no order for it.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Atom::Integer(a), Atom::Integer(b)) => a == b,
            (Atom::Real(a), Atom::Real(b)) => a.to_bits() == b.to_bits(),
            (Atom::Boolean(a), Atom::Boolean(b)) => a == b,
            (Atom::String(a), Atom::String(b)) => a == b,
            (Atom::Uuid(a), Atom::Uuid(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Atom {}

impl std::hash::Hash for Atom {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Atom::Integer(integer) => integer.hash(state),
            Atom::Real(real) => real.to_bits().hash(state),
            Atom::Boolean(boolean) => boolean.hash(state),
            Atom::String(text) => text.hash(state),
            Atom::Uuid(uuid) => uuid.hash(state),
        }
    }
}
