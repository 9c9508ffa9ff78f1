//! Clustered databases' files, and what is in their entries.

use bytes::Bytes;
use ovsdb::json::Document;
use ovsdb_cluster::contents::{Applied, Contents, apply};
use ovsdb_cluster::entry::Payload;
use ovsdb_cluster::file::{ClusterFile, Header, Origin, Record};
use ovsdb_engine::Version;
use ovsdb_log::{Lock, Magic, Reader};

use crate::contents::text;
use crate::files::{OneFile, bytes};

/// A file is replayed, and its log applied; each of its records is written as it was read.
pub fn run(data: &[u8]) {
    let Some(bytes) = bytes(data, Magic::Cluster) else {
        return;
    };
    let place = OneFile::new(&bytes);
    read_records(&place);
    let lock = Lock::acquire(&place.path).expect("the lock");
    let Ok(file) = ClusterFile::open(place.disk.mount(), lock) else {
        return;
    };
    let replayed = file.replayed();
    let _ = (replayed.standing(), replayed.last_eid(), replayed.servers());
    let Origin::Snapshot(snapshot) = &replayed.header.origin else {
        return;
    };
    let Ok(contents) = Contents::read(snapshot.meta.clone(), snapshot.data.clone()) else {
        return;
    };
    let again = Contents::read(snapshot.meta.clone(), written(&contents)).expect("contents");
    assert_eq!(text(&again.version), text(&contents.version));
    let mut now = contents.version;
    for entry in replayed.entries.iter() {
        if let Payload::Data { eid, data } = &entry.payload
            && let Some(next) = applied(&now, data, *eid)
        {
            now = next;
        }
    }
    text(&now);
}

fn written(contents: &Contents) -> Bytes {
    Contents::new(contents.meta.clone(), contents.version.clone()).text()
}

fn applied(version: &Version, data: &Bytes, eid: ovsdb::Uuid) -> Option<Version> {
    match apply(Some(version), data, eid).ok()? {
        Applied::Changed(next, _) | Applied::Replaced(next) => Some(next),
    }
}

fn read_records(place: &OneFile) {
    let fs = place.disk.mount();
    let Ok(mut reader) = Reader::open(&*fs, &place.path, Some(Magic::Cluster)) else {
        return;
    };
    while let Ok(Some(record)) = reader.next_record() {
        let Ok(document) = Document::parse(record.json) else {
            continue;
        };
        let mut out = Vec::new();
        if let Ok(header) = Header::parse(document.root()) {
            header.write(&mut out);
            let again = Document::parse(&out[..]).expect("a header is JSON");
            assert_eq!(Header::parse(again.root()), Ok(header));
        }
        out.clear();
        if let Ok(record) = Record::parse(document.root()) {
            record.write(&mut out);
            let again = Document::parse(&out[..]).expect("a record is JSON");
            assert_eq!(Record::parse(again.root()), Ok(record));
        }
    }
}
