//! The folders that the old deployment left, taken over and given back.

use std::fs;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::container::writers::names;
use ovn_ic_db_tests::container::{Container, Place, Sandbox, old};
use ovn_ic_db_tests::world::interconnect::Side;
use serde_json::json;

/// Starts ours on a node's folders.
fn ours(sandbox: &Sandbox, name: &str, place: &Place, options: &[&str]) -> Result<Container> {
    let volumes = place.volumes();
    let mut all: Vec<&str> = volumes.iter().map(String::as_str).collect();
    all.extend(options);
    let command = [&sandbox.images.ours, "bash", "start-ic-db.sh"];
    sandbox.run(name, &all, &command)
}

fn schema_version(container: &Container, side: Side) -> Result<String> {
    let file = format!("/etc/ovn/{}.db", side.file_stem());
    let command = match container.exec(&["ovsdb-tool", "db-is-clustered", &file]) {
        Ok(_) => return Ok("clustered".to_owned()),
        Err(_) => "db-version",
    };
    let version = container.exec(&["ovsdb-tool", command, &file])?;
    Ok(version.trim().to_owned())
}

/// The one copy that a conversion has left beside a database of this schema version.
fn copy(place: &Place, side: Side, version: &str) -> Result<String> {
    let begin = format!("{}.db.backup{version}-", side.file_stem());
    let names = place.names("etc")?;
    let found = names.iter().find(|name| name.starts_with(&begin));
    found
        .cloned()
        .with_context(|| format!("{begin}*: {names:?}"))
}

#[test]
fn one_node_there_and_back() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let place = sandbox.place(0)?;
    let before = old::start(&sandbox, "before", &place, None)?;
    old::wait_until_served(&before)?;
    before.exec(&["ovn-ic-nbctl", "ts-add", "kept"])?;
    before.exec(&["ovn-ic-sbctl", "create", "Availability_Zone", "name=az1"])?;
    ensure!(schema_version(&before, Side::Southbound)? == "1.1.1");
    before.stop()?;
    let untouched = fs::read(place.file(Side::Southbound))?;

    let ours = ours(&sandbox, "ours", &place, &["--network=none"])?;
    ours.wait_for(&["ovn-ic-db", "health"])?;
    ensure!(names(&place, Side::Northbound, "Transit_Switch")? == ["kept", "ts"]);
    ensure!(names(&place, Side::Southbound, "Availability_Zone")? == ["az1"]);
    ensure!(schema_version(&ours, Side::Southbound)? == "2.7.0");
    // The copy of before the conversion is the file as it was.
    let kept = copy(&place, Side::Southbound, "1.1.1")?;
    let copied = fs::read(place.path().join("etc").join(&kept))?;
    ensure!(copied == untouched, "{kept} is not the old file");

    // Two bindings that the newer schema has room for, as they are of different switches. To the
    // older one the key alone must be unique.
    let mut client = Client::unix(&place.socket(Side::Southbound))?;
    let binding = |name: &str, id: &str| {
        json!({"op": "insert", "table": "Datapath_Binding", "row": {
            "transit_switch": name, "tunnel_key": 7, "nb_ic_uuid": ["uuid", id]}})
    };
    let both = [
        binding("one", "00000000-0000-4000-8000-000000000001"),
        binding("two", "00000000-0000-4000-8000-000000000002"),
    ];
    let results = client.transact("OVN_IC_Southbound", &both)?;
    ensure!(results.len() == 2, "{results:?}");
    drop(client);
    let (_, status) = ours.stop()?;
    ensure!(status == 0);

    let after = old::start(&sandbox, "after", &place, None)?;
    old::wait_until_served(&after)?;
    ensure!(schema_version(&after, Side::Southbound)? == "1.1.1");
    ensure!(names(&place, Side::Northbound, "Transit_Switch")? == ["kept", "ts"]);
    // The old tool converts all rows in one transaction and does not mind that it fails: with
    // that one pair, the whole contents are gone, and docs/container.md warns of it.
    for table in ["Availability_Zone", "Datapath_Binding"] {
        let left = after.exec(&["ovn-ic-sbctl", "--bare", "list", table])?;
        ensure!(left.trim().is_empty(), "{table}: {left}");
    }
    // What was dropped is in the copy that ovn-ctl made on the way back.
    let newer = copy(&place, Side::Southbound, "2.7.0")?;
    let text = fs::read_to_string(place.path().join("etc").join(&newer))?;
    ensure!(
        text.contains("\"one\"") && text.contains("\"two\""),
        "{newer}"
    );
    // And the copy that was made on the way there is still the old one.
    ensure!(fs::read(place.path().join("etc").join(&kept))? == untouched);
    after.stop()?;
    Ok(())
}

#[test]
fn three_nodes_there_and_back() -> Result<()> {
    let mut sandbox = Sandbox::new()?;
    let addresses = (0..3).map(|number| sandbox.address(number));
    let addresses: Vec<String> = addresses.collect::<Result<_>>()?;
    let places = (0..3).map(|number| sandbox.place(number));
    let places: Vec<Place> = places.collect::<Result<_>>()?;
    let start_old = |round: &str| -> Result<Vec<Container>> {
        let nodes = places.iter().enumerate().map(|(number, place)| {
            let name = format!("{round}-{number}");
            old::start(&sandbox, &name, place, Some((number, &addresses)))
        });
        let nodes: Vec<Container> = nodes.collect::<Result<_>>()?;
        for node in &nodes {
            old::wait_until_served(node)?;
        }
        Ok(nodes)
    };
    let remotes: Vec<String> = addresses
        .iter()
        .map(|a| format!("tcp:[{a}]:6645"))
        .collect();
    let list = format!("--db={}", remotes.join(","));
    let before = start_old("before")?;
    before[0].wait_for(&["ovn-ic-nbctl", "--timeout=5", &list, "ts-add", "kept"])?;
    for container in &before {
        container.stop()?;
    }

    let mut ours_all = Vec::new();
    for (number, place) in places.iter().enumerate() {
        let own = format!("LOCAL_IP={}", addresses[number]);
        let all = format!("NODE_IPS={}", addresses.join(","));
        let leader = format!("LEADER_IP={}", addresses[0]);
        let mut options = vec!["--network", sandbox.network()?, "--ip", &addresses[number]];
        options.extend(["--env", &own, "--env", &all]);
        if number > 0 {
            options.extend(["--env", &leader]);
        }
        ours_all.push(ours(&sandbox, &format!("ours-{number}"), place, &options)?);
    }
    for container in &ours_all {
        container.wait_for(&["ovn-ic-db", "health"])?;
    }
    ours_all[1].exec(&["ovn-ic-nbctl", "--timeout=20", &list, "ts-add", "new"])?;
    for container in &ours_all {
        let (_, status) = container.stop()?;
        ensure!(status == 0, "{}", container.logs()?);
    }

    let after = start_old("after")?;
    after[2].wait_for(&["ovn-ic-nbctl", "--timeout=5", &list, "show"])?;
    let switches = names(&places[2], Side::Northbound, "Transit_Switch")?;
    ensure!(
        switches.contains(&"kept".to_owned()) && switches.contains(&"new".to_owned()),
        "{switches:?}"
    );
    Ok(())
}
