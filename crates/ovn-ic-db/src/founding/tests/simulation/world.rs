//! Nodes, a network between them that delays messages at random, and a clock of their own.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::super::super::*;
use super::super::scripts::settings;
use crate::settings::ClusterSettings;

/// Milliseconds since the beginning.
pub(super) type Time = u64;

/// What lasts when a node is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disk {
    Empty,
    Joining,
    Member(Uuid),
}

pub(super) enum Life {
    Down,
    Deciding(Box<Founding>),
    Member(Uuid),
}

pub(super) struct Node {
    settings: ClusterSettings,
    pub(super) disk: Disk,
    life: Life,
    /// One process: what was sent to another one is lost.
    process: u64,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
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

pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    /// Who takes nobody in: its majority is gone.
    pub(super) without_majority: bool,
    /// Pairs that do not reach each other, the lower number first.
    pub(super) apart: BTreeSet<(usize, usize)>,
    start: Instant,
    now: Time,
    steps: BinaryHeap<Reverse<(Time, u64, usize)>>,
    agenda: Vec<Option<Step>>,
    /// When the last message between two nodes arrives: they stay in order.
    arrivals: BTreeMap<(usize, usize), Time>,
    dice: u64,
    pub(super) clusters: Vec<Uuid>,
    /// Who has founded, and when.
    pub(super) founders: Vec<(usize, Time)>,
}

fn address(node: usize) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, node as u8 + 1).into()
}

impl World {
    /// `leaders`: whom each node's `LEADER_IP` names.
    pub(super) fn new(leaders: &[Option<usize>], seed: u64) -> World {
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

    pub(super) fn reach_each_other(&self, a: usize, b: usize) -> bool {
        !self.apart.contains(&(a.min(b), a.max(b)))
    }

    /// A number below `most` (xorshift).
    fn roll(&mut self, most: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % most
    }

    pub(super) fn plan(&mut self, at: Time, step: Step) {
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

    pub(super) fn run_until(&mut self, end: Time) {
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
                self.founders.push((node, self.now));
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

    pub(super) fn members(&self) -> Vec<Option<Uuid>> {
        let cluster = |node: &Node| match node.life {
            Life::Member(cluster) => Some(cluster),
            _ => None,
        };
        self.nodes.iter().map(cluster).collect()
    }
}
