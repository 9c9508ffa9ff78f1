//! A real Prometheus scrapes a server that is alone, and the nodes of a cluster.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::cluster::{Cluster, Kind, Options, Wiring, run};
use ovn_ic_db_tests::http::get;
use ovn_ic_db_tests::process::{Program, executable, free_port, wait_for};
use ovn_ic_db_tests::prometheus::{PATIENCE, Prometheus, promtool};
use ovn_ic_db_tests::world::daemon::Daemon;
use ovn_ic_db_tests::world::interconnect::Side;
use serde_json::{Value, json};
use tempfile::TempDir;

const NORTHBOUND: &str = "OVN_IC_Northbound";

fn rules(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docker/prometheus")
        .join(name)
}

fn insert(name: &str) -> Value {
    json!({"op": "insert", "table": "Transit_Switch", "row": {"name": name}})
}

fn transact(client: &mut Client, operations: &[Value]) -> Result<Value> {
    let mut params = vec![json!(NORTHBOUND)];
    params.extend_from_slice(operations);
    client.call("transact", json!(params))
}

/// `ovn-ic-db run` without a cluster.
struct Alone {
    folder: TempDir,
    daemon: Daemon,
    http: SocketAddr,
}

impl Alone {
    fn start() -> Result<Alone> {
        let folder = tempfile::Builder::new().prefix("metrics-").tempdir()?;
        let http = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let place = |part: &str| folder.path().join(part).into_os_string();
        let environment = [
            ("OVN_DBDIR", place("db")),
            ("OVN_RUNDIR", place("run")),
            ("OVN_LOGDIR", place("log")),
            ("OVN_IC_DB_HTTP", http.to_string().into()),
            ("TS_NAME", OsString::new()),
        ];
        let environment = environment.map(|(name, value)| (name.into(), value));
        let arguments = ["run", "--nb-port=0", "--sb-port=0"].map(OsString::from);
        let output = folder.path().join("output");
        let daemon = Daemon::new(executable(Program::Ours)?, arguments.to_vec(), output);
        let mut alone = Alone {
            folder,
            daemon: daemon.with_environment(environment.to_vec()),
            http,
        };
        alone.daemon.start()?;
        wait_for("readiness", PATIENCE, || {
            alone.daemon.check_alive()?;
            Ok(get(http, "/readyz")
                .is_ok_and(|answer| answer.status == 200)
                .then_some(()))
        })?;
        Ok(alone)
    }

    fn client(&self) -> Result<Client> {
        let socket = self.folder.path().join("run/ovn_ic_nb_db.sock");
        Ok(Client::unix(&socket)?)
    }
}

#[test]
fn the_alert_rules_say_what_they_should() -> Result<()> {
    let text = rules("alerts.yaml");
    promtool(&["check", "rules", &text.to_string_lossy()], "")?;
    let tests = rules("alerts-test.yaml");
    promtool(&["test", "rules", &tests.to_string_lossy()], "")?;
    Ok(())
}

/// `name{label="value",...}` in an expression: the name, and the values of its labels.
type Selector = (String, BTreeMap<String, Vec<String>>);

/// What an expression asks for of this program's.
fn selectors(expression: &str) -> Result<Vec<Selector>> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(begin) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_') {
        rest = &rest[begin..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, behind) = rest.split_at(end.unwrap_or(rest.len()));
        rest = behind;
        if !["ovn_ic_db_", "process_"]
            .iter()
            .any(|ours| name.starts_with(ours))
        {
            continue;
        }
        let mut labels = BTreeMap::new();
        if let Some(inside) = rest.strip_prefix('{') {
            let (inside, behind) = inside.split_once('}').context("no end of the labels")?;
            rest = behind;
            for matcher in inside.split(',') {
                let (label, value) = matcher.split_once('=').context("no value")?;
                let alternatives = value.starts_with('~');
                let value = value.trim_start_matches('~').trim_matches('"');
                let values = match alternatives {
                    true => value.split('|').map(str::to_owned).collect(),
                    false => vec![value.to_owned()],
                };
                labels.insert(label.trim().to_owned(), values);
            }
        }
        found.push((name.to_owned(), labels));
    }
    Ok(found)
}

/// All strings under this key, however deep.
fn strings<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if name == key => found.push(text),
                    _ => strings(value, key, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| strings(value, key, found)),
        _ => {}
    }
}

