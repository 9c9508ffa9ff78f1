//! Every metric there is: its name, its kind, its labels, and what it means.
//!
//! `docs/metrics.md` has the same list; a test compares them.

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts how long something took.
    Histogram,
}

/// A metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// The names of its labels; all values come from fixed lists, the schema, or the members.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

/// Declares the metrics, and the list of all of them.
macro_rules! catalogue {
    ($($id:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $id: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )*
        /// All of them, in the document's order.
        #[cfg(test)]
        pub const ALL: &[&Metric] = &[$(&$id),*];
    };
}

catalogue! {
    BUILD_INFO: Gauge "ovn_ic_db_build_info" ["version"]
        "Always 1, with the program's version.";
    CERTIFICATE_EXPIRY: Gauge "ovn_ic_db_certificate_expiry_timestamp_seconds" []
        "When the certificate in use ends, in seconds since 1970; only with TLS.";
    AUTHORITY_EXPIRY: Gauge "ovn_ic_db_authority_expiry_timestamp_seconds" []
        "When the first CA certificate in use ends, in seconds since 1970; only with TLS.";

    READY: Gauge "ovn_ic_db_ready" ["database"]
        "1 if the database is served and, in a cluster, a leader is known; see /readyz.";
    SCHEMA_INFO: Gauge "ovn_ic_db_schema_info" ["database", "version"]
        "Always 1, with the version of the schema that is served.";
    ROWS: Gauge "ovn_ic_db_rows" ["database", "table"]
        "Rows of a table.";
    COMMITS: Counter "ovn_ic_db_commits_total" ["database"]
        "Committed transactions that have changed something, by whichever server they were executed.";

    TRANSACTIONS: Counter "ovn_ic_db_transactions_total" ["database", "executed", "outcome"]
        "Transactions of this server's clients, executed here or by the leader.";
    MEMBER_TRANSACTIONS: Counter "ovn_ic_db_member_transactions_total" ["database", "outcome"]
        "Transactions that this server has executed as leader for clients of other members.";
    TRANSACTION_DURATION: Histogram "ovn_ic_db_transaction_duration_seconds" ["database"]
        "From when a client's transaction was taken up to its answer, but for those that waited for a change by others.";
    ERRORS: Counter "ovn_ic_db_errors_total" ["database", "error"]
        "Errors that clients were answered, failed transactions included.";

    SESSIONS: Gauge "ovn_ic_db_sessions" ["database"]
        "Clients that are connected.";
    SESSIONS_OPENED: Counter "ovn_ic_db_sessions_opened_total" ["database"]
        "Clients that have connected.";
    SESSIONS_CLOSED: Counter "ovn_ic_db_sessions_closed_total" ["database", "reason"]
        "Clients' connections that have ended.";
    REFUSED_CONNECTIONS: Counter "ovn_ic_db_refused_connections_total" ["database", "reason"]
        "Connections of clients that were refused while TLS is on.";
    MONITORS: Gauge "ovn_ic_db_monitors" ["database"]
        "Monitors of all clients.";
    BACKLOG: Gauge "ovn_ic_db_backlog_bytes" ["database"]
        "Bytes that wait to be sent to all clients.";

    FILE_SIZE: Gauge "ovn_ic_db_file_size_bytes" ["database"]
        "Size of the database's file.";
    FILE_COMPACT_SIZE: Gauge "ovn_ic_db_file_compact_size_bytes" ["database"]
        "Size of the file after its last compaction.";
    FILE_WRITABLE: Gauge "ovn_ic_db_file_writable" ["database"]
        "0 while the file cannot be written.";
    FILE_UNWRITTEN: Gauge "ovn_ic_db_file_unwritten_transactions" ["database"]
        "Acknowledged transactions that are not in the file, as writing them has failed.";
    FILE_APPENDED: Counter "ovn_ic_db_file_appended_bytes_total" ["database"]
        "Bytes of records that were appended to the file.";
    FSYNC_DURATION: Histogram "ovn_ic_db_fsync_duration_seconds" ["database"]
        "How long syncs of appended records took.";
    DISK_FAILURES: Counter "ovn_ic_db_disk_failures_total" ["database"]
        "Writes, syncs and openings of the file that have failed.";
    COMPACTION_DURATION: Histogram "ovn_ic_db_compaction_duration_seconds" ["database"]
        "How long rewritings of the file took: compactions, schema conversions, snapshots of a leader.";
    COMPACTION_FAILURES: Counter "ovn_ic_db_compaction_failures_total" ["database"]
        "Rewritings of the file that have failed.";
    LAST_COMPACTION: Gauge "ovn_ic_db_last_compaction_timestamp_seconds" ["database"]
        "When the file was last compacted, in seconds since 1970; not there before the first time.";

    RAFT_ROLE: Gauge "ovn_ic_db_raft_role" ["database", "role"]
        "1 for the role that this member has, 0 for the others.";
    RAFT_LEADER_KNOWN: Gauge "ovn_ic_db_raft_leader_known" ["database"]
        "1 if this member leads or knows who does, and is in touch with a majority.";
    RAFT_TERM: Gauge "ovn_ic_db_raft_term" ["database"]
        "The term.";
    RAFT_MEMBERS: Gauge "ovn_ic_db_raft_members" ["database"]
        "Members of the cluster, this one included.";
    RAFT_CONNECTED: Gauge "ovn_ic_db_raft_connected_members" ["database"]
        "Other members that there is a connection with.";
    RAFT_LAST_INDEX: Gauge "ovn_ic_db_raft_last_index" ["database"]
        "The last entry of this member's log.";
    RAFT_COMMITTED_INDEX: Gauge "ovn_ic_db_raft_committed_index" ["database"]
        "The last entry that this member knows to be committed.";
    RAFT_APPLIED_INDEX: Gauge "ovn_ic_db_raft_applied_index" ["database"]
        "The last entry whose effects clients see here.";
    RAFT_APPLY_LAG: Gauge "ovn_ic_db_raft_apply_lag_entries" ["database"]
        "Committed entries that clients do not see here yet.";
    RAFT_LEADER_LAG: Gauge "ovn_ic_db_raft_leader_lag_entries" ["database"]
        "Entries that the leader has called committed and this member does not have.";
    RAFT_PEER_LAG: Gauge "ovn_ic_db_raft_peer_lag_entries" ["database", "peer", "address"]
        "As leader: entries that another member is not known to have.";
    RAFT_PEER_SILENCE: Gauge "ovn_ic_db_raft_peer_silence_seconds" ["database", "peer", "address"]
        "How long ago another member was heard.";
    RAFT_ROUND_TRIP: Histogram "ovn_ic_db_raft_append_round_trip_seconds" ["database", "peer", "address"]
        "As leader: from sending entries or a sign of life to another member to its answer, its disk included.";
    RAFT_ELECTIONS: Counter "ovn_ic_db_raft_elections_total" ["database", "reason"]
        "Elections that this member has stood for; one that is cut off stands again and again.";
    RAFT_ELECTIONS_WON: Counter "ovn_ic_db_raft_elections_won_total" ["database"]
        "Elections that this member has won.";
    RAFT_LEADER_CHANGES: Counter "ovn_ic_db_raft_leader_changes_total" ["database"]
        "How often this member has seen another leader than before; the first one counts.";
    RAFT_VOTES: Counter "ovn_ic_db_raft_votes_total" ["database", "answer"]
        "Candidates that this member was asked to vote for.";
    RAFT_DISCONNECTIONS: Counter "ovn_ic_db_raft_disconnections_total" ["database"]
        "Connections with other members that were lost.";
    RAFT_REFUSED_PEERS: Counter "ovn_ic_db_raft_refused_peers_total" ["database"]
        "Connections with servers that were refused: of another cluster, or under a wrong name.";
    RAFT_FAILED_HANDSHAKES: Counter "ovn_ic_db_raft_failed_handshakes_total" ["database"]
        "TLS handshakes with other servers that have failed, whichever side has called.";

    PROCESS_CPU: Counter "process_cpu_seconds_total" []
        "Processor time of the process.";
    PROCESS_OPEN_FDS: Gauge "process_open_fds" []
        "Open file descriptors.";
    PROCESS_MAX_FDS: Gauge "process_max_fds" []
        "How many file descriptors may be open.";
    PROCESS_VIRTUAL: Gauge "process_virtual_memory_bytes" []
        "Virtual memory.";
    PROCESS_RESIDENT: Gauge "process_resident_memory_bytes" []
        "Resident memory.";
    PROCESS_THREADS: Gauge "process_threads" []
        "Threads.";
    PROCESS_START: Gauge "process_start_time_seconds" []
        "When the process was started, in seconds since 1970.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_metric() {
        let document = include_str!("../../../../../docs/metrics.md");
        let rows: Vec<&str> = document
            .lines()
            .filter(|line| line.starts_with("| `ovn_ic_db_") || line.starts_with("| `process_"))
            .collect();
        let expected = ALL.iter().map(|metric| {
            let labels = metric.labels.iter().map(|label| format!("`{label}`"));
            let labels = labels.collect::<Vec<_>>().join(", ");
            let kind = format!("{:?}", metric.kind).to_lowercase();
            let (name, help) = (metric.name, metric.help);
            format!("| `{name}` | {kind} | {labels} | {help} |").replace("|  |", "| |")
        });
        assert_eq!(rows, expected.collect::<Vec<_>>());
    }
}
