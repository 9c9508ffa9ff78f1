//! Signals of crashes that somebody sends.
//!
//! Rust's runtime catches SIGSEGV and SIGBUS to tell overflows of the stack. For any other fault it puts
//! the usual action back and returns, so that the fault kills the process when it happens again. One
//! that was sent by kill(2) does not happen again: it would be without effect, but for the action.

use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

/// How often it is looked whether the runtime has given up its handler.
const LOOK: Duration = Duration::from_millis(200);

/// Dies of such a signal, until it is cancelled.
pub async fn die_of_sent_signals() {
    let Some(before) = caught() else { return };
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(now) = caught() else { return };
        for signal in [Signal::SEGV, Signal::BUS] {
            if before & bit(signal) != 0 && now & bit(signal) == 0 {
                // It cannot fail; if it does, the process goes on as it would have.
                let _ = kill_process(getpid(), signal);
            }
        }
    }
}

/// A signal's place among those that are caught.
fn bit(signal: Signal) -> u64 {
    1 << (signal.as_raw() - 1)
}

/// The signals that this process catches (proc_pid_status(5), `SigCgt`).
fn caught() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_catches_them() {
        let caught = caught().expect("/proc is there");
        assert_ne!(caught & bit(Signal::SEGV), 0);
        assert_eq!(caught & bit(Signal::KILL), 0);
    }
}
