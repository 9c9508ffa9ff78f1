//! The names of passive remotes (ovsdb(7), "Connection Methods"): where a server listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The port of `pssl:`, as text.
const DEFAULT_TLS_PORT: &str = "6640";

/// A place to listen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// `ptcp:PORT[:ADDRESS]`. Without an address it is every IPv4 one; `[::]` stands for both
    /// families. Port 0 lets the system choose.
    Tcp(SocketAddr),
    /// `pssl:PORT[:ADDRESS]`, where clients must speak TLS. The port is 6640 unless it is given.
    Tls(SocketAddr),
    /// `punix:PATH`. A relative path is for the caller to resolve (the reference: against the run
    /// folder).
    Unix(PathBuf),
}

/// Why a text is not a passive remote that this server knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// Another connection method, or none.
    #[error("{0}: unknown connection method")]
    Method(String),
    /// `ptcp:` without a port.
    #[error("{0}: port must be specified")]
    NoPort(String),
    /// Not a number from 0 to 65535.
    #[error("{remote}: bad port number \"{port}\"")]
    Port {
        /// The whole remote.
        remote: String,
        /// What should be its port.
        port: String,
    },
    /// Not an address; names are not looked up.
    #[error("{remote}: bad IP address \"{address}\"")]
    Address {
        /// The whole remote.
        remote: String,
        /// What should be its address.
        address: String,
    },
    /// `punix:` without a path.
    #[error("{0}: path must be specified")]
    NoPath(String),
}

impl std::str::FromStr for Remote {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Remote, RemoteError> {
        if let Some(path) = text.strip_prefix("punix:") {
            if path.is_empty() {
                return Err(RemoteError::NoPath(text.to_owned()));
            }
            return Ok(Remote::Unix(PathBuf::from(path)));
        }
        let (rest, make): (_, fn(SocketAddr) -> Remote) = match text.split_once(':') {
            Some(("ptcp", rest)) => (rest, Remote::Tcp),
            Some(("pssl", rest)) => (rest, Remote::Tls),
            _ => return Err(RemoteError::Method(text.to_owned())),
        };
        let (port, address) = rest.split_once(':').unwrap_or((rest, ""));
        let port = match port {
            "" if text.starts_with("pssl:") => DEFAULT_TLS_PORT,
            "" => return Err(RemoteError::NoPort(text.to_owned())),
            port => port,
        };
        let port: u16 = port.parse().map_err(|_| RemoteError::Port {
            remote: text.to_owned(),
            port: port.to_owned(),
        })?;
        if address.is_empty() {
            return Ok(make(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))));
        }
        parse_address(address, port)
            .map(make)
            .ok_or_else(|| RemoteError::Address {
                remote: text.to_owned(),
                address: address.to_owned(),
            })
    }
}

/// An IPv4 address, or an IPv6 one, bare or in brackets; the latter also with a numeric scope.
fn parse_address(text: &str, port: u16) -> Option<SocketAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, port));
    }
    format!("[{bare}]:{port}").parse().ok()
}

impl std::fmt::Display for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Remote::Tcp(address) => write_address(f, "ptcp", address),
            Remote::Tls(address) => write_address(f, "pssl", address),
            Remote::Unix(path) => write!(f, "punix:{}", path.display()),
        }
    }
}

fn write_address(
    f: &mut std::fmt::Formatter<'_>,
    method: &str,
    address: &SocketAddr,
) -> std::fmt::Result {
    match address {
        SocketAddr::V4(a) => write!(f, "{method}:{}:{}", a.port(), a.ip()),
        SocketAddr::V6(a) => write!(f, "{method}:{}:[{}]", a.port(), a.ip()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes_are_parsed_and_printed() {
        for (text, printed) in [
            ("ptcp:6640", "ptcp:6640:0.0.0.0"),
            ("ptcp:0:127.0.0.1", "ptcp:0:127.0.0.1"),
            ("ptcp:6640:[::]", "ptcp:6640:[::]"),
            ("ptcp:6640:::1", "ptcp:6640:[::1]"),
            ("ptcp:6640:[fe80::1%3]", "ptcp:6640:[fe80::1]"),
            ("pssl:", "pssl:6640:0.0.0.0"),
            ("pssl:0:127.0.0.1", "pssl:0:127.0.0.1"),
            ("punix:/run/a:b.sock", "punix:/run/a:b.sock"),
        ] {
            let remote: Remote = text.parse().expect(text);
            assert_eq!(remote.to_string(), printed);
        }
    }

    #[test]
    fn wrong_ones_are_named() {
        for (text, error) in [
            ("tcp:1.2.3.4:1", "tcp:1.2.3.4:1: unknown connection method"),
            ("ptcp:", "ptcp:: port must be specified"),
            ("ptcp:65536", "ptcp:65536: bad port number \"65536\""),
            (
                "ptcp:1:nowhere",
                "ptcp:1:nowhere: bad IP address \"nowhere\"",
            ),
            ("punix:", "punix:: path must be specified"),
        ] {
            assert_eq!(text.parse::<Remote>().expect_err(text).to_string(), error);
        }
    }
}
