//! Keys and certificates, in memory.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, Error, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

/// Clocks of other machines may be late by this much.
const CLOCKS: Duration = Duration::hours(24);

/// An authority of its own, as `ovs-pki init` makes one.
pub struct Authority {
    certificate: String,
    key: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A key and its certificate, PEM.
pub struct Pair {
    pub key: String,
    pub certificate: String,
}

impl Authority {
    /// A new one, valid for some days.
    pub fn new(days: u32) -> Result<Authority, Error> {
        // ECDSA with P-256: made at once, and understood by all of OpenSSL's versions that matter.
        let key = KeyPair::generate()?;
        let made = OffsetDateTime::now_utc();
        let name = format!("ovn-ic-db test authority {}", made.unix_timestamp());
        let mut params = params(&name, days);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        Ok(Authority {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            issuer: Issuer::new(params, key),
        })
    }

    /// A key and a certificate for both sides of connections.
    pub fn issue(&self, name: &str, days: u32) -> Result<Pair, Error> {
        let key = KeyPair::generate()?;
        let mut params = params(name, days);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Pair {
            key: key.serialize_pem(),
            certificate: certificate.pem(),
        })
    }

    /// Its certificate.
    pub fn certificate_pem(&self) -> String {
        self.certificate.clone()
    }

    /// Its key.
    pub fn key_pem(&self) -> String {
        self.key.clone()
    }
}

fn params(name: &str, days: u32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "ovn-ic-db");
    params.distinguished_name.push(DnType::CommonName, name);
    let now = OffsetDateTime::now_utc();
    params.not_before = now - CLOCKS;
    params.not_after = now + Duration::days(days.into());
    params
}
