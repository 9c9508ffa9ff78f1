//! A member's address, `tcp:HOST:PORT`, in a form that can be compared: scripts of different age
//! write `tcp:10.0.0.1:6647` and `tcp:[10.0.0.1]:6647` for one and the same.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// How an address is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Plain TCP.
    Tcp,
    /// TLS over TCP.
    Ssl,
    /// A Unix socket.
    Unix,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Scheme::Tcp => "tcp",
            Scheme::Ssl => "ssl",
            Scheme::Unix => "unix",
        }
    }
}

/// An address of a member. Equal ones are the same place, however they were written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// How it is reached.
    pub scheme: Scheme,
    /// An IP address without brackets, a name in lower case, or a Unix socket's path.
    pub host: String,
    /// The port; 0 for a Unix socket.
    pub port: u16,
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Another connection method, or none.
    #[error("{0}: expected \"tcp\" or \"ssl\" address")]
    Method(String),
    /// Not `HOST:PORT`.
    #[error("{0}: syntax error in address")]
    Syntax(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let (scheme, rest) = match text.split_once(':') {
            Some(("tcp", rest)) => (Scheme::Tcp, rest),
            Some(("ssl", rest)) => (Scheme::Ssl, rest),
            Some(("unix", path)) => {
                return Ok(Address {
                    scheme: Scheme::Unix,
                    host: path.to_owned(),
                    port: 0,
                });
            }
            _ => return Err(AddressError::Method(text.to_owned())),
        };
        let (host, port) =
            host_and_port(rest).ok_or_else(|| AddressError::Syntax(text.to_owned()))?;
        Ok(Address { scheme, host, port })
    }
}

/// Splits `HOST:PORT`. An IPv6 address must be in brackets, any other host may be.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:")?,
        None => text.split_once(':')?,
    };
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let port = digits.then(|| port.parse().ok())??;
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || "[]/,".contains(c)) {
        return None;
    }
    let host = match host.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => host.to_ascii_lowercase(),
    };
    Some((host, port))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme.name();
        match self.scheme {
            Scheme::Unix => write!(f, "{scheme}:{}", self.host),
            _ if self.host.contains(':') => write!(f, "{scheme}:[{}]:{}", self.host, self.port),
            _ => write!(f, "{scheme}:{}:{}", self.host, self.port),
        }
    }
}

/// True if two texts name the same place; texts that are no addresses are compared as they are.
pub fn same(a: &str, b: &str) -> bool {
    a == b || matches!((a.parse::<Address>(), b.parse::<Address>()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_has_one_form() {
        for (text, printed) in [
            ("tcp:10.0.0.1:6647", "tcp:10.0.0.1:6647"),
            ("tcp:[10.0.0.1]:6647", "tcp:10.0.0.1:6647"),
            ("ssl:[FE80:0::1]:6647", "ssl:[fe80::1]:6647"),
            ("tcp:Node-1.example:6647", "tcp:node-1.example:6647"),
            ("unix:/run/1.raft", "unix:/run/1.raft"),
        ] {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), printed);
        }
        assert!(same("tcp:10.0.0.1:6647", "tcp:[10.0.0.1]:6647"));
        assert!(!same("tcp:10.0.0.1:6647", "tcp:10.0.0.1:6648"));
        assert!(!same("tcp:10.0.0.1:6647", "ssl:10.0.0.1:6647"));
        assert!(same("what", "what"));
        assert!(!same("what", "ever"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "10.0.0.1:6647",
            "ptcp:6647",
            "tcp:10.0.0.1",
            "tcp:fe80::1:6647",
            "tcp:[fe80::1]",
            "tcp::6647",
            "tcp:h:99999",
            "tcp:h:+1",
            "tcp:a b:1",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
