//! The chain's rules in rustls's terms, for one connection.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved,
    SignatureScheme,
};

use crate::bootstrap::shown;
use crate::certificate::Certificate;
use crate::chain::{MAX_SENT, Purpose, Trust};
use crate::refusal::Refusal;

/// Checks the peer of one connection, and remembers why it was refused.
#[derive(Debug)]
pub(crate) struct PeerCheck {
    trust: Arc<Trust>,
    hints: Arc<[DistinguishedName]>,
    refusal: OnceLock<Refusal>,
    /// The authority that the peer has shown, where it is believed.
    shown: OnceLock<Certificate>,
}

impl PeerCheck {
    pub(crate) fn new(trust: Arc<Trust>, hints: Arc<[DistinguishedName]>) -> PeerCheck {
        PeerCheck {
            trust,
            hints,
            refusal: OnceLock::new(),
            shown: OnceLock::new(),
        }
    }

    /// The authority that the peer has shown, if none was known and this one is to be taken.
    pub(crate) fn shown(&self) -> Option<&Certificate> {
        self.shown.get()
    }

    /// Why the peer was refused, if it was.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        self.refusal.get()
    }

    fn check(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
        purpose: Purpose,
    ) -> Result<(), Error> {
        self.judge(own, others, now, purpose).map_err(|refusal| {
            let error = refusal.to_tls();
            let _ = self.refusal.set(refusal);
            Error::InvalidCertificate(error)
        })
    }

    fn judge(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
        purpose: Purpose,
    ) -> Result<(), Refusal> {
        let own = Certificate::parse(own.clone().into_owned()).map_err(Refusal::Unreadable)?;
        // What cannot be read leads nowhere.
        let last = others.last();
        let others: Vec<Certificate> = others
            .iter()
            .take(MAX_SENT)
            .filter_map(|der| Certificate::parse(der.clone().into_owned()).ok())
            .collect();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if !self.trust.authorities().is_empty() {
            return self.trust.check(&own, &others, now, purpose);
        }
        match purpose {
            Purpose::Client => Err(Refusal::NotYet {
                subject: own.subject,
            }),
            Purpose::Server => {
                let shown = shown(&own, &others, last, now, &self.trust)?;
                let _ = self.shown.set(shown);
                Ok(())
            }
        }
    }

    /// Whether the peer has the certificate's key. `first`: only the scheme's own algorithm counts
    /// (TLS 1.3 ties it to the curve).
    fn signed(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
        first: bool,
    ) -> Result<HandshakeSignatureValid, Error> {
        let certificate = Certificate::parse(certificate.clone().into_owned())
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let mapping = self.trust.algorithms().mapping;
        let of_scheme = mapping.iter().find(|(s, _)| *s == signature.scheme);
        let algorithms = of_scheme.map_or(&[][..], |(_, algorithms)| algorithms);
        let most = if first { 1 } else { algorithms.len() };
        let mut fitting = algorithms.iter().take(most).filter(|algorithm| {
            algorithm.public_key_alg_id().as_ref() == certificate.key_algorithm
        });
        let valid = fitting.any(|algorithm| {
            algorithm
                .verify_signature(&certificate.key, message, signature.signature())
                .is_ok()
        });
        match valid {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(Error::InvalidCertificate(CertificateError::BadSignature)),
        }
    }

    fn signed_13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // RFC 8446 section 4.4.3.
        if matches!(
            signature.scheme,
            SignatureScheme::RSA_PKCS1_SHA1
                | SignatureScheme::RSA_PKCS1_SHA256
                | SignatureScheme::RSA_PKCS1_SHA384
                | SignatureScheme::RSA_PKCS1_SHA512
        ) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        self.signed(message, certificate, signature, true)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms().supported_schemes()
    }
}

impl ClientCertVerifier for PeerCheck {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(own, others, now, Purpose::Client)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(message, certificate, signature, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed_13(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ServerCertVerifier for PeerCheck {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(own, others, now, Purpose::Server)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(message, certificate, signature, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed_13(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}
