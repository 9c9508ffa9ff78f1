//! Nodes of one cluster that start, stop and lose their disks in any order, with a network between them
//! that delays messages at random.

mod world;

use proptest::prelude::*;
use uuid::Uuid;

use world::{Disk, Step, Time, World};

/// The variables of one cluster: nobody has a `LEADER_IP`, everybody has the same one, or all
/// but the one that it names, as with the old scripts.
fn agreeing() -> impl Strategy<Value = Vec<Option<usize>>> {
    (
        prop_oneof![Just(3_usize), Just(5)],
        0..3,
        any::<prop::sample::Index>(),
    )
        .prop_map(|(count, kind, leader)| {
            let leader = leader.index(count);
            let of = |node| match kind {
                0 => None,
                1 => Some(leader),
                _ => Some(leader).filter(|leader| *leader != node),
            };
            (0..count).map(of).collect()
        })
}

/// Any variables.
fn any_leaders() -> impl Strategy<Value = Vec<Option<usize>>> {
    prop_oneof![Just(3_usize), Just(5)]
        .prop_flat_map(|count| prop::collection::vec(prop::option::of(0..count), count))
}

/// Whether any node may found by its variables.
fn somebody_may(leaders: &[Option<usize>]) -> bool {
    let named = |node: usize| leaders.contains(&Some(node));
    let may = |(node, leader): (usize, &Option<usize>)| match leader {
        Some(leader) => *leader == node,
        None => node == 0 || named(node),
    };
    leaders.iter().enumerate().any(may)
}

/// When nodes start, and which are stopped for how long, in milliseconds.
type Plan = (Vec<Time>, Vec<(prop::sample::Index, Time, Time)>);

fn plan(apart: Time, pause: Time) -> impl Strategy<Value = Plan> {
    (
        prop::collection::vec(0..apart, 5),
        prop::collection::vec(
            (any::<prop::sample::Index>(), 0..15_000_u64, 1..pause),
            0..4,
        ),
    )
}

fn schedule(world: &mut World, (starts, pauses): &Plan) {
    let count = world.nodes.len();
    for (node, start) in starts.iter().enumerate().take(count) {
        world.plan(*start, Step::Start(node));
    }
    for (node, at, pause) in pauses {
        let node = node.index(count);
        // Not before its first start.
        let at = at + starts[node];
        world.plan(at, Step::Stop(node));
        world.plan(at + pause, Step::Start(node));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// At once, or minutes apart, with restarts of any length: one node founds, and all become members.
    #[test]
    fn one_cluster_comes_of_agreeing_variables(
        leaders in agreeing(),
        apart in prop_oneof![Just(1_u64), Just(2_000), Just(600_000)],
        seed: u64,
        plan in plan(1_000, 20_000),
    ) {
        let mut world = World::new(&leaders, seed);
        let (starts, pauses) = plan;
        let starts = starts.into_iter().map(|start| start * apart / 1_000).collect();
        schedule(&mut world, &(starts, pauses));
        world.run_until(900_000);
        prop_assert_eq!(world.clusters.len(), 1);
        let all = vec![Some(world.clusters[0]); leaders.len()];
        prop_assert_eq!(world.members(), all);
    }

    /// Whatever LEADER_IP says on each node, at most one founds; nodes that are stopped come back soon.
    #[test]
    fn at_most_one_cluster_comes_of_any_variables(
        leaders in any_leaders(),
        seed: u64,
        plan in plan(5_000, 500),
    ) {
        let mut world = World::new(&leaders, seed);
        schedule(&mut world, &plan);
        world.run_until(120_000);
        let expected = usize::from(somebody_may(&leaders));
        prop_assert_eq!(world.clusters.len(), expected);
        if expected == 1 {
            prop_assert_eq!(world.members(), vec![Some(world.clusters[0]); leaders.len()]);
        }
    }

    /// As long as one member is there, nobody who lost its disk founds; a majority makes members of all.
    #[test]
    fn nobody_founds_beside_a_survivor(
        leaders in any_leaders(),
        survivor in any::<prop::sample::Index>(),
        without_majority: bool,
        seed: u64,
        plan in plan(5_000, 20_000),
    ) {
        let mut world = World::new(&leaders, seed);
        let survivor = survivor.index(leaders.len());
        let cluster = Uuid::from_u128(77);
        world.nodes[survivor].disk = Disk::Member(cluster);
        world.without_majority = without_majority;
        let (starts, mut pauses) = plan;
        world.plan(0, Step::Start(survivor));
        pauses.retain(|(node, ..)| node.index(leaders.len()) != survivor);
        schedule(&mut world, &(starts, pauses));
        world.run_until(120_000);
        prop_assert!(world.clusters.is_empty());
        for (node, member) in world.members().into_iter().enumerate() {
            prop_assert_eq!(member, Some(cluster).filter(|_| node == survivor || !without_majority));
        }
    }

    /// All have lost their disks while they were joining, and say so: they begin anew together.
    #[test]
    fn joining_files_alone_do_not_wait_for_ever(
        leaders in agreeing(),
        joining in prop::collection::vec(any::<bool>(), 5),
        seed: u64,
        plan in plan(5_000, 20_000),
    ) {
        let mut world = World::new(&leaders, seed);
        for (node, joining) in world.nodes.iter_mut().zip(joining) {
            if joining {
                node.disk = Disk::Joining;
            }
        }
        schedule(&mut world, &plan);
        world.run_until(300_000);
        prop_assert_eq!(world.clusters.len(), 1);
        prop_assert_eq!(world.members(), vec![Some(world.clusters[0]); leaders.len()]);
    }

    /// Not all reach each other: those that do, or that both reach a third one that runs, never both found.
    #[test]
    fn nobody_founds_beside_a_founder_in_reach(
        leaders in any_leaders(),
        apart in prop::collection::btree_set((0..5_usize, 0..5_usize), 0..6),
        seed: u64,
        starts in prop::collection::vec(0..5_000_u64, 5),
    ) {
        let mut world = World::new(&leaders, seed);
        world.apart = apart.into_iter().filter(|(a, b)| a < b).collect();
        schedule(&mut world, &(starts.clone(), Vec::new()));
        world.run_until(120_000);
        // A node that has only just started has not been heard yet.
        let runs = |node: usize, at: Time| starts[node] + 1_000 < at;
        for (place, (a, at)) in world.founders.iter().enumerate() {
            for (b, before) in &world.founders[..place] {
                prop_assert!(!world.reach_each_other(*a, *b), "{a} and {b}");
                let both_reach = |c: &usize| {
                    world.reach_each_other(*a, *c) && world.reach_each_other(*c, *b)
                };
                let between = (0..leaders.len())
                    .filter(both_reach)
                    .find(|c| c != a && c != b && runs(*c, *at.min(before)));
                prop_assert_eq!(between, None, "{} and {}", a, b);
            }
        }
    }
}
