//! Whether a server takes a message of a transaction's length.

use std::time::Duration;

use anyhow::bail;
use ovsdb::json::Scanner;
use ovsdb_server::report;

use crate::client::{CallError, Leader, quoted};

/// The most memory that a server of ours gives to a message with the index of its values, in bytes.
const MOST: usize = 256 << 20;
/// A text of this part of it has no index that is so large.
const HARMLESS: usize = 32;
/// What is around the parameters is shorter, in bytes.
const FRAME: usize = 1024;

/// Looks before anything is sent: the server would close the connection in the middle.
///
/// # Errors
/// If it is too long for a server of this program; others have no such bound.
pub async fn check(leader: &mut Leader, params: &str, limit: Duration) -> anyhow::Result<()> {
    if fits(params, MOST) {
        return Ok(());
    }
    let question = format!("[{}]", quoted(&leader.schema.name));
    let asked = leader.client.call(report::METHOD, &question);
    if let Ok(Err(CallError::UnknownMethod)) = tokio::time::timeout(limit, asked).await {
        return Ok(());
    }
    bail!(
        "{}: a transaction of {} MiB would have to be sent, which is more than the server takes; where no server runs, \"restore --to\" makes new files of a copy of any size",
        leader.remote,
        params.len() >> 20
    )
}

fn fits(params: &str, most: usize) -> bool {
    if params.len() <= most / HARMLESS {
        return true;
    }
    let mut scanner = Scanner::new();
    let scanned = scanner.scan(params.as_bytes());
    scanned.is_ok() && params.len() + scanner.memory() + FRAME <= most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_counts() {
        let most = 1 << 20;
        assert!(fits(&format!("[\"{}\"]", "x".repeat(most / 2)), most));
        assert!(!fits(&format!("[\"{}\"]", "x".repeat(most)), most));
        // Short values have long indexes.
        assert!(!fits(&format!("[{}0]", "0,".repeat(most / 4)), most));
        // Even they fit where nothing is scanned.
        let short = format!("[{}0]", "0,".repeat(most / 2 / HARMLESS - 2));
        let mut scanner = Scanner::new();
        assert!(scanner.scan(short.as_bytes()).is_ok());
        assert!(short.len() + scanner.memory() + FRAME < most);
        assert!(fits(&short, most));
    }
}
