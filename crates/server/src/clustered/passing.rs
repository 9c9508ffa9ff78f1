//! Transactions that a follower of our kind passes on to its leader: their messages.
//!
//! A follower numbers its transactions, gives each an id, and sends them as the client has written
//! them. The leader executes a number at most once in a term, and keeps its answer until the follower
//! has said that it has it; so a follower that has lost its connection sends all again that
//! are not answered. A server that does not lead in that term, or not yet, says so by a message
//! without answers, and the follower sends all again in a while. After a change of leader the id tells, in the log, whether one was executed.

use std::sync::Arc;

use bytes::Bytes;
use ovsdb::Uuid;
use ovsdb::json::{Document, Json, write};
use ovsdb_engine::Role;

/// The kind of the message with transactions.
pub const TRANSACTIONS: &str = "transactions";
/// The kind of the message with their answers.
pub const ANSWERS: &str = "answers";

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOn {
    /// Larger than those that its follower has sent before.
    pub number: u64,
    /// Its id, in the log.
    pub id: Uuid,
    /// Milliseconds since the request came.
    pub elapsed: u64,
    /// What its client may do.
    pub limits: Limits,
    /// The request's `params`.
    pub text: Bytes,
}

/// What the client that asks may do.
///
/// In a message they stand before the request, in an array of their own, and only where there are
/// any: a leader that does not know of them takes them for the request, and refuses that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Only reads are allowed.
    pub read_only: bool,
    /// What it may change is up to this.
    pub role: Option<Arc<Role>>,
}

impl Limits {
    fn write(&self, out: &mut Vec<u8>) {
        let Limits { read_only, role } = self;
        if !read_only && role.is_none() {
            return;
        }
        out.extend_from_slice(if *read_only { b"[true" } else { b"[false" });
        let names = role
            .iter()
            .flat_map(|role| [Some(role.name()), role.client()]);
        for name in names.flatten() {
            out.push(b',');
            write::string(out, name);
        }
        out.extend_from_slice(b"],");
    }

    fn read(json: Json<'_>) -> Option<Limits> {
        let name = |place| match json.element(place) {
            None => Some(None),
            Some(name) => name.string().map(Some),
        };
        let client = name(2)?;
        let role = name(1)?.and_then(|role| Role::new(&role, client.as_deref()));
        Some(Limits {
            read_only: json.element(0)?.boolean()?,
            role: role.map(Arc::new),
        })
    }
}

/// Transactions of one follower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transactions {
    /// Drawn anew at each start of the follower.
    pub incarnation: Uuid,
    /// In which they are to be executed.
    pub term: u64,
    /// All with smaller numbers have been answered.
    pub answered: u64,
    /// In the order of their numbers.
    pub all: Vec<PassedOn>,
}

/// What a leader says to one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// These are its results, and what it did is in the log up to the answer's index.
    Results(Bytes),
    /// It was not executed, as a `wait` does not hold or its schema is over: the follower looks
    /// again when it has applied the log up to the answer's index.
    NotExecuted,
}

/// A leader's answer to a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The transaction's.
    pub number: u64,
    /// How far the log has been applied.
    pub index: u64,
    /// What is said.
    pub verdict: Verdict,
}

/// Answers to one follower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// The follower's, as in the transactions.
    pub incarnation: Uuid,
    /// In which they were executed.
    pub term: u64,
    /// None where the receiver does not take transactions now.
    pub all: Vec<Answer>,
}

fn number(out: &mut Vec<u8>, number: u64) {
    write::integer(out, i64::try_from(number).unwrap_or(i64::MAX));
    out.push(b',');
}

fn uuid(out: &mut Vec<u8>, uuid: &Uuid) {
    out.push(b'"');
    out.extend_from_slice(uuid.to_string().as_bytes());
    out.extend_from_slice(b"\",");
}

fn list<T>(out: &mut Vec<u8>, all: &[T], element: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (place, each) in all.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.push(b'[');
        element(out, each);
        out.push(b']');
    }
    out.push(b']');
}

impl Transactions {
    /// The message.
    pub fn write(&self) -> Bytes {
        let text: usize = self.all.iter().map(|one| one.text.len() + 80).sum();
        let mut out = Vec::with_capacity(text + 100);
        out.push(b'[');
        uuid(&mut out, &self.incarnation);
        number(&mut out, self.term);
        number(&mut out, self.answered);
        list(&mut out, &self.all, |out, one| {
            number(out, one.number);
            uuid(out, &one.id);
            number(out, one.elapsed);
            one.limits.write(out);
            out.extend_from_slice(&one.text);
        });
        out.push(b']');
        out.into()
    }

