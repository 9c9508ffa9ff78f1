//! The TLS keys of a service, which may come, change and go while it runs.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::tls::Tls;

/// A place for keys, shared by all that use them.
#[derive(Debug, Clone, Default)]
pub struct Keys(Arc<ArcSwapOption<Tls>>);

impl Keys {
    /// No keys yet.
    pub fn none() -> Keys {
        Keys::default()
    }

    /// The keys of now.
    pub fn current(&self) -> Option<Arc<Tls>> {
        self.0.load_full()
    }

    /// Other keys for the connections to come.
    pub fn set(&self, tls: Option<Arc<Tls>>) {
        self.0.store(tls);
    }
}

impl From<Arc<Tls>> for Keys {
    fn from(tls: Arc<Tls>) -> Keys {
        Keys(Arc::new(ArcSwapOption::from(Some(tls))))
    }
}
