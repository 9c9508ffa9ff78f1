//! Relays and standbys whose source is reached by TLS.

use anyhow::{Result, ensure};
use ovn_ic_db_tests::keys::Keys;
use ovn_ic_db_tests::process::{Program, Server};

use super::{
    Pki, insert, keys_in, list, listening, new_database, start, wait_for_line, wait_for_numbers,
    wait_until_shown, write,
};

fn follow(source: Program, follower: Program) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pki = Pki::new(folder.path(), &["source", "follower"])?;
    let keys = pki.keys("follower");
    let (port, listen) = listening()?;
    let source = start(source, &new_database("D"), &pki.keys("source"), &[listen])?;
    write(&source, 1)?;
    let relay = format!("relay:D:ssl:127.0.0.1:{port}");
    let relay = start(follower, &new_database("Own"), &keys, &[relay])?;
    wait_for_numbers(&relay, &[1])?;
    write(&relay, 2)?;
    wait_for_numbers(&source, &[1, 2])?;
    let from = format!("--sync-from=ssl:127.0.0.1:{port}");
    let standby = start(follower, &new_database("D"), &keys, &[from])?;
    wait_for_numbers(&standby, &[1, 2])?;
    let refused = insert(&standby, 3)?;
    ensure!(refused[0]["error"] == "not allowed", "{refused}");
    write(&source, 3)?;
    for follower in [&relay, &standby] {
        wait_for_numbers(follower, &[1, 2, 3])?;
    }
    Ok(())
}

#[test]
fn ours_follow_the_reference() -> Result<()> {
    follow(Program::Reference, Program::Ours)
}

#[test]
fn the_reference_follows_ours() -> Result<()> {
    follow(Program::Ours, Program::Reference)
}

#[test]
fn ours_follow_ours() -> Result<()> {
    follow(Program::Ours, Program::Ours)
}

/// A relay with foreign keys, which are replaced when its source has said so, while both run, as the
/// source's are then. Gives both.
fn strangers(program: Program, refused: &[&str]) -> Result<(Server, Server)> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let own = Pki::new(&at("own"), &["source", "newer", "relay"])?;
    let foreign = Pki::new(&at("foreign"), &["stranger"])?;
    let (theirs, mine) = (at("source-tls"), at("relay-tls"));
    own.keys("source").put(&theirs)?;
    let (port, listen) = listening()?;
    let keys = keys_in(&theirs);
    let mut source = start(program, &new_database("D"), &keys, &[listen])?;
    write(&source, 1)?;
    // It trusts the source, so that this one has to refuse.
    let stranger = Keys {
        authority: own.authority(),
        ..foreign.keys("stranger")
    };
    stranger.put(&mine)?;
    let follow = format!("relay:D:ssl:127.0.0.1:{port}");
    let keys = keys_in(&mine);
    let relay = start(Program::Ours, &new_database("Own"), &keys, &[follow])?;
    wait_for_line(&source, refused)?;
    own.keys("relay").put(&mine)?;
    wait_for_line(&relay, &["TLS: new files are in use", "CN=relay"])?;
    wait_for_numbers(&relay, &[1])?;
    // The session goes on, and who comes now is shown the new ones.
    own.keys("newer").put(&theirs)?;
    wait_until_shown(port, "newer")?;
    write(&relay, 2)?;
    wait_for_numbers(&source, &[1, 2])?;
    source.restart()?;
    write(&source, 3)?;
    wait_for_numbers(&relay, &[1, 2, 3])?;
    let client = list(port, &own.keys("relay"))?;
    ensure!(client.contains("D\n_Server"), "{client}");
    Ok((source, relay))
}

#[test]
fn strangers_are_refused_until_they_have_other_keys() -> Result<()> {
    let refused = [
        "WARN",
        "ssl:127.0.0.1:",
        "refused",
        "CN=stranger",
        "trusted here",
    ];
    let (source, relay) = strangers(Program::Ours, &refused)?;
    wait_for_line(&source, &["TLS: new files are in use", "CN=newer"])?;
    wait_for_line(
        &relay,
        &[
            "WARN",
            "connection dropped (it refuses this side's certificate",
        ],
    )
}

#[test]
fn the_reference_refuses_them_too() -> Result<()> {
    strangers(
        Program::Reference,
        &["stream_ssl|WARN", "certificate verify failed"],
    )?;
    Ok(())
}
