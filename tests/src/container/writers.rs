//! Clients that write while containers come and go, and the check that nothing of it is lost.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use super::docker::PATIENCE;
use super::node::Place;
use crate::client::Client;
use crate::cluster::check;
use crate::cluster::ctl_writer::{self, CtlWriter};
use crate::cluster::diary::Diary;
use crate::cluster::history::{Contents, Operation, Outcome, Rows};
use crate::cluster::rows::Tables;
use crate::cluster::session::{Aim, Search};
use crate::cluster::writer::{self, Writer};
use crate::process::wait_for;
use crate::world::interconnect::Side;

/// The counter that the raw writer steps.
const STEPPED: &str = "stepped";
/// The counter that it adds to.
const ADDED: &str = "added";

/// What the checker wants to know, from all rows.
type Digest = fn(&Rows) -> Contents;

/// Two writers: `ovn-ic-nbctl` with all addresses, and a raw client of the southbound database.
#[derive(Debug)]
pub struct Writers {
    diary: Arc<Diary>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Writers {
    /// Starts them; `remotes` is what `--db` takes for the northbound database.
    ///
    /// # Errors
    /// If nobody takes the counters.
    pub fn start(places: &[Place], remotes: &str) -> Result<Writers> {
        let side = Side::Southbound;
        let sockets: Vec<PathBuf> = places.iter().map(|place| place.socket(side)).collect();
        let search = || Search::new(sockets.clone(), side, Aim::Any, Duration::from_secs(2));
        let counters = [
            writer::make_counter(STEPPED, 0),
            writer::make_counter(ADDED, 1),
        ];
        wait_for("a member that takes the counters", PATIENCE, || {
            let Ok(mut client) = search().connect() else {
                return Ok(None);
            };
            let results = client.transact(side.database(), &counters)?;
            let made = results.iter().all(|result| result.get("uuid").is_some());
            ensure!(made, "{results:?}");
            Ok(Some(()))
        })?;
        let diary = Arc::new(Diary::default());
        let rest = Duration::from_millis(10);
        let raw = Writer {
            name: "raw".to_owned(),
            search: search(),
            rest,
            own: ADDED.to_owned(),
            shared: STEPPED.to_owned(),
        };
        let ctl = CtlWriter {
            name: "ctl".to_owned(),
            at: vec!["env".into()],
            remotes: remotes.to_owned(),
            rest,
        };
        let (first, second) = (Arc::clone(&diary), Arc::clone(&diary));
        let threads = vec![
            std::thread::spawn(move || {
                raw.write(&first);
                Ok(())
            }),
            std::thread::spawn(move || ctl.write(&second)),
        ];
        Ok(Writers { diary, threads })
    }

    /// Waits until both have got something done that was sent from now on.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn wait_until_all_write(&self) -> Result<()> {
        let now = self.diary.now();
        for name in ["raw", "ctl"] {
            wait_for(&format!("{name}'s next write"), PATIENCE, || {
                let operations = self.diary.operations();
                let done = operations.iter().any(|operation| {
                    operation.client == name && operation.is_done() && operation.sent >= now
                });
                Ok(done.then_some(()))
            })?;
        }
        Ok(())
    }

    /// Stops them, waits until all nodes have the same, and checks that every acknowledged write
    /// is there once, and no refused one. How many were acknowledged.
    ///
    /// # Errors
    /// With all that is wrong.
    pub fn finish(mut self, places: &[Place]) -> Result<usize> {
        self.diary.close();
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| anyhow!("a writer panicked"))??;
        }
        let operations = self.diary.operations();
        let mut found = self.diary.complaints();
        let judges: [(Side, &str, Digest); 2] = [
            (Side::Northbound, "ctl", ctl_writer::contents),
            (Side::Southbound, "raw", writer::contents),
        ];
        for (side, client, digest) in judges {
            let rows = wait_for("equal contents of all nodes", PATIENCE, || {
                let all = places.iter().map(|place| rows(place, side));
                let all: Vec<Rows> = all.collect::<Result<_>>()?;
                let equal = all.windows(2).all(|pair| pair[0] == pair[1]);
                Ok(all.into_iter().next().filter(|_| equal))
            })?;
            let own = operations.iter().filter(|one| one.client == client);
            let own: Vec<Operation> = own.cloned().collect();
            found.extend(check::against_contents(&own, &digest(&rows)));
        }
        ensure!(found.is_empty(), "{found:#?}");
        let done = |one: &&Operation| one.outcome == Outcome::Done;
        Ok(operations.iter().filter(done).count())
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.diary.close();
    }
}

/// All rows of a node's database.
///
/// # Errors
/// If it does not answer.
pub fn rows(place: &Place, side: Side) -> Result<Rows> {
    let socket = place.socket(side);
    let mut client = Client::unix(&socket).with_context(|| socket.display().to_string())?;
    client.deadline = PATIENCE;
    let tables = Tables::ask(&mut client, side.database())?;
    tables.select(&mut client, side.database())
}

/// The names in a node's table, sorted.
///
/// # Errors
/// If it does not answer.
pub fn names(place: &Place, side: Side, table: &str) -> Result<Vec<String>> {
    let rows = rows(place, side)?;
    let of_table = rows.iter().filter(|((name, _), _)| name == table);
    let mut names: Vec<String> = of_table
        .filter_map(|(_, row)| row.get("name").and_then(Value::as_str))
        .map(str::to_owned)
        .collect();
    names.sort();
    Ok(names)
}
