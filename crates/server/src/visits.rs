//! Which clients that come and go have lines in the log: every one of a host that comes now and then,
//! and few of one that comes back all the time.

use std::time::{Duration, Instant};

use ovsdb_cluster::wire::stream::LogLimit;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

/// So many visits of a host may be told at once.
const BURST: u32 = 10;
/// One more each time this has passed.
const REFILL: Duration = Duration::from_secs(60);
/// So many hosts are told apart.
const MAX_HOSTS: usize = 1024;
/// What all others are together.
const OTHERS: &str = "";

/// The visits of late, by host.
#[derive(Debug, Default)]
pub(crate) struct Visits(Mutex<FxHashMap<String, LogLimit>>);

impl Visits {
    /// Whether a client's visit is told; if so, how many of its host were not since the last one.
    pub(crate) fn begin(&self, peer: &str) -> Option<u64> {
        self.begin_at(peer, Instant::now())
    }

    fn begin_at(&self, peer: &str, now: Instant) -> Option<u64> {
        let mut hosts = self.0.lock();
        let mut name = host_of(peer);
        if !hosts.contains_key(name) && hosts.len() >= MAX_HOSTS {
            hosts.retain(|_, limit| !limit.is_idle_at(now));
            if hosts.len() >= MAX_HOSTS {
                name = OTHERS;
            }
        }
        if let Some(limit) = hosts.get(name) {
            return limit.allow_at(now);
        }
        let limit = LogLimit::with(BURST, REFILL);
        let told = limit.allow_at(now);
        hosts.insert(name.to_owned(), limit);
        told
    }
}

/// A peer's name without its port.
fn host_of(peer: &str) -> &str {
    peer.rsplit_once(':').map_or(peer, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_becomes_a_count() {
        let visits = Visits::default();
        let now = Instant::now();
        let come = |host: &str, port: u32, now| visits.begin_at(&format!("tcp:{host}:{port}"), now);
        let told = (0..100).filter(|port| come("10.0.0.1", *port, now).is_some());
        assert_eq!(told.count(), 10);
        // Others are none the worse for it.
        assert_eq!(come("10.0.0.2", 1, now), Some(0));
        assert_eq!(come("[::1]", 1, now), Some(0));
        // The limit began a moment after `now`.
        assert_eq!(come("10.0.0.1", 1, now + REFILL * 2), Some(90));
        assert_eq!(come("10.0.0.1", 1, now + REFILL * 2), None);
    }

    #[test]
    fn hosts_are_bounded() {
        let visits = Visits::default();
        let now = Instant::now();
        for n in 0..3000 {
            visits.begin_at(&format!("tcp:host{n}:1"), now);
        }
        assert_eq!(visits.0.lock().len(), MAX_HOSTS + 1);
        assert_eq!(visits.begin_at("tcp:new:1", now), None);
        assert_eq!(visits.begin_at("tcp:host0:1", now), Some(0));
        // Whoever was quiet for long is forgotten.
        let later = now + REFILL * (BURST + 1);
        assert_eq!(visits.begin_at("tcp:new:1", later), Some(0));
        assert_eq!(visits.0.lock().len(), 2);
    }
}
