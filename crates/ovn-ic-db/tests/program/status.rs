//! `ovn-ic-db status`, and the method that it asks with, on servers of both kinds.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::process::{Options, Program as Which, Server, Source, free_port};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::program::{OLD_SCHEMAS, Program, tool};

/// Runs the command, with a run folder that nobody uses unless it is set.
fn status(arguments: &[&str], run_folder: Option<&Path>) -> Result<Output> {
    let folder = run_folder.unwrap_or(Path::new("/nowhere"));
    let output = Command::new(env!("CARGO_BIN_EXE_ovn-ic-db"))
        .arg("status")
        .args(arguments)
        .env("OVN_RUNDIR", folder)
        .output()?;
    Ok(output)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The JSON form, with the exit code.
fn parsed(output: &Output) -> Result<(Option<i32>, Value)> {
    let value = serde_json::from_slice(&output.stdout).with_context(|| text(output))?;
    Ok((output.status.code(), value))
}

fn report(program: &Program, side: &str, database: &str) -> Result<Value> {
    program
        .client(side)?
        .call("ovn_ic_db.status", json!([database]))
}

#[test]
fn a_report_says_what_there_is() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    program.ctl("nb", &["ts-add", "one"])?;
    let mut watcher = program.client("nb")?;
    let requests = json!({"Transit_Switch": [{"columns": ["name"]}], "Connection": [{}]});
    for id in ["a", "b"] {
        watcher.call("monitor", json!(["OVN_IC_Northbound", id, requests]))?;
    }
    let said = report(&program, "nb", "OVN_IC_Northbound")?;
    assert_eq!(said["name"], "OVN_IC_Northbound");
    let process = &said["process"];
    assert_eq!(process["id"], json!(program.pid()));
    assert!(process["memory"].as_u64() > Some(1 << 20), "{process}");
    let program_name = process["program"].as_str().unwrap_or_default();
    assert!(program_name.starts_with("ovn-ic-db "), "{process}");
    let contents = &said["contents"];
    assert_eq!(contents["rows"]["Transit_Switch"], 1);
    assert_eq!(contents["rows"]["Connection"], 0);
    assert_eq!(contents["commits"], 1);
    assert_eq!(said["member"], Value::Null);
    // One came from `ts-add`, which asks for the schema and reads first.
    let load = &said["load"];
    assert_eq!(load["changes"]["minute"], 1, "{load}");
    assert!(load["transactions"]["minute"].as_u64() > Some(0), "{load}");
    assert_eq!(said["problem"], Value::Null);
    let size = std::fs::metadata(program.database("nb")?)?.len();
    assert_eq!(said["file"]["size"], json!(size));
    assert_eq!(said["file"]["compacted"], Value::Null);
    let sessions = said["sessions"].as_array().context("sessions")?;
    let watching: Vec<&Value> = sessions.iter().filter(|s| s["monitors"] == 2).collect();
    assert_eq!(watching.len(), 1, "{said}");
    assert_eq!(
        watching[0]["tables"],
        json!(["Connection", "Transit_Switch"])
    );
    assert_eq!(watching[0]["backlog"], 0);

    program.control("nb", &["ovsdb-server/compact"])?;
    let said = report(&program, "nb", "OVN_IC_Northbound")?;
    assert!(said["file"]["compacted"].is_u64(), "{said}");
    // The server's own database has no file; of others nothing is known here.
    let own = report(&program, "sb", "_Server")?;
    assert_eq!(
        (&own["file"], &own["contents"]["rows"]),
        (&Value::Null, &json!({"Database": 2}))
    );
    for params in [json!([]), json!([7]), json!(["OVN_IC_Northbound"])] {
        let refused = program
            .client("sb")?
            .call("ovn_ic_db.status", params.clone());
        let refused = refused.expect_err("refused").to_string();
        let wanted = match params[0].is_string() {
            true => "unknown database",
            false => "must begin with <db-name>",
        };
        assert!(refused.contains(wanted), "{refused}");
    }
    Ok(())
}

/// The last warning stays with its database.
#[test]
fn the_last_problem_is_told() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    let mut nonsense = std::os::unix::net::UnixStream::connect(program.socket("nb"))?;
    nonsense.write_all(b"GET / HTTP/1.1")?;
    let problem = program.wait("a problem", |program| {
        let said = report(program, "nb", "OVN_IC_Northbound")?;
        Ok((!said["problem"].is_null()).then(|| said["problem"].clone()))
    })?;
    assert_eq!(problem["level"], "warning");
    let message = problem["message"].as_str().unwrap_or_default();
    assert!(message.contains("connection dropped"), "{message}");
    assert!(problem["age"].as_u64() < Some(60_000), "{problem}");
    let other = report(&program, "sb", "OVN_IC_Southbound")?;
    assert_eq!(other["problem"], Value::Null);
    let shown = text(&status(&[], Some(&program.path("run")))?);
    let line = format!("  last warning: {message} (unix:");
    assert_eq!(shown.matches(&line).count(), 1, "{shown}");
    Ok(())
}

