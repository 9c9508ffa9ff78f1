//! A cluster of Debian's servers through its life, its files replayed; and the same files, written on
//! by us, in that cluster again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, mpsc};

use ovsdb_cluster::entry::{Entry, Payload};
use ovsdb_cluster::file::record::LEFT;
use ovsdb_cluster::file::{Ballot, ClusterFile, Fact, Header, Origin, Record, Replayed, Standing};
use ovsdb_log::{Disk, Lock, Options};

use super::node::{Node, free_address};
use super::support::{
    SCHEMA, contents, data_of, done, must, read_all, replay, standalone_contents, text, until,
};

/// What `show-log` says of a record but for its data, by line.
fn shown(record: &Record) -> Vec<String> {
    let mut lines: Vec<String> = record
        .comment
        .iter()
        .map(|comment| format!("comment: \"{comment}\""))
        .collect();
    let mut line = |key: &str, value: String| lines.push(format!("{key}: {value}"));
    let short = |id: &uuid::Uuid| id.to_string()[..4].to_owned();
    match &record.fact {
        Fact::Term(term) => line("term", term.to_string()),
        Fact::Vote { term, server } => {
            line("term", term.to_string());
            line("vote", short(server));
        }
        Fact::Leader { term, server } => {
            line("term", term.to_string());
            line("leader", short(server));
        }
        Fact::CommitIndex(index) => line("commit_index", index.to_string()),
        Fact::Note(note) => line("note", format!("\"{note}\"")),
        Fact::Entry(entry) => {
            line("term", entry.term.to_string());
            line("index", entry.index.to_string());
            match &entry.payload {
                Payload::Empty | Payload::ElectionTimer(_) => {}
                Payload::Data { eid, .. } => line("eid", short(eid)),
                Payload::Servers(servers) => {
                    let servers: Vec<String> = servers
                        .iter()
                        .map(|(id, address)| format!("{}(\"{address}\")", short(id)))
                        .collect();
                    line("servers", servers.join(", "));
                }
            }
        }
    }
    lines
}

fn shown_header(header: &Header) -> Vec<String> {
    let Origin::Snapshot(snapshot) = &header.origin else {
        panic!("{header:?}");
    };
    let short = |id: &uuid::Uuid| id.to_string()[..4].to_owned();
    let servers: Vec<String> = snapshot
        .meta
        .servers
        .iter()
        .map(|(id, address)| format!("{}(\"{address}\")", short(id)))
        .collect();
    vec![
        format!("local address: \"{}\"", header.identity.local_address),
        format!("server_id: {}", short(&header.identity.server_id)),
        format!(
            "cluster_id: {}",
            short(&header.identity.cluster_id.unwrap())
        ),
        format!("prev_index: {}", snapshot.meta.index),
        format!("prev_term: {}", snapshot.meta.term),
        format!("prev_servers: {}", servers.join(", ")),
        format!("prev_eid: {}", short(&snapshot.meta.eid)),
    ]
}

/// Compares our reading of a file with what the tool shows of it.
fn compare_with_show_log(path: &Path) -> Vec<Record> {
    let (header, records) = read_all(path);
    let log = must("ovsdb-tool", &["-m", "show-log", text(path)]);
    let keys = [
        "comment",
        "term",
        "index",
        "servers",
        "eid",
        "vote",
        "note",
        "commit_index",
        "leader",
        "local address",
        "server_id",
        "cluster_id",
        "prev_index",
        "prev_term",
        "prev_servers",
        "prev_eid",
    ];
    let mut theirs: Vec<Vec<String>> = Vec::new();
    for line in log.lines() {
        if line.starts_with("record ") {
            theirs.push(Vec::new());
        } else if let Some(line) = line.strip_prefix(' ')
            && keys.iter().any(|key| line.starts_with(&format!("{key}: ")))
        {
            theirs.last_mut().unwrap().push(line.to_owned());
        }
    }
    let ours: Vec<Vec<String>> = [shown_header(&header)]
        .into_iter()
        .chain(records.iter().map(shown))
        .collect();
    assert_eq!(ours, theirs, "{}", path.display());
    records
}

