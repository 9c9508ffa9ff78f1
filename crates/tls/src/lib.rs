//! TLS as OVSDB uses it (ovsdb(7), ovsdb-server(1) "Public Key Infrastructure Options").
//!
//! Both sides show a certificate, and each checks the other's chain and validity against its own
//! authorities, but never names: certificates of `ovs-pki` have none that fit, and may be of X.509
//! version 1. [`chain`] has those rules, on [`certificate`]s; [`key_set`] reads the three files,
//! [`tls`] makes connections with them and takes new ones into use ([`Keys`] is a place for them), and [`socket`] is a connection for
//! who reads and writes without waiting.

mod bootstrap;
pub mod certificate;
pub mod chain;
mod choice;
mod coming;
mod ending;
pub mod key_set;
mod keys;
mod refusal;
pub mod socket;
pub mod tls;
mod verifier;
mod watch;

pub use bootstrap::BootstrapError;
pub use choice::Choice;
pub use coming::Coming;
pub use key_set::{Files, KeySet, LoadError};
pub use keys::Keys;
pub use refusal::Refusal;
pub use socket::TlsSocket;
pub use tls::{HandshakeError, Tls, peer_refuses};
