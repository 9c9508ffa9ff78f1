//! What is to be known of a certificate (RFC 5280 section 4.1).

use rustls::pki_types::CertificateDer;
use x509_parser::asn1_rs::{Any, FromDer};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::X509Certificate;
use x509_parser::x509::{X509Name, X509Version};

/// Names are cut to so many characters for people.
const NAME_LENGTH: usize = 200;

/// A certificate, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// All of it.
    pub der: CertificateDer<'static>,
    /// The subject, for people.
    pub subject: String,
    /// The subject's common name, as it is; none if it has none, or one that is no text.
    pub common_name: Option<String>,
    /// The issuer, for people.
    pub issuer: String,
    /// The first second of its validity, since 1970.
    pub not_before: i64,
    /// The last second of its validity, since 1970.
    pub not_after: i64,
    /// The last second of its validity, for people.
    pub end: String,
    /// The first second of its validity, for people.
    pub begin: String,
    pub(crate) subject_der: Vec<u8>,
    pub(crate) issuer_der: Vec<u8>,
    /// What is signed.
    pub(crate) signed: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    /// The inside of an `AlgorithmIdentifier`.
    pub(crate) signature_algorithm: Vec<u8>,
    /// The same, of the subject's key.
    pub(crate) key_algorithm: Vec<u8>,
    pub(crate) key: Vec<u8>,
    /// Of X.509 version 1, which has no extensions.
    pub(crate) first_version: bool,
    /// What `basicConstraints` says: an authority, and how many others may come below it.
    pub(crate) authority: Option<(bool, Option<u32>)>,
    pub(crate) key_usage: Option<Usage>,
    pub(crate) extended_usage: Option<ExtendedUsage>,
    /// A critical extension that is not understood.
    pub(crate) unknown_critical: Option<String>,
}

/// What `keyUsage` allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) signs_certificates: bool,
    /// To sign or to agree on keys.
    pub(crate) client: bool,
    /// Those, or to encipher keys.
    pub(crate) server: bool,
}

/// What `extendedKeyUsage` allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExtendedUsage {
    pub(crate) client: bool,
    pub(crate) server: bool,
}

impl Certificate {
    /// Reads a certificate.
    ///
    /// # Errors
    /// If it is none: why, for people.
    pub fn parse(der: CertificateDer<'static>) -> Result<Certificate, String> {
        let (rest, parsed) =
            X509Certificate::from_der(&der).map_err(|error| format!("no certificate: {error}"))?;
        if !rest.is_empty() {
            return Err("something follows the certificate".to_owned());
        }
        let tbs = &parsed.tbs_certificate;
        if tbs.signature != parsed.signature_algorithm {
            return Err("it names two signature algorithms".to_owned());
        }
        let inner = |error| format!("no certificate: {error}");
        let signature_algorithm = algorithm(&der, 1).map_err(inner)?;
        let key_algorithm = algorithm(tbs.subject_pki.raw, 0).map_err(inner)?;
        let mut certificate = Certificate {
            subject: for_people(&tbs.subject.to_string()),
            common_name: common_name(&tbs.subject),
            issuer: for_people(&tbs.issuer.to_string()),
            not_before: tbs.validity.not_before.timestamp(),
            not_after: tbs.validity.not_after.timestamp(),
            begin: for_people(&tbs.validity.not_before.to_string()),
            end: for_people(&tbs.validity.not_after.to_string()),
            subject_der: tbs.subject.as_raw().to_vec(),
            issuer_der: tbs.issuer.as_raw().to_vec(),
            signed: tbs.as_ref().to_vec(),
            signature: parsed.signature_value.data.to_vec(),
            signature_algorithm,
            key_algorithm,
            key: tbs.subject_pki.subject_public_key.data.to_vec(),
            first_version: tbs.version == X509Version::V1,
            authority: None,
            key_usage: None,
            extended_usage: None,
            unknown_critical: None,
            der: der.clone(),
        };
        for extension in tbs.extensions() {
            certificate.take(extension.parsed_extension(), || {
                extension
                    .critical
                    .then(|| for_people(&extension.oid.to_id_string()))
            })?;
        }
        Ok(certificate)
    }

    /// Takes an extension in; `critical` names it if it must be understood.
    fn take(
        &mut self,
        extension: &ParsedExtension<'_>,
        critical: impl FnOnce() -> Option<String>,
    ) -> Result<(), String> {
        let twice = |taken: bool| match taken {
            true => Err("it has an extension twice".to_owned()),
            false => Ok(()),
        };
        match extension {
            ParsedExtension::BasicConstraints(constraints) => {
                let value = (constraints.ca, constraints.path_len_constraint);
                twice(self.authority.replace(value).is_some())
            }
            ParsedExtension::KeyUsage(usage) => {
                let client = usage.digital_signature() || usage.key_agreement();
                let usage = Usage {
                    signs_certificates: usage.key_cert_sign(),
                    client,
                    server: client || usage.key_encipherment(),
                };
                twice(self.key_usage.replace(usage).is_some())
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                let usage = ExtendedUsage {
                    client: usage.any || usage.client_auth,
                    server: usage.any || usage.server_auth,
                };
                twice(self.extended_usage.replace(usage).is_some())
            }
            // Names are of no interest here, critical or not.
            ParsedExtension::SubjectAlternativeName(_)
            | ParsedExtension::IssuerAlternativeName(_)
            | ParsedExtension::SubjectKeyIdentifier(_)
            | ParsedExtension::AuthorityKeyIdentifier(_)
            | ParsedExtension::CertificatePolicies(_) => Ok(()),
            _ => {
                if let Some(name) = critical() {
                    self.unknown_critical.get_or_insert(name);
                }
                Ok(())
            }
        }
    }

    /// Whether subject and issuer are the same.
    pub(crate) fn is_self_issued(&self) -> bool {
        self.subject_der == self.issuer_der
    }
}

/// The first one counts. With a NUL in it others would take it for a shorter one.
fn common_name(subject: &X509Name<'_>) -> Option<String> {
    let bytes = subject.iter_common_name().next()?.attr_value().data;
    let name = std::str::from_utf8(bytes).ok()?;
    let is_name = !name.is_empty() && !name.contains('\0');
    is_name.then(|| name.to_owned())
}

/// The inside of the algorithm at a place of a sequence.
fn algorithm(der: &[u8], place: usize) -> Result<Vec<u8>, String> {
    let any = |der| Any::from_der(der).map_err(|error| error.to_string());
    let (_, outer) = any(der)?;
    let mut rest = outer.data;
    for _ in 0..place {
        (rest, _) = any(rest)?;
    }
    let (_, found) = any(rest)?;
    Ok(found.data.to_vec())
}

/// Text from a stranger, for a log line.
fn for_people(text: &str) -> String {
    let escaped: String = text.chars().flat_map(char::escape_debug).collect();
    match escaped.char_indices().nth(NAME_LENGTH) {
        Some((end, _)) => format!("{}...", &escaped[..end]),
        None => escaped,
    }
}
