//! Slow links: a relay of TCP between nodes that hands on every piece late,
//! and some of them very late, as a link does that loses packets.
//!
//! It is a program of its own (`slow-links`), as it has to run in the network
//! namespace of the router, which delivers to it what nodes send each other.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use socket2::{Domain, Socket, Type};

use crate::cluster::guard;
use crate::process::{built, require};

/// How slow one direction of a link is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// What every piece takes.
    pub delay: Duration,
    /// What it takes more, at most.
    pub jitter: Duration,
    /// Of a thousand pieces, so many take [`Pace::stall`] more.
    pub stalls: u32,
    /// As a packet does that is lost and sent again. What is behind it waits,
    /// as TCP keeps the order.
    pub stall: Duration,
}

/// A pace for one direction, one line of text for the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Who sends.
    pub from: Ipv4Addr,
    /// Who receives.
    pub to: Ipv4Addr,
    /// How slow it is.
    pub pace: Pace,
}

impl Order {
    fn line(&self) -> String {
        let Pace {
            delay,
            jitter,
            stalls,
            stall,
        } = self.pace;
        let [delay, jitter, stall] = [delay, jitter, stall].map(|time| time.as_micros());
        format!(
            "{} {} {delay} {jitter} {stalls} {stall}\n",
            self.from, self.to
        )
    }

    fn parse(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [from, to, delay, jitter, stalls, stall] = words[..] else {
            anyhow::bail!("not an order: {line:?}");
        };
        let time = |word: &str| -> Result<Duration> { Ok(Duration::from_micros(word.parse()?)) };
        Ok(Self {
            from: from.parse()?,
            to: to.parse()?,
            pace: Pace {
                delay: time(delay)?,
                jitter: time(jitter)?,
                stalls: stalls.parse()?,
                stall: time(stall)?,
            },
        })
    }
}

/// The relay as seen by the harness.
#[derive(Debug)]
pub struct SlowLinks {
    child: Child,
}

impl SlowLinks {
    /// Starts it at the place that `within` enters, for connections to `ports`.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(within: Vec<OsString>, ports: &[u16]) -> Result<Self> {
        let mut line = within;
        line.extend(guard::leash());
        line.push(built("slow-links")?.into());
        line.extend(ports.iter().map(|port| port.to_string().into()));
        let mut command = Command::new(require(&line.remove(0).to_string_lossy(), "util-linux")?);
        command
            .args(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = guard::spawn(command)?;
        let mut listening = [0];
        let stdout = child.stdout.as_mut().context("no output")?;
        let read = stdout.read_exact(&mut listening);
        let relay = Self { child };
        read.context("the relay does not listen")?;
        Ok(relay)
    }

    /// Sets the pace of one direction.
    ///
    /// # Errors
    /// If the relay is gone.
    pub fn tell(&self, order: &Order) -> Result<()> {
        let mut stdin = self.child.stdin.as_ref().context("no input")?;
        Ok(stdin.write_all(order.line().as_bytes())?)
    }
}

impl Drop for SlowLinks {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Who sends and who receives.
type Direction = (IpAddr, IpAddr);

/// The pace of each direction that has one.
#[derive(Debug, Default)]
struct Paces(Mutex<BTreeMap<Direction, Pace>>);

impl Paces {
    fn get(&self, direction: Direction) -> Pace {
        let paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        paces.get(&direction).copied().unwrap_or_default()
    }

    fn set(&self, order: &Order) {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        paces.insert((order.from.into(), order.to.into()), order.pace);
    }
}

/// What the program does: relays connections to `ports` of any address that
/// this machine is made to take for its own, and takes orders on standard
/// input until that ends.
///
/// # Errors
/// If it cannot listen, or an order is not one.
pub fn relay(ports: &[u16]) -> Result<()> {
    let paces = Arc::new(Paces::default());
    for port in ports {
        let listener = transparent(*port)?;
        let paces = Arc::clone(&paces);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let paces = Arc::clone(&paces);
                // A connection that fails ends, as on a network.
                std::thread::spawn(move || serve(near, &paces));
            }
        });
    }
    println!();
    for line in std::io::stdin().lock().lines() {
        paces.set(&Order::parse(&line?)?);
    }
    Ok(())
}

