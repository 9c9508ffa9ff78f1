//! Taking the authority from the first server that is called (ovsdb-server(1), `--bootstrap-ca-cert`).
//!
//! As long as the authorities' file is not there, whoever is called is believed, if the last
//! certificate that it shows is an authority's and leads to its own. That one is written to the file,
//! the connection is dropped, and from then on everybody is checked. Who calls here is believed
//! nothing: until then, all are refused.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pem::{EncodeConfig, LineEnding, Pem};
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::pki_types::CertificateDer;

use crate::certificate::Certificate;
use crate::chain::{Purpose, Trust};
use crate::key_set::{KeySet, LoadError};
use crate::refusal::Refusal;
use crate::tls::Tls;

/// Everybody may read the file, and nobody changes it by mistake. The umask counts, too.
const MODE: u32 = 0o444;

/// Why the authority that a server has shown is not in use.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The file cannot be made.
    #[error("could not bootstrap CA cert: creating {} failed: {error}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// It was made by somebody else meanwhile, or by this server, and cannot be used.
    #[error("could not bootstrap CA cert: {0}")]
    Load(LoadError),
}

/// The authority that a server shows: the last one of its certificates, if it has issued itself and the
/// server's own leads to it.
///
/// # Errors
/// If there is none; it would let nobody in.
pub(crate) fn shown(
    own: &Certificate,
    others: &[Certificate],
    last: Option<&CertificateDer<'_>>,
    now: i64,
    trust: &Trust,
) -> Result<Certificate, Refusal> {
    let authority = match last {
        Some(der) => Certificate::parse(der.clone().into_owned()).map_err(Refusal::Unreadable)?,
        None => own.clone(),
    };
    if !authority.is_self_issued() {
        return Err(Refusal::NoAuthority {
            subject: authority.subject,
            issuer: authority.issuer,
            alone: last.is_none(),
        });
    }
    let only = Trust::new(vec![authority.clone()], trust.algorithms());
    only.check(own, others, now, Purpose::Server)?;
    Ok(authority)
}

/// The SHA-256 of a certificate, as `openssl x509 -fingerprint -sha256` writes it.
fn fingerprint(certificate: &Certificate) -> String {
    let suite = TLS13_AES_128_GCM_SHA256.tls13();
    let hash = suite.map(|suite| suite.common.hash_provider.hash(&certificate.der));
    let hash = hash.as_ref().map_or(&[][..], |hash| hash.as_ref());
    let bytes: Vec<String> = hash.iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}

/// Makes the file, never in place of another one. What cannot be written whole is not left behind.
fn write(path: &Path, certificate: &Certificate) -> io::Result<()> {
    let pem = Pem::new("CERTIFICATE", certificate.der.to_vec());
    let text = pem::encode_config(&pem, EncodeConfig::new().set_line_ending(LineEnding::LF));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(MODE);
    let mut file = options.open(path)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        // It is ours.
        let _ = std::fs::remove_file(path);
    }
    written
}

impl Tls {
    /// Takes what a server has shown as the authority, unless there is one by now.
    pub(crate) async fn adopt(
        self: &Arc<Self>,
        authority: Certificate,
    ) -> Result<(), BootstrapError> {
        let tls = Arc::clone(self);
        let adopt = tokio::task::spawn_blocking(move || tls.adopt_now(&authority));
        adopt.await.unwrap_or_else(|error| {
            Err(BootstrapError::Write {
                path: self.files.authorities.clone(),
                error: io::Error::other(error),
            })
        })
    }

    fn adopt_now(&self, authority: &Certificate) -> Result<(), BootstrapError> {
        // Several servers may be called at once.
        let mut complaint = self.adopting.lock();
        if !self.current().awaits_authority() {
            return Ok(());
        }
        let adopted = self.make(authority);
        let why = adopted.as_ref().err().map(BootstrapError::to_string);
        if let Some(why) = &why
            && *complaint != Some(why.clone())
        {
            tracing::error!("TLS: {why}");
        }
        *complaint = why;
        adopted
    }

    /// Makes the file of an authority, and takes into use what is in it then.
    fn make(&self, authority: &Certificate) -> Result<(), BootstrapError> {
        let path = &self.files.authorities;
        let failed = |error| BootstrapError::Write {
            path: path.clone(),
            error,
        };
        let there = match write(path, authority) {
            Ok(()) => None,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Some(error),
            Err(error) => return Err(failed(error)),
        };
        let keys = KeySet::load(&self.files, &self.choice).map_err(BootstrapError::Load)?;
        let path = path.display();
        match there {
            // It is a link that leads nowhere.
            Some(error) if keys.awaits_authority() => return Err(failed(error)),
            Some(_) => tracing::info!("TLS: reading CA cert {path} created by another process"),
            None => tracing::info!(
                "TLS: successfully bootstrapped CA cert to {path}: \"{}\", SHA-256 fingerprint {}",
                authority.subject,
                fingerprint(authority)
            ),
        }
        self.current.store(Arc::new(keys));
        Ok(())
    }
}
