//! Clients that write and watch beside whatever is done to the cluster, and
//! the reckoning afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};

use super::check::{self, Violation};
use super::contents::{converged, lines};
use super::ctl_writer::{self, CtlWriter};
use super::diary::Diary;
use super::harness::{Cluster, Options, PATIENCE, run};
use super::history::{Contents, Operation, Outcome, Rows, longest_gap};
use super::node::Kind;
use super::session::{Aim, Search};
use super::status::error_in;
use super::watcher::Watcher;
use super::writer::{self, Writer};
use crate::process::wait_for;
use crate::world::interconnect::Side;

/// The counter that all raw writers step.
const SHARED: &str = "shared";

/// What clients to start.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Raw writers of the southbound database.
    pub writers: Vec<Aim>,
    /// `ovn-ic-nbctl`, again and again.
    pub ctl_writers: usize,
    /// Monitors of everything in both databases.
    pub watchers: Vec<Aim>,
    /// How long each writer rests after a transaction.
    pub rest: Duration,
    /// How long a raw writer waits for an answer before it turns elsewhere.
    pub patience: Duration,
}

impl Default for Plan {
    /// Writers at each of three members and wherever the leader is, real
    /// clients, and watchers at each member and of any: a few hundred
    /// transactions a second, so that the machine has time to spare.
    fn default() -> Self {
        Self {
            writers: vec![
                Aim::Member(0),
                Aim::Member(1),
                Aim::Member(2),
                Aim::Leader,
                Aim::Any,
            ],
            ctl_writers: 1,
            watchers: vec![Aim::Member(0), Aim::Member(1), Aim::Member(2), Aim::Any],
            rest: Duration::from_millis(10),
            patience: Duration::from_secs(2),
        }
    }
}

/// Running clients. [`Workload::finish`] tells whether all is well.
#[derive(Debug)]
pub struct Workload {
    diary: Arc<Diary>,
    /// Each writer's name and where it writes; `None` for real programs.
    clients: Vec<(String, Option<Aim>)>,
    writers: Vec<JoinHandle<Result<()>>>,
    watching: Arc<AtomicBool>,
    /// There is, or was at the start, a member that repeats transactions.
    forgiving: bool,
    watchers: Vec<Watching>,
}

/// A watcher at work.
#[derive(Debug)]
struct Watching {
    side: Side,
    aim: Aim,
    watcher: Arc<Watcher>,
    thread: JoinHandle<()>,
}

/// What clients did and saw.
#[derive(Clone, Debug)]
pub struct Report {
    /// Every operation.
    pub operations: Vec<Operation>,
    /// Those that were executed twice, in a cluster that has members of the
    /// reference.
    pub repeated: usize,
    /// New monitors that went on where the last connection ended.
    pub resumed: usize,
    /// New monitors that had to begin anew.
    pub restarted: usize,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = |fits: fn(&Outcome) -> bool| {
            let outcomes = self.operations.iter().map(|operation| &operation.outcome);
            outcomes.filter(|outcome| fits(outcome)).count()
        };
        write!(
            f,
            "{} acknowledged, {} refused, {} unknown, {} done twice; monitors went on {} times and began anew {} times",
            count(|outcome| matches!(outcome, Outcome::Done)),
            count(|outcome| matches!(outcome, Outcome::Refused(_))),
            count(|outcome| matches!(outcome, Outcome::Unknown(_))),
            self.repeated,
            self.resumed,
            self.restarted
        )
    }
}

