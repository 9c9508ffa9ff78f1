//! Whether a certificate leads to an authority that is trusted (RFC 5280 section 6.1, without names).
//!
//! As OpenSSL does it for the reference: a certificate without extensions may be used for anything,
//! and one of version 1 that has issued itself may be an authority.

use rustls::crypto::WebPkiSupportedAlgorithms;

use crate::certificate::Certificate;
use crate::refusal::Refusal;

/// So many certificates may lie between a peer's own and the authority.
const MAX_BETWEEN: u32 = 8;
/// So many signatures are checked for one chain: a peer may send a maze.
const MAX_SIGNATURES: u32 = 32;
/// So many certificates are taken from a peer.
pub(crate) const MAX_SENT: usize = 16;

/// What a peer's certificate is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The peer called.
    Client,
    /// The peer was called.
    Server,
}

/// The authorities that are trusted.
#[derive(Debug, Clone)]
pub struct Trust {
    authorities: Vec<Certificate>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Trust {
    /// Trusts these.
    pub fn new(authorities: Vec<Certificate>, algorithms: WebPkiSupportedAlgorithms) -> Trust {
        Trust {
            authorities,
            algorithms,
        }
    }

    /// The authorities.
    pub fn authorities(&self) -> &[Certificate] {
        &self.authorities
    }

    pub(crate) fn algorithms(&self) -> WebPkiSupportedAlgorithms {
        self.algorithms
    }

    /// The authorities above a certificate, from its own one on.
    pub(crate) fn above(&self, certificate: &Certificate) -> Vec<Certificate> {
        let mut above: Vec<Certificate> = Vec::new();
        while above.len() < MAX_BETWEEN as usize {
            let last = above.last().unwrap_or(certificate);
            if last.is_self_issued() {
                break;
            }
            let issuer = named(&self.authorities, last)
                .find(|issuer| signed(self.algorithms, issuer, last).is_ok())
                .cloned();
            let Some(issuer) = issuer else {
                break;
            };
            above.push(issuer);
        }
        above
    }

    /// Checks a peer's certificate with the others that it sent, at a time in seconds since 1970.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check(
        &self,
        own: &Certificate,
        others: &[Certificate],
        now: i64,
        purpose: Purpose,
    ) -> Result<(), Refusal> {
        usable(own, now, purpose)?;
        let key_allows = own.key_usage.is_none_or(|usage| match purpose {
            Purpose::Client => usage.client,
            Purpose::Server => usage.server,
        });
        if !key_allows {
            return Err(not_for(own, "its keyUsage does not allow it"));
        }
        let mut walk = Walk {
            trust: self,
            others,
            now,
            purpose,
            signatures_left: MAX_SIGNATURES,
            reason: None,
        };
        match walk.climb(own, 0, 0) {
            true => Ok(()),
            false => Err(walk.reason.unwrap_or_else(|| Refusal::Foreign {
                subject: own.subject.clone(),
                issuer: own.issuer.clone(),
            })),
        }
    }
}

/// The way up from a certificate.
struct Walk<'a> {
    trust: &'a Trust,
    others: &'a [Certificate],
    now: i64,
    purpose: Purpose,
    signatures_left: u32,
    /// The first thing that was wrong with an issuer that had the right name.
    reason: Option<Refusal>,
}

