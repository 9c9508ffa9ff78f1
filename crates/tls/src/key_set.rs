//! The three files: a private key, its certificate, and the authorities that are trusted.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::DistinguishedName;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::certificate::Certificate;
use crate::chain::Trust;
use crate::choice::Choice;

/// The longest file that is read, in bytes: a bundle of many authorities is far smaller.
const MAX_FILE: u64 = 4 << 20;

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The private key, PEM.
    pub key: PathBuf,
    /// The certificate, PEM, with those that lead to its authority behind it if it has any.
    pub certificate: PathBuf,
    /// The authorities whose certificates are taken from peers, PEM.
    pub authorities: PathBuf,
    /// Certificates of authorities that are shown to peers behind the own one, PEM: a peer that has none yet
    /// can take them from there. Where there is no file, they are those of `authorities` that lead up from it, as with
    /// OpenSSL.
    pub shown: Option<PathBuf>,
    /// If there is no file of authorities, it is made of what the first server shows that is called
    /// (`--bootstrap-ca-cert`).
    pub bootstrap: bool,
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The private key.
    Key,
    /// The certificate.
    Certificate,
    /// The authorities.
    Authorities,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Key => "the private key",
            Role::Certificate => "the certificate",
            Role::Authorities => "the authority's certificate",
        })
    }
}

/// Why files are not taken into use, with what is to be done.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The system does not give it.
    #[error("{}: {role} cannot be read: {error}; put it there, readable for this user, or name another file", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        role: Role,
        /// The system's words.
        error: io::Error,
    },
    /// It holds something else.
    #[error("{}: is not {role} in PEM form: {why}", path.display())]
    Form {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        role: Role,
        /// What is wrong with it.
        why: String,
    },
    /// Two files that do not belong together.
    #[error("{}: is not the key of the certificate in {} (\"{subject}\"); put the key and the certificate there that were made together", key.display(), certificate.display())]
    Mismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
        /// Whose certificate.
        subject: String,
    },
    /// It is over.
    #[error("{}: the certificate \"{subject}\" expired on {end}; have a new one made", path.display())]
    Expired {
        /// Which file.
        path: PathBuf,
        /// Whose certificate.
        subject: String,
        /// Its end.
        end: String,
    },
    /// It has not begun.
    #[error("{}: the certificate \"{subject}\" is not valid before {begin}; set the clock right, or have a new one made", path.display())]
    NotYetValid {
        /// Which file.
        path: PathBuf,
        /// Whose certificate.
        subject: String,
        /// Its beginning.
        begin: String,
    },
}

impl LoadError {
    fn is_not_found(&self) -> bool {
        matches!(self, LoadError::Read { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }
}

/// What the files hold, checked: they fit together, and are valid now.
#[derive(Debug)]
pub struct KeySet {
    pub(crate) certified: Arc<CertifiedKey>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) hints: Arc<[DistinguishedName]>,
    pub(crate) provider: Arc<CryptoProvider>,
    /// The authorities that the own certificate hangs on.
    pub(crate) above: Vec<Certificate>,
    certificate: Certificate,
}

impl KeySet {
    /// Reads and checks the files. Changes nothing.
    ///
    /// # Errors
    /// If they cannot be used, with what is to be done.
    pub fn load(files: &Files, choice: &Choice) -> Result<KeySet, LoadError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        KeySet::load_at(files, choice, now)
    }

