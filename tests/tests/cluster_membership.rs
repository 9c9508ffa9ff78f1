//! Members are added and removed while clients write and watch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::cluster::status::announced;
use ovn_ic_db_tests::cluster::{
    Cluster, Kind, Options, Plan, Variables, Wiring, Workload, run, under_workload,
};
use ovn_ic_db_tests::process::wait_for;
use ovn_ic_db_tests::world::interconnect::Side;

/// Of whoever hears of it, or is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

fn under(spare: usize, test: impl FnOnce(&mut Cluster, &Workload) -> Result<()>) -> Result<()> {
    let options = Options {
        spare,
        ..Options::three(Kind::under_test()?, Wiring::Loopback)
    };
    under_workload(&options, &Plan::default(), test)
}

/// Lets a working node leave both clusters, and stops it without its files.
fn leave(cluster: &mut Cluster, node: usize, left: usize) -> Result<()> {
    for side in Side::BOTH {
        let command = cluster.node(node);
        command.control(side, "cluster/leave", &[side.database()])?;
    }
    let others: Vec<usize> = cluster.working();
    let others = others.into_iter().filter(|other| *other != node);
    for other in others {
        cluster.wait_for_servers_at(other, left)?;
    }
    cluster.node_mut(node).kill9()?;
    cluster.node_mut(node).lose_disk()
}

/// Removes a node that does not work from both clusters.
fn kick(cluster: &mut Cluster, ids: &[String; 2], left: usize) -> Result<()> {
    for (side, id) in Side::BOTH.into_iter().zip(ids) {
        let leader = cluster.wait_for_leader(side, |_| true)?;
        let leader = cluster.node(leader);
        leader.control(side, "cluster/kick", &[side.database(), id])?;
    }
    cluster.wait_for_servers(left)
}

/// The server ids of a working node in both databases.
fn ids(cluster: &Cluster, node: usize) -> Result<[String; 2]> {
    let [northbound, southbound] = Side::BOTH.map(|side| cluster.status(node, side));
    Ok([northbound?.server_id, southbound?.server_id])
}

/// The terms that the clusters are in.
fn terms(cluster: &Cluster) -> Result<[u64; 2]> {
    let [northbound, southbound] = Side::BOTH.map(|side| {
        let leader = cluster.wait_for_leader(side, |_| true)?;
        anyhow::Ok(cluster.status(leader, side)?.term)
    });
    Ok([northbound?, southbound?])
}

fn join(cluster: &mut Cluster, node: usize, size: usize) -> Result<()> {
    cluster.start_as(node, Kind::under_test()?)?;
    cluster.wait_until_whole()?;
    cluster.wait_for_servers(size)
}

#[test]
fn a_fourth_joins_and_the_leader_leaves_and_one_is_kicked() -> Result<()> {
    under(1, |cluster, workload| {
        let fourth = cluster.add_node()?;
        join(cluster, fourth, 4)?;
        let first = cluster.wait_for_leader(Side::Southbound, |_| true)?;
        leave(cluster, first, 3)?;
        workload.wait_until_all_write(cluster, &[])?;
        let victim = (0..3).find(|node| *node != first).context("a victim")?;
        let kicked = ids(cluster, victim)?;
        cluster.node_mut(victim).kill9()?;
        workload.wait_until_all_write(cluster, &[])?;
        kick(cluster, &kicked, 2)?;
        workload.wait_until_all_write(cluster, &[])?;
        // Both come back as new servers.
        cluster.node_mut(victim).lose_disk()?;
        join(cluster, victim, 3)?;
        ensure!(
            ids(cluster, victim)? != kicked,
            "a kicked server has come back"
        );
        join(cluster, first, 4)
    })
}

#[test]
fn down_to_one_member_and_back_to_three() -> Result<()> {
    under(0, |cluster, workload| {
        leave(cluster, 2, 2)?;
        workload.wait_until_all_write(cluster, &[])?;
        leave(cluster, 0, 1)?;
        workload.wait_until_all_write(cluster, &[])?;
        join(cluster, 0, 2)?;
        workload.wait_until_all_write(cluster, &[])?;
        join(cluster, 2, 3)
    })
}

