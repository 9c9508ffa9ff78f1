//! The interconnect's two databases: their names, schemas and versions.

use std::fmt;

/// One of the two databases and all that is named after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// `OVN_IC_Northbound`.
    Northbound,
    /// `OVN_IC_Southbound`.
    Southbound,
}

impl Side {
    /// Both, in the order of their ports.
    pub const BOTH: [Side; 2] = [Side::Northbound, Side::Southbound];

    /// `nb` or `sb`, as in file names and in the field `db` of log events.
    pub fn short(self) -> &'static str {
        match self {
            Side::Northbound => "nb",
            Side::Southbound => "sb",
        }
    }

    /// The database's name on the wire.
    pub fn database(self) -> &'static str {
        match self {
            Side::Northbound => "OVN_IC_Northbound",
            Side::Southbound => "OVN_IC_Southbound",
        }
    }

    /// The usual client port.
    pub fn usual_port(self) -> u16 {
        match self {
            Side::Northbound => 6645,
            Side::Southbound => 6646,
        }
    }

    /// The newest schema, as JSON text: what a new database is made with.
    pub fn schema(self) -> &'static str {
        match self {
            Side::Northbound => include_str!("../../../schemas/ovn-ic-nb.ovsschema"),
            Side::Southbound => include_str!("../../../schemas/ovn-ic-sb.ovsschema"),
        }
    }
}

/// A schema's version, ordered by its numbers (RFC 7047 3.2: `x.y.z`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaVersion {
    numbers: [u64; 3],
}

impl SchemaVersion {
    /// Reads `x.y.z`; `None` for any other text. Very old files have no
    /// version at all: the empty text counts as `0.0.0`, older than all.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = [0; 3];
        if text.is_empty() {
            return Some(SchemaVersion { numbers });
        }
        let mut parts = text.split('.');
        for number in &mut numbers {
            let part = parts.next()?;
            if !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            *number = part.parse().ok()?;
        }
        parts.next().is_none().then_some(SchemaVersion { numbers })
    }
}

impl fmt::Display for SchemaVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(out, "{major}.{minor}.{patch}")
    }
}

/// True if a database of version `present` should be converted to `newest`.
/// A database that is newer than this program keeps its schema: a conversion
/// downwards could only lose columns. So does one whose version is no version.
pub fn is_older(present: &str, newest: &str) -> bool {
    match (SchemaVersion::parse(present), SchemaVersion::parse(newest)) {
        (Some(present), Some(newest)) => present < newest,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(is_older("1.9.0", "1.10.0"));
        assert!(is_older("", "1.0.0"));
        assert!(is_older("1.1.1", "2.0.0"));
        assert!(!is_older("2.0.0", "1.99.99"));
        assert!(!is_older("1.0.0", "1.0.0"));
        for wrong in ["1.0", "1.0.0.0", "1..0", "a.b.c", "+1.0.0", "1.0.-1"] {
            assert_eq!(SchemaVersion::parse(wrong), None, "{wrong}");
            assert!(!is_older(wrong, "9.0.0"), "{wrong}");
        }
        let text = SchemaVersion::parse("1.20.3").map(|version| version.to_string());
        assert_eq!(text.as_deref(), Some("1.20.3"));
    }

    #[test]
    fn each_schema_is_of_its_database() {
        for side in Side::BOTH {
            let schema = ovsdb::Schema::from_text(side.schema().as_bytes()).expect("a schema");
            assert_eq!(&*schema.name, side.database());
            assert!(SchemaVersion::parse(&schema.version).is_some());
            assert!(schema.find("Connection").is_some(), "{side:?}");
        }
    }
}
