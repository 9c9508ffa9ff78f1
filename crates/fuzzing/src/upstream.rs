//! What another server says to a relay or a standby of its database, without a connection.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use bytes::Bytes;
use ovsdb::json::{Document, Scanner};
use ovsdb::message::Message;
use ovsdb::{Schema, Uuid};
use ovsdb_engine::{Changes, Transaction, Version};
use ovsdb_server::database::{Answer, Database, Job, JobKey};
use ovsdb_server::ordering::Unbacked;
use ovsdb_server::relay::Relay;
use ovsdb_server::replication::{ExcludedTables, Phase, Replication};
use ovsdb_server::service::Service;
use ovsdb_server::upstream::testing::{Heard, Left};
use ovsdb_server::upstream::{Remotes, Settings};
use tokio::runtime::{Builder, Runtime};

use crate::contents::{Drawn, check, version};
use crate::telling;

/// How many lines of one input are heard.
const MOST: usize = 32;
const NAME: &str = "D";
const METHODS: [&str; 12] = [
    "get_schema",
    "get_server_id",
    "list_dbs",
    "set_db_change_aware",
    "monitor",
    "monitor_cond",
    "monitor_cond_since",
    "monitor_cancel",
    "transact",
    "convert",
    "echo",
    "cancel",
];

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
});

/// The first byte says who listens: a relay, or a standby (bit 0); whether there are two servers to
/// choose from (bit 1), and whether a table is kept back (bit 2). Each line begins with what it is:
/// - `{`: a message as it is;
/// - `=`, `!`: the result, or the error, of what was asked last;
/// - `r`, `e`: the result, or the error, of the first transaction that has none;
/// - `t`: a client's transaction;
/// - `-`: the connection is lost, and there is another one.
///
/// What is refused changes nothing; each transaction has one end.
pub fn run(data: &[u8]) {
    let Some((flags, lines)) = data.split_first() else {
        return;
    };
    RUNTIME.block_on(async {
        let service = Service::new().expect("a service");
        let mut play = Play::new(&service, *flags);
        play.begin();
        for line in lines.split(|byte| *byte == b'\n').take(MOST) {
            let Some((kind, rest)) = line.split_first() else {
                continue;
            };
            if !play.step(*kind, line, rest) {
                break;
            }
        }
        play.finish(&service).await;
    });
}

/// Who listens.
enum Side {
    Relay(Arc<Relay>),
    Standby(Arc<Database>, Replication),
}

struct Play {
    side: Side,
    heard: Heard,
    /// The number of the last request, and of those of transactions.
    asked: u64,
    passed_on: Vec<u64>,
    last: u64,
    jobs: Vec<Arc<Ends>>,
}

impl Play {
    fn new(service: &Arc<Service>, flags: u8) -> Play {
        let remotes = match flags & 2 {
            0 => "tcp:127.0.0.1:1",
            _ => "tcp:127.0.0.1:1,tcp:127.0.0.1:2",
        };
        let settings = Settings::new(Remotes::parse(remotes, Path::new("/")));
        let (side, heard) = if flags & 1 == 0 {
            let (relay, heard) = Relay::heard(service, NAME, settings).expect("no other");
            (Side::Relay(relay), heard)
        } else {
            let database = service.add(version(), Box::new(Unbacked));
            let database = database.expect("no other");
            let excluded = ExcludedTables::parse(if flags & 4 == 0 { "" } else { "P" }, NAME);
            let own = Uuid::from_u128(1);
            let (standby, heard) = Replication::heard(&database, own, settings, excluded);
            (Side::Standby(database, standby), heard)
        };
        Play {
            side,
            heard,
            asked: 0,
            passed_on: Vec::new(),
            last: 0,
            jobs: Vec::new(),
        }
    }

    fn database(&self) -> Option<Arc<Database>> {
        match &self.side {
            Side::Relay(relay) => relay.database(),
            Side::Standby(database, _) => Some(database.clone()),
        }
    }

    fn contents(&self) -> Option<Version> {
        let database = self.database()?;
        Some(database.committed().version.clone())
    }

    fn begin(&mut self) {
        self.passed_on.clear();
        self.heard.begin();
        let first = self.listen();
        let wanted = match self.side {
            Side::Relay(_) => "get_schema",
            Side::Standby(..) => "get_server_id",
        };
        assert_eq!(first, [wanted]);
    }

    /// Takes note of what this side says.
    fn listen(&mut self) -> Vec<String> {
        let said = self.heard.said();
        let mut methods = Vec::new();
        let mut rest = &said[..];
        let mut scanner = Scanner::new();
        while let Some(length) = scanner.scan(rest).expect("JSON") {
            let document = Document::parse(&rest[..length]).expect("JSON");
            let message = Message::parse(document.root()).expect("a message");
            let Message::Request { method, id, .. } = message else {
                panic!("this side only asks");
            };
            let number = id.integer().and_then(|id| u64::try_from(id).ok());
            let number = number.expect("a number");
            assert!(number > self.last, "each request has a number of its own");
            self.last = number;
            assert!(METHODS.contains(&&*method), "{method}");
            match &*method {
                "transact" | "convert" => self.passed_on.push(number),
                _ => self.asked = number,
            }
            methods.push(method.to_string());
            rest = &rest[length..];
            scanner = Scanner::new();
        }
        assert!(rest.is_empty(), "messages are whole");
        methods
    }

