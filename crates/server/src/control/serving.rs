//! A control socket's clients.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ovsdb::json::{Document, Scanner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{Instrument as _, Span};

use super::Commands;
use super::format::Format;
use crate::listener::Listener;
use crate::message_log;
use crate::stream::{Connection, Stream};

/// The longest request, in bytes.
pub const MAX_REQUEST: usize = 1 << 20;
/// The most clients at once; further ones are turned away.
const MAX_CLIENTS: usize = 256;
/// How long answers may take to leave after the server was told to stop.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves a control socket until `shutdown` is done. Answers that are under way then still go out,
/// the one to `exit` among them.
pub async fn serve(
    listener: Listener,
    commands: Arc<Commands>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let (stop, stopped) = watch::channel(false);
    let mut clients = JoinSet::new();
    tokio::pin!(shutdown);
    let result = loop {
        tokio::select! {
            () = &mut shutdown => break Ok(()),
            Some(_) = clients.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok(Connection { peer, .. }) if clients.len() >= MAX_CLIENTS => {
                    tracing::warn!("{peer}: turned away, {MAX_CLIENTS} control connections are open");
                }
                Ok(connection) => {
                    let client = serve_client(connection, commands.clone(), stopped.clone());
                    clients.spawn(client.in_current_span());
                }
                Err(error) => break Err(error),
            },
        }
    };
    drop(listener);
    let _ = stop.send(true);
    let all = async { while clients.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(FAREWELL, all).await;
    result
}

/// One request at a time, as the reference.
async fn serve_client(
    Connection { mut stream, peer }: Connection,
    commands: Arc<Commands>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut scanner = Scanner::new();
    let mut input = Vec::new();
    let mut format = Format::default();
    loop {
        let request = tokio::select! {
            biased;
            request = next_text(&mut stream, &mut scanner, &mut input) => request,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        let reply = match request {
            Ok(Some(document)) => {
                message_log::received(&Span::current(), &peer, document.root());
                commands.answer_in(document.root(), &mut format).await
            }
            Ok(None) => return,
            Err(why) => Err(why),
        };
        match reply {
            Ok(reply) => {
                message_log::sent_text(&Span::current(), &peer, &reply);
                if stream.write_all(&reply).await.is_err() {
                    return;
                }
            }
            Err(why) => {
                tracing::warn!("{peer}: {why}, closing the control connection");
                return;
            }
        }
    }
}

/// The next JSON text; none when the client has closed the connection.
async fn next_text(
    stream: &mut Stream,
    scanner: &mut Scanner,
    input: &mut Vec<u8>,
) -> Result<Option<Document<Vec<u8>>>, String> {
    loop {
        if let Some(length) = scanner.scan(input).map_err(|e| e.to_string())? {
            let rest = input.split_off(length);
            let text = std::mem::replace(input, rest);
            return match Document::from_scanned(scanner, text) {
                Some(document) => Ok(Some(document)),
                None => Err("request cannot be read".to_owned()),
            };
        }
        if input.len() >= MAX_REQUEST {
            return Err(format!("request longer than {MAX_REQUEST} bytes"));
        }
        match stream.read_buf(input).await {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::Remote;
    use std::path::Path;
    use std::process::Output;
    use tokio::net::UnixStream;
    use tokio::sync::Notify;

    async fn appctl(path: &Path, args: &[&str]) -> Output {
        tokio::process::Command::new("ovs-appctl")
            .args(["-T", "10", "-t"])
            .arg(path)
            .args(args)
            .kill_on_drop(true)
            .output()
            .await
            .expect("ovs-appctl of the Debian package openvswitch-common")
    }

    struct Running {
        folder: tempfile::TempDir,
        server: tokio::task::JoinHandle<io::Result<()>>,
    }

    impl Running {
        fn path(&self) -> std::path::PathBuf {
            self.folder.path().join("c.ctl")
        }
    }

    fn start() -> Running {
        let folder = tempfile::tempdir().unwrap();
        let listener = Listener::open(&Remote::Unix(folder.path().join("c.ctl"))).unwrap();
        let stop = Arc::new(Notify::new());
        let mut commands = Commands::new("program 1.0");
        commands.register("join", Some("WORD..."), 1, 3, |args| async move {
            Ok(args.join("+"))
        });
        commands.register("hidden", None, 0, 0, |_| async { Err("no".to_owned()) });
        let at_exit = stop.clone();
        commands.register("exit", Some("[--cleanup]"), 0, 1, move |_| {
            at_exit.notify_one();
            std::future::ready(Ok(String::new()))
        });
        let server = tokio::spawn(serve(listener, Arc::new(commands), async move {
            stop.notified().await
        }));
        Running { folder, server }
    }

    #[tokio::test]
    async fn the_real_client_is_served() {
        let running = start();
        let path = running.path();
        for (args, out) in [
            (&["version"][..], "program 1.0\n"),
            (&["join", "a", "b \"c\"\n"], "a+b \"c\"\n"),
            (
                &["list-commands"],
                "The available commands are:\n  exit                    [--cleanup]\n  \
                 join                    WORD...\n  list-commands           \n  \
                 set-options             [--format text|json]\n  version                 \n",
            ),
        ] {
            let output = appctl(&path, args).await;
            assert!(output.status.success(), "{output:?}");
            assert_eq!(String::from_utf8_lossy(&output.stdout), out);
        }
        for (args, error) in [
            (
                &["foo"][..],
                "\"foo\" is not a valid command (use \"list-commands\" to see a list of valid commands)",
            ),
            (&["join"], "\"join\" command requires at least 1 arguments"),
            (
                &["exit", "a", "b"],
                "\"exit\" command takes at most 1 arguments",
            ),
            (&["hidden"], "no"),
        ] {
            let output = appctl(&path, args).await;
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(text.starts_with(&format!("{error}\n")), "{text}");
        }
        assert!(appctl(&path, &["exit"]).await.status.success());
        let ended = tokio::time::timeout(Duration::from_secs(10), running.server).await;
        ended.expect("ends").expect("no panic").expect("no error");
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn garbage_ends_only_its_own_connection() {
        let running = start();
        let mut other = UnixStream::connect(running.path()).await.unwrap();
        for garbage in [
            b"hello".to_vec(),
            b"{}".to_vec(),
            [b"[\"".to_vec(), vec![b'x'; MAX_REQUEST]].concat(),
        ] {
            let mut client = UnixStream::connect(running.path()).await.unwrap();
            let _ = client.write_all(&garbage).await;
            let mut byte = [0];
            let end = tokio::time::timeout(Duration::from_secs(10), client.read(&mut byte)).await;
            assert!(matches!(end.expect("closed"), Ok(0) | Err(_)));
        }
        let two =
            br#"{"id":1,"method":"join","params":["a"]}{"id":"x","method":"join","params":[1]}"#;
        other.write_all(two).await.unwrap();
        let expected = concat!(
            r#"{"id":1,"result":"a\n","error":null}"#,
            r#"{"id":"x","result":null,"error":"\"join\" command has non-string argument\n"}"#
        );
        let mut got = vec![0; expected.len()];
        other.read_exact(&mut got).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&got), expected);
        running.server.abort();
    }
}
