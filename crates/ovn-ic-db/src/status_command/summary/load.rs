//! How much a database is used, by all its servers together.

use ovsdb_server::report::{DatabaseReport, Recent};

/// Rates in thousandths a second: those of the last ten seconds and of the last minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Of the last ten seconds.
    pub ten_seconds: u64,
    /// Of the last minute.
    pub minute: u64,
}

/// How much a database is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// What clients ask for, at all servers that were asked.
    pub transactions: Rates,
    /// What changes the database.
    pub changes: Rates,
}

impl Load {
    /// The load with one more server's.
    pub fn and(self, report: &DatabaseReport) -> Option<Load> {
        let load = report.load.as_ref()?;
        let uptime = report.process.uptime;
        let transactions = rates(load.transactions, uptime);
        let changes = rates(load.changes, uptime);
        Some(Load {
            // Each client is at one server.
            transactions: Rates {
                ten_seconds: self.transactions.ten_seconds + transactions.ten_seconds,
                minute: self.transactions.minute + transactions.minute,
            },
            // All of them have all changes.
            changes: Rates {
                ten_seconds: self.changes.ten_seconds.max(changes.ten_seconds),
                minute: self.changes.minute.max(changes.minute),
            },
        })
    }
}

/// A server that is younger than the span has counted since its start.
fn rates(recent: Recent, uptime: u64) -> Rates {
    let rate = |count: u64, span: u64| {
        let milliseconds = uptime.clamp(1_000, span);
        count.saturating_mul(1_000_000) / milliseconds
    };
    Rates {
        ten_seconds: rate(recent.ten_seconds, 10_000),
        minute: rate(recent.minute, 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_young_server_counts_since_its_start() {
        let recent = Recent {
            ten_seconds: 30,
            minute: 60,
        };
        for (uptime, ten_seconds, minute) in [
            (0, 30_000, 60_000),
            (5_000, 6_000, 12_000),
            (20_000, 3_000, 3_000),
            (3_600_000, 3_000, 1_000),
        ] {
            let expected = Rates {
                ten_seconds,
                minute,
            };
            assert_eq!(rates(recent, uptime), expected, "{uptime}");
        }
    }
}
