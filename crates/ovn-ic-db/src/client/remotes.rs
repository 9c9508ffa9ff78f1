//! Which servers a command asks: those of some hosts, those of remotes, or those of this machine.

use std::collections::HashSet;
use std::ffi::OsString;
use std::net::Ipv6Addr;
use std::path::Path;
use std::process::ExitCode;

use ovsdb_cluster::address::{Address, Transport};

use super::keys;
use crate::command_line::ServerFlags;
use crate::folders::Folders;
use crate::process;
use crate::schemas::Side;
use crate::settings::{self, SettingError, Settings};

/// Where to ask for each database; at least one place each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remotes {
    northbound: Vec<Address>,
    southbound: Vec<Address>,
}

/// Servers that cannot be asked, by what was typed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemotesError {
    /// A host that is none.
    #[error(
        "--host={0}: must be a name or an IP address, without a port (--nb and --sb take ports)"
    )]
    Host(String),
    /// A remote that is none.
    #[error("{flag}={remote}: must be tcp:HOST:PORT, ssl:HOST:PORT or unix:FILE")]
    Remote {
        /// The flag.
        flag: &'static str,
        /// What stands there.
        remote: String,
    },
    /// The keys for TLS.
    #[error("TLS: {0} (--private-key, --certificate and --ca-cert name the files)")]
    Keys(String),
    /// A variable.
    #[error("{0}")]
    Setting(String),
    /// A list without a single entry.
    #[error("{0}: names no server")]
    Nobody(&'static str),
}

impl Remotes {
    /// The servers that a command's flags name; if they name none, that was said, and this is the
    /// command's exit status.
    pub fn of_flags(flags: &ServerFlags) -> Result<Remotes, ExitCode> {
        let environment = |name: &str| std::env::var_os(name);
        Remotes::find(flags, &environment).map_err(|error| {
            let status = ExitCode::from(SettingError::EXIT_STATUS);
            process::fail(&error.to_string(), status)
        })
    }

    /// What the flags mean. `environment` names the run folder, where they name nobody, and says
    /// whether hosts are asked by TLS. Reads the keys if somebody is.
    ///
    /// # Errors
    /// If they do not name servers.
    pub fn find(
        flags: &ServerFlags,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Remotes, RemotesError> {
        let remotes = Remotes::name(flags, environment)?;
        let all = remotes.northbound.iter().chain(&remotes.southbound);
        if all.into_iter().any(uses_tls) {
            let files = settings::key_files(&flags.keys, environment);
            keys::load(files).map_err(|error| RemotesError::Keys(error.to_string()))?;
        }
        Ok(remotes)
    }

    fn name(
        flags: &ServerFlags,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Remotes, RemotesError> {
        if let Some(hosts) = &flags.host {
            let tls = settings::tls_enabled(environment);
            let tls = tls.map_err(|error| RemotesError::Setting(error.to_string()))?;
            return of_hosts(hosts, if tls { "ssl" } else { "tcp" });
        }
        if let (Some(northbound), Some(southbound)) = (&flags.nb, &flags.sb) {
            return Ok(Remotes {
                northbound: of_list("--nb", northbound)?,
                southbound: of_list("--sb", southbound)?,
            });
        }
        let named = Settings::run_folder(&flags.run_dir, environment);
        let folder = Folders::look_for_run(named, environment);
        Ok(Remotes {
            northbound: vec![local(&folder, Side::Northbound)],
            southbound: vec![local(&folder, Side::Southbound)],
        })
    }

    /// Where to ask for a database.
    pub fn of(&self, side: Side) -> &[Address] {
        match side {
            Side::Northbound => &self.northbound,
            Side::Southbound => &self.southbound,
        }
    }
}

fn local(folder: &Path, side: Side) -> Address {
    let socket = folder.join(Folders::socket_name(side));
    Address::Unix(socket.to_string_lossy().into_owned())
}

/// Hosts between commas, with the usual ports.
fn of_hosts(list: &str, scheme: &str) -> Result<Remotes, RemotesError> {
    let hosts: Vec<&str> = entries(list).collect();
    if hosts.is_empty() {
        return Err(RemotesError::Nobody("--host"));
    }
    let at = |side: Side| {
        let all = hosts
            .iter()
            .map(|host| of_host(host, scheme, side.usual_port()));
        all.collect::<Result<Vec<_>, _>>().map(without_repeats)
    };
    Ok(Remotes {
        northbound: at(Side::Northbound)?,
        southbound: at(Side::Southbound)?,
    })
}

fn of_host(host: &str, scheme: &str, port: u16) -> Result<Address, RemotesError> {
    let is_bare_v6 = host
        .split('%')
        .next()
        .is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok());
    let remote = match is_bare_v6 {
        true => format!("{scheme}:[{host}]:{port}"),
        false => format!("{scheme}:{host}:{port}"),
    };
    remote
        .parse()
        .map_err(|_| RemotesError::Host(host.to_owned()))
}

fn of_list(flag: &'static str, list: &str) -> Result<Vec<Address>, RemotesError> {
    let remotes = entries(list).map(|remote| of_remote(flag, remote));
    let remotes: Vec<Address> = remotes.collect::<Result<_, _>>()?;
    match remotes.is_empty() {
        true => Err(RemotesError::Nobody(flag)),
        false => Ok(without_repeats(remotes)),
    }
}

/// Each once, where it stands first.
fn without_repeats(remotes: Vec<Address>) -> Vec<Address> {
    let mut seen = HashSet::new();
    let new = remotes.into_iter();
    new.filter(|remote| seen.insert(remote.clone())).collect()
}

fn of_remote(flag: &'static str, text: &str) -> Result<Address, RemotesError> {
    let remote = text.to_owned();
    match text.parse() {
        Ok(address) if address != Address::Unix(String::new()) => Ok(address),
        _ => Err(RemotesError::Remote { flag, remote }),
    }
}

fn uses_tls(remote: &Address) -> bool {
    matches!(
        remote,
        Address::Network {
            transport: Transport::Ssl,
            ..
        }
    )
}

fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(flags: ServerFlags) -> Result<[String; 2], String> {
        let remotes = Remotes::find(&flags, &|name| {
            let value = match name {
                "OVN_RUNDIR" => "/run/x",
                "OVN_IC_DB_PRIVATE_KEY" => "/nowhere/key",
                _ => return None,
            };
            Some(OsString::from(value))
        });
        let remotes = remotes.map_err(|error| error.to_string())?;
        Ok(Side::BOTH.map(|side| {
            let all = remotes.of(side).iter().map(Address::to_string);
            all.collect::<Vec<_>>().join(" ")
        }))
    }

