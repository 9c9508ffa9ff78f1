//! Referential integrity (RFC 7047 section 3.2, `refTable`): strong references hold rows, rows
//! outside the root set go with their last reference, weak references go with their rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ovsdb::{Atom, BaseType, Column, ColumnId, Datum, Error, Schema, TableId, Tag, Uuid};

use crate::draft::Draft;
use crate::row::Row;
use crate::table::WeakReference;

type RowId = (TableId, Uuid);

/// Settles the references of a draft: checks the strong ones, deletes what is garbage, and
/// removes the weak ones that point to nothing.
pub(crate) fn settle(draft: &mut Draft) -> Result<(), Error> {
    let schema = draft.version.schema().clone();
    if !schema.tables.iter().any(has_references) {
        delete_all_garbage(draft, &schema, &mut Counts::default())?;
        return check_row_counts(draft, &schema);
    }
    let mut counts = Counts::default();
    count_strong_references(draft, &schema, &mut counts)?;
    check_deleted_rows(draft, &schema, &counts)?;
    delete_all_garbage(draft, &schema, &mut counts)?;
    check_row_counts(draft, &schema)?;
    while remove_dangling_weak_references(draft, &schema, &mut counts)? {
        // A pair of a map may hold a weak reference and a strong one: with the pair goes the
        // strong one, and perhaps the row that it held.
        delete_all_garbage(draft, &schema, &mut counts)?;
    }
    for ((table, uuid), count) in counts.0 {
        draft
            .version
            .table_mut(table)
            .set_strong_references(uuid, count);
    }
    update_weak_references(draft, &schema);
    Ok(())
}

fn has_references(table: &ovsdb::TableSchema) -> bool {
    table.columns.iter().any(|column| {
        let column_type = &column.column_type;
        column_type.has_strong_references() || column_type.has_weak_references()
    })
}

/// The number of strong references to rows, where the transaction changes it.
#[derive(Debug, Default)]
struct Counts(BTreeMap<RowId, u64>);

impl Counts {
    fn get(&self, draft: &Draft, row: RowId) -> u64 {
        let stored = || draft.version.table(row.0).strong_references(&row.1);
        self.0.get(&row).copied().unwrap_or_else(stored)
    }

    fn change(&mut self, draft: &Draft, row: RowId, delta: i64) -> u64 {
        let count = self.get(draft, row).saturating_add_signed(delta);
        self.0.insert(row, count);
        count
    }
}

/// The strong references of a key and its value, with the table that they point to.
fn strong_targets<'a>(
    column: &'a Column,
    key: &'a Atom,
    value: Option<&'a Atom>,
) -> impl Iterator<Item = RowId> {
    targets(column, key, value, BaseType::strong_reference)
}

fn weak_targets<'a>(
    column: &'a Column,
    key: &'a Atom,
    value: Option<&'a Atom>,
) -> impl Iterator<Item = RowId> {
    targets(column, key, value, BaseType::weak_reference)
}

fn targets<'a>(
    column: &'a Column,
    key: &'a Atom,
    value: Option<&'a Atom>,
    kind: impl Fn(&BaseType) -> Option<TableId>,
) -> impl Iterator<Item = RowId> {
    let column_type = &column.column_type;
    let of_key = kind(&column_type.key).zip(key.as_uuid());
    let of_value = column_type
        .value
        .as_ref()
        .and_then(kind)
        .zip(value.and_then(Atom::as_uuid));
    of_key.into_iter().chain(of_value)
}

/// Calls `visit` with each element or pair of a row's column.
fn each_element<'a>(datum: &'a Datum, mut visit: impl FnMut(&'a Atom, Option<&'a Atom>)) {
    datum.atoms().iter().for_each(|atom| visit(atom, None));
    datum
        .pairs()
        .iter()
        .for_each(|(key, value)| visit(key, Some(value)));
}

