//! Connections with one key set on both sides, and what their sockets promise.

mod support;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ovsdb_tls::{Choice, Files, HandshakeError, KeySet, LoadError, Tls, TlsSocket, peer_refuses};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};

use support::{make, sockets};

const PATIENCE: Duration = Duration::from_secs(20);

fn tls(folder: &Path) -> Arc<Tls> {
    Tls::load(make(folder, (2020, 4000))).expect("keys")
}

async fn pair(tls: &Arc<Tls>) -> (TlsSocket, TlsSocket) {
    let (called, accepted) = sockets().await;
    let connect = tls.connect("127.0.0.1", called, PATIENCE);
    let accept = tls.accept(accepted, PATIENCE);
    let (client, server) = tokio::join!(connect, accept);
    (
        client.expect("connected").into(),
        server.expect("accepted").into(),
    )
}

#[tokio::test]
async fn what_was_written_arrives_and_nothing_piles_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut client, server) = pair(&tls(folder.path())).await;
    assert_eq!(server.version().as_deref(), Some("TLSv1_3"));
    assert_eq!(server.peer_common_name().as_deref(), Some("chassis 1"));
    assert_eq!(client.peer_common_name().as_deref(), Some("chassis 1"));
    let all: Vec<u8> = (0..20_000_000u32).map(|n| (n % 251) as u8).collect();
    // Nobody reads: it is the caller who keeps the bytes.
    let mut sent = 0;
    loop {
        match server.try_write(&all[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(sent < all.len());
    let expected = all.clone();
    let reader = tokio::spawn(async move {
        let mut got = vec![0; expected.len()];
        client.read_exact(&mut got).await.expect("all of it");
        assert!(got == expected);
        // The end, and with a word of farewell.
        assert_eq!(client.read(&mut [0]).await.expect("the end"), 0);
        client
    });
    while sent < all.len() {
        match server.try_write(&all[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                server.ready(Interest::WRITABLE).await.expect("ready");
            }
            Err(error) => panic!("{error}"),
        }
    }
    drop(server);
    reader.await.expect("the reader");
}

#[tokio::test]
async fn readiness_covers_what_is_decrypted_already() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut client, server) = pair(&tls(folder.path())).await;
    client.write_all(b"abcdef").await.expect("written");
    let mut got = Vec::new();
    while got.len() < 6 {
        let ready = server.ready(Interest::READABLE).await.expect("ready");
        assert!(ready.is_readable());
        let mut one = [0];
        match server.try_read(&mut one) {
            Ok(count) => got.extend_from_slice(&one[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(got, b"abcdef");
    client.shutdown().await.expect("shut down");
    let ready = tokio::time::timeout(PATIENCE, server.ready(Interest::READABLE));
    ready.await.expect("in time").expect("ready");
    let mut rest = [0; 9];
    loop {
        match server.try_read(&mut rest) {
            Ok(count) => break assert_eq!(count, 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                server.ready(Interest::READABLE).await.expect("ready");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn strangers_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let ours = tls(&folder.path().join("ours"));
    let theirs = tls(&folder.path().join("theirs"));
    // It trusts us, and has a certificate of somebody else.
    let mixed = Tls::load(Files {
        authorities: folder.path().join("ours/cacert"),
        shown: None,
        ..make(&folder.path().join("mixed"), (2020, 4000))
    })
    .expect("keys");
    let (called, accepted) = sockets().await;
    let connect = theirs.connect("127.0.0.1", called, PATIENCE);
    let (client, server) = tokio::join!(connect, ours.accept(accepted, PATIENCE));
    let client = client.expect_err("foreign").to_string();
    assert!(client.contains("not trusted here"), "{client}");
    let server = server.expect_err("refused");
    assert!(matches!(server, HandshakeError::Alert(_)), "{server}");

    let (called, accepted) = sockets().await;
    let connect = mixed.connect("a name without DNS rules", called, PATIENCE);
    let server = tokio::spawn(async move { ours.accept(accepted, PATIENCE).await.map(drop) });
    let mut client = TlsSocket::from(connect.await.expect("its own side is content"));
    let error = client.read(&mut [0]).await.expect_err("refused");
    assert!(error.to_string().contains("TLS alert"), "{error}");
    let server = server.await.expect("no panic").expect_err("foreign");
    assert!(matches!(server, HandshakeError::Refused(_)), "{server}");
    assert!(peer_refuses(&std::io::Error::other("x")).is_none());
}

#[tokio::test]
async fn what_is_no_tls_and_what_is_slow() {
    let folder = tempfile::tempdir().expect("a folder");
    let tls = tls(folder.path());
    let (mut called, accepted) = sockets().await;
    called.write_all(b"{\"method\":1}").await.expect("written");
    let error = tls.accept(accepted, PATIENCE).await.expect_err("no TLS");
    assert!(matches!(error, HandshakeError::NotTls), "{error}");
    let (_called, accepted) = sockets().await;
    let short = Duration::from_millis(20);
    let error = tls.accept(accepted, short).await.expect_err("silence");
    assert!(matches!(error, HandshakeError::TimedOut(_)), "{error}");
    let (called, accepted) = sockets().await;
    drop(called);
    let error = tls.accept(accepted, PATIENCE).await.expect_err("gone");
    assert!(matches!(error, HandshakeError::Closed), "{error}");
}

#[test]
fn only_key_sets_of_now_are_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let year = 31_557_600;
    let files = make(folder.path(), (2020, 2021));
    let error = KeySet::load(&files, &Choice::default()).expect_err("over");
    assert!(matches!(error, LoadError::Expired { .. }), "{error}");
    let before = KeySet::load_at(&files, &Choice::default(), 45 * year).expect_err("not yet");
    assert!(matches!(before, LoadError::NotYetValid { .. }), "{before}");
    let keys =
        KeySet::load_at(&files, &Choice::default(), 50 * year + year / 2).expect("valid then");
    assert!(keys.to_string().contains("valid until Jan  1"), "{keys}");
    fs::write(&files.authorities, "\n").expect("written");
    let error = KeySet::load(&files, &Choice::default())
        .expect_err("empty")
        .to_string();
    assert!(error.contains("there is no certificate in it"), "{error}");
}
