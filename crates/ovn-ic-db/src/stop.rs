//! How the program is told to end: by a signal or by `exit` on a control socket.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::logging::Logging;

/// A wish to end, which anybody can utter and anybody can wait for.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// Nobody has asked yet.
    pub fn new() -> Stop {
        Stop(Arc::new(watch::Sender::new(false)))
    }

    /// Asks the program to end.
    pub fn ask(&self) {
        self.0.send_replace(true);
    }

    /// Done when somebody has asked.
    pub async fn asked(&self) {
        // The sender lives as long as `self`.
        let _ = self.0.subscribe().wait_for(|asked| *asked).await;
    }
}

/// The signals that the program acts on.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// From now on these signals no longer end the process.
    pub fn catch() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// SIGTERM and SIGINT ask for the end; SIGHUP opens the log files anew.
    pub async fn serve(mut self, stop: Stop, logging: Logging) {
        loop {
            let name = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
                _ = self.hang_up.recv() => {
                    logging.reopen_all();
                    continue;
                }
            };
            tracing::info!("{name}: stopping");
            stop.ask();
        }
    }
}