/// Whether a page has the samples that a selector chooses. What differs from place to place may have any
/// value, and Prometheus adds labels of its own.
fn is_served(page: &str, (name, labels): &Selector) -> bool {
    const OF_PROMETHEUS: [&str; 2] = ["job", "instance"];
    const ANY: [&str; 3] = ["database", "peer", "address"];
    let has = |part: &str| {
        page.lines()
            .filter_map(|line| line.strip_prefix(name.as_str()))
            .any(|rest| rest.starts_with(['{', ' ']) && rest.contains(part))
    };
    has("")
        && labels.iter().all(|(label, values)| {
            let label = label.as_str();
            OF_PROMETHEUS.contains(&label)
                || match ANY.contains(&label) {
                    true => has(&format!("{label}=\"")),
                    false => values
                        .iter()
                        .all(|value| has(&format!("{label}=\"{value}\""))),
                }
        })
}

#[test]
fn selectors_are_found_in_an_expression() -> Result<()> {
    let expression =
        "increase(ovn_ic_db_a_total{x=~\"b|c\", y=\"d\"}[10m]) > 0 or process_e * up{z=\"f\"}";
    let found = selectors(expression)?;
    let labels = |pairs: &[(&str, &[&str])]| -> BTreeMap<String, Vec<String>> {
        let pairs = pairs.iter().map(|(label, values)| {
            let values = values.iter().map(|value| (*value).to_owned());
            ((*label).to_owned(), values.collect())
        });
        pairs.collect()
    };
    let first = labels(&[("x", &["b", "c"]), ("y", &["d"])]);
    let expected = [
        ("ovn_ic_db_a_total".to_owned(), first),
        ("process_e".to_owned(), labels(&[])),
    ];
    ensure!(found == expected, "{found:?}");
    let line = |x: &str| format!("ovn_ic_db_a_total{{database=\"N\",x=\"{x}\",y=\"d\"}} 1\n");
    let page = line("c") + "process_e2 1\n";
    ensure!(!is_served(&page, &found[0]) && !is_served(&page, &found[1]));
    let page = page + &line("b") + "process_e 1\n";
    ensure!(is_served(&page, &found[0]) && is_served(&page, &found[1]));
    Ok(())
}

#[test]
fn the_alert_rules_ask_for_what_is_served() -> Result<()> {
    let mut options = Options::three(Kind::Ours, Wiring::Loopback);
    options.tls = true;
    run(&options, |cluster| {
        cluster.wait_until_whole()?;
        let leader = cluster.wait_for_leader(Side::Northbound, |_| true)?;
        let page = get(cluster.http(leader), "/metrics")?.body;
        let mut missing = Vec::new();
        for (file, key) in [("alerts.yaml", "expr"), ("alerts-test.yaml", "series")] {
            let text = fs::read_to_string(rules(file))?;
            let document: Value = serde_saphyr::from_str(&text)?;
            let mut expressions = Vec::new();
            strings(&document, key, &mut expressions);
            ensure!(expressions.len() > 10, "{file}: {expressions:?}");
            for expression in expressions {
                let asked = selectors(expression)?.into_iter();
                missing.extend(asked.filter(|selector| !is_served(&page, selector)));
            }
        }
        ensure!(missing.is_empty(), "not served: {missing:#?}\n{page}");
        Ok(())
    })
}

