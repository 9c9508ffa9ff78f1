//! Measures what faults cost a cluster's clients, on Debian's `ovsdb-server`
//! and on ours, in turn, and prints the table.
//!
//!     cargo run -p ovn-ic-db-tests --bin fault-figures -- [ROUNDS] [reference]
//!
//! With `reference`, the reference plays both roles. Fails if a median of ours is beyond its limit.

use anyhow::{Context, Result, bail};
use ovn_ic_db_tests::cluster::Kind;
use ovn_ic_db_tests::cluster::figures::{Figures, beyond_limits, measure, table};

fn main() -> Result<()> {
    let mut rounds = 10;
    let mut second = (Kind::Ours, "ours");
    for argument in std::env::args().skip(1) {
        match &argument[..] {
            "reference" => second = (Kind::Reference, "reference again"),
            number => rounds = number.parse().context("[ROUNDS] [reference]")?,
        }
    }
    let (mut reference, mut other) = (Figures::default(), Figures::default());
    let mut outcome = Ok(());
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        // Debian's 3.1 sometimes crashes after it was frozen. What it measured
        // before counts.
        if let Err(error) = measure(Kind::Reference, &mut reference) {
            eprintln!("the reference: {:#}", error.root_cause());
        }
        outcome = measure(second.0, &mut other).context(second.1);
        if outcome.is_err() && second.0 == Kind::Ours {
            break;
        }
    }
    // What was measured before a failure is worth seeing.
    println!("{}", table(&reference, &other, second.1));
    outcome?;
    let beyond = beyond_limits(&other);
    if second.0 == Kind::Ours && !beyond.is_empty() {
        bail!("longer than it may take:\n{}", beyond.join("\n"));
    }
    Ok(())
}
