//! Committing a draft: the checks that wait for the end of a transaction, in the reference's
//! order.

use std::sync::Arc;

use ovsdb::{Error, Uuid};

use crate::changes::{Changes, RowChange};
use crate::draft::Draft;
use crate::version::Version;
use crate::{references, unique};

/// Checks a draft and makes it a version. Without changes it is the version that it began from.
pub(crate) fn commit(
    draft: Draft,
    new_uuid: &mut dyn FnMut() -> Uuid,
) -> Result<(Version, Changes), Error> {
    finish(draft, Some(new_uuid))
}

/// The same for rows that have their `_version`s from another server.
pub(crate) fn commit_as_given(draft: Draft) -> Result<(Version, Changes), Error> {
    finish(draft, None)
}

fn finish(
    mut draft: Draft,
    mut new_uuid: Option<&mut dyn FnMut() -> Uuid>,
) -> Result<(Version, Changes), Error> {
    let schema = draft.version.schema().clone();
    draft.drop_unchanged();
    if draft.touched.is_empty() {
        return Ok((draft.version, Changes::none(schema)));
    }
    references::settle(&mut draft)?;
    draft.drop_unchanged();
    unique::settle(&mut draft)?;
    let Draft {
        mut version,
        touched,
    } = draft;
    let mut rows = Vec::with_capacity(touched.len());
    for ((table, uuid), old) in touched {
        let mut new = version.row(table, &uuid).cloned();
        if let (Some(_), Some(row), Some(new_uuid)) = (&old, &mut new, &mut new_uuid) {
            Arc::make_mut(row).set_version(new_uuid());
            version.table_mut(table).insert(row.clone());
        }
        rows.push((table, RowChange { uuid, old, new }));
    }
    let changes = Changes::from_sorted(schema, rows);
    if !changes.is_empty() {
        version.advance();
    }
    Ok((version, changes))
}
