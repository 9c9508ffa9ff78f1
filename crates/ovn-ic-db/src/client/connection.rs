//! A connection with a server, on which one request after the other is answered.

use std::io;
use std::time::Duration;

use ovsdb::json::{Document, Json, Scanner, write};
use ovsdb::message::Message;
use ovsdb_cluster::address::{Address, Transport};
use ovsdb_log::system_words;
use ovsdb_server::stream::Stream;
use ovsdb_tls::HandshakeError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::keys;

/// How long a TLS handshake may take; whoever waits may give up earlier.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest message that is read unless [`Client::accept`] says otherwise, in bytes.
const MAX_MESSAGE: usize = 64 << 20;

/// A connection. It has no deadline of its own: whoever waits sets one.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    scanner: Scanner,
    input: Vec<u8>,
    last_id: i64,
    longest: usize,
    heard: Heard,
}

/// Who is told how much has come.
struct Heard(Box<dyn Fn(usize) + Send>);

impl std::fmt::Debug for Heard {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Heard")
    }
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The connection.
    #[error("{}", system_words(.0))]
    Io(#[from] io::Error),
    /// The server has closed it.
    #[error("the server closed the connection")]
    Closed,
    /// What came is no answer.
    #[error("the server does not speak OVSDB: {0}")]
    Protocol(String),
    /// The server does not know the method.
    #[error("unknown method")]
    UnknownMethod,
    /// The server's error, as it is to be shown.
    #[error("{0}")]
    Refused(String),
}

impl Client {
    /// Connects; names are looked up.
    ///
    /// # Errors
    /// If nobody is there.
    pub async fn connect(remote: &Address) -> io::Result<Client> {
        let stream = match remote {
            Address::Unix(path) => Stream::Unix(UnixStream::connect(path).await?),
            Address::Network {
                transport,
                host,
                port,
            } => {
                let host = host.to_resolve();
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                match transport {
                    Transport::Tcp => Stream::Tcp(stream),
                    Transport::Ssl => {
                        let tls = keys::get().ok_or_else(no_keys)?;
                        let stream = tls.connect(&host, stream, PATIENCE).await;
                        let stream = stream.map_err(HandshakeError::into_io)?;
                        Stream::Tls(Box::new(stream.into()))
                    }
                }
            }
        };
        Ok(Client {
            stream,
            scanner: Scanner::new(),
            input: Vec::new(),
            last_id: 0,
            longest: MAX_MESSAGE,
            heard: Heard(Box::new(|_| {})),
        })
    }

    /// Reads messages of up to so many bytes.
    pub fn accept(&mut self, longest: usize) {
        self.longest = longest;
    }

    /// Tells how many bytes of a message are there whenever some have come.
    pub fn watch(&mut self, heard: impl Fn(usize) + Send + 'static) {
        self.heard = Heard(Box::new(heard));
    }

