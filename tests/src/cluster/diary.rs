//! Where the clients of a workload write down what happens, all on one clock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::check::Violation;
use super::history::{Action, Operation, Outcome};

/// The common diary of all clients.
#[derive(Debug)]
pub struct Diary {
    begun: Instant,
    open: AtomicBool,
    operations: Mutex<Vec<Operation>>,
    complaints: Mutex<Vec<Violation>>,
    done: AtomicU64,
}

impl Default for Diary {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            open: AtomicBool::new(true),
            operations: Mutex::default(),
            complaints: Mutex::default(),
            done: AtomicU64::new(0),
        }
    }
}

impl Diary {
    /// Time since the diary was begun.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Whether the clients are to go on.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Tells the clients to stop.
    pub fn close(&self) {
        self.open.store(false, Ordering::Relaxed);
    }

    /// Notes an operation whose outcome has just become known.
    pub fn note(&self, client: &str, action: Action, sent: Duration, outcome: Outcome) {
        if outcome == Outcome::Done {
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        lock(&self.operations).push(Operation {
            client: client.to_owned(),
            action,
            sent,
            known: self.now(),
            outcome,
        });
    }

    /// Notes something that must not be.
    pub fn complain(&self, violation: Violation) {
        lock(&self.complaints).push(violation);
    }

    /// How many operations have been acknowledged.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// All operations so far.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        lock(&self.operations).clone()
    }

    /// All complaints so far.
    #[must_use]
    pub fn complaints(&self) -> Vec<Violation> {
        lock(&self.complaints).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
