//! A chassis of a whole OVN: `ovs-vswitchd` with a datapath in its own process, `ovn-controller`,
//! and their local database on a server of its own.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::ctl::Ctl;
use super::daemon::Daemon;
use super::database::DEADLINE;
use crate::process::{Options, Program, Server, Source, require, wait_for};

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// A chassis and its programs.
#[derive(Debug)]
pub struct Chassis {
    /// Its name, in the Southbound too.
    pub name: String,
    /// `ovs-vsctl` on its local database.
    pub vsctl: Ctl,
    server: Server,
    switch: Daemon,
    controller: Daemon,
    folder: PathBuf,
}

impl Chassis {
    /// Starts one with its files in `folder`. Tunnels come to `address`; `southbound` is what it
    /// calls for the Southbound: a remote or a comma list.
    ///
    /// # Errors
    /// If a program is missing or does not start.
    pub fn start(
        program: Program,
        name: &str,
        address: &str,
        folder: &Path,
        southbound: &str,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let schema = PathBuf::from(SCHEMA);
        ensure!(
            schema.is_file(),
            "{SCHEMA} is missing: apt-get install openvswitch-switch"
        );
        let server = Server::start(program, &Source::Schema(schema), &Options::default())?;
        let local = format!("unix:{}", server.socket().display());
        let daemon = |name: &str, package: &str, more: &[&str]| -> Result<Daemon> {
            let file = |end: &str| folder.join(format!("{name}{end}"));
            let mut arguments: Vec<OsString> = vec![
                format!("--pidfile={}", file(".pid").display()).into(),
                format!("--log-file={}", file(".log").display()).into(),
                "-vconsole:off".into(),
            ];
            arguments.extend(more.iter().map(OsString::from));
            arguments.push(local.clone().into());
            // Where their control sockets, and those of bridges, are made.
            let environment = ["OVS_RUNDIR", "OVN_RUNDIR"];
            let environment = environment.map(|name| (name.into(), folder.into()));
            Ok(
                Daemon::new(require(name, package)?, arguments, file(".out"))
                    .with_environment(environment.to_vec()),
            )
        };
        // No kernel module: each device is one in the process' memory.
        let dummies = ["--enable-dummy=override", "--disable-system"];
        let mut chassis = Self {
            name: name.to_owned(),
            vsctl: Ctl::new("ovs-vsctl", "openvswitch-switch", &local)?,
            switch: daemon("ovs-vswitchd", "openvswitch-switch", &dummies)?,
            controller: daemon("ovn-controller", "ovn-host", &[])?,
            server,
            folder: folder.to_owned(),
        };
        chassis.vsctl.run("--no-wait init")?;
        chassis.switch.start()?;
        chassis.vsctl.run(&format!(
            "set Open_vSwitch . external-ids:system-id={name} external-ids:hostname={name} \
             external-ids:ovn-remote={southbound} external-ids:ovn-encap-type=geneve \
             external-ids:ovn-encap-ip={address} \
             -- add-br br-int -- set Bridge br-int datapath_type=dummy fail-mode=secure"
        ))?;
        chassis.controller.start()?;
        Ok(chassis)
    }

    /// Puts the interface of a logical port on the bridge, as a hypervisor does; waits until the
    /// switch has it.
    ///
    /// # Errors
    /// If it is refused or takes too long.
    pub fn plug(&self, port: &str) -> Result<()> {
        self.vsctl.run(&format!(
            "--timeout=40 add-port br-int if-{port} -- set Interface if-{port} type=dummy \
             external_ids:iface-id={port}"
        ))?;
        Ok(())
    }

    /// Takes it off again.
    ///
    /// # Errors
    /// As [`Chassis::plug`].
    pub fn unplug(&self, port: &str) -> Result<()> {
        self.vsctl.run(&format!("del-port br-int if-{port}"))?;
        Ok(())
    }

    /// The OpenFlow flows of its switch.
    ///
    /// # Errors
    /// If the switch does not answer.
    pub fn flows(&self) -> Result<String> {
        let output = Command::new(require("ovs-ofctl", "openvswitch-common")?)
            .args(["--timeout=15", "-O", "OpenFlow15", "dump-flows"])
            .arg(format!(
                "unix:{}",
                self.folder.join("br-int.mgmt").display()
            ))
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "ovs-ofctl: {said}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Waits until a flow has, or none has any longer, this text in it.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn wait_flow(&self, with: &str, there: bool) -> Result<()> {
        let what = format!("a flow of {} with {with}: {there}", self.name);
        wait_for(&what, DEADLINE, || {
            Ok((self.flows()?.contains(with) == there).then_some(()))
        })
    }

    /// Kills the server of its local database and starts it again.
    ///
    /// # Errors
    /// If it does not start.
    pub fn crash_server(&mut self) -> Result<()> {
        self.server.kill9()?;
        self.server.start_again()
    }

    /// Fails if one of its programs has ended by itself.
    ///
    /// # Errors
    /// Then.
    pub fn check_alive(&mut self) -> Result<()> {
        self.switch.check_alive()?;
        self.controller.check_alive()?;
        let ended = self.server.ended()?;
        ensure!(ended.is_none(), "the server ended: {}", self.server.said());
        self.server.pid().context("the server does not run")?;
        Ok(())
    }
}
