//! Schemas, and conversions to them.

use std::sync::Arc;

use ovsdb::Schema;
use ovsdb_engine::{Version, convert};

use crate::contents::{Drawn, check, version};

/// A schema's text is read, printed and read again; contents are converted to it where they can be.
pub fn run(data: &[u8]) {
    let Ok(schema) = Schema::from_text(data) else {
        return;
    };
    let printed = schema.to_json();
    let again = Schema::from_text(printed.as_bytes()).expect("what is printed is a schema");
    assert_eq!(again, schema);
    assert_eq!(again.to_json(), printed);
    let schema = Arc::new(schema);
    let empty = Version::empty(schema.clone());
    let mut drawn = Drawn(1 << 32);
    if let Ok(converted) = convert::convert(&version(), schema, &mut || drawn.next()) {
        let changes = ovsdb_engine::Changes::between(&empty, &converted);
        check(&empty, &converted, &changes);
    }
}
