//! Bounds and times.

use std::path::PathBuf;
use std::time::Duration;

use ovsdb_tls::Keys;

/// Bounds and times of all connections. The defaults suit a database of up to 2 GiB.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The largest message, and the most memory that all that the members send may take until it is
    /// handled. A snapshot is one message. An index of a message takes another 24 bytes for each
    /// JSON value in it.
    pub max_message: usize,
    /// The same for all callers together that are no members, as far as this one knows.
    pub max_of_strangers: usize,
    /// The largest first message of somebody who calls: who it is is not known yet.
    pub max_first_message: usize,
    /// How long a caller may take for it.
    pub first_message: Duration,
    /// How many callers there may be at once. Then the oldest goes that is no member.
    pub max_accepted: usize,
    /// How many messages may wait for one connection.
    pub max_queued_messages: usize,
    /// How many bytes; a snapshot, whose bytes are shared, does not count.
    pub max_queued_bytes: usize,
    /// After this silence the peer is asked for a sign of life; after as much again the
    /// connection is closed. See [`super::Peers::set_probe`].
    pub probe: Duration,
    /// How long a connection may take to be made.
    pub connect: Duration,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// Where relative paths of `unix:` addresses begin; the working folder if it is empty.
    pub folder: PathBuf,
    /// What connections with `ssl:` addresses are made with: each with those that there are then.
    pub keys: Keys,
    /// The wait before the first new attempt; it doubles from then on.
    pub retry_first: Duration,
    /// The longest wait where nobody answers. A peer that comes back calls by itself, and is
    /// then called back at once.
    pub retry_most: Duration,
    /// The longest wait where somebody answers but one side hangs up.
    pub retry_refused: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_message: 2 << 30,
            max_of_strangers: 256 << 20,
            max_first_message: 64 << 10,
            first_message: Duration::from_secs(10),
            max_accepted: 64,
            max_queued_messages: 4096,
            max_queued_bytes: 64 << 20,
            probe: Duration::from_secs(2),
            connect: Duration::from_secs(1),
            handshake: Duration::from_secs(5),
            folder: PathBuf::new(),
            keys: Keys::none(),
            retry_first: Duration::from_millis(20),
            retry_most: Duration::from_millis(250),
            retry_refused: Duration::from_secs(4),
        }
    }
}