    /// Calls a method; `params` is a JSON array. Returns the result's JSON text.
    ///
    /// # Errors
    /// If there is no result.
    pub async fn call(&mut self, method: &str, params: &str) -> Result<Vec<u8>, CallError> {
        self.last_id += 1;
        let id = self.last_id;
        let request = format!(r#"{{"method":"{method}","params":{params},"id":{id}}}"#);
        self.stream.write_all(request.as_bytes()).await?;
        loop {
            let document = self.receive().await?;
            let message = Message::parse(document.root()).map_err(CallError::Protocol)?;
            match message {
                Message::Request { method, params, id } if method == "echo" => {
                    let answer = echo(params, id);
                    self.stream.write_all(&answer).await?;
                }
                Message::Reply {
                    id: of,
                    result,
                    error,
                } if of.integer() == Some(id) => {
                    return match (result, error) {
                        (Some(result), None) => Ok(result.source().to_vec()),
                        (_, Some(error)) => Err(refused(error)),
                        (None, None) => Ok(b"null".to_vec()),
                    };
                }
                // Nothing was asked for that these could be about.
                _ => {}
            }
        }
    }

    async fn receive(&mut self) -> Result<Document<Vec<u8>>, CallError> {
        let wrong = |what: &dyn std::fmt::Display| CallError::Protocol(what.to_string());
        loop {
            let end = self.scanner.scan(&self.input).map_err(|e| wrong(&e))?;
            if let Some(length) = end {
                let rest = self.input.split_off(length);
                let text = std::mem::replace(&mut self.input, rest);
                let document = Document::from_scanned(&mut self.scanner, text);
                return document.ok_or_else(|| wrong(&"a message cannot be read"));
            }
            if self.input.len() >= self.longest {
                let longest = self.longest;
                return Err(wrong(&format!("message longer than {longest} bytes")));
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(CallError::Closed);
            }
            (self.heard.0)(self.input.len());
        }
    }
}

fn no_keys() -> io::Error {
    io::Error::other("no keys for TLS are set")
}

fn echo(params: Json<'_>, id: Json<'_>) -> Vec<u8> {
    let mut out = b"{\"id\":".to_vec();
    out.extend_from_slice(id.source());
    out.extend_from_slice(b",\"result\":");
    out.extend_from_slice(params.source());
    out.extend_from_slice(b",\"error\":null}");
    out
}

/// An OVSDB error in words: `details (error)`; what is none, as it is.
fn refused(error: Json<'_>) -> CallError {
    let text = |name: &str| Some(error.member(name)?.string()?.into_owned());
    if error.is_string("unknown method") {
        return CallError::UnknownMethod;
    }
    CallError::Refused(match (text("error"), text("details")) {
        (Some(tag), Some(details)) => format!("{details} ({tag})"),
        (Some(tag), None) => tag,
        (None, _) => match error.string() {
            Some(text) => text.into_owned(),
            None => String::from_utf8_lossy(error.source()).into_owned(),
        },
    })
}

/// A string as JSON text, for parameters.
pub fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    write::string(&mut out, text);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    /// What a call makes of these bytes.
    async fn call(answer: &[u8]) -> Result<Vec<u8>, CallError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).expect("a socket");
        let answer = answer.to_vec();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.expect("a request");
            stream.write_all(&answer).await.expect("sent");
            stream.shutdown().await.expect("the end");
            // Until the client goes: what it still writes must not fail.
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.expect("its end");
            request[..length].to_vec()
        });
        let remote = Address::Unix(path.to_string_lossy().into_owned());
        let mut client = Client::connect(&remote).await.expect("connected");
        let result = tokio::time::timeout(Duration::from_secs(20), client.call("m", "[1]"));
        let result = result.await.expect("an end");
        drop(client);
        let request = server.await.expect("no panic");
        assert_eq!(request, br#"{"method":"m","params":[1],"id":1}"#);
        result
    }

    #[tokio::test]
    async fn answers_are_found_among_other_messages() {
        let stream = concat!(
            r#"{"id":"echo","method":"echo","params":[]}"#,
            r#"{"id":null,"method":"update","params":[null,{}]}"#,
            r#"{"id":7,"result":[],"error":null} {"id":1,"error":null,"result":{"a":[1]}}"#
        );
        assert_eq!(
            call(stream.as_bytes()).await.expect("result"),
            br#"{"a":[1]}"#
        );
        let refusals = [
            (
                r#"{"error":"unknown database","details":"no D"}"#,
                "no D (unknown database)",
            ),
            (r#"{"error":"timed out"}"#, "timed out"),
            (r#""unknown method""#, "unknown method"),
            (r#""canceled""#, "canceled"),
            ("[1]", "[1]"),
        ];
        for (error, words) in refusals {
            let reply = format!(r#"{{"id":1,"result":null,"error":{error}}}"#);
            let refused = call(reply.as_bytes()).await.expect_err(error);
            assert_eq!(refused.to_string(), words);
        }
    }

    #[tokio::test]
    async fn nonsense_is_told() {
        for (answer, words) in [
            ("", "the server closed the connection"),
            (r#"{"id":1,"#, "the server closed the connection"),
            ("[]", "the server does not speak OVSDB: "),
            ("HTTP/1.1 400", "the server does not speak OVSDB: "),
        ] {
            let error = call(answer.as_bytes()).await.expect_err(answer);
            assert!(error.to_string().starts_with(words), "{answer}: {error}");
        }
    }
}
