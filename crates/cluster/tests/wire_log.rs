//! What the log says of bad peers; alone in its process, as there is one log for all.

#[path = "wire/support.rs"]
mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};

use ovsdb_cluster::entry::Servers;
use ovsdb_cluster::wire::stream::{Event, Settings};
use support::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_refusal_is_a_log_line_and_a_flood_is_not() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).expect("the only one");
    let address = free("127.0.97.1");
    let nobody = Servers::new();
    let mut one = Node::start(local(1, address), address, &nobody, Settings::default());
    for _ in 0..40 {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(b"[]").await.expect("written");
        one.wait("a refusal", |event| match event {
            Event::Refused { .. } => Some(()),
            _ => None,
        })
        .await;
    }
    let text = String::from_utf8(lines.0.lock().expect("lock").clone()).expect("text");
    let wrong: Vec<_> = text
        .lines()
        .filter(|line| line.contains("wrong message"))
        .collect();
    assert!((10..30).contains(&wrong.len()), "{text}");
    for part in [
        "WARN",
        "raft: tcp:127.0.0.1:",
        "sends a wrong message: message is not a JSON object: connection closed",
        "db=\"test\"",
    ] {
        assert!(wrong[0].contains(part), "{}", wrong[0]);
    }
}
