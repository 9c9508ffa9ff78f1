//! How long clients are kept from writing by a fault: measured, for one kind
//! of node after the other.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::harness::{Cluster, Options, PATIENCE, run};
use super::network::Wiring;
use super::node::Kind;
use super::session::Aim;
use super::status::announced;
use super::workload::{Plan, Workload};
use crate::process::wait_for;
use crate::world::interconnect::Side;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// Longest gap of one `ovn-ic-nbctl` after the other when the leader's node
    /// is killed (kill -9).
    KillCtl,
    /// The same of the worst raw writer.
    KillRaw,
    /// The gap of `ovn-ic-nbctl` when the leader's node is stopped gracefully.
    StopCtl,
    /// The same of the worst raw writer.
    StopRaw,
    /// The gap of `ovn-ic-nbctl` (each tries for 2 s) when the leader's node is
    /// frozen for 6 s.
    FreezeCtl,
    /// The same of the worst raw writer, each of which waits [`PATIENT`] for an
    /// answer.
    FreezeRaw,
    /// From the start of a killed node until it follows the leader and has
    /// applied what was committed then, both databases.
    Restart,
    /// From the start of the node that completes a majority to the first
    /// acknowledged write.
    Majority,
    /// The gap of `ovn-ic-nbctl` around the return of a node.
    ReturnCtl,
}

/// How long raw writers wait for an answer.
pub const PATIENT: Duration = Duration::from_secs(1);

/// For how long a leader is frozen.
const FROZEN: Duration = Duration::from_secs(6);

impl Figure {
    /// All, in the order of the table.
    pub const ALL: [Self; 9] = [
        Self::KillCtl,
        Self::KillRaw,
        Self::StopCtl,
        Self::StopRaw,
        Self::FreezeCtl,
        Self::FreezeRaw,
        Self::Restart,
        Self::Majority,
        Self::ReturnCtl,
    ];

    /// As the table calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KillCtl => "kill -9 of the leader, ovn-ic-nbctl",
            Self::KillRaw => "kill -9 of the leader, worst raw writer",
            Self::StopCtl => "graceful stop of the leader, ovn-ic-nbctl",
            Self::StopRaw => "graceful stop of the leader, worst raw writer",
            Self::FreezeCtl => "leader frozen for 6 s, ovn-ic-nbctl",
            Self::FreezeRaw => "leader frozen for 6 s, worst raw writer",
            Self::Restart => "killed node is back",
            Self::Majority => "majority is back, first write",
            Self::ReturnCtl => "return of a node, ovn-ic-nbctl",
        }
    }

    /// What the median of ours must stay below; none where the client's own
    /// patience decides.
    #[must_use]
    pub fn limit(self) -> Option<Duration> {
        Some(Duration::from_millis(match self {
            Self::KillCtl | Self::KillRaw => 1000,
            Self::StopCtl | Self::StopRaw | Self::ReturnCtl => 200,
            // A writer gives up on the frozen node after [`PATIENT`].
            Self::FreezeRaw => 2500,
            Self::FreezeCtl => return None,
            Self::Restart => 500,
            Self::Majority => 2000,
        }))
    }
}

/// Measurements of one kind of node.
#[derive(Clone, Debug, Default)]
pub struct Figures(BTreeMap<Figure, Vec<Duration>>);

impl Figures {
    fn add(&mut self, figure: Figure, time: Duration) {
        self.0.entry(figure).or_default().push(time);
    }

    /// The median of a figure, if it was measured.
    #[must_use]
    pub fn median(&self, figure: Figure) -> Option<Duration> {
        let mut times = self.0.get(&figure)?.clone();
        times.sort();
        Some((times[times.len() / 2] + times[(times.len() - 1) / 2]) / 2)
    }

    /// The least and the greatest measurement.
    #[must_use]
    pub fn range(&self, figure: Figure) -> Option<(Duration, Duration)> {
        let times = self.0.get(&figure)?;
        Some((*times.iter().min()?, *times.iter().max()?))
    }
}

/// What takes longer than it may, a line each.
#[must_use]
pub fn beyond_limits(figures: &Figures) -> Vec<String> {
    let beyond = |figure: &Figure| {
        let (median, limit) = (figures.median(*figure)?, figure.limit()?);
        let line = || format!("{}: {median:.2?}, limit {limit:?}", figure.name());
        (median > limit).then(line)
    };
    Figure::ALL.iter().filter_map(beyond).collect()
}