    /// The same at another time, in seconds since 1970.
    ///
    /// # Errors
    /// If they cannot be used then.
    pub fn load_at(files: &Files, choice: &Choice, now: i64) -> Result<KeySet, LoadError> {
        let mut provider = ring::default_provider();
        provider.cipher_suites.retain(|suite| choice.allows(suite));
        let provider = Arc::new(provider);
        let key = private_key(&files.key)?;
        let chain = certificates(&files.certificate, Role::Certificate)?;
        let authorities = match certificates(&files.authorities, Role::Authorities) {
            Err(error) if files.bootstrap && error.is_not_found() => Vec::new(),
            authorities => authorities?,
        };
        let form = |why: String| LoadError::Form {
            path: files.key.clone(),
            role: Role::Key,
            why,
        };
        let key = provider
            .key_provider
            .load_private_key(key)
            .map_err(|error| form(format!("{error} (RSA of 2048 bits and more, ECDSA P-256 and P-384, and Ed25519 are supported)")))?;
        let Some(certificate) = chain.first().cloned() else {
            return Err(no_certificate(&files.certificate, Role::Certificate));
        };
        let public = key.public_key();
        if !public.is_some_and(|public| public.ends_with(&certificate.key)) {
            return Err(LoadError::Mismatch {
                key: files.key.clone(),
                certificate: files.certificate.clone(),
                subject: certificate.subject,
            });
        }
        valid(&files.certificate, &certificate, now)?;
        // One of several may be an old one that is still there.
        let outdated = authorities
            .iter()
            .map(|authority| valid(&files.authorities, authority, now));
        if let Some(Err(error)) = outdated.min_by_key(Result::is_err) {
            return Err(error);
        }
        let hints = authorities
            .iter()
            .map(|authority| DistinguishedName::from(authority.subject_der.clone()));
        let hints = hints.collect();
        let trust = Trust::new(authorities, provider.signature_verification_algorithms);
        let tops = chain.last().map_or_else(Vec::new, |last| trust.above(last));
        let between = chain.iter().skip(1).cloned();
        let above = between.chain(tops.iter().cloned()).collect();
        let shown = match &files.shown {
            Some(path) => certificates(path, Role::Authorities)?,
            None => tops,
        };
        let chain = chain.into_iter().chain(shown);
        let chain = chain.map(|certificate| certificate.der);
        Ok(KeySet {
            certified: Arc::new(CertifiedKey::new(chain.collect(), key)),
            hints,
            trust: Arc::new(trust),
            provider,
            above,
            certificate,
        })
    }

    /// Whether another set is the same. Keys that fit the same certificate are.
    pub(crate) fn same_as(&self, other: &KeySet) -> bool {
        self.certified.cert == other.certified.cert
            && self.trust.authorities() == other.trust.authorities()
    }

    /// Nobody is trusted yet: the authority is to be taken from the first server that is called.
    pub fn awaits_authority(&self) -> bool {
        self.trust.authorities().is_empty()
    }

    /// The own certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

impl fmt::Display for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificate = &self.certificate;
        write!(
            f,
            "certificate \"{}\" of \"{}\", valid until {}",
            certificate.subject, certificate.issuer, certificate.end
        )
    }
}

fn valid(path: &Path, certificate: &Certificate, now: i64) -> Result<(), LoadError> {
    let (path, subject) = (path.to_owned(), certificate.subject.clone());
    if now > certificate.not_after {
        let end = certificate.end.clone();
        return Err(LoadError::Expired { path, subject, end });
    }
    if now < certificate.not_before {
        let begin = certificate.begin.clone();
        return Err(LoadError::NotYetValid {
            path,
            subject,
            begin,
        });
    }
    Ok(())
}

fn read(path: &Path, role: Role) -> Result<Vec<u8>, LoadError> {
    let bytes = std::fs::File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        match bytes.len() as u64 > MAX_FILE {
            true => Err(io::Error::other(format!("longer than {MAX_FILE} bytes"))),
            false => Ok(bytes),
        }
    });
    bytes.map_err(|error| LoadError::Read {
        path: path.to_owned(),
        role,
        error,
    })
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, LoadError> {
    let bytes = read(path, Role::Key)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        let marker = b"ENCRYPTED";
        let encrypted = bytes.windows(marker.len()).any(|window| window == marker);
        LoadError::Form {
            path: path.to_owned(),
            role: Role::Key,
            why: match encrypted {
                true => "it is encrypted; store it without a passphrase".to_owned(),
                false => error.to_string(),
            },
        }
    })
}

fn certificates(path: &Path, role: Role) -> Result<Vec<Certificate>, LoadError> {
    let bytes = read(path, role)?;
    let form = |why: String| LoadError::Form {
        path: path.to_owned(),
        role,
        why,
    };
    let all = CertificateDer::pem_slice_iter(&bytes).map(|der| {
        let der = der.map_err(|error| form(error.to_string()))?;
        Certificate::parse(der).map_err(form)
    });
    let all: Vec<Certificate> = all.collect::<Result<_, _>>()?;
    match all.is_empty() {
        true => Err(no_certificate(path, role)),
        false => Ok(all),
    }
}

fn no_certificate(path: &Path, role: Role) -> LoadError {
    LoadError::Form {
        path: path.to_owned(),
        role,
        why: "there is no certificate in it".to_owned(),
    }
}
