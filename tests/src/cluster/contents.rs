//! What the members of a cluster hold.

use anyhow::{Context, Result};

use super::check::{self, Violation};
use super::harness::{Cluster, PATIENCE};
use super::history::Rows;
use super::rows::Tables;
use crate::client::Client;
use crate::process::wait_for;
use crate::world::interconnect::Side;

/// Waits until all working members have the same contents, and gives them.
///
/// # Errors
/// If that takes too long, with what is different.
pub fn converged(cluster: &Cluster, side: Side) -> Result<Rows> {
    let mut last = Vec::new();
    wait_for("the same contents everywhere", PATIENCE, || {
        let mut all = Vec::new();
        for number in cluster.working() {
            let Ok(rows) = contents(cluster, number, side) else {
                last = vec![Violation::Wrong(format!("node {number} does not answer"))];
                return Ok(None);
            };
            all.push((number, rows));
        }
        let Some((_, first)) = all.first() else {
            return Ok(Some(Rows::new()));
        };
        last = all
            .iter()
            .flat_map(|(number, rows)| check::between(&format!("node {number}"), rows, first))
            .collect();
        Ok(last.is_empty().then(|| first.clone()))
    })
    .with_context(|| format!("{}:\n{}", side.database(), lines(&last)))
}

/// One line for each.
#[must_use]
pub fn lines(violations: &[Violation]) -> String {
    let lines: Vec<String> = violations.iter().map(Violation::to_string).collect();
    lines.join("\n")
}

/// All rows of one member.
///
/// # Errors
/// If it does not answer.
pub fn contents(cluster: &Cluster, number: usize, side: Side) -> Result<Rows> {
    let mut client = Client::unix(&cluster.node(number).socket(side))?;
    let tables = Tables::ask(&mut client, side.database())?;
    tables.select(&mut client, side.database())
}
