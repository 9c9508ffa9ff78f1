//! Who comes in at the client ports, and who does not.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::keys::{Authority, Keys};
use ovn_ic_db_tests::process::{Program, executable, free_port, require, wait_for};
use serde_json::json;

use crate::PATIENCE;

/// `ovn-ic-db run` with TLS, on free ports.
struct Server {
    folder: tempfile::TempDir,
    authority: Authority,
    keys: Keys,
    ports: [u16; 2],
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(variables: &[(&str, &str)]) -> Result<Server> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let authority = Authority::new(&at("made"))?;
        let keys = authority.issue("server")?;
        keys.put(&at("tls"))?;
        let ports = [free_port()?, free_port()?];
        let output = fs::File::create(at("output"))?;
        let child = Command::new(executable(Program::Ours)?)
            .arg("run")
            .args(["--listen=127.0.0.1", "--private-key"])
            .arg(at("tls/key"))
            .arg("--certificate")
            .arg(at("tls/cert"))
            .arg("--ca-cert")
            .arg(at("tls/cacert"))
            .arg(format!("--nb-port={}", ports[0]))
            .arg(format!("--sb-port={}", ports[1]))
            .env("ENABLE_SSL", "true")
            .env("OVN_DBDIR", at("db"))
            .env("OVN_RUNDIR", at("run"))
            .env("OVN_LOGDIR", at("log"))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let server = Server {
            folder,
            authority,
            keys,
            ports,
            child,
        };
        wait_for("the server", PATIENCE, || {
            let shown = server.nbctl(&server.keys, &["ts-list"])?;
            Ok(shown.status.success().then_some(()))
        })
        .with_context(|| server.said())?;
        Ok(server)
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }

    fn tls(&self) -> PathBuf {
        self.folder.path().join("tls")
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports[0]))
    }

    fn remote(&self, scheme: &str) -> String {
        format!("{scheme}:{}", self.address())
    }

    fn nbctl(&self, keys: &Keys, arguments: &[&str]) -> Result<Output> {
        let output = Command::new(require("ovn-ic-nbctl", "ovn-ic")?)
            .args(["--timeout=5", "--no-leader-only"])
            .arg(format!("--db={}", self.remote("ssl")))
            .args(keys.options())
            .args(arguments)
            .output()?;
        Ok(output)
    }

    /// `ovsdb-client list-dbs`, with other options.
    fn list(&self, scheme: &str, options: &[String]) -> Result<Output> {
        let output = Command::new(require("ovsdb-client", "openvswitch-common")?)
            .args(["--timeout=5", "list-dbs"])
            .arg(self.remote(scheme))
            .args(options)
            .output()?;
        Ok(output)
    }

    fn wait_for_line(&self, words: &[&str]) -> Result<()> {
        let found = wait_for("a line", PATIENCE, || {
            let said = self.said();
            let mut lines = said.lines();
            Ok(lines
                .any(|line| words.iter().all(|word| line.contains(word)))
                .then_some(()))
        });
        found.with_context(|| format!("{words:?} in:\n{}", self.said()))
    }
}

fn lists(output: &Output) -> bool {
    output.status.success() && String::from_utf8_lossy(&output.stdout).contains("OVN_IC_Northbound")
}

