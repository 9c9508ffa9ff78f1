//! A client that writes as a script does: one `ovn-ic-nbctl` for each
//! transit switch.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::check::NAME_PREFIX;
use super::diary::Diary;
use super::history::{Action, Contents, Outcome, Rows};
use crate::process::require;

/// Writes to the northbound database through Debian's program.
#[derive(Debug)]
pub struct CtlWriter {
    /// Its name, in the history and in what it writes.
    pub name: String,
    /// What the command line begins with.
    pub at: Vec<OsString>,
    /// The members, as `--db` takes them.
    pub remotes: String,
    /// How long it rests after each.
    pub rest: Duration,
}

/// How long a command may take, in seconds: then the next one is tried.
const TIMEOUT: &str = "--timeout=2";

impl CtlWriter {
    /// Writes until the diary is closed.
    ///
    /// # Errors
    /// If the program cannot be run at all.
    pub fn write(self, diary: &Diary) -> Result<()> {
        let mut line = self.at.clone();
        line.push(require("ovn-ic-nbctl", "ovn-ic")?.into());
        let program = require(&line.remove(0).to_string_lossy(), "util-linux")?;
        line.extend([TIMEOUT.into(), format!("--db={}", self.remotes).into()]);
        let mut number = 0;
        while diary.is_open() {
            number += 1;
            let name = format!("{NAME_PREFIX}{}-{number}", self.name);
            let sent = diary.now();
            let output = Command::new(&program)
                .args(&line)
                .args(["ts-add", &name])
                .output()
                .with_context(|| format!("{} does not start", program.display()))?;
            let outcome = if output.status.success() {
                Outcome::Done
            } else {
                // It may have written before it gave up.
                let said = String::from_utf8_lossy(&output.stderr);
                Outcome::Unknown(format!("{}: {said}", output.status))
            };
            diary.note(&self.name, Action::Insert(name), sent, outcome);
            std::thread::sleep(self.rest);
        }
        Ok(())
    }
}

/// What the checker wants to know of a northbound database.
#[must_use]
pub fn contents(rows: &Rows) -> Contents {
    let mut contents = Contents::default();
    for ((table, _), row) in rows {
        if table == "Transit_Switch"
            && let Some(name) = row.get("name").and_then(|name| name.as_str())
        {
            *contents.names.entry(name.to_owned()).or_default() += 1;
        }
    }
    contents
}