    /// False when this side has left for good.
    fn step(&mut self, kind: u8, line: &[u8], rest: &[u8]) -> bool {
        let reply = |id: u64, result: &[u8], error: &[u8]| {
            let mut text = format!("{{\"id\":{id},\"result\":").into_bytes();
            text.extend_from_slice(result);
            text.extend_from_slice(b",\"error\":");
            text.extend_from_slice(error);
            text.push(b'}');
            text
        };
        let mut first = || match self.passed_on.is_empty() {
            true => 0,
            false => self.passed_on.remove(0),
        };
        let said = match kind {
            b'{' => line.to_vec(),
            b'=' => reply(self.asked, rest, b"null"),
            b'!' => reply(self.asked, b"null", rest),
            b'r' => reply(first(), rest, b"null"),
            b'e' => reply(first(), b"null", rest),
            b't' => {
                self.ask(rest);
                return self.look();
            }
            b'-' => {
                self.heard.end();
                self.begin();
                return true;
            }
            _ => return true,
        };
        let Ok(document) = Document::parse(said) else {
            return true;
        };
        let before = self.contents();
        let heard = self.heard.hear(document.root());
        let after = self.contents();
        match heard {
            Ok(()) => {
                if let Some(after) = after {
                    judge(before.as_ref(), &after);
                }
                self.look()
            }
            Err(left) => {
                if let (Some(before), Some(after)) = (&before, &after) {
                    assert_eq!(before.sequence(), after.sequence(), "nothing has changed");
                    assert_eq!(before.id(), after.id());
                    assert!(Arc::ptr_eq(before.schema(), after.schema()));
                }
                assert_eq!(before.is_some(), after.is_some());
                self.leave(&left)
            }
        }
    }

    fn look(&mut self) -> bool {
        let looked = self.heard.look();
        self.listen();
        match looked {
            Ok(()) => true,
            Err(left) => self.leave(&left),
        }
    }

    fn leave(&mut self, left: &Left) -> bool {
        self.heard.end();
        if let Side::Standby(_, standby) = &self.side {
            let failed = standby.phase() == Phase::Failed;
            assert_eq!(failed, !left.comes_back, "{left:?}");
        } else {
            assert!(left.comes_back, "a relay tries again");
        }
        if left.comes_back {
            self.begin();
        }
        left.comes_back
    }

    /// A client asks for something.
    fn ask(&mut self, text: &[u8]) {
        let (Some(database), Ok(document)) = (self.database(), Document::parse(text)) else {
            return;
        };
        let schema = database.committed().version.schema().clone();
        let mut drawn = Drawn(1 << 32);
        let ends = Arc::new(Ends::default());
        let number = self.jobs.len() as u64;
        self.jobs.push(ends.clone());
        database.submit(Job {
            key: JobKey {
                session: number % 2,
                number,
            },
            order: 0,
            transaction: Transaction::parse(document.root(), &schema, || drawn.next()),
            read_only: false,
            role: None,
            arrived: Instant::now(),
            owns_lock: Arc::new(|name| name == "mine"),
            answer: ends,
            text: Bytes::copy_from_slice(text),
            id: None,
            passed_on_in: None,
        });
    }

    async fn finish(mut self, service: &Arc<Service>) {
        self.heard.end();
        match &self.side {
            Side::Relay(relay) => relay.stop().await,
            Side::Standby(_, standby) => standby.stop(),
        }
        let is_relay = matches!(self.side, Side::Relay(_));
        service.remove(NAME);
        for ends in &self.jobs {
            let ends = ends.0.load(Ordering::Relaxed);
            assert!(ends <= 1, "a transaction has one end");
            // A standby's clients may wait for what does not come.
            assert!(ends == 1 || !is_relay, "a transaction has an end");
        }
    }
}

/// Checks what a copy has become.
fn judge(before: Option<&Version>, after: &Version) {
    let empty = Version::empty(after.schema().clone());
    let before = match before {
        Some(before) if Arc::ptr_eq(before.schema(), after.schema()) => before,
        _ => &empty,
    };
    if before.sequence() == after.sequence() && before.id() == after.id() {
        telling::assert_same(before, after);
        return;
    }
    if has_lawful_defaults(after.schema()) {
        let begun = before.clone().with_sequence(0);
        let changes = Changes::between(&begun, after);
        check(&begun, after, &changes);
        telling::check(&begun, after, &changes);
    }
}

/// False where a column that nobody sets has a value that its type forbids.
fn has_lawful_defaults(schema: &Schema) -> bool {
    let columns = schema.all_tables().flat_map(|(_, table)| &table.columns);
    columns.into_iter().all(|column| {
        let column_type = &column.column_type;
        let default = column_type.default_datum();
        let pairs = default.pairs().iter();
        let keys = default
            .atoms()
            .iter()
            .chain(pairs.clone().map(|(key, _)| key));
        keys.into_iter()
            .all(|key| column_type.key.check(key).is_ok())
            && pairs.into_iter().all(|(_, value)| {
                let base = column_type.value.as_ref();
                base.is_none_or(|base| base.check(value).is_ok())
            })
    })
}

/// A client's transaction: how often it has ended.
#[derive(Default)]
struct Ends(AtomicUsize);

impl Ends {
    fn end(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Answer for Ends {
    fn done(&self, _: Vec<u8>) {
        self.end();
    }

    fn refused(&self, _: Vec<u8>) {
        self.end();
    }

    fn blocked(&self, _: Option<u64>) {}

    fn canceled(&self) {
        self.end();
    }

    fn unknown(&self) {
        self.end();
    }
}
