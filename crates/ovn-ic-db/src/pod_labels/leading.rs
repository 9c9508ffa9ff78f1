//! What a server leads, and the labels that say so.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

/// The northbound's label; tools that look for its leader select pods by it.
const NORTHBOUND: &str = "ovn-ic-nb-leader";
/// The southbound's.
const SOUTHBOUND: &str = "ovn-ic-sb-leader";

/// Which databases a server leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leading {
    /// `OVN_IC_Northbound`.
    pub northbound: bool,
    /// `OVN_IC_Southbound`.
    pub southbound: bool,
}

impl Leading {
    /// A server that stops.
    pub const NOTHING: Leading = Leading {
        northbound: false,
        southbound: false,
    };

    /// What a pod's labels say; none if they do not say it of both.
    pub fn of_labels(labels: &BTreeMap<String, String>) -> Option<Leading> {
        let says = |name| match labels.get(name).map(String::as_str) {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        Some(Leading {
            northbound: says(NORTHBOUND)?,
            southbound: says(SOUTHBOUND)?,
        })
    }

    /// The JSON merge patch (RFC 7386) that makes a pod's labels say it, and leaves the rest.
    pub fn patch(self) -> Value {
        json!({"metadata": {"labels": {
            NORTHBOUND: self.northbound.to_string(),
            SOUTHBOUND: self.southbound.to_string(),
        }}})
    }
}

impl fmt::Display for Leading {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Leading {
            northbound,
            southbound,
        } = self;
        write!(out, "{NORTHBOUND}={northbound}, {SOUTHBOUND}={southbound}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn labels_say_what_a_patch_has_set() {
        for (northbound, southbound) in [(false, false), (true, false), (true, true)] {
            let leading = Leading {
                northbound,
                southbound,
            };
            let patch = leading.patch();
            let set: BTreeMap<String, String> =
                serde_json::from_value(patch["metadata"]["labels"].clone()).expect("labels");
            assert_eq!(set.len(), 2, "no other label is touched");
            assert_eq!(Leading::of_labels(&set), Some(leading));
        }
    }

    #[test]
    fn labels_that_are_missing_or_strange_say_nothing() {
        assert_eq!(Leading::of_labels(&labels(&[])), None);
        let one = [(NORTHBOUND, "true"), ("app", "ovn-ic-server")];
        assert_eq!(Leading::of_labels(&labels(&one)), None);
        let strange = [(NORTHBOUND, "true"), (SOUTHBOUND, "yes")];
        assert_eq!(Leading::of_labels(&labels(&strange)), None);
    }
}