fn count_strong_references(
    draft: &Draft,
    schema: &Schema,
    counts: &mut Counts,
) -> Result<(), Error> {
    for ((table, uuid), old) in &draft.touched {
        let new = draft.row(*table, uuid);
        let table_schema = schema.table(*table);
        for (id, column) in table_schema.own_columns() {
            if !column.column_type.has_strong_references() {
                continue;
            }
            let (before, after) = values(old.as_ref(), new, id);
            let (mut added, mut removed) = (Vec::new(), Vec::new());
            Datum::compare(
                before,
                after,
                |key, value| removed.extend(strong_targets(column, key, value)),
                |key, value| added.extend(strong_targets(column, key, value)),
            );
            // A row does not hold itself.
            let itself = (*table, *uuid);
            for target in removed.into_iter().filter(|target| *target != itself) {
                counts.change(draft, target, -1);
            }
            for target in added.into_iter().filter(|target| *target != itself) {
                if draft.row(target.0, &target.1).is_none()
                    && draft.old(target.0, &target.1).is_none()
                {
                    return Err(Error::new(
                        Tag::ReferentialIntegrityViolation,
                        format!(
                            "Table {} column {} row {uuid} references nonexistent row {} in \
                             table {}.",
                            table_schema.name,
                            column.name,
                            target.1,
                            schema.table(target.0).name
                        ),
                    ));
                }
                counts.change(draft, target, 1);
            }
        }
    }
    Ok(())
}

fn values<'a>(
    old: Option<&'a Arc<Row>>,
    new: Option<&'a Arc<Row>>,
    column: ColumnId,
) -> (&'a Datum, &'a Datum) {
    let value = |row: Option<&'a Arc<Row>>| row.map_or(&Datum::Empty, |row| row.get(column));
    (value(old), value(new))
}

/// No row that is referenced may be deleted.
fn check_deleted_rows(draft: &Draft, schema: &Schema, counts: &Counts) -> Result<(), Error> {
    for (table, uuid) in draft.touched.keys() {
        if draft.row(*table, uuid).is_some() {
            continue;
        }
        let count = counts.get(draft, (*table, *uuid));
        if count > 0 {
            return Err(Error::new(
                Tag::ReferentialIntegrityViolation,
                format!(
                    "cannot delete {} row {uuid} because of {count} remaining reference(s)",
                    schema.table(*table).name
                ),
            ));
        }
    }
    Ok(())
}

/// Deletes the rows outside the root set that nothing refers to (any more).
fn delete_all_garbage(
    draft: &mut Draft,
    schema: &Schema,
    counts: &mut Counts,
) -> Result<(), Error> {
    let suspects: BTreeSet<RowId> = draft
        .touched
        .keys()
        .chain(counts.0.keys())
        .copied()
        .collect();
    let mut suspects: Vec<RowId> = suspects.into_iter().collect();
    while let Some((table, uuid)) = suspects.pop() {
        if schema.table(table).is_root || counts.get(draft, (table, uuid)) > 0 {
            continue;
        }
        let Some(row) = draft.row(table, &uuid).cloned() else {
            continue;
        };
        draft.delete(table, &uuid);
        for (id, column) in schema.table(table).own_columns() {
            if !column.column_type.has_strong_references() {
                continue;
            }
            each_element(row.get(id), |key, value| {
                for target in strong_targets(column, key, value) {
                    if target != (table, uuid) && counts.change(draft, target, -1) == 0 {
                        suspects.push(target);
                    }
                }
            });
        }
    }
    Ok(())
}

/// No table may have more rows than its `maxRows`.
pub(crate) fn check_row_counts(draft: &Draft, schema: &Schema) -> Result<(), Error> {
    let mut checked = None;
    for (table, _) in draft.touched.keys() {
        if checked.replace(*table) == Some(*table) {
            continue;
        }
        let rows = draft.version.table(*table).len();
        let table = schema.table(*table);
        if rows > table.max_rows as usize {
            return Err(Error::constraint(format!(
                "transaction causes \"{}\" table to contain {rows} rows, greater than the \
                 schema-defined limit of {} row(s)",
                table.name, table.max_rows
            )));
        }
    }
    Ok(())
}

