//! Files that cannot be used at first are tried again, also when nobody touches them.

mod support;

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ovsdb_tls::{Choice, Files, KeySet, LoadError, Tls};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use support::make;

const PATIENCE: Duration = Duration::from_secs(60);

fn own(tls: &Tls) -> String {
    tls.current().certificate().subject.clone()
}

async fn wait(what: &str, done: impl Fn() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| panic!("{what}: not in time"));
}

/// Replaces the key and the certificate by those of another authority, valid in some seconds.
fn renew(files: &Files, seconds: u64) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).expect("signed").pem();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "renewed");
    let begin = SystemTime::now() + Duration::from_secs(seconds);
    params.not_before = begin.into();
    params.not_after = rcgen::date_time_ymd(4000, 1, 1);
    let certificate = params.signed_by(&own, &issuer).expect("signed").pem();
    fs::write(&files.key, own.serialize_pem()).expect("written");
    fs::write(&files.certificate, certificate).expect("written");
    fs::write(&files.authorities, authority).expect("written");
}

#[tokio::test]
async fn a_certificate_that_begins_later_comes_into_use_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = make(folder.path(), (2020, 4000));
    let tls = Tls::load(files.clone()).expect("keys");
    let before = own(&tls);
    tokio::spawn(Arc::clone(&tls).watch());
    renew(&files, 8);
    let refused = KeySet::load(&files, &Choice::default());
    let refused = refused.expect_err("not yet");
    assert!(
        matches!(refused, LoadError::NotYetValid { .. }),
        "{refused}"
    );
    // It has been read, and refused, long before it begins.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(own(&tls), before);
    wait("the new certificate", || own(&tls).contains("renewed")).await;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time");
    let begin = tls.current().certificate().not_before;
    assert!(begin <= i64::try_from(now.as_secs()).expect("a time"));
}
