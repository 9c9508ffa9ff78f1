//! Files that Debian's tools made, read by us, and ours, read by them.

use std::path::Path;
use std::sync::Arc;

use ovsdb::json::Document;
use ovsdb_cluster::file::{
    Address, Ballot, ClusterFile, Contents, Founding, Header, Identity, Origin, Position, Standing,
    same_address,
};
use ovsdb_engine::Version;
use ovsdb_engine::record::{self, Strictness};
use ovsdb_log::{Disk, Lock, Options};

use super::node::{Node, free_address};
use super::support::{
    SCHEMA, contents, must, read_all, replay, run, schema, standalone_contents, text, uuid,
};

const CREATED: &str = "created by a test";

fn version(rows: u32) -> Version {
    let mut version = Version::empty(schema());
    for n in 0..rows {
        let change = format!(
            r#"{{"t":{{"{}":{{"n":{n},"s":"a \"row\""}}}}}}"#,
            uuid(n.into())
        );
        let change = Document::parse(change).unwrap();
        version = record::apply(
            &version,
            change.root(),
            Strictness::Exact,
            &mut uuid::Uuid::new_v4,
        )
        .unwrap()
        .0;
    }
    version
}

fn contents_of_a_cluster(address: &str, timer: Option<u64>, rows: u32) -> Contents {
    let founding = Founding {
        behind: Position::default(),
        server_id: uuid::Uuid::new_v4(),
        cluster_id: uuid::Uuid::new_v4(),
        eid: uuid::Uuid::new_v4(),
        local_address: address.to_owned(),
        election_timer: timer,
        date: 1_700_000_000_000,
        comment: Some(CREATED.to_owned()),
    };
    Contents::new_cluster(founding, &version(rows)).unwrap()
}

fn found(path: &Path, address: &str, timer: Option<u64>, rows: u32) -> Contents {
    let contents = contents_of_a_cluster(address, timer, rows);
    let lock = Lock::acquire(path).unwrap();
    let file = ClusterFile::create(Arc::new(Disk), lock, &contents).unwrap();
    assert_eq!(file.replayed().standing(), Standing::Member);
    contents
}

fn canonical(header: &Header) -> String {
    let mut out = Vec::new();
    header.write(&mut out);
    Document::parse(out).unwrap().root().canonical()
}

fn first_record(path: &Path) -> String {
    let file = std::fs::read_to_string(path).unwrap();
    Document::parse(file.lines().nth(1).unwrap())
        .unwrap()
        .root()
        .canonical()
}

/// Both databases from the same standalone file, each as its maker makes it.
#[test]
fn a_new_cluster_is_what_the_reference_makes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("schema"), SCHEMA).unwrap();
    must(
        "ovsdb-tool",
        &["create", text(&at("a.db")), text(&at("schema"))],
    );
    let insert = r#"["d",{"op":"insert","table":"t","row":{"n":7,"s":"x"}},{"op":"insert","table":"t","row":{}}]"#;
    must("ovsdb-tool", &["transact", text(&at("a.db")), insert]);
    for timer in [None, Some(5000_u64)] {
        let path = at(&format!("{timer:?}.db"));
        let option = format!("--election-timer={}", timer.unwrap_or(1000));
        let mut args = vec![
            "create-cluster",
            text(&path),
            text(&at("a.db")),
            "tcp:[127.0.0.1]:6647",
        ]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
        if timer.is_some() {
            args.insert(0, option);
        }
        must(
            "ovsdb-tool",
            &args.iter().map(String::as_str).collect::<Vec<_>>(),
        );
        let (header, records) = read_all(&path);
        assert_eq!(canonical(&header), first_record(&path));
        let state = replay(&path).unwrap();
        assert_eq!(contents(&state), standalone_contents(&at("a.db")));
        assert_eq!(state.standing(), Standing::Member);

        // Its contents, ids and date, made a cluster by us.
        let Origin::Snapshot(snapshot) = &header.origin else {
            panic!("{header:?}");
        };
        let data = Document::parse(&snapshot.data).unwrap();
        let change = data.root().element(1).unwrap();
        let version = record::apply(
            &Version::empty(schema()),
            change,
            Strictness::Exact,
            &mut uuid::Uuid::new_v4,
        )
        .unwrap()
        .0;
        let founding = Founding {
            behind: Position::default(),
            server_id: header.identity.server_id,
            cluster_id: header.identity.cluster_id.unwrap(),
            eid: snapshot.meta.eid,
            local_address: header.identity.local_address.clone(),
            election_timer: timer,
            date: change
                .member("_date")
                .unwrap()
                .integer()
                .unwrap()
                .cast_unsigned(),
            comment: change
                .member("_comment")
                .unwrap()
                .string()
                .map(String::from),
        };
        let ours = Contents::new_cluster(founding, &version).unwrap();
        assert_eq!(canonical(&ours.header), first_record(&path));
        assert_eq!(ours.records, records);
    }
}

