//! `--bootstrap-ca-cert`: beside the reference, and with it at the other end.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::keys::Keys;
use ovn_ic_db_tests::process::{Program, Server, Source, require, wait_for};

use super::{
    PATIENCE, Pki, list, listening, new_database, start, start_with, wait_for_line,
    wait_for_numbers, write,
};

const BOTH: [Program; 2] = [Program::Reference, Program::Ours];

/// The options of somebody who has no authority yet.
fn newcomer(pki: &Pki, file: &Path) -> [String; 3] {
    let [key, certificate, _] = pki.keys("newcomer").options();
    [key, certificate, bootstrap(file)]
}

fn other(program: Program) -> Program {
    match program {
        Program::Reference => Program::Ours,
        Program::Ours => Program::Reference,
    }
}

fn bootstrap(file: &Path) -> String {
    format!("--bootstrap-ca-cert={}", file.display())
}

/// A server with the number 1 and more options, and its port.
fn source(program: Program, keys: &Keys, more: &[String]) -> Result<(Server, u16)> {
    let (port, listen) = listening()?;
    let more = [&[listen], more].concat();
    let source = start(program, &new_database("D"), keys, &more)?;
    write(&source, 1)?;
    Ok((source, port))
}

/// The lines of a file's certificates.
fn certificates(file: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with("-----BEGIN"));
    Ok(lines.map(str::to_owned).collect())
}

/// A newcomer that follows a source, as a relay and as a standby; the mode of the file that it makes.
fn follow(source: Program, follower: Program) -> Result<u32> {
    let folder = tempfile::tempdir()?;
    let pki = Pki::new(&folder.path().join("pki"), &["source", "newcomer"])?;
    // It shows the authority that it trusts.
    let (source, port) = self::source(source, &pki.keys("source"), &[])?;
    let mut mode = 0;
    let ways = [
        (new_database("Own"), format!("relay:D:ssl:127.0.0.1:{port}")),
        (
            new_database("D"),
            format!("--sync-from=ssl:127.0.0.1:{port}"),
        ),
    ];
    for (number, (database, way)) in ways.iter().enumerate() {
        let file = folder.path().join(format!("{number}.pem"));
        let keys = newcomer(&pki, &file);
        let server = start_with(follower, database, &keys, std::slice::from_ref(way))?;
        wait_for_numbers(&server, &[1])?;
        wait_for_line(&server, &["successfully bootstrapped CA cert to", ".pem"])?;
        ensure!(certificates(&file)? == certificates(&pki.authority())?);
        mode = fs::metadata(&file)?.mode();
    }
    drop(source);
    Ok(mode)
}

#[test]
fn who_calls_takes_the_authority_of_whom_it_calls() -> Result<()> {
    let ours = follow(Program::Reference, Program::Ours).context("ours")?;
    let reference = follow(Program::Ours, Program::Reference).context("the reference")?;
    assert_eq!(ours, reference);
    Ok(())
}

/// A newcomer's remote is called by nobody who would be believed.
fn listen(program: Program) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pki = Pki::new(&folder.path().join("pki"), &["newcomer", "client"])?;
    let file = folder.path().join("bootstrapped.pem");
    let (port, listen) = listening()?;
    let keys = newcomer(&pki, &file);
    let server = start_with(program, &new_database("D"), &keys, &[listen])?;
    // It shows all that there is.
    let client = pki.keys("client");
    let output = Command::new(require("openssl", "openssl")?)
        .args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-key"])
        .arg(&client.key)
        .arg("-cert")
        .arg(&client.certificate)
        .arg("-cert_chain")
        .arg(pki.authority())
        .stdin(Stdio::null())
        .output()?;
    ensure!(!output.stdout.is_empty(), "{output:?}");
    let words: &[&str] = match program {
        Program::Reference => &["certificate verify failed"],
        Program::Ours => &["refused: the certificate", "CN=client\" cannot be checked"],
    };
    wait_for_line(&server, words)?;
    ensure!(!file.exists(), "it was made");
    // Somebody else puts it there.
    fs::copy(pki.authority(), &file)?;
    wait_for("an answer", PATIENCE, || {
        Ok(list(port, &client)?.contains("_Server").then_some(()))
    })
    .with_context(|| server.said())
}

