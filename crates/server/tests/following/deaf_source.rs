//! A source that has a relay ask and ask, and reads nothing of it.

use std::io::Write;
use std::os::unix::net::UnixListener;

use crate::client::PATIENCE;
use crate::ours::Ours;

/// More than a relay keeps for a source that does not read, several times.
const MOST: usize = 256 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_reads_nothing_is_left() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let socket = folder.join("deaf.sock");
    let listener = UnixListener::bind(&socket).expect("a socket");
    let _ours = Ours::relay(folder, "ours", &socket);
    let speak = move || {
        let (mut relay, _) = listener.accept().expect("a relay");
        relay.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        // Whatever was asked is to be asked again.
        let canceled = r#"{"method":"monitor_canceled","params":[["monid","_Server"]],"id":null}"#
            .repeat(1024);
        let mut said = 0;
        while said < MOST {
            if let Err(error) = relay.write_all(canceled.as_bytes()) {
                return Some(error.kind());
            }
            said += canceled.len();
        }
        None
    };
    let left = tokio::task::spawn_blocking(speak).await.expect("a source");
    let closed = [
        std::io::ErrorKind::BrokenPipe,
        std::io::ErrorKind::ConnectionReset,
    ];
    assert!(left.is_some_and(|kind| closed.contains(&kind)), "{left:?}");
}
