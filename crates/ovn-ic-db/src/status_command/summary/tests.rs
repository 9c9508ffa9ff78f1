use ovsdb_cluster::status::{LogStatus, Phase};
use ovsdb_server::report::{ContentsReport, FileReport, LoadReport, ProcessReport, Recent};

use super::*;

fn id(n: u8) -> Uuid {
    Uuid::from_u128(u128::from(n) << 112)
}

fn report(rows: u64) -> DatabaseReport {
    DatabaseReport {
        name: "D".to_owned(),
        process: ProcessReport {
            program: "p 1".to_owned(),
            id: 1,
            uptime: 5,
            memory: Some(9),
        },
        contents: Some(ContentsReport {
            schema_version: "1.2.3".to_owned(),
            schema_checksum: String::new(),
            rows: BTreeMap::from([("T".to_owned(), rows)]),
            commits: 4,
        }),
        load: None,
        problem: None,
        file: Some(FileReport {
            path: "/f".to_owned(),
            size: 70,
            compact_size: 60,
            compacted: None,
            unwritten: 0,
            failure: None,
        }),
        member: None,
        sessions: Vec::new(),
        sessions_left_out: 2,
    }
}

/// Member `n` of 1 to 3, of which the first leads.
fn member(n: u8, applied: u64) -> MemberStatus {
    let server = |n: u8| ServerStatus {
        id: id(n),
        address: format!("tcp:10.0.0.{n}:6647"),
        phase: Phase::Stable,
        vote: None,
        progress: None,
        last_message: (n > 1).then_some(100 * u64::from(n)),
    };
    MemberStatus {
        name: "D".to_owned(),
        cluster_id: Some(id(0xcc)),
        server_id: id(n),
        address: server(n).address,
        standing: Standing::Member,
        remotes: Vec::new(),
        changes: Vec::new(),
        role: if n == 1 { Role::Leader } else { Role::Follower },
        term: 7,
        leader: Some(id(1)),
        vote: None,
        election: None,
        election_timer: 1000,
        next_election_timer: None,
        log: LogStatus {
            first: 2,
            end: applied + 1,
            committed: applied,
            applied,
        },
        connections: Vec::new(),
        disconnections: 0,
        servers: (1..4).map(server).collect(),
        troubles: Vec::new(),
    }
}

fn answer(n: u8, outcome: Outcome) -> Answer {
    Answer {
        remote: format!("tcp:10.0.0.{n}:6645"),
        outcome,
        at: Vec::new(),
    }
}

fn clustered(n: u8, applied: u64) -> Answer {
    let report = DatabaseReport {
        member: Some(member(n, applied)),
        ..report(u64::from(n))
    };
    answer(n, Outcome::Report(Box::new(report)))
}

fn gone(n: u8) -> Answer {
    answer(n, Outcome::Error("no answer".to_owned()))
}

fn row(n: u8, leader: bool) -> Answer {
    let row = ServerRow {
        model: "clustered".to_owned(),
        connected: true,
        leader,
        cluster_id: Some(id(0xcc)),
        server_id: Some(id(n)),
        index: Some(8),
        schema_version: Some("1.0.0".to_owned()),
        rows: BTreeMap::new(),
    };
    answer(n, Outcome::Server(Box::new(row)))
}

#[test]
fn a_cluster_with_a_follower_that_is_late_and_one_that_is_gone() {
    let summary = Summary::of("D", &[clustered(1, 10), clustered(2, 8), gone(3)]);
    assert!(summary.served);
    assert_eq!(summary.leader.as_deref(), Some("tcp:10.0.0.1:6645"));
    assert_eq!(summary.cluster, Some(id(0xcc)));
    assert_eq!(summary.rows.get("T"), Some(&2));
    assert_eq!(summary.other_clients, 4);
    assert_eq!(summary.troubles, [""; 0]);
    let lines = summary.servers.iter().map(|line| {
        let what = (line.role.as_str(), line.state.as_str(), line.well);
        (line.id, what, line.log, line.behind, line.heard)
    });
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            (
                Some(id(1)),
                ("leader", "cluster member", true),
                Some((2, 10)),
                Some(0),
                None
            ),
            (
                Some(id(2)),
                ("follower", "cluster member", true),
                Some((2, 8)),
                Some(2),
                Some(200)
            ),
            // The cluster's member on that host.
            (Some(id(3)), ("", "no answer", false), None, None, Some(300)),
        ]
    );
}

/// A server that was asked by its name.
fn named(answer: Answer, name: &str, at: &[&str]) -> Answer {
    let at = at.iter().map(|at| at.parse().expect("an address"));
    Answer {
        remote: format!("tcp:{name}:6645"),
        at: at.collect(),
        ..answer
    }
}

#[test]
fn a_name_stands_for_its_addresses() {
    let at = ["[fd00::3]:6645", "10.0.0.3:6645"];
    let answers = [
        clustered(1, 10),
        clustered(2, 10),
        named(gone(3), "three", &at),
    ];
    let summary = Summary::of("D", &answers);
    let line = &summary.servers[2];
    assert_eq!(summary.servers.len(), 3);
    assert_eq!((line.id, line.heard), (Some(id(3)), Some(300)));
    assert_eq!(line.remote, "tcp:three:6645");

    let alone =
        |name: &str, at: &[&str]| named(answer(1, Outcome::Report(Box::new(report(1)))), name, at);
    let twice = [
        alone("one", &["10.0.0.1:6645"]),
        alone("1.example", &["[::1]:6645", "10.0.0.1:6645"]),
    ];
    let summary = Summary::of("D", &twice);
    assert!(summary.served && summary.troubles.is_empty());
    let two = [
        alone("one", &["10.0.0.1:6645"]),
        alone("two", &["10.0.0.2:6645"]),
    ];
    assert!(!Summary::of("D", &two).served);
    // Of sockets nothing is known: they are different ones.
    assert!(!Summary::of("D", &[alone("one", &[]), alone("two", &[])]).served);
}

