//! What an operator can do where the disk does not take a file.

use std::io::{Error, ErrorKind};
use std::path::Path;

use ovsdb_cluster::node::StartError;
use ovsdb_log::LogError;

/// The error with what to do, if it is the disk's: the program ends with it, and whoever starts it again
/// finds everything as it was.
pub fn with_advice(error: anyhow::Error, file: &Path) -> anyhow::Error {
    let folder = file.parent().unwrap_or(file).display();
    let mut kinds = error.chain().filter_map(kind);
    let advice = match kinds.next() {
        None => return error,
        Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge) => {
            format!("free space in {folder} and start again")
        }
        Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
            format!("make {folder} writable for this user and start again")
        }
        Some(_) => format!("see to the disk that {folder} is on and start again"),
    };
    anyhow::anyhow!("{error:#}; {advice}")
}

/// What the system has answered about a file, if it has.
fn kind(error: &(dyn std::error::Error + 'static)) -> Option<ErrorKind> {
    let log = match error.downcast_ref() {
        Some(StartError::Log(log)) => Some(log),
        _ => error.downcast_ref(),
    };
    let answer = log.and_then(LogError::io_error);
    let answer = answer.or_else(|| error.downcast_ref::<Error>())?;
    Some(answer.kind())
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn each_failure_of_the_disk_has_its_advice() {
        let file = Path::new("/etc/ovn/a.db");
        let said = |kind: ErrorKind| {
            let failed: Result<(), Error> = Err(kind.into());
            let error = failed.context("cannot be made").expect_err("failed");
            with_advice(error, file).to_string()
        };
        let full = said(ErrorKind::StorageFull);
        assert!(full.starts_with("cannot be made: "), "{full}");
        assert!(full.ends_with("; free space in /etc/ovn and start again"));
        assert!(said(ErrorKind::ReadOnlyFilesystem).contains("make /etc/ovn writable"));
        assert!(said(ErrorKind::Other).contains("see to the disk"));
        let listening = StartError::Listen(ErrorKind::AddrInUse.into());
        let words = listening.to_string();
        assert_eq!(with_advice(listening.into(), file).to_string(), words);
        let damaged = LogError::damaged(file, 7, "x");
        let words = damaged.to_string();
        assert_eq!(with_advice(damaged.into(), file).to_string(), words);
    }
}
