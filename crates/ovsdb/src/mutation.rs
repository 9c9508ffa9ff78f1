//! Mutations: changes of a column that start from its value (RFC 7047 section 5.1,
//! `<mutation>`).

use crate::atom::{Atom, AtomicType};
use crate::column_type::{BaseType, ColumnType};
use crate::condition::find_column;
use crate::datum::Datum;
use crate::error::{Error, Tag};
use crate::json::{Json, Kind};
use crate::names::Names;
use crate::schema::{ColumnId, TableSchema};

/// How a mutation changes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutator {
    /// `+=`
    Add,
    /// `-=`
    Subtract,
    /// `*=`
    Multiply,
    /// `/=`
    Divide,
    /// `%=`
    Modulo,
    /// `insert`
    Insert,
    /// `delete`
    Delete,
}

impl Mutator {
    fn from_name(name: &str) -> Result<Self, Error> {
        Ok(match name {
            "+=" => Mutator::Add,
            "-=" => Mutator::Subtract,
            "*=" => Mutator::Multiply,
            "/=" => Mutator::Divide,
            "%=" => Mutator::Modulo,
            "insert" => Mutator::Insert,
            "delete" => Mutator::Delete,
            _ => {
                let details = format!("No mutator named {name}.");
                return Err(Error::new(Tag::UnknownMutator, details));
            }
        })
    }

    fn name(self) -> &'static str {
        match self {
            Mutator::Add => "+=",
            Mutator::Subtract => "-=",
            Mutator::Multiply => "*=",
            Mutator::Divide => "/=",
            Mutator::Modulo => "%=",
            Mutator::Insert => "insert",
            Mutator::Delete => "delete",
        }
    }
}

/// A change of one column.
#[derive(Debug, Clone, PartialEq)]
pub struct Mutation {
    /// The column that is changed.
    pub column: ColumnId,
    mutator: Mutator,
    argument: Datum,
}

impl Mutation {
    /// Parses `[column, mutator, value]`.
    pub fn parse(
        json: Json<'_>,
        table: &TableSchema,
        names: &mut dyn Names,
    ) -> Result<Mutation, Error> {
        let (Some(column_name), Some(mutator_name), Some(value), 3, Kind::Array) = (
            json.element(0).and_then(Json::string),
            json.element(1).and_then(Json::string),
            json.element(2),
            json.len(),
            json.kind(),
        ) else {
            return Err(Error::syntax(json, "Parse error in mutation."));
        };
        let id = find_column(json, &column_name, table)?;
        let column = table.column(id);
        if !column.mutable {
            let details = format!(
                "Cannot mutate immutable column {} in table {}.",
                column.name, table.name
            );
            return Err(Error::about(json, Tag::ConstraintViolation, details));
        }
        let mutator = Mutator::from_name(&mutator_name)?;
        let column_type = &column.column_type;
        if !applies(mutator, column_type) {
            let details = format!(
                "Type mismatch: \"{}\" operator may not be applied to column {} of type {}.",
                mutator.name(),
                column.name,
                column_type.to_english()
            );
            return Err(Error::syntax(json, details));
        }
        let argument = parse_argument(value, mutator, column_type, names)?;
        Ok(Mutation {
            column: id,
            mutator,
            argument,
        })
    }

    /// The value that the mutation makes of `value`, which must be of the column's type.
    pub fn apply(&self, value: &Datum, column_type: &ColumnType) -> Result<Datum, Error> {
        match self.mutator {
            Mutator::Insert => check_count(value.union(&self.argument), column_type),
            Mutator::Delete => check_count(value.subtract(&self.argument), column_type),
            mutator => calculate(mutator, value, &self.argument, column_type),
        }
    }
}

