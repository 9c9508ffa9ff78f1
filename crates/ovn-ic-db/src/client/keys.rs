//! The keys of a command that asks servers: one set for all of its connections.

use std::sync::{Arc, OnceLock};

use ovsdb_tls::{Files, LoadError, Tls};

/// Read once, before the first connection.
static KEYS: OnceLock<Arc<Tls>> = OnceLock::new();

/// Reads the keys, for connections to `ssl:` remotes.
///
/// # Errors
/// If they cannot be used.
pub(super) fn load(files: Files) -> Result<(), LoadError> {
    let tls = Tls::load(files)?;
    // A second set in one command would be the same one.
    let _ = KEYS.set(tls);
    Ok(())
}

/// The keys, if there are `ssl:` remotes.
pub(super) fn get() -> Option<&'static Arc<Tls>> {
    KEYS.get()
}
