//! Conditions: which rows a request is about (RFC 7047 section 5.1, `<condition>`).

use std::cmp::Ordering;

use crate::atom::AtomicType;
use crate::column_type::ColumnType;
use crate::datum::Datum;
use crate::error::{Error, Tag};
use crate::json::{Json, Kind};
use crate::names::Names;
use crate::schema::{ColumnId, TableSchema};

/// A function that compares a column with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Function {
    /// `==`
    Equal,
    /// `includes`
    Includes,
    /// `<=`
    LessOrEqual,
    /// `<`
    Less,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
    /// `excludes`
    Excludes,
    /// `!=`
    NotEqual,
}

impl Function {
    /// The function of a name.
    pub fn from_name(name: &str) -> Result<Self, Error> {
        Ok(match name {
            "==" => Function::Equal,
            "!=" => Function::NotEqual,
            "<" => Function::Less,
            "<=" => Function::LessOrEqual,
            ">" => Function::Greater,
            ">=" => Function::GreaterOrEqual,
            "includes" => Function::Includes,
            "excludes" => Function::Excludes,
            _ => {
                let details = format!("No function named {name}.");
                return Err(Error::new(Tag::UnknownFunction, details));
            }
        })
    }

    /// The function's name.
    pub fn name(self) -> &'static str {
        match self {
            Function::Equal => "==",
            Function::NotEqual => "!=",
            Function::Less => "<",
            Function::LessOrEqual => "<=",
            Function::Greater => ">",
            Function::GreaterOrEqual => ">=",
            Function::Includes => "includes",
            Function::Excludes => "excludes",
        }
    }

    fn is_order(self) -> bool {
        matches!(
            self,
            Function::Less | Function::LessOrEqual | Function::Greater | Function::GreaterOrEqual
        )
    }
}

/// One part of a condition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Clause {
    /// `true` or `false` in place of a comparison.
    Constant(bool),
    /// A column compared with a value.
    Compare {
        /// The column.
        column: ColumnId,
        /// How it is compared.
        function: Function,
        /// What it is compared with.
        value: Datum,
    },
}

impl Clause {
    fn parse(json: Json<'_>, table: &TableSchema, names: &mut dyn Names) -> Result<Clause, Error> {
        if let Some(constant) = json.boolean() {
            return Ok(Clause::Constant(constant));
        }
        let (Some(column_name), Some(function_name), Some(value), 3, Kind::Array) = (
            json.element(0).and_then(Json::string),
            json.element(1).and_then(Json::string),
            json.element(2),
            json.len(),
            json.kind(),
        ) else {
            return Err(Error::syntax(json, "Parse error in condition."));
        };
        let id = find_column(json, &column_name, table)?;
        let column = table.column(id);
        let function = Function::from_name(&function_name)?;
        let column_type = &column.column_type;
        let scalar = column_type.is_scalar() || column_type.is_optional_scalar();
        let ordered = matches!(
            column_type.key.atomic,
            AtomicType::Integer | AtomicType::Real
        );
        if function.is_order() && !(scalar && ordered) {
            let details = format!(
                "Type mismatch: \"{}\" operator may not be applied to column {} of type {}.",
                function.name(),
                column.name,
                column_type.to_english()
            );
            return Err(Error::syntax(json, details));
        }
        let limits = match function {
            Function::Equal | Function::NotEqual => (column_type.min, column_type.max),
            Function::Includes | Function::Excludes if column_type.is_scalar() => (1, 1),
            Function::Includes => (0, column_type.max),
            Function::Excludes => (0, u32::MAX),
            _ => (1, column_type.max),
        };
        Ok(Clause::Compare {
            column: id,
            function,
            value: Datum::parse_counted(value, column_type, limits, names)?,
        })
    }

    /// True if a row's columns (by place) satisfy the clause.
    pub fn matches(&self, columns: &[Datum], table: &TableSchema) -> bool {
        let (column, function, value) = match self {
            Clause::Constant(constant) => return *constant,
            Clause::Compare {
                column,
                function,
                value,
            } => (*column, *function, value),
        };
        let field = &columns[column.index()];
        match function {
            Function::Equal => field == value,
            Function::NotEqual => field != value,
            Function::Includes => field.includes(value),
            Function::Excludes => field.excludes(value),
            _ => compare_scalars(function, field, value, &table.column(column).column_type),
        }
    }
}

/// An order is false for a column without a value.
fn compare_scalars(
    function: Function,
    field: &Datum,
    value: &Datum,
    column_type: &ColumnType,
) -> bool {
    debug_assert!(column_type.value.is_none());
    let (Datum::One(field), Datum::One(value)) = (field, value) else {
        return false;
    };
    let order = field.cmp(value);
    match function {
        Function::Less => order == Ordering::Less,
        Function::LessOrEqual => order != Ordering::Greater,
        Function::Greater => order == Ordering::Greater,
        _ => order != Ordering::Less,
    }
}

/// The column of a name, or the reference's error for there being none.
pub(crate) fn find_column(
    json: Json<'_>,
    name: &str,
    table: &TableSchema,
) -> Result<ColumnId, Error> {
    table.find(name).ok_or_else(|| {
        let details = format!("No column {name} in table {}.", table.name);
        Error::about(json, Tag::UnknownColumn, details)
    })
}

/// The clauses of a condition. An operation's `where` needs all of them to hold, a monitor's any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Condition {
    /// The clauses in the request's order.
    pub clauses: Vec<Clause>,
}

impl Condition {
    /// Parses an array of clauses.
    pub fn parse(
        json: Json<'_>,
        table: &TableSchema,
        names: &mut dyn Names,
    ) -> Result<Condition, Error> {
        let clauses = json
            .elements()
            .map(|clause| Clause::parse(clause, table, names))
            .collect::<Result<_, _>>()?;
        Ok(Condition { clauses })
    }

    /// True if a row satisfies every clause: an operation's `where`.
    pub fn matches_all(&self, columns: &[Datum], table: &TableSchema) -> bool {
        self.clauses.iter().all(|c| c.matches(columns, table))
    }

    /// True if a row satisfies a clause, or there are none: a monitor's `where`.
    pub fn matches_any(&self, columns: &[Datum], table: &TableSchema) -> bool {
        self.clauses.is_empty() || self.clauses.iter().any(|c| c.matches(columns, table))
    }

    /// The value that a column must equal for all clauses to hold, if there is a clause for it.
    pub fn equal_to(&self, wanted: ColumnId) -> Option<&Datum> {
        self.clauses.iter().find_map(|clause| match clause {
            Clause::Compare {
                column,
                function: Function::Equal,
                value,
            } if *column == wanted => Some(value),
            _ => None,
        })
    }
}
