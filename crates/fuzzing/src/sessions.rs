//! Whole conversations of clients with a server, over a socket.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ovsdb::json::Scanner;
use ovsdb_server::listener::Listener;
use ovsdb_server::ordering::Unbacked;
use ovsdb_server::origin::{Origin, SessionOptions};
use ovsdb_server::remote::Remote;
use ovsdb_server::service::Service;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

use crate::contents::version;

/// Longer ones only take time.
const MOST: usize = 64 << 10;
/// A session that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_multi_thread();
    let builder = builder.worker_threads(1).enable_all();
    builder.build().expect("a runtime")
});
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

/// The first byte says whether the client may write; it says everything that follows at once, and
/// nothing more. All that the server says is JSON, and its session ends.
pub fn run(data: &[u8]) {
    let Some((flags, said)) = data.split_first() else {
        return;
    };
    let options = SessionOptions {
        read_only: flags & 1 != 0,
        role: (flags & 2 != 0).then(|| "role".to_owned()),
        ..SessionOptions::default()
    };
    let said = &said[..said.len().min(MOST)];
    let heard = RUNTIME.block_on(async {
        tokio::time::timeout(PATIENCE, converse(options, said))
            .await
            .expect("the session ends")
    });
    let mut scanner = Scanner::new();
    let mut rest = &heard[..];
    while let Some(length) = scanner.scan(rest).expect("what the server says is JSON") {
        rest = &rest[length..];
        scanner = Scanner::new();
    }
    assert!(rest.is_empty(), "its messages are whole");
}

async fn converse(options: SessionOptions, said: &[u8]) -> Vec<u8> {
    let service = Service::new().expect("a service");
    let added = service.add(version(), Box::new(Unbacked));
    drop(added.expect("no other database"));
    let socket = FOLDER.path().join("socket");
    let listener = Listener::open(&Remote::Unix(socket.clone())).expect("a socket");
    let origin = Origin::new("", options);
    let accepting = tokio::spawn(service.clone().accept(Arc::new(listener), origin));
    let mut client = UnixStream::connect(&socket).await.expect("a connection");
    let (mut input, mut output) = client.split();
    let mut heard = Vec::new();
    let say = async {
        // It may have closed the connection already.
        let _ = output.write_all(said).await;
        let _ = output.shutdown().await;
    };
    let (_, _) = tokio::join!(say, input.read_to_end(&mut heard));
    while service.session_count() > 0 {
        tokio::task::yield_now().await;
    }
    accepting.abort();
    // Its socket is another one's then.
    let _ = accepting.await;
    heard
}
