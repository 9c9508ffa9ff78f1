//! TLS between real programs: clients of Debian, members of both kinds, keys of `ovs-pki`.

mod clients;
mod members;

use std::time::Duration;

// Two authorities of `ovs-pki` that are made in the same second have the same name: words of refusals here are
// those that both "not trusted" and "another key" have.
const PATIENCE: Duration = Duration::from_secs(30);
