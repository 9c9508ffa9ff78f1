//! When each of the others was last heard.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::entry::{ServerId, Servers};

/// The members' last signs of life. Of others nothing is kept: anybody can make up ids.
#[derive(Debug, Default)]
pub(super) struct Contacts(BTreeMap<ServerId, Option<Instant>>);

impl Contacts {
    /// These are the members now.
    pub(super) fn set_members(&mut self, members: &Servers) {
        self.0.retain(|server, _| members.contains_key(server));
        for server in members.keys() {
            self.0.entry(*server).or_default();
        }
    }

    pub(super) fn heard(&mut self, server: ServerId, now: Instant) {
        if let Some(heard) = self.0.get_mut(&server) {
            *heard = Some(now);
        }
    }

    pub(super) fn last(&self, server: ServerId) -> Option<Instant> {
        self.0.get(&server).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_members_are_remembered() {
        let id = ServerId::from_u128;
        let members = |ids: &[u128]| ids.iter().map(|n| (id(*n), String::new())).collect();
        let mut contacts = Contacts::default();
        contacts.set_members(&members(&[1, 2]));
        let now = Instant::now();
        for server in 2..1000 {
            contacts.heard(id(server), now);
        }
        assert_eq!(
            (contacts.last(id(2)), contacts.last(id(3))),
            (Some(now), None)
        );
        assert_eq!(contacts.last(id(1)), None);
        contacts.set_members(&members(&[2, 3]));
        assert_eq!(contacts.0.len(), 2);
        assert_eq!(contacts.last(id(2)), Some(now));
    }
}
