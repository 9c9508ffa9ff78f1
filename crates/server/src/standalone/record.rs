//! Commits as records of the file.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ovsdb::datum::Datum;
use ovsdb::{Atom, Error, Tag};
use ovsdb_engine::record::write_contents;
use ovsdb_engine::{Commit, Version};
use ovsdb_log::{LogError, RecordBuffer, RecordWriter, system_words};

use crate::file_form::write_changes;

/// A transaction that is to be written, by the log's thread. It stays until the log has it, as what
/// was acknowledged before must be written again after a failure.
#[derive(Debug)]
pub(super) struct Record {
    commit: Arc<Commit>,
    comment: Option<String>,
    /// When it was executed, in milliseconds since the epoch.
    date: u64,
}

impl Record {
    pub(super) fn new(commit: Arc<Commit>, comment: Option<String>) -> Record {
        Record {
            commit,
            comment,
            date: now(),
        }
    }

    /// Writes it; nothing, if it has changed only what does not last.
    pub(super) fn encode(&self, buffer: &mut RecordBuffer) {
        buffer.record_if(|out| {
            write_changes(
                out,
                &self.commit.changes,
                self.date,
                self.comment.as_deref(),
            )
        });
    }

    /// About how many bytes it will have. The writer waits for this, so it looks at the changed
    /// columns only and counts short of encoding them.
    pub(super) fn size_hint(&self) -> usize {
        const HEAD: usize = 150;
        const ROW: usize = 50;
        let changes = &self.commit.changes;
        let mut size = HEAD + self.comment.as_ref().map_or(0, String::len);
        for table in &changes.tables {
            let schema = changes.schema.table(table.table);
            for row in &table.rows {
                size += ROW;
                let Some(new) = &row.new else { continue };
                for (id, column) in schema.own_columns() {
                    let value = new.get(id);
                    match &row.old {
                        Some(old) if old.get(id) == value => {}
                        // A difference has at most the elements of both.
                        Some(old) => {
                            size += column.name.len() + weight(value) + weight(old.get(id))
                        }
                        None if value.is_empty() => {}
                        None => size += column.name.len() + weight(value),
                    }
                }
            }
        }
        size
    }
}

fn weight(datum: &Datum) -> usize {
    let atom = |atom: &Atom| atom.as_str().map_or(20, |text| text.len() + 4);
    let atoms: usize = datum.atoms().iter().map(atom).sum();
    let pairs: usize = datum
        .pairs()
        .iter()
        .map(|(key, value)| atom(key) + atom(value) + 4)
        .sum();
    atoms + pairs
}

/// Writes a whole file: the schema, and all contents as one transaction, as references may go to
/// and fro between any of its rows. For [`Appender::create`](ovsdb_log::Appender::create) and
/// [`replace`](ovsdb_log::replace()); `comment` is for people who read the file.
pub fn write_whole(
    writer: &mut RecordWriter,
    version: &Version,
    comment: &str,
) -> Result<(), LogError> {
    writer.record(|out| version.schema().write_json(out))?;
    writer.record(|out| write_contents(out, version, now(), Some(comment)))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    })
}

/// A failure of the log as clients are told about it.
pub(super) fn io_error(error: &LogError) -> Error {
    Error {
        io_error: error.io_error().map(system_words),
        ..Error::new(Tag::IoError, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_text_comes_without_its_number() {
        let error = io_error(&LogError::Io {
            file: "a.db".into(),
            action: "cannot write".to_owned(),
            answer: std::io::Error::from_raw_os_error(28),
        });
        assert_eq!(error.tag, Tag::IoError);
        assert_eq!(error.io_error.as_deref(), Some("No space left on device"));
        assert!(
            error
                .details
                .is_some_and(|text| text.starts_with("a.db: cannot write"))
        );
    }
}