#[test]
fn clusters_have_no_ephemeral_columns() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let ephemeral = SCHEMA.replace(
        r#""s":{"type":"string"}"#,
        r#""s":{"type":"string","ephemeral":true}"#,
    );
    assert_ne!(ephemeral, SCHEMA);
    std::fs::write(at("schema"), &ephemeral).unwrap();
    must(
        "ovsdb-tool",
        &["create", text(&at("a.db")), text(&at("schema"))],
    );
    must(
        "ovsdb-tool",
        &[
            "create-cluster",
            text(&at("b.db")),
            text(&at("a.db")),
            "tcp:127.0.0.1:1",
        ],
    );
    let (theirs, _) = read_all(&at("b.db"));
    let Origin::Snapshot(theirs) = theirs.origin else {
        panic!("{theirs:?}");
    };
    let mut ours = Vec::new();
    let schema = ovsdb::Schema::from_text(ephemeral.as_bytes()).unwrap();
    ovsdb_cluster::file::create::write_data(&mut ours, &Version::empty(Arc::new(schema)), 0, None);
    let schema = |data: &[u8]| {
        let data = Document::parse(data).unwrap();
        data.root().element(0).unwrap().canonical()
    };
    assert_eq!(schema(&ours), schema(&theirs.data));
}

#[test]
fn the_tools_read_a_cluster_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    for (n, (address, timer)) in [
        ("tcp:127.0.0.1:6647", None),
        ("ssl:[fe80::1]:6648", Some(20_000)),
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("{n}.db"));
        let made = found(&path, address, timer, 3);
        let tool = |command: &str| must("ovsdb-tool", &[command, text(&path)]);
        let identity = &made.header.identity;
        assert_eq!(tool("db-sid"), identity.server_id.to_string());
        assert_eq!(tool("db-cid"), identity.cluster_id.unwrap().to_string());
        assert_eq!(tool("db-local-address"), address);
        assert_eq!(tool("db-name"), "d");
        let log = must("ovsdb-tool", &["-m", "show-log", text(&path)]);
        assert!(log.contains(CREATED), "{log}");
        let standalone = folder.path().join(format!("{n}.standalone"));
        must(
            "ovsdb-tool",
            &["cluster-to-standalone", text(&standalone), text(&path)],
        );
        assert_eq!(
            standalone_contents(&standalone),
            contents(&replay(&path).unwrap())
        );
        let (checked, text) = run("ovsdb-tool", &["check-cluster", text(&path)]);
        // Of a file without a term it says that there is nothing to check.
        assert!(checked || text.contains("all logs are empty"), "{text}");
    }
}

#[test]
fn the_server_starts_on_a_cluster_of_ours_and_a_server_joins_by_our_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (first, second) = (free_address(11), free_address(12));
    let made = found(&at("a.db"), &first, Some(2000), 5);
    let mut a = Node::start(folder.path(), "a");
    a.wait_for_role("leader");
    a.insert(100..103);

    let identity = Identity {
        server_id: uuid::Uuid::new_v4(),
        cluster_id: None,
        name: "d".to_owned(),
        local_address: second.clone(),
    };
    let joining = Contents::joining(identity.clone(), vec![second.clone(), first]).unwrap();
    let lock = Lock::acquire(&at("b.db")).unwrap();
    let file = ClusterFile::create(Arc::new(Disk), lock, &joining).unwrap();
    assert_eq!(file.replayed().standing(), Standing::Joining);
    // Terms that it has heard of while it was ours do not disturb the reference.
    let (store, _) = file.start(Options::default()).unwrap();
    store.save(Ballot::Term(1), Box::new(|_| {})).unwrap();
    store.close().unwrap();
    assert_eq!(replay(&at("b.db")).unwrap().term, 1);
    drop(store);
    assert_eq!(
        must("ovsdb-tool", &["db-sid", text(&at("b.db"))]),
        identity.server_id.to_string()
    );
    assert_eq!(
        must("ovsdb-tool", &["db-local-address", text(&at("b.db"))]),
        second
    );
    let mut b = Node::start(folder.path(), "b");
    b.wait_for_role("follower");
    b.wait_for_entries(2);
    a.wait_for_entries(2);
    b.insert(103..105);
    a.stop();
    b.stop();

    let (a, b) = (replay(&at("a.db")).unwrap(), replay(&at("b.db")).unwrap());
    assert_eq!(
        b.header.identity.cluster_id,
        made.header.identity.cluster_id
    );
    assert_eq!(
        (a.standing(), b.standing()),
        (Standing::Member, Standing::Member)
    );
    assert_eq!((a.election_timer(), b.election_timer()), (2000, 2000));
    assert_eq!(contents(&a), contents(&b));
    assert_eq!(contents(&a).matches("\"s\":").count(), 10 + 1);
}

