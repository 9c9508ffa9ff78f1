//! Which versions and ciphers are used, as ovsdb-server(1) lets people say: `--ssl-protocols`,
//! `--ssl-ciphers` (ciphers(1) of OpenSSL), `--ssl-ciphersuites`.

use rustls::{CipherSuite, ProtocolVersion, SupportedCipherSuite};

/// What was chosen. Empty texts choose everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    versions: Option<(Version, Version)>,
    /// Of TLS 1.2.
    ciphers: Option<Vec<CipherSuite>>,
    /// Of TLS 1.3.
    suites: Option<Vec<CipherSuite>>,
    /// What was not understood, and is ignored.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    V12,
    V13,
}

/// The names of the ciphers that there are: OpenSSL's, and the standard's.
const CIPHERS: [(&str, &str, CipherSuite); 6] = [
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-RSA-CHACHA20-POLY1305",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

const SUITES: [(&str, CipherSuite); 3] = [
    (
        "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_AES_256_GCM_SHA384,
    ),
    (
        "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_128_GCM_SHA256,
    ),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ),
];

impl Choice {
    /// Understands the three texts. What cannot be understood is in the warnings, and chooses nothing:
    /// then everything is used that this server has.
    pub fn parse(protocols: &str, ciphers: &str, suites: &str) -> Choice {
        let mut choice = Choice::default();
        if !protocols.is_empty() {
            choice.versions = versions(protocols);
            if choice.versions.is_none() {
                let warning = format!("{protocols}: SSL/TLS protocol not recognized");
                choice.warnings.push(warning);
            }
        }
        if !ciphers.is_empty() {
            choice.ciphers = Some(chosen_ciphers(ciphers));
        }
        if !suites.is_empty() {
            let named = |name: &str| SUITES.iter().find(|(known, _)| *known == name);
            let suites = suites.split(':').filter_map(named).map(|(_, suite)| *suite);
            choice.suites = Some(suites.collect());
        }
        choice
    }

    /// Whether a cipher may be used.
    pub(crate) fn allows(&self, suite: &SupportedCipherSuite) -> bool {
        let version = match suite.version().version {
            ProtocolVersion::TLSv1_3 => Version::V13,
            _ => Version::V12,
        };
        let in_range = self
            .versions
            .is_none_or(|(first, last)| (first..=last).contains(&version));
        let list = match version {
            Version::V12 => &self.ciphers,
            Version::V13 => &self.suites,
        };
        in_range
            && list
                .as_ref()
                .is_none_or(|list| list.contains(&suite.suite()))
    }
}

fn version(name: &str) -> Option<Version> {
    match name {
        "TLSv1.2" => Some(Version::V12),
        "TLSv1.3" => Some(Version::V13),
        _ => None,
    }
}

/// `V`, `V,W` and `V W` (all between the lowest and the highest), `V-W`, `V+` (and later).
fn versions(text: &str) -> Option<(Version, Version)> {
    if let Some(first) = text.strip_suffix('+') {
        return Some((version(first)?, Version::V13));
    }
    if let Some((one, other)) = text.split_once('-') {
        let (one, other) = (version(one)?, version(other)?);
        return Some((one.min(other), one.max(other)));
    }
    let names = text.split([',', ' ', '\t']).filter(|name| !name.is_empty());
    let all: Vec<Version> = names.map(version).collect::<Option<_>>()?;
    Some((*all.iter().min()?, *all.iter().max()?))
}

/// OpenSSL's list: names and groups, taken away by `!` and `-`.
fn chosen_ciphers(text: &str) -> Vec<CipherSuite> {
    let mut chosen: Vec<CipherSuite> = Vec::new();
    let mut never: Vec<CipherSuite> = Vec::new();
    for word in text.split([':', ',', ' ']).filter(|word| !word.is_empty()) {
        let (sign, name) = match word.as_bytes()[0] {
            sign @ (b'!' | b'-' | b'+' | b'@') => (Some(sign), &word[1..]),
            _ => (None, word),
        };
        match sign {
            // Order and security levels: the weakest cipher here is above them.
            Some(b'+' | b'@') => {}
            Some(sign) => {
                let meant = meant(name);
                chosen.retain(|suite| !meant.contains(suite));
                if sign == b'!' {
                    never.extend(meant);
                }
            }
            None => {
                for suite in meant(name) {
                    if !chosen.contains(&suite) && !never.contains(&suite) {
                        chosen.push(suite);
                    }
                }
            }
        }
    }
    chosen
}