#[test]
fn a_client_that_does_not_read_has_a_backlog() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    let mut silent = program.client("nb")?;
    // More than sockets hold.
    silent.request("echo", json!(["x".repeat(8 << 20)]))?;
    program.wait("a backlog", |program| {
        let said = report(program, "nb", "OVN_IC_Northbound")?;
        let sessions = said["sessions"].as_array().context("sessions")?;
        let mut backlogs = sessions
            .iter()
            .filter_map(|session| session["backlog"].as_u64());
        Ok(backlogs.any(|backlog| backlog > 1 << 20).then_some(()))
    })
}

#[test]
fn one_server_of_ours() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    program.ctl("nb", &["ts-add", "one"])?;
    let run = program.path("run");
    let shown = status(&[], Some(&run))?;
    let lines = text(&shown);
    assert_eq!(shown.status.code(), Some(0), "{lines}");
    assert!(lines.starts_with("OVN_IC_Northbound  schema "), "{lines}");
    assert!(lines.contains("Transit_Switch 1\n"), "{lines}");
    assert!(!lines.contains('\u{1b}'), "{lines}");
    assert!(lines.contains("  load: "), "{lines}");
    assert!(!lines.contains("COMPACTED"), "{lines}");
    program.control("nb", &["ovsdb-server/compact"])?;
    let compacted = text(&status(&[], Some(&run))?);
    assert!(compacted.contains("  COMPACTED  "), "{compacted}");
    let [nb, sb] = ["nb", "sb"].map(|side| program.port(side));
    let [nb, sb] = [
        format!("tcp:localhost:{}", nb?),
        format!("tcp:127.0.0.1:{}", sb?),
    ];
    let shown = status(&["--nb", &nb, "--sb", &sb, "--format=json"], None)?;
    let (code, value) = parsed(&shown)?;
    assert_eq!(code, Some(0));
    assert_eq!(value[0]["answers"][0]["remote"], json!(nb));
    // It is one, under however many names, and is asked once under each.
    let by_ip = nb.replace("localhost", "127.0.0.1");
    let names = format!("{nb},{by_ip},{nb}");
    let shown = status(&["--nb", &names, "--sb", &sb, "--format=json"], None)?;
    let (code, twice) = parsed(&shown)?;
    assert_eq!(code, Some(0), "{twice}");
    assert_eq!(twice[0]["answers"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        value[0]["answers"][0]["report"]["contents"]["rows"]["Transit_Switch"],
        1
    );
    assert_eq!(value[1]["database"], "OVN_IC_Southbound");
    program.signal(Signal::KILL)?;
    program.end()?;
    let shown = status(&[], Some(&run))?;
    assert_eq!(shown.status.code(), Some(1));
    assert_eq!(
        text(&shown).matches("! nobody answers\n").count(),
        2,
        "{}",
        text(&shown)
    );
    Ok(())
}

#[test]
fn servers_of_the_other_kind() -> Result<()> {
    let schema = |side: &str| format!("{OLD_SCHEMAS}/ovn-ic-{side}.ovsschema");
    let start = |side: &str| {
        let source = Source::Schema(schema(side).into());
        Server::start(Which::Reference, &source, &Options::default())
    };
    let (northbound, southbound) = (start("nb")?, start("sb")?);
    let remote = |server: &Server| format!("unix:{}", server.socket().display());
    northbound.client()?.transact(
        "OVN_IC_Northbound",
        &[json!({"op": "insert", "table": "Transit_Switch", "row": {"name": "one"}})],
    )?;
    let (nb, sb) = (remote(&northbound), remote(&southbound));
    let (code, value) = parsed(&status(&["--nb", &nb, "--sb", &sb, "--format=json"], None)?)?;
    assert_eq!(code, Some(0), "{value}");
    let said = &value[0]["answers"][0]["server"];
    assert_eq!(
        (&said["model"], &said["leader"]),
        (&json!("standalone"), &json!(true))
    );
    assert_eq!(said["rows"]["Transit_Switch"], 1);
    assert_eq!(said["schema_version"], "1.0.0");
    // The wrong way round nobody has what is asked for.
    let shown = status(&["--nb", &sb, "--sb", &nb], None)?;
    assert_eq!(shown.status.code(), Some(1));
    assert!(
        text(&shown).contains("does not serve OVN_IC_Northbound"),
        "{}",
        text(&shown)
    );
    Ok(())
}