/// A listener that also gets connections to addresses that are not its own.
fn transparent(port: u16) -> Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_ip_transparent_v4(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    socket.listen(64)?;
    Ok(socket.into())
}

fn serve(near: TcpStream, paces: &Arc<Paces>) -> Result<()> {
    let (source, target) = (near.peer_addr()?, near.local_addr()?);
    let far = TcpStream::connect(target)?;
    for stream in [&near, &far] {
        stream.set_nodelay(true)?;
    }
    let direction = (source.ip(), target.ip());
    let back = (direction.1, direction.0);
    let ways = [
        (near.try_clone()?, far.try_clone()?, direction),
        (far, near, back),
    ];
    for (from, to, direction) in ways {
        let (sender, receiver) = sync_channel(PIECES);
        let paces = Arc::clone(paces);
        std::thread::spawn(move || read(from, &sender, || paces.get(direction)));
        std::thread::spawn(move || write(to, receiver));
    }
    Ok(())
}

/// Pieces on their way in one direction; then the sender has to wait.
const PIECES: usize = 1024;

/// A piece, and when it is due; an empty one is the end.
type Piece = (Instant, Vec<u8>);

fn read(mut from: TcpStream, sender: &SyncSender<Piece>, pace: impl Fn() -> Pace) {
    let mut random = fastrand::Rng::new();
    let mut last = Instant::now();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut chunk).unwrap_or(0);
        let pace = pace();
        let mut late = pace.delay + pace.jitter.mul_f64(random.f64());
        if random.u32(..1000) < pace.stalls {
            late += pace.stall;
        }
        last = last.max(Instant::now() + late);
        if sender.send((last, chunk[..length].to_vec())).is_err() || length == 0 {
            return;
        }
    }
}

fn write(mut to: TcpStream, pieces: Receiver<Piece>) {
    for (due, piece) in pieces {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if piece.is_empty() || to.write_all(&piece).is_err() {
            break;
        }
    }
    // The reader of the other direction finds out by this as well.
    let _ = to.shutdown(Shutdown::Both);
}

/// The ports of the command line.
///
/// # Errors
/// If there is none, or one is not a port.
pub fn ports(arguments: impl Iterator<Item = String>) -> Result<Vec<u16>> {
    let ports = arguments.map(|word| word.parse().with_context(|| format!("{word:?}: a port?")));
    let ports: Vec<u16> = ports.collect::<Result<_>>()?;
    ensure!(!ports.is_empty(), "slow-links PORT...");
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_they_were_written() -> Result<()> {
        let order = Order {
            from: Ipv4Addr::new(10, 77, 1, 1),
            to: Ipv4Addr::new(10, 77, 2, 1),
            pace: Pace {
                delay: Duration::from_millis(20),
                jitter: Duration::from_micros(1500),
                stalls: 10,
                stall: Duration::from_secs(1),
            },
        };
        assert_eq!(Order::parse(&order.line())?, order);
        assert!(Order::parse("10.77.1.1 10.77.2.1 1 2 3").is_err());
        Ok(())
    }

    /// A chain of two real sockets with the reader and the writer between.
    #[test]
    fn pieces_come_late_and_whole() -> Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut source = TcpStream::connect(listener.local_addr()?)?;
        let (near, _) = listener.accept()?;
        let far = TcpStream::connect(listener.local_addr()?)?;
        let (mut sink, _) = listener.accept()?;
        let late = Duration::from_millis(80);
        let (sender, receiver) = sync_channel(PIECES);
        std::thread::spawn(move || {
            read(near, &sender, || Pace {
                delay: late,
                ..Pace::default()
            });
        });
        std::thread::spawn(move || write(far, receiver));
        let start = Instant::now();
        source.write_all(b"one")?;
        let mut first = [0; 3];
        sink.read_exact(&mut first)?;
        assert!(start.elapsed() >= late && &first == b"one");
        source.write_all(b" two")?;
        source.shutdown(Shutdown::Write)?;
        let mut rest = Vec::new();
        sink.read_to_end(&mut rest)?;
        assert_eq!(rest, b" two");
        Ok(())
    }
}
