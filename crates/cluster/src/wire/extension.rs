//! What our own members add for each other where the reference does not look: the `comment` of
//! the first message on a connection (hello_request or add_server_request).
//!
//! `ovn-ic-db/1 own-messages data=empty` is an announcement: a protocol version, features, and
//! facts about the sender. A peer is ours exactly while one of its connections has brought one;
//! a member that goes back to the reference stops being ours with its last connection.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

const PREFIX: &str = "ovn-ic-db/";

/// The version that this program announces. Versions differ only where a feature cannot tell.
pub const VERSION: u32 = 1;

/// Feature: takes [`super::message::Own`] messages.
pub const OWN_MESSAGES: &str = "own-messages";
/// Feature: takes pre-votes.
pub const PRE_VOTE: &str = "pre-vote";

/// No announcement is longer, in bytes or in words.
const MOST_BYTES: usize = 4096;
const MOST_WORDS: usize = 64;

/// What a member of ours says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The protocol's version.
    pub version: u32,
    /// What it can do. Unknown features are ignored.
    pub features: BTreeSet<String>,
    /// What it knows, for example about the cluster that it would make. Neither names nor values
    /// have white space or `=` in them.
    pub facts: BTreeMap<String, String>,
}

impl Announcement {
    /// This program's version and features, without facts.
    pub fn new<'a>(features: impl IntoIterator<Item = &'a str>) -> Self {
        Announcement {
            version: VERSION,
            features: features.into_iter().map(word).collect(),
            facts: BTreeMap::new(),
        }
    }

    /// With one more fact.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.facts.insert(word(name), word(value));
        self
    }

    /// True if it can do that.
    pub fn has(&self, feature: &str) -> bool {
        self.features.contains(feature)
    }

    /// A fact's value.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts.get(name).map(String::as_str)
    }

    /// The announcement in a message's comment; none if a peer of another kind wrote it.
    pub fn parse(comment: &str) -> Option<Announcement> {
        if comment.len() > MOST_BYTES {
            return None;
        }
        let mut words = comment.split_whitespace();
        let version = words.next()?.strip_prefix(PREFIX)?.parse().ok()?;
        let mut announcement = Announcement {
            version,
            features: BTreeSet::new(),
            facts: BTreeMap::new(),
        };
        for word in words.take(MOST_WORDS) {
            match word.split_once('=') {
                None => {
                    announcement.features.insert(word.to_owned());
                }
                Some((name, value)) => {
                    announcement.facts.insert(name.to_owned(), value.to_owned());
                }
            }
        }
        Some(announcement)
    }
}

/// Without what would end a word.
fn word(text: &str) -> String {
    text.replace(|c: char| c.is_whitespace() || c == '=', "_")
}

impl fmt::Display for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.version)?;
        for feature in &self.features {
            write!(f, " {feature}")?;
        }
        for (name, value) in &self.facts {
            write!(f, " {name}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_reads_back() {
        let announcement = Announcement::new([PRE_VOTE, OWN_MESSAGES])
            .with("leader", "tcp:10.0.0.1:6647")
            .with("a b", "c=d");
        let text = announcement.to_string();
        assert_eq!(
            text,
            "ovn-ic-db/1 own-messages pre-vote a_b=c_d leader=tcp:10.0.0.1:6647"
        );
        let back = Announcement::parse(&text).expect("announcement");
        assert_eq!(back, announcement);
        assert!(back.has(PRE_VOTE) && !back.has("flight"));
        assert_eq!(back.fact("leader"), Some("tcp:10.0.0.1:6647"));
    }

    #[test]
    fn others_comments_announce_nothing() {
        for comment in [
            "",
            "heartbeat",
            "via unixctl",
            "ovn-ic-db/",
            "ovn-ic-db/x a",
        ] {
            assert_eq!(Announcement::parse(comment), None, "{comment}");
        }
        let newer = Announcement::parse("ovn-ic-db/7 flight").expect("announcement");
        assert_eq!(newer.version, 7);
    }
}
