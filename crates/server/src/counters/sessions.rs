//! How clients come and go.

use ovsdb_counters::Kind;
use ovsdb_tls::HandshakeError;

/// Why a session has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    /// The client has closed it, or its process or machine has ended.
    Client,
    /// This server has: it stops, has another schema, or clients should look for another server.
    Server,
    /// The client has not answered a probe.
    ProbeTimeout,
    /// What the client has said is no JSON-RPC.
    ProtocolError,
    /// A message is too large, or there are too many large ones.
    TooLarge,
    /// The client does not read, and too much waits for it that cannot be put together.
    TooSlow,
    /// The connection has failed in another way.
    IoError,
}

impl Kind for SessionEnd {
    const ALL: &'static [SessionEnd] = &[
        SessionEnd::Client,
        SessionEnd::Server,
        SessionEnd::ProbeTimeout,
        SessionEnd::ProtocolError,
        SessionEnd::TooLarge,
        SessionEnd::TooSlow,
        SessionEnd::IoError,
    ];

    fn place(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        match self {
            SessionEnd::Client => "client",
            SessionEnd::Server => "server",
            SessionEnd::ProbeTimeout => "probe_timeout",
            SessionEnd::ProtocolError => "protocol_error",
            SessionEnd::TooLarge => "too_large",
            SessionEnd::TooSlow => "too_slow",
            SessionEnd::IoError => "io_error",
        }
    }
}

/// Why a client was not let in, while TLS is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedAway {
    /// It says nothing.
    Silent,
    /// It comes without TLS, which is not allowed.
    Plaintext,
    /// It shows no certificate, or one that is not taken.
    Certificate,
    /// It refuses this server's certificate or settings.
    Alert,
    /// Its handshake takes too long.
    TimedOut,
    /// It has gone, or something else was wrong with its handshake.
    Handshake,
}

impl TurnedAway {
    /// By what was wrong with a handshake.
    pub(crate) fn of(error: &HandshakeError) -> TurnedAway {
        match error {
            HandshakeError::NoCertificate | HandshakeError::Refused(_) => TurnedAway::Certificate,
            HandshakeError::Alert(_) => TurnedAway::Alert,
            HandshakeError::TimedOut(_) => TurnedAway::TimedOut,
            HandshakeError::NotTls
            | HandshakeError::Closed
            | HandshakeError::Bootstrapped
            | HandshakeError::NotBootstrapped(_)
            | HandshakeError::Other(_) => TurnedAway::Handshake,
        }
    }
}

impl Kind for TurnedAway {
    const ALL: &'static [TurnedAway] = &[
        TurnedAway::Silent,
        TurnedAway::Plaintext,
        TurnedAway::Certificate,
        TurnedAway::Alert,
        TurnedAway::TimedOut,
        TurnedAway::Handshake,
    ];

    fn place(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        match self {
            TurnedAway::Silent => "silent",
            TurnedAway::Plaintext => "plaintext",
            TurnedAway::Certificate => "certificate",
            TurnedAway::Alert => "alert",
            TurnedAway::TimedOut => "timed_out",
            TurnedAway::Handshake => "handshake",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_stands_at_its_place() {
        for (place, end) in SessionEnd::ALL.iter().enumerate() {
            assert_eq!(end.place(), place);
        }
        for (place, why) in TurnedAway::ALL.iter().enumerate() {
            assert_eq!(why.place(), place);
        }
    }
}
