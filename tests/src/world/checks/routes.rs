//! Routes that are advertised, withdrawn, held back, or made by hand.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::world::database::text;
use crate::world::{Report, World};

/// Checks all ways of routes between two attached zones, and leaves them as
/// they were.
///
/// # Errors
/// The first check that fails.
pub fn run(world: &mut World<'_>, report: &mut Report) -> Result<()> {
    advertise(world, report)?;
    hold_back(world, report)?;
    by_hand(world, report)
}

/// Adds a route in the first zone, and takes it away again.
///
/// # Errors
/// If the second zone does not follow.
pub fn new_route(
    world: &mut World<'_>,
    report: &mut Report,
    prefix: &str,
    time: &str,
) -> Result<()> {
    let [first, second] = &mut world.zones;
    first
        .nbctl
        .run(&format!("lr-route-add lr1 {prefix} 192.168.1.10"))?;
    report.check(&format!("a new route is learned, {time}"), || {
        second.wait_learned(prefix, true)
    })?;
    first.nbctl.run(&format!("lr-route-del lr1 {prefix}"))?;
    report.check(&format!("a withdrawn route is forgotten, {time}"), || {
        second.wait_learned(prefix, false)
    })
}

fn advertise(world: &mut World<'_>, report: &mut Report) -> Result<()> {
    let [first, second] = &mut world.zones;
    first
        .nbctl
        .run("lr-route-add lr1 10.11.0.0/24 192.168.1.10")?;
    report.check("a new route is learned", || {
        second.wait_learned("10.11.0.0/24", true)
    })?;
    first
        .nbctl
        .run("lr-route-del lr1 10.11.0.0/24 -- lr-route-add lr1 10.12.0.0/24 192.168.1.10")?;
    report.check("a changed route: the new one is learned", || {
        second.wait_learned("10.12.0.0/24", true)
    })?;
    report.check("a changed route: the old one is forgotten", || {
        second.wait_learned("10.11.0.0/24", false)
    })?;
    first.nbctl.run("lr-route-del lr1 10.12.0.0/24")?;
    report.check("a withdrawn route is forgotten", || {
        second.wait_learned("10.12.0.0/24", false)
    })?;
    for i in 1..=50 {
        // One command with many routes would be one transaction; a zone's
        // controller makes them one by one.
        if i % 10 == 1 {
            let line: Vec<String> = (i..i + 10)
                .map(|j| format!("lr-route-add lr2 10.20.{j}.0/24 192.168.2.10"))
                .collect();
            second.nbctl.run(&line.join(" -- "))?;
        }
    }
    report.check("fifty routes are learned", || {
        (1..=50).try_for_each(|i| first.wait_learned(&format!("10.20.{i}.0/24"), true))
    })?;
    let line: Vec<String> = (1..=50)
        .map(|j| format!("lr-route-del lr2 10.20.{j}.0/24"))
        .collect();
    second.nbctl.run(&line.join(" -- "))?;
    report.check("fifty routes are forgotten", || {
        (1..=50).try_for_each(|i| first.wait_learned(&format!("10.20.{i}.0/24"), false))
    })
}

fn hold_back(world: &mut World<'_>, report: &mut Report) -> Result<()> {
    let [first, second] = &mut world.zones;
    first
        .nbctl
        .run("set NB_Global . options:ic-route-blacklist=10.99.0.0/16")?;
    first
        .nbctl
        .run("lr-route-add lr1 10.99.1.0/24 192.168.1.10")?;
    // The second one shows that the first has had its time.
    first
        .nbctl
        .run("lr-route-add lr1 10.98.1.0/24 192.168.1.10")?;
    report.check("a blacklisted subnet stays unknown", || {
        second.wait_learned("10.98.1.0/24", true)?;
        let learned = second.learned()?;
        ensure!(
            !learned.iter().any(|prefix| prefix.starts_with("10.99.")),
            "learned {learned:?}"
        );
        let rows = world
            .sb
            .select("Route", json!([["ip_prefix", "==", "10.99.1.0/24"]]))?;
        ensure!(rows.is_empty(), "advertised: {rows:?}");
        Ok(())
    })?;
    first
        .nbctl
        .run("remove NB_Global . options ic-route-blacklist")?;
    report.check("no longer blacklisted, it is learned", || {
        second.wait_learned("10.99.1.0/24", true)
    })?;
    first
        .nbctl
        .run("lr-route-del lr1 10.99.1.0/24 -- lr-route-del lr1 10.98.1.0/24")?;
    report.check("both are forgotten", || {
        second.wait_learned("10.99.1.0/24", false)?;
        second.wait_learned("10.98.1.0/24", false)
    })
}

fn by_hand(world: &mut World<'_>, report: &mut Report) -> Result<()> {
    for zone in &world.zones {
        zone.nbctl
            .run("set NB_Global . options:ic-route-adv=false options:ic-route-learn=false")?;
    }
    report.check("automatic routes off: nothing is advertised", || {
        world
            .sb
            .wait_for("no route", "Route", json!([]), <[_]>::is_empty)
    })?;
    report.check("automatic routes off: all are forgotten", || {
        let [first, second] = &mut world.zones;
        first.wait_learned("192.168.2.1/24", false)?;
        second.wait_learned("192.168.1.1/24", false)
    })?;
    for (zone, other) in world.zones.iter_mut().zip([2, 1]) {
        let n = zone.number;
        zone.nbctl.run(&format!(
            "lr-route-add lr{n} 192.168.{other}.0/24 169.254.100.{other}"
        ))?;
        report.check(&format!("a manual route works in az{n}"), || {
            let wanted = format!("ip4.dst == 192.168.{other}.0/24");
            zone.sb
                .wait_for("its flow", "Logical_Flow", json!([]), |rows| {
                    rows.iter().any(|row| text(row, "match").contains(&wanted))
                })?;
            zone.wait_remote_port(&format!("ts-lr{other}"), true)?;
            ensure!(zone.learned()?.is_empty(), "something was learned");
            let rows = world.sb.select("Route", json!([]))?;
            ensure!(rows.is_empty(), "advertised: {rows:?}");
            Ok(())
        })?;
        zone.nbctl
            .run(&format!("lr-route-del lr{n} 192.168.{other}.0/24"))?;
    }
    for zone in &world.zones {
        zone.nbctl
            .run("set NB_Global . options:ic-route-adv=true options:ic-route-learn=true")?;
    }
    report.check("automatic routes on again", || {
        let [first, second] = &mut world.zones;
        first.wait_learned("192.168.2.1/24", true)?;
        second.wait_learned("192.168.1.1/24", true)
    })
}
