//! The server's certificate, and the service account's folder as a container has it.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Writes `ca.crt` and `namespace` into a new folder, and gives what the server answers with.
pub(super) fn make(folder: &Path, namespace: &str, address: IpAddr) -> Result<Arc<ServerConfig>> {
    fs::create_dir_all(folder)?;
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    let certificate = authority.self_signed(&authority_key)?;
    fs::write(folder.join("ca.crt"), certificate.pem())?;
    fs::write(folder.join("namespace"), namespace)?;

    let own = CertificateParams::new(vec![address.to_string()])?;
    let own_key = KeyPair::generate()?;
    let issuer = Issuer::new(authority, authority_key);
    let own = own.signed_by(&own_key, &issuer)?;
    let chain = vec![CertificateDer::from(own.der().to_vec())];
    let key = PrivateKeyDer::Pkcs8(own_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}
