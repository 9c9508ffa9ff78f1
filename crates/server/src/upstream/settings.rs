//! What can be set of the connection with another server.

use std::time::Duration;

use ovsdb_tls::Keys;

use super::Remotes;

/// The longest wait between attempts, unless it is said otherwise.
const MAX_BACKOFF: Duration = Duration::from_secs(8);
/// The silence after which the other server is probed, unless it is said otherwise.
const PROBE: Duration = Duration::from_secs(60);
/// The most memory that a message with a whole database may take while it comes in, in bytes.
const MAX_MESSAGE: usize = 2 << 30;

/// How another server is reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where.
    pub remotes: Remotes,
    /// The longest wait between attempts; at least a second.
    pub max_backoff: Duration,
    /// The silence after which the other server is probed; `None` never. Unix sockets are not.
    pub probe: Option<Duration>,
    /// What connections with `ssl:` remotes are made with.
    pub keys: Keys,
    /// The most memory that an unfinished message may take, in bytes: its text and an index of its
    /// values.
    pub max_message: usize,
}

impl Settings {
    /// The defaults, for these remotes.
    pub fn new(remotes: Remotes) -> Settings {
        Settings {
            remotes,
            max_backoff: MAX_BACKOFF,
            probe: Some(PROBE),
            keys: Keys::none(),
            max_message: MAX_MESSAGE,
        }
    }
}
