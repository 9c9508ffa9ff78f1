//! Making connections with the key set that is in use.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, Error, ServerConfig, SignatureScheme, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::bootstrap::BootstrapError;
use crate::choice::Choice;
use crate::key_set::{Files, KeySet, LoadError};
use crate::refusal::Refusal;
use crate::verifier::PeerCheck;

/// The versions that are spoken.
const VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
/// What a refused peer still sends is read for so long: a socket that is closed with unread bytes in
/// it takes back what tells the peer why.
const FAREWELL: Duration = Duration::from_millis(500);
/// And not more bytes than this.
const FAREWELL_BYTES: u64 = 64 << 10;

/// Why there is no connection. The words follow the peer's address.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The peer shows no certificate.
    #[error("it shows no certificate")]
    NoCertificate,
    /// The peer's certificate.
    #[error(transparent)]
    Refused(Refusal),
    /// The peer does not speak TLS.
    #[error("it does not speak TLS")]
    NotTls,
    /// The peer is not content with us.
    #[error("it refuses this side's certificate or settings (TLS alert {0})")]
    Alert(String),
    /// The peer has gone, or does not want TLS.
    #[error("it closed the connection during the TLS handshake (perhaps it does not speak TLS)")]
    Closed,
    /// Its authority was not known, and is now. Everybody is checked from now on, and so is this one when it
    /// is called again.
    #[error("it has shown its CA certificate, and is called again to be checked with that")]
    Bootstrapped,
    /// Its authority was not known, and still is not.
    #[error(transparent)]
    NotBootstrapped(BootstrapError),
    /// It takes too long.
    #[error("the TLS handshake took longer than {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// Anything else.
    #[error("{0}")]
    Other(io::Error),
}

impl HandshakeError {
    /// As an error of the connection.
    pub fn into_io(self) -> io::Error {
        let kind = match &self {
            HandshakeError::TimedOut(_) => io::ErrorKind::TimedOut,
            HandshakeError::Closed | HandshakeError::Bootstrapped => {
                io::ErrorKind::ConnectionAborted
            }
            HandshakeError::Other(error) => error.kind(),
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, self)
    }
}

/// Whether an error of an established connection is the peer's word that it refuses this side, and what
/// it says. With TLS 1.3 that comes after the handshake of who calls.
pub fn peer_refuses(error: &io::Error) -> Option<String> {
    let inner = error.get_ref()?;
    match inner.downcast_ref::<Error>()? {
        Error::AlertReceived(alert) => Some(format!(
            "refuses this side's certificate or settings (TLS alert {alert:?})"
        )),
        _ => None,
    }
}

/// What an error of a connection means that is TLS's.
pub(crate) fn told(error: io::Error) -> HandshakeError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(Error::NoCertificatesPresented) => HandshakeError::NoCertificate,
        Some(Error::InvalidMessage(_) | Error::InappropriateMessage { .. }) => {
            HandshakeError::NotTls
        }
        Some(Error::AlertReceived(alert)) => HandshakeError::Alert(format!("{alert:?}")),
        _ if matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
        ) =>
        {
            HandshakeError::Closed
        }
        _ => HandshakeError::Other(error),
    }
}

/// The key set in use, which may be replaced by a newer one at any time: connections that there are
/// keep theirs.
#[derive(Debug)]
pub struct Tls {
    pub(crate) files: Files,
    pub(crate) choice: Choice,
    pub(crate) current: ArcSwap<KeySet>,
    /// Whoever takes an authority from a server has this, and what was last said of why it was not taken.
    pub(crate) adopting: Mutex<Option<String>>,
}

/// The same certificate for everybody.
#[derive(Debug)]
struct Own(Arc<CertifiedKey>);

