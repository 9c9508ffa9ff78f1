//! The system's log: datagrams to a Unix or a UDP socket, which nobody waits for.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ovsdb_server::log_control::Facility;
use rustix::io::Errno;

use super::pattern::{self, Facts};

/// Where the C library sends messages to.
const SYSTEM: &str = "/dev/log";
/// A log that is not there, or will not listen, is tried again after that.
const RETRY: Duration = Duration::from_secs(1);
/// The port of a system's log.
const PORT: u16 = 514;
/// What a target beside the system's log gets (RFC 5424).
pub(super) const TARGET: &str = "<%B>1 %D{%Y-%m-%dT%H:%M:%S.###Z} %E %A %P %c - \u{feff}%m";

/// How messages get to the system's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Method {
    /// Nothing is sent.
    Null,
    /// As the C library's `syslog` does.
    Libc,
    /// To a Unix socket, as the pattern says.
    Unix(PathBuf),
    /// To an address, as the pattern says.
    Udp(SocketAddr),
    /// To nowhere, as the address is none.
    Lost(String),
}

impl Method {
    /// The text of `--syslog-method`.
    ///
    /// # Errors
    /// The reference's words.
    pub(super) fn parse(text: &str) -> Result<Method, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Method::Unix(path.into()));
        }
        if let Some(address) = text.strip_prefix("udp:") {
            let address = parse_address(address, Some(PORT));
            return Ok(address.map_or_else(Method::Lost, Method::Udp));
        }
        match text {
            "null" => Ok(Method::Null),
            "libc" => Ok(Method::Libc),
            _ => Err(format!("unsupported syslog method '{text}'")),
        }
    }

    /// What every message begins with, as `vlog/list-pattern` says it.
    pub(super) fn prefix(&self) -> &'static str {
        match self {
            Method::Null => "",
            Method::Libc => "<%B> %D{%h %e %T} %E %A:",
            Method::Unix(_) | Method::Udp(_) | Method::Lost(_) => "<%B>",
        }
    }

    /// One message, as it is sent.
    pub(super) fn message(&self, facts: &Facts<'_>, text: &str) -> String {
        let facility = facts.facility.unwrap_or(Facility::DAEMON);
        let priority = facility.priority(facts.level);
        match self {
            Method::Libc => {
                let time = pattern::time(facts.now, false, "%b %e %H:%M:%S");
                format!("<{priority}>{time} {}: {text}", facts.program)
            }
            _ => format!("<{priority}>{text}"),
        }
    }

    /// Where it sends to, if anywhere.
    pub(super) fn place(&self) -> Option<Place> {
        match self {
            Method::Null | Method::Lost(_) => None,
            Method::Libc => Some(Place::Unix(SYSTEM.into())),
            Method::Unix(path) => Some(Place::Unix(path.clone())),
            Method::Udp(address) => Some(Place::Udp(*address)),
        }
    }
}

/// `HOST:PORT`; a host is an address, one of IPv6 in brackets.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse_address(text: &str, port: Option<u16>) -> Result<SocketAddr, String> {
    let complete = match port {
        Some(port) => text.parse().or_else(|_| format!("{text}:{port}").parse()),
        None => text.parse(),
    };
    complete.map_err(|_| format!("{text}: bad IP address or port"))
}

/// Where datagrams go.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Unix(PathBuf),
    Udp(SocketAddr),
}

#[derive(Debug)]
enum Socket {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

/// A socket that takes messages, or drops them.
#[derive(Debug)]
pub(super) struct Sender {
    place: Place,
    socket: Option<Socket>,
    /// It is not opened before that.
    rest: Option<Instant>,
    /// The longest message that it takes, as far as is known.
    longest: usize,
}

impl Sender {
    pub(super) fn new(place: Place) -> Sender {
        Sender {
            place,
            socket: None,
            rest: None,
            longest: usize::MAX,
        }
    }

    /// Sends a message, or what fits of it. Who does not listen, or not fast enough, misses it.
    pub(super) fn send(&mut self, message: &str) {
        let mut length = message.len().min(self.longest);
        let Some(socket) = self.open() else {
            return;
        };
        let result = loop {
            match socket.send(&message.as_bytes()[..length]) {
                Err(error) if is_too_long(&error) && length >= 20 => {
                    length -= length / 20;
                }
                result => break result,
            }
        };
        if length < message.len() {
            self.longest = length;
        }
        match result {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Whoever listens may have begun anew, at a socket of the same name.
            Err(_) => self.fail(),
        }
    }

    fn open(&mut self) -> Option<&Socket> {
        if self.socket.is_none() && self.rest.is_none_or(|rest| rest <= Instant::now()) {
            match Socket::open(&self.place) {
                Ok(socket) => self.socket = Some(socket),
                Err(_) => self.fail(),
            }
        }
        self.socket.as_ref()
    }

    fn fail(&mut self) {
        self.socket = None;
        self.rest = Some(Instant::now() + RETRY);
    }
}

impl Socket {
    fn open(place: &Place) -> io::Result<Socket> {
        match place {
            Place::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                socket.connect(path)?;
                Ok(Socket::Unix(socket))
            }
            Place::Udp(address) => {
                let any = match address {
                    SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                    SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                };
                let socket = UdpSocket::bind((any, 0))?;
                socket.set_nonblocking(true)?;
                socket.connect(address)?;
                Ok(Socket::Udp(socket))
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Socket::Unix(socket) => socket.send(bytes)?,
            Socket::Udp(socket) => socket.send(bytes)?,
        };
        Ok(())
    }
}

fn is_too_long(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::MSGSIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_those_of_the_reference() {
        let udp = |text: &str| Method::Udp(text.parse().expect("an address"));
        for (text, method) in [
            ("null", Method::Null),
            ("libc", Method::Libc),
            ("unix:/a:b", Method::Unix("/a:b".into())),
            ("udp:127.0.0.1:99", udp("127.0.0.1:99")),
            ("udp:127.0.0.1", udp("127.0.0.1:514")),
            ("udp:[::1]", udp("[::1]:514")),
            (
                "udp:x",
                Method::Lost("x: bad IP address or port".to_owned()),
            ),
        ] {
            assert_eq!(Method::parse(text), Ok(method), "{text}");
        }
        let wrong = Method::parse("tcp:1");
        assert_eq!(wrong, Err("unsupported syslog method 'tcp:1'".to_owned()));
    }

    #[test]
    fn who_listens_gets_what_fits_and_nobody_waits() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("log");
        let mut sender = Sender::new(Place::Unix(path.clone()));
        // Nobody is there yet, and after a moment somebody is.
        sender.send("lost");
        let listener = UnixDatagram::bind(&path)?;
        listener.set_read_timeout(Some(Duration::from_secs(10)))?;
        sender.rest = None;
        sender.send("heard");
        let mut bytes = vec![0; 1 << 24];
        let length = listener.recv(&mut bytes)?;
        assert_eq!(&bytes[..length], b"heard");
        sender.send(&"x".repeat(1 << 23));
        let length = listener.recv(&mut bytes)?;
        assert!((1000..1 << 23).contains(&length), "{length}");
        // A listener that reads nothing stops nobody.
        for _ in 0..100_000 {
            sender.send("dropped");
        }
        Ok(())
    }
}
