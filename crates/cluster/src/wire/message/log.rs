//! The entries of an append_request.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use ovsdb::json::{Json, write};

use super::MessageError;
use super::fields::Fields;
use super::members;
use crate::entry::{Entry, Index, Payload};
use crate::wire::frame::{Frame, FrameWriter};

/// Entries one after the other. A copy shares both them and their text, so that a batch that goes
/// to all peers is encoded once: give each of them a copy of one `Log`.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    entries: Vec<Entry>,
    text: OnceLock<Frame>,
}

impl Log {
    /// A batch of entries with consecutive indexes.
    pub fn new(entries: Vec<Entry>) -> Self {
        Log(Arc::new(Shared {
            entries,
            text: OnceLock::new(),
        }))
    }

    /// The entries, without a copy if nobody else has them.
    pub fn into_entries(self) -> Vec<Entry> {
        match Arc::try_unwrap(self.0) {
            Ok(shared) => shared.entries,
            Err(shared) => shared.entries.clone(),
        }
    }

    /// How many bytes their text has.
    pub fn text_len(&self) -> usize {
        self.text().len()
    }

    fn text(&self) -> &Frame {
        self.0.text.get_or_init(|| {
            let mut out = FrameWriter::default();
            for (place, entry) in self.0.entries.iter().enumerate() {
                if place > 0 {
                    out.bytes().push(b',');
                }
                write_entry(&mut out, entry);
            }
            out.finish()
        })
    }

    pub(super) fn write(&self, out: &mut FrameWriter) {
        out.bytes().push(b'[');
        out.share_frame(self.text());
        out.bytes().push(b']');
    }

    /// Reads the entries behind the one at `previous`.
    pub(super) fn parse(
        array: Json<'_>,
        text: &Bytes,
        previous: Index,
    ) -> Result<Log, MessageError> {
        if array.is_empty() {
            return Ok(Log::default());
        }
        let beyond = || MessageError::new("log index out of range");
        let first = previous.checked_add(1).ok_or_else(beyond)?;
        first.checked_add(array.len() as u64).ok_or_else(beyond)?;
        let entries = (first..).zip(array.elements());
        entries
            .map(|(index, json)| parse_entry(json, text, index))
            .collect::<Result<_, _>>()
            .map(Log::new)
    }
}

impl Deref for Log {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        &self.0.entries
    }
}

impl PartialEq for Log {
    fn eq(&self, other: &Log) -> bool {
        **self == **other
    }
}

impl Eq for Log {}

fn write_entry(out: &mut FrameWriter, entry: &Entry) {
    let bytes = out.bytes();
    bytes.extend_from_slice(b"{\"term\":");
    write::integer(bytes, entry.term.cast_signed());
    match &entry.payload {
        Payload::Empty => {}
        Payload::Data { eid, data } => {
            members::uuid(bytes, "eid", eid);
            members::name(bytes, "data");
            out.share(data);
        }
        Payload::Servers(servers) => members::servers(bytes, "servers", servers),
        Payload::ElectionTimer(timer) => members::number(bytes, "election_timer", *timer),
    }
    out.bytes().push(b'}');
}

/// An entry's place is not in its text: it follows from the message's.
fn parse_entry(json: Json<'_>, text: &Bytes, index: Index) -> Result<Entry, MessageError> {
    let mut fields = Fields::new(json, text)?;
    let term = fields.number("term")?;
    let data = fields.optional_data("data")?;
    let eid = match data {
        Some(_) => Some(fields.uuid("eid")?),
        None => None,
    };
    let servers = fields.optional_servers("servers")?;
    let timer = fields.number_or_zero("election_timer")?;
    fields.finish()?;
    let payload = match (data.zip(eid), servers, timer) {
        (None, None, 0) => Payload::Empty,
        (Some((data, eid)), None, 0) => Payload::Data { eid, data },
        (None, Some(servers), 0) => Payload::Servers(servers),
        (None, None, timer) => Payload::ElectionTimer(timer),
        _ => return Err(MessageError::new("log entry of more than one kind")),
    };
    Ok(Entry {
        term,
        index,
        payload,
    })
}