    /// The transactions in a message, if it is one.
    pub fn read(data: &Bytes) -> Option<Transactions> {
        let document = Document::parse(data.clone()).ok()?;
        let root = document.root();
        let mut all = Vec::new();
        for one in root.element(3)?.elements() {
            let (limits, text) = match one.element(4) {
                None => (Limits::default(), one.element(3)?),
                Some(text) => (Limits::read(one.element(3)?)?, text),
            };
            all.push(PassedOn {
                number: read_number(one.element(0)?)?,
                id: read_uuid(one.element(1)?)?,
                elapsed: read_number(one.element(2)?)?,
                limits,
                text: Bytes::copy_from_slice(text.source()),
            });
        }
        Some(Transactions {
            incarnation: read_uuid(root.element(0)?)?,
            term: read_number(root.element(1)?)?,
            answered: read_number(root.element(2)?)?,
            all,
        })
    }
}

impl Answers {
    /// The message.
    pub fn write(&self) -> Bytes {
        let mut out = vec![b'['];
        uuid(&mut out, &self.incarnation);
        number(&mut out, self.term);
        list(&mut out, &self.all, |out, one| {
            number(out, one.number);
            number(out, one.index);
            match &one.verdict {
                Verdict::Results(results) => out.extend_from_slice(results),
                Verdict::NotExecuted => out.extend_from_slice(b"null"),
            }
        });
        out.push(b']');
        out.into()
    }

    /// The answers in a message, if it is one.
    pub fn read(data: &Bytes) -> Option<Answers> {
        let document = Document::parse(data.clone()).ok()?;
        let root = document.root();
        let mut all = Vec::new();
        for one in root.element(2)?.elements() {
            let results = one.element(2)?;
            all.push(Answer {
                number: read_number(one.element(0)?)?,
                index: read_number(one.element(1)?)?,
                verdict: match results.kind() {
                    ovsdb::json::Kind::Null => Verdict::NotExecuted,
                    _ => Verdict::Results(Bytes::copy_from_slice(results.source())),
                },
            });
        }
        Some(Answers {
            incarnation: read_uuid(root.element(0)?)?,
            term: read_number(root.element(1)?)?,
            all,
        })
    }
}

fn read_number(json: Json<'_>) -> Option<u64> {
    u64::try_from(json.integer()?).ok()
}

fn read_uuid(json: Json<'_>) -> Option<Uuid> {
    json.string()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_back() {
        let limits = |read_only, role: &str, client| Limits {
            read_only,
            role: Role::new(role, client).map(Arc::new),
        };
        let transactions = Transactions {
            incarnation: Uuid::from_u128(7),
            term: 3,
            answered: 5,
            all: vec![
                PassedOn {
                    number: 5,
                    id: Uuid::from_u128(8),
                    elapsed: 2,
                    limits: Limits::default(),
                    text: Bytes::from_static(br#"["db",{"op":"comment","comment":"a\nb"}]"#),
                },
                PassedOn {
                    number: 6,
                    id: Uuid::from_u128(9),
                    elapsed: 0,
                    limits: limits(true, "", None),
                    text: Bytes::from_static(br#"["db"]"#),
                },
                PassedOn {
                    number: 7,
                    id: Uuid::from_u128(10),
                    elapsed: 0,
                    limits: limits(false, "a \"role\"", None),
                    text: Bytes::from_static(br#"["db"]"#),
                },
                PassedOn {
                    number: 8,
                    id: Uuid::from_u128(11),
                    elapsed: 0,
                    limits: limits(true, "role", Some("client")),
                    text: Bytes::from_static(br#"["db"]"#),
                },
            ],
        };
        let read = Transactions::read(&transactions.write());
        assert_eq!(read, Some(transactions));
        let answers = Answers {
            incarnation: Uuid::from_u128(7),
            term: 3,
            all: vec![
                Answer {
                    number: 5,
                    index: 12,
                    verdict: Verdict::Results(Bytes::from_static(b"[{}]")),
                },
                Answer {
                    number: 6,
                    index: 12,
                    verdict: Verdict::NotExecuted,
                },
            ],
        };
        assert_eq!(Answers::read(&answers.write()), Some(answers));
    }

    #[test]
    fn what_is_no_message() {
        for text in ["", "[]", "[1,2,3,4]", "{}", r#"["x",1,2,[[1]]]"#, "null"] {
            let data = Bytes::copy_from_slice(text.as_bytes());
            assert_eq!(Transactions::read(&data), None, "{text}");
            assert_eq!(Answers::read(&data), None, "{text}");
        }
        let id = Uuid::from_u128(7);
        for (limits, is_good) in [
            ("[false]", true),
            (r#"[false,"role"]"#, true),
            (r#"["role"]"#, false),
            ("[]", false),
            ("null", false),
            ("[true,1]", false),
            (r#"[true,"role",null]"#, false),
        ] {
            let text = format!(r#"["{id}",1,2,[[1,"{id}",0,{limits},["db"]]]]"#);
            let read = Transactions::read(&Bytes::from(text));
            assert_eq!(read.is_some(), is_good, "{limits}");
        }
    }
}
