//! Types of columns (RFC 7047 section 3.2, `<type>` and `<base-type>`).

use std::sync::Arc;

use crate::atom::{Atom, AtomicType};
use crate::datum::Datum;
use crate::error::Error;
use crate::json::format_real;
use crate::schema::TableId;

/// How a reference holds the row that it points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefType {
    /// The row must exist, and stays as long as it is referenced.
    Strong,
    /// The reference goes when the row goes.
    Weak,
}

/// What a base type allows beyond its atomic type.
#[derive(Debug, Clone, PartialEq)]
pub enum Constraint {
    /// Nothing to check: booleans, UUIDs that refer to nothing.
    None,
    /// `minInteger` and `maxInteger`, inclusive.
    Integer {
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
    /// `minReal` and `maxReal`, inclusive.
    Real {
        /// The least value.
        min: f64,
        /// The greatest value.
        max: f64,
    },
    /// `minLength` and `maxLength`, in characters.
    String {
        /// The least length.
        min: u32,
        /// The greatest length.
        max: u32,
    },
    /// `refTable` and `refType`.
    Reference {
        /// The name of the table that is referred to.
        table: Arc<str>,
        /// Its place in the schema, known once the whole schema is parsed.
        id: TableId,
        /// How the reference holds.
        kind: RefType,
    },
}

/// The type of a set's elements or of a map's keys or values.
#[derive(Debug, Clone, PartialEq)]
pub struct BaseType {
    /// The atoms' type.
    pub atomic: AtomicType,
    /// The only values that are allowed, sorted.
    pub allowed: Option<Arc<[Atom]>>,
    /// Ranges, lengths or the table that is referred to.
    pub constraint: Constraint,
}

impl BaseType {
    /// A base type without constraints.
    pub fn plain(atomic: AtomicType) -> Self {
        let constraint = match atomic {
            AtomicType::Integer => Constraint::Integer {
                min: i64::MIN,
                max: i64::MAX,
            },
            AtomicType::Real => Constraint::Real {
                min: -f64::MAX,
                max: f64::MAX,
            },
            AtomicType::String => Constraint::String {
                min: 0,
                max: u32::MAX,
            },
            AtomicType::Boolean | AtomicType::Uuid => Constraint::None,
        };
        BaseType {
            atomic,
            allowed: None,
            constraint,
        }
    }

    /// True if any atom of its type is allowed, and a UUID refers to nothing.
    pub fn is_plain(&self) -> bool {
        *self == BaseType::plain(self.atomic)
    }

    /// The table that it refers to, and how.
    pub fn reference(&self) -> Option<(TableId, RefType)> {
        match &self.constraint {
            Constraint::Reference { id, kind, .. } => Some((*id, *kind)),
            _ => None,
        }
    }

    /// The table that it refers to strongly.
    pub fn strong_reference(&self) -> Option<TableId> {
        match self.reference() {
            Some((table, RefType::Strong)) => Some(table),
            _ => None,
        }
    }

    /// The table that it refers to weakly.
    pub fn weak_reference(&self) -> Option<TableId> {
        match self.reference() {
            Some((table, RefType::Weak)) => Some(table),
            _ => None,
        }
    }

