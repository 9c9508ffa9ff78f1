//! An authority that is taken from the first server that is called.

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ovsdb_tls::{Files, HandshakeError, Refusal, Tls};

use support::{make, sockets};

const PATIENCE: Duration = Duration::from_secs(20);
const YEARS: (i32, i32) = (2020, 4000);

/// A server's keys, which it shows with the authority of a file; without one with its own.
fn server(folder: &Path, shown: Option<&Path>) -> Arc<Tls> {
    let shown = shown.map(Path::to_owned);
    let files = make(folder, YEARS);
    Tls::load(Files { shown, ..files }).expect("keys")
}

/// Who has keys of an authority in `folder`, and is to take one from a server to `file`.
fn newcomer(folder: &Path, file: &Path) -> Arc<Tls> {
    let files = Files {
        authorities: file.to_owned(),
        bootstrap: true,
        ..make(folder, YEARS)
    };
    Tls::load(files).expect("keys")
}

/// What who calls a server makes of it. The server is not content: that comes later with TLS 1.3.
async fn call(newcomer: &Arc<Tls>, server: &Arc<Tls>) -> Result<(), HandshakeError> {
    let (called, accepted) = sockets().await;
    let server = Arc::clone(server);
    tokio::spawn(async move { server.accept(accepted, PATIENCE).await.map(drop) });
    let connected = newcomer.connect("127.0.0.1", called, PATIENCE).await;
    connected.map(drop)
}

fn refusal(error: HandshakeError) -> Refusal {
    match error {
        HandshakeError::Refused(refusal) => refusal,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_first_server_is_believed_and_checked_from_then_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let theirs = at("server/cacert");
    let server = server(&at("server"), None);
    let file = at("bootstrapped");
    let newcomer = newcomer(&at("newcomer"), &file);
    assert!(newcomer.current().awaits_authority());
    // Several calls at once: one of them makes the file.
    let (one, other) = tokio::join!(call(&newcomer, &server), call(&newcomer, &server));
    for result in [one, other] {
        let error = result.expect_err("dropped");
        assert!(matches!(error, HandshakeError::Bootstrapped), "{error}");
    }
    let pem = |path: &Path| fs::read_to_string(path).expect("read").replace('\r', "");
    assert_eq!(pem(&file), pem(&theirs));
    let mode = fs::metadata(&file).expect("there").mode();
    assert_eq!(mode & 0o333, 0, "{mode:o}");
    assert!(!newcomer.current().awaits_authority());
    call(&newcomer, &server)
        .await
        .expect("it has that authority");
    let foreign = at("foreign/cacert");
    let foreign = self::server(&at("foreign"), Some(&foreign));
    let error = call(&newcomer, &foreign).await.expect_err("foreign");
    assert!(matches!(refusal(error), Refusal::Foreign { .. }));
    assert_eq!(pem(&file), pem(&theirs));
}

#[tokio::test]
async fn who_calls_is_believed_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let newcomer = newcomer(&at("newcomer"), &at("bootstrapped"));
    let authority = at("newcomer/cacert");
    // It shows all that there is, and trusts the other side.
    let caller = Files {
        authorities: authority.clone(),
        ..make(&at("caller"), YEARS)
    };
    let shown = Some(at("caller/cacert"));
    let caller = Tls::load(Files { shown, ..caller }).expect("keys");
    let (called, accepted) = sockets().await;
    tokio::spawn(async move {
        caller
            .connect("127.0.0.1", called, PATIENCE)
            .await
            .map(drop)
    });
    let accepted = newcomer.accept(accepted, PATIENCE).await;
    let error = accepted.map(drop).expect_err("refused");
    let said = error.to_string();
    assert!(matches!(refusal(error), Refusal::NotYet { .. }), "{said}");
    assert!(said.contains("CN=chassis 1"), "{said}");
    assert!(!at("bootstrapped").exists());
}

#[tokio::test]
async fn what_leads_to_no_authority_is_not_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let file = at("bootstrapped");
    let newcomer = newcomer(&at("newcomer"), &file);
    // It trusts others alone.
    make(&at("others"), YEARS);
    let alone = Files {
        authorities: at("others/cacert"),
        ..make(&at("alone"), YEARS)
    };
    let alone = Tls::load(alone).expect("keys");
    let error = call(&newcomer, &alone).await.expect_err("no authority");
    let said = error.to_string();
    assert!(
        said.contains("is not self-signed; it shows no other"),
        "{said}"
    );
    // Its own certificate comes last.
    let own = at("twice/cert");
    make(&at("twice"), YEARS);
    let twice = Tls::load(Files {
        key: at("twice/key"),
        certificate: own.clone(),
        authorities: at("twice/cacert"),
        shown: Some(own),
        bootstrap: false,
    });
    let error = call(&newcomer, &twice.expect("keys")).await;
    let said = error.expect_err("no authority").to_string();
    assert!(said.ends_with("is not self-signed"), "{said}");
    // An authority that would not let this very server in.
    let misleading = server(&at("misleading"), Some(&at("alone/cacert")));
    let error = call(&newcomer, &misleading).await.expect_err("another's");
    assert!(matches!(refusal(error), Refusal::Foreign { .. }));
    assert!(newcomer.current().awaits_authority() && !file.exists());
}

#[tokio::test]
async fn a_file_that_cannot_be_made_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let theirs = at("server/cacert");
    let server = server(&at("server"), Some(&theirs));
    let link = at("link");
    symlink(at("nowhere"), &link).expect("a link");
    for (file, words) in [(at("none/file"), "No such file"), (link, "File exists")] {
        let newcomer = newcomer(&at("newcomer"), &file);
        let error = call(&newcomer, &server).await.expect_err("not made");
        let said = error.to_string();
        let begin = format!("could not bootstrap CA cert: creating {}", file.display());
        assert!(said.starts_with(&begin) && said.contains(words), "{said}");
        assert!(newcomer.current().awaits_authority());
        assert!(!file.exists());
    }
    // Another process was quicker.
    let file = at("bootstrapped");
    let newcomer = newcomer(&at("newcomer"), &file);
    fs::copy(&theirs, &file).expect("copied");
    let error = call(&newcomer, &server).await.expect_err("once more");
    assert!(matches!(error, HandshakeError::Bootstrapped), "{error}");
    call(&newcomer, &server).await.expect("checked");
    // Whatever is there already is not replaced.
    fs::remove_file(&file).expect("removed");
    fs::write(&file, "").expect("written");
    let files = Files {
        authorities: file.clone(),
        bootstrap: true,
        ..make(&at("newcomer"), YEARS)
    };
    let error = Tls::load(files).expect_err("nothing in it").to_string();
    assert!(error.contains("there is no certificate in it"), "{error}");
}
