//! From the start of the process to the first answered request.

use anyhow::Result;

use super::Run;
use crate::figure::Measurement;
use crate::process_stat;

/// On a file with many rows, which is in the page cache.
pub fn run(run: &mut Run<'_>) -> Result<()> {
    let rows = run.sizes.start_up;
    let (server, seconds) = run.start_timed(rows)?;
    let processor = process_stat::processor_time(server.pid())?.as_secs_f64();
    let measured = Measurement::new(seconds).server_time(processor);
    run.cost(format!("start from a file of {rows} rows"), "s", measured);
    Ok(())
}
