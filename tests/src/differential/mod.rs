//! Two servers side by side: the same requests must give the same answers.
//!
//! [`schema`] makes a random schema, [`requests`] what some clients do with it
//! ([`operations`] the transactions, [`value`] the values, [`damage`] the
//! faults). [`side`] drives one server, [`symbols`] takes the random UUIDs out
//! of what it says, [`compare`] brings that into one form, [`replica`] follows
//! the monitors, and [`player`] does all that with two servers in lock step.
//! [`known`] lists what is not compared, and why. [`shrink`] makes a short
//! story of a difference.

pub mod compare;
pub mod damage;
pub mod known;
pub mod operations;
pub mod player;
pub mod replica;
pub mod requests;
pub mod schema;
pub mod shrink;
pub mod side;
pub mod symbols;
pub mod value;

use std::fmt;

use anyhow::Result;
use fastrand::Rng;

use crate::process::Program;
use player::Player;
use requests::{Action, Generator};
use schema::Schema;

/// What two servers did not do alike.
#[derive(Debug)]
pub struct Difference {
    /// The schema at the start.
    pub schema: Schema,
    /// All that was done, the last one with different answers.
    pub actions: Vec<Action>,
    /// The answers, or how a server ended.
    pub answers: String,
    /// Whether a server ended or stopped answering.
    pub ended: bool,
    /// Whether that was the reference. It goes on with freed memory now and
    /// then (a conversion or a monitor that fails halfway), and what comes of
    /// that is chance.
    pub reference_ended: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "schema {}", self.schema.json())?;
        for action in &self.actions {
            match action {
                Action::Leave { client } => writeln!(f, "client {client} leaves")?,
                Action::Send { client, messages } => {
                    for message in messages {
                        writeln!(f, "client {client} sends {}", message.text)?;
                    }
                }
            }
        }
        write!(f, "{}", self.answers)
    }
}

/// The first difference between two servers on a random schema in this many
/// random actions, if there is one. At the end the contents are compared, and
/// again after both started again on their files.
///
/// # Errors
/// If a server cannot be started.
pub fn run(programs: [Program; 2], seed: u64, steps: usize) -> Result<Option<Difference>> {
    let mut random = Rng::with_seed(seed);
    let schema = Schema::random(&mut random);
    let mut generator = Generator::new(random);
    let mut left = steps;
    tell(programs, &schema, |player| {
        for (client, messages) in player.sides[0].received.iter().enumerate() {
            for message in messages {
                generator.learn(client, message);
            }
        }
        left = left.checked_sub(1)?;
        Some(generator.next(&player.schema))
    })
}

/// Plays a list of actions; the difference has those up to the one that shows it.
///
/// # Errors
/// If a server cannot be started.
pub fn replay(
    programs: [Program; 2],
    schema: &Schema,
    actions: &[Action],
) -> Result<Option<Difference>> {
    let mut rest = actions.iter();
    tell(programs, schema, |_| rest.next().cloned())
}

/// Plays what `next` gives, then compares the contents.
fn tell(
    programs: [Program; 2],
    schema: &Schema,
    mut next: impl FnMut(&Player) -> Option<Action>,
) -> Result<Option<Difference>> {
    let mut player = Player::start(programs, schema)?;
    let mut actions = Vec::new();
    let mut found = Ok(None);
    while matches!(found, Ok(None))
        && let Some(action) = next(&player)
    {
        actions.push(action.clone());
        found = player.play(&action);
    }
    if matches!(found, Ok(None)) {
        found = player.compare_at_the_end();
    }
    let (answers, ended) = match found {
        Ok(None) => return Ok(None),
        Ok(Some(answers)) => (answers, false),
        Err(error) => (format!("{error:#}"), true),
    };
    let mut reference_ended = false;
    for side in &mut player.sides {
        reference_ended |= side.is_reference() && side.has_ended()?;
    }
    Ok(Some(Difference {
        schema: schema.clone(),
        actions,
        answers,
        ended,
        reference_ended,
    }))
}
