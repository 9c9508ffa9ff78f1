//! HTTP for machines: `/metrics` for Prometheus, `/healthz` and `/readyz` for probes.
//!
//! Whoever asks gets one answer on one connection, from what is known at that moment; nothing waits
//! for the databases' work, and their work for nothing here. A connection has a deadline, a request a
//! bound, and of too many connections the oldest gives way.

mod answers;
mod metrics;
mod readiness;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ovsdb_server::listener::Listener;
use ovsdb_server::remote::Remote;
use ovsdb_server::stream::Stream;
use ovsdb_tls::{Coming, Tls};

use crate::advice;
use crate::control_commands::Subject;
use crate::schemas::Side;

/// So many connections there may be at once; the oldest gives way to one more.
const MAX_CONNECTIONS: usize = 64;
/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may take in all.
const CONNECTION: Duration = Duration::from_secs(10);
/// The most bytes of a request's head, which is the least that the library can be given.
const MAX_HEAD: usize = 8 << 10;
/// The most lines of it.
const MAX_HEADERS: usize = 64;

/// What is shown.
pub struct Shown {
    /// The databases, with what surrounds them.
    pub databases: Vec<(Side, Arc<Subject>)>,
    /// The keys in use, if TLS is on.
    pub tls: Option<Arc<Tls>>,
}

/// A socket that is listened at.
pub struct HttpServer {
    listener: Listener,
    address: SocketAddr,
}

impl HttpServer {
    /// Listens at an address; port 0 is any free one. Must be called in a runtime.
    ///
    /// # Errors
    /// If the system does not allow it.
    pub fn open(address: SocketAddr) -> anyhow::Result<HttpServer> {
        let listener = Listener::open(&Remote::Tcp(address));
        let listener = listener.map_err(|error| advice::http_place(error, address))?;
        let port = listener.port().unwrap_or(address.port());
        let address = SocketAddr::new(address.ip(), port);
        tracing::info!("HTTP: http://{address} has /metrics, /healthz and /readyz");
        Ok(HttpServer { listener, address })
    }

    /// Answers until it is cancelled, or the socket is of no more use.
    pub async fn serve(self, shown: Arc<Shown>) {
        let mut connections = Coming::<Infallible>::new(MAX_CONNECTIONS);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                never = connections.next() => match never {},
            };
            match accepted {
                Ok(connection) => connections.add(converse(connection.stream, shown.clone())),
                Err(error) => {
                    let address = self.address;
                    tracing::error!("HTTP: http://{address} answers no more: {error}");
                    // What is under way ends by its deadline.
                    match connections.next().await {}
                }
            }
        }
    }
}

/// Answers one request.
async fn converse(stream: Stream, shown: Arc<Shown>) -> Option<Infallible> {
    let service = service_fn(|request| {
        let response = answers::answer(request.method(), request.uri().path(), &shown);
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Who speaks no HTTP, goes, or is too slow is none of anybody's business.
    let _ = tokio::time::timeout(CONNECTION, connection).await;
    None
}