impl Walk<'_> {
    /// Whether an authority is reached. `between` counts the issuers below it that are not trusted by
    /// themselves, and `counted` those of them that a path length counts.
    fn climb(&mut self, certificate: &Certificate, between: u32, counted: u32) -> bool {
        let (trust, others) = (self.trust, self.others);
        let trusted = trust.authorities.iter().any(|own| own == certificate);
        if trusted && certificate.is_self_issued() {
            return true;
        }
        for issuer in named(&trust.authorities, certificate) {
            if self.note(issuer, certificate, counted) {
                return true;
            }
        }
        if between >= MAX_BETWEEN {
            let subject = certificate.subject.clone();
            self.reason.get_or_insert(Refusal::TooLong { subject });
            return false;
        }
        for issuer in named(others, certificate) {
            let more = u32::from(!issuer.is_self_issued());
            if issuer != certificate
                && self.note(issuer, certificate, counted)
                && self.climb(issuer, between + 1, counted + more)
            {
                return true;
            }
        }
        false
    }

    /// Whether one has issued the other; keeps what speaks against it.
    fn note(&mut self, issuer: &Certificate, of: &Certificate, below: u32) -> bool {
        let result = self.issued(issuer, of, below);
        if let Err(reason) = result {
            self.reason.get_or_insert(reason);
            return false;
        }
        true
    }

    fn issued(
        &mut self,
        issuer: &Certificate,
        of: &Certificate,
        below: u32,
    ) -> Result<(), Refusal> {
        usable(issuer, self.now, self.purpose)?;
        may_issue(issuer, below)?;
        if self.signatures_left == 0 {
            let subject = of.subject.clone();
            return Err(Refusal::TooLong { subject });
        }
        self.signatures_left -= 1;
        signed(self.trust.algorithms, issuer, of)
    }
}

/// Those that a certificate names as its issuer.
fn named<'a>(
    all: &'a [Certificate],
    certificate: &Certificate,
) -> impl Iterator<Item = &'a Certificate> {
    let name = certificate.issuer_der.clone();
    all.iter().filter(move |one| one.subject_der == name)
}

fn not_for(certificate: &Certificate, what: &'static str) -> Refusal {
    let subject = certificate.subject.clone();
    Refusal::Purpose { subject, what }
}

/// What every certificate of a chain must be.
fn usable(certificate: &Certificate, now: i64, purpose: Purpose) -> Result<(), Refusal> {
    let subject = certificate.subject.clone();
    if now > certificate.not_after {
        let end = certificate.end.clone();
        return Err(Refusal::Expired { subject, end });
    }
    if now < certificate.not_before {
        let begin = certificate.begin.clone();
        return Err(Refusal::NotYetValid { subject, begin });
    }
    if let Some(extension) = certificate.unknown_critical.clone() {
        return Err(Refusal::Critical { subject, extension });
    }
    match (certificate.extended_usage, purpose) {
        (Some(usage), Purpose::Client) if !usage.client => Err(not_for(
            certificate,
            "its extendedKeyUsage has no clientAuth",
        )),
        (Some(usage), Purpose::Server) if !usage.server => Err(not_for(
            certificate,
            "its extendedKeyUsage has no serverAuth",
        )),
        _ => Ok(()),
    }
}

/// Whether it may issue certificates, with so many authorities below it.
fn may_issue(issuer: &Certificate, below: u32) -> Result<(), Refusal> {
    let (authority, most) = match issuer.authority {
        Some(constraints) => constraints,
        None => (issuer.first_version && issuer.is_self_issued(), None),
    };
    if !authority {
        return Err(not_for(issuer, "it is no authority (basicConstraints)"));
    }
    if issuer.key_usage.is_some_and(|u| !u.signs_certificates) {
        return Err(not_for(issuer, "its keyUsage has no keyCertSign"));
    }
    if most.is_some_and(|most| below > most) {
        return Err(not_for(issuer, "too many authorities are below it"));
    }
    Ok(())
}

/// Checks a certificate's signature by an issuer's key.
fn signed(
    algorithms: WebPkiSupportedAlgorithms,
    issuer: &Certificate,
    of: &Certificate,
) -> Result<(), Refusal> {
    let subject = of.subject.clone();
    let fitting = algorithms.all.iter().find(|algorithm| {
        algorithm.signature_alg_id().as_ref() == of.signature_algorithm
            && algorithm.public_key_alg_id().as_ref() == issuer.key_algorithm
    });
    let Some(algorithm) = fitting else {
        return Err(Refusal::Unsupported { subject });
    };
    algorithm
        .verify_signature(&issuer.key, &of.signed, &of.signature)
        .map_err(|_| Refusal::BadSignature {
            subject,
            issuer: of.issuer.clone(),
        })
}
