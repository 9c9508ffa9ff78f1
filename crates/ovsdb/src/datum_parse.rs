//! Parsing datums (RFC 7047 section 5.1).

use crate::atom::Atom;
use crate::column_type::{BaseType, ColumnType};
use crate::datum::Datum;
use crate::error::{Error, Tag};
use crate::json::{Json, Kind};
use crate::names::{Names, NoNames};

impl Datum {
    /// Parses a value of a type, checking its constraints and its number of elements.
    pub fn parse(
        json: Json<'_>,
        column_type: &ColumnType,
        names: &mut dyn Names,
    ) -> Result<Datum, Error> {
        let limits = (column_type.min, column_type.max);
        parse_limited(json, column_type, limits, names)
    }

    /// Parses a difference: constraints hold for its atoms, but not for their number.
    pub fn parse_diff(json: Json<'_>, column_type: &ColumnType) -> Result<Datum, Error> {
        parse_limited(json, column_type, (0, u32::MAX), &mut NoNames)
    }

    /// Like [`Datum::parse`] with other limits on the number of elements than the type's.
    pub(crate) fn parse_counted(
        json: Json<'_>,
        column_type: &ColumnType,
        limits: (u32, u32),
        names: &mut dyn Names,
    ) -> Result<Datum, Error> {
        parse_limited(json, column_type, limits, names)
    }
}

fn parse_limited(
    json: Json<'_>,
    column_type: &ColumnType,
    limits: (u32, u32),
    names: &mut dyn Names,
) -> Result<Datum, Error> {
    match &column_type.value {
        Some(value) => parse_map(json, &column_type.key, value, limits, names),
        None if is_set_notation(json) => parse_set(json, &column_type.key, limits, names),
        None => Atom::parse(json, &column_type.key, names).map(Datum::One),
    }
}

fn is_set_notation(json: Json<'_>) -> bool {
    json.kind() == Kind::Array && json.element(0).is_some_and(|first| first.is_string("set"))
}

/// The array in `[class, array]`, if it has an allowed number of elements.
fn unwrap<'a>(json: Json<'a>, class: &str, (min, max): (u32, u32)) -> Result<Json<'a>, Error> {
    let inner = match (json.kind(), json.len(), json.element(0), json.element(1)) {
        (Kind::Array, 2, Some(tag), Some(inner))
            if tag.is_string(class) && inner.kind() == Kind::Array =>
        {
            inner
        }
        _ => {
            return Err(Error::syntax(
                json,
                format!("expected [\"{class}\", <array>]"),
            ));
        }
    };
    let n = inner.len();
    if n < min as usize || n > max as usize {
        let details = if (min, max) == (1, 1) {
            format!("{class} must have exactly one member but {n} are present")
        } else {
            format!("{class} must have {min} to {max} members but {n} are present")
        };
        return Err(Error::syntax(json, details));
    }
    Ok(inner)
}

fn parse_set(
    json: Json<'_>,
    key: &BaseType,
    limits: (u32, u32),
    names: &mut dyn Names,
) -> Result<Datum, Error> {
    let inner = unwrap(json, "set", limits)?;
    let mut atoms = Vec::with_capacity(inner.len());
    for element in inner.elements() {
        atoms.push(Atom::parse(element, key, names)?);
    }
    atoms.sort_unstable();
    if atoms.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::new(Tag::OvsdbError, "set contains duplicate"));
    }
    Ok(Datum::from_sorted_atoms(atoms))
}

fn parse_map(
    json: Json<'_>,
    key: &BaseType,
    value: &BaseType,
    limits: (u32, u32),
    names: &mut dyn Names,
) -> Result<Datum, Error> {
    let inner = unwrap(json, "map", limits)?;
    let mut pairs = Vec::with_capacity(inner.len());
    for element in inner.elements() {
        let (Kind::Array, 2, Some(k), Some(v)) = (
            element.kind(),
            element.len(),
            element.element(0),
            element.element(1),
        ) else {
            return Err(Error::syntax(element, "expected 2-element array"));
        };
        let k = Atom::parse(k, key, names)?;
        pairs.push((k, Atom::parse(v, value, names)?));
    }
    pairs.sort_unstable();
    if pairs.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(Error::new(Tag::OvsdbError, "map contains duplicate key"));
    }
    Ok(Datum::from_sorted_pairs(pairs))
}
