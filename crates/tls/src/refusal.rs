//! Why a peer's certificate is refused.

use rustls::CertificateError;

/// Why a peer's certificate is refused, as the log says it: the words follow the peer's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read.
    #[error("its certificate cannot be read: {0}")]
    Unreadable(String),
    /// It is over.
    #[error("the certificate \"{subject}\" expired on {end}")]
    Expired {
        /// Whose certificate.
        subject: String,
        /// Its end.
        end: String,
    },
    /// It has not begun.
    #[error(
        "the certificate \"{subject}\" is not valid before {begin}; does this machine's clock go right?"
    )]
    NotYetValid {
        /// Whose certificate.
        subject: String,
        /// Its beginning.
        begin: String,
    },
    /// No authority here has signed it.
    #[error(
        "the certificate \"{subject}\" is of an authority that is not trusted here: \"{issuer}\""
    )]
    Foreign {
        /// Whose certificate.
        subject: String,
        /// Whose authority.
        issuer: String,
    },
    /// It only says that the authority has signed it.
    #[error(
        "the certificate \"{subject}\" has a wrong signature: its authority \"{issuer}\" has the name of one that is trusted here, and another key"
    )]
    BadSignature {
        /// Whose certificate.
        subject: String,
        /// Whose authority.
        issuer: String,
    },
    /// A key or a signature of a kind that is not supported.
    #[error(
        "the certificate \"{subject}\" has a signature of an unsupported kind (supported: SHA-256, -384 and -512 with RSA of 2048 bits and more, ECDSA P-256 and P-384, Ed25519)"
    )]
    Unsupported {
        /// Whose certificate.
        subject: String,
    },
    /// It is there for something else.
    #[error("the certificate \"{subject}\" is not for this use: {what}")]
    Purpose {
        /// Whose certificate.
        subject: String,
        /// What is missing.
        what: &'static str,
    },
    /// It must not be used by who does not understand all of it.
    #[error(
        "the certificate \"{subject}\" has the critical extension {extension}, which is not known here"
    )]
    Critical {
        /// Whose certificate.
        subject: String,
        /// Which extension.
        extension: String,
    },
    /// No authority is known yet, and the server that was called shows none.
    #[error(
        "could not bootstrap CA cert: the last certificate that it shows, \"{subject}\" of \"{issuer}\", is not self-signed{}",
        if *.alone { "; it shows no other, so probably it is not configured to send its CA certificate" } else { "" }
    )]
    NoAuthority {
        /// Whose certificate.
        subject: String,
        /// Whose authority.
        issuer: String,
        /// It is the server's own.
        alone: bool,
    },
    /// No authority is known yet, and somebody calls.
    #[error(
        "the certificate \"{subject}\" cannot be checked: the CA certificate is yet to be bootstrapped, from a server that is called"
    )]
    NotYet {
        /// Whose certificate.
        subject: String,
    },
    /// The chain is too long, or too much of a maze.
    #[error("the chain of the certificate \"{subject}\" is too long")]
    TooLong {
        /// Whose certificate.
        subject: String,
    },
}

impl Refusal {
    /// The same in TLS's terms, which decides what the peer is told.
    pub(crate) fn to_tls(&self) -> CertificateError {
        match self {
            Refusal::Unreadable(_) => CertificateError::BadEncoding,
            Refusal::Expired { .. } => CertificateError::Expired,
            Refusal::NotYetValid { .. } => CertificateError::NotValidYet,
            Refusal::Foreign { .. }
            | Refusal::TooLong { .. }
            | Refusal::NoAuthority { .. }
            | Refusal::NotYet { .. } => CertificateError::UnknownIssuer,
            Refusal::BadSignature { .. } => CertificateError::BadSignature,
            Refusal::Unsupported { .. } | Refusal::Purpose { .. } => {
                CertificateError::InvalidPurpose
            }
            Refusal::Critical { .. } => CertificateError::UnhandledCriticalExtension,
        }
    }
}