/// What `openssl s_client` reads of an answer, in a version.
fn speak(server: &Server, version: &str) -> Result<String> {
    let mut child = Command::new(require("openssl", "openssl")?)
        .args(["s_client", "-quiet", version, "-connect"])
        .arg(server.address().to_string())
        .arg("-key")
        .arg(&server.keys.key)
        .arg("-cert")
        .arg(&server.keys.certificate)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let request = br#"{"id":1,"method":"echo","params":["spoken"]}"#;
    child.stdin.as_mut().context("stdin")?.write_all(request)?;
    let mut answer = [0; 256];
    let length = child.stdout.as_mut().context("stdout")?.read(&mut answer)?;
    child.kill()?;
    child.wait()?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

#[test]
fn one_port_for_tls_and_plain_clients() -> Result<()> {
    let server = Server::start(&[])?;
    ensure!(lists(&server.list("ssl", &server.keys.options())?));
    for version in ["-tls1_2", "-tls1_3"] {
        let answer = speak(&server, version)?;
        ensure!(answer.contains("spoken"), "{version}: {answer}");
    }
    ensure!(speak(&server, "-tls1_1")?.is_empty());
    ensure!(lists(&server.list("tcp", &[])?));
    server.wait_for_line(&["INFO", "tcp:127.0.0.1:", "connects without TLS"])?;
    // Large answers and large requests go through.
    for round in 0..3 {
        let name = format!("{round}{}", "x".repeat(300_000));
        let added = server.nbctl(&server.keys, &["ts-add", &name[..100_000]])?;
        ensure!(added.status.success(), "{added:?}");
    }
    let dump = Command::new(require("ovsdb-client", "openvswitch-common")?)
        .args(["--timeout=10", "dump"])
        .arg(server.remote("ssl"))
        .arg("OVN_IC_Northbound")
        .args(server.keys.options())
        .output()?;
    ensure!(
        dump.status.success() && dump.stdout.len() > 300_000,
        "{dump:?}"
    );
    Ok(())
}

#[test]
fn plain_clients_are_refused_where_that_is_set() -> Result<()> {
    let server = Server::start(&[("OVN_IC_DB_PLAINTEXT", "refuse")])?;
    ensure!(lists(&server.list("ssl", &server.keys.options())?));
    ensure!(!server.list("tcp", &[])?.status.success());
    server.wait_for_line(&["WARN", "tcp:127.0.0.1:", "refused: it connects without TLS"])?;
    let control = server.folder.path().join("run/ovn_ic_nb_db.ctl");
    let remotes = Client::unix(&control)?.call("ovsdb-server/list-remotes", json!([]))?;
    let remotes = remotes.as_str().context("text")?.to_owned();
    ensure!(
        remotes.contains("pssl:") && !remotes.contains("ptcp:"),
        "{remotes}"
    );
    Ok(())
}

#[test]
fn who_may_not_come_in() -> Result<()> {
    let server = Server::start(&[])?;
    let own = server.keys.options();
    let other = Authority::new(&server.folder.path().join("other"))?;
    let foreign = Keys {
        // It trusts the server, so that the server has to refuse.
        authority: server.keys.authority.clone(),
        ..other.issue("stranger")?
    };
    ensure!(!lists(&server.list("ssl", &foreign.options())?));
    server.wait_for_line(&["WARN", "ssl:127.0.0.1:", "CN=stranger", "trusted here"])?;
    let expired = server.authority.issue_expired("old")?;
    ensure!(!lists(&server.list("ssl", &expired.options())?));
    server.wait_for_line(&["WARN", "ssl:127.0.0.1:", "CN=old", "expired on Jan  1"])?;
    // Without a certificate.
    let mut child = Command::new(require("openssl", "openssl")?)
        .args(["s_client", "-quiet", "-connect"])
        .arg(server.address().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    server.wait_for_line(&["WARN", "ssl:127.0.0.1:", "it shows no certificate"])?;
    child.kill()?;
    child.wait()?;
    // A client refuses a foreign server.
    let distrusting = Keys {
        authority: other.issue("x")?.authority,
        ..server.keys.clone()
    };
    ensure!(!lists(&server.list("ssl", &distrusting.options())?));
    server.wait_for_line(&["WARN", "it refuses this side's certificate"])?;
    ensure!(lists(&server.list("ssl", &own)?));
    Ok(())
}

#[test]
fn the_slow_hold_up_nobody() -> Result<()> {
    let server = Server::start(&[])?;
    let mut slow = Vec::new();
    for number in 0..600 {
        let mut stream = TcpStream::connect(server.address())?;
        match number % 3 {
            0 => {}
            // A handshake that has only begun.
            1 => stream.write_all(&[22, 3, 1])?,
            _ => stream.write_all(b"{")?,
        }
        slow.push(stream);
    }
    let begun = Instant::now();
    ensure!(lists(&server.list("ssl", &server.keys.options())?));
    ensure!(lists(&server.list("tcp", &[])?));
    let took = begun.elapsed();
    ensure!(took < Duration::from_secs(4), "{took:?}");
    Ok(())
}

/// A session on a connection of `openssl s_client`.
struct Session {
    child: Child,
}

impl Session {
    fn open(server: &Server) -> Result<Session> {
        let child = Command::new(require("openssl", "openssl")?)
            .args(["s_client", "-quiet", "-connect"])
            .arg(server.address().to_string())
            .arg("-key")
            .arg(&server.keys.key)
            .arg("-cert")
            .arg(&server.keys.certificate)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Session { child })
    }

    fn echo(&mut self, word: &str) -> Result<()> {
        let request = format!(r#"{{"id":1,"method":"echo","params":["{word}"]}}"#);
        let stdin = self.child.stdin.as_mut().context("stdin")?;
        stdin.write_all(request.as_bytes())?;
        let mut said = Vec::new();
        let mut part = [0; 512];
        while !String::from_utf8_lossy(&said).contains(word) {
            let length = self
                .child
                .stdout
                .as_mut()
                .context("stdout")?
                .read(&mut part)?;
            ensure!(length > 0, "the session has ended");
            said.extend_from_slice(&part[..length]);
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The certificate that the server shows, by its name.
fn shown(server: &Server) -> Result<String> {
    let output = Command::new(require("openssl", "openssl")?)
        .args(["s_client", "-connect", &server.address().to_string()])
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let subject = text.lines().find(|line| line.starts_with("subject="));
    Ok(subject.with_context(|| text.clone())?.to_owned())
}

#[test]
fn new_keys_come_into_use_and_sessions_stay() -> Result<()> {
    let server = Server::start(&[("OVN_IC_DB_PROBE_INTERVAL", "0")])?;
    let mut session = Session::open(&server)?;
    session.echo("before")?;
    ensure!(shown(&server)?.contains("CN = server"));
    // A set that does not fit together.
    let newer = server.authority.issue("newer")?;
    fs::copy(&newer.certificate, server.tls().join("cert"))?;
    server.wait_for_line(&["|ERR|", "is not the key of the certificate", "stay in use"])?;
    ensure!(shown(&server)?.contains("CN = server"));
    newer.put(&server.tls())?;
    server.wait_for_line(&["INFO", "new files are in use", "CN=newer"])?;
    ensure!(shown(&server)?.contains("CN = newer"));
    session.echo("after")?;
    // Another authority: whoever has a certificate of the old one is a stranger from now on.
    let other = Authority::new(&server.folder.path().join("other"))?.issue("next")?;
    other.put(&server.tls())?;
    server.wait_for_line(&["new files are in use", "CN=next"])?;
    ensure!(lists(&server.list("ssl", &other.options())?));
    ensure!(!lists(&server.list("ssl", &server.keys.options())?));
    session.echo("still there")?;
    let broken = server.tls().join("cacert");
    fs::remove_file(&broken)?;
    server.wait_for_line(&["|ERR|", "cannot be read", "stay in use"])?;
    ensure!(lists(&server.list("ssl", &other.options())?));
    Ok(())
}

#[test]
fn our_commands_use_the_same_keys() -> Result<()> {
    let server = Server::start(&[])?;
    let status = |options: &[String], remote: &str| -> Result<Output> {
        let sb = remote.replace(&server.ports[0].to_string(), &server.ports[1].to_string());
        let output = Command::new(executable(Program::Ours)?)
            .args(["status", "--format=json", "--timeout=5"])
            .args(["--nb", remote, "--sb", &sb])
            .args(options)
            .output()?;
        Ok(output)
    };
    let shown = status(&server.keys.options(), &server.remote("ssl"))?;
    ensure!(shown.status.success(), "{shown:?}");
    let text = String::from_utf8(shown.stdout)?;
    ensure!(text.contains("\"ssl:127.0.0.1:"), "{text}");
    let expired = server.authority.issue_expired("old")?;
    let refused = status(&expired.options(), &server.remote("ssl"))?;
    ensure!(refused.status.code() == Some(2), "{refused:?}");
    ensure!(String::from_utf8_lossy(&refused.stderr).contains("expired on Jan  1"));
    let other = Authority::new(&server.folder.path().join("other"))?.issue("x")?;
    let foreign = status(&other.options(), &server.remote("ssl"))?;
    let said = String::from_utf8(foreign.stdout)?;
    ensure!(said.contains("trusted here"), "{said}");
    Ok(())
}

#[test]
fn the_programs_own_keys_serve_the_reference() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let made = Command::new(executable(Program::Ours)?)
        .arg("pki")
        .arg(at("pki"))
        .args(["--name", "client"])
        .output()?;
    ensure!(made.status.success(), "{made:?}");
    let keys = |key: &str, certificate: &str| Keys {
        key: at("pki").join(key),
        certificate: at("pki").join(certificate),
        authority: at("pki/cacert"),
    };
    let port = free_port()?;
    let schema = ovn_ic_db_tests::world::interconnect::debian_schema("ovn-ic-nb.ovsschema")?;
    ovn_ic_db_tests::process::create_database(&at("db"), &schema)?;
    let mut server = Command::new(executable(Program::Reference)?)
        .arg(format!("--remote=pssl:{port}:127.0.0.1"))
        .args(keys("key", "cert").options())
        .arg("--no-chdir")
        .arg(format!("--unixctl={}", at("ctl").display()))
        .arg(at("db"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let listed = wait_for("the reference", PATIENCE, || {
        if let Some(status) = server.try_wait()? {
            bail!("the reference ended with {status}");
        }
        let output = Command::new(require("ovsdb-client", "openvswitch-common")?)
            .args(["--timeout=5", "list-dbs"])
            .arg(format!("ssl:127.0.0.1:{port}"))
            .args(keys("client.key", "client.cert").options())
            .output()?;
        Ok(lists(&output).then_some(()))
    });
    server.kill()?;
    server.wait()?;
    listed
}
