//! A relay between a client and a server that cuts the connection at a moment which the test chooses.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::wait_for;

/// When the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A part of the request has not come to the server.
    InRequest,
    /// The server has answered, and the answer has not come to the client.
    BeforeAnswer,
}

/// What becomes of connections after the cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// They are relayed, and never cut again.
    Relayed,
    /// They are closed at once.
    Closed,
    /// They are relayed, and cut at the same moment.
    CutAgain,
}

/// The relay. Its threads end with their connections, and with the process.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    plan: Arc<Plan>,
}

#[derive(Debug)]
struct Plan {
    server: SocketAddr,
    /// A request with this text is the one.
    text: &'static [u8],
    moment: Moment,
    afterwards: Afterwards,
    cut: AtomicBool,
}

impl Relay {
    /// Listens, and waits for a request with `text`, which is to be near the request's end.
    ///
    /// # Errors
    /// If there is no free port.
    pub fn start(
        server: SocketAddr,
        text: &'static str,
        moment: Moment,
        afterwards: Afterwards,
    ) -> Result<Relay> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let plan = Arc::new(Plan {
            server,
            text: text.as_bytes(),
            moment,
            afterwards,
            cut: AtomicBool::new(false),
        });
        let shared = Arc::clone(&plan);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let closed = shared.afterwards == Afterwards::Closed;
                if shared.cut.load(Ordering::SeqCst) && closed {
                    continue;
                }
                let plan = Arc::clone(&shared);
                // A connection that fails ends, as on a network.
                std::thread::spawn(move || plan.serve(near));
            }
        });
        Ok(Relay { address, plan })
    }

    /// As clients take it for a remote.
    #[must_use]
    pub fn remote(&self) -> String {
        format!("tcp:{}", self.address)
    }

    /// Waits until the connection is cut.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn wait_until_cut(&self) -> Result<()> {
        wait_for("the cut", Duration::from_secs(30), || {
            Ok(self.plan.cut.load(Ordering::SeqCst).then_some(()))
        })
    }
}

impl Plan {
    fn serve(self: Arc<Self>, near: TcpStream) -> Result<()> {
        let far = TcpStream::connect(self.server).context("the server")?;
        // Of this connection: its answers are not passed on any more.
        let deaf = Arc::new(AtomicBool::new(false));
        let back = {
            let (plan, deaf) = (Arc::clone(&self), Arc::clone(&deaf));
            let (from, to) = (far.try_clone()?, near.try_clone()?);
            std::thread::spawn(move || {
                let passed = pass(&from, &to, |_| match deaf.load(Ordering::SeqCst) {
                    true => plan.cuts(),
                    false => true,
                });
                end(&[&from, &to]);
                passed
            })
        };
        let mut seen = Vec::new();
        let there = pass(&near, &far, |piece| {
            if self.cut.load(Ordering::SeqCst) && self.afterwards != Afterwards::CutAgain {
                return true;
            }
            seen.extend_from_slice(piece);
            let length = self.text.len();
            if !seen.windows(length).any(|part| part == self.text) {
                seen.drain(..seen.len().saturating_sub(length));
                return true;
            }
            match self.moment {
                Moment::InRequest => self.cuts(),
                Moment::BeforeAnswer => {
                    deaf.store(true, Ordering::SeqCst);
                    true
                }
            }
        });
        end(&[&near, &far]);
        let back = back.join();
        there.and(back.unwrap_or(Ok(()))).context("a connection")
    }

    /// Notes the cut; nothing is passed on.
    fn cuts(&self) -> bool {
        self.cut.store(true, Ordering::SeqCst);
        false
    }
}

/// Passes pieces on until the connection ends, or one may not be passed on.
fn pass(
    mut from: &TcpStream,
    mut to: &TcpStream,
    mut may: impl FnMut(&[u8]) -> bool,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer)?;
        let piece = &buffer[..length];
        if piece.is_empty() || !may(piece) {
            return Ok(());
        }
        to.write_all(piece)?;
    }
}

fn end(streams: &[&TcpStream]) {
    for stream in streams {
        // It may have ended by itself.
        let _ = stream.shutdown(Shutdown::Both);
    }
}