/// The ciphers of a name, of a group, or of groups that all hold (`ECDHE+AESGCM`).
fn meant(name: &str) -> Vec<CipherSuite> {
    let all = CIPHERS.iter();
    let fits = |(openssl, standard, _): &&(&str, &str, CipherSuite)| {
        name.split('+')
            .all(|part| part == *openssl || part == *standard || in_group(part, openssl))
    };
    all.filter(fits).map(|(_, _, suite)| *suite).collect()
}

fn in_group(group: &str, openssl: &str) -> bool {
    match group {
        "DEFAULT"
        | "ALL"
        | "HIGH"
        | "COMPLEMENTOFDEFAULT"
        | "TLSv1.2"
        | "kEECDH"
        | "kECDHE"
        | "ECDHE"
        | "EECDH" => true,
        "aRSA" | "RSA" => openssl.contains("-RSA-"),
        "aECDSA" | "ECDSA" => openssl.contains("-ECDSA-"),
        "AES" | "AESGCM" => openssl.contains("-AES"),
        "AES128" => openssl.contains("-AES128-"),
        "AES256" => openssl.contains("-AES256-"),
        "CHACHA20" => openssl.contains("-CHACHA20-"),
        "SHA256" => openssl.ends_with("-SHA256"),
        "SHA384" => openssl.ends_with("-SHA384"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(protocols: &str, ciphers: &str, suites: &str) -> Vec<String> {
        let choice = Choice::parse(protocols, ciphers, suites);
        let provider = rustls::crypto::ring::default_provider();
        let all = provider.cipher_suites.iter();
        let left = all.filter(|suite| choice.allows(suite));
        left.map(|suite| format!("{:?}", suite.suite())).collect()
    }

    #[test]
    fn nothing_said_is_everything() {
        assert_eq!(left("", "", "").len(), 9);
        let all = left("TLSv1.3,TLSv1.2", "HIGH:!aNULL:!MD5", "");
        assert_eq!(all.len(), 9);
        assert_eq!(left("TLSv1.2+", "DEFAULT:@SECLEVEL=2", "").len(), 9);
    }

    #[test]
    fn versions_are_a_range() {
        for text in ["TLSv1.3", "TLSv1.3+", "TLSv1.3-TLSv1.3"] {
            assert_eq!(left(text, "", "").len(), 3, "{text}");
        }
        assert_eq!(left("TLSv1.2", "", "").len(), 6);
        assert_eq!(left("TLSv1.3-TLSv1.2", "", "").len(), 9);
        for text in ["TLSv1.1", "TLSv1.2-TLSv1.3,TLSv1.3+", "TLSv1.2+TLSv1.3"] {
            let choice = Choice::parse(text, "", "");
            let warning = format!("{text}: SSL/TLS protocol not recognized");
            assert_eq!(choice.warnings, [warning]);
            assert_eq!(choice.versions, None);
        }
    }

    #[test]
    fn ciphers_are_named_grouped_and_taken_away() {
        let one = "ECDHE-ECDSA-AES256-GCM-SHA384";
        let left_of_12 = |ciphers: &str| left("TLSv1.2", ciphers, "").len();
        assert_eq!(left_of_12(one), 1);
        assert_eq!(left_of_12(&format!("DEFAULT:!{one}")), 5);
        assert_eq!(left_of_12(&format!("!{one}:ALL")), 5);
        assert_eq!(left_of_12("ALL:-aRSA"), 3);
        assert_eq!(left_of_12("ECDHE+AESGCM:aRSA+CHACHA20"), 5);
        assert_eq!(left_of_12("RC4"), 0);
        let suites = left("TLSv1.3", "", "TLS_AES_128_GCM_SHA256:TLS_NONE");
        assert_eq!(suites, ["TLS13_AES_128_GCM_SHA256"]);
    }
}