impl ResolvesServerCert for Own {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

impl ResolvesClientCert for Own {
    fn resolve(
        &self,
        _authorities: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// If they cannot be used.
    pub fn load(files: Files) -> Result<Arc<Tls>, LoadError> {
        Tls::load_with(files, Choice::default())
    }

    /// The same, with a choice of versions and ciphers.
    ///
    /// # Errors
    /// If the files cannot be used.
    pub fn load_with(files: Files, choice: Choice) -> Result<Arc<Tls>, LoadError> {
        let current = ArcSwap::from_pointee(KeySet::load(&files, &choice)?);
        Ok(Arc::new(Tls {
            files,
            choice,
            current,
            adopting: Mutex::new(None),
        }))
    }

    /// The key set in use.
    pub fn current(&self) -> Arc<KeySet> {
        self.current.load_full()
    }

    /// Takes a call: the peer begins, and must show a certificate.
    ///
    /// # Errors
    /// If there is no connection after `patience`, or the peer is refused; it has been told.
    pub async fn accept(
        &self,
        socket: TcpStream,
        patience: Duration,
    ) -> Result<server::TlsStream<TcpStream>, HandshakeError> {
        let (config, check) = server_config(&self.current()).map_err(other)?;
        let accept = TlsAcceptor::from(Arc::new(config))
            .accept(socket)
            .into_fallible();
        match tokio::time::timeout(patience, accept).await {
            Err(_) => Err(HandshakeError::TimedOut(patience)),
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err((error, socket))) => {
                part(socket).await;
                Err(why(error, &check))
            }
        }
    }

    /// Calls: this side begins. `host` is what was dialled; whether the peer's certificate has that
    /// name is not looked at. With TLS 1.3 it comes with the first bytes if the peer refuses us.
    ///
    /// # Errors
    /// As [`Tls::accept`]; and if the authority was yet to be taken from this peer, whether it was.
    pub async fn connect(
        self: &Arc<Self>,
        host: &str,
        socket: TcpStream,
        patience: Duration,
    ) -> Result<client::TlsStream<TcpStream>, HandshakeError> {
        let (config, check) = client_config(&self.current()).map_err(other)?;
        // A name that DNS does not know how to write is left out, like an address.
        let name = name(host).unwrap_or_else(|_| IpAddr::from([0, 0, 0, 0]).into());
        let connect = TlsConnector::from(Arc::new(config))
            .connect(name, socket)
            .into_fallible();
        match tokio::time::timeout(patience, connect).await {
            Err(_) => Err(HandshakeError::TimedOut(patience)),
            // Only now it is known to have its certificate's key.
            Ok(Ok(stream)) => match check.shown() {
                None => Ok(stream),
                Some(authority) => {
                    drop(stream);
                    let adopted = self.adopt(authority.clone()).await;
                    adopted.map_err(HandshakeError::NotBootstrapped)?;
                    Err(HandshakeError::Bootstrapped)
                }
            },
            Ok(Err((error, socket))) => {
                part(socket).await;
                Err(why(error, &check))
            }
        }
    }
}

fn other(error: Error) -> HandshakeError {
    HandshakeError::Other(io::Error::other(error))
}

fn why(error: io::Error, check: &PeerCheck) -> HandshakeError {
    match check.refusal() {
        Some(refusal) => HandshakeError::Refused(refusal.clone()),
        None => told(error),
    }
}

fn name(host: &str) -> Result<ServerName<'static>, InvalidDnsNameError> {
    match host.parse::<IpAddr>() {
        Ok(ip) => Ok(ip.into()),
        Err(_) => ServerName::try_from(host.to_owned()),
    }
}

/// Lets a refused peer read why.
async fn part(mut socket: TcpStream) {
    let _ = socket.shutdown().await;
    let mut rest = socket.take(FAREWELL_BYTES);
    let mut nowhere = tokio::io::sink();
    let _ = tokio::time::timeout(FAREWELL, tokio::io::copy(&mut rest, &mut nowhere)).await;
}

fn server_config(keys: &KeySet) -> Result<(ServerConfig, Arc<PeerCheck>), Error> {
    let check = Arc::new(PeerCheck::new(
        Arc::clone(&keys.trust),
        Arc::clone(&keys.hints),
    ));
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&keys.provider))
        .with_protocol_versions(VERSIONS)?
        .with_client_cert_verifier(Arc::clone(&check) as _)
        .with_cert_resolver(Arc::new(Own(Arc::clone(&keys.certified))));
    // Every connection shows its certificate: a resumed one would not.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok((config, check))
}

fn client_config(keys: &KeySet) -> Result<(ClientConfig, Arc<PeerCheck>), Error> {
    let check = Arc::new(PeerCheck::new(
        Arc::clone(&keys.trust),
        Arc::clone(&keys.hints),
    ));
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&keys.provider))
        .with_protocol_versions(VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&check) as _)
        .with_client_cert_resolver(Arc::new(Own(Arc::clone(&keys.certified))));
    config.resumption = Resumption::disabled();
    Ok((config, check))
}
