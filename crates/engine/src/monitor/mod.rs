//! Monitors: what a client wants to know of a database, and what it is told (RFC 7047 section
//! 4.1.5; ovsdb-server(7), "Monitor_Cond" and "Monitor_Cond_Since").

mod compose;
mod parse;

use std::collections::BTreeMap;

use ovsdb::{ColumnId, Condition, TableId};

/// The form of a monitor's updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `monitor` and `update`: old and new values.
    Update,
    /// `monitor_cond` and `update2`: differences.
    Update2,
    /// `monitor_cond_since` and `update3`: differences, and the transaction's id.
    Update3,
}

impl Format {
    /// The method that carries updates of this form.
    pub fn method(self) -> &'static str {
        match self {
            Format::Update => "update",
            Format::Update2 => "update2",
            Format::Update3 => "update3",
        }
    }
}

/// The kinds of change that are asked for (`<monitor-select>`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Select(u8);

impl Select {
    pub(crate) const NONE: Select = Select(0);
    pub(crate) const INITIAL: Select = Select(1);
    pub(crate) const INSERT: Select = Select(2);
    pub(crate) const DELETE: Select = Select(4);
    pub(crate) const MODIFY: Select = Select(8);
    pub(crate) const ALL: Select = Select(15);

    pub(crate) fn with(self, other: Select) -> Select {
        Select(self.0 | other.0)
    }

    pub(crate) fn has(self, other: Select) -> bool {
        self.0 & other.0 != 0
    }
}

/// A column that is reported, and for which kinds of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MonitoredColumn {
    pub(crate) column: ColumnId,
    pub(crate) select: Select,
}

/// What a monitor wants to know of one table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TableMonitor {
    /// The columns in their places' order.
    pub(crate) columns: Vec<MonitoredColumn>,
    /// All kinds of change that any column is reported for.
    pub(crate) select: Select,
    /// Which rows; always the empty condition, which holds, for [`Format::Update`].
    pub(crate) condition: Condition,
    /// Columns of the condition that are not among the reported ones: a row that changes only
    /// in them is still reported as modified, with no columns.
    pub(crate) condition_columns: Vec<ColumnId>,
}

/// A monitor request. Equal monitors get equal updates, so that those are made once for all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Monitor {
    pub(crate) format: Format,
    pub(crate) tables: BTreeMap<TableId, TableMonitor>,
}

impl Monitor {
    /// The form of its updates.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The tables that it is about.
    pub fn tables(&self) -> impl Iterator<Item = TableId> {
        self.tables.keys().copied()
    }
}