    /// Checks an atom against the constraints; references are a matter of whole transactions.
    pub fn check(&self, atom: &Atom) -> Result<(), Error> {
        if let Some(allowed) = &self.allowed
            && allowed.binary_search(atom).is_err()
        {
            return Err(not_allowed(atom, allowed));
        }
        match (&self.constraint, atom) {
            (Constraint::Integer { min, max }, Atom::Integer(value)) => {
                let bounds = (*min != i64::MIN, *max != i64::MAX);
                check_range(value >= min && value <= max, bounds, || {
                    [value.to_string(), min.to_string(), max.to_string()]
                })
            }
            (Constraint::Real { min, max }, Atom::Real(value)) => {
                let bounds = (*min != -f64::MAX, *max != f64::MAX);
                check_range(value >= min && value <= max, bounds, || {
                    [format_real(*value), format_real(*min), format_real(*max)]
                })
            }
            (Constraint::String { min, max }, Atom::String(text)) => check_length(text, *min, *max),
            _ => Ok(()),
        }
    }
}

fn not_allowed(atom: &Atom, allowed: &Arc<[Atom]>) -> Error {
    let mut actual = String::new();
    atom.write_text(&mut actual);
    let choices = Datum::from_sorted_set(allowed).to_text(&ColumnType {
        key: BaseType::plain(atom.atomic_type()),
        value: None,
        min: 1,
        max: u32::MAX,
    });
    Error::constraint(format!(
        "{actual} is not one of the allowed values ({choices})"
    ))
}

fn check_range(
    inside: bool,
    (has_min, has_max): (bool, bool),
    texts: impl FnOnce() -> [String; 3],
) -> Result<(), Error> {
    if inside {
        return Ok(());
    }
    let [value, min, max] = texts();
    Err(Error::constraint(match (has_min, has_max) {
        (true, true) => format!("{value} is not in the valid range {min} to {max} (inclusive)"),
        (true, false) => format!("{value} is less than minimum allowed value {min}"),
        (false, _) => format!("{value} is greater than maximum allowed value {max}"),
    }))
}

fn check_length(text: &str, min: u32, max: u32) -> Result<(), Error> {
    if min == 0 && text.len() <= max as usize {
        return Ok(());
    }
    let length = text.chars().count();
    if length < min as usize {
        return Err(Error::constraint(format!(
            "\"{text}\" length {length} is less than minimum allowed length {min}"
        )));
    }
    if length > max as usize {
        return Err(Error::constraint(format!(
            "\"{text}\" length {length} is greater than maximum allowed length {max}"
        )));
    }
    Ok(())
}

/// The type of a column: a scalar, a set or a map, and how many elements it may have.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnType {
    /// Type of elements or keys.
    pub key: BaseType,
    /// Type of a map's values.
    pub value: Option<BaseType>,
    /// Least number of elements: 0 or 1.
    pub min: u32,
    /// Greatest number of elements; `u32::MAX` is "unlimited".
    pub max: u32,
}

impl ColumnType {
    /// A scalar of an atomic type without constraints.
    pub fn scalar(atomic: AtomicType) -> Self {
        ColumnType {
            key: BaseType::plain(atomic),
            value: None,
            min: 1,
            max: 1,
        }
    }

    /// True for a map.
    pub fn is_map(&self) -> bool {
        self.value.is_some()
    }

    /// True for exactly one atom.
    pub fn is_scalar(&self) -> bool {
        self.value.is_none() && self.min == 1 && self.max == 1
    }

    /// True for one atom or none.
    pub fn is_optional_scalar(&self) -> bool {
        self.value.is_none() && self.min == 0 && self.max == 1
    }

    /// True for a set other than exactly one atom.
    pub fn is_set(&self) -> bool {
        self.value.is_none() && (self.min != 1 || self.max != 1)
    }

    /// True if there may be several elements: then differences are taken by element.
    pub fn is_composite(&self) -> bool {
        self.max > 1
    }

    /// The key's type and the value's, if there is one.
    pub fn bases(&self) -> impl Iterator<Item = &BaseType> {
        std::iter::once(&self.key).chain(self.value.as_ref())
    }

    /// True if a key or value refers strongly to a row.
    pub fn has_strong_references(&self) -> bool {
        self.bases().any(|base| base.strong_reference().is_some())
    }

    /// True if a key or value refers weakly to a row.
    pub fn has_weak_references(&self) -> bool {
        self.bases().any(|base| base.weak_reference().is_some())
    }

    /// The value of columns that nobody has set.
    pub fn default_datum(&self) -> Datum {
        if self.min == 0 {
            return Datum::Empty;
        }
        let key = self.key.atomic.default_atom();
        match &self.value {
            None => Datum::One(key),
            Some(value) => Datum::Map(Arc::new([(key, value.atomic.default_atom())])),
        }
    }

    /// The type in words, as error texts have it.
    pub fn to_english(&self) -> String {
        let key = self.key.atomic.name();
        if self.is_scalar() {
            return key.into();
        }
        let class = if self.is_map() { "map" } else { "set" };
        let count = match (self.min, self.max) {
            (0, u32::MAX) => " of".to_owned(),
            (min, u32::MAX) => format!(" of {min} or more"),
            (0, max) => format!(" of up to {max}"),
            (min, max) => format!(" of {min} to {max}"),
        };
        match &self.value {
            None => format!("{class}{count} {key}s"),
            Some(value) => format!("{class}{count} ({key}, {}) pairs", value.atomic.name()),
        }
    }
}