/// Both sides by side, in seconds, with the factor by which the second is
/// quicker.
#[must_use]
pub fn table(reference: &Figures, second: &Figures, name: &str) -> String {
    let mut text =
        String::from("| fault (longest gap, s) | reference, median | least to greatest |");
    let _ = writeln!(text, " {name}, median | least to greatest | ratio |");
    text += "|---|--:|--:|--:|--:|--:|\n";
    for figure in Figure::ALL {
        let mut line = format!("| {}", figure.name());
        for side in [reference, second] {
            match (side.median(figure), side.range(figure)) {
                (Some(median), Some((least, greatest))) => {
                    let [median, least, greatest] =
                        [median, least, greatest].map(|time| time.as_secs_f64());
                    let _ = write!(line, " | {median:.2} | {least:.2} to {greatest:.2}");
                }
                _ => line += " | - | -",
            }
        }
        match (reference.median(figure), second.median(figure)) {
            (Some(left), Some(right)) => {
                let ratio = left.as_secs_f64() / right.as_secs_f64();
                let _ = writeln!(text, "{line} | {ratio:.2} |");
            }
            _ => {
                let _ = writeln!(text, "{line} | - |");
            }
        }
    }
    text
}

/// Plays every fault once on a new cluster of one kind, adds what it measured,
/// and checks the history.
///
/// # Errors
/// If the cluster does not come through, or the checker finds anything.
pub fn measure(kind: Kind, figures: &mut Figures) -> Result<()> {
    run(&Options::three(kind, Wiring::Loopback), |cluster| {
        let plan = Plan {
            writers: vec![Aim::Leader, Aim::Any],
            watchers: vec![Aim::Any],
            patience: PATIENT,
            ..Plan::default()
        };
        let workload = Workload::start(cluster, &plan)?;
        let mut round = Round {
            cluster,
            workload: &workload,
            figures,
        };
        round.kill()?;
        round.stop()?;
        round.freeze()?;
        round.restart()?;
        round.majority()?;
        workload.finish(cluster)?;
        Ok(())
    })
}

struct Round<'a> {
    cluster: &'a mut Cluster,
    workload: &'a Workload,
    figures: &'a mut Figures,
}

/// The clients of either side in the history.
fn clients(side: Side) -> &'static str {
    match side {
        Side::Northbound => "ctl",
        Side::Southbound => "raw",
    }
}

