//! Chains are judged as OpenSSL does for the reference: `openssl verify` is asked about each.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use ovsdb_tls::Refusal;
use ovsdb_tls::certificate::Certificate;
use ovsdb_tls::chain::{Purpose, Trust};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn authority(name: &str, most: Option<u8>) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(match most {
        None => BasicConstraints::Unconstrained,
        Some(most) => BasicConstraints::Constrained(most),
    });
    params
}

/// An issuer and its own certificate.
struct Made {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn root(params: CertificateParams) -> Made {
    let key = KeyPair::generate().expect("a key");
    let pem = params.self_signed(&key).expect("signed").pem();
    let issuer = Issuer::new(params, key);
    Made { pem, issuer }
}

fn below(params: CertificateParams, by: &Made) -> Made {
    let key = KeyPair::generate().expect("a key");
    let pem = params.signed_by(&key, &by.issuer).expect("signed").pem();
    let issuer = Issuer::new(params, key);
    Made { pem, issuer }
}

fn parse(pem: &str) -> Vec<Certificate> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .map(|der| Certificate::parse(der.expect("PEM")).expect("a certificate"))
        .collect()
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.expect("a time").as_secs()).expect("a time")
}

/// What this crate says.
fn ours(trusted: &str, others: &str, own: &str, purpose: Purpose) -> Result<(), Refusal> {
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let trust = Trust::new(parse(trusted), algorithms);
    trust.check(&parse(own)[0], &parse(others), now(), purpose)
}

fn run(folder: &Path, program: &str, line: &str) -> (bool, String) {
    let output = Command::new(program)
        .args(line.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error} (Debian: openssl, openvswitch-common)"));
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

fn must(folder: &Path, program: &str, line: &str) {
    let (succeeded, said) = run(folder, program, line);
    assert!(succeeded, "{program} {line}: {said}");
}

/// Asks both; they must agree. Gives what this crate says.
fn both(trusted: &str, others: &str, own: &str, purpose: Purpose) -> Result<(), Refusal> {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    fs::write(folder.join("ca"), trusted).expect("written");
    fs::write(folder.join("own"), own).expect("written");
    let purpose_name = match purpose {
        Purpose::Client => "sslclient",
        Purpose::Server => "sslserver",
    };
    let mut line = format!("verify -purpose {purpose_name} -no-CApath -CAfile ca");
    if !others.is_empty() {
        fs::write(folder.join("others"), others).expect("written");
        line += " -untrusted others";
    }
    let (theirs, said) = run(folder, "openssl", &(line + " own"));
    let ours = ours(trusted, others, own, purpose);
    assert_eq!(ours.is_ok(), theirs, "{ours:?} {said}");
    ours
}

fn client(trusted: &str, others: &str, own: &str) -> Result<(), String> {
    both(trusted, others, own, Purpose::Client).map_err(|refusal| refusal.to_string())
}

fn refused(result: Result<(), String>, words: &str) {
    let said = result.expect_err(words);
    assert!(said.contains(words), "{said}");
}

#[test]
fn chains_over_authorities_between() {
    let top = root(authority("top", None));
    let first = below(authority("first", None), &top);
    let second = below(authority("second", Some(0)), &first);
    let own = below(params("own"), &second);
    let both_between = second.pem.clone() + &first.pem;
    assert_eq!(client(&top.pem, &both_between, &own.pem), Ok(()));
    refused(client(&top.pem, &second.pem, &own.pem), "not trusted here");
    refused(client(&top.pem, "", &own.pem), "not trusted here");
    // One below the one that may have none below it.
    let third = below(authority("third", None), &second);
    let deep = below(params("deep"), &third);
    let all = third.pem.clone() + &both_between;
    refused(client(&top.pem, &all, &deep.pem), "too many authorities");
}

#[test]
fn who_may_issue_and_who_may_connect() {
    let top = root(authority("top", None));
    let foreign = root(authority("top", None));
    let own = below(params("own"), &top);
    assert_eq!(client(&top.pem, "", &own.pem), Ok(()));
    let two = root(authority("other", None)).pem + &top.pem;
    assert_eq!(client(&two, "", &own.pem), Ok(()));
    refused(client(&foreign.pem, "", &own.pem), "wrong signature");
    // No authority.
    let child = below(params("child"), &own);
    refused(client(&top.pem, &own.pem, &child.pem), "no authority");
    let mut signs_nothing = authority("signs nothing", None);
    signs_nothing.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let signs_nothing = root(signs_nothing);
    let its = below(params("its"), &signs_nothing);
    refused(client(&signs_nothing.pem, "", &its.pem), "keyCertSign");
    // Trusted by itself.
    let alone = root(params("alone"));
    assert_eq!(client(&alone.pem, "", &alone.pem), Ok(()));
    refused(client(&top.pem, "", &alone.pem), "not trusted here");

    let mut server = params("server");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let server = below(server, &top);
    refused(client(&top.pem, "", &server.pem), "clientAuth");
    assert_eq!(both(&top.pem, "", &server.pem, Purpose::Server), Ok(()));
    let mut enciphers = params("enciphers");
    enciphers.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    let enciphers = below(enciphers, &top);
    refused(client(&top.pem, "", &enciphers.pem), "keyUsage");
    assert_eq!(both(&top.pem, "", &enciphers.pem, Purpose::Server), Ok(()));
    let mut odd = params("odd");
    let mut extension =
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
    extension.set_criticality(true);
    odd.custom_extensions = vec![extension];
    let odd = below(odd, &top);
    refused(client(&top.pem, "", &odd.pem), "1.3.6.1.4.1.99999.1");
}

#[test]
fn only_what_is_valid_now_counts() {
    let past = |mut params: CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        params
    };
    let top = root(authority("top", None));
    let over = below(past(params("over")), &top);
    refused(
        client(&top.pem, "", &over.pem),
        "\"CN=over\" expired on Jan  1",
    );
    let mut future = params("future");
    future.not_before = rcgen::date_time_ymd(3000, 1, 1);
    let future = below(future, &top);
    refused(client(&top.pem, "", &future.pem), "not valid before");
    let old = root(past(authority("old", None)));
    let own = below(params("own"), &old);
    refused(client(&old.pem, "", &own.pem), "\"CN=old\" expired");
    // A chain that is good, too, is found.
    let key = KeyPair::generate().expect("a key");
    let (before, after) = (past(authority("renewed", None)), authority("renewed", None));
    let renewed = [before.self_signed(&key), after.self_signed(&key)];
    let [before, renewed] = renewed.map(|made| made.expect("signed").pem());
    let pair = Made {
        pem: renewed.clone(),
        issuer: Issuer::new(after, key),
    };
    let own = below(params("own"), &pair);
    assert_eq!(client(&(before + &renewed), "", &own.pem), Ok(()));
}