#[test]
fn a_server_alone() -> Result<()> {
    let server = Alone::start()?;
    let prometheus = Prometheus::start(&[server.http], &rules("alerts.yaml"))?;
    let mut client = server.client()?;
    for number in 0..25 {
        transact(&mut client, &[insert(&format!("s{number}"))])?;
    }
    for _ in 0..3 {
        let results = transact(&mut client, &[insert("s0")])?;
        ensure!(results[1]["error"] == "constraint violation", "{results}");
    }
    transact(&mut client, &[insert("never"), json!({"op": "abort"})])?;
    let wait = json!({"op": "wait", "table": "Transit_Switch", "where": [["name", "==", "none"]],
                      "columns": ["name"], "until": "==", "rows": [{"name": "none"}], "timeout": 200});
    let results = transact(&mut client, &[wait])?;
    ensure!(results[0]["error"] == "timed out", "{results}");
    let select =
        json!({"op": "select", "table": "Transit_Switch", "where": [], "columns": ["name"]});
    for _ in 0..5 {
        transact(&mut client, std::slice::from_ref(&select))?;
    }
    let request = json!({"Transit_Switch": {"columns": ["name"]}});
    client.call("monitor", json!([NORTHBOUND, null, request]))?;
    // One comes and goes, and one says what is no JSON.
    drop(server.client()?);
    let mut nonsense = server.client()?;
    nonsense.send_bytes(b"nonsense")?;

    let nb = format!("database=\"{NORTHBOUND}\"");
    let is = |metric: &str, labels: &str, value: f64| {
        prometheus.wait_for(&format!("{metric}{{{nb}{labels}}}"), value)
    };
    prometheus.wait_for("up", 1.0)?;
    is("ovn_ic_db_ready", "", 1.0)?;
    for (outcome, count) in [
        ("committed", 25.0),
        ("failed", 3.0),
        ("aborted", 1.0),
        ("timed_out", 1.0),
        ("read", 5.0),
        ("canceled", 0.0),
        ("unanswered", 0.0),
    ] {
        let labels = format!(",executed=\"here\",outcome=\"{outcome}\"");
        is("ovn_ic_db_transactions_total", &labels, count)?;
    }
    is(
        "ovn_ic_db_errors_total",
        ",error=\"constraint violation\"",
        3.0,
    )?;
    is("ovn_ic_db_errors_total", ",error=\"aborted\"", 1.0)?;
    is("ovn_ic_db_commits_total", "", 25.0)?;
    is("ovn_ic_db_rows", ",table=\"Transit_Switch\"", 25.0)?;
    is("ovn_ic_db_monitors", "", 1.0)?;
    is("ovn_ic_db_sessions", "", 1.0)?;
    is("ovn_ic_db_sessions_opened_total", "", 3.0)?;
    is("ovn_ic_db_sessions_closed_total", ",reason=\"client\"", 1.0)?;
    is(
        "ovn_ic_db_sessions_closed_total",
        ",reason=\"protocol_error\"",
        1.0,
    )?;
    // Those that did not wait for others; and a sync for each commit.
    is("ovn_ic_db_transaction_duration_seconds_count", "", 34.0)?;
    is("ovn_ic_db_fsync_duration_seconds_count", "", 25.0)?;
    let file = server.folder.path().join("db/ovn_ic_nb_db.db");
    let size = u32::try_from(file.metadata()?.len())?;
    is("ovn_ic_db_file_size_bytes", "", size.into())?;
    is("ovn_ic_db_file_writable", "", 1.0)?;
    let started = "time() - process_start_time_seconds < bool 600";
    prometheus.wait_for(started, 1.0)?;
    prometheus.wait_for("process_resident_memory_bytes > bool 1000000", 1.0)?;
    prometheus.wait_for("count({__name__=~\"ovn_ic_db_raft_.*\"}) or vector(0)", 0.0)?;
    prometheus.wait_for(
        "count(ovn_ic_db_last_compaction_timestamp_seconds) or vector(0)",
        0.0,
    )?;
    let control = server.folder.path().join("run/ovn_ic_nb_db.ctl");
    Client::unix(&control)?.call("ovsdb-server/compact", json!([NORTHBOUND]))?;
    is("ovn_ic_db_compaction_duration_seconds_count", "", 1.0)?;
    is("ovn_ic_db_compaction_failures_total", "", 0.0)?;
    prometheus.wait_for(
        "time() - ovn_ic_db_last_compaction_timestamp_seconds < bool 600",
        1.0,
    )?;
    // Nothing is amiss.
    prometheus.wait_for("count(ALERTS) or vector(0)", 0.0)?;

    let text = get(server.http, "/metrics")?;
    ensure!(
        text.head.contains("text/plain; version=0.0.4"),
        "{}",
        text.head
    );
    let said = promtool(&["check", "metrics"], &text.body)?;
    ensure!(said.is_empty(), "{said}");
    Ok(())
}

/// The instance of a node, as Prometheus calls it.
fn instance(cluster: &Cluster, node: usize) -> String {
    format!(
        "instance=\"{}\",database=\"{NORTHBOUND}\"",
        cluster.http(node)
    )
}

