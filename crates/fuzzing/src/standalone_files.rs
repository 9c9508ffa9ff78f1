//! Standalone databases' files.

use ovsdb_log::Magic;
use ovsdb_server::standalone::File;

use crate::contents::text;
use crate::files::{OneFile, bytes};

/// A file that can be read is written anew, and has the same contents then.
pub fn run(data: &[u8]) {
    let Some(bytes) = bytes(data, Magic::Json) else {
        return;
    };
    let place = OneFile::new(&bytes);
    let opened = File::open_on(place.disk.mount(), &place.path);
    assert_eq!(
        place.disk.read(&place.path).as_deref(),
        Some(&bytes[..]),
        "reading changes nothing"
    );
    let Ok(mut file) = opened else { return };
    let before = file.version().clone();
    if file.rewrite(before.clone()).is_err() {
        return;
    }
    drop(file);
    let file = File::open_on(place.disk.mount(), &place.path).expect("what was written");
    assert!(file.torn().is_none());
    assert_eq!(file.version().schema(), before.schema());
    assert_eq!(text(file.version()), text(&before));
}
