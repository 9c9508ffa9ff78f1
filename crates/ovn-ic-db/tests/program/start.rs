//! The first start, and a slow one.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Result;
use ovn_ic_db_tests::client::Client;
use serde_json::json;

use crate::program::{DEADLINE, Program, tool};

#[test]
fn empty_folders_become_two_databases() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    for (side, name) in [("nb", "OVN_IC_Northbound"), ("sb", "OVN_IC_Southbound")] {
        let port = program.port(side)?;
        let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut addresses = vec![v4];
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        // A machine may have no IPv6.
        if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            addresses.push(v6);
        }
        let dbs = json!([name, "_Server"]);
        for address in addresses {
            let mut client = Client::tcp(address)?;
            assert_eq!(client.call("list_dbs", json!([]))?, dbs, "{address}");
        }
        let socket = format!("unix:{}", program.socket(side).display());
        assert_eq!(
            tool("ovsdb-client", ["list-dbs", &socket])?,
            format!("{name}\n_Server\n")
        );
        let pid = fs::read_to_string(program.path(&format!("run/ovn_ic_{side}_db.pid")))?;
        assert_eq!(pid.trim().parse().ok(), program.pid());
        let log = fs::read_to_string(program.path(&format!("log/ovsdb-server-ic-{side}.log")))?;
        let file = program.database(side)?;
        let line = log
            .lines()
            .find(|line| line.contains(name))
            .unwrap_or_default();
        for part in [
            ", schema ",
            " 0 rows",
            &file.display().to_string(),
            &format!("ptcp:{port}:"),
        ] {
            assert!(line.contains(part), "{part}: {log}");
        }
        // Each file has its own database only.
        assert_eq!(log.matches(": new database").count(), 1, "{log}");
    }
    assert_eq!(program.ctl("nb", &["show"])?, "");
    assert_eq!(program.ctl("sb", &["show"])?, "");
    program.ctl("nb", &["ts-add", "mine"])?;
    program.ctl("sb", &["create", "Availability_Zone", "name=zone"])?;
    program.stop()?;
    program.start()?;
    assert_eq!(
        program.ctl(
            "nb",
            &["--bare", "--columns=name", "list", "Transit_Switch"]
        )?,
        "mine\n"
    );
    assert!(
        program
            .ctl("sb", &["show"])?
            .starts_with("availability-zone zone")
    );
    Ok(())
}

#[test]
fn only_the_addresses_that_are_named_listen() -> Result<()> {
    let mut program = Program::new()?.set("OVN_IC_DB_LISTEN", "127.0.0.2,127.0.0.3");
    program.start()?;
    let remotes = program.control("nb", &["ovsdb-server/list-remotes"])?;
    let port = program.port("nb")?;
    for (last, listens) in [(1, false), (2, true), (3, true)] {
        let address = Ipv4Addr::new(127, 0, 0, last);
        let connected = Client::tcp((address, port).into());
        assert_eq!(connected.is_ok(), listens, "{address}: {remotes}");
    }
    // The socket, and those that the database names.
    assert_eq!(remotes.lines().count(), 2 + 2, "{remotes}");
    Ok(())
}

#[test]
fn locks_of_the_sides_are_their_own() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    let mut clients = [program.client("nb")?, program.client("sb")?];
    for client in &mut clients {
        let locked = client.call("lock", json!(["ovn_ic"]))?;
        assert_eq!(locked, json!({"locked": true}));
    }
    Ok(())
}

#[test]
fn ports_and_sockets_are_there_before_the_databases() -> Result<()> {
    const ROWS: usize = 300_000;
    let mut program = Program::new()?;
    program.large_file(ROWS)?;
    program.launch()?;
    let mut control = program.wait("the control socket", |program| {
        Ok(Client::unix(&program.control_socket("sb")).ok())
    })?;
    let loaded = control.call("ovsdb-server/list-dbs", json!([]))?;
    assert_eq!(
        loaded,
        json!("_Server\n"),
        "not even the small one is loaded"
    );
    let mut names = program.run_folder()?;
    names.retain(|name| !name.ends_with(".tmp"));
    let mut expected = Vec::new();
    for side in ["nb", "sb"] {
        expected.extend(["ctl", "pid", "sock"].map(|end| format!("ovn_ic_{side}_db.{end}")));
    }
    assert_eq!(names, expected);
    // A client that comes while the file is read waits, and is then served.
    let mut client = Client::tcp((Ipv4Addr::LOCALHOST, program.port("nb")?).into())?;
    client.deadline = DEADLINE;
    let select = json!(["OVN_IC_Northbound", {"op": "select", "table": "Transit_Switch",
        "where": [["name", "==", "s1"]], "columns": ["name"]}]);
    let reply = client.call("transact", select)?;
    assert_eq!(reply[0]["rows"], json!([{"name": "s1"}]));
    assert!(
        program.said().contains(&format!("{ROWS} rows")),
        "{}",
        program.said()
    );
    Ok(())
}