impl Workload {
    /// Makes the counters, and starts the clients.
    ///
    /// # Errors
    /// If the cluster does not take the counters.
    pub fn start(cluster: &Cluster, plan: &Plan) -> Result<Self> {
        let diary = Arc::new(Diary::default());
        let search = |side, aim| Search::new(cluster.sockets(side), side, aim, plan.patience);
        let mut writers = Vec::new();
        let mut counters = vec![writer::make_counter(SHARED, 0)];
        for (number, aim) in plan.writers.iter().enumerate() {
            let own = format!("own-{number}");
            counters.push(writer::make_counter(&own, number as i64 + 1));
            writers.push(Writer {
                name: format!("raw{number}"),
                search: search(Side::Southbound, *aim),
                rest: plan.rest,
                own,
                shared: SHARED.into(),
            });
        }
        make(search(Side::Southbound, Aim::Leader), &counters)?;
        let mut threads = Vec::new();
        let mut clients = Vec::new();
        for (writer, aim) in writers.into_iter().zip(&plan.writers) {
            clients.push((writer.name.clone(), Some(*aim)));
            let diary = Arc::clone(&diary);
            threads.push(std::thread::spawn(move || {
                writer.write(&diary);
                Ok(())
            }));
        }
        for number in 0..plan.ctl_writers {
            let writer = CtlWriter {
                name: format!("ctl{number}"),
                at: cluster.network().at_client(),
                remotes: cluster.remotes(Side::Northbound),
                rest: plan.rest,
            };
            clients.push((writer.name.clone(), None));
            let diary = Arc::clone(&diary);
            threads.push(std::thread::spawn(move || writer.write(&diary)));
        }
        let mut workload = Self {
            diary,
            clients,
            writers: threads,
            forgiving: (0..cluster.size())
                .any(|number| cluster.node(number).kind() == Kind::Reference),
            watching: Arc::new(AtomicBool::new(true)),
            watchers: Vec::new(),
        };
        for side in Side::BOTH {
            for aim in &plan.watchers {
                workload.watch(side, *aim, search(side, *aim));
            }
        }
        Ok(workload)
    }

    fn watch(&mut self, side: Side, aim: Aim, search: Search) {
        let watcher = Arc::new(Watcher::new(format!("watcher of {side:?} at {aim:?}")));
        let thread = {
            let (watcher, diary) = (Arc::clone(&watcher), Arc::clone(&self.diary));
            let watching = Arc::clone(&self.watching);
            std::thread::spawn(move || {
                watcher.watch(search, &diary, || watching.load(Ordering::Relaxed));
            })
        };
        self.watchers.push(Watching {
            side,
            aim,
            watcher,
            thread,
        });
    }