/// Removes weak references to rows that are not there from the rows that the transaction has
/// touched, and from those that refer to rows which it has deleted. True if that took strong
/// references away as well.
fn remove_dangling_weak_references(
    draft: &mut Draft,
    schema: &Schema,
    counts: &mut Counts,
) -> Result<bool, Error> {
    let mut suspects: BTreeSet<RowId> = BTreeSet::new();
    for (table, uuid) in draft.touched.keys() {
        if draft.row(*table, uuid).is_some() {
            suspects.insert((*table, *uuid));
            continue;
        }
        let sources = draft.version.table(*table).weak_references(*uuid);
        suspects.extend(sources.map(|weak| (weak.source_table, weak.source)));
    }
    let mut lost_strong = false;
    for (table, uuid) in suspects {
        let Some(row) = draft.row(table, &uuid).cloned() else {
            continue;
        };
        let mut cleaned: Option<Row> = None;
        for (id, column) in schema.table(table).own_columns() {
            if !column.column_type.has_weak_references() {
                continue;
            }
            let dangles = |key: &Atom, value: Option<&Atom>| {
                weak_targets(column, key, value)
                    .any(|(table, target)| draft.row(table, &target).is_none())
            };
            let before = row.get(id);
            let after = before.retain(|key, value| !dangles(key, value));
            if after.len() == before.len() {
                continue;
            }
            if after.len() < column.column_type.min as usize {
                return Err(empty_weak_column(
                    draft,
                    (table, uuid),
                    column,
                    before,
                    &after,
                ));
            }
            Datum::compare(
                before,
                &after,
                |key, value| {
                    for target in strong_targets(column, key, value) {
                        lost_strong |=
                            target != (table, uuid) && counts.change(draft, target, -1) == 0;
                    }
                },
                |_, _| {},
            );
            cleaned.get_or_insert_with(|| (*row).clone()).set(id, after);
        }
        if let Some(cleaned) = cleaned {
            draft.put(table, Arc::new(cleaned));
        }
    }
    Ok(lost_strong)
}

fn empty_weak_column(
    draft: &Draft,
    (table, uuid): RowId,
    column: &Column,
    before: &Datum,
    after: &Datum,
) -> Error {
    let schema = draft.version.schema();
    let table_name = &schema.table(table).name;
    let inserted = draft.old(table, &uuid).is_none();
    let name = &column.name;
    let mut zero = false;
    each_element(before, |key, value| {
        zero |= weak_targets(column, key, value).any(|(_, target)| target.is_nil());
    });
    if zero && inserted {
        return Error::constraint(format!(
            "Weak reference column \"{name}\" in \"{table_name}\" row {uuid} (inserted within \
             this transaction) contained all-zeros UUID (probably as the default value for this \
             column) but deleting this value caused a constraint volation because this column \
             is not allowed to be empty."
        ));
    }
    let inserted = if inserted {
        "(inserted within this transaction) "
    } else {
        ""
    };
    Error::constraint(format!(
        "Deletion of {} weak reference(s) to deleted (or never-existing) rows from column \
         \"{name}\" in \"{table_name}\" row {uuid} {inserted}caused this column to become empty, \
         but constraints on this column disallow an empty column.",
        before.len() - after.len()
    ))
}

/// Brings the tables' lists of weak references up to date.
fn update_weak_references(draft: &mut Draft, schema: &Schema) {
    let mut updates: Vec<(TableId, WeakReference, bool)> = Vec::new();
    for ((table, uuid), old) in &draft.touched {
        let all_targets = |row: Option<&Arc<Row>>| {
            let mut all = BTreeSet::new();
            let Some(row) = row else { return all };
            for (id, column) in schema.table(*table).own_columns() {
                if column.column_type.has_weak_references() {
                    each_element(row.get(id), |key, value| {
                        all.extend(weak_targets(column, key, value));
                    });
                }
            }
            // A row's references to itself go with it anyway.
            all.remove(&(*table, *uuid));
            all
        };
        let before = all_targets(old.as_ref());
        let after = all_targets(draft.row(*table, uuid));
        let reference = |target: &RowId| WeakReference {
            target: target.1,
            source_table: *table,
            source: *uuid,
        };
        updates.extend(
            before
                .difference(&after)
                .map(|t| (t.0, reference(t), false)),
        );
        updates.extend(after.difference(&before).map(|t| (t.0, reference(t), true)));
    }
    for (table, reference, added) in updates {
        let table = draft.version.table_mut(table);
        if added {
            table.weak_insert(reference);
        } else {
            table.weak_remove(&reference);
        }
    }
}