/// A zone with a gateway, a port and many routes, over a switch that the northbound has.
fn furnish(northbound: &mut Client, southbound: &mut Client) -> Result<()> {
    northbound.transact(
        "OVN_IC_Northbound",
        &[json!({"op": "insert", "table": "Transit_Switch", "row": {"name": "ts"}})],
    )?;
    let insert = |table: &str, row: Value| json!({"op": "insert", "table": table, "row": row});
    let zone = json!(["named-uuid", "zone"]);
    let mut operations = vec![
        json!({
            "op": "insert", "table": "Availability_Zone", "row": {"name": "az1"},
            "uuid-name": "zone"
        }),
        json!({
            "op": "insert", "table": "Encap", "uuid-name": "encap",
            "row": {"type": "geneve", "ip": "10.0.0.1", "gateway_name": "gw1"}
        }),
        insert(
            "Gateway",
            json!({
                "name": "gw1", "hostname": "host1", "availability_zone": zone,
                "encaps": ["named-uuid", "encap"]
            }),
        ),
        insert(
            "Datapath_Binding",
            json!({"transit_switch": "ts", "tunnel_key": 5}),
        ),
        insert(
            "Port_Binding",
            json!({
                "logical_port": "ts-lr1", "transit_switch": "ts", "availability_zone": zone,
                "tunnel_key": 1, "gateway": "gw1", "address": "02:00:00:00:00:01 169.254.100.1/24"
            }),
        ),
    ];
    operations.extend((0..2000).map(|n| {
        let route = json!({
            "transit_switch": "ts", "availability_zone": zone, "origin": "static",
            "ip_prefix": format!("10.{}.{}.0/24", n / 250, n % 250), "nexthop": "169.254.100.1"
        });
        insert("Route", route)
    }));
    southbound.transact("OVN_IC_Southbound", &operations)?;
    Ok(())
}

const FURNISHED: &str = "
Interconnection  1 zone, 1 gateway, 1 port, 2000 routes
  NAME  KIND    TUNNEL KEY  PORTS  ROUTES
  ts    switch  5           1      2000
  az1  1 gateway, 1 port, 2000 routes
    GATEWAY  HOST   TUNNELS
    gw1      host1  geneve 10.0.0.1
    PORT    ON  GATEWAY  KEY  ADDRESS
    ts-lr1  ts  gw1      1    02:00:00:00:00:01 169.254.100.1/24
    ROUTE        OVER  NEXT HOP       ORIGIN
    10.0.0.0/24  ts    169.254.100.1  static
    10.0.1.0/24  ts    169.254.100.1  static
    10.0.2.0/24  ts    169.254.100.1  static
    10.0.3.0/24  ts    169.254.100.1  static
    10.0.4.0/24  ts    169.254.100.1  static
    and 1995 more routes (--all lists them)
";

/// With the newest schema of ours, and the oldest one on the reference.
#[test]
fn the_interconnection_is_shown_of_every_server() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    furnish(&mut program.client("nb")?, &mut program.client("sb")?)?;
    let ours = ["nb", "sb"].map(|side| format!("unix:{}", program.socket(side).display()));
    let reference = |side: &str| {
        let schema = Source::Schema(format!("{OLD_SCHEMAS}/ovn-ic-{side}.ovsschema").into());
        Server::start(Which::Reference, &schema, &Options::default())
    };
    let servers = [reference("nb")?, reference("sb")?];
    let [northbound, southbound] = &servers;
    furnish(&mut northbound.client()?, &mut southbound.client()?)?;
    let theirs = servers
        .each_ref()
        .map(|server| format!("unix:{}", server.socket().display()));
    for [nb, sb] in [&ours, &theirs] {
        let servers = ["--nb", nb, "--sb", sb];
        let shown = text(&status(&servers, None)?);
        assert!(shown.ends_with(FURNISHED), "{shown}");
        let all = text(&status(&[&servers[..], &["--all"]].concat(), None)?);
        assert!(all.contains("\n    10.7.249.0/24  ts "), "the last route");
        let (code, value) = parsed(&status(&[&servers[..], &["--format=json"]].concat(), None)?)?;
        assert_eq!(code, Some(0));
        let seen = &value[2]["interconnection"];
        assert_eq!(seen["southbound"]["remote"], json!(sb));
        let routes = seen["zones"][0]["routes"].as_array().context("routes")?;
        assert_eq!(routes.len(), 2000);
        assert_eq!(seen["troubles"], json!([]));
        // Without one of the databases the other one's part is there.
        let shown = text(&status(&["--nb", "unix:/nowhere/x", "--sb", sb], None)?);
        assert!(
            shown.contains("\n  az1  1 gateway, 1 port, 2000 routes\n"),
            "{shown}"
        );
        let line = "  ! which transit switches are wanted is not known: nobody answers for OVN_IC_Northbound\n";
        assert!(shown.contains(line), "{shown}");
        let shown = text(&status(&["--nb", nb, "--sb", "unix:/nowhere/x"], None)?);
        let line = "  ! the zones are not known: nobody answers for OVN_IC_Southbound\n";
        assert!(
            shown.contains("\n  ts    switch  ") && shown.contains(line),
            "{shown}"
        );
    }
    Ok(())
}

