//! Certificates that are about to end, or have ended, are spoken of before anybody is refused for it.

use crate::certificate::Certificate;
use crate::key_set::KeySet;

/// How long before its end a certificate is spoken of, in seconds.
const SOON: i64 = 14 * 86_400;
const DAY: i64 = 86_400;

/// What is said of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reminder {
    /// It ends soon.
    Soon(String),
    /// It has ended.
    Over(String),
}

impl KeySet {
    /// The authority whose end comes first, of those in use or above the own certificate. One that has ended
    /// counts only if the own certificate hangs on it, or there is no other: an old one may stay in its
    /// file. One does not count either if the same has been renewed.
    pub fn first_authority_to_end(&self, now: i64) -> Option<&Certificate> {
        let trusted = self.trust.authorities();
        let all = || self.above.iter().chain(trusted);
        let renewed = |one: &Certificate| {
            all().any(|other| {
                other.subject_der == one.subject_der && other.not_after > one.not_after
            })
        };
        let none_lasts = trusted.iter().all(|other| other.not_after < now);
        let counts = |one: &&Certificate| {
            let matters = one.not_after >= now || none_lasts || self.above.contains(one);
            matters && !renewed(one)
        };
        all().filter(counts).min_by_key(|one| one.not_after)
    }

    /// What is to be said at a time, in seconds since 1970.
    pub(crate) fn reminders(&self, now: i64) -> Vec<Reminder> {
        let advice = "put a new one in its place; it comes into use by itself";
        let own = remind(
            &self.to_string(),
            "is refused by others",
            advice,
            self.certificate(),
            now,
        );
        let authority = self.first_authority_to_end(now).and_then(|authority| {
            let name = format!(
                "CA certificate \"{}\", valid until {}",
                authority.subject, authority.end
            );
            let advice = "add its successor to the file of authorities on every node and zone, and have certificates made by that";
            let effect = "nobody's certificate of it is taken any more";
            remind(&name, effect, advice, authority, now)
        });
        own.into_iter().chain(authority).collect()
    }
}

fn remind(
    name: &str,
    effect: &str,
    advice: &str,
    certificate: &Certificate,
    now: i64,
) -> Option<Reminder> {
    let left = certificate.not_after.saturating_sub(now);
    if left < 0 {
        let line = format!("the {name}, has expired, and {effect}: {advice}");
        return Some(Reminder::Over(line));
    }
    let days = left / DAY;
    (left < SOON).then(|| Reminder::Soon(format!("the {name}, ends in {days} days: {advice}")))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;
    use crate::{Choice, Files};

    const YEAR: i64 = 31_556_952;

    /// The beginning of a year, but for some days.
    fn at(year: i32) -> i64 {
        i64::from(year - 1970) * YEAR
    }

    struct Authority {
        pem: String,
        issuer: Issuer<'static, KeyPair>,
    }

    fn authority(name: &str, end: i32, key: KeyPair) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(end, 1, 1);
        let pem = params.self_signed(&key).expect("signed").pem();
        let issuer = Issuer::new(params, key);
        Authority { pem, issuer }
    }

    /// A certificate of the first, valid until 2100; all are trusted.
    fn keys(folder: &Path, by: &Authority, authorities: &[&str]) -> KeySet {
        let files = Files {
            key: folder.join("key"),
            certificate: folder.join("cert"),
            authorities: folder.join("cacert"),
            shown: None,
            bootstrap: false,
        };
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2100, 1, 1);
        let own = params.signed_by(&key, &by.issuer).expect("signed").pem();
        fs::write(&files.key, key.serialize_pem()).expect("written");
        fs::write(&files.certificate, own).expect("written");
        fs::write(&files.authorities, authorities.concat()).expect("written");
        KeySet::load_at(&files, &Choice::default(), at(2010)).expect("keys")
    }

    fn key() -> KeyPair {
        KeyPair::generate().expect("a key")
    }

    #[test]
    fn an_authority_that_ends_is_spoken_of() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = authority("first", 2030, key());
        let keys = keys(folder.path(), &first, &[&first.pem]);
        assert_eq!(keys.reminders(at(2029)), []);
        let end = keys
            .first_authority_to_end(at(2029))
            .expect("one")
            .not_after;
        let [Reminder::Soon(line)] = &keys.reminders(end - 3 * DAY)[..] else {
            panic!("{:?}", keys.reminders(end - 3 * DAY));
        };
        assert!(line.contains("CA certificate \"CN="), "{line}");
        assert!(line.contains("ends in 3 days: add its successor"), "{line}");
        let over = keys.reminders(end + 1);
        assert!(matches!(&over[..], [Reminder::Over(_)]), "{over:?}");
        // The own one, too.
        let own = keys.certificate().not_after;
        assert_eq!(keys.reminders(own - DAY).len(), 2);
    }

    #[test]
    fn old_ones_and_renewed_ones_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let last = authority("last", 2090, key());
        let old = authority("old", 2020, key());
        let of_last = keys(folder, &last, &[&old.pem, &last.pem]);
        let end = of_last
            .first_authority_to_end(at(2015))
            .expect("the old one")
            .not_after;
        assert_eq!(of_last.reminders(end - DAY).len(), 1);
        assert_eq!(of_last.reminders(end + 1), []);
        // The own certificate hangs on it.
        let of_old = keys(folder, &old, &[&old.pem, &last.pem]);
        assert_eq!(of_old.reminders(end + 1).len(), 1);
        // The same key with a longer life.
        let text = key().serialize_pem();
        let [before, after] = [2020, 2080].map(|end| {
            let pair = KeyPair::from_pem(&text).expect("a key");
            authority("renewed", end, pair)
        });
        let renewed = keys(folder, &before, &[&before.pem, &after.pem]);
        assert_eq!(renewed.reminders(end + 1), []);
        assert_eq!(renewed.reminders(end - DAY), []);
    }
}
