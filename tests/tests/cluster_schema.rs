//! The schema of a cluster that is taken over: old while a member of the old deployment is left,
//! and then the newest one, unless the contents do not fit it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::cluster::{Cluster, Kind, Options, Wiring, run};
use ovn_ic_db_tests::process::wait_for;
use ovn_ic_db_tests::world::interconnect::Side;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(30);

fn version(cluster: &Cluster, node: usize, side: Side) -> Result<String> {
    let mut client = Client::unix(&cluster.node(node).socket(side))?;
    let schema = client.call("get_schema", json!([side.database()]))?;
    let version = schema["version"].as_str().context("no version")?;
    Ok(version.to_owned())
}

fn versions(cluster: &Cluster, side: Side) -> Result<Vec<String>> {
    let nodes = 0..cluster.size();
    nodes.map(|node| version(cluster, node, side)).collect()
}

/// A gateway whose encapsulation newer schemas do not know.
fn insert_stt_gateway(cluster: &Cluster) -> Result<()> {
    let side = Side::Southbound;
    let leader = cluster.wait_for_leader(side, |_| true)?;
    let mut client = Client::unix(&cluster.node(leader).socket(side))?;
    let operations = [
        json!({"op": "insert", "table": "Availability_Zone", "row": {"name": "z"}, "uuid-name": "z"}),
        json!({"op": "insert", "table": "Encap", "uuid-name": "e",
            "row": {"type": "stt", "ip": "192.0.2.1", "gateway_name": "g"}}),
        json!({"op": "insert", "table": "Gateway", "row": {"name": "g", "hostname": "h",
            "availability_zone": ["named-uuid", "z"], "encaps": ["named-uuid", "e"]}}),
    ];
    let results = client.transact(side.database(), &operations)?;
    ensure!(results.len() == operations.len(), "{results:?}");
    Ok(())
}

fn troubles(cluster: &Cluster, side: Side) -> Result<Vec<String>> {
    let leader = cluster.wait_for_leader(side, |_| true)?;
    cluster.troubles(leader, side)
}

#[test]
fn the_schema_waits_for_the_last_old_member_and_for_contents_that_fit() -> Result<()> {
    let options = Options::three(Kind::Reference, Wiring::Loopback);
    run(&options, |cluster| {
        insert_stt_gateway(cluster)?;
        let before = Side::BOTH.map(|side| versions(cluster, side));
        let [nb_before, sb_before] = before;
        let (nb_before, sb_before) = (nb_before?, sb_before?);
        for node in 0..2 {
            cluster.node_mut(node).stop()?;
            cluster.start_as(node, Kind::Ours)?;
            cluster.wait_until_whole()?;
        }
        // Of ours, somebody leads: it sees that one is of the old kind, again and again.
        if cluster.wait_for_leader(Side::Northbound, |_| true)? == 2 {
            let leave = ["OVN_IC_Northbound", "transfer-leadership"];
            let _ = cluster
                .node(2)
                .control(Side::Northbound, "cluster/failure-test", &leave[1..]);
        }
        std::thread::sleep(Duration::from_secs(5));
        ensure!(versions(cluster, Side::Northbound)? == nb_before);

        cluster.node_mut(2).stop()?;
        cluster.start_as(2, Kind::Ours)?;
        cluster.wait_until_whole()?;
        let after = wait_for("the newer northbound schema", PATIENCE, || {
            // A conversion ends the sessions of who knows nothing of conversions.
            let after = versions(cluster, Side::Northbound).ok();
            Ok(after.filter(|after| after.iter().all(|v| *v != nb_before[0])))
        })?;
        ensure!(
            after.iter().all(|version| *version == after[0]),
            "{after:?}"
        );
        let kept = format!("ovn_ic_nb_db.db.backup{}-", nb_before[0]);
        let mut copies = 0;
        for node in 0..3 {
            let file = cluster.node(node).file(Side::Northbound);
            let folder = std::fs::read_dir(file.parent().context("a folder")?)?;
            let names = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            copies += names.filter(|name| name.starts_with(&kept)).count();
        }
        ensure!(copies > 0, "no {kept}* at any node");

        let said = wait_for("what keeps the southbound", PATIENCE, || {
            let said = troubles(cluster, Side::Southbound)?.join("; ");
            Ok(said.contains("cannot be converted").then_some(said))
        })?;
        ensure!(said.contains("stt"), "{said}");
        ensure!(versions(cluster, Side::Southbound)? == sb_before);
        Ok(())
    })
}
