//! Who we are, and whether a message can be from whom it says, to us.

use crate::address::same_address;
use crate::entry::{ServerId, Servers};
use crate::wire::{Announcement, Body, ClusterId, Message};

/// Who we are.
#[derive(Debug, Clone)]
pub struct Local {
    /// How log lines name the database (their field `db`).
    pub db: String,
    /// Our server id.
    pub server: ServerId,
    /// Our cluster, once it is known. Until then there is no hello, and any cluster is right.
    pub cluster: Option<ClusterId>,
    /// Our address as the members know it.
    pub address: String,
    /// What we say about ourselves to members of our own kind.
    pub announcement: Announcement,
}

/// Why a peer is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It sends no JSON.
    #[error("sends no JSON: {0}")]
    NotJson(String),
    /// It sends something else than messages.
    #[error("sends a wrong message: {0}")]
    NotAMessage(String),
    /// Its message is longer than it may be.
    #[error("sends a message of more than {0} bytes")]
    TooLong(usize),
    /// It sends more than there is room for: so many bytes for it and others like it together.
    #[error("sends more than there is room for, {0} bytes")]
    NoRoom(usize),
    /// It refuses our certificate.
    #[error("{0}")]
    Tls(String),
    /// It called and said nothing in time.
    #[error("says nothing")]
    SaysNothing,
    /// It is of another cluster.
    #[error("is of cluster {theirs}, not of {ours}")]
    WrongCluster {
        /// Who it is.
        from: ServerId,
        /// Its address, where it says that.
        address: Option<String>,
        /// Its cluster.
        theirs: ClusterId,
        /// Ours.
        ours: ClusterId,
        /// What it says about itself, if it is of our kind.
        announcement: Option<Announcement>,
    },
    /// It wants somebody else.
    #[error("wants server {0}")]
    Misrouted(ServerId),
    /// It has our own server id.
    #[error("has this server's own id {0}: one of them uses a copied file")]
    OurId(ServerId),
    /// It is not who should be there, or not who it said that it was.
    #[error("says that it is server {said}, not {expected}")]
    OtherServer {
        /// Who it says that it is.
        said: ServerId,
        /// Who it should be.
        expected: ServerId,
    },
    /// It has the id of a member that lives elsewhere.
    #[error(
        "has the id of server {server} at {known}, but its address is {said}: one of them uses a copied file"
    )]
    OtherAddress {
        /// The id.
        server: ServerId,
        /// The member's address.
        known: String,
        /// Its address.
        said: String,
    },
}

/// Checks a message's head. `expected` is who is at the other end, if that is known.
pub(super) fn judge(
    local: &Local,
    members: &Servers,
    expected: Option<ServerId>,
    message: &Message,
) -> Result<(), Box<Refusal>> {
    let head = &message.head;
    if head.from == local.server {
        return Err(Refusal::OurId(head.from).into());
    }
    let said = match &message.body {
        Body::HelloRequest(hello) => Some(&hello.address),
        Body::AddServerRequest(request) => Some(&request.address),
        _ => None,
    };
    if let (Some(theirs), Some(ours)) = (head.cluster, local.cluster)
        && theirs != ours
    {
        return Err(Box::new(Refusal::WrongCluster {
            from: head.from,
            address: said.cloned(),
            theirs,
            ours,
            announcement: head.comment.as_deref().and_then(Announcement::parse),
        }));
    }
    if let Some(expected) = expected.filter(|expected| *expected != head.from) {
        let said = head.from;
        return Err(Refusal::OtherServer { said, expected }.into());
    }
    if let Some(to) = head.to.filter(|to| *to != local.server) {
        return Err(Refusal::Misrouted(to).into());
    }
    if let (Some(said), Some(known)) = (said, members.get(&head.from))
        && !same_address(said, known)
    {
        return Err(Box::new(Refusal::OtherAddress {
            server: head.from,
            known: known.clone(),
            said: said.clone(),
        }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Head;
    use crate::wire::message::{BecomeLeader, HelloRequest};
    use uuid::Uuid;

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn judged(from: u128, to: Option<u128>, cluster: u128, body: Body) -> Result<(), String> {
        let local = Local {
            db: "test".into(),
            server: id(1),
            cluster: Some(id(9)),
            address: "tcp:10.0.0.1:6647".into(),
            announcement: Announcement::new([]),
        };
        let members = Servers::from([(id(2), "tcp:10.0.0.2:6647".to_owned())]);
        let head = Head {
            cluster: Some(id(cluster)),
            from: id(from),
            to: to.map(id),
            comment: None,
        };
        let expected = (from > 100).then_some(id(2));
        judge(&local, &members, expected, &Message { head, body }).map_err(|r| r.to_string())
    }

    #[test]
    fn heads_are_checked() {
        let term = || Body::BecomeLeader(BecomeLeader { term: 1 });
        let hello = |address: &str| {
            Body::HelloRequest(HelloRequest {
                address: address.into(),
            })
        };
        assert_eq!(judged(2, Some(1), 9, term()), Ok(()));
        assert_eq!(judged(2, None, 9, hello("tcp:[10.0.0.2]:6647")), Ok(()));
        assert_eq!(judged(7, None, 9, hello("tcp:10.0.0.7:6647")), Ok(()));
        for (result, word) in [
            (judged(1, Some(1), 9, term()), "own id"),
            (judged(2, Some(1), 8, term()), "is of cluster"),
            (judged(2, Some(3), 9, term()), "wants server"),
            (judged(102, Some(1), 9, term()), "says that it is server"),
            (
                judged(2, None, 9, hello("tcp:10.0.0.3:6647")),
                "copied file",
            ),
        ] {
            let text = result.expect_err(word);
            assert!(text.contains(word), "{text}");
        }
    }
}
