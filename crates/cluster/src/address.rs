//! Where a member listens for the other members: `tcp:IP:PORT`, `ssl:IP:PORT` (ovsdb-tool(1)).
//!
//! Files and messages keep an address as the text that somebody once gave; the same address can be
//! written in several ways (`tcp:IP:PORT`, `tcp:[IP]:PORT`), so addresses are compared parsed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// How members talk to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Plain TCP.
    Tcp,
    /// TLS.
    Ssl,
}

/// The host part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, perhaps with the interface that it is on.
    V6(Ipv6Addr, Option<String>),
    /// A name, in lower case.
    Name(String),
}

/// A member's address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// On a network.
    Network {
        /// TCP or TLS.
        transport: Transport,
        /// The host.
        host: Host,
        /// The port.
        port: u16,
    },
    /// A socket's file on this machine, as the reference's own tests have it.
    Unix(String),
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither `tcp:` nor `ssl:`.
    #[error("{0}: expected \"tcp\" or \"ssl\" address")]
    Transport(String),
    /// No such host and port.
    #[error("{0}: syntax error in address")]
    Syntax(String),
}

impl Address {
    /// The IP address and port to listen on or connect to, unless it is a name, which somebody would have to look up.
    pub fn ip_and_port(&self) -> Option<(IpAddr, u16)> {
        match self {
            Address::Network {
                host: Host::V4(ip),
                port,
                ..
            } => Some(((*ip).into(), *port)),
            Address::Network {
                host: Host::V6(ip, _),
                port,
                ..
            } => Some(((*ip).into(), *port)),
            _ => None,
        }
    }
}

impl Host {
    /// The host without brackets, as a resolver takes it.
    pub fn to_resolve(&self) -> String {
        match self {
            Host::V4(ip) => ip.to_string(),
            Host::V6(ip, None) => ip.to_string(),
            Host::V6(ip, Some(scope)) => format!("{ip}%{scope}"),
            Host::Name(name) => name.clone(),
        }
    }
}

/// Whether two texts are the same address. Texts that are none are compared as they are.
pub fn same_address(a: &str, b: &str) -> bool {
    a == b || matches!((a.parse::<Address>(), b.parse::<Address>()), (Ok(a), Ok(b)) if a == b)
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let transport = match text.split_once(':') {
            Some(("unix", path)) => return Ok(Address::Unix(path.to_owned())),
            Some(("tcp", _)) => Transport::Tcp,
            Some(("ssl", _)) => Transport::Ssl,
            _ => return Err(AddressError::Transport(text.to_owned())),
        };
        let (host, port) =
            host_and_port(&text[4..]).ok_or_else(|| AddressError::Syntax(text.to_owned()))?;
        Ok(Address::Network {
            transport,
            host,
            port,
        })
    }
}

fn host_and_port(text: &str) -> Option<(Host, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let bracketed = host
        .strip_prefix('[')
        .and_then(|inside| inside.strip_suffix(']'));
    let host = match bracketed {
        Some(inside) => inside,
        // Which of several colons is the port's could not be told without brackets.
        None if host.contains(':') => return None,
        None => host,
    };
    if host.is_empty() || !host.bytes().all(|b| b.is_ascii_graphic()) || host.contains(['[', ']']) {
        return None;
    }
    if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let port = port.parse().ok()?;
    let host = if host.contains(':') {
        let (ip, scope) = match host.split_once('%') {
            Some((ip, scope)) => (ip, Some(scope.to_owned()).filter(|scope| !scope.is_empty())),
            None => (host, None),
        };
        Host::V6(ip.parse().ok()?, scope)
    } else {
        host.parse()
            .map_or_else(|_| Host::Name(host.to_ascii_lowercase()), Host::V4)
    };
    Some((host, port))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (transport, host, port) = match self {
            Address::Unix(path) => return write!(f, "unix:{path}"),
            Address::Network {
                transport,
                host,
                port,
            } => (transport, host, port),
        };
        f.write_str(match transport {
            Transport::Tcp => "tcp:",
            Transport::Ssl => "ssl:",
        })?;
        match host {
            Host::V4(ip) => write!(f, "{ip}"),
            Host::V6(ip, None) => write!(f, "[{ip}]"),
            Host::V6(ip, Some(scope)) => write!(f, "[{ip}%{scope}]"),
            Host::Name(name) => f.write_str(name),
        }?;
        write!(f, ":{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_same_address_in_different_words() {
        for (a, b) in [
            ("tcp:10.0.0.1:6647", "tcp:[10.0.0.1]:6647"),
            ("ssl:[fe80::1]:6648", "ssl:[FE80:0::0001]:6648"),
            ("tcp:[fe80::1%eth0]:1", "tcp:[fe80:0:0:0:0:0:0:1%eth0]:1"),
            ("tcp:Node-1:6647", "tcp:node-1:6647"),
            ("what", "what"),
        ] {
            assert!(same_address(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("tcp:10.0.0.1:6647", "ssl:10.0.0.1:6647"),
            ("tcp:10.0.0.1:6647", "tcp:10.0.0.1:6648"),
            ("tcp:10.0.0.1:6647", "tcp:10.0.0.2:6647"),
            ("tcp:[fe80::1%eth0]:1", "tcp:[fe80::1%eth1]:1"),
            ("what", "else"),
        ] {
            assert!(!same_address(a, b), "{a} {b}");
        }
    }

    #[test]
    fn what_is_no_address() {
        for text in [
            "",
            "tcp",
            "tcp:",
            "tcp::5",
            "tcp:1.2.3.4",
            "tcp:1.2.3.4:",
            "tcp:1.2.3.4:70000",
            "tcp:1.2.3.4:-1",
            "tcp:1.2.3.4:+5",
            "tcp:1.2.3.4:0x10",
            "tcp:::1:5",
            "tcp:[::1:5",
            "tcp:[::1]5",
            "tcp:[::g]:5",
            "tcp:[]:5",
            "tcp:[[::1]]:5",
            "tcp:a b:5",
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.to_string().starts_with(text), "{error}");
        }
        assert_eq!(
            "udp:1.2.3.4:5".parse::<Address>().unwrap_err().to_string(),
            "udp:1.2.3.4:5: expected \"tcp\" or \"ssl\" address"
        );
        assert_eq!(
            "tcp:1.2.3.4".parse::<Address>().unwrap_err().to_string(),
            "tcp:1.2.3.4: syntax error in address"
        );
    }

    proptest! {
        #[test]
        fn printed_addresses_read_back(ip: IpAddr, port: u16, ssl: bool) {
            let transport = if ssl { Transport::Ssl } else { Transport::Tcp };
            let host = match ip {
                IpAddr::V4(ip) => Host::V4(ip),
                IpAddr::V6(ip) => Host::V6(ip, None),
            };
            let address = Address::Network { transport, host, port };
            prop_assert_eq!(address.ip_and_port(), Some((ip, port)));
            prop_assert_eq!(address.to_string().parse(), Ok(address));
        }

        #[test]
        fn no_text_panics(text in "(tcp:|ssl:|)[\\[\\]:%.0-9a-f]{0,20}\\PC{0,3}") {
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string().parse(), Ok(address));
            }
        }
    }
}
