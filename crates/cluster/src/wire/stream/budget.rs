//! How much memory what the others send may take, from its first byte until it is handled.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What some connections together may hold, and how much of it is used, in bytes.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    used: Arc<AtomicUsize>,
    most: usize,
}

impl Budget {
    pub(super) fn new(most: usize) -> Self {
        Budget {
            used: Arc::default(),
            most,
        }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// A part of it, of nothing at first.
    pub(super) fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            taken: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// A part of a [`Budget`], given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Budget,
    taken: usize,
}

impl Share {
    /// Makes it larger or smaller; false if that is more than there is. It has grown even then: the
    /// connection is about to end.
    pub(super) fn set(&mut self, wanted: usize) -> bool {
        let used = &self.budget.used;
        let before = std::mem::replace(&mut self.taken, wanted);
        if wanted <= before {
            used.fetch_sub(before - wanted, Ordering::Relaxed);
            return true;
        }
        let more = wanted - before;
        used.fetch_add(more, Ordering::Relaxed) + more <= self.budget.most
    }

    pub(super) fn is_of(&self, budget: &Budget) -> bool {
        Arc::ptr_eq(&self.budget.used, &budget.used)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// The memory of a message that has come. It counts as used until all copies of this are dropped,
/// so whoever keeps the message keeps this beside it.
#[derive(Debug, Clone, Default)]
pub struct Held {
    _share: Option<Arc<Share>>,
}

impl Held {
    pub(super) fn new(share: Share) -> Held {
        Held {
            _share: Some(Arc::new(share)),
        }
    }
}
