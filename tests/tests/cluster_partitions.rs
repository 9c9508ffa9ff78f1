//! Links between the nodes of a cluster are cut while clients, who still reach
//! every node, write and watch.

use std::time::Duration;

use anyhow::{Context, Result};
use ovn_ic_db_tests::cluster::network::slow::Pace;
use ovn_ic_db_tests::cluster::status::announced;
use ovn_ic_db_tests::cluster::{
    Aim, Cluster, Kind, Options, Plan, Wiring, Workload, under_workload,
};
use ovn_ic_db_tests::process::wait_for;
use ovn_ic_db_tests::world::interconnect::Side;

/// How long a node may take to tell its clients that it is cut off.
const NEWS: Duration = Duration::from_secs(10);

fn under(plan: &Plan, test: impl FnOnce(&mut Cluster, &Workload) -> Result<()>) -> Result<()> {
    let options = Options::three(Kind::under_test()?, Wiring::Namespaces);
    under_workload(&options, plan, |cluster, workload| {
        test(cluster, workload)?;
        cluster.network().links()?.mend_all()
    })
}

/// Another node than this leads both databases, and clients that are not bound
/// to this one write.
fn goes_on_without(cluster: &Cluster, workload: &Workload, node: usize) -> Result<()> {
    for side in Side::BOTH {
        cluster.wait_for_leader(side, |leader| leader != node)?;
    }
    workload.wait_until_all_write(cluster, &[node])
}

fn leader(cluster: &Cluster) -> Result<usize> {
    cluster.wait_for_leader(Side::Southbound, |_| true)
}

#[test]
fn one_is_cut_from_two() -> Result<()> {
    under(&Plan::default(), |cluster, workload| {
        let first = leader(cluster)?;
        for alone in [first, (first + 1) % 3] {
            cluster.network().links()?.isolate(alone)?;
            for side in Side::BOTH {
                let socket = cluster.node(alone).socket(side);
                let mut last = None;
                wait_for("the news that it is cut off", NEWS, || {
                    let told = announced(&socket, side)?;
                    let cut_off = !told.connected && !told.leader;
                    last = Some(told);
                    Ok(cut_off.then_some(()))
                })
                .with_context(|| format!("{} at node {alone}: {last:?}", side.database()))?;
            }
            goes_on_without(cluster, workload, alone)?;
            cluster.network().links()?.mend_all()?;
            cluster.wait_until_whole()?;
        }
        Ok(())
    })
}

#[test]
fn the_leader_can_only_hear() -> Result<()> {
    under(&Plan::default(), |cluster, workload| {
        let mute = leader(cluster)?;
        for other in (0..3).filter(|other| *other != mute) {
            cluster.network().links()?.cut(mute, other)?;
        }
        goes_on_without(cluster, workload, mute)
    })
}

/// Its heartbeats arrive, so it has to give way by itself.
#[test]
fn the_leader_can_only_speak() -> Result<()> {
    under(&Plan::default(), |cluster, workload| {
        let deaf = leader(cluster)?;
        for other in (0..3).filter(|other| *other != deaf) {
            cluster.network().links()?.cut(other, deaf)?;
        }
        goes_on_without(cluster, workload, deaf)
    })
}

/// The leader keeps a majority, whatever this follower makes of it.
#[test]
fn a_follower_hears_nothing_or_is_not_heard() -> Result<()> {
    under(&Plan::default(), |cluster, workload| {
        let first = leader(cluster)?;
        let other = (first + 1) % 3;
        for (from, to) in [(first, other), (other, first)] {
            cluster.network().links()?.cut(from, to)?;
            workload.wait_until_all_write(cluster, &[other])?;
            workload.wait_for_progress(300)?;
            cluster.network().links()?.mend_all()?;
            cluster.wait_until_whole()?;
        }
        Ok(())
    })
}

#[test]
fn a_link_flaps() -> Result<()> {
    under(&Plan::default(), |cluster, workload| {
        let first = leader(cluster)?;
        let links = cluster.network().links()?;
        for round in 0..20 {
            let pair = (first, (first + 1 + round % 2) % 3);
            links.cut(pair.0, pair.1)?;
            links.cut(pair.1, pair.0)?;
            // The rhythm of the link is what is tested.
            std::thread::sleep(Duration::from_millis(120));
            links.mend_all()?;
            std::thread::sleep(Duration::from_millis(80));
        }
        workload.wait_until_all_write(cluster, &[])
    })
}

/// Far apart: 10 ms each way and more, and now and then a piece that is lost
/// and sent again 300 ms later. Everybody writes. There are few writers, as on
/// the reference those at a follower starve while others write.
#[test]
fn links_are_slow_and_lossy() -> Result<()> {
    let plan = Plan {
        writers: vec![Aim::Member(0), Aim::Member(1), Aim::Member(2)],
        rest: Duration::from_millis(200),
        patience: Duration::from_secs(5),
        ..Plan::default()
    };
    under(&plan, |cluster, workload| {
        let links = cluster.network().links()?;
        links.put_relay_between()?;
        links.slow_down(Pace {
            delay: Duration::from_millis(10),
            jitter: Duration::from_millis(5),
            stalls: 10,
            stall: Duration::from_millis(300),
        })?;
        cluster.wait_until_whole()?;
        workload.wait_until_all_write(cluster, &[])?;
        workload.wait_for_progress(50)?;
        let first = leader(cluster)?;
        cluster.node_mut(first).kill9()?;
        workload.wait_until_all_write(cluster, &[])?;
        cluster.start(first)?;
        cluster.wait_until_whole()?;
        cluster.network().links()?.slow_down(Pace::default())
    })
}