#[test]
fn addresses_of_all_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = ["127.0.0.13", "[127.0.0.13]", "[::1]"];
    for (n, host) in hosts.into_iter().enumerate() {
        // Not every machine has IPv6.
        let Ok(listener) = std::net::TcpListener::bind((host.trim_matches(['[', ']']), 0)) else {
            continue;
        };
        let address = format!("tcp:{host}:{}", listener.local_addr().unwrap().port());
        drop(listener);
        let path = folder.path().join(format!("{n}.db"));
        found(&path, &address, None, 1);
        let mut node = Node::start(folder.path(), &n.to_string());
        node.wait_for_role("leader");
        node.insert(1..3);
        node.stop();
        let state = replay(&path).unwrap();
        assert_eq!(state.header.identity.local_address, address);
        let parsed: Address = address.parse().unwrap();
        assert!(same_address(&parsed.to_string(), &address));
        assert_eq!(contents(&state).matches("\"s\":\"").count(), 3);
    }
}

#[test]
fn a_standalone_file_becomes_a_cluster_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("schema"), SCHEMA).unwrap();
    must(
        "ovsdb-tool",
        &["create", text(&at("a.db")), text(&at("schema"))],
    );
    let lock = Lock::acquire(&at("a.db")).unwrap();
    let made = contents_of_a_cluster("tcp:127.0.0.1:6647", None, 4);
    let file = ClusterFile::replace(Arc::new(Disk), lock, &made).unwrap();
    assert_eq!(file.replayed().header, made.header);
    let (store, snapshot) = file.start(Options::default()).unwrap();
    assert_eq!(snapshot.unwrap().meta.index, 1);
    drop(store);
    let sid = must("ovsdb-tool", &["db-sid", text(&at("a.db"))]);
    assert_eq!(sid, made.header.identity.server_id.to_string());
}

#[test]
fn a_joining_file_is_read_as_the_tool_made_it() {
    let folder = tempfile::tempdir().unwrap();
    for (n, cid) in [None, Some(uuid(5).to_string())].into_iter().enumerate() {
        let path = folder.path().join(format!("{n}.db"));
        let option = cid.as_ref().map(|cid| format!("--cid={cid}"));
        let rest = [
            "join-cluster",
            text(&path),
            "d",
            "tcp:127.0.0.2:6647",
            "tcp:127.0.0.1:6647",
            "tcp:[::1]:6647",
        ];
        let args: Vec<&str> = option.as_deref().into_iter().chain(rest).collect();
        must("ovsdb-tool", &args);
        let state = replay(&path).unwrap();
        assert_eq!(state.standing(), Standing::Joining);
        assert_eq!(
            state.header.identity.cluster_id.map(|id| id.to_string()),
            cid
        );
        assert_eq!(
            must("ovsdb-tool", &["db-sid", text(&path)]),
            state.header.identity.server_id.to_string()
        );
        assert_eq!(canonical(&state.header), first_record(&path));
        let Origin::Joining { remote_addresses } = state.header.origin.clone() else {
            panic!("{state:?}");
        };
        let ours = Contents::joining(state.header.identity.clone(), remote_addresses).unwrap();
        assert_eq!(ours.header, state.header);
    }
}

#[test]
fn what_cannot_be_made() {
    let founding = Founding {
        behind: Position::default(),
        server_id: uuid(1),
        cluster_id: uuid(2),
        eid: uuid(3),
        local_address: "tcp:127.0.0.1:1".to_owned(),
        election_timer: None,
        date: 0,
        comment: None,
    };
    let error = |founding| {
        Contents::new_cluster(founding, &version(0))
            .unwrap_err()
            .to_string()
    };
    let other = Founding {
        local_address: "127.0.0.1".to_owned(),
        ..founding.clone()
    };
    assert_eq!(
        error(other),
        "127.0.0.1: expected \"tcp\" or \"ssl\" address"
    );
    let other = Founding {
        election_timer: Some(99),
        ..founding.clone()
    };
    assert_eq!(
        error(other),
        "election timer must be between 100 and 600000 ms, not 99"
    );
    let other = Founding {
        cluster_id: uuid::Uuid::nil(),
        ..founding
    };
    assert_eq!(error(other), "all-zero UUID is not valid cluster ID");
    let identity = Identity {
        server_id: uuid(1),
        cluster_id: None,
        name: "d".to_owned(),
        local_address: "tcp:127.0.0.1:1".to_owned(),
    };
    let only_itself = vec!["tcp:[127.0.0.1]:1".to_owned()];
    let error = Contents::joining(identity, only_itself)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "at least one remote address (other than the local address) is required"
    );
}
