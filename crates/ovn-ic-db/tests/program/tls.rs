//! Keys at start: made by `pki`, missing, wrong, over; and clusters of before TLS.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use ovn_ic_db_tests::keys::Authority;
use ovn_ic_db_tests::process::free_port;

use crate::program::{OLD_SCHEMAS, Program, tool};

fn pki(arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ovn-ic-db"));
    Ok(command.arg("pki").args(arguments).output()?)
}

/// Makes an authority, a key and a certificate in a folder.
pub fn made_in(folder: &Path) -> Result<()> {
    let output = pki(&[&folder.display().to_string()])?;
    ensure!(output.status.success(), "{output:?}");
    Ok(())
}

/// A program with TLS and the keys of a folder.
pub fn with_keys(program: Program, folder: &Path) -> Program {
    let at = |name: &str| folder.join(name).display().to_string();
    program
        .set("ENABLE_SSL", "true")
        .set("OVN_IC_DB_PRIVATE_KEY", &at("key"))
        .set("OVN_IC_DB_CERTIFICATE", &at("cert"))
        .set("OVN_IC_DB_CA_CERT", &at("cacert"))
}

#[test]
fn pki_makes_new_files_only() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = folder.path().join("a/b");
    let text = at.display().to_string();
    let output = pki(&[&text, "--name", "zone1", "--name=zone2"])?;
    ensure!(output.status.success(), "{output:?}");
    let mut names = Vec::new();
    for entry in fs::read_dir(&at)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let mode = entry.metadata()?.permissions().mode() & 0o777;
        let right = if name.contains("key") { 0o600 } else { 0o644 };
        ensure!(mode == right, "{name}: {mode:o}");
        names.push(name);
    }
    names.sort();
    let all = [
        "cacert",
        "cakey",
        "cert",
        "key",
        "zone1.cert",
        "zone1.key",
        "zone2.cert",
        "zone2.key",
    ];
    ensure!(names == all, "{names:?}");
    let purpose = "-purpose sslclient -CAfile cacert zone1.cert cert";
    let verified = Command::new("openssl")
        .arg("verify")
        .args(purpose.split(' '))
        .current_dir(&at)
        .output()?;
    ensure!(verified.status.success(), "{verified:?}");

    // Again, and with only one of them in the way: nothing is replaced, and nothing is made.
    let before = fs::read(at.join("key"))?;
    let again = pki(&[&text])?;
    ensure!(again.status.code() == Some(1), "{again:?}");
    ensure!(String::from_utf8_lossy(&again.stderr).contains("is there already"));
    ensure!(fs::read(at.join("key"))? == before);
    let other = folder.path().join("other");
    fs::create_dir(&other)?;
    std::os::unix::fs::symlink("nowhere", other.join("cert"))?;
    let refused = pki(&[&other.display().to_string()])?;
    ensure!(refused.status.code() == Some(1), "{refused:?}");
    ensure!(fs::read_dir(&other)?.count() == 1);
    for name in ["../x", "", ".x", "a b"] {
        let refused = pki(&[&text, "--name", name])?;
        ensure!(!refused.status.success(), "{name}");
    }
    Ok(())
}

#[test]
fn keys_that_cannot_be_used_change_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (good, other) = (folder.path().join("good"), folder.path().join("other"));
    made_in(&good)?;
    made_in(&other)?;
    let authority = Authority::new(&folder.path().join("made"))?;
    let expired = authority.issue_expired("old")?;
    let broken = folder.path().join("broken");
    let encrypted = folder.path().join("encrypted");
    fs::write(
        &broken,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )?;
    fs::write(
        &encrypted,
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    )?;
    let missing = folder.path().join("missing");
    let (key, certificate, authorities) =
        (good.join("key"), good.join("cert"), good.join("cacert"));
    let cases: [([&PathBuf; 3], &str); 8] = [
        (
            [&missing, &certificate, &authorities],
            "the private key cannot be read: No such file",
        ),
        (
            [&key, &missing, &authorities],
            "the certificate cannot be read: No such file",
        ),
        (
            [&key, &certificate, &missing],
            "the authority's certificate cannot be read",
        ),
        (
            [&other.join("key"), &certificate, &authorities],
            "is not the key of the certificate in",
        ),
        (
            [&certificate, &certificate, &authorities],
            "is not the private key in PEM form",
        ),
        ([&encrypted, &certificate, &authorities], "it is encrypted"),
        (
            [&key, &broken, &authorities],
            "is not the certificate in PEM form",
        ),
        (
            [&expired.key, &expired.certificate, &authorities],
            "expired on Jan  1",
        ),
    ];
    for ([key, certificate, authorities], words) in cases {
        let mut program = Program::new()?
            .set("ENABLE_SSL", "true")
            .set("OVN_IC_DB_PRIVATE_KEY", &key.display().to_string())
            .set("OVN_IC_DB_CERTIFICATE", &certificate.display().to_string())
            .set("OVN_IC_DB_CA_CERT", &authorities.display().to_string());
        let (status, said) = program.fails()?;
        ensure!(status == 1 && said.contains(words), "{words}: {said}");
        ensure!(
            said.contains("--private-key, --certificate and --ca-cert"),
            "{said}"
        );
        ensure!(!program.path("db").exists() && !program.path("run").exists());
    }
    // Where nobody names other files.
    let (status, said) = Program::new()?.set("ENABLE_SSL", "true").fails()?;
    ensure!(status == 1 && said.contains("/var/run/tls/key: "), "{said}");
    Ok(())
}

/// A file of a cluster's first member, as Debian's deployment has it.
fn cluster_file(program: &Program, side: &str, scheme: &str) -> Result<()> {
    let file = program.database(side)?.display().to_string();
    let schema = format!("{OLD_SCHEMAS}/ovn-ic-{side}.ovsschema");
    let address = format!("{scheme}:127.0.0.1:{}", free_port()?);
    tool("ovsdb-tool", ["create-cluster", &file, &schema, &address])?;
    Ok(())
}

#[test]
fn clusters_keep_the_kind_of_their_addresses() -> Result<()> {
    let keys = tempfile::tempdir()?;
    let keys = keys.path().join("pki");
    made_in(&keys)?;
    for scheme in ["tcp", "ssl"] {
        let mut program = with_keys(Program::new()?, &keys);
        cluster_file(&program, "nb", scheme)?;
        cluster_file(&program, "sb", scheme)?;
        program.start()?;
        let status = program.wait("a leader", |program| {
            let status = program.control("nb", &["cluster/status", "OVN_IC_Northbound"])?;
            Ok(status.contains("Role: leader").then_some(status))
        })?;
        let address = format!("Address: {scheme}:127.0.0.1:");
        ensure!(status.contains(&address), "{status}");
        let said = program.said();
        ensure!(said.contains("WITHOUT TLS") == (scheme == "tcp"), "{said}");
        program.stop()?;
    }
    let mut program = Program::new()?;
    cluster_file(&program, "nb", "ssl")?;
    let before = fs::read(program.database("nb")?)?;
    let (status, said) = program.fails()?;
    ensure!(
        status == 1 && said.contains("set ENABLE_SSL=true"),
        "{said}"
    );
    ensure!(fs::read(program.database("nb")?)? == before);
    Ok(())
}
