//! One availability zone: its two databases, `ovn-northd` and `ovn-ic`.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::ctl::Ctl;
use super::daemon::Daemon;
use super::database::{Database, Row, entry, text};
use super::interconnect::{Side, debian_schema, ovsdb_server};
use crate::process::require;

/// A zone and everything that runs in it.
#[derive(Debug)]
pub struct Zone {
    /// Its number, 1 or 2: `azN` is its name, `gwN` its gateway, `lrN` its
    /// router, 192.168.N.0/24 its subnet, 10.0.0.N its tunnel address, and
    /// 169.254.100.N its address on the transit switch `ts`.
    pub number: u8,
    /// `ovn-nbctl` on its northbound database.
    pub nbctl: Ctl,
    /// `ovn-sbctl` on its southbound database.
    pub sbctl: Ctl,
    /// Its northbound database.
    pub nb: Database,
    /// Its southbound database.
    pub sb: Database,
    daemons: Vec<Daemon>,
}

impl Zone {
    /// Starts a zone with its files in `folder`, with a gateway chassis, a
    /// router with one subnet, and automatic routes on. `remotes` are those of the interconnection
    /// databases, as `--db` takes them.
    ///
    /// # Errors
    /// If a program is missing or does not start.
    pub fn start(number: u8, folder: &Path, remotes: &dyn Fn(Side) -> String) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let own = |stem: &str| format!("unix:{}", folder.join(stem).display());
        let (nb, sb) = (own("nb.sock"), own("sb.sock"));
        let client = |program: &str, package: &str, more: Vec<String>| -> Result<Daemon> {
            let file = |end: &str| folder.join(format!("{program}{end}")).display().to_string();
            let mut arguments = vec![
                format!("--ovnnb-db={nb}"),
                format!("--ovnsb-db={sb}"),
                format!("--unixctl={}", file(".ctl")),
                format!("--pidfile={}", file(".pid")),
                format!("--log-file={}", file(".log")),
                "-vconsole:off".to_owned(),
            ];
            arguments.extend(more);
            Ok(Daemon::new(
                require(program, package)?,
                arguments.into_iter().map(OsString::from).collect(),
                file(".out").into(),
            ))
        };
        let interconnection = vec![
            format!("--ic-nb-db={}", remotes(Side::Northbound)),
            format!("--ic-sb-db={}", remotes(Side::Southbound)),
        ];
        let daemons = vec![
            ovsdb_server(folder, "nb", &debian_schema("ovn-nb.ovsschema")?, None)?,
            ovsdb_server(folder, "sb", &debian_schema("ovn-sb.ovsschema")?, None)?,
            client("ovn-northd", "ovn-central", Vec::new())?,
            client("ovn-ic", "ovn-ic", interconnection)?,
        ];
        let mut zone = Self {
            number,
            nbctl: Ctl::new("ovn-nbctl", "ovn-common", &nb)?,
            sbctl: Ctl::new("ovn-sbctl", "ovn-common", &sb)?,
            nb: Database::new(folder.join("nb.sock"), "OVN_Northbound"),
            sb: Database::new(folder.join("sb.sock"), "OVN_Southbound"),
            daemons,
        };
        zone.start_again()?;
        zone.furnish()?;
        Ok(zone)
    }

    /// Starts its programs, again after [`Zone::kill`].
    ///
    /// # Errors
    /// If one does not start.
    pub fn start_again(&mut self) -> Result<()> {
        let (databases, clients) = self.daemons.split_at_mut(2);
        for daemon in databases {
            daemon.start()?;
        }
        self.nb.wait_until_served("NB_Global")?;
        self.sb.wait_until_served("SB_Global")?;
        for daemon in clients {
            daemon.start()?;
        }
        self.check_alive()
    }

    fn furnish(&self) -> Result<()> {
        let n = self.number;
        self.sbctl.run("init")?;
        self.sbctl.run(&format!(
            "chassis-add gw{n} geneve 10.0.0.{n} -- set Chassis gw{n} hostname=host{n} \
             other_config:is-interconn=true"
        ))?;
        self.nbctl.run("init")?;
        self.nbctl.run(&format!(
            "set NB_Global . name=az{n} options:ic-route-adv=true options:ic-route-learn=true \
             -- lr-add lr{n} -- ls-add ls{n} \
             -- lrp-add lr{n} lr{n}-ls{n} 02:00:00:00:01:0{n} 192.168.{n}.1/24 \
             -- lsp-add ls{n} ls{n}-lr{n} -- lsp-set-type ls{n}-lr{n} router \
             -- lsp-set-addresses ls{n}-lr{n} router \
             -- lsp-set-options ls{n}-lr{n} router-port=lr{n}-ls{n} \
             -- lrp-add lr{n} lr{n}-ts 02:00:00:00:00:0{n} 169.254.100.{n}/24 \
             -- lrp-set-gateway-chassis lr{n}-ts gw{n} 1"
        ))?;
        Ok(())
    }

    /// Waits for the switch `ts` in the northbound database and puts the
    /// router's port on it, with the gateway chassis claiming it as
    /// `ovn-controller` would.
    ///
    /// # Errors
    /// If the switch does not come.
    pub fn attach(&mut self) -> Result<()> {
        let n = self.number;
        self.wait_switch("ts", true)?;
        self.nbctl.run(&format!(
            "lsp-add ts ts-lr{n} -- lsp-set-type ts-lr{n} router \
             -- lsp-set-addresses ts-lr{n} router \
             -- lsp-set-options ts-lr{n} router-port=lr{n}-ts"
        ))?;
        let port = format!("cr-lr{n}-ts");
        self.sb.wait_for(
            "the router port's binding",
            "Port_Binding",
            json!([["logical_port", "==", port]]),
            |rows| !rows.is_empty(),
        )?;
        self.sbctl
            .run(&format!("--may-exist lsp-bind {port} gw{n}"))?;
        Ok(())
    }

    /// Waits until the northbound has, or no longer has, a switch.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn wait_switch(&mut self, name: &str, there: bool) -> Result<Vec<Row>> {
        self.nb.wait_for(
            &format!("switch {name}: {there}"),
            "Logical_Switch",
            json!([["name", "==", name]]),
            |rows| rows.is_empty() != there,
        )
    }

    /// Waits until the router has, or no longer has, learned a route to
    /// `prefix` over the transit switch. OVN 23.03 advertises a connected
    /// subnet as the port's own address: 192.168.1.1/24, not 192.168.1.0/24.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn wait_learned(&mut self, prefix: &str, there: bool) -> Result<()> {
        self.nb.wait_for(
            &format!("az{} learned {prefix}: {there}", self.number),
            "Logical_Router_Static_Route",
            json!([["ip_prefix", "==", prefix]]),
            |rows| {
                let learned = |row: &Row| entry(row, "external_ids", "ic-learned-route").is_some();
                rows.iter().any(learned) == there
            },
        )?;
        Ok(())
    }

    /// The prefixes of all routes that its router learned.
    ///
    /// # Errors
    /// If the database does not answer.
    pub fn learned(&mut self) -> Result<Vec<String>> {
        let rows = self.nb.select("Logical_Router_Static_Route", json!([]))?;
        let mut prefixes: Vec<String> = rows
            .iter()
            .filter(|row| entry(row, "external_ids", "ic-learned-route").is_some())
            .map(|row| text(row, "ip_prefix").to_owned())
            .collect();
        prefixes.sort();
        Ok(prefixes)
    }

    /// Waits until the other zone's port is, or no longer is, bound here as a
    /// remote one.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn wait_remote_port(&mut self, port: &str, there: bool) -> Result<()> {
        self.sb.wait_for(
            &format!("remote port {port} in az{}: {there}", self.number),
            "Port_Binding",
            json!([["logical_port", "==", port], ["type", "==", "remote"]]),
            |rows| rows.is_empty() != there,
        )?;
        Ok(())
    }

    /// Fails if one of its programs has ended by itself.
    ///
    /// # Errors
    /// Then.
    pub fn check_alive(&mut self) -> Result<()> {
        self.daemons.iter_mut().try_for_each(Daemon::check_alive)
    }

    /// Kills all its programs at once.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.daemons.iter_mut().rev().try_for_each(Daemon::kill9)
    }
}