/// What our reading of a file must tell, compared with what the tools tell.
fn check(path: &Path) -> Replayed {
    let records = compare_with_show_log(path);
    let state = replay(path).unwrap();
    let tool = |command: &str| must("ovsdb-tool", &[command, text(path)]);
    let identity = &state.header.identity;
    assert_eq!(tool("db-sid"), identity.server_id.to_string());
    assert_eq!(tool("db-cid"), identity.cluster_id.unwrap().to_string());
    assert_eq!(tool("db-local-address"), identity.local_address);
    assert_eq!(tool("db-name"), identity.name);
    let standalone = path.with_extension("standalone");
    let _ = std::fs::remove_file(&standalone);
    must(
        "ovsdb-tool",
        &["cluster-to-standalone", text(&standalone), text(path)],
    );
    assert_eq!(standalone_contents(&standalone), contents(&state));

    // The plainest reading of the records.
    let mut last_of_each: BTreeMap<u64, Entry> = BTreeMap::new();
    let (mut commit_index, mut term) = (state.snapshot().unwrap().index, 0);
    for record in &records {
        match &record.fact {
            Fact::Entry(entry) => {
                last_of_each.insert(entry.index, entry.clone());
                term = term.max(entry.term);
            }
            Fact::CommitIndex(index) => commit_index = *index,
            Fact::Term(t) | Fact::Vote { term: t, .. } | Fact::Leader { term: t, .. } => {
                term = term.max(*t);
            }
            Fact::Note(_) => {}
        }
    }
    let entries: BTreeMap<u64, Entry> = state
        .entries
        .iter()
        .map(|entry| (entry.index, (**entry).clone()))
        .collect();
    assert_eq!(entries, last_of_each);
    assert_eq!((state.commit_index, state.term), (commit_index, term));
    state
}

fn leader(nodes: &[Node]) -> usize {
    until("a leader", || nodes.iter().position(Node::leads))
}

fn settle(nodes: &[Node], members: usize) {
    for node in nodes {
        node.wait_for_entries(members);
    }
}

fn start(folder: &Path) -> (Vec<Node>, String) {
    let at = |name: &str| folder.join(name);
    std::fs::write(at("schema"), SCHEMA).unwrap();
    must(
        "ovsdb-tool",
        &["create", text(&at("s.db")), text(&at("schema"))],
    );
    let addresses = [21, 22, 23].map(free_address);
    let first = addresses[0].clone();
    must(
        "ovsdb-tool",
        &[
            "create-cluster",
            text(&at("1.db")),
            text(&at("s.db")),
            &first,
        ],
    );
    let mut nodes = vec![Node::start(folder, "1")];
    for n in [2, 3] {
        let file = at(&format!("{n}.db"));
        must(
            "ovsdb-tool",
            &["join-cluster", text(&file), "d", &addresses[n - 1], &first],
        );
        nodes.push(Node::start(folder, &n.to_string()));
        nodes[n - 1].wait_for_role("follower");
    }
    (nodes, first)
}

