//! A clustered file: the records by Raft's rules, and the contents by the entries that are left.

use std::collections::BTreeMap;

use ovsdb::json::Document;
use ovsdb_cluster::contents::{Applied, Contents, apply};
use ovsdb_cluster::entry::{Index, Payload};
use ovsdb_cluster::file::{Fact, Header, Origin, Record, Replay, Replayed};
use ovsdb_engine::Version;

use super::{Fault, Place, Problem, Records, words};

/// Replays a file, and applies its snapshot and all entries behind it, committed or not.
pub(super) fn read(records: &mut Records<'_>) -> Result<(Option<Version>, Replayed), Problem> {
    let mut replay: Option<(Replay, Place)> = None;
    // Where the log's entries are. One that is there again replaces all from it on.
    let mut places: BTreeMap<Index, Place> = BTreeMap::new();
    while let Some((place, text)) = records.next()? {
        let document = Document::parse(text).map_err(|error| place.fault(error.to_string()))?;
        let Some((replay, _)) = &mut replay else {
            let header = Header::parse(document.root());
            let header = header.map_err(|error| place.fault(words(&error)))?;
            replay = Some((Replay::new(header), place));
            continue;
        };
        let record = Record::parse(document.root());
        let record = record.map_err(|error| place.fault(words(&error)))?;
        let entry = match &record.fact {
            Fact::Entry(entry) => Some(entry.index),
            _ => None,
        };
        replay.apply(record).map_err(|reason| place.fault(reason))?;
        if let Some(index) = entry {
            places.split_off(&index);
            places.insert(index, place);
        }
    }
    let Some((replay, head)) = replay else {
        return Err(Problem::Fault(Fault {
            place: None,
            reason: "there is no header".to_owned(),
        }));
    };
    let replayed = replay.finish();
    let version = contents(&replayed, head, &places)?;
    Ok((version, replayed))
}

fn contents(
    replayed: &Replayed,
    head: Place,
    places: &BTreeMap<Index, Place>,
) -> Result<Option<Version>, Problem> {
    let Origin::Snapshot(snapshot) = &replayed.header.origin else {
        return Ok(None);
    };
    let start = Contents::read(snapshot.meta.clone(), snapshot.data.clone());
    let mut version = start.map_err(|error| head.fault(words(&error)))?.version;
    let name = &replayed.header.identity.name;
    if *version.schema().name != **name {
        let other = &version.schema().name;
        let reason = format!("the header says {name}, but the schema is that of {other}");
        return Err(head.fault(reason));
    }
    for entry in replayed.entries.iter() {
        let Payload::Data { eid, data } = &entry.payload else {
            continue;
        };
        let place = places.get(&entry.index).copied().unwrap_or(head);
        version = match apply(Some(&version), data, *eid) {
            Ok(Applied::Changed(version, _) | Applied::Replaced(version)) => version,
            Err(error) => {
                let words = words(&error);
                let reason = format!("the transaction of index {} fails: {words}", entry.index);
                return Err(place.fault(reason));
            }
        };
    }
    Ok(Some(version))
}
