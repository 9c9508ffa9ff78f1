//! A standalone file: the schema, then transactions.

use std::sync::Arc;

use ovsdb::json::Document;
use ovsdb::{Schema, Uuid};
use ovsdb_engine::Version;
use ovsdb_engine::record::{self, Strictness};

use super::{Fault, Problem, Records, words};

/// Replays a file with all the checks of a transaction.
pub(super) fn read(records: &mut Records<'_>) -> Result<Version, Problem> {
    let mut version: Option<Version> = None;
    while let Some((place, text)) = records.next()? {
        let Some(before) = version.take() else {
            let schema = Schema::from_text(text).map_err(|error| place.fault(words(&error)))?;
            version = Some(Version::empty(Arc::new(schema)));
            continue;
        };
        let document = Document::parse(text).map_err(|error| place.fault(error.to_string()))?;
        let applied = record::replay(
            before,
            document.root(),
            Strictness::Exact,
            &mut Uuid::new_v4,
        );
        version = Some(applied.map_err(|error| place.fault(words(&error)))?.0);
    }
    version.ok_or_else(|| {
        Problem::Fault(Fault {
            place: None,
            reason: "there is no schema".to_owned(),
        })
    })
}
