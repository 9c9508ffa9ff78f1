//! The command lines of either kind of node, with the files, sockets and ports
//! that the deployment has.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use super::guard;
use super::node::{Manner, Node, Site};
use crate::process::{Program, executable, require};
use crate::world::daemon::Daemon;
use crate::world::interconnect::{Side, debian_schema};

impl Node {
    fn daemon(&self, program: PathBuf, arguments: Vec<OsString>, output: &str) -> Result<Daemon> {
        let mut line = self.at.clone();
        line.extend(guard::leash());
        // A file at its limit is an error of the write, not the end.
        line.extend(["env", "--ignore-signal=XFSZ", "--"].map(OsString::from));
        line.push(program.into());
        line.extend(arguments);
        let first = require(&line.remove(0).to_string_lossy(), "util-linux")?;
        let output = self.folder.join("log").join(output);
        Ok(Daemon::new(first, line, output))
    }

    /// The two servers of the deployment, on files that are made if need be.
    pub(super) fn reference(&self, site: &Site, manner: Manner) -> Result<Vec<Daemon>> {
        let mut daemons = Vec::new();
        for (side, clients, log) in [
            (Side::Northbound, site.ports.northbound, "nb"),
            (Side::Southbound, site.ports.southbound, "sb"),
        ] {
            let file = self.file(side);
            if !file.exists() {
                self.make_file(side, site, manner)?;
            }
            let at = |path: PathBuf| path.display().to_string();
            let pid = self.folder.join(format!("run/{}.pid", side.file_stem()));
            let log = format!("ovsdb-server-ic-{log}.log");
            let listen = bracketed(site.addresses[self.number]);
            let arguments = [
                "--no-chdir".to_owned(),
                "-vconsole:off".to_owned(),
                format!("--log-file={}", at(self.folder.join("log").join(&log))),
                format!("--remote=punix:{}", at(self.socket(side))),
                format!("--remote=ptcp:{clients}:{listen}"),
                format!("--pidfile={}", at(pid)),
                format!("--unixctl={}", at(self.control_socket(side))),
                at(file),
            ];
            let server = executable(Program::Reference)?;
            let keys = site.tls.iter().flat_map(|folder| {
                ["private-key=key", "certificate=cert", "ca-cert=cacert"].map(|option| {
                    let (option, name) = option.split_once('=').unwrap_or((option, ""));
                    format!("--{option}={}", folder.join(name).display())
                })
            });
            let arguments = keys.chain(arguments).map(OsString::from).collect();
            daemons.push(self.daemon(server, arguments, &format!("{log}.out"))?);
        }
        Ok(daemons)
    }

    /// Makes a file as the deployment's scripts do.
    fn make_file(&self, side: Side, site: &Site, manner: Manner) -> Result<()> {
        let port = match side {
            Side::Northbound => site.ports.northbound_raft,
            Side::Southbound => site.ports.southbound_raft,
        };
        let scheme = if site.tls.is_some() { "ssl" } else { "tcp" };
        let place = |node: usize| format!("{scheme}:{}:{port}", bracketed(site.addresses[node]));
        let mut command = Command::new(require("ovsdb-tool", "openvswitch-common")?);
        match manner {
            Manner::Found => command
                .arg("create-cluster")
                .arg(self.file(side))
                .arg(debian_schema(side.schema())?)
                .arg(place(self.number)),
            Manner::Join(_) => command
                .arg("join-cluster")
                .args([self.file(side).as_os_str(), side.database().as_ref()])
                .arg(place(self.number))
                .args(
                    (0..site.addresses.len())
                        .filter(|node| *node != self.number)
                        .map(place),
                ),
        };
        let output = command.output()?;
        ensure!(
            output.status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// Our one program.
    pub(super) fn ours(&self, site: &Site, manner: Manner) -> Result<Daemon> {
        let addresses: Vec<String> = site.addresses.iter().map(IpAddr::to_string).collect();
        let part = |part: &str| self.folder.join(part).into_os_string();
        let mut environment: Vec<(OsString, OsString)> = vec![
            ("LOCAL_IP".into(), addresses[self.number].clone().into()),
            ("NODE_IPS".into(), addresses.join(",").into()),
            ("ENABLE_BIND_LOCAL_IP".into(), "true".into()),
            ("OVN_DBDIR".into(), part("etc")),
            ("OVN_RUNDIR".into(), part("run")),
            ("OVN_LOGDIR".into(), part("log")),
            // No transit switch but those that the tests make.
            ("TS_NAME".into(), "".into()),
        ];
        let variables = self.variables.iter().cloned();
        environment.extend(variables.map(|(name, value)| (name.into(), value.into())));
        if let Some(folder) = &site.tls {
            environment.push(("ENABLE_SSL".into(), "true".into()));
            for (name, file) in [
                ("OVN_IC_DB_PRIVATE_KEY", "key"),
                ("OVN_IC_DB_CERTIFICATE", "cert"),
                ("OVN_IC_DB_CA_CERT", "cacert"),
            ] {
                environment.push((name.into(), folder.join(file).into()));
            }
        }
        let ports = site.ports;
        for (name, port) in [
            ("OVN_IC_DB_NB_PORT", ports.northbound),
            ("OVN_IC_DB_SB_PORT", ports.southbound),
            ("OVN_IC_DB_NB_RAFT_PORT", ports.northbound_raft),
            ("OVN_IC_DB_SB_RAFT_PORT", ports.southbound_raft),
        ] {
            environment.push((name.into(), port.to_string().into()));
        }
        if let Manner::Join(leader) = manner {
            environment.push(("LEADER_IP".into(), addresses[leader].clone().into()));
        }
        let program = executable(Program::Ours)?;
        Ok(self
            .daemon(program, vec!["run".into()], "ovn-ic-db.out")?
            .with_environment(environment))
    }
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}
