//! The pod that the program runs in, and where its cluster's API is.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use super::SettingError;
use super::given::{Given, Sources};

/// Where Kubernetes puts a service account's files into a container.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The API server's port where none is given.
const PORT: u16 = 443;
/// How long a pod's name can be, and how long a namespace's.
const LONGEST: [usize; 2] = [253, 63];

/// The pod whose labels say what this server leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSettings {
    /// Its name.
    pub name: String,
    /// Its namespace; none is the service account's.
    pub namespace: Option<String>,
    /// The API server's `HOST:PORT`; none outside of Kubernetes.
    pub api: Option<String>,
    /// The folder of the service account's `token`, `ca.crt` and `namespace`.
    pub account: PathBuf,
}

impl PodSettings {
    /// Reads `POD_NAME` and what belongs to it.
    pub(super) fn resolve(
        sources: &Sources<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<PodSettings>, SettingError> {
        let [longest, longest_namespace] = LONGEST;
        let namespace = match sources.variable("POD_NAMESPACE")? {
            None => None,
            Some(given) => Some(name(given, longest_namespace, "")?),
        };
        let Some(given) = sources.variable("POD_NAME")? else {
            if namespace.is_some() {
                warnings.push("POD_NAMESPACE has no effect without POD_NAME".to_owned());
            }
            return Ok(None);
        };
        let pod = PodSettings {
            name: name(given, longest, ".")?,
            namespace,
            api: api(sources)?,
            account: (sources.environment)("OVN_IC_DB_SERVICE_ACCOUNT")
                .filter(|folder| !folder.is_empty())
                .map_or_else(|| ACCOUNT.into(), PathBuf::from),
        };
        let leader_check = sources.boolean("ENABLE_OVN_LEADER_CHECK")?.unwrap_or(true);
        Ok(leader_check.then_some(pod))
    }
}

/// A name as Kubernetes gives them (RFC 1123): it becomes a part of a path.
fn name(given: Given, longest: usize, also: &str) -> Result<String, SettingError> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = given.value.len() <= longest
        && given.value.chars().all(|c| inner(c) || also.contains(c))
        && given
            .value
            .split('.')
            .all(|part| !part.is_empty() && !part.starts_with('-') && !part.ends_with('-'));
    match fits {
        true => Ok(given.value),
        false => Err(given.refuse("is no name in Kubernetes")),
    }
}

/// What Kubernetes says of the API server.
fn api(sources: &Sources<'_>) -> Result<Option<String>, SettingError> {
    let Some(host) = sources.variable("KUBERNETES_SERVICE_HOST")? else {
        return Ok(None);
    };
    let port = match sources.variable("KUBERNETES_SERVICE_PORT")? {
        None => PORT,
        Some(given) => given.port()?,
    };
    if host.value.parse::<Ipv6Addr>().is_ok() {
        return Ok(Some(format!("[{}]:{port}", host.value)));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    match host.value.chars().all(fits) {
        true => Ok(Some(format!("{}:{port}", host.value))),
        false => Err(host.refuse("is neither an address nor a host's name")),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    type Variables<'a> = &'a [(&'a str, &'a str)];

    fn resolve(variables: Variables<'_>) -> Result<(Option<PodSettings>, Vec<String>), String> {
        let environment = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let sources = Sources {
            environment: &environment,
        };
        let mut warnings = Vec::new();
        let pod = PodSettings::resolve(&sources, &mut warnings);
        let pod = pod.map_err(|error| error.to_string())?;
        Ok((pod, warnings))
    }

    #[test]
    fn a_pod_is_what_kubernetes_says() {
        let (pod, warnings) = resolve(&[
            ("POD_NAME", "ovn-ic-server-5d9c-x2x"),
            ("POD_NAMESPACE", "kube-system"),
            ("KUBERNETES_SERVICE_HOST", "fd00::1"),
            ("KUBERNETES_SERVICE_PORT", "6443"),
        ])
        .expect("settings");
        let wanted = PodSettings {
            name: "ovn-ic-server-5d9c-x2x".into(),
            namespace: Some("kube-system".into()),
            api: Some("[fd00::1]:6443".into()),
            account: ACCOUNT.into(),
        };
        assert_eq!((pod, warnings), (Some(wanted), Vec::new()));
    }

    #[test]
    fn what_is_missing_has_defaults() {
        let (pod, _) = resolve(&[
            ("POD_NAME", "a.b"),
            ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
            ("OVN_IC_DB_SERVICE_ACCOUNT", "/account"),
        ])
        .expect("settings");
        let pod = pod.expect("a pod");
        assert_eq!(pod.namespace, None);
        assert_eq!(pod.api.as_deref(), Some("10.96.0.1:443"));
        assert_eq!(pod.account, PathBuf::from("/account"));
        let (pod, _) = resolve(&[("POD_NAME", "a")]).expect("settings");
        assert_eq!(pod.expect("a pod").api, None);
    }

    #[test]
    fn there_is_no_pod_without_a_name_or_where_the_leader_check_is_off() {
        let (pod, warnings) = resolve(&[("POD_NAMESPACE", "kube-system")]).expect("settings");
        assert_eq!((pod, warnings.len()), (None, 1));
        let off = [("POD_NAME", "a"), ("ENABLE_OVN_LEADER_CHECK", "false")];
        assert_eq!(resolve(&off), Ok((None, Vec::new())));
    }

    #[test]
    fn names_that_would_lead_elsewhere_are_refused() {
        let long = "a".repeat(64);
        for (name, value) in [
            ("POD_NAME", "../secrets/x"),
            ("POD_NAME", "a..b"),
            ("POD_NAME", "A"),
            ("POD_NAME", "-a"),
            ("POD_NAMESPACE", "a.b"),
            ("POD_NAMESPACE", &long),
            ("KUBERNETES_SERVICE_HOST", "host/path"),
            ("KUBERNETES_SERVICE_PORT", "x"),
        ] {
            let mut variables = vec![(name, value)];
            for (other, usual) in [("POD_NAME", "a"), ("KUBERNETES_SERVICE_HOST", "b")] {
                if other != name {
                    variables.push((other, usual));
                }
            }
            let error = resolve(&variables).expect_err(value);
            assert!(error.starts_with(&format!("{name}={value}: ")), "{error}");
        }
    }
}
