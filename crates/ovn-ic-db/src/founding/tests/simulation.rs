//! Nodes of one cluster that start, stop and lose their disks in any order, with a network between them
//! that delays messages at random.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use uuid::Uuid;

use super::super::*;
use super::scripts::settings;
use crate::settings::ClusterSettings;

/// Milliseconds since the beginning.
type Time = u64;

/// What lasts when a node is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    Empty,
    Joining,
    Member(Uuid),
}

enum Life {
    Down,
    Deciding(Box<Founding>),
    Member(Uuid),
}

struct Node {
    settings: ClusterSettings,
    disk: Disk,
    life: Life,
    /// One process: what was sent to another one is lost.
    process: u64,
}

#[derive(Debug, Clone)]
enum Step {
    Start(usize),
    Stop(usize),
    /// Tries to connect, again and again.
    Dial(usize, u64, usize),
    Deliver {
        to: usize,
        process: u64,
        event: Event,
    },
    Look(usize, u64),
    /// The new cluster's file is written.
    Founded(usize, u64),
    /// A leader takes the node in, if there is one.
    Admit(usize, u64),
}

struct World {
    nodes: Vec<Node>,
    /// Who takes nobody in: its majority is gone.
    without_majority: bool,
    /// Pairs that do not reach each other, the lower number first.
    apart: BTreeSet<(usize, usize)>,
    start: Instant,
    now: Time,
    steps: BinaryHeap<Reverse<(Time, u64, usize)>>,
    agenda: Vec<Option<Step>>,
    /// When the last message between two nodes arrives: they stay in order.
    arrivals: BTreeMap<(usize, usize), Time>,
    dice: u64,
    clusters: Vec<Uuid>,
    founders: Vec<usize>,
}

fn address(node: usize) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, node as u8 + 1).into()
}

impl World {
    /// `leaders`: whom each node's `LEADER_IP` names.
    fn new(leaders: &[Option<usize>], seed: u64) -> World {
        let list: Vec<String> = (0..leaders.len()).map(|n| address(n).to_string()).collect();
        let list = list.join(",");
        let node = |(own, leader): (usize, &Option<usize>)| {
            let text = |node: usize| address(node).to_string();
            Node {
                settings: settings(&|name| match name {
                    "NODE_IPS" => Some(list.clone()),
                    "LOCAL_IP" => Some(text(own)),
                    "LEADER_IP" => leader.map(text),
                    _ => None,
                }),
                disk: Disk::Empty,
                life: Life::Down,
                process: 0,
            }
        };
        World {
            nodes: leaders.iter().enumerate().map(node).collect(),
            without_majority: false,
            apart: BTreeSet::new(),
            start: Instant::now(),
            now: 0,
            steps: BinaryHeap::new(),
            agenda: Vec::new(),
            arrivals: BTreeMap::new(),
            dice: seed | 1,
            clusters: Vec::new(),
            founders: Vec::new(),
        }
    }

    fn reach_each_other(&self, a: usize, b: usize) -> bool {
        !self.apart.contains(&(a.min(b), a.max(b)))
    }

    /// A number below `most` (xorshift).
    fn roll(&mut self, most: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % most
    }

    fn plan(&mut self, at: Time, step: Step) {
        let place = self.agenda.len();
        self.steps.push(Reverse((at, place as u64, place)));
        self.agenda.push(Some(step));
    }

    fn soon(&mut self, most: u64, step: Step) {
        let at = self.now + self.roll(most) + 1;
        self.plan(at, step);
    }

    fn instant(&self) -> Instant {
        self.start + Duration::from_millis(self.now)
    }