#[test]
fn the_life_of_a_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let (mut nodes, first) = start(folder.path());
    nodes[0].insert(0..5);
    nodes[2].insert(5..10);
    let timer = ["cluster/change-election-timer", "d", "1500"];
    nodes[leader(&nodes)].appctl(&timer).unwrap();

    // The leader dies; another one goes on; the dead one comes back.
    settle(&nodes, 3);
    let old = leader(&nodes);
    nodes[old].kill();
    let alive: Vec<usize> = (0..3).filter(|n| *n != old).collect();
    until("another leader", || {
        alive.iter().find(|n| nodes[**n].leads())
    });
    nodes[alive[0]].insert(10..15);
    nodes[old].restart();
    nodes[old].insert(15..20);

    // A follower and the leader make their logs short; the leader hands leadership over first.
    settle(&nodes, 3);
    let old = leader(&nodes);
    let follower = (old + 1) % 3;
    nodes[follower]
        .appctl(&["ovsdb-server/compact", "d"])
        .unwrap();
    nodes[follower].insert(20..23);
    nodes[old].appctl(&["ovsdb-server/compact", "d"]).unwrap();
    leader(&nodes);
    nodes[old].insert(23..26);

    // A fourth member comes, and leaves.
    let at = |name: &str| folder.path().join(name);
    let address = free_address(24);
    must(
        "ovsdb-tool",
        &["join-cluster", text(&at("4.db")), "d", &address, &first],
    );
    let mut fourth = Node::start(folder.path(), "4");
    fourth.wait_for_role("follower");
    fourth.insert(26..28);
    settle(&nodes, 4);
    fourth.appctl(&["cluster/leave", "d"]).unwrap();
    until("the fourth to have left", || {
        let file = std::fs::read_to_string(&fourth.file).unwrap();
        file.contains("\"note\":\"left\"").then_some(())
    });
    fourth.stop();
    nodes[0].insert(28..30);
    settle(&nodes, 3);
    nodes.iter_mut().for_each(Node::stop);

    let files: Vec<_> = nodes.iter().map(|node| node.file.clone()).collect();
    let names: Vec<&str> = files.iter().map(|file| text(file)).collect();
    must("ovsdb-tool", &[&["check-cluster"], &names[..]].concat());
    let states: Vec<Replayed> = files.iter().map(|file| check(file)).collect();
    for state in &states {
        assert_eq!(state.standing(), Standing::Member);
        assert_eq!(state.servers().unwrap().len(), 3);
        assert_eq!(state.election_timer(), 1500);
        assert_eq!(contents(state), contents(&states[0]));
        assert_eq!(state.last_eid(), states[0].last_eid());
    }
    assert_eq!(contents(&states[0]).matches("\"s\":\"row").count(), 30);
    let left = check(&fourth.file);
    assert_eq!(left.standing(), Standing::Left);
    let (_, records) = read_all(&fourth.file);
    assert!(
        records
            .iter()
            .any(|record| record.fact == Fact::Note(LEFT.to_owned()))
    );

    write_on(&files, &states);
    must("ovsdb-tool", &[&["check-cluster"], &names[..]].concat());
    // The way back: the reference's servers on the files that we wrote to.
    nodes.iter_mut().for_each(Node::restart);
    leader(&nodes);
    nodes[1].insert(30..33);
    settle(&nodes, 3);
    nodes.iter_mut().for_each(Node::stop);
    must("ovsdb-tool", &[&["check-cluster"], &names[..]].concat());
    for file in &files {
        let state = check(file);
        assert_eq!(state.standing(), Standing::Member);
        assert_eq!(contents(&state).matches("\"s\":\"row").count(), 34);
    }
}

/// A term of the three files in our hands: the first leads, adds an entry, and makes its log short.
fn write_on(files: &[std::path::PathBuf], states: &[Replayed]) {
    let term = states.iter().map(|state| state.term).max().unwrap() + 1;
    let last = states.iter().map(|s| s.entries.last().index).max().unwrap();
    let leader = states
        .iter()
        .position(|state| state.entries.last().index == last)
        .unwrap();
    let lead = states[leader].header.identity.server_id;
    let row = uuid::Uuid::new_v4();
    let change = format!(
        r#"[null,{{"_date":1700000000000,"_is_diff":true,"t":{{"{row}":{{"n":-1,"s":"row of ours"}}}}}}]"#
    );
    let payload = Payload::Data {
        eid: uuid::Uuid::new_v4(),
        data: change.into(),
    };
    for (n, file) in files.iter().enumerate() {
        let lock = Lock::acquire(file).unwrap();
        let opened = ClusterFile::open(Arc::new(Disk), lock).unwrap();
        let (store, snapshot) = opened.start(Options::default()).unwrap();
        for ballot in [
            Ballot::Vote { term, server: lead },
            Ballot::Leader { term, server: lead },
        ] {
            let (done, receiver) = done();
            store.save(ballot, done).unwrap();
            receiver.recv().unwrap().unwrap();
        }
        let end = store.ends().1.index;
        assert!(n != leader || end == last);
        let mut new: Vec<Arc<Entry>> = states[leader]
            .entries
            .iter()
            .filter(|e| e.index > end)
            .cloned()
            .collect();
        for payload in [Payload::Empty, payload.clone()] {
            new.push(Arc::new(Entry {
                term,
                index: last + if payload == Payload::Empty { 1 } else { 2 },
                payload,
            }));
        }
        let (append_done, receiver) = done();
        store.append(&new, append_done).unwrap();
        receiver.recv().unwrap().unwrap();
        store.commit(last + 2).unwrap();
        if n == leader {
            let data = data_of(
                &snapshot.unwrap(),
                &store.range(0..u64::MAX, usize::MAX)[..],
            );
            let (sender, receiver) = mpsc::channel();
            let write = Box::new(move |out: &mut Vec<u8>| out.extend_from_slice(&data));
            store
                .compact(
                    last + 2,
                    write,
                    Box::new(move |result| sender.send(result).unwrap()),
                )
                .unwrap();
            receiver.recv().unwrap().unwrap();
        }
        store.close().unwrap();
    }
}