fn applies(mutator: Mutator, column_type: &ColumnType) -> bool {
    match (mutator, column_type.key.atomic) {
        (Mutator::Insert | Mutator::Delete, _) => column_type.is_set() || column_type.is_map(),
        (Mutator::Modulo, AtomicType::Integer) => !column_type.is_map(),
        (Mutator::Modulo, _) => false,
        (_, AtomicType::Integer | AtomicType::Real) => !column_type.is_map(),
        _ => false,
    }
}

fn parse_argument(
    json: Json<'_>,
    mutator: Mutator,
    column_type: &ColumnType,
    names: &mut dyn Names,
) -> Result<Datum, Error> {
    match mutator {
        Mutator::Insert => Datum::parse_counted(json, column_type, (0, column_type.max), names),
        Mutator::Delete => {
            let limits = (0, u32::MAX);
            let argument = Datum::parse_counted(json, column_type, limits, names);
            if argument.is_ok() || !column_type.is_map() {
                return argument;
            }
            // A map also takes a set of keys.
            let keys = ColumnType {
                value: None,
                ..column_type.clone()
            };
            Datum::parse_counted(json, &keys, limits, names)
        }
        _ => {
            let scalar = ColumnType {
                key: BaseType::plain(column_type.key.atomic),
                value: None,
                min: 1,
                max: 1,
            };
            Datum::parse(json, &scalar, names)
        }
    }
}

fn check_count(value: Datum, column_type: &ColumnType) -> Result<Datum, Error> {
    let n = value.len();
    if n < column_type.min as usize || n > column_type.max as usize {
        return Err(Error::constraint(format!(
            "Attempted to store {n} elements in {}.",
            column_type.to_english()
        )));
    }
    Ok(value)
}

fn calculate(
    mutator: Mutator,
    value: &Datum,
    argument: &Datum,
    column_type: &ColumnType,
) -> Result<Datum, Error> {
    let Datum::One(argument) = argument else {
        return Ok(value.clone());
    };
    let mut atoms = value
        .atoms()
        .iter()
        .map(|atom| match (atom, argument) {
            (Atom::Integer(x), Atom::Integer(y)) => {
                calculate_integer(mutator, *x, *y).map(Atom::Integer)
            }
            (Atom::Real(x), Atom::Real(y)) => calculate_real(mutator, *x, *y).map(Atom::Real),
            (atom, _) => Ok(atom.clone()),
        })
        .collect::<Result<Vec<_>, Error>>()?;
    for atom in &atoms {
        column_type.key.check(atom)?;
    }
    atoms.sort_unstable();
    if atoms.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::constraint(format!(
            "Result of \"{}\" operation contains duplicates.",
            mutator.name()
        )));
    }
    Ok(Datum::from_sorted_atoms(atoms))
}

fn calculate_integer(mutator: Mutator, x: i64, y: i64) -> Result<i64, Error> {
    if y == 0 && matches!(mutator, Mutator::Divide | Mutator::Modulo) {
        return Err(Error::new(Tag::DomainError, "Division by zero."));
    }
    let result = match mutator {
        Mutator::Add => x.checked_add(y),
        Mutator::Subtract => x.checked_sub(y),
        Mutator::Multiply => x.checked_mul(y),
        Mutator::Divide => x.checked_div(y),
        _ => x.checked_rem(y),
    };
    result.ok_or_else(|| out_of_range(mutator))
}

fn calculate_real(mutator: Mutator, x: f64, y: f64) -> Result<f64, Error> {
    let result = match mutator {
        Mutator::Add => x + y,
        Mutator::Subtract => x - y,
        Mutator::Multiply => x * y,
        _ if y == 0.0 => return Err(Error::new(Tag::DomainError, "Division by zero.")),
        _ => x / y,
    };
    if !result.is_finite() {
        return Err(out_of_range(mutator));
    }
    // Adding zero turns -0.0 into 0.0.
    Ok(result + 0.0)
}

fn out_of_range(mutator: Mutator) -> Error {
    let details = format!(
        "Result of \"{}\" operation is out of range.",
        mutator.name()
    );
    Error::new(Tag::RangeError, details)
}
