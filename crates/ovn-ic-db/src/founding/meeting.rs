//! Two clusters whose members meet: they could not reach each other when they were founded.
//!
//! A cluster that holds nothing but transit switches, which this program would make again, gives way:
//! its members set their files aside and join the other one. If both are so, the one with the greater
//! id does. If neither is, nobody but a person can say which one is right.

use std::fmt;

use ovsdb_cluster::wire::{Announcement, ClusterId};

use super::report::{Holding, Report, Standing};

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cluster {
    /// Its id.
    pub id: ClusterId,
    /// What is in it.
    pub holding: Holding,
}

/// What becomes of the own cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// This node's file is set aside, and it joins the other cluster. Contents may have come since
    /// they were looked at: that they are nothing has to be so still when the member has stopped.
    GiveWay,
    /// The others will do so.
    Stay,
    /// Both have data, and refuse each other.
    Refuse,
}

impl Cluster {
    /// The cluster of a peer that was refused because of it
    /// ([`Refusal::WrongCluster`](ovsdb_cluster::wire::stream::Refusal::WrongCluster)).
    pub fn of_peer(id: ClusterId, announcement: Option<&Announcement>) -> Cluster {
        let report = announcement.map(|announcement| Report::of(announcement, Some(id)).standing);
        let holding = match report {
            Some(Standing::Member { holding, .. }) => holding,
            // The reference says nothing and never gives way; others have yet to join.
            _ => Holding::Data,
        };
        Cluster { id, holding }
    }

    /// What a member of this cluster does when it meets one of another.
    pub fn meets(self, other: Cluster) -> Verdict {
        match (self.holding, other.holding) {
            (Holding::OwnSwitches, Holding::Data) => Verdict::GiveWay,
            (Holding::Data, Holding::OwnSwitches) => Verdict::Stay,
            (Holding::Data, Holding::Data) => Verdict::Refuse,
            (Holding::OwnSwitches, Holding::OwnSwitches) if self.id > other.id => Verdict::GiveWay,
            (Holding::OwnSwitches, Holding::OwnSwitches) => Verdict::Stay,
        }
    }
}

/// A meeting in words, for the log and `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// The own cluster.
    pub own: Cluster,
    /// The other one.
    pub other: Cluster,
    /// Where its member is.
    pub address: String,
}

impl fmt::Display for Meeting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Meeting {
            own,
            other,
            address,
        } = self;
        write!(out, "{address} is of another cluster, {}: ", other.id)?;
        match own.meets(*other) {
            Verdict::GiveWay => write!(
                out,
                "cluster {} here holds nothing but transit switches that are made by themselves, and gives way",
                own.id
            ),
            Verdict::Stay => write!(
                out,
                "it holds nothing but transit switches that are made by themselves, and is to give way to cluster {} here",
                own.id
            ),
            Verdict::Refuse => write!(
                out,
                "both it and cluster {} here have data, so they refuse each other; stop the nodes of one of them, and move their files away",
                own.id
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn cluster() -> impl Strategy<Value = Cluster> {
        (0..4u128, any::<bool>()).prop_map(|(id, data)| Cluster {
            id: Uuid::from_u128(id),
            holding: match data {
                true => Holding::Data,
                false => Holding::OwnSwitches,
            },
        })
    }

    proptest! {
        #[test]
        fn both_sides_say_the_same(a in cluster(), b in cluster()) {
            prop_assume!(a.id != b.id);
            let expected = match a.meets(b) {
                Verdict::GiveWay => Verdict::Stay,
                Verdict::Stay => Verdict::GiveWay,
                Verdict::Refuse => Verdict::Refuse,
            };
            prop_assert_eq!(b.meets(a), expected);
            // Data is never given up.
            prop_assert!(a.holding == Holding::OwnSwitches || a.meets(b) != Verdict::GiveWay);
        }
    }

    #[test]
    fn what_a_peer_announces() {
        let id = Uuid::from_u128(7);
        let holding =
            |announcement: Option<&Announcement>| Cluster::of_peer(id, announcement).holding;
        assert_eq!(holding(None), Holding::Data);
        assert_eq!(holding(Some(&Announcement::new([]))), Holding::Data);
        let member = Report::member(id, Holding::OwnSwitches, true).announce(Announcement::new([]));
        assert_eq!(holding(Some(&member)), Holding::OwnSwitches);
    }

    #[test]
    fn meetings_are_told() {
        let of = |id, holding| Cluster {
            id: Uuid::from_u128(id),
            holding,
        };
        let told = |own, other| {
            let address = "tcp:10.0.0.2:6647".to_owned();
            Meeting {
                own,
                other,
                address,
            }
            .to_string()
        };
        let (empty, full, other) = (
            of(1, Holding::OwnSwitches),
            of(2, Holding::Data),
            of(3, Holding::Data),
        );
        let begins = "tcp:10.0.0.2:6647 is of another cluster, 00000000-0000-0000-0000-00000000000";
        for (text, end) in [
            (told(empty, full), "and gives way"),
            (
                told(full, empty),
                "is to give way to cluster 00000000-0000-0000-0000-000000000002 here",
            ),
            (told(full, other), "move their files away"),
        ] {
            assert!(text.starts_with(begins) && text.ends_with(end), "{text}");
        }
    }
}
