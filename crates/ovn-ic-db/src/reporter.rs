//! What surrounds a database, for the reports that clients ask for.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ovsdb_server::cluster_control::Members;
use ovsdb_server::report::{FileReport, ProcessReport, Reporter, Surroundings};

use crate::databases::{Databases, Kept};
use crate::logging::SideLog;

/// Tells what surrounds the databases. `version` is the program's name and version.
pub fn reporter(
    version: &str,
    databases: Arc<Databases>,
    members: Arc<Members>,
    log: SideLog,
) -> Reporter {
    let program = version.to_owned();
    let started = Instant::now();
    Box::new(move |name| Surroundings {
        process: ProcessReport {
            program: program.clone(),
            id: std::process::id(),
            uptime: milliseconds(started.elapsed()),
            memory: resident_bytes(Path::new("/proc/self/statm")),
        },
        problem: log.problem(),
        file: databases.get(name).and_then(|kept| file(&kept)),
        member: members.get(name).map(|member| member.status()),
    })
}

fn file(kept: &Kept) -> Option<FileReport> {
    let (path, status, compacted, unwritten) = match kept {
        Kept::Alone(alone) => {
            let file = &alone.standalone;
            let path = file.path().to_owned();
            (
                path,
                file.status(),
                file.last_compaction(),
                file.unwritten(),
            )
        }
        Kept::Member(member) => {
            let node = member.node()?;
            let status = node.file_status()?;
            (node.path().to_owned(), status, node.last_compaction(), 0)
        }
    };
    Some(FileReport {
        path: path.display().to_string(),
        size: status.size,
        compact_size: status.base,
        compacted: compacted.map(milliseconds),
        unwritten: u64::try_from(unwritten).unwrap_or(u64::MAX),
        failure: status.failed.map(|error| error.to_string()),
    })
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The resident set, by proc(5); none where there is no such file.
fn resident_bytes(statm: &Path) -> Option<u64> {
    let text = fs::read_to_string(statm).ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    pages.checked_mul(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_has_some_memory() {
        let bytes = resident_bytes(Path::new("/proc/self/statm"));
        assert!(bytes > Some(1 << 16), "{bytes:?}");
        assert_eq!(resident_bytes(Path::new("/nowhere")), None);
    }
}
