//! What nodes tell each other about founding: facts of the announcement in their hello or
//! their request to join.
//!
//! | Fact | Values |
//! |---|---|
//! | `standing` | `nothing`; `joining`: knows that there is a cluster; `member`; `damaged`, `left`: has what remains of a cluster, and cannot use it |
//! | `founder` | the address of the node that it lets found; its own: it will found itself |
//! | `claim` | why it may: `leader-ip`, `called` or `first` |
//! | `leader-ip` | the address that its `LEADER_IP` names |
//! | `contents` | of a member's cluster: `own-switches`, nothing else; `data` |
//! | `led` | `no`: the member knows of no leader, so the cluster takes nobody in for now |
//!
//! The cluster's id is in the message's head. A peer that announces nothing is the reference: one
//! that says hello is a member, and one that asks to be added has nothing.

use std::net::IpAddr;

use ovsdb_cluster::wire::{Address, Announcement, Body, ClusterId, Message};

use super::claim::Claim;

/// What a node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing that it knows of.
    Nothing,
    /// Nothing, but it knows that there is, or was, a cluster.
    Joining,
    /// A damaged file: it may be the last copy of a cluster's contents.
    Damaged,
    /// The file of a server that has left; the same goes for it.
    Left,
    /// A cluster.
    Member {
        /// Which one; not known where only its peers' behaviour shows it.
        cluster: Option<ClusterId>,
        /// What is in it.
        holding: Holding,
        /// Whether it has a leader, as far as its member knows.
        led: bool,
    },
}

/// What is in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// At most transit switches that this program makes by itself.
    OwnSwitches,
    /// Anything else.
    Data,
}

/// What a node says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// What it has.
    pub standing: Standing,
    /// Whom it lets found.
    pub founder: Option<IpAddr>,
    /// Why it founds itself.
    pub claim: Option<Claim>,
    /// Whom its `LEADER_IP` names.
    pub leader: Option<IpAddr>,
    /// It is of our kind: it waits for others' consent and gives its own.
    pub ours: bool,
}

impl Report {
    /// What a member of ours says.
    pub fn member(cluster: ClusterId, holding: Holding, led: bool) -> Report {
        let standing = Standing::Member {
            cluster: Some(cluster),
            holding,
            led,
        };
        Report {
            ours: true,
            ..Report::foreign(standing)
        }
    }

    /// What is known of a node that announces nothing.
    pub(super) fn foreign(standing: Standing) -> Report {
        Report {
            standing,
            founder: None,
            claim: None,
            leader: None,
            ours: false,
        }
    }

    /// Adds the facts to an announcement. The cluster's id is none of them.
    pub fn announce(&self, announcement: Announcement) -> Announcement {
        let standing = match self.standing {
            Standing::Nothing => "nothing",
            Standing::Joining => "joining",
            Standing::Damaged => "damaged",
            Standing::Left => "left",
            Standing::Member { .. } => "member",
        };
        let mut announcement = announcement.with("standing", standing);
        if let Standing::Member { holding, led, .. } = self.standing {
            announcement = announcement.with("contents", holding.word());
            if !led {
                announcement = announcement.with("led", "no");
            }
        }
        let facts = [
            ("founder", self.founder.map(|node| node.to_string())),
            ("claim", self.claim.map(|claim| claim.word().to_owned())),
            ("leader-ip", self.leader.map(|node| node.to_string())),
        ];
        for (name, value) in facts {
            if let Some(value) = value {
                announcement = announcement.with(name, &value);
            }
        }
        announcement
    }

    /// What a node says with its announcement and the cluster that it names.
    pub fn of(announcement: &Announcement, cluster: Option<ClusterId>) -> Report {
        let fact = |name| announcement.fact(name);
        let node = |name| fact(name)?.parse().ok();
        Report {
            standing: match fact("standing") {
                Some("nothing") => Standing::Nothing,
                Some("joining") => Standing::Joining,
                Some("damaged") => Standing::Damaged,
                Some("left") => Standing::Left,
                // Who says nothing of the kind and knows its cluster has one.
                Some("member") => member(cluster, announcement),
                _ if cluster.is_some() => member(cluster, announcement),
                _ => Standing::Nothing,
            },
            founder: node("founder"),
            claim: fact("claim").and_then(Claim::parse),
            leader: node("leader-ip"),
            ours: true,
        }
    }

    /// What a message says of its sender, and its address, as far as it is there; none if it
    /// says nothing of the kind.
    pub fn from_message(message: &Message) -> Option<(Option<IpAddr>, Report)> {
        let (address, reference) = match &message.body {
            Body::HelloRequest(hello) => (Some(&hello.address), foreign_member(message)),
            Body::AddServerReply(_) => (None, foreign_member(message)),
            Body::AddServerRequest(request) => {
                let standing = match message.head.cluster {
                    Some(_) => Standing::Joining,
                    None => Standing::Nothing,
                };
                (Some(&request.address), standing)
            }
            _ => return None,
        };
        let ip =
            address.and_then(|address| Some(address.parse::<Address>().ok()?.ip_and_port()?.0));
        let comment = message.head.comment.as_deref();
        let report = match comment.and_then(Announcement::parse) {
            Some(announcement) => Report::of(&announcement, message.head.cluster),
            None => Report::foreign(reference),
        };
        Some((ip, report))
    }