#[test]
fn keys_of_all_kinds() {
    for kind in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let key = KeyPair::generate_for(kind).expect("a key");
        let top = authority("top", None);
        let pem = top.self_signed(&key).expect("signed").pem();
        let issuer = Issuer::new(top, key);
        let own = below(
            params("own"),
            &Made {
                pem: pem.clone(),
                issuer,
            },
        );
        assert_eq!(client(&pem, "", &own.pem), Ok(()));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    must(
        folder,
        "openssl",
        "req -x509 -newkey rsa:2048 -sha1 -nodes -keyout k -out weak -subj /CN=weak -days 9",
    );
    let weak = fs::read_to_string(folder.join("weak")).expect("read");
    // What is trusted as it is needs no signature.
    assert_eq!(client(&weak, "", &weak), Ok(()));
}

/// X.509 version 1, as older `ovs-pki` makes certificates.
#[test]
fn certificates_of_version_1() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let request = |name: &str| {
        let line = format!(
            "req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.req -subj /CN={name}"
        );
        must(folder, "openssl", &line);
    };
    for name in ["top", "between", "own"] {
        request(name);
    }
    let sign = |what: &str, by: &str, out: &str| {
        let by = match by {
            "" => format!("-signkey {what}.key"),
            by => format!("-CA {by}.pem -CAkey {by}.key -CAcreateserial"),
        };
        let line = format!("x509 -req -in {what}.req {by} -days 9 -out {out}.pem");
        must(folder, "openssl", &line);
        fs::read_to_string(folder.join(format!("{out}.pem"))).expect("read")
    };
    let top = sign("top", "", "top");
    let (_, text) = run(folder, "openssl", "x509 -in top.pem -noout -text");
    assert!(text.contains("Version: 1"), "{text}");
    let own = sign("own", "top", "own");
    assert_eq!(client(&top, "", &own), Ok(()));
    // One that has not issued itself is no authority.
    let between = sign("between", "top", "between");
    let far = sign("own", "between", "far");
    refused(client(&top, &between, &far), "no authority");
}

#[test]
fn certificates_of_ovs_pki() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let pki = folder.join("pki").display().to_string();
    let log = folder.join("log").display().to_string();
    let tell = |what: &str| must(folder, "ovs-pki", &format!("-d {pki} -l {log} -b {what}"));
    tell("init");
    tell("req+sign a switch");
    tell("req+sign b controller");
    let read = |path: &str| fs::read_to_string(folder.join(path)).expect("read");
    let of_switches = read("pki/switchca/cacert.pem");
    assert_eq!(client(&of_switches, "", &read("a-cert.pem")), Ok(()));
    refused(
        client(&of_switches, "", &read("b-cert.pem")),
        "of an authority that is not trusted here",
    );
}

/// A peer may send anything.
#[test]
fn a_maze_ends() {
    let top = root(authority("top", None));
    let key = KeyPair::generate().expect("a key");
    // All of one name, and none of them leads anywhere.
    let same = authority("same", None);
    let mut maze = String::new();
    for _ in 0..16 {
        maze += &same.self_signed(&key).expect("signed").pem();
    }
    let made = Made {
        pem: String::new(),
        issuer: Issuer::new(same, key),
    };
    let own = below(params("own"), &made);
    let said = ours(&top.pem, &maze, &own.pem, Purpose::Client).expect_err("foreign");
    assert!(
        matches!(said, Refusal::TooLong { .. } | Refusal::Foreign { .. }),
        "{said}"
    );
}

proptest! {
    #[test]
    fn no_bytes_panic(at: usize, byte: u8, cut: usize) {
        let top = root(authority("top", None));
        let mut der = parse(&top.pem)[0].der.to_vec();
        let length = der.len();
        der[at % length] = byte;
        der.truncate(length - cut % 2 * (cut % length));
        let _ = Certificate::parse(der.into());
    }
}
