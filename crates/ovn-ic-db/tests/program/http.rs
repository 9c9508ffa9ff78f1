//! HTTP for machines: where it is, what it answers, and what bad clients cost.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::http::{get, say};
use ovn_ic_db_tests::process::require;

use crate::program::Program;
use crate::tls::{made_in, with_keys};

/// Where it says that it is.
fn address(program: &mut Program) -> Result<SocketAddr> {
    let text = program.wait("the address", |program| {
        let said = program.said();
        let line = said.split("HTTP: http://").nth(1);
        let address = line.and_then(|line| line.split_once(' '));
        Ok(address.map(|(address, _)| address.to_owned()))
    })?;
    text.parse().with_context(|| text.clone())
}

fn started() -> Result<(Program, SocketAddr)> {
    let mut program = Program::new()?.set("OVN_IC_DB_HTTP", "127.0.0.1:0");
    program.start()?;
    let address = address(&mut program)?;
    program.wait("readiness", |_| {
        Ok((get(address, "/readyz")?.status == 200).then_some(()))
    })?;
    Ok((program, address))
}

#[test]
fn probes_and_metrics() -> Result<()> {
    let (mut program, address) = started()?;
    let ready = get(address, "/readyz")?;
    let words = "OVN_IC_Northbound is served\nOVN_IC_Southbound is served\n";
    assert_eq!((ready.status, ready.body.as_str()), (200, words));
    let alive = get(address, "/healthz")?;
    assert_eq!(alive.status, 200, "{alive:?}");
    let metrics = get(address, "/metrics?x=y")?;
    assert_eq!(metrics.status, 200);
    for line in [
        "# TYPE ovn_ic_db_transactions_total counter",
        "ovn_ic_db_ready{database=\"OVN_IC_Southbound\"} 1",
        "ovn_ic_db_rows{database=\"OVN_IC_Northbound\",table=\"Transit_Switch\"} 0",
    ] {
        assert!(metrics.body.lines().any(|other| other == line), "{line}");
    }
    assert_eq!(get(address, "/")?.status, 404);
    let post = say(
        address,
        "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
    )?;
    assert_eq!(post.status, 405, "{post:?}");
    assert!(
        post.head.to_lowercase().contains("allow: get, head"),
        "{post:?}"
    );
    let head = say(address, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")?;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(
        head.head.to_lowercase().contains("connection: close"),
        "{head:?}"
    );
    program.stop()?;
    assert!(
        TcpStream::connect(address).is_err(),
        "it is gone with the program"
    );
    Ok(())
}

/// A sample's value.
fn value(address: SocketAddr, sample: &str) -> Result<f64> {
    let text = get(address, "/metrics")?.body;
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    Ok(value
        .with_context(|| format!("{sample}\n{text}"))?
        .parse()?)
}

#[test]
fn certificates_are_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (ours, foreign) = (folder.path().join("ours"), folder.path().join("foreign"));
    made_in(&ours)?;
    made_in(&foreign)?;
    let program = Program::new()?.set("OVN_IC_DB_HTTP", "127.0.0.1:0");
    let mut program = with_keys(program, &ours);
    program.start()?;
    let address = address(&mut program)?;
    let expiry = value(address, "ovn_ic_db_certificate_expiry_timestamp_seconds")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
    let days = (expiry - now) / 86_400.0;
    assert!((364.0..366.0).contains(&days), "{days}");
    let authority = value(address, "ovn_ic_db_authority_expiry_timestamp_seconds")?;
    assert!(authority >= expiry, "{authority}");

    let output = Command::new(require("ovsdb-client", "openvswitch-common")?)
        .arg(format!("--private-key={}", foreign.join("key").display()))
        .arg(format!("--certificate={}", foreign.join("cert").display()))
        .arg(format!("--ca-cert={}", ours.join("cacert").display()))
        .args([
            "list-dbs",
            &format!("ssl:127.0.0.1:{}", program.port("nb")?),
        ])
        .output()?;
    ensure!(!output.status.success(), "{output:?}");
    let refused = "ovn_ic_db_refused_connections_total{database=\"OVN_IC_Northbound\",reason=\"certificate\"}";
    program.wait("the refusal", |_| {
        Ok((value(address, refused)? >= 1.0).then_some(()))
    })?;
    Ok(())
}

