//! All that the variables can say.

use std::ffi::OsString;

use super::super::Settings;
use super::*;

fn resolve(variables: &[(&str, &str)]) -> Result<Settings, String> {
    let environment = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    };
    Settings::resolve(&RunFlags::default(), &environment).map_err(|error| error.to_string())
}

fn cluster(variables: &[(&str, &str)]) -> (ClusterSettings, Settings) {
    let settings = resolve(variables).expect("settings");
    (settings.cluster.clone().expect("a cluster"), settings)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn all_ways_in_which_the_variables_come() {
    let nodes = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(ip);
    for list in [
        "10.0.0.1,10.0.0.2,10.0.0.3",
        " 10.0.0.1, 10.0.0.2 , 10.0.0.3,",
        "10.0.0.1 10.0.0.2\t10.0.0.3\n",
        "[10.0.0.1],10.0.0.2,10.0.0.1,10.0.0.3,10.0.0.2",
    ] {
        let (cluster, settings) = cluster(&[("LOCAL_IP", "10.0.0.2"), ("NODE_IPS", list)]);
        assert_eq!((cluster.local, &cluster.nodes[..]), (nodes[1], &nodes[..]));
        assert_eq!(cluster.leader, None);
        assert!(settings.warnings.is_empty() && settings.listen.is_empty());
    }
    let six = "[fd00::1],fd00:0::2,FD00::3";
    let (cluster, _) = cluster(&[
        ("LOCAL_IP", "[fd00::3]"),
        ("NODE_IPS", six),
        ("LEADER_IP", "fd00::1"),
    ]);
    assert_eq!(cluster.leader, Some(ip("fd00::1")));
    assert_eq!(
        cluster.local_address(Side::Southbound),
        "tcp:[fd00::3]:6648"
    );
    assert_eq!(
        cluster.other_addresses(Side::Northbound),
        ["tcp:[fd00::1]:6647", "tcp:[fd00::2]:6647"]
    );
}

#[test]
fn where_clients_are_served() {
    let nodes = ("NODE_IPS", "10.0.0.1");
    let (local, pod) = (("LOCAL_IP", "10.0.0.1"), ("POD_IP", "10.0.0.1"));
    let other_pod = ("POD_IP", "10.0.0.9");
    let (yes, no) = (
        ("ENABLE_BIND_LOCAL_IP", "true"),
        ("ENABLE_BIND_LOCAL_IP", "false"),
    );
    let alone = |address: &str| vec![ip(address)];
    for (variables, listen) in [
        (vec![local], vec![]),
        (vec![local, yes], alone("10.0.0.1")),
        (vec![pod], alone("10.0.0.1")),
        (vec![pod, no], vec![]),
        (vec![local, other_pod], alone("10.0.0.9")),
        (
            vec![pod, ("OVN_IC_DB_LISTEN", "127.0.0.1")],
            alone("127.0.0.1"),
        ),
    ] {
        let variables: Vec<_> = variables.into_iter().chain([nodes]).collect();
        let (cluster, settings) = cluster(&variables);
        assert_eq!(settings.listen, listen, "{variables:?}");
        assert_eq!(cluster.local, ip("10.0.0.1"));
    }
    // Without a cluster there is nothing to bind to.
    assert!(resolve(&[yes]).expect("settings").listen.is_empty());
}

#[test]
fn what_is_odd_is_a_warning() {
    let local = ("LOCAL_IP", "10.0.0.1");
    let (cluster, settings) = cluster(&[
        local,
        ("NODE_IPS", "10.0.0.1,10.0.0.2"),
        ("LEADER_IP", "10.0.0.7"),
    ]);
    let [even, outside] = &settings.warnings[..] else {
        panic!("{:?}", settings.warnings);
    };
    assert!(even.contains("2 nodes bear the loss of no more nodes than 1 do"));
    assert!(outside.contains("LEADER_IP=10.0.0.7"));
    // The replaced scripts ask there, whatever NODE_IPS says.
    assert_eq!(cluster.others(), [ip("10.0.0.2"), ip("10.0.0.7")]);
}

#[test]
fn wrong_settings_are_told_with_their_variable() {
    let nodes = ("NODE_IPS", "10.0.0.1,10.0.0.2,10.0.0.3");
    let local = ("LOCAL_IP", "10.0.0.1");
    for (variables, error) in [
        (vec![nodes], "NODE_IPS=10.0.0.1,10.0.0.2,10.0.0.3: neither"),
        (vec![local], "LOCAL_IP=10.0.0.1: a node of a cluster needs"),
        (
            vec![("POD_IP", "10.0.0.1")],
            "POD_IP=10.0.0.1: a node of a cluster needs NODE_IPS, too; unset POD_IP",
        ),
        (
            vec![("LEADER_IP", "10.0.0.1")],
            "LEADER_IP=10.0.0.1: a node of a cluster needs",
        ),
        (
            vec![("LOCAL_IP", "10.0.0.4"), nodes],
            "LOCAL_IP=10.0.0.4: is not one of NODE_IPS=10.0.0.1,",
        ),
        (
            vec![local, ("NODE_IPS", "10.0.0.1,node-2")],
            "NODE_IPS=10.0.0.1,node-2: node-2 is no IP address",
        ),
        (
            vec![("LOCAL_IP", "0.0.0.0"), ("NODE_IPS", "0.0.0.0")],
            "LOCAL_IP=0.0.0.0: 0.0.0.0 is not the address",
        ),
        (
            vec![local, nodes, ("LEADER_IP", "10.0.0.1,10.0.0.2")],
            "LEADER_IP=10.0.0.1,10.0.0.2: must be one IP address",
        ),
        (
            vec![local, nodes, ("LEADER_IP", "leader")],
            "LEADER_IP=leader: leader is no IP address",
        ),
        (
            vec![("OVN_IC_DB_NB_RAFT_PORT", "0")],
            "OVN_IC_DB_NB_RAFT_PORT=0: must be",
        ),
        (
            vec![("OVN_IC_DB_SB_RAFT_PORT", "6647")],
            "OVN_IC_DB_SB_RAFT_PORT=6647: the northbound",
        ),
        (
            vec![("OVN_IC_DB_ELECTION_TIMER", "99")],
            "OVN_IC_DB_ELECTION_TIMER=99: must be a number of milliseconds from 100 to 600000",
        ),
    ] {
        let said = resolve(&variables).expect_err(error);
        assert!(said.starts_with(error), "{said}");
    }
}

#[test]
fn somebody_elses_address_is_found_out() {
    // One that is for documentation (RFC 5737), and one that every machine has.
    for (address, right) in [("192.0.2.1", false), ("127.0.0.1", true)] {
        let (cluster, _) = cluster(&[("LOCAL_IP", address), ("NODE_IPS", address)]);
        match cluster.check_local() {
            Ok(()) => assert!(right),
            Err(error) => assert_eq!(
                error.to_string(),
                "LOCAL_IP=192.0.2.1: is not an address of this machine (`ip address` shows those)"
            ),
        }
    }
}