    /// It has a cluster.
    pub fn is_member(&self) -> bool {
        matches!(self.standing, Standing::Member { .. })
    }
}

fn member(cluster: Option<ClusterId>, announcement: &Announcement) -> Standing {
    let holding = announcement
        .fact("contents")
        .map_or(Holding::Data, Holding::parse);
    let led = announcement.fact("led") != Some("no");
    Standing::Member {
        cluster,
        holding,
        led,
    }
}

fn foreign_member(message: &Message) -> Standing {
    Standing::unknown_member(message.head.cluster)
}

impl Standing {
    /// A member that has not said more than that.
    pub(super) fn unknown_member(cluster: Option<ClusterId>) -> Standing {
        Standing::Member {
            cluster,
            holding: Holding::Data,
            led: true,
        }
    }
}

impl Holding {
    fn word(self) -> &'static str {
        match self {
            Holding::OwnSwitches => "own-switches",
            Holding::Data => "data",
        }
    }

    /// What is not known to be nothing counts as data.
    pub fn parse(word: &str) -> Holding {
        match word {
            "own-switches" => Holding::OwnSwitches,
            _ => Holding::Data,
        }
    }
}

#[cfg(test)]
mod tests {
    use ovsdb_cluster::wire::Head;
    use ovsdb_cluster::wire::message::{AddServerRequest, BecomeLeader, HelloRequest};
    use uuid::Uuid;

    use super::*;

    fn message(cluster: Option<u128>, comment: Option<String>, body: Body) -> Message {
        Message {
            head: Head {
                cluster: cluster.map(Uuid::from_u128),
                from: Uuid::from_u128(1),
                to: None,
                comment,
            },
            body,
        }
    }

    fn request() -> Body {
        Body::AddServerRequest(AddServerRequest {
            address: "tcp:[fd00::2]:6647".into(),
        })
    }

    fn hello() -> Body {
        Body::HelloRequest(HelloRequest {
            address: "tcp:[10.0.0.2]:6647".into(),
        })
    }

    #[test]
    fn reports_read_back() {
        let cluster = Uuid::from_u128(9);
        let plain = Report {
            standing: Standing::Nothing,
            founder: Some("fd00::1".parse().expect("an address")),
            claim: Some(Claim::Called),
            leader: Some("10.0.0.1".parse().expect("an address")),
            ours: true,
        };
        let standings = [
            Standing::Nothing,
            Standing::Joining,
            Standing::Damaged,
            Standing::Left,
        ];
        let reports = standings.map(|standing| Report { standing, ..plain });
        let members = [(Holding::OwnSwitches, true), (Holding::Data, false)]
            .map(|(holding, led)| Report::member(cluster, holding, led));
        for report in reports.into_iter().chain(members) {
            let text = report.announce(Announcement::new([])).to_string();
            let read = Announcement::parse(&text).expect("an announcement");
            let named = report.is_member().then_some(cluster);
            assert_eq!(Report::of(&read, named), report, "{text}");
        }
    }

    #[test]
    fn what_the_reference_says() {
        let standing = |cluster, body| {
            let (node, report) = Report::from_message(&message(cluster, None, body))?;
            assert!(!report.ours);
            Some((node.map(|node| node.to_string()), report.standing))
        };
        let member = Standing::unknown_member(Some(Uuid::from_u128(9)));
        assert_eq!(
            standing(Some(9), hello()),
            Some((Some("10.0.0.2".into()), member))
        );
        let six = Some("fd00::2".to_owned());
        assert_eq!(
            standing(None, request()),
            Some((six.clone(), Standing::Nothing))
        );
        // It knows a cluster's id: there is one.
        assert_eq!(standing(Some(9), request()), Some((six, Standing::Joining)));
        let other = Body::BecomeLeader(BecomeLeader { term: 1 });
        assert_eq!(standing(Some(9), other), None);
    }

    #[test]
    fn announcements_of_other_versions() {
        let read = |text: &str, cluster| {
            let said = message(cluster, Some(format!("ovn-ic-db/2 {text}")), hello());
            Report::from_message(&said).map(|(_, report)| report.standing)
        };
        let member = Standing::unknown_member(Some(Uuid::from_u128(9)));
        assert_eq!(read("", Some(9)), Some(member));
        assert_eq!(
            read("standing=what founder=who claim=why", Some(9)),
            Some(member)
        );
        assert_eq!(
            read("standing=what contents=what", None),
            Some(Standing::Nothing)
        );
    }
}