impl Round<'_> {
    /// Lets everything run undisturbed until all clients have got something
    /// done.
    fn settle(&mut self) -> Result<()> {
        self.cluster.wait_until_whole()?;
        let now = self.workload.now();
        for client in ["ctl0", "raw0", "raw1"] {
            let own = |name: &str| name == client;
            self.workload.wait_for_done(now, own).context(client)?;
        }
        Ok(())
    }

    /// Hurts the leader of each database in turn, and measures the gap of that
    /// one's clients.
    fn gaps(
        &mut self,
        figures: [(Side, Figure); 2],
        hurt: impl Fn(&mut Cluster, usize) -> Result<()>,
        heal: impl Fn(&mut Cluster, usize) -> Result<()>,
    ) -> Result<()> {
        for (side, figure) in figures {
            self.settle()?;
            let leader = self.cluster.wait_for_leader(side, |_| true)?;
            let from = self.workload.now();
            hurt(self.cluster, leader)?;
            let hurt_by = self.workload.now();
            let writers: &[&str] = match side {
                Side::Northbound => &["ctl0"],
                Side::Southbound => &["raw0", "raw1"],
            };
            let mut worst = Duration::ZERO;
            for writer in writers {
                let own = |name: &str| name == *writer;
                let to = self.workload.wait_for_done(hurt_by, own)?;
                worst = worst.max(self.workload.gap(from, to, own));
            }
            self.figures.add(figure, worst);
            heal(self.cluster, leader)?;
        }
        Ok(())
    }

    fn kill(&mut self) -> Result<()> {
        self.gaps(
            [
                (Side::Northbound, Figure::KillCtl),
                (Side::Southbound, Figure::KillRaw),
            ],
            |cluster, leader| cluster.node_mut(leader).kill9(),
            Cluster::start,
        )
    }

    fn stop(&mut self) -> Result<()> {
        self.gaps(
            [
                (Side::Northbound, Figure::StopCtl),
                (Side::Southbound, Figure::StopRaw),
            ],
            |cluster, leader| cluster.node_mut(leader).stop(),
            Cluster::start,
        )
    }

    fn freeze(&mut self) -> Result<()> {
        self.gaps(
            [
                (Side::Northbound, Figure::FreezeCtl),
                (Side::Southbound, Figure::FreezeRaw),
            ],
            |cluster, leader| {
                cluster.node_mut(leader).freeze()?;
                // The duration is what is tested.
                std::thread::sleep(FROZEN);
                cluster.node_mut(leader).thaw()
            },
            |_, _| Ok(()),
        )
    }

    /// A node that does not lead the northbound comes back.
    fn restart(&mut self) -> Result<()> {
        self.settle()?;
        let leader = self.cluster.wait_for_leader(Side::Northbound, |_| true)?;
        let victim = (leader + 1) % self.cluster.size();
        self.cluster.node_mut(victim).kill9()?;
        for side in Side::BOTH {
            self.cluster.wait_for_leader(side, |_| true)?;
        }
        let now = self.workload.now();
        for side in Side::BOTH {
            let own = |name: &str| name.starts_with(clients(side));
            self.workload.wait_for_done(now, own)?;
        }
        let mut goals = Vec::new();
        for side in Side::BOTH {
            let leader = self.cluster.wait_for_leader(side, |_| true)?;
            let told = announced(&self.cluster.node(leader).socket(side), side)?;
            goals.push((side, told.index));
        }
        let from = self.workload.now();
        let start = Instant::now();
        self.cluster.start(victim)?;
        wait_for("the node's return", PATIENCE, || {
            let back = goals.iter().all(|(side, goal)| {
                let told = announced(&self.cluster.node(victim).socket(*side), *side);
                let status = self.cluster.status(victim, *side);
                told.is_ok_and(|told| told.connected && told.index >= *goal)
                    && status.is_ok_and(|status| status.leader != "unknown")
            });
            Ok(back.then_some(()))
        })?;
        self.figures.add(Figure::Restart, start.elapsed());
        self.settle()?;
        let own = |name: &str| name.starts_with("ctl");
        let gap = self.workload.gap(from, self.workload.now(), own);
        self.figures.add(Figure::ReturnCtl, gap);
        Ok(())
    }

    /// Two of three are killed, and one comes back.
    fn majority(&mut self) -> Result<()> {
        self.settle()?;
        let leader = self.cluster.wait_for_leader(Side::Northbound, |_| true)?;
        let other = (leader + 1) % self.cluster.size();
        let last = (leader + 2) % self.cluster.size();
        self.cluster.node_mut(leader).kill9()?;
        self.cluster.node_mut(other).kill9()?;
        wait_for("the news that the majority is gone", PATIENCE, || {
            let told = announced(
                &self.cluster.node(last).socket(Side::Northbound),
                Side::Northbound,
            );
            Ok(told.is_ok_and(|told| !told.connected).then_some(()))
        })?;
        let from = self.workload.now();
        self.cluster.start(leader)?;
        let own = |name: &str| name.starts_with("ctl");
        let done = self.workload.wait_for_done(from, own)?;
        self.figures.add(Figure::Majority, done - from);
        self.cluster.start(other)?;
        self.settle()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_medians_ranges_and_ratios() {
        let (mut left, mut right) = (Figures::default(), Figures::default());
        for millis in [3000, 1000, 1500] {
            left.add(Figure::Restart, Duration::from_millis(millis));
        }
        for millis in [500, 250] {
            right.add(Figure::Restart, Duration::from_millis(millis));
        }
        let text = table(&left, &right, "ours");
        let line = "| killed node is back | 1.50 | 1.00 to 3.00 | 0.38 | 0.25 to 0.50 | 4.00 |";
        assert!(text.contains(line), "{text}");
        assert!(
            text.contains("ovn-ic-nbctl | - | - | - | - | - |"),
            "{text}"
        );
    }
}
