//! A leader's, or a candidate's, identity: a term and whom a vote of that term is for.

use std::cmp::Ordering;
use std::fmt;

use openraft::vote::RaftLeaderId;
use uuid::Uuid;

use crate::entry::{ServerId, Term};

/// Standard Raft's leader id, in which a term may also have no vote yet.
///
/// OVSDB keeps "term T, no vote" as a state of its own. Here that is the nil UUID, which is below
/// every server of the same term; two servers of one term do not compare, as Raft wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderId {
    /// The term.
    pub term: Term,
    /// Whom the vote is for; nil for nobody.
    pub server: ServerId,
}

impl PartialOrd for LeaderId {
    fn partial_cmp(&self, other: &LeaderId) -> Option<Ordering> {
        match self.term.cmp(&other.term) {
            Ordering::Equal if self.server == other.server => Some(Ordering::Equal),
            Ordering::Equal if self.server.is_nil() => Some(Ordering::Less),
            Ordering::Equal if other.server.is_nil() => Some(Ordering::Greater),
            Ordering::Equal => None,
            order => Some(order),
        }
    }
}

/// A leader that was elected is known by its term alone.
impl PartialEq<Term> for LeaderId {
    fn eq(&self, _: &Term) -> bool {
        false
    }
}

impl PartialOrd<Term> for LeaderId {
    fn partial_cmp(&self, other: &Term) -> Option<Ordering> {
        // Of one term, the elected one is above any candidate.
        Some(self.term.cmp(other).then(Ordering::Less))
    }
}

impl fmt::Display for LeaderId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.server.is_nil() {
            true => write!(out, "term {}", self.term),
            false => write!(out, "term {} of {}", self.term, self.server),
        }
    }
}

impl RaftLeaderId for LeaderId {
    type Term = Term;
    type NodeId = ServerId;
    type Committed = Term;

    fn new(term: Term, server: ServerId) -> LeaderId {
        LeaderId { term, server }
    }

    fn term(&self) -> Term {
        self.term
    }

    fn node_id(&self) -> &Uuid {
        &self.server
    }

    fn to_committed(&self) -> Term {
        self.term
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_come_first_and_nobody_is_below_everybody() {
        let [a, b] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let id = LeaderId::new;
        assert!(id(2, Uuid::nil()) > id(1, b));
        assert!(id(2, Uuid::nil()) < id(2, a));
        assert!(id(2, a) > id(2, Uuid::nil()));
        assert_eq!(id(2, a).partial_cmp(&id(2, b)), None);
        assert_eq!(id(2, a).partial_cmp(&id(2, a)), Some(Ordering::Equal));
        assert_eq!(id(0, Uuid::nil()), id(0, Uuid::nil()));
    }

    #[test]
    fn an_elected_leader_is_above_the_candidates_of_its_term() {
        let a = LeaderId::new(2, Uuid::from_u128(1));
        assert_eq!(a.partial_cmp(&2), Some(Ordering::Less));
        assert_eq!(a.partial_cmp(&1), Some(Ordering::Greater));
        assert_eq!(a.partial_cmp(&3), Some(Ordering::Less));
    }
}
