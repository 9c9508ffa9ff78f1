//! Requests to control sockets.

use std::io;
use std::sync::{Arc, LazyLock};

use ovsdb::json::{Document, Kind};
use ovsdb_cluster::wire::Address;
use ovsdb_server::cluster_control::{self, Members};
use ovsdb_server::control::{Answer, Commands};
use ovsdb_server::log_control::{self, Destination, Facility, Level, LogControl, ModuleLevels};
use ovsdb_server::remote::Remote;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

static COMMANDS: LazyLock<Commands> = LazyLock::new(|| {
    let mut commands = Commands::new("fuzzed 1.0");
    log_control::register(&mut commands, Arc::new(NoLog));
    cluster_control::register(&mut commands, &Arc::new(Members::default()));
    commands.register("remotes", Some("REMOTE..."), 1, 5, |remotes| {
        std::future::ready(read_remotes(&remotes))
    });
    commands
});

/// Every request is answered with a reply that names it, or its connection is closed.
pub fn run(data: &[u8]) {
    let Ok(request) = Document::parse(data) else {
        return;
    };
    let Ok(answer) = RUNTIME.block_on(COMMANDS.answer(request.root())) else {
        return;
    };
    let answer = Document::parse(answer).expect("an answer is JSON");
    let member = |name| answer.root().member(name).expect("a member");
    let id = request.root().members();
    let ids: Vec<_> = id.filter(|(name, _)| name.is_string("id")).collect();
    let asked = ids.last().map(|(_, id)| id.canonical());
    assert_eq!(Some(member("id").canonical()), asked);
    let kinds = (member("result").kind(), member("error").kind());
    assert!(matches!(
        kinds,
        (Kind::String, Kind::Null) | (Kind::Null, Kind::String)
    ));
}

/// The names of remotes, which are printed as they were read.
fn read_remotes(remotes: &[String]) -> Answer {
    let mut known = Vec::new();
    for remote in remotes {
        if let Ok(remote) = remote.parse::<Remote>() {
            known.push(format!("{remote:?}"));
        }
        if let Ok(address) = remote.parse::<Address>() {
            let again = address.to_string();
            assert_eq!(again.parse(), Ok(address));
            known.push(again);
        }
    }
    match known.is_empty() {
        true => Err("no remote".to_owned()),
        false => Ok(known.join("\n")),
    }
}

/// A log with one module and no file.
struct NoLog;

impl LogControl for NoLog {
    fn modules(&self) -> &'static [&'static str] {
        &["all"]
    }

    fn levels(&self) -> Vec<ModuleLevels> {
        vec![ModuleLevels {
            module: "all".to_owned(),
            console: Level::Off,
            syslog: Level::Error,
            file: Level::Info,
            limited: true,
        }]
    }

    fn set_level(&self, _: Option<&str>, _: Option<Destination>, _: Level) {}

    fn pattern(&self, _: Destination) -> (String, String) {
        ("%m".to_owned(), String::new())
    }

    fn set_pattern(&self, _: Option<Destination>, _: &str) {}

    fn set_facility(&self, _: Facility) {}

    fn limit_rate(&self, _: Option<&str>, _: bool) {}

    fn say(&self, _: &str) {}

    fn reopen(&self) -> Option<io::Result<()>> {
        None
    }

    fn close(&self) {}
}