#[test]
fn who_is_called_believes_nobody() -> Result<()> {
    for program in BOTH {
        listen(program).with_context(|| format!("{program:?}"))?;
    }
    Ok(())
}

/// What cannot be taken, or not be written.
fn refuse(program: Program) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pki = Pki::new(&folder.path().join("pki"), &["source", "newcomer"])?;
    let begin = |source: &(Server, u16), file: &Path| {
        let keys = newcomer(&pki, file);
        let way = format!("relay:D:ssl:127.0.0.1:{}", source.1);
        start_with(program, &new_database("Own"), &keys, &[way])
    };
    let file = folder.path().join("bootstrapped.pem");
    // It trusts others alone.
    let others = Pki::new(&folder.path().join("others"), &[])?;
    let keys = Keys {
        authority: others.authority(),
        ..pki.keys("source")
    };
    let silent = source(other(program), &keys, &[])?;
    let relay = begin(&silent, &file)?;
    wait_for_line(
        &relay,
        &["could not bootstrap CA cert", "is not self-signed"],
    )?;
    ensure!(!file.exists(), "it was made");
    let shown = format!("--peer-ca-cert={}", pki.authority().display());
    let shows = source(other(program), &keys, &[shown])?;
    let nowhere = folder.path().join("none/bootstrapped.pem");
    let relay = begin(&shows, &nowhere)?;
    let creating = format!("creating {} failed: No such file", nowhere.display());
    wait_for_line(&relay, &["|ERR|", "could not bootstrap CA cert", &creating])?;
    // A file that there is stays as it is.
    fs::write(&file, "nothing\n")?;
    let relay = begin(&shows, &file)?;
    wait_for_line(&relay, &["|ERR|", "bootstrapped.pem"])?;
    wait_for_line(&relay, &["ssl:127.0.0.1:", "connection attempt failed"])?;
    ensure!(fs::read_to_string(&file)? == "nothing\n");
    Ok(())
}

#[test]
fn what_is_no_authority_is_not_taken() -> Result<()> {
    for program in BOTH {
        refuse(program).with_context(|| format!("{program:?}"))?;
    }
    Ok(())
}

/// A column of the database names the file, and the option says that it may be made.
fn named_in_a_database(program: Program) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pki = Pki::new(&folder.path().join("pki"), &["source", "newcomer"])?;
    let (_source, port) = source(other(program), &pki.keys("source"), &[])?;
    let file = folder.path().join("bootstrapped.pem");
    let schema = r#"{"name":"Keys","version":"1.0.0","tables":{"SSL":{"isRoot":true,
        "columns":{"ca_cert":{"type":"string"},"bootstrap_ca_cert":{"type":"boolean"}}}}}"#;
    let [key, certificate, _] = pki.keys("newcomer").options();
    let database = Source::SchemaText(schema.to_owned());
    let server = |authority: &str| {
        let keys = [key.clone(), certificate.clone(), authority.to_owned()];
        let way = format!("relay:D:ssl:127.0.0.1:{port}");
        let server = start_with(program, &database, &keys, &[way])?;
        let row = serde_json::json!({"op": "insert", "table": "SSL",
            "row": {"ca_cert": file.display().to_string(), "bootstrap_ca_cert": true}});
        server.client()?.transact("Keys", &[row])?;
        anyhow::Ok(server)
    };
    // That other column is for other programs.
    let waits = server("--ca-cert=db:Keys,SSL,ca_cert")?;
    wait_for_line(&waits, &["|ERR|", "bootstrapped.pem", "No such file"])?;
    ensure!(!file.exists(), "it was made");
    let takes = server("--bootstrap-ca-cert=db:Keys,SSL,ca_cert")?;
    wait_for_numbers(&takes, &[1])?;
    ensure!(certificates(&file)? == certificates(&pki.authority())?);
    Ok(())
}

#[test]
fn a_database_may_name_the_file() -> Result<()> {
    for program in BOTH {
        named_in_a_database(program).with_context(|| format!("{program:?}"))?;
    }
    Ok(())
}
