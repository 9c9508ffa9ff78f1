//! Where clients by TCP come in while TLS is on: one port for TLS and plain connections, which the
//! first byte tells apart. It is 22 for TLS (RFC 8446 section 5.1, `handshake`), and no JSON begins so.
//!
//! Who comes in has a task of its own for it ([`ovsdb_tls::Coming`]), and a deadline.

use std::sync::Arc;
use std::time::Duration;

use ovsdb_tls::Keys;
use tokio::net::TcpStream;
use tracing::Span;

use crate::counters::{ServiceCounters, TurnedAway};
use crate::stream::{Connection, Stream};
use crate::visits::Visits;

/// The first byte of a TLS connection.
const HANDSHAKE: u8 = 22;
/// How long a client may take for its first byte.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// How long its handshake may take then.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many may be coming in at once by one listener.
pub(crate) const MAX_COMING: usize = 512;

/// What happens to connections without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plaintext {
    /// They are let in.
    Allow,
    /// They are closed.
    Refuse,
}

/// The rules for who comes in.
#[derive(Debug)]
pub struct Entrance {
    keys: Keys,
    plaintext: Plaintext,
    /// Which of those that are let in without TLS have lines, by host.
    plain: Visits,
    /// And which of those that are not let in.
    refused: Visits,
    /// What the lines are in.
    span: Span,
}

impl Entrance {
    /// An entrance with these keys. What it has to say is in the present [`Span`].
    pub fn new(keys: Keys, plaintext: Plaintext) -> Entrance {
        Entrance {
            keys,
            plaintext,
            plain: Visits::default(),
            refused: Visits::default(),
            span: Span::current(),
        }
    }

    /// What happens to connections without TLS.
    pub fn plaintext(&self) -> Plaintext {
        self.plaintext
    }

    /// Lets a client in; none if it was refused, and the log says so.
    pub(crate) async fn admit(
        self: Arc<Self>,
        connection: Connection,
        counters: Arc<ServiceCounters>,
    ) -> Option<Connection> {
        match self.admit_or_not(connection).await {
            Ok(connection) => Some(connection),
            Err(why) => {
                if let Some(why) = why {
                    counters.turned_away.count(why);
                }
                None
            }
        }
    }

    /// The reason is none for who has gone by itself, as somebody does who only looks whether the
    /// port is open.
    async fn admit_or_not(&self, connection: Connection) -> Result<Connection, Option<TurnedAway>> {
        let Connection { stream, peer } = connection;
        let Stream::Tcp(socket) = stream else {
            return Ok(Connection { stream, peer });
        };
        let first = tokio::time::timeout(FIRST_BYTE, first_byte(&socket)).await;
        match first {
            Err(_) => {
                self.say(&self.refused, &peer, || {
                    tracing::info!("{peer}: says nothing: connection closed")
                });
                Err(Some(TurnedAway::Silent))
            }
            Ok(None) => Err(None),
            Ok(Some(HANDSHAKE)) => Ok(self.shake_hands(socket, peer).await?),
            Ok(Some(_)) => Ok(self.admit_plain(socket, peer)?),
        }
    }

    async fn shake_hands(&self, socket: TcpStream, peer: String) -> Result<Connection, TurnedAway> {
        let peer = peer.replacen("tcp:", "ssl:", 1);
        let Some(tls) = self.keys.current() else {
            self.say(&self.refused, &peer, || {
                tracing::error!("{peer}: refused: private key must be configured to use SSL/TLS");
            });
            return Err(TurnedAway::Handshake);
        };
        match tls.accept(socket, PATIENCE).await {
            Ok(stream) => {
                let stream = Stream::Tls(Box::new(stream.into()));
                Ok(Connection { stream, peer })
            }
            Err(error) => {
                self.say(&self.refused, &peer, || {
                    tracing::warn!("{peer}: refused: {error}")
                });
                Err(TurnedAway::of(&error))
            }
        }
    }

    fn admit_plain(&self, socket: TcpStream, peer: String) -> Result<Connection, TurnedAway> {
        match self.plaintext {
            Plaintext::Allow => {
                self.say(&self.plain, &peer, || {
                    tracing::info!("{peer}: connects without TLS")
                });
                let stream = Stream::Tcp(socket);
                Ok(Connection { stream, peer })
            }
            Plaintext::Refuse => {
                self.say(&self.refused, &peer, || {
                    tracing::warn!(
                        "{peer}: refused: it connects without TLS, which is not allowed"
                    );
                });
                Err(TurnedAway::Plaintext)
            }
        }
    }

    fn say(&self, limit: &Visits, peer: &str, line: impl FnOnce()) {
        let Some(left_out) = limit.begin(peer) else {
            return;
        };
        let _span = self.span.enter();
        if left_out > 0 {
            tracing::info!("{left_out} lines like the next one were left out here");
        }
        line();
    }
}

async fn first_byte(socket: &TcpStream) -> Option<u8> {
    let mut byte = [0];
    match socket.peek(&mut byte).await {
        Ok(1..) => Some(byte[0]),
        Ok(0) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_comes_all_the_time_hides_no_other() {
        let entrance = Entrance::new(Keys::none(), Plaintext::Allow);
        let told = |host: &str, times: u32| {
            let mut told = 0;
            for port in 0..times {
                let peer = format!("tcp:{host}:{port}");
                entrance.say(&entrance.plain, &peer, || told += 1);
            }
            told
        };
        // One more for a minute that this may take.
        assert!((10..12).contains(&told("10.0.0.1", 1000)));
        for host in ["10.0.0.2", "10.0.0.3", "[fd00::1]"] {
            assert_eq!(told(host, 1), 1, "{host}");
        }
        assert_eq!(told("10.0.0.2", 1), 1, "a second time is no flood");
    }
}
