//! What to do about addresses, ports and sockets that cannot be listened at.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;

use super::{of_disk, with};
use crate::schemas::Side;

/// A database's port for clients.
pub fn clients_port(error: io::Error, side: Side, port: u16) -> anyhow::Error {
    let settings = match side {
        Side::Northbound => "OVN_IC_DB_NB_PORT or --nb-port",
        Side::Southbound => "OVN_IC_DB_SB_PORT or --sb-port",
    };
    let advice = of_port(&error, port, settings);
    advice_or(error.into(), advice)
}

/// Where HTTP is to be.
pub fn http_place(error: io::Error, place: SocketAddr) -> anyhow::Error {
    let advice = of_port(&error, place.port(), "OVN_IC_DB_HTTP or --http");
    advice_or(anyhow::Error::from(error).context("HTTP"), advice)
}

/// A port for other members, of which only the error is known.
pub(super) fn raft_port(error: &io::Error) -> Option<String> {
    let settings =
        "OVN_IC_DB_NB_RAFT_PORT and OVN_IC_DB_SB_RAFT_PORT (the same on all nodes)".to_owned();
    match error.kind() {
        ErrorKind::AddrInUse => Some(format!(
            "another server has this port (`ss -ltnp` shows it): stop it, or name another one with {settings}"
        )),
        _ => None,
    }
}

/// A Unix socket, for clients or for control.
pub fn socket(error: io::Error, path: &Path) -> anyhow::Error {
    let advice = match error.kind() {
        ErrorKind::AddrInUse => {
            let path = path.display();
            format!(
                "stop the server that has it (`ss -lxp src {path}`), or give this one a folder of its own with --run-dir or OVN_RUNDIR"
            )
        }
        _ => of_disk(path, &error, "--run-dir or OVN_RUNDIR"),
    };
    advice_or(error.into(), Some(advice))
}

fn of_port(error: &io::Error, port: u16, settings: &str) -> Option<String> {
    match error.kind() {
        ErrorKind::AddrInUse => Some(format!(
            "another server has this port (`ss -ltnp sport = :{port}` shows it): stop it, or name another port with {settings}"
        )),
        ErrorKind::PermissionDenied => Some(format!(
            "this user may not take a port below 1024: name another one with {settings}"
        )),
        _ => None,
    }
}

fn advice_or(error: anyhow::Error, advice: Option<String>) -> anyhow::Error {
    match advice {
        Some(advice) => with(&error, &advice),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_named() {
        let in_use = || io::Error::new(ErrorKind::AddrInUse, "ptcp:6645:[::]: in use");
        let said = clients_port(in_use(), Side::Northbound, 6645).to_string();
        assert!(
            said.starts_with("ptcp:6645:[::]: in use; another"),
            "{said}"
        );
        assert!(said.contains(":6645` shows it"), "{said}");
        assert!(said.ends_with("OVN_IC_DB_NB_PORT or --nb-port"), "{said}");
        let said = clients_port(in_use(), Side::Southbound, 1).to_string();
        assert!(said.ends_with("OVN_IC_DB_SB_PORT or --sb-port"), "{said}");
        let said = http_place(in_use(), ([127, 0, 0, 1], 1).into()).to_string();
        assert!(said.starts_with("HTTP: ptcp:"), "{said}");
        assert!(said.ends_with("OVN_IC_DB_HTTP or --http"), "{said}");
        let said = socket(in_use(), Path::new("/run/a.sock")).to_string();
        assert!(said.contains("OVN_RUNDIR"), "{said}");
        let other = clients_port(ErrorKind::TimedOut.into(), Side::Southbound, 1);
        assert_eq!(
            other.to_string(),
            io::Error::from(ErrorKind::TimedOut).to_string()
        );
    }
}
