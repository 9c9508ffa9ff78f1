//! What a person should know.

use std::collections::BTreeMap;

/// So many subjects are kept; anybody who calls can make one.
const MOST: usize = 32;

/// The newest remark on each subject, of the subjects that came last.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    all: BTreeMap<String, (u64, String)>,
    count: u64,
}

impl Troubles {
    pub(super) fn insert(&mut self, subject: &str, text: String) {
        self.count += 1;
        self.all.insert(subject.to_owned(), (self.count, text));
        if self.all.len() > MOST {
            let oldest = self.all.iter().min_by_key(|(_, (count, _))| *count);
            if let Some(oldest) = oldest.map(|(subject, _)| subject.clone()) {
                self.all.remove(&oldest);
            }
        }
    }

    pub(super) fn remove(&mut self, subject: &str) {
        self.all.remove(subject);
    }

    /// All remarks, by subject.
    pub(super) fn texts(&self) -> Vec<String> {
        self.all.values().map(|(_, text)| text.clone()).collect()
    }
}

/// A caller's address without its port, which is another one with each call.
pub(super) fn without_port(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_subject_gives_way() {
        let mut troubles = Troubles::default();
        for n in 0..1000 {
            troubles.insert("kept", format!("kept {n}"));
            troubles.insert(&format!("subject {n}"), n.to_string());
        }
        assert_eq!(troubles.all.len(), MOST);
        assert!(troubles.texts().contains(&"kept 999".to_owned()));
        assert!(troubles.all.contains_key("subject 999"));
        troubles.remove("kept");
        assert!(!troubles.all.contains_key("kept"));
    }

    #[test]
    fn callers_of_one_host_are_one_subject() {
        assert_eq!(without_port("tcp:10.0.0.1:5000"), "tcp:10.0.0.1");
        assert_eq!(without_port("tcp:[::1]:5000"), "tcp:[::1]");
    }
}
