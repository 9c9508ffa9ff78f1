//! The central part of a whole OVN: a home of the Northbound and the Southbound, and two
//! `ovn-northd`, of which one works and one waits for the lock.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};

use super::ctl::Ctl;
use super::daemon::Daemon;
use super::database::{Database, text, uuid};
use super::home::{Bound, Home};
use crate::client::Client;
use crate::process::{require, wait_for};
use crate::world::database::DEADLINE;

/// Both databases with what works on them.
#[derive(Debug)]
pub struct Central {
    /// `ovn-nbctl`.
    pub nbctl: Ctl,
    /// `ovn-sbctl`.
    pub sbctl: Ctl,
    /// The Northbound.
    pub nb: Database,
    /// The Southbound.
    pub sb: Database,
    /// What serves them.
    pub home: Box<dyn Home>,
    northds: Vec<Northd>,
}

#[derive(Debug)]
struct Northd {
    daemon: Daemon,
    control: PathBuf,
}

impl Northd {
    fn new(name: &str, folder: &Path, home: &dyn Home) -> Result<Self> {
        let file = |end: &str| folder.join(format!("{name}{end}"));
        let arguments = [
            format!("--ovnnb-db={}", home.remotes(Bound::North)),
            format!("--ovnsb-db={}", home.remotes(Bound::South)),
            format!("--unixctl={}", file(".ctl").display()),
            format!("--pidfile={}", file(".pid").display()),
            format!("--log-file={}", file(".log").display()),
            "-vconsole:off".to_owned(),
        ];
        let program = require("ovn-northd", "ovn-central")?;
        let arguments = arguments.map(OsString::from).to_vec();
        Ok(Self {
            daemon: Daemon::new(program, arguments, file(".out")),
            control: file(".ctl"),
        })
    }

    /// Whether it has the lock, as it says itself.
    fn is_active(&self) -> Result<bool> {
        let answer = Client::unix(&self.control)?.call("status", json!([]))?;
        Ok(answer
            .as_str()
            .is_some_and(|text| text.contains("Status: active")))
    }
}

impl Central {
    /// Starts everything around the databases' home, with its files in `folder`.
    ///
    /// # Errors
    /// If a program is missing or does not start.
    pub fn start(home: Box<dyn Home>, folder: &Path) -> Result<Self> {
        let ctl = |program, bound| Ctl::new(program, "ovn-common", &home.remotes(bound));
        let look = |bound: Bound| Database::among(home.sockets(bound), bound.database());
        let mut central = Self {
            nbctl: ctl("ovn-nbctl", Bound::North)?,
            sbctl: ctl("ovn-sbctl", Bound::South)?,
            nb: look(Bound::North),
            sb: look(Bound::South),
            northds: vec![
                Northd::new("northd1", folder, &*home)?,
                Northd::new("northd2", folder, &*home)?,
            ],
            home,
        };
        central.nbctl.run("init")?;
        central.sbctl.run("init")?;
        central.northds[0].daemon.start()?;
        central.wait_for_active(0)?;
        central.northds[1].daemon.start()?;
        Ok(central)
    }

    /// Kills the `ovn-northd` that has the lock; the other one gets it.
    ///
    /// # Errors
    /// If that takes too long, or both go on having it.
    pub fn kill_active_northd(&mut self) -> Result<()> {
        // A leader that has changed meanwhile gives the lock to whoever comes first.
        let active = wait_for("one ovn-northd that has the lock", DEADLINE, || {
            let active: Vec<usize> = (0..self.northds.len())
                .filter(|number| self.northds[*number].is_active().unwrap_or(false))
                .collect();
            Ok((active.len() == 1).then(|| active[0]))
        })?;
        self.northds[active].daemon.kill9()?;
        self.wait_for_active(1 - active)
    }

    /// Waits until one has the lock.
    fn wait_for_active(&self, number: usize) -> Result<()> {
        let northd = &self.northds[number];
        wait_for("ovn-northd gets the lock", DEADLINE, || {
            Ok(northd.is_active().is_ok_and(|active| active).then_some(()))
        })
    }

    /// Waits until every chassis has done what the Northbound asks for.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn synchronize(&self) -> Result<()> {
        self.nbctl.run("--timeout=50 --wait=hv sync")?;
        Ok(())
    }

    /// Waits until a port is bound to this chassis (or to none) and the Northbound says so.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn wait_bound(&mut self, port: &str, chassis: Option<&str>) -> Result<()> {
        let expected = match chassis {
            None => String::new(),
            Some(name) => {
                let named = json!([["name", "==", name]]);
                let rows = self
                    .sb
                    .wait_for("the chassis", "Chassis", named, |rows| !rows.is_empty())?;
                uuid(&rows[0], "_uuid").to_owned()
            }
        };
        let named = json!([["logical_port", "==", port]]);
        let what = format!("{port} on {chassis:?}");
        self.sb.wait_for(&what, "Port_Binding", named, |rows| {
            rows.len() == 1 && uuid(&rows[0], "chassis") == expected
        })?;
        let named = json!([["name", "==", port]]);
        let up = Value::Bool(chassis.is_some());
        self.nb
            .wait_for(&what, "Logical_Switch_Port", named, |rows| {
                rows.len() == 1 && rows[0].get("up") == Some(&up)
            })?;
        Ok(())
    }

    /// What `ovn-northd` and the chassis have made of the Northbound, without what is drawn anew
    /// each time.
    ///
    /// # Errors
    /// If a database does not answer.
    pub fn picture(&mut self) -> Result<Vec<String>> {
        let flows = self.sbctl.run("lflow-list")?;
        let mut lines: Vec<String> = flows
            .lines()
            .map(|line| match line.split_once(" (") {
                Some((datapath, rest)) if datapath.starts_with("Datapath:") => {
                    let pipeline = rest.split_once(')').unwrap_or_default().1;
                    format!("{datapath}{pipeline}")
                }
                _ => line.to_owned(),
            })
            .collect();
        for row in self.sb.select("Port_Binding", json!([]))? {
            let of = |column: &str| row.get(column).cloned().unwrap_or_default();
            lines.push(format!(
                "port {} key {} addresses {} up {}",
                of("logical_port"),
                of("tunnel_key"),
                of("mac"),
                of("up")
            ));
        }
        for row in self.sb.select("Chassis", json!([]))? {
            lines.push(format!("chassis {}", text(&row, "name")));
        }
        lines.sort();
        Ok(lines)
    }

    /// Fails if one of its programs has ended by itself.
    ///
    /// # Errors
    /// Then.
    pub fn check_alive(&mut self) -> Result<()> {
        for northd in &mut self.northds {
            northd.daemon.check_alive()?;
        }
        self.home.check_alive()
    }
}