    fn run_until(&mut self, end: Time) {
        while let Some(Reverse((at, _, place))) = self.steps.peek().copied() {
            if at > end {
                break;
            }
            self.steps.pop();
            self.now = at;
            if let Some(step) = self.agenda[place].take() {
                self.step(step);
            }
        }
        self.now = end;
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Start(node) => self.begin(node),
            Step::Stop(node) => self.stop(node),
            Step::Dial(node, process, other) => self.dial(node, process, other),
            Step::Deliver { to, process, event } if self.nodes[to].process == process => {
                self.tell(to, event);
            }
            Step::Look(node, process) if self.nodes[node].process == process => {
                self.tell(node, Event::Tick);
            }
            Step::Founded(node, process) if self.nodes[node].process == process => {
                let cluster = Uuid::from_u128(self.clusters.len() as u128 + 1);
                self.clusters.push(cluster);
                self.founders.push(node);
                self.become_member(node, cluster);
            }
            Step::Admit(node, process) if self.nodes[node].process == process => self.admit(node),
            _ => {}
        }
    }

    fn begin(&mut self, node: usize) {
        if !matches!(self.nodes[node].life, Life::Down) {
            return;
        }
        self.nodes[node].process += 1;
        let now = self.instant();
        let it = &mut self.nodes[node];
        let past = match it.disk {
            Disk::Member(cluster) => {
                it.life = Life::Member(cluster);
                return self.dial_all(node);
            }
            Disk::Joining => Past::Joining,
            Disk::Empty => Past::Nothing,
        };
        it.life = Life::Deciding(Box::new(Founding::new(&it.settings, past, &[], now)));
        self.dial_all(node);
        self.tell(node, Event::Tick);
    }

    fn stop(&mut self, node: usize) {
        self.nodes[node].life = Life::Down;
        self.nodes[node].process += 1;
        self.hang_up(node);
    }

    fn hang_up(&mut self, node: usize) {
        for other in 0..self.nodes.len() {
            self.send(node, other, Event::Gone(address(node)));
        }
    }

    fn dial_all(&mut self, node: usize) {
        let process = self.nodes[node].process;
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.soon(50, Step::Dial(node, process, other));
        }
    }

    fn dial(&mut self, node: usize, process: u64, other: usize) {
        if self.nodes[node].process != process {
            return;
        }
        let reached = self.reach_each_other(node, other);
        if !reached || matches!(self.nodes[other].life, Life::Down) {
            let unreachable = Event::Unreachable {
                node: address(other),
                refused: reached,
            };
            self.tell(node, unreachable);
            return self.soon(250, Step::Dial(node, process, other));
        }
        self.tell(node, Event::Connected(address(other)));
        self.say(node, other);
        // A member answers a caller with its hello; others call back by themselves.
        if let Life::Member(_) = self.nodes[other].life {
            self.say(other, node);
        }
    }

    /// Tells another node what this one is now.
    fn say(&mut self, node: usize, other: usize) {
        let report = match &self.nodes[node].life {
            Life::Down => return,
            Life::Deciding(founding) => founding.report(),
            Life::Member(cluster) => Report::member(*cluster, Holding::OwnSwitches, true),
        };
        let event = Event::Heard {
            node: address(node),
            report,
            called: true,
        };
        self.send(node, other, event);
    }

    fn send(&mut self, from: usize, to: usize, event: Event) {
        let down = matches!(self.nodes[to].life, Life::Down);
        if from == to || down || !self.reach_each_other(from, to) {
            return;
        }
        let delay = self.roll(100) + 1;
        let at = (self.now + delay).max(self.arrivals.get(&(from, to)).map_or(0, |last| last + 1));
        self.arrivals.insert((from, to), at);
        let process = self.nodes[to].process;
        self.plan(at, Step::Deliver { to, process, event });
    }

    fn tell(&mut self, node: usize, event: Event) {
        let now = self.instant();
        let redial = match event {
            Event::Gone(other) => (0..self.nodes.len()).find(|n| address(*n) == other),
            _ => None,
        };
        let it = &mut self.nodes[node];
        let process = it.process;
        if let Life::Deciding(founding) = &mut it.life {
            let before = matches!(event, Event::Tick).then(|| founding.decision().clone());
            let news = founding.on(event, now);
            let look = founding.next_look(now);
            // A decision that was there from the start is news to the world, too.
            let decision = news.decision.or(before);
            if let Some(at) = look {
                let at = at.duration_since(self.start).as_millis() as Time + 1;
                self.plan(at, Step::Look(node, process));
            }
            if news.report.is_some() {
                for other in 0..self.nodes.len() {
                    self.say(node, other);
                }
            }
            match decision {
                Some(Decision::Found) => self.soon(50, Step::Founded(node, process)),
                Some(Decision::Join { .. }) => {
                    self.nodes[node].disk = Disk::Joining;
                    self.soon(200, Step::Admit(node, process));
                }
                _ => {}
            }
        }
        if let Some(other) = redial {
            self.soon(50, Step::Dial(node, process, other));
        }
    }

    fn admit(&mut self, node: usize) {
        let Life::Deciding(founding) = &self.nodes[node].life else {
            return;
        };
        let Decision::Join { cluster, .. } = founding.decision().clone() else {
            return;
        };
        let reached = (0..self.nodes.len()).filter(|other| self.reach_each_other(node, *other));
        let member = reached
            .filter_map(|other| match self.nodes[other].life {
                Life::Member(its) => Some(its),
                _ => None,
            })
            .find(|its| cluster.is_none_or(|cluster| cluster == *its));
        match member.filter(|_| !self.without_majority) {
            Some(cluster) => self.become_member(node, cluster),
            None => {
                let process = self.nodes[node].process;
                self.soon(500, Step::Admit(node, process));
            }
        }
    }

    /// The process goes on as a member, with new connections.
    fn become_member(&mut self, node: usize, cluster: Uuid) {
        let it = &mut self.nodes[node];
        it.disk = Disk::Member(cluster);
        it.life = Life::Member(cluster);
        it.process += 1;
        self.hang_up(node);
        self.dial_all(node);
    }

    fn members(&self) -> Vec<Option<Uuid>> {
        let cluster = |node: &Node| match node.life {
            Life::Member(cluster) => Some(cluster),
            _ => None,
        };
        self.nodes.iter().map(cluster).collect()
    }
}

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

    /// Not all reach each other: those that do, or that both reach a third one, never both found.
    #[test]
    fn nobody_founds_beside_a_founder_in_reach(
        leaders in any_leaders(),
        apart in prop::collection::btree_set((0..5_usize, 0..5_usize), 0..6),
        seed: u64,
        starts in prop::collection::vec(0..5_000_u64, 5),
    ) {
        let mut world = World::new(&leaders, seed);
        world.apart = apart.into_iter().filter(|(a, b)| a < b).collect();
        schedule(&mut world, &(starts, Vec::new()));
        world.run_until(120_000);
        let near = |a: usize, b: usize| {
            let mut between = (0..leaders.len()).filter(|c| *c != a && *c != b);
            world.reach_each_other(a, b)
                || between.any(|c| world.reach_each_other(a, c) && world.reach_each_other(c, b))
        };
        for (place, a) in world.founders.iter().enumerate() {
            for b in &world.founders[..place] {
                prop_assert!(!near(*a, *b), "{a} and {b}");
            }
        }
    }
}