#[test]
fn members_that_were_not_asked_are_shown_too() {
    let summary = Summary::of("D", &[clustered(2, 10)]);
    assert!(summary.served);
    assert_eq!(summary.leader.as_deref(), Some("tcp:10.0.0.1:6647"));
    let lines = summary.servers.iter();
    let lines = lines.map(|line| {
        (
            line.remote.as_str(),
            line.role.as_str(),
            line.state.as_str(),
        )
    });
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            ("tcp:10.0.0.2:6645", "follower", "cluster member"),
            ("tcp:10.0.0.1:6647", "leader", "not asked"),
            ("tcp:10.0.0.3:6647", "", "not asked"),
        ]
    );
}

#[test]
fn servers_of_both_kinds_are_one_cluster() {
    let summary = Summary::of("D", &[row(1, true), clustered(2, 10)]);
    assert!(summary.served);
    assert_eq!(summary.leader.as_deref(), Some("tcp:10.0.0.1:6645"));
    assert_eq!(summary.servers[0].behind, Some(2));
    assert_eq!(summary.servers[0].role, "leader");
    assert_eq!(summary.servers.len(), 3);
}

#[test]
fn what_cannot_be_used_is_not_served() {
    let mut alone = member(2, 10);
    alone.leader = None;
    alone.standing = Standing::Disconnected;
    alone.role = Role::Candidate;
    alone.troubles = vec!["waits for tcp:10.0.0.1:6647".to_owned()];
    let alone = DatabaseReport {
        member: Some(alone),
        ..report(1)
    };
    let summary = Summary::of("D", &[gone(1), answer(2, Outcome::Report(Box::new(alone)))]);
    assert!(!summary.served);
    assert_eq!(
        summary.troubles,
        [
            "tcp:10.0.0.2:6645: waits for tcp:10.0.0.1:6647",
            "nobody leads"
        ]
    );
    assert!(!summary.servers[1].well);

    let summary = Summary::of("D", &[gone(1), gone(2)]);
    assert!(!summary.served);
    assert_eq!(summary.troubles, ["nobody answers"]);

    let mut other = member(2, 10);
    other.cluster_id = Some(id(0xdd));
    let other = DatabaseReport {
        member: Some(other),
        ..report(1)
    };
    let two = [
        clustered(1, 10),
        answer(2, Outcome::Report(Box::new(other))),
    ];
    let summary = Summary::of("D", &two);
    assert!(!summary.served);
    assert_eq!(
        summary.troubles,
        ["these servers are of 2 different clusters: 00cc, 00dd"]
    );

    let alone = answer(2, Outcome::Report(Box::new(report(1))));
    let summary = Summary::of("D", &[clustered(1, 10), alone.clone()]);
    assert!(!summary.served);
    assert!(Summary::of("D", &[alone]).served);
}

#[test]
fn a_file_that_fails_is_told() {
    let mut failing = report(1);
    let file = failing.file.as_mut().expect("a file");
    file.failure = Some("no space".to_owned());
    file.unwritten = 3;
    let summary = Summary::of("D", &[answer(1, Outcome::Report(Box::new(failing)))]);
    // Clients can read.
    assert!(summary.served && !summary.servers[0].well);
    assert_eq!(
        summary.troubles,
        [
            "tcp:10.0.0.1:6645: no space",
            "tcp:10.0.0.1:6645: 3 acknowledged transactions are not in the file yet"
        ]
    );
}

#[test]
fn the_load_of_all_servers_is_one() {
    let loaded = |n: u8, transactions: u64| {
        let mut report = report(1);
        report.member = Some(member(n, 1));
        report.process.uptime = 3_600_000;
        let recent = |count: u64| Recent {
            ten_seconds: count,
            minute: 6 * count,
        };
        report.load = Some(LoadReport {
            transactions: recent(transactions),
            changes: recent(5),
        });
        report.problem = Some(ProblemReport {
            level: "warning".to_owned(),
            message: "m".to_owned(),
            age: 9,
        });
        answer(n, Outcome::Report(Box::new(report)))
    };
    // One is older than this program, and says nothing of it.
    let summary = Summary::of("D", &[loaded(1, 30), clustered(2, 1), loaded(3, 10)]);
    let steady = |rate: u64| Rates {
        ten_seconds: rate,
        minute: rate,
    };
    let expected = Load {
        transactions: steady(4_000),
        changes: steady(500),
    };
    assert_eq!(summary.load, Some(expected));
    let at: Vec<&str> = summary.problems.iter().map(|(at, _)| at.as_str()).collect();
    assert_eq!(at, ["tcp:10.0.0.1:6645", "tcp:10.0.0.3:6645"]);
    assert_eq!(Summary::of("D", &[clustered(2, 1)]).load, None);
}

#[test]
fn leaders_are_asked_first() {
    let mut lost = member(2, 10);
    lost.leader = None;
    let lost = DatabaseReport {
        member: Some(lost),
        ..report(1)
    };
    let lost = answer(2, Outcome::Report(Box::new(lost)));
    let answers = [gone(1), lost, row(3, false), clustered(1, 10)];
    assert_eq!(by_usefulness(&answers), [3, 2, 1]);
}