/// Its file says that it is a member: the leader tells it otherwise.
#[test]
fn a_node_that_is_kicked_while_it_is_down_comes_back_as_a_new_server() -> Result<()> {
    let options = Options::three(Kind::Ours, Wiring::Loopback);
    under_workload(&options, &Plan::default(), |cluster, workload| {
        let leader = cluster.wait_for_leader(Side::Southbound, |_| true)?;
        let victim = (leader + 1) % 3;
        let kicked = ids(cluster, victim)?;
        cluster.node_mut(victim).kill9()?;
        workload.wait_until_all_write(cluster, &[])?;
        kick(cluster, &kicked, 2)?;
        let before = terms(cluster)?;
        cluster.start(victim)?;
        cluster.wait_for_servers(3)?;
        cluster.wait_until_whole()?;
        let [nb, sb] = ids(cluster, victim)?;
        ensure!(
            nb != kicked[0] && sb != kicked[1],
            "a kicked server is back"
        );
        ensure!(terms(cluster)? == before, "it has disturbed the others");
        for side in Side::BOTH {
            let file = cluster.node(victim).file(side);
            let name = file.file_name().context("a name")?.to_string_lossy();
            let folder = std::fs::read_dir(file.parent().context("a folder")?)?;
            let kept = format!("{name}.left-");
            let mut names = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            ensure!(names.any(|name| name.starts_with(&kept)), "no {kept}*");
        }
        Ok(())
    })
}

/// Nothing says that the node is to have another server: it serves nobody, and says why.
#[test]
fn without_variables_a_kicked_server_stays_away_and_says_so() -> Result<()> {
    let alone = Arc::new(AtomicBool::new(false));
    let variables = Variables::new({
        let alone = Arc::clone(&alone);
        move |node, site| {
            if !alone.load(Ordering::Relaxed) {
                return Vec::new();
            }
            let unset = ["LOCAL_IP", "NODE_IPS", "LEADER_IP", "ENABLE_BIND_LOCAL_IP"];
            let unset = unset.map(|name| (name.to_owned(), String::new()));
            let address = site.addresses[node.number()].to_string();
            let listen = ("OVN_IC_DB_LISTEN".to_owned(), address);
            unset.into_iter().chain([listen]).collect()
        }
    });
    let options = Options {
        variables,
        ..Options::three(Kind::Ours, Wiring::Loopback)
    };
    run(&options, |cluster| {
        let leader = cluster.wait_for_leader(Side::Southbound, |_| true)?;
        let victim = (leader + 1) % 3;
        let kicked = ids(cluster, victim)?;
        cluster.node_mut(victim).kill9()?;
        kick(cluster, &kicked, 2)?;
        let before = terms(cluster)?;
        alone.store(true, Ordering::Relaxed);
        cluster.start(victim)?;
        for side in Side::BOTH {
            wait_for("what it was told", PATIENCE, || {
                // It may not listen yet.
                let said = cluster.troubles(victim, side).unwrap_or_default();
                let removed = said.iter().any(|said| said.contains("was removed"));
                Ok(removed.then_some(()))
            })?;
            let status = cluster.status(victim, side)?;
            ensure!(status.role != "leader", "{status:?}");
            ensure!(
                !announced(&cluster.node(victim).socket(side), side)?.connected,
                "clients are to stay"
            );
        }
        ensure!(ids(cluster, victim)? == kicked, "another server");
        ensure!(terms(cluster)? == before, "it has disturbed the others");
        // With them it comes back.
        cluster.node_mut(victim).stop()?;
        alone.store(false, Ordering::Relaxed);
        cluster.start(victim)?;
        cluster.wait_for_servers(3)?;
        cluster.wait_until_whole()?;
        let [nb, sb] = ids(cluster, victim)?;
        ensure!(nb != kicked[0] && sb != kicked[1], "a kicked server");
        Ok(())
    })
}
