//! What `ovn-ic-db status` shows of the interconnection, of whatever server.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::process::{Program, executable, wait_for};
use crate::world::database::DEADLINE;
use crate::world::{Report, Side, World};

/// Checks that both zones are shown, with their gateways, ports and routes.
///
/// # Errors
/// The first check that fails.
pub fn run(world: &mut World<'_>, report: &mut Report) -> Result<()> {
    report.check("ovn-ic-db status shows both zones", || {
        // The zones bind their ports a moment after they have made them.
        let mut last = Value::Null;
        wait_for("two whole zones", DEADLINE, || {
            last = serde_json::from_str(&status(world, &["--format=json"])?)?;
            let whole = |n: u8| is_whole(&last[2]["interconnection"]["zones"], n);
            Ok((whole(1) && whole(2)).then_some(()))
        })
        .with_context(|| format!("{last:#}"))?;
        let troubles = &last[2]["interconnection"]["troubles"];
        ensure!(*troubles == json!([]), "{troubles}");
        let shown = status(world, &[])?;
        let words: Vec<Vec<&str>> = shown
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        for n in ["1", "2"] {
            let (zone, route) = (format!("az{n}"), format!("192.168.{n}.1/24"));
            let (gateway, host) = (format!("gw{n}"), format!("host{n}"));
            let (port, hop) = (format!("ts-lr{n}"), format!("169.254.100.{n}"));
            let (tunnel, address) = (format!("10.0.0.{n}"), format!("{hop}/24"));
            for line in [
                &[zone.as_str(), "1", "gateway,", "1", "port,"][..],
                &[&gateway, &host, "geneve", &tunnel],
                &[&port, "ts", &gateway],
                &[&address],
                &[&route, "ts", &hop, "connected"],
            ] {
                let has = |words: &Vec<&str>| words.starts_with(line) || words.ends_with(line);
                ensure!(words.iter().any(has), "{line:?} is missing in:\n{shown}");
            }
        }
        Ok(())
    })
}

/// Zone `n` has all that it should have by now.
fn is_whole(zones: &Value, n: u8) -> bool {
    let zone = &zones[usize::from(n - 1)];
    let gateway = format!("gw{n}");
    let routes = zone["routes"].as_array();
    zone["name"] == format!("az{n}")
        && zone["gateways"]
            == json!([{
                "name": gateway,
                "hostname": format!("host{n}"),
                "tunnels": [{"type": "geneve", "ip": format!("10.0.0.{n}")}]
            }])
        && zone["ports"][0]["name"] == format!("ts-lr{n}")
        && zone["ports"][0]["switch"] == "ts"
        && zone["ports"][0]["gateway"] == gateway
        && routes.is_some_and(|routes| {
            let prefix = format!("192.168.{n}.1/24");
            routes.iter().any(|route| route["prefix"] == prefix)
        })
}

fn status(world: &World<'_>, more: &[&str]) -> Result<String> {
    let [nb, sb] = Side::BOTH.map(|side| world.interconnect.remotes(side));
    let output = Command::new(executable(Program::Ours)?)
        .args(["status", "--nb", &nb, "--sb", &sb])
        .args(more)
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}
