//! Runs the scripts in `tests/testdata/founding`: what happens to a node, and what it decides and says then.
//!
//! `node VARIABLES...` begins a node: `NODE_IPS=... LOCAL_IP=... LEADER_IP=...`, and `file=` says what
//! its file is (`nothing`, `joining`, `left`, `damaged`). A line `SECONDS EVENT` is an event: `refused A`, `silent A`,
//! `connected A`, `gone A`, `evidence A` and `sends A ID` (it behaves as a member, without and with a message), `says A FACT...` (a node of our kind; `cluster=ID` stands for the
//! message's head), `member A ID` and `calls A` (the reference, in a cluster and without one), `tick`. What comes of
//! it is told by indented lines: the new decision, and `says` what the others are told. `REWRITE=1` writes
//! what came into the files.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use ovsdb_cluster::wire::Announcement;
use uuid::Uuid;

use super::super::*;
use crate::command_line::RunFlags;
use crate::settings::{ClusterSettings, Settings};

#[test]
fn every_script_goes_as_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata/founding");
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .expect("testdata")
        .map(|entry| entry.expect("entry").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no scripts");
    let rewrite = std::env::var_os("REWRITE").is_some();
    let mut wrong = String::new();
    for path in paths {
        let told = std::fs::read_to_string(&path).expect("script");
        let came = run(&told);
        if rewrite {
            std::fs::write(&path, came).expect("rewrite");
        } else if came != told {
            let difference = told.lines().zip(came.lines()).find(|(a, b)| a != b);
            let _ = writeln!(wrong, "{}: {difference:?}", path.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn run(told: &str) -> String {
    let start = Instant::now();
    let mut node: Option<Founding> = None;
    let mut came = String::new();
    for line in told.lines().filter(|line| !line.starts_with(' ')) {
        let _ = writeln!(came, "{line}");
        let mut words = line.split_whitespace();
        match words.next() {
            None | Some("#") => {}
            Some("node") => {
                let begun = begin(words, start);
                let report = begun.report();
                tell(&mut came, Some(begun.decision()), Some(&report));
                node = Some(begun);
            }
            Some(seconds) => {
                let seconds: f64 = seconds.parse().expect(line);
                let now = start + Duration::from_secs_f64(seconds);
                let node = node.as_mut().expect("a node first");
                let news = node.on(event(words), now);
                tell(&mut came, news.decision.as_ref(), news.report.as_ref());
            }
        }
    }
    came
}

fn tell(came: &mut String, decision: Option<&Decision>, report: Option<&Report>) {
    if let Some(decision) = decision {
        let _ = writeln!(came, "    {decision}");
    }
    if let Some(report) = report {
        let announcement = report.announce(Announcement::new([])).to_string();
        let facts = announcement.split_once(' ').map_or("", |(_, facts)| facts);
        let _ = writeln!(came, "    says {facts}");
    }
}

fn begin<'a>(words: impl Iterator<Item = &'a str>, now: Instant) -> Founding {
    let pairs: Vec<(&str, &str)> = words.filter_map(|word| word.split_once('=')).collect();
    let value = |name: &str| {
        let found = pairs.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let past = match value("file").as_deref() {
        None | Some("nothing") => Past::Nothing,
        Some("joining") => Past::Joining,
        Some("left") => Past::Left,
        Some("damaged") => Past::Damaged,
        Some(other) => panic!("{other}"),
    };
    Founding::new(&settings(&value), past, &[], now)
}

/// The settings that the variables make.
pub(super) fn settings(value: &dyn Fn(&str) -> Option<String>) -> ClusterSettings {
    let environment = |name: &str| value(name).map(OsString::from);
    let settings = Settings::resolve(&RunFlags::default(), &environment).expect("settings");
    settings.cluster.expect("a cluster")
}

fn event<'a>(mut words: impl Iterator<Item = &'a str>) -> Event {
    let what = words.next().expect("an event");
    if what == "tick" {
        return Event::Tick;
    }
    let node: IpAddr = words.next().expect("a node").parse().expect("an address");
    let unreachable = |refused| Event::Unreachable { node, refused };
    let reference = |standing, called| Event::Heard {
        node,
        report: Report::foreign(standing),
        called,
    };
    match what {
        "refused" => unreachable(true),
        "silent" => unreachable(false),
        "connected" => Event::Connected(node),
        "gone" => Event::Gone(node),
        "evidence" => Event::Evidence {
            node,
            cluster: words.next().map(cluster),
            present: false,
        },
        "sends" => Event::Evidence {
            node,
            cluster: words.next().map(cluster),
            present: true,
        },
        "calls" => reference(Standing::Nothing, true),
        "member" => {
            let cluster = words.next().map(cluster);
            reference(Standing::unknown_member(cluster), false)
        }
        "says" => {
            let facts: Vec<&str> = words.collect();
            let text = format!("ovn-ic-db/1 {}", facts.join(" "));
            let announcement = Announcement::parse(&text).expect("an announcement");
            let cluster = announcement.fact("cluster").map(cluster);
            let report = Report::of(&announcement, cluster);
            let called = false;
            Event::Heard {
                node,
                report,
                called,
            }
        }
        other => panic!("{other}"),
    }
}

/// Clusters are numbered.
fn cluster(number: &str) -> Uuid {
    Uuid::from_u128(number.parse().expect("a number"))
}
