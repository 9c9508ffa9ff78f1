//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::closed_loop::Span;

/// Runs ours and Debian's ovsdb-server in turn under the same loads and prints both figures and their ratio.
#[derive(Debug, Clone, Parser)]
#[command(name = "ovn-ic-db-bench")]
pub struct Options {
    /// Only this scenario (may be repeated); without it all of them.
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,

    /// Rounds, each on freshly started servers; medians are printed.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,

    /// Seconds that each load is counted for in a round.
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,

    /// Everything once, small and short: shows that the bench works, not how fast the servers are.
    #[arg(long)]
    pub quick: bool,

    /// Print the table as Markdown.
    #[arg(long)]
    pub markdown: bool,

    /// The reference in both roles: what the ratios are then is the error of the method.
    #[arg(long)]
    pub same: bool,

    /// Clients connect through the Unix socket instead of TCP.
    #[arg(long)]
    pub unix: bool,

    /// Where the databases are put; the file system counts for the durable figures.
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
}

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Rows beside the ones that are updated.
    pub updates: usize,
    /// Rows that are searched.
    pub selects: usize,
    /// Monitors that each commit is delivered to.
    pub monitors: usize,
    /// Clients that fetch at once.
    pub fetch_clients: usize,
    /// Rows that each of them fetches.
    pub fetch_rows: usize,
    /// Clients that only wait.
    pub idle: usize,
    /// Rows in the file that a server starts from.
    pub start_up: usize,
    /// Rows for the memory of a row.
    pub memory: usize,
}

impl Options {
    /// The sizes to run with.
    pub fn sizes(&self) -> Sizes {
        if self.quick {
            return Sizes {
                updates: 500,
                selects: 1000,
                monitors: 20,
                fetch_clients: 5,
                fetch_rows: 2000,
                idle: 100,
                start_up: 5000,
                memory: 5000,
            };
        }
        Sizes {
            updates: 10_000,
            selects: 50_000,
            monitors: 200,
            fetch_clients: 50,
            fetch_rows: 50_000,
            idle: 1000,
            start_up: 100_000,
            memory: 100_000,
        }
    }

    /// How long each load runs in a round.
    pub fn span(&self) -> Span {
        let counted = if self.quick { 0.2 } else { self.seconds };
        Span {
            warm_up: Duration::from_secs_f64(counted / 4.0),
            counted: Duration::from_secs_f64(counted),
        }
    }

    /// Rounds to run, at most `at_most` of them.
    pub fn rounds(&self, at_most: u32) -> u32 {
        if self.quick {
            1
        } else {
            self.rounds.min(at_most)
        }
    }
}
