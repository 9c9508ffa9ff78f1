//! The processes that one call of the program may become (`--detach`, `--monitor`).

/// Which of the processes of one server this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// The one that was called.
    #[default]
    Called,
    /// It looks after the one that serves, in the background or not.
    Monitor {
        /// In the background.
        detached: bool,
    },
    /// It serves, and some other process waits for it.
    Worker {
        /// In the background.
        detached: bool,
        /// Its standard input is the configuration that it keeps up to date.
        saves: bool,
    },
}

impl Part {
    pub(super) const ALL: [Part; 6] = [
        Part::Monitor { detached: false },
        Part::Monitor { detached: true },
        Part::Worker {
            detached: false,
            saves: false,
        },
        Part::Worker {
            detached: false,
            saves: true,
        },
        Part::Worker {
            detached: true,
            saves: false,
        },
        Part::Worker {
            detached: true,
            saves: true,
        },
    ];

    /// The hidden option's value.
    pub fn name(self) -> &'static str {
        match self {
            Part::Called => "called",
            Part::Monitor { detached: false } => "monitor",
            Part::Monitor { detached: true } => "detached-monitor",
            Part::Worker {
                detached: false,
                saves: false,
            } => "worker",
            Part::Worker {
                detached: false,
                saves: true,
            } => "saving-worker",
            Part::Worker {
                detached: true,
                saves: false,
            } => "detached-worker",
            Part::Worker {
                detached: true,
                saves: true,
            } => "detached-saving-worker",
        }
    }

    /// It has left the terminal.
    pub fn is_detached(self) -> bool {
        matches!(
            self,
            Part::Monitor { detached: true } | Part::Worker { detached: true, .. }
        )
    }
}