#[test]
fn a_cluster_that_loses_a_node() -> Result<()> {
    let options = Options::three(Kind::Ours, Wiring::Loopback);
    run(&options, |cluster| {
        let targets = [0, 1, 2].map(|node| cluster.http(node));
        let prometheus = Prometheus::start(&targets, &rules("alerts.yaml"))?;
        let leader = cluster.wait_for_leader(Side::Northbound, |_| true)?;
        let follower = (leader + 1) % 3;
        let (leads, follows) = (instance(cluster, leader), instance(cluster, follower));
        let is = |metric: &str, labels: &str, value: f64| {
            prometheus.wait_for(&format!("{metric}{{{labels}}}"), value)
        };
        let before = |labels: &str| -> Result<f64> {
            let metric = format!("ovn_ic_db_transactions_total{{{labels}}}");
            let samples = prometheus.query(&metric)?;
            samples.first().map(|sample| sample.value).context(metric)
        };
        prometheus.wait_for("count(up == 1)", 3.0)?;
        let committed = ",outcome=\"committed\"";
        let passed = format!("{follows},executed=\"leader\"{committed}");
        let here = format!("{leads},executed=\"here\"{committed}");
        let (passed_before, here_before) = (before(&passed)?, before(&here)?);
        let mut at_follower = Client::unix(&cluster.node(follower).socket(Side::Northbound))?;
        let mut at_leader = Client::unix(&cluster.node(leader).socket(Side::Northbound))?;
        for number in 0..7 {
            transact(&mut at_follower, &[insert(&format!("f{number}"))])?;
        }
        for number in 0..4 {
            transact(&mut at_leader, &[insert(&format!("l{number}"))])?;
        }
        let results = transact(&mut at_follower, &[insert("l0")])?;
        ensure!(results[1]["error"] == "constraint violation", "{results}");
        is("ovn_ic_db_transactions_total", &passed, passed_before + 7.0)?;
        is("ovn_ic_db_transactions_total", &here, here_before + 4.0)?;
        let failed = format!("{leads},outcome=\"failed\"");
        is("ovn_ic_db_member_transactions_total", &failed, 1.0)?;
        let error = format!("{follows},error=\"constraint violation\"");
        is("ovn_ic_db_errors_total", &error, 1.0)?;

        let role = |labels: &str, role: &str| format!("{labels},role=\"{role}\"");
        is("ovn_ic_db_raft_role", &role(&leads, "leader"), 1.0)?;
        is("ovn_ic_db_raft_role", &role(&follows, "follower"), 1.0)?;
        is("ovn_ic_db_raft_role", &role(&follows, "leader"), 0.0)?;
        for labels in [&leads, &follows] {
            is("ovn_ic_db_raft_members", labels, 3.0)?;
            is("ovn_ic_db_raft_connected_members", labels, 2.0)?;
            is("ovn_ic_db_raft_apply_lag_entries", labels, 0.0)?;
            is("ovn_ic_db_raft_leader_lag_entries", labels, 0.0)?;
        }
        let round_trips = "ovn_ic_db_raft_append_round_trip_seconds_count";
        let answered = format!("count({round_trips}{{{leads}}} > 0)");
        prometheus.wait_for(&answered, 2.0)?;
        let lag = format!("sum(ovn_ic_db_raft_peer_lag_entries{{{leads}}})");
        prometheus.wait_for(&lag, 0.0)?;
        let won = format!(
            "sum(ovn_ic_db_raft_elections_won_total{{database=\"{NORTHBOUND}\"}}) > bool 0"
        );
        prometheus.wait_for(&won, 1.0)?;
        let said = promtool(
            &["check", "metrics"],
            &get(targets[leader], "/metrics")?.body,
        )?;
        ensure!(said.is_empty(), "{said}");

        // A full disk.
        cluster.node(follower).fill_disk()?;
        transact(&mut at_leader, &[insert(&"x".repeat(100_000))])?;
        is("ovn_ic_db_file_writable", &follows, 0.0)?;
        let failures = format!("ovn_ic_db_disk_failures_total{{{follows}}} > bool 0");
        prometheus.wait_for(&failures, 1.0)?;
        let firing = format!("count(ALERTS{{alertname=\"OvnIcDbDiskFailure\",{follows}}})");
        prometheus.wait_for(&firing, 1.0)?;
        cluster.node(follower).free_disk()?;
        is("ovn_ic_db_file_writable", &follows, 1.0)?;

        // Without the leader there is another one; without two nobody is ready.
        cluster.node_mut(leader).kill9()?;
        let next = cluster.wait_for_leader(Side::Northbound, |next| next != leader)?;
        let leads = instance(cluster, next);
        prometheus.wait_for("count(up == 0)", 1.0)?;
        is("ovn_ic_db_raft_role", &role(&leads, "leader"), 1.0)?;
        is("ovn_ic_db_raft_connected_members", &leads, 1.0)?;
        let changes = format!("ovn_ic_db_raft_leader_changes_total{{{leads}}} > bool 1");
        prometheus.wait_for(&changes, 1.0)?;
        let last = 3 - leader - next;
        cluster.node_mut(last).kill9()?;
        let words = format!("{NORTHBOUND} is cut off from a majority of its cluster");
        let unready = wait_for("a node that is not ready", PATIENCE, || {
            let answer = get(targets[next], "/readyz")?;
            Ok(answer.body.contains(&words).then_some(answer))
        })?;
        ensure!(unready.status == 503, "{unready:?}");
        let alive = get(targets[next], "/healthz")?;
        ensure!(alive.status == 200, "{alive:?}");
        is("ovn_ic_db_ready", &leads, 0.0)?;
        is("ovn_ic_db_raft_leader_known", &leads, 0.0)?;
        let firing = "count(ALERTS{alertname=\"OvnIcDbNotReady\"}) > bool 0";
        prometheus.wait_for(firing, 1.0)?;

        cluster.start(leader)?;
        cluster.start(last)?;
        cluster.wait_until_whole()?;
        prometheus.wait_for("count(ovn_ic_db_ready == 1)", 6.0)
    })
}
