//! How a session ends.

use std::io;

use crate::counters::SessionEnd;

/// Why a session ends.
pub(super) enum Ending {
    /// The client or the server wants it so.
    Closed(SessionEnd),
    /// Something is wrong; the words are for the log.
    Because(SessionEnd, String),
}

impl Ending {
    /// For counters.
    pub(super) fn kind(&self) -> SessionEnd {
        match self {
            Ending::Closed(end) | Ending::Because(end, _) => *end,
        }
    }
}

impl From<io::Error> for Ending {
    fn from(error: io::Error) -> Ending {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                Ending::Closed(SessionEnd::Client)
            }
            _ => Ending::Because(SessionEnd::IoError, error.to_string()),
        }
    }
}
