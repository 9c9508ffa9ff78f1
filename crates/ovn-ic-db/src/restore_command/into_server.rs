//! A copy's contents in place of a running server's, in one transaction.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use super::convert::under;
use super::copies::Copy;
use super::difference::Difference;
use super::size;
use super::transaction::{Answer, answer, params};
use crate::client::{CallError, Choice, Fetched, Leader, Remotes, fetch};
use crate::progress::Progress;
use crate::status_command::figures;

/// How often it is tried while others write.
const ATTEMPTS: usize = 20;
/// Of a transaction whose answer is not known.
const UNKNOWN: &str = "everything or nothing of it is restored; \"--dry-run\" shows which";
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// A copy and the server's contents that it is to replace.
pub struct Target {
    copy: Copy,
    leader: Leader,
    present: Fetched,
    difference: Difference,
    /// The transaction's parameters, and how many of its operations are the guard.
    transaction: (String, usize),
}

impl Target {
    /// Looks at what there is; nothing is changed.
    ///
    /// # Errors
    /// If nobody can be asked, or the copy does not fit the server's schema, or what is to be sent is too
    /// long for the server.
    pub async fn look(copy: Copy, remotes: &Remotes, limit: Duration) -> anyhow::Result<Target> {
        let database = copy.side.database();
        let remotes = remotes.of(copy.side);
        let mut leader = Leader::find(remotes, database, Choice::Leader, limit).await?;
        let progress = Progress::stream(database);
        let shown = progress.clone();
        let present = fetch(&mut leader, move |bytes| shown.reached(bytes as u64));
        let present = tokio::time::timeout(limit, present).await;
        progress.end();
        let present = present.with_context(|| {
            format!("{}: no answer within {} s", leader.remote, limit.as_secs())
        })??;
        let wanted = under(&copy.version, present.version.schema())
            .with_context(|| format!("{}: nothing was changed", copy.path.display()))?;
        let difference = Difference::between(&present.version, &wanted);
        let transaction = params(&present, &difference);
        if !difference.is_empty() {
            let fits = size::check(&mut leader, &transaction.0, limit).await;
            fits.with_context(|| format!("{}: nothing was changed", copy.path.display()))?;
        }
        Ok(Target {
            copy,
            leader,
            present,
            difference,
            transaction,
        })
    }

    /// The database's name.
    pub fn database(&self) -> &'static str {
        self.copy.side.database()
    }

    /// What has to change, for people.
    pub fn show(&self, done: bool) -> String {
        self.difference.show(&self.present.version, done)
    }

    /// Sends the transaction.
    async fn send(&mut self, limit: Duration) -> Result<Answer, CallError> {
        let (params, guards) = &self.transaction;
        let size = figures::bytes(u64::try_from(params.len()).unwrap_or(u64::MAX));
        let progress = Progress::wait(format!("{}: {size} are sent", self.copy.side.database()));
        let call = self.leader.client.call("transact", params);
        let answered = tokio::time::timeout(limit, call).await;
        progress.end();
        let late = |_| CallError::Protocol(format!("no answer within {} s", limit.as_secs()));
        let reply = answered.map_err(late)??;
        let results: Vec<Value> = serde_json::from_slice(&reply)
            .map_err(|error| CallError::Protocol(error.to_string()))?;
        Ok(answer(&results, *guards))
    }

    /// Looks anew.
    async fn look_again(&mut self, remotes: &Remotes, limit: Duration) -> anyhow::Result<()> {
        let copy = Copy {
            side: self.copy.side,
            path: self.copy.path.clone(),
            version: self.copy.version.clone(),
        };
        *self = Target::look(copy, remotes, limit).await?;
        Ok(())
    }
}

/// Restores one database, and says what was changed.
///
/// # Errors
/// If the server refuses, or others write all the time. Nothing has been changed then, unless the
/// error says that it is not known.
pub async fn restore_one(
    target: &mut Target,
    remotes: &Remotes,
    limit: Duration,
) -> anyhow::Result<String> {
    // What was sent when a connection got lost before the answer.
    let mut unanswered: Option<String> = None;
    let mut lost = 0;
    for attempt in 0.. {
        if target.difference.is_empty() {
            let shown = unanswered.unwrap_or_else(|| target.show(true));
            return Ok(shown);
        }
        if attempt == ATTEMPTS {
            break;
        }
        let said = target.show(true);
        match target.send(limit).await {
            Ok(Answer::Done) => return Ok(said),
            Ok(Answer::Changed) => {}
            Ok(Answer::Refused(why)) => bail!("not restored: {}: {why}", target.leader.remote),
            Err(CallError::Io(_) | CallError::Closed) => {
                lost += 1;
                unanswered = Some(said);
            }
            Err(error) => bail!("{UNKNOWN}: {}: {error}", target.leader.remote),
        }
        tokio::time::sleep(PAUSE).await;
        let again = target.look_again(remotes, limit).await;
        again.context(match unanswered {
            Some(_) => format!("the connection was lost before the answer: {UNKNOWN}"),
            None => "not restored".to_owned(),
        })?;
    }
    match lost {
        0 => bail!("not restored, as others write all the time"),
        lost => bail!(
            "{}: of {ATTEMPTS} attempts {lost} lost the connection before the answer: {UNKNOWN}",
            target.leader.remote
        ),
    }
}
