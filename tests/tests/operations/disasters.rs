//! Nodes that are lost: one, most, all.

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::container::docker::PATIENCE;
use ovn_ic_db_tests::container::writers::{Writers, names};
use ovn_ic_db_tests::operations::Site;
use ovn_ic_db_tests::process::wait_for;
use ovn_ic_db_tests::world::interconnect::Side;
use ovn_ic_db_tests::world::zone::Zone;

use crate::sections::*;

fn add_switch(site: &Site, machine: char, name: &str) -> Result<()> {
    let line = ["ovn-ic-nbctl", "--no-leader-only", "--timeout=20", "ts-add"];
    let container = site.container(machine);
    container.exec(&[&line[..], &[name]].concat()).map(drop)
}

/// Waits until each of these machines knows as many members as they are.
fn wait_for_members(site: &Site, machines: &str) -> Result<()> {
    for machine in machines.chars() {
        wait_for("the members", PATIENCE, || {
            let counted = Side::BOTH.iter().all(|side| {
                let status = site.place(machine).status(*side);
                status.is_ok_and(|status| status.servers.len() == machines.len())
            });
            Ok(counted.then_some(()))
        })
        .with_context(|| machine.to_string())?;
    }
    Ok(())
}

/// Whether all of these machines have these switches, and the zone.
fn check(site: &Site, machines: &str, switches: &[&str]) -> Result<()> {
    for machine in machines.chars() {
        let there = names(site.place(machine), Side::Northbound, "Transit_Switch")?;
        ensure!(there == switches, "{machine}: {there:?}");
        let zones = names(site.place(machine), Side::Southbound, "Availability_Zone")?;
        ensure!(zones == ["az1"], "{machine}: {zones:?}");
    }
    Ok(())
}

#[test]
fn one_node_is_replaced_under_writers() -> Result<()> {
    let site = Site::new()?;
    site.follow(INSTALL_THREE)?;
    let writers = Writers::start(&site.places("ABC"), &site.remotes("ABCD", Side::Northbound))?;
    writers.wait_until_all_write()?;
    site.lose('C')?;
    writers.wait_until_all_write()?;
    site.follow(LOST_DISK)?;
    wait_for_members(&site, "ABC")?;
    writers.wait_until_all_write()?;
    site.lose('C')?;
    site.follow(OTHER_ADDRESS)?;
    wait_for_members(&site, "ABD")?;
    writers.wait_until_all_write()?;
    let acknowledged = writers.finish(&site.places("ABD"))?;
    println!("{acknowledged} acknowledged writes, and all of them are there");
    Ok(())
}

#[test]
fn most_nodes_and_then_all_are_lost_and_a_zone_goes_on() -> Result<()> {
    let site = Site::new()?;
    site.follow(INSTALL_THREE)?;
    let folder = tempfile::tempdir()?;
    let remotes = |side| site.remotes("ABC", side);
    let mut zone = Zone::start(1, folder.path(), &remotes)?;
    zone.wait_switch("ts", true)?;
    for name in ["one", "two"] {
        add_switch(&site, 'A', name)?;
        zone.wait_switch(name, true)?;
    }

    site.lose('B')?;
    site.lose('C')?;
    let survivor = site.container('A');
    wait_for("a survivor that says that nobody leads", PATIENCE, || {
        let health = survivor.exec(&["ovn-ic-db", "health"]);
        Ok(health.is_err().then_some(()))
    })?;
    site.follow(MAJORITY_LOST)?;
    wait_for_members(&site, "ABC")?;
    check(&site, "ABC", &["one", "ts", "two"])?;
    add_switch(&site, 'C', "three")?;
    zone.wait_switch("three", true)?;

    site.follow(BACKUP)?;
    add_switch(&site, 'C', "later")?;
    zone.wait_switch("later", true)?;
    for machine in "ABC".chars() {
        site.lose(machine)?;
    }
    site.follow(ALL_LOST)?;
    wait_for_members(&site, "ABC")?;
    // The zone has seen a later state of a cluster that is no more, and follows this one.
    zone.wait_switch("later", false)?;
    add_switch(&site, 'B', "four")?;
    zone.wait_switch("four", true)?;
    check(&site, "ABC", &["four", "one", "three", "ts", "two"])
}
