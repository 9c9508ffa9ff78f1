//! Random faults under writers and watchers, in episodes of at most a minute,
//! each on a new cluster. `CLUSTER_SOAK_SECONDS` says for how long in all, and
//! `CLUSTER_SEED` where the seeds begin.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ovn_ic_db_tests::cluster::storm::rage;
use ovn_ic_db_tests::cluster::{Kind, Options, Plan, Wiring, Workload, run};

/// Enough for some faults of most kinds.
const USUAL_SECONDS: u64 = 15;

const LONGEST_EPISODE: Duration = Duration::from_secs(60);

fn number(variable: &str, usual: u64) -> Result<u64> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable}={text}")),
        Err(_) => Ok(usual),
    }
}

#[test]
fn nothing_is_lost_in_a_storm() -> Result<()> {
    let span = Duration::from_secs(number("CLUSTER_SOAK_SECONDS", USUAL_SECONDS)?);
    let mut seed = number("CLUSTER_SEED", fastrand::u64(..1_000_000))?;
    let begun = Instant::now();
    while let Some(left) = span.checked_sub(begun.elapsed()) {
        println!("seed {seed}");
        let options = Options::three(Kind::under_test()?, Wiring::Namespaces);
        run(&options, |cluster| {
            let workload = Workload::start(cluster, &Plan::default())?;
            workload.wait_until_all_write(cluster, &[])?;
            let done = rage(cluster, &workload, seed, left.min(LONGEST_EPISODE))?;
            let report = workload.finish(cluster);
            let report = report.with_context(|| format!("seed {seed}: {done:#?}"))?;
            println!("{} faults; {report}", done.len());
            Ok(())
        })?;
        seed += 1;
    }
    Ok(())
}
