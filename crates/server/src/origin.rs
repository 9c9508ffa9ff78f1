//! Where sessions come from: one remote, with the options that all its sessions share.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

/// The longest pause between two attempts to connect, unless somebody sets another.
pub const DEFAULT_MAX_BACKOFF: Duration = Duration::from_secs(8);

/// The code point of what routers let through first (`CS6`), as the reference has it.
pub const DEFAULT_DSCP: u8 = 48;

/// How the sessions of one remote are treated (ovsdb-server(5), "Connection" tables).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionOptions {
    /// The silence after which a client is probed; `None` never.
    pub probe_interval: Option<Duration>,
    /// The longest pause between two attempts to connect, where this server is the one that
    /// connects.
    pub max_backoff: Duration,
    /// Clients may not change anything.
    pub read_only: bool,
    /// The DiffServ code point of what is sent to clients by TCP, 0 to 63.
    pub dscp: u8,
    /// The role of `RBAC_Role` that clients have; without one they may do everything.
    pub role: Option<String>,
}

impl Default for SessionOptions {
    fn default() -> SessionOptions {
        SessionOptions {
            probe_interval: None,
            max_backoff: DEFAULT_MAX_BACKOFF,
            read_only: false,
            dscp: DEFAULT_DSCP,
            role: None,
        }
    }
}

/// One remote, as its sessions see it. The options may be replaced while they live.
#[derive(Debug)]
pub struct Origin {
    name: String,
    options: ArcSwap<SessionOptions>,
}

impl Origin {
    /// A remote, by the name that people gave it.
    pub fn new(name: &str, options: SessionOptions) -> Arc<Origin> {
        Arc::new(Origin {
            name: name.to_owned(),
            options: ArcSwap::from_pointee(options),
        })
    }

    /// The remote's name, for example `ptcp:6641`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The options of now.
    pub fn options(&self) -> Arc<SessionOptions> {
        self.options.load_full()
    }

    /// Other options from now on. Sessions that there are hear of it by
    /// [`Service::options_changed`](crate::service::Service::options_changed).
    pub fn set_options(&self, options: SessionOptions) {
        self.options.store(Arc::new(options));
    }
}
