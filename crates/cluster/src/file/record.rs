//! The records behind a clustered file's header.

use ovsdb::Error;
use ovsdb::json::Json;
use ovsdb::members::Members;

use super::fields::{self, Object};
use crate::entry::{Entry, Index, ServerId, Term};

/// The note of a server that has finished leaving its cluster.
pub const LEFT: &str = "left";
/// The note of a leader that asked another server to lead.
pub const TRANSFER_LEADERSHIP: &str = "transfer leadership";

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A log entry. One whose index is in the log already replaces that entry and all behind it.
    Entry(Entry),
    /// A new term, without a vote in it.
    Term(Term),
    /// A vote.
    Vote {
        /// The term that it counts in.
        term: Term,
        /// For whom.
        server: ServerId,
    },
    /// A leader, for people who read the file.
    Leader {
        /// Its term.
        term: Term,
        /// Who.
        server: ServerId,
    },
    /// Everything up to here is committed.
    CommitIndex(Index),
    /// An event: [`LEFT`], [`TRANSFER_LEADERSHIP`].
    Note(String),
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it says.
    pub fact: Fact,
    /// Why it was written, for people.
    pub comment: Option<String>,
}

impl From<Fact> for Record {
    fn from(fact: Fact) -> Record {
        Record {
            fact,
            comment: None,
        }
    }
}

impl Record {
    /// Reads a record.
    pub fn parse(json: Json<'_>) -> Result<Record, Error> {
        let members = Members::new(json, &"raft log record");
        let comment = fields::optional_string(&members, "comment").filter(|text| !text.is_empty());
        let fact = parse_fact(&members)?;
        members.finish()?;
        Ok(Record { fact, comment })
    }

    /// Appends the record.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::open(out);
        if let Some(comment) = &self.comment {
            object.string("comment", comment);
        }
        match &self.fact {
            Fact::Entry(entry) => write_entry_members(&mut object, entry),
            Fact::Term(term) => object.number("term", *term),
            Fact::Vote { term, server } => {
                object.number("term", *term);
                object.uuid("vote", server);
            }
            Fact::Leader { term, server } => {
                object.number("term", *term);
                object.uuid("leader", server);
            }
            Fact::CommitIndex(index) => object.number("commit_index", *index),
            Fact::Note(note) => object.string("note", note),
        }
        object.close();
    }
}

/// Appends the record of an entry.
pub fn write_entry(out: &mut Vec<u8>, entry: &Entry) {
    let mut object = Object::open(out);
    write_entry_members(&mut object, entry);
    object.close();
}

fn write_entry_members(object: &mut Object<'_>, entry: &Entry) {
    object.number("term", entry.term);
    object.number("index", entry.index);
    object.payload(&entry.payload);
}

/// The members tell the kind, and a number that is 0 is as good as missing, as in the reference.
fn parse_fact(members: &Members<'_>) -> Result<Fact, Error> {
    if let Some(note) = fields::optional_string(members, "note") {
        return Ok(Fact::Note(note));
    }
    let commit_index = fields::optional_number(members, "commit_index");
    if commit_index != 0 {
        return Ok(Fact::CommitIndex(commit_index));
    }
    let term = fields::required_number(members, "term");
    if let Some(server) = fields::optional_uuid(members, "leader") {
        if server.is_nil() {
            members.fail("record says leader is all-zeros SID".to_owned());
        }
        return Ok(Fact::Leader { term, server });
    }
    if let Some(server) = fields::optional_uuid(members, "vote") {
        if server.is_nil() {
            members.fail("record votes for all-zeros SID".to_owned());
        }
        return Ok(Fact::Vote { term, server });
    }
    let index = fields::optional_number(members, "index");
    if index == 0 {
        return Ok(Fact::Term(term));
    }
    Ok(Fact::Entry(Entry {
        term,
        index,
        payload: fields::parse_payload(members)?,
    }))
}
