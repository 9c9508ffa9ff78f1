//! Key sets and sockets of tests.

use std::fs;
use std::path::Path;

use ovsdb_tls::Files;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};

/// Makes an authority and a key set of it, valid from one year to another.
pub fn make(folder: &Path, years: (i32, i32)) -> Files {
    fs::create_dir_all(folder).expect("a folder");
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = folder.display().to_string();
    params.distinguished_name.push(DnType::CommonName, name);
    let authority = params.self_signed(&key).expect("signed").pem();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "chassis 1");
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    let certificate = params.signed_by(&own, &issuer).expect("signed").pem();
    let files = Files {
        key: folder.join("key"),
        certificate: folder.join("cert"),
        authorities: folder.join("cacert"),
        shown: None,
        bootstrap: false,
    };
    // ovs-pki's files have text before the certificate.
    let certificate = format!("Certificate:\n    Data: \u{fc}\n{certificate}");
    fs::write(&files.key, own.serialize_pem()).expect("written");
    fs::write(&files.certificate, certificate).expect("written");
    fs::write(&files.authorities, authority).expect("written");
    files
}

/// Both ends of a connection. Not all tests have one.
#[allow(dead_code)]
pub async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (called, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    (called.expect("called"), accepted.expect("accepted").0)
}
