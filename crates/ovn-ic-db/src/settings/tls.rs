//! Whether connections are encrypted, and with which keys.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ovsdb_server::entrance::Plaintext;
use ovsdb_tls::Files;

use super::given::{Environment, SettingError, Sources};
use crate::command_line::{KeyFlags, RunFlags};

/// Where the deployments that this program replaces keep their keys.
const FOLDER: &str = "/var/run/tls";

/// TLS, which `ENABLE_SSL=true` turns on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The keys.
    pub files: Files,
    /// What happens to clients without TLS.
    pub plaintext: Plaintext,
    /// Members of clusters that this node founds or joins use TLS; where there is a member's file, its
    /// address says it.
    pub cluster: bool,
}

impl TlsSettings {
    pub(super) fn resolve(
        flags: &RunFlags,
        sources: &Sources<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<TlsSettings>, SettingError> {
        let on = is_on(sources)?;
        let plaintext = sources.either("--plaintext", &flags.plaintext, "OVN_IC_DB_PLAINTEXT")?;
        let cluster = sources.either("--raft-tls", &flags.raft_tls, "OVN_IC_DB_RAFT_TLS")?;
        let refuse = match &plaintext {
            None => false,
            Some(given) => match given.value.trim() {
                "allow" => false,
                "refuse" => true,
                _ => return Err(given.refuse("must be allow or refuse")),
            },
        };
        let in_cluster = cluster.as_ref().map(|given| given.boolean()).transpose()?;
        if !on {
            // What was meant to be encrypted must not go out in plain text.
            if let Some(given) = plaintext.filter(|_| refuse) {
                return Err(given.refuse("needs TLS: set ENABLE_SSL=true, too"));
            }
            if let Some(given) = cluster.filter(|_| in_cluster == Some(true)) {
                return Err(given.refuse("needs TLS: set ENABLE_SSL=true, too"));
            }
            for (flag, _, variable) in named(&flags.keys, sources.environment) {
                warnings.push(format!(
                    "{flag} ({variable}) has no effect without ENABLE_SSL=true: connections are not encrypted"
                ));
            }
            return Ok(None);
        }
        Ok(Some(TlsSettings {
            files: files(&flags.keys, sources.environment),
            plaintext: match refuse {
                true => Plaintext::Refuse,
                false => Plaintext::Allow,
            },
            cluster: in_cluster.unwrap_or(true),
        }))
    }
}

fn is_on(sources: &Sources<'_>) -> Result<bool, SettingError> {
    Ok(sources.boolean("ENABLE_SSL")? == Some(true))
}

/// Whether `ENABLE_SSL` turns TLS on, for commands that ask servers.
///
/// # Errors
/// If it says something else than true or false.
pub fn enabled(environment: Environment<'_>) -> Result<bool, SettingError> {
    is_on(&Sources { environment })
}

/// Where the three files are.
pub fn files(flags: &KeyFlags, environment: Environment<'_>) -> Files {
    let [key, certificate, authorities] = all(flags).map(|(_, flag, variable, usual)| {
        place(flag, variable, environment).unwrap_or_else(|| Path::new(FOLDER).join(usual))
    });
    Files {
        key,
        certificate,
        authorities,
        shown: None,
        bootstrap: false,
    }
}

type Place<'a> = (&'static str, &'a Option<OsString>, &'static str);

/// The files that a flag or a variable names.
fn named<'a>(flags: &'a KeyFlags, environment: Environment<'_>) -> Vec<Place<'a>> {
    let places = all(flags).into_iter();
    let places = places.map(|(name, flag, variable, _)| (name, flag, variable));
    places
        .filter(|(_, flag, variable)| place(flag, variable, environment).is_some())
        .collect()
}

fn all(flags: &KeyFlags) -> [(&'static str, &Option<OsString>, &'static str, &'static str); 3] {
    [
        (
            "--private-key",
            &flags.private_key,
            "OVN_IC_DB_PRIVATE_KEY",
            "key",
        ),
        (
            "--certificate",
            &flags.certificate,
            "OVN_IC_DB_CERTIFICATE",
            "cert",
        ),
        ("--ca-cert", &flags.ca_cert, "OVN_IC_DB_CA_CERT", "cacert"),
    ]
}

fn place(flag: &Option<OsString>, variable: &str, environment: Environment<'_>) -> Option<PathBuf> {
    let variable = || environment(variable).filter(|value| !value.is_empty());
    flag.clone().or_else(variable).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn resolve(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let environment = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Settings::resolve(&RunFlags::default(), &environment).map_err(|error| error.to_string())
    }

    #[test]
    fn tls_is_on_with_enable_ssl_alone() {
        assert_eq!(resolve(&[]).expect("settings").tls, None);
        let tls = resolve(&[("ENABLE_SSL", "true")]).expect("settings").tls;
        let tls = tls.expect("TLS");
        assert_eq!(tls.files.key, Path::new("/var/run/tls/key"));
        assert_eq!(tls.files.certificate, Path::new("/var/run/tls/cert"));
        assert_eq!(tls.files.authorities, Path::new("/var/run/tls/cacert"));
        assert_eq!((tls.plaintext, tls.cluster), (Plaintext::Allow, true));
        let all = [
            ("ENABLE_SSL", "true"),
            ("OVN_IC_DB_PLAINTEXT", "refuse"),
            ("OVN_IC_DB_RAFT_TLS", "false"),
            ("OVN_IC_DB_CA_CERT", "/a/ca"),
        ];
        let tls = resolve(&all).expect("settings").tls.expect("TLS");
        assert_eq!(tls.files.authorities, Path::new("/a/ca"));
        assert_eq!((tls.plaintext, tls.cluster), (Plaintext::Refuse, false));
    }

    #[test]
    fn nothing_is_silently_not_encrypted() {
        for (name, value) in [
            ("OVN_IC_DB_PLAINTEXT", "refuse"),
            ("OVN_IC_DB_RAFT_TLS", "true"),
        ] {
            let error = resolve(&[(name, value)]).expect_err(name);
            assert!(error.contains("set ENABLE_SSL=true"), "{error}");
        }
        let settings = resolve(&[("OVN_IC_DB_PRIVATE_KEY", "/k")]).expect("settings");
        assert!(settings.warnings[0].starts_with("--private-key"));
        for (name, value) in [("OVN_IC_DB_PLAINTEXT", "no"), ("OVN_IC_DB_RAFT_TLS", "1")] {
            assert!(resolve(&[("ENABLE_SSL", "true"), (name, value)]).is_err());
        }
    }
}
