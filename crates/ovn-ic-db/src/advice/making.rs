//! What to do where a file cannot be made while the server runs already, as when a cluster is joined.

use std::io::Error;
use std::path::Path;

use ovsdb_cluster::node::StartError;
use ovsdb_log::LogError;

use super::{DATABASES, of_disk, with};

/// The error with what to do, if it is the disk's: the program ends with it, and whoever starts it again
/// finds everything as it was.
pub fn making(error: anyhow::Error, file: &Path) -> anyhow::Error {
    match error.chain().find_map(answer) {
        Some(answer) => with(&error, &of_disk(file, answer, DATABASES)),
        None => error,
    }
}

/// What the system has answered about a file, if it has.
fn answer<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    let log = match error.downcast_ref() {
        Some(StartError::Log(log)) => Some(log),
        _ => error.downcast_ref(),
    };
    let answer = log.and_then(LogError::io_error);
    answer.or_else(|| error.downcast_ref())
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use anyhow::Context;

    use super::*;

    #[test]
    fn each_failure_of_the_disk_has_its_advice() {
        let file = Path::new("/etc/ovn/a.db");
        let said = |kind: ErrorKind| {
            let failed: Result<(), Error> = Err(kind.into());
            let error = failed.context("cannot be made").expect_err("failed");
            making(error, file).to_string()
        };
        let full = said(ErrorKind::StorageFull);
        assert!(full.starts_with("cannot be made: "), "{full}");
        assert!(full.ends_with("; free space in /etc/ovn and start again"));
        assert!(said(ErrorKind::ReadOnlyFilesystem).contains("/etc/ovn is mounted read-only"));
        assert!(said(ErrorKind::Other).contains("see to the disk"));
        let listening = StartError::Listen(ErrorKind::AddrInUse.into());
        let words = listening.to_string();
        assert_eq!(making(listening.into(), file).to_string(), words);
        let damaged = LogError::damaged(file, 7, "x");
        let words = damaged.to_string();
        assert_eq!(making(damaged.into(), file).to_string(), words);
    }
}
