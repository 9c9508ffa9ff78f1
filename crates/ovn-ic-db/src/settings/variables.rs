//! The variables that `run` knows, as data.

use std::ffi::OsString;

/// One variable that `run` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The flag that says the same, if there is one.
    pub flag: Option<&'static str>,
    /// The default as docs/configuration.md has it.
    pub default: &'static str,
}

const fn variable(
    name: &'static str,
    flag: Option<&'static str>,
    default: &'static str,
) -> Variable {
    Variable {
        name,
        flag,
        default,
    }
}

/// Every variable that `run` knows. The table in docs/configuration.md has the same names and
/// defaults (a test compares them), and what begins like ours and is not here
/// is a slip that deserves a warning.
pub const VARIABLES: &[Variable] = &[
    variable("OVN_IC_DB_NB_PORT", Some("--nb-port"), "6645"),
    variable("OVN_IC_DB_SB_PORT", Some("--sb-port"), "6646"),
    variable("OVN_IC_DB_NB_RAFT_PORT", Some("--nb-raft-port"), "6647"),
    variable("OVN_IC_DB_SB_RAFT_PORT", Some("--sb-raft-port"), "6648"),
    variable("OVN_IC_DB_ELECTION_TIMER", Some("--election-timer"), "1000"),
    variable("OVN_IC_DB_LISTEN", Some("--listen"), "all addresses"),
    variable("OVN_IC_DB_DURABLE", Some("--durable"), "always"),
    variable("OVN_IC_DB_DB_DIR", Some("--db-dir"), "/etc/ovn"),
    variable("OVN_IC_DB_RUN_DIR", Some("--run-dir"), "/var/run/ovn"),
    variable("OVN_IC_DB_LOG_DIR", Some("--log-dir"), "/var/log/ovn"),
    variable("OVN_IC_DB_PROBE_INTERVAL", Some("--probe-interval"), "5"),
    variable("OVN_IC_DB_LOG_LEVEL", Some("--log-level"), "info"),
    variable("OVN_IC_DB_HTTP", Some("--http"), "off"),
    variable("OVN_IC_DB_LOG_FORMAT", Some("--log-format"), "text"),
    variable("OVN_DBDIR", Some("--db-dir"), "/etc/ovn"),
    variable("OVN_RUNDIR", Some("--run-dir"), "/var/run/ovn"),
    variable("OVN_LOGDIR", Some("--log-dir"), "/var/log/ovn"),
    variable("TS_NUM", None, "unset"),
    variable("ENABLE_OVN_LEADER_CHECK", None, "true"),
    variable("OVN_LEADER_PROBE_INTERVAL", None, "5"),
    variable("POD_IPS", None, "unset"),
    variable("TS_NAME", None, "ts"),
    variable("TS_CIDR", None, "by PROTOCOL"),
    variable("PROTOCOL", None, "ipv4"),
    variable("ENABLE_SSL", None, "false"),
    variable(
        "OVN_IC_DB_PRIVATE_KEY",
        Some("--private-key"),
        "/var/run/tls/key",
    ),
    variable(
        "OVN_IC_DB_CERTIFICATE",
        Some("--certificate"),
        "/var/run/tls/cert",
    ),
    variable(
        "OVN_IC_DB_CA_CERT",
        Some("--ca-cert"),
        "/var/run/tls/cacert",
    ),
    variable("OVN_IC_DB_PLAINTEXT", Some("--plaintext"), "allow"),
    variable("OVN_IC_DB_RAFT_TLS", Some("--raft-tls"), "as ENABLE_SSL"),
    variable("ENABLE_BIND_LOCAL_IP", None, "by POD_IP"),
    variable("POD_IP", None, "unset"),
    variable("POD_NAME", None, "unset"),
    variable("POD_NAMESPACE", None, "the service account's"),
    variable("KUBERNETES_SERVICE_HOST", None, "unset"),
    variable("KUBERNETES_SERVICE_PORT", None, "443"),
    variable(
        "OVN_IC_DB_SERVICE_ACCOUNT",
        None,
        "/var/run/secrets/kubernetes.io/serviceaccount",
    ),
    variable("LOCAL_IP", None, "unset"),
    variable("NODE_IPS", None, "unset"),
    variable("LEADER_IP", None, "unset"),
];

/// Names how the program itself is found by the project's tests: no setting.
const NOT_SETTINGS: &[&str] = &["OVN_IC_DB_BIN"];

/// A warning for each variable that begins like ours and is none of ours.
pub fn unknown(names: impl IntoIterator<Item = OsString>) -> Vec<String> {
    let known = |name: &str| {
        VARIABLES.iter().any(|variable| variable.name == name) || NOT_SETTINGS.contains(&name)
    };
    let mut unknown: Vec<String> = names
        .into_iter()
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with("OVN_IC_DB_") && !known(name))
        .collect();
    unknown.sort();
    unknown
        .into_iter()
        .map(|name| format!("the environment variable {name} is not known and has no effect"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_variables_of_ours_are_told() {
        let names = ["PATH", "OVN_IC_DB_NB_PROT", "OVN_IC_DB_NB_PORT"].map(OsString::from);
        let told = unknown(names);
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("OVN_IC_DB_NB_PROT"));
    }

    #[test]
    fn the_document_has_every_variable_with_its_default() {
        let document = include_str!("../../../../docs/configuration.md");
        for variable in VARIABLES {
            let name = format!("`{}`", variable.name);
            let row = document
                .lines()
                .find(|line| line.starts_with('|') && line.contains(&name))
                .unwrap_or_else(|| panic!("{name} is missing in docs/configuration.md"));
            assert!(row.contains(variable.default), "{row}");
            assert!(variable.flag.is_none_or(|flag| row.contains(flag)), "{row}");
        }
    }
}
