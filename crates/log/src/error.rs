//! What can go wrong with a log file, in words for the operator who reads the server's log.

use std::io;
use std::path::{Path, PathBuf};

use crate::Magic;

/// Who has a database file locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Another process, by its process id.
    Process(u32),
    /// This very process has the file open already.
    Ourselves,
    /// Somebody who let go before we could ask who it is, or who is not on this host.
    Unknown,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Holder::Process(pid) => write!(f, "process {pid}"),
            Holder::Ourselves => write!(f, "this process"),
            Holder::Unknown => write!(f, "another process"),
        }
    }
}

/// The one error type of this crate.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system refused something.
    #[error("{}: {action}: {answer}", file.display())]
    Io {
        /// The file or folder that it was about.
        file: PathBuf,
        /// What was attempted, such as "cannot write 120 bytes at offset 4096".
        action: String,
        /// The system's answer, which the text has already.
        answer: io::Error,
    },
    /// Something is wrong in the middle of the file (or in its first record). Nothing was changed.
    #[error("{}: damaged at offset {offset}: {reason}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where the first record that cannot be used begins, in bytes.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is empty: there is not even a schema or a header in it.
    #[error("{}: the file is empty, so it holds no database", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// The file does not begin like an OVSDB file.
    #[error("{}: not an OVSDB file (at offset 0: {reason})", file.display())]
    NotOvsdb {
        /// The file.
        file: PathBuf,
        /// What it begins with.
        reason: String,
    },
    /// A standalone file where a clustered one was expected, or the other way round.
    #[error("{}: this is a {} database, not a {} one", file.display(), found.model(), expected.model())]
    OtherKind {
        /// The file.
        file: PathBuf,
        /// What the caller wanted.
        expected: Magic,
        /// What it is.
        found: Magic,
    },
    /// Another server (ours or the reference) uses the file.
    #[error("{}: cannot lock the database: {} is locked by {holder}", file.display(), lock_file.display())]
    Locked {
        /// The database file.
        file: PathBuf,
        /// The lock file beside it.
        lock_file: PathBuf,
        /// Who holds the lock.
        holder: Holder,
    },
    /// A file of that name exists already and is not overwritten.
    #[error("{}: exists already, not overwritten", file.display())]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// The file changed between reading it and opening it for writing: somebody ignores the lock.
    #[error("{}: changed from {expected} to {found} bytes while it was being opened", file.display())]
    Changed {
        /// The file.
        file: PathBuf,
        /// Its length when it was read, in bytes.
        expected: u64,
        /// Its length now, in bytes.
        found: u64,
    },
    /// A caller's encoder panicked; nothing of its round was written.
    #[error("{}: a record could not be encoded (its encoder panicked)", file.display())]
    Encoder {
        /// The file.
        file: PathBuf,
    },
    /// A thread of the log could not be started.
    #[error("{}: cannot start the log's thread: {answer}", file.display())]
    Thread {
        /// The file.
        file: PathBuf,
        /// The system's answer, which the text has already.
        answer: io::Error,
    },
    /// A compaction is under way already.
    #[error("{}: a compaction is already under way", file.display())]
    CompactionRunning {
        /// The file.
        file: PathBuf,
    },
    /// The compaction was given up because the log was closed.
    #[error("{}: compaction given up because the log is being closed", file.display())]
    CompactionCancelled {
        /// The file.
        file: PathBuf,
    },
    /// The log has been closed.
    #[error("{}: the log is closed", file.display())]
    Closed {
        /// The file.
        file: PathBuf,
    },
}

impl LogError {
    pub(crate) fn io(file: &Path, action: impl Into<String>, source: io::Error) -> LogError {
        LogError::Io {
            file: file.to_path_buf(),
            action: action.into(),
            answer: source,
        }
    }

    /// For callers whose record parsed as a record but makes no sense to them: the file is damaged
    /// there as far as they can tell.
    pub fn damaged(file: &Path, offset: u64, reason: impl Into<String>) -> LogError {
        LogError::Damaged {
            file: file.to_path_buf(),
            offset,
            reason: reason.into(),
        }
    }

    /// The system's error behind this one, if there is one (to tell "no space left" from the rest).
    pub fn io_error(&self) -> Option<&io::Error> {
        match self {
            LogError::Io { answer, .. } | LogError::Thread { answer, .. } => Some(answer),
            _ => None,
        }
    }
}

/// What the system says, in the C library's words: without the number that Rust puts behind them.
pub fn system_words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
