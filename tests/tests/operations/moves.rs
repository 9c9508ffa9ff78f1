//! From the old deployment to ours and back.

use std::fs;

use anyhow::{Result, ensure};
use ovn_ic_db_tests::container::writers::{Writers, names};
use ovn_ic_db_tests::operations::{Old, Site};
use ovn_ic_db_tests::world::interconnect::Side;

use crate::sections::*;

/// Makes a switch and a zone at one of the machines.
fn write(site: &Site, machine: char, name: &str) -> Result<()> {
    let container = site.container(machine);
    let patience = "--timeout=20";
    container.exec(&["ovn-ic-nbctl", "--no-leader-only", patience, "ts-add", name])?;
    let row = format!("name={name}");
    let create = ["create", "Availability_Zone", &row];
    let fixed = ["ovn-ic-sbctl", "--no-leader-only", patience];
    container.exec(&[&fixed[..], &create].concat())?;
    Ok(())
}

/// Whether these and no other zones are there, and at least these switches.
fn check(site: &Site, machines: &str, expected: &[&str]) -> Result<()> {
    for place in site.places(machines) {
        let switches = names(&place, Side::Northbound, "Transit_Switch")?;
        let there = |name: &&str| switches.iter().any(|switch| switch == name);
        ensure!(expected.iter().all(there), "{switches:?}");
        let zones = names(&place, Side::Southbound, "Availability_Zone")?;
        ensure!(zones == expected, "{zones:?}");
    }
    Ok(())
}

#[test]
fn one_node_there_and_back() -> Result<()> {
    let mut site = Site::new()?;
    site.start_old(Old::Alone)?;
    write(&site, 'A', "before")?;
    site.follow(MOVE_ONE)?;
    check(&site, "A", &["before"])?;
    write(&site, 'A', "meanwhile")?;
    site.follow(MOVE_ONE_BACK)?;
    check(&site, "A", &["before", "meanwhile"])?;
    site.follow(MOVE_ONE_COPY)?;
    check(&site, "A", &["before"])
}

#[test]
fn three_nodes_at_once_there_and_back() -> Result<()> {
    let mut site = Site::new()?;
    site.start_old(Old::ClusterWithTls)?;
    write(&site, 'B', "before")?;
    site.follow(MOVE_THREE)?;
    check(&site, "ABC", &["before"])?;
    for machine in "ABC".chars() {
        let settings = fs::read_to_string(site.place(machine).path().join("etc/ovn-ic-db.env"))?;
        for line in [
            "ENABLE_SSL=true",
            "OVN_IC_DB_RAFT_TLS=false",
            "OVN_DBDIR=/etc/ovn",
            "OVN_LEADER_PROBE_INTERVAL=7",
        ] {
            ensure!(
                settings.lines().any(|one| one == line),
                "{line}: {settings}"
            );
        }
        let hosts = site.hosts("ABC");
        let status = ["ovn-ic-db", "status", "--host", &hosts];
        let said = site.container(machine).exec(&status)?;
        ensure!(said.contains("leader ssl:"), "{said}");
    }
    write(&site, 'C', "meanwhile")?;
    site.follow(MOVE_THREE_BACK)?;
    check(&site, "ABC", &["before", "meanwhile"])?;
    site.follow(MOVE_THREE_COPY)?;
    check(&site, "ABC", &["before"])
}

#[test]
fn one_node_at_a_time_there_and_back_under_writers() -> Result<()> {
    let mut site = Site::new()?;
    site.start_old(Old::Cluster)?;
    let places = site.places("ABC");
    let writers = Writers::start(&places, &site.remotes("ABC", Side::Northbound))?;
    writers.wait_until_all_write()?;
    site.follow(MOVE_EACH)?;
    writers.wait_until_all_write()?;
    site.follow(MOVE_EACH_BACK)?;
    writers.wait_until_all_write()?;
    let acknowledged = writers.finish(&places)?;
    println!("{acknowledged} acknowledged writes, and all of them are there");
    Ok(())
}