#[test]
fn it_is_off_or_where_it_is_said() -> Result<()> {
    let mut program = Program::new()?.set("OVN_IC_DB_HTTP", "");
    program.start()?;
    assert!(!program.said().contains("HTTP"), "{}", program.said());

    let arguments = ["run", "--nb-port=0", "--sb-port=0", "--http=[::1]:0"];
    let mut program = Program::new()?
        .set("OVN_IC_DB_HTTP", "nowhere")
        .arguments(&arguments);
    program.start()?;
    let address = address(&mut program)?;
    assert!(address.is_ipv6(), "{address}");
    assert_eq!(get(address, "/healthz")?.status, 200);
    Ok(())
}

#[test]
fn a_wrong_place_touches_nothing() -> Result<()> {
    for value in ["6649", "localhost:6649", "::1:6649", "127.0.0.1:70000"] {
        let mut program = Program::new()?.set("OVN_IC_DB_HTTP", value);
        let (status, said) = program.fails()?;
        assert_eq!(status, 2, "{said}");
        assert!(
            said.contains(&format!("OVN_IC_DB_HTTP={value}: must be ADDRESS:PORT")),
            "{said}"
        );
        assert!(!program.path("db").exists() && !program.path("run").exists());
    }
    Ok(())
}

#[test]
fn a_port_in_use_is_named() -> Result<()> {
    let taken = TcpListener::bind(("127.0.0.1", 0))?;
    let address = taken.local_addr()?;
    let mut program = Program::new()?.set("OVN_IC_DB_HTTP", &address.to_string());
    let (status, said) = program.fails()?;
    assert_eq!(status, 1, "{said}");
    let words = format!(
        "HTTP: ptcp:{}:127.0.0.1: Address already in use",
        address.port()
    );
    assert!(said.contains(&words), "{said}");
    assert!(said.contains("OVN_IC_DB_HTTP or --http"), "{said}");
    assert_eq!(program.run_folder()?, Vec::<String>::new());
    assert!(
        !program.path("db/ovn_ic_nb_db.db").exists(),
        "no file is made"
    );
    Ok(())
}

/// What a connection gets until it is closed.
fn rest(mut stream: TcpStream) -> Result<String> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        // It was closed with bytes of ours unread.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => return Err(error.into()),
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[test]
fn who_says_nothing_or_too_much_is_closed() -> Result<()> {
    let (_program, address) = started()?;
    let began = Instant::now();
    let silent = TcpStream::connect(address)?;
    let mut slow = TcpStream::connect(address)?;
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: ")?;

    // Headers without end: refused as soon as they are too many.
    let mut endless = TcpStream::connect(address)?;
    endless.write_all(b"GET /metrics HTTP/1.1\r\n")?;
    let line = format!("X: {}\r\n", "x".repeat(1000));
    let sent = (0..10_000).take_while(|_| endless.write_all(line.as_bytes()).is_ok());
    ensure!(sent.count() < 10_000, "ten megabytes of headers were taken");

    let mut many = TcpStream::connect(address)?;
    many.write_all(b"GET /metrics HTTP/1.1\r\n")?;
    many.write_all("X: x\r\n".repeat(200).as_bytes())?;
    many.write_all(b"\r\n")?;
    let said = rest(many)?;
    assert!(said.starts_with("HTTP/1.1 431"), "{said}");

    let mut nonsense = TcpStream::connect(address)?;
    nonsense.write_all(b"{\"id\":1,\"method\":\"echo\",\"params\":[]}\n\n")?;
    let said = rest(nonsense)?;
    assert!(
        said.is_empty() || said.starts_with("HTTP/1.1 400"),
        "{said}"
    );

    rest(silent)?;
    rest(slow)?;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "they are closed: {took:?}");
    Ok(())
}

#[test]
fn many_connections_give_way_to_new_ones() -> Result<()> {
    let (mut program, address) = started()?;
    let files = |program: &Program| -> Result<usize> {
        let pid = program.pid().context("it runs")?;
        Ok(std::fs::read_dir(format!("/proc/{pid}/fd"))?.count())
    };
    let before = files(&program)?;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(address)?);
    }
    let answer = get(address, "/healthz")?;
    assert_eq!(answer.status, 200);
    program.wait("the oldest to be closed", |program| {
        Ok((files(program)? <= before + 70).then_some(()))
    })?;
    // The oldest is closed long before its time.
    rest(silent.swap_remove(0))?;
    Ok(())
}