#[test]
fn clusters_of_the_other_kind() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    let mut remotes = Vec::new();
    let mut servers = Vec::new();
    for (side, name) in [("nb", "OVN_IC_Northbound"), ("sb", "OVN_IC_Southbound")] {
        let leader = format!("tcp:127.0.0.1:{}", free_port()?);
        let joiner = format!("tcp:127.0.0.1:{}", free_port()?);
        let nobody = format!("tcp:127.0.0.1:{}", free_port()?);
        let (founder, other) = (file(&format!("{side}1")), file(&format!("{side}2")));
        let schema = format!("{OLD_SCHEMAS}/ovn-ic-{side}.ovsschema");
        let arguments = [
            "-voff",
            "create-cluster",
            &founder.display().to_string(),
            &schema,
            &leader,
        ];
        tool("ovsdb-tool", arguments)?;
        let arguments = [
            "join-cluster",
            &other.display().to_string(),
            name,
            &joiner,
            &nobody,
        ];
        tool("ovsdb-tool", arguments)?;
        for path in [founder, other] {
            let server = Server::start(Which::Reference, &Source::File(path), &Options::default())?;
            remotes.push(format!("unix:{}", server.socket().display()));
            servers.push(server);
        }
    }
    let both = |nb: &[String], sb: &[String]| {
        let (nb, sb) = (nb.join(","), sb.join(","));
        status(&["--nb", &nb, "--sb", &sb, "--format=json"], None)
    };
    let (code, value) = parsed(&both(&remotes[..2], &remotes[2..])?)?;
    assert_eq!(code, Some(0), "{value}");
    let answers = &value[1]["answers"];
    assert_eq!(answers[0]["server"]["leader"], true);
    assert!(answers[0]["server"]["index"].is_u64(), "{value}");
    assert_eq!(answers[1]["server"]["connected"], false);
    assert_eq!(answers[1]["server"]["schema_version"], Value::Null);
    let (code, value) = parsed(&both(&remotes[..1], &remotes[3..])?)?;
    assert_eq!(code, Some(1), "{value}");
    assert_eq!(
        (&value[0]["served"], &value[1]["served"]),
        (&json!(true), &json!(false))
    );
    Ok(())
}

#[test]
fn nobody_waits_for_a_server_that_says_nothing() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let silent = format!("tcp:{}", silent.local_addr()?);
    let [nb, sb] = ["nb", "sb"].map(|side| {
        format!(
            "{silent},unix:{},unix:/nowhere/x",
            program.socket(side).display()
        )
    });
    let start = Instant::now();
    let shown = status(&["--nb", &nb, "--sb", &sb, "--timeout=1"], None)?;
    let took = start.elapsed();
    let lines = text(&shown);
    assert_eq!(lines.matches("no answer within 1 s").count(), 2, "{lines}");
    assert_eq!(lines.matches("No such file").count(), 2, "{lines}");
    assert_eq!(shown.status.code(), Some(0), "{lines}");
    ensure!(took < Duration::from_secs(15), "{took:?}");
    Ok(())
}

#[test]
fn wrong_flags_say_what_to_write() -> Result<()> {
    for (arguments, words) in [
        (
            &["--host=10.0.0.1:6645"][..],
            "--host=10.0.0.1:6645: must be a name or an IP address",
        ),
        (
            &[
                "--nb=tcp:a:1",
                "--sb=ssl:a:2",
                "--ca-cert=/nowhere/ca",
                "-p/nowhere/key",
            ],
            "TLS: /nowhere/key: the private key cannot be read",
        ),
        (&["--nb=tcp:a:1"], "--sb"),
        (&["--timeout=0"], "--timeout"),
    ] {
        let output = status(arguments, None)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words), "{said}");
    }
    Ok(())
}
