//! Three nodes with addresses of their own, by the variables of both generations of the guide.

use anyhow::{Result, ensure};
use ovn_ic_db_tests::container::docker::PATIENCE;
use ovn_ic_db_tests::container::writers::{Writers, names};
use ovn_ic_db_tests::container::{Nodes, old};
use ovn_ic_db_tests::process::wait_for;
use ovn_ic_db_tests::world::interconnect::Side;

/// Those of the newest installer's pods.
fn newer(number: usize, addresses: &[String]) -> Vec<String> {
    vec![
        "ENABLE_SSL=false".to_owned(),
        "TS_NUM=3".to_owned(),
        format!("NODE_IPS={}", addresses.join(",")),
        format!("POD_IP={}", addresses[number]),
        format!("POD_IPS={}", addresses[number]),
        "OVN_LEADER_PROBE_INTERVAL=1".to_owned(),
    ]
}

#[test]
fn nothing_is_lost_while_nodes_die_are_cut_off_and_are_upgraded() -> Result<()> {
    let mut nodes = Nodes::new(old::variables)?;
    let writers = Writers::start(&nodes.places, &nodes.remotes(Side::Northbound))?;
    writers.wait_until_all_write()?;

    nodes.containers[0].kill()?;
    writers.wait_until_all_write()?;
    nodes.containers[0].start()?;
    nodes.wait_until_whole()?;
    writers.wait_until_all_write()?;

    let cut = &nodes.containers[1];
    nodes.sandbox.cut_off(cut)?;
    wait_for("a member that says that it is alone", PATIENCE, || {
        Ok(cut.exec(&["ovn-ic-db", "health"]).is_err().then_some(()))
    })?;
    cut.exec(&["ovn-ic-db", "health", "--alive"])?;
    writers.wait_until_all_write()?;
    nodes.sandbox.bring_back(cut, &nodes.addresses[1])?;
    nodes.wait_until_whole()?;

    let second = nodes.sandbox.images.second.clone();
    for number in 0..3 {
        let (_, status) = nodes.containers[number].stop()?;
        ensure!(status == 0, "{}", nodes.containers[number].logs()?);
        nodes.containers[number].remove()?;
        nodes.containers[number] = nodes.start(number, &second, "second")?;
        nodes.wait_until_whole()?;
        writers.wait_until_all_write()?;
    }
    let acknowledged = writers.finish(&nodes.places)?;
    println!("{acknowledged} acknowledged writes, and all of them are there");
    Ok(())
}

#[test]
fn the_newest_installers_variables() -> Result<()> {
    let nodes = Nodes::new(newer)?;
    for place in &nodes.places {
        wait_for("three transit switches", PATIENCE, || {
            let names = names(place, Side::Northbound, "Transit_Switch")?;
            Ok((names == ["ts", "ts1", "ts2"]).then_some(()))
        })?;
    }
    let socket = "/var/run/ovn/ovn_ic_nb_db.ctl";
    let line = [
        "ovn-appctl",
        "-t",
        socket,
        "cluster/status",
        "OVN_IC_Northbound",
    ];
    let status = nodes.containers[2].exec(&line)?;
    ensure!(status.contains("Status: cluster member"), "{status}");
    // A pod's node listens on its own address alone.
    let remotes =
        nodes.containers[2].exec(&["ovn-appctl", "-t", socket, "ovsdb-server/list-remotes"])?;
    ensure!(remotes.contains(&nodes.addresses[2]), "{remotes}");
    Ok(())
}