    /// Time since the start, on the clock of the history.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.diary.now()
    }

    /// Waits until `count` more operations have been acknowledged.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn wait_for_progress(&self, count: u64) -> Result<()> {
        let goal = self.diary.done() + count;
        let what = format!("{count} more acknowledged operations");
        wait_for(&what, PATIENCE, || {
            Ok((self.diary.done() >= goal).then_some(()))
        })
    }

    /// Waits until an operation of a client that `fits` has been sent after
    /// `since` and acknowledged, and gives the time when it was known.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn wait_for_done(&self, since: Duration, fits: impl Fn(&str) -> bool) -> Result<Duration> {
        wait_for("an acknowledged operation", PATIENCE, || {
            let operations = self.diary.operations();
            let right = operations
                .iter()
                .find(|operation| {
                    operation.is_done() && operation.sent >= since && fits(&operation.client)
                })
                .map(|operation| operation.known);
            Ok(right)
        })
    }

    /// Waits until every writer has got something done from now on, but for
    /// those that are bound to nodes which do not work or are among `except`.
    ///
    /// # Errors
    /// If one of them does not in time; says which.
    pub fn wait_until_all_write(&self, cluster: &Cluster, except: &[usize]) -> Result<()> {
        let now = self.now();
        for (name, aim) in &self.clients {
            if let Some(Aim::Member(node)) = aim
                && (except.contains(node) || !cluster.node(*node).works())
            {
                continue;
            }
            self.wait_for_done(now, |client| client == name)
                .with_context(|| format!("{name}, which writes at {aim:?}"))?;
        }
        Ok(())
    }

    /// The longest time without an acknowledgement between two moments, of
    /// the operations of clients that `fits`.
    #[must_use]
    pub fn gap(&self, from: Duration, to: Duration, fits: impl Fn(&str) -> bool) -> Duration {
        let operations = self.diary.operations();
        let chosen = operations
            .iter()
            .filter(|operation| fits(&operation.client));
        longest_gap(chosen, from, to).0
    }

    /// Stops the writers, waits until all working members and all watchers
    /// have the same contents, and checks everything.
    ///
    /// # Errors
    /// If they do not get there, or with everything that the checker finds.
    pub fn finish(mut self, cluster: &Cluster) -> Result<Report> {
        self.diary.close();
        for writer in self.writers.drain(..) {
            writer.join().map_err(|_| anyhow!("a writer panicked"))??;
        }
        let operations = self.diary.operations();
        let mut found = self.diary.complaints();
        for side in Side::BOTH {
            found.extend(self.reckon(cluster, side, &operations)?);
        }
        self.watching.store(false, Ordering::Relaxed);
        let (mut resumed, mut restarted) = (0, 0);
        for Watching {
            watcher, thread, ..
        } in self.watchers.drain(..)
        {
            thread.join().map_err(|_| anyhow!("a watcher panicked"))?;
            resumed += watcher.view().resumed;
            restarted += watcher.view().restarted;
        }
        let (forgiven, found): (Vec<Violation>, _) = found
            .into_iter()
            .partition(|violation| self.forgiving && violation.is_repetition());
        ensure!(found.is_empty(), "violations:\n{}", lines(&found));
        Ok(Report {
            operations,
            repeated: forgiven.len(),
            resumed,
            restarted,
        })
    }

    fn reckon(
        &self,
        cluster: &Cluster,
        side: Side,
        operations: &[Operation],
    ) -> Result<Vec<Violation>> {
        let rows = converged(cluster, side)?;
        let (digest, kind): (fn(&Rows) -> Contents, _) = match side {
            Side::Northbound => (ctl_writer::contents, "ctl"),
            Side::Southbound => (writer::contents, "raw"),
        };
        let own: Vec<Operation> = operations
            .iter()
            .filter(|operation| operation.client.starts_with(kind))
            .cloned()
            .collect();
        let mut found = check::against_contents(&own, &digest(&rows));
        let until = Instant::now() + PATIENCE;
        for watching in self
            .watchers
            .iter()
            .filter(|watching| watching.side == side)
        {
            let watcher = &watching.watcher;
            if let Aim::Member(node) = watching.aim
                && !cluster.node(node).works()
            {
                continue;
            }
            let left = until.saturating_duration_since(Instant::now());
            let reached = wait_for("a watcher's view", left, || {
                Ok((watcher.view().rows == rows).then_some(()))
            });
            if reached.is_err() {
                let text = format!("{}: its view stays behind", watcher.name);
                found.push(Violation::Wrong(text));
            }
            found.extend(watcher.violations(&rows));
        }
        Ok(found)
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        self.diary.close();
        self.watching.store(false, Ordering::Relaxed);
    }
}

/// Makes rows at the leader, which may take some attempts to be found.
fn make(mut search: Search, operations: &[Value]) -> Result<()> {
    let database = search.side().database();
    // A guard of its own, so that an attempt whose answer was lost is not
    // repeated: the first of the rows.
    let first = &operations[0]["row"]["transit_switch"];
    let guard = json!({"op": "wait", "table": operations[0]["table"], "timeout": 0,
        "where": [["transit_switch", "==", first]], "columns": ["transit_switch"],
        "until": "==", "rows": []});
    let mut all = vec![guard];
    all.extend_from_slice(operations);
    wait_for("rows to start with", PATIENCE, || {
        let Ok(mut client) = search.connect() else {
            return Ok(None);
        };
        let results = client.transact(database, &all)?;
        match error_in(&results) {
            None | Some("timed out") => Ok(Some(())),
            Some(_) => Err(anyhow!("{results:?}")),
        }
    })
}

/// A test under clients that write and watch all the time: the cluster is whole again afterwards,
/// everybody writes, and the history has to be right.
///
/// # Errors
/// Whatever the test finds, or the checker.
pub fn under_workload(
    options: &Options,
    plan: &Plan,
    test: impl FnOnce(&mut Cluster, &Workload) -> Result<()>,
) -> Result<()> {
    run(options, |cluster| {
        let workload = Workload::start(cluster, plan)?;
        workload.wait_until_all_write(cluster, &[])?;
        test(cluster, &workload)?;
        cluster.wait_until_whole()?;
        workload.wait_until_all_write(cluster, &[])?;
        let report = workload.finish(cluster)?;
        println!("{report}");
        Ok(())
    })
}
