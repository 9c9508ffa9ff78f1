//! What clients ask to be told of, and what they are told.

use ovsdb::json::Document;
use ovsdb_engine::monitor::Format;
use ovsdb_engine::{Changes, Monitor, Outcome, Transaction};

use crate::contents::{Drawn, free, version};

/// The first byte says which method it is. The first line has the requests, the second one other
/// conditions, each further one a transaction.
pub fn run(data: &[u8]) {
    let Some((format, lines)) = data.split_first() else {
        return;
    };
    let format = match format % 3 {
        0 => Format::Update,
        1 => Format::Update2,
        _ => Format::Update3,
    };
    let mut lines = lines.split(|byte| *byte == b'\n');
    let mut next = || lines.next().and_then(|line| Document::parse(line).ok());
    let mut now = version();
    let Some(requests) = next() else { return };
    let Ok(mut monitor) = Monitor::parse(requests.root(), format, now.schema()) else {
        return;
    };
    is_json(Some(monitor.initial(&now)));
    if let Some(conditions) = next()
        && let Ok(other) = monitor.with_conditions(conditions.root(), now.schema())
    {
        is_json(monitor.condition_change(&other, &now));
        let back = other.condition_change(&other, &now);
        assert_eq!(back, None, "the same conditions change nothing");
        monitor = other;
    }
    let mut drawn = Drawn(1 << 32);
    while let Some(params) = next() {
        let transaction = Transaction::parse(params.root(), now.schema(), || drawn.next());
        let outcome = transaction.execute(&now, &mut free(&mut || drawn.next()));
        if let Outcome::Done {
            version, changes, ..
        } = outcome
        {
            is_json(monitor.update(&changes));
            let none = Changes::none(now.schema().clone());
            assert_eq!(monitor.update(&none), None, "nothing has changed");
            now = version;
        }
    }
    is_json(Some(monitor.initial(&now)));
}

fn is_json(text: Option<Vec<u8>>) {
    if let Some(text) = text {
        Document::parse(text).expect("an update is JSON");
    }
}
