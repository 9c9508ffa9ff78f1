//! The modules that `vlog/set` tells apart, and which one an event is of.

use tracing::Metadata;

/// Every name that the replaced server knows, old versions and new ones, whether anything is
/// logged under it here or not, and the program's own. In alphabetical order.
#[rustfmt::skip]
pub(super) const MODULES: [&str; COUNT] = [
    "backtrace", "bundle", "command_line", "conntrack", "conntrack_tp",
    "cooperative_multitasking", "coverage", "ct_dpif", "daemon", "daemon_unix", "dns_resolve",
    "dp_packet_gso", "dpdk", "dpif", "dpif_lookup_autovalidator", "dpif_lookup_generic",
    "dpif_mfex_extract_study", "dpif_netdev", "dpif_netdev_extract", "dpif_netdev_impl",
    "dpif_netdev_lookup", "dpif_netlink", "dpif_netlink_rtnl", "entropy", "fatal_signal",
    "flow", "hmap", "ipf", "jsonrpc", "lockfile", "memory", "meta_flow", "native_tnl", "netdev",
    "netdev_afxdp", "netdev_linux", "netdev_offload", "netdev_offload_tc", "netdev_vport",
    "netlink", "netlink_conntrack", "netlink_notifier", "netlink_socket", "nx_match",
    "odp_execute", "odp_execute_impl", "odp_util", "ofp_actions", "ofp_bundle",
    "ofp_connection", "ofp_errors", "ofp_flow", "ofp_group", "ofp_match", "ofp_meter",
    "ofp_monitor", "ofp_msgs", "ofp_packet", "ofp_port", "ofp_protocol", "ofp_queue",
    "ofp_table", "ofp_util", "ovn_ic_db", "ovs_numa", "ovs_rcu", "ovs_replay", "ovs_router",
    "ovs_thread", "ovsdb", "ovsdb_cs", "ovsdb_error", "ovsdb_file", "ovsdb_idl",
    "ovsdb_jsonrpc_server", "ovsdb_log", "ovsdb_monitor", "ovsdb_rbac", "ovsdb_server",
    "ovsdb_util", "ox_stat", "pmd_perf", "poll_loop", "process", "raft", "raft_rpc",
    "reconnect", "relay", "replication", "route_table", "sha1", "signals", "socket_util",
    "socket_util_unix", "storage", "stream", "stream_fd", "stream_replay", "stream_ssl",
    "stream_tcp", "stream_unix", "svec", "tc", "timeval", "transaction", "transaction_forward",
    "trigger", "unixctl", "userspace_tso", "util", "uuid", "vlog",
];

/// How many modules there are.
pub(super) const COUNT: usize = 112;

/// The program's own module; what no other one is meant for is its.
pub(super) const OWN: &str = "ovn_ic_db";
/// What is its in a process that stands in for the replaced server.
const SERVER: &str = "ovsdb_server";

/// The code that logs, and the module that says the same in the replaced server; the first that
/// fits counts.
const PLACES: &[(&str, &str)] = &[
    ("ovn_ic_db::logging", "vlog"),
    ("ovn_ic_db", OWN),
    ("ovsdb_server::clustered", "raft"),
    ("ovsdb_server::cluster_control", "raft"),
    ("ovsdb_server::control", "unixctl"),
    ("ovsdb_server::entrance", "stream_ssl"),
    ("ovsdb_server::listener", "ovsdb_jsonrpc_server"),
    ("ovsdb_server::monitors", "ovsdb_monitor"),
    ("ovsdb_server::pid_file", "daemon_unix"),
    ("ovsdb_server::relay", "relay"),
    ("ovsdb_server::remotes", "ovsdb_jsonrpc_server"),
    ("ovsdb_server::replication", "replication"),
    ("ovsdb_server::session", "ovsdb_jsonrpc_server"),
    ("ovsdb_server::standalone", "ovsdb_file"),
    ("ovsdb_server::upstream::keep", "reconnect"),
    ("ovsdb_server::upstream", "ovsdb_cs"),
    ("ovsdb_server", SERVER),
    ("ovsdb_cluster::wire", "raft_rpc"),
    ("ovsdb_cluster", "raft"),
    ("openraft", "raft"),
    ("ovsdb_engine", "ovsdb"),
    ("ovsdb_log", "ovsdb_log"),
    ("ovsdb_sockets", "stream"),
    ("ovsdb_tls", "stream_ssl"),
];

/// The place of a module in [`MODULES`], in any case of letters.
pub(super) fn place(name: &str) -> Option<usize> {
    MODULES
        .iter()
        .position(|module| module.eq_ignore_ascii_case(name))
}

/// The module of an event: one that it names as its target, or that of the code. `own` is the
/// place of what is nobody else's.
pub(super) fn module_of(metadata: &Metadata<'_>, own: usize) -> usize {
    let target = metadata.target();
    let begins = |code: &str| {
        let rest = target.strip_prefix(code);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let of_code = PLACES.iter().find(|(code, _)| begins(code));
    match of_code {
        Some((_, OWN)) => own,
        Some((_, module)) => place(module).unwrap_or(own),
        None => place(target).unwrap_or(own),
    }
}

/// The place of what is nobody else's: in a process that `stands_in` for the replaced server, or
/// not.
pub(super) fn own(stands_in: bool) -> usize {
    let name = if stands_in { SERVER } else { OWN };
    place(name).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_in_a_module() {
        assert!(MODULES.is_sorted());
        for (code, module) in PLACES {
            assert!(place(module).is_some(), "{code}: {module}");
        }
        assert_eq!(place("VLOG").map(|place| MODULES[place]), Some("vlog"));
    }
}