    fn hosts(list: &str) -> Result<[String; 2], String> {
        find(ServerFlags {
            host: Some(list.to_owned()),
            ..ServerFlags::default()
        })
    }

    fn lists(nb: &str, sb: &str) -> Result<[String; 2], String> {
        find(ServerFlags {
            nb: Some(nb.to_owned()),
            sb: Some(sb.to_owned()),
            ..ServerFlags::default()
        })
    }

    #[test]
    fn hosts_have_the_usual_ports() {
        let [nb, sb] = hosts("10.0.0.1, fe80::1%eth0,[fd00::2],Node-3").expect("hosts");
        assert_eq!(
            nb,
            "tcp:10.0.0.1:6645 tcp:[fe80::1%eth0]:6645 tcp:[fd00::2]:6645 tcp:node-3:6645"
        );
        assert!(sb.ends_with("tcp:node-3:6646"), "{sb}");
        let [nb, _] = hosts("10.0.0.1,[::1],Node,10.0.0.1,0:0::1,node").expect("hosts");
        assert_eq!(nb, "tcp:10.0.0.1:6645 tcp:[::1]:6645 tcp:node:6645");
        for wrong in ["10.0.0.1:6645", "tcp:10.0.0.1:6645", "a b", "[10.0.0.1"] {
            let error = hosts(wrong).expect_err(wrong);
            assert!(error.starts_with(&format!("--host={wrong}: ")), "{error}");
        }
        assert_eq!(hosts(" ,").expect_err("empty"), "--host: names no server");
    }

    #[test]
    fn remotes_are_taken_as_they_are() {
        let [nb, sb] = lists("tcp:[::1]:1,unix:/a/b,unix:/a/b", "tcp:x:2").expect("remotes");
        assert_eq!(nb, "tcp:[::1]:1 unix:/a/b");
        assert_eq!(sb, "tcp:x:2");
        let wrong = lists("unix:/a", "ptcp:1").expect_err("no remote");
        assert_eq!(
            wrong,
            "--sb=ptcp:1: must be tcp:HOST:PORT, ssl:HOST:PORT or unix:FILE"
        );
        // The keys are read at once.
        let tls = lists("ssl:1.2.3.4:5", "unix:/a").expect_err("no keys");
        assert!(tls.starts_with("TLS: /nowhere/"), "{tls}");
        assert!(lists("unix:", "unix:/a").is_err());
    }

    #[test]
    fn without_flags_it_is_this_machine() {
        let [nb, sb] = find(ServerFlags::default()).expect("sockets");
        assert_eq!(nb, "unix:/run/x/ovn_ic_nb_db.sock");
        assert_eq!(sb, "unix:/run/x/ovn_ic_sb_db.sock");
    }
}
