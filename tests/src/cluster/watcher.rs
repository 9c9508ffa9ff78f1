//! A client that monitors everything, follows through reconnections as OVN's
//! clients do, and keeps the view that the updates add up to.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::check::{self, Violation};
use super::diary::Diary;
use super::history::Rows;
use super::rows::Tables;
use super::session::Search;
use crate::client::{Client, Received};

/// After so long a silence the server is asked for an echo; after as much
/// again it counts as gone.
const SILENCE: Duration = Duration::from_secs(3);

/// The transaction id of a client that has seen nothing.
const NOTHING: &str = "00000000-0000-0000-0000-000000000000";

/// What a watcher knows.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The rows as they are now, as far as it has been told.
    pub rows: Rows,
    /// How often a new connection went on where the last one had ended.
    pub resumed: usize,
    /// How often it had to begin anew, the first time not counted.
    pub restarted: usize,
    /// Every row that it ever saw, as table and UUID.
    ever: BTreeSet<(String, String)>,
    last_id: Option<String>,
}

/// A watcher's name and what it knows, shared with its thread.
#[derive(Debug)]
pub struct Watcher {
    /// For the violations that it finds.
    pub name: String,
    view: Mutex<View>,
}

impl Watcher {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(name: String) -> Self {
        Self {
            name,
            view: Mutex::default(),
        }
    }

    /// What it knows now.
    pub fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches until `go_on` says no. Updates that cannot be true go into the
    /// diary.
    pub fn watch(&self, mut search: Search, diary: &Diary, go_on: impl Fn() -> bool) {
        while go_on() {
            if let Ok(client) = search.connect()
                && let Err(error) = self.session(client, search.side().database(), &go_on)
                && error.is::<Impossible>()
            {
                diary.complain(Violation::Wrong(format!("{}: {error:#}", self.name)));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn session(&self, mut client: Client, database: &str, go_on: &impl Fn() -> bool) -> Result<()> {
        let tables = Tables::ask(&mut client, database)?;
        let last_id = self.view().last_id.clone();
        let first = last_id.is_none();
        let last_id = last_id.unwrap_or_else(|| NOTHING.into());
        let request = json!([database, self.name, tables.everything(), last_id]);
        let mut answer = client.call("monitor_cond_since", request)?;
        let mut view = self.view();
        if answer[0] == true {
            view.resumed += 1;
        } else {
            view.restarted += usize::from(!first);
            view.rows.clear();
        }
        view.take(&tables, answer[1].take(), &answer[2])?;
        drop(view);
        // What came before the answer would be an update of no monitor.
        ensure!(
            client.notifications().is_empty(),
            "updates before the answer"
        );
        self.follow(&mut client, &tables, go_on)
    }

    fn follow(
        &self,
        client: &mut Client,
        tables: &Tables,
        go_on: &impl Fn() -> bool,
    ) -> Result<()> {
        let mut heard = Instant::now();
        let mut asked = false;
        while go_on() {
            match client.receive_within(Duration::from_millis(50))? {
                Received::Closed => return Ok(()),
                Received::Message(mut message) => {
                    (heard, asked) = (Instant::now(), false);
                    let Some(method) = message.get("method") else {
                        continue;
                    };
                    match method.as_str() {
                        Some("update3") => {}
                        // A conversion of the schema, or a peer that has left.
                        Some("monitor_canceled") => return Ok(()),
                        other => bail!(Impossible(format!("{other:?} of the server"))),
                    }
                    let params = message["params"].as_array_mut();
                    let [_, id, update] = &mut params.context("params")?[..] else {
                        bail!(Impossible("an update3 of another length".into()));
                    };
                    self.view().take(tables, id.take(), update)?;
                }
                Received::Nothing if heard.elapsed() > SILENCE * 2 => bail!("the server is silent"),
                Received::Nothing if heard.elapsed() > SILENCE && !asked => {
                    client.request("echo", json!([]))?;
                    asked = true;
                }
                Received::Nothing => {}
            }
        }
        Ok(())
    }

    /// Where its view differs from the contents, and which rows it saw that
    /// are not there, given that nothing is ever deleted.
    pub fn violations(&self, contents: &Rows) -> Vec<Violation> {
        let view = self.view();
        let mut found = check::between(&self.name, &view.rows, contents);
        let gone: Vec<_> = view
            .ever
            .iter()
            .filter(|key| !contents.contains_key(key))
            .collect();
        if !gone.is_empty() {
            let name = &self.name;
            let text = format!("{name}: saw rows that were never committed: {gone:?}");
            found.push(Violation::Wrong(text));
        }
        found
    }
}

impl View {
    fn take(&mut self, tables: &Tables, id: Value, update: &Value) -> Result<()> {
        let applied = tables.apply(&mut self.rows, update);
        applied.map_err(|error| Impossible(format!("{error:#}, in {update}")))?;
        let id = id.as_str().context("a transaction id")?;
        self.last_id = Some(id.to_owned());
        for (table, rows) in update.as_object().into_iter().flatten() {
            for uuid in rows.as_object().into_iter().flatten().map(|(uuid, _)| uuid) {
                self.ever.insert((table.clone(), uuid.clone()));
            }
        }
        Ok(())
    }
}

/// An update that no correct server sends.
#[derive(Debug)]
struct Impossible(String);

impl std::fmt::Display for Impossible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "an impossible update: {}", self.0)
    }
}

impl std::error::Error for Impossible {}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str) -> Value {
        json!({"Availability_Zone": {name: {"insert": {"name": name}}}})
    }

    #[test]
    fn a_view_that_is_wrong_is_found() -> Result<()> {
        let tables = Tables::of(&json!({"tables": {"Availability_Zone":
            {"columns": {"name": {"type": "string"}}}}}))?;
        let watcher = Watcher::new("w".into());
        watcher.view().take(&tables, json!("id"), &row("a"))?;
        let mut contents = watcher.view().rows.clone();
        assert!(watcher.violations(&contents).is_empty());
        watcher.view().take(&tables, json!("id"), &row("b"))?;
        assert_eq!(watcher.violations(&contents).len(), 2);
        watcher.view().rows.clone_from(&contents);
        let found = watcher.violations(&contents);
        assert!(
            found.len() == 1 && found[0].to_string().contains("never committed"),
            "{found:?}"
        );
        contents.insert(
            ("Availability_Zone".into(), "b".into()),
            serde_json::Map::new(),
        );
        assert_eq!(watcher.violations(&contents).len(), 1);
        let again = watcher.view().take(&tables, json!("id"), &row("a"));
        assert!(again.is_err_and(|error| error.is::<Impossible>()));
        Ok(())
    }
}
