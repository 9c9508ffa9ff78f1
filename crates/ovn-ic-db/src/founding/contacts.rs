//! What happens on the connections, as events of `Founding`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ovsdb_cluster::wire::Address;
use ovsdb_cluster::wire::stream::{self, LinkId, Refusal};

use super::decision::Event;
use super::report::Report;

/// Who is at the other end of which connection.
#[derive(Debug, Default)]
pub struct Contacts {
    links: BTreeMap<LinkId, Contact>,
}

#[derive(Debug, Clone, Copy)]
struct Contact {
    node: IpAddr,
    dialled: bool,
}

impl Contacts {
    /// What an event of the connections means; none if it says nothing about founding.
    pub fn on(&mut self, event: &stream::Event) -> Option<Event> {
        match event {
            stream::Event::Connected {
                link,
                address,
                dialled: true,
                ..
            } => {
                let node = ip(address)?;
                let dialled = true;
                self.links.insert(*link, Contact { node, dialled });
                Some(Event::Connected(node))
            }
            // Who calls says more about itself with its first message.
            stream::Event::Connected { link, address, .. } => {
                let (node, dialled) = (ip(address)?, false);
                self.links.insert(*link, Contact { node, dialled });
                None
            }
            stream::Event::Received { link, message, .. } => {
                let contact = self.links.get_mut(link)?;
                let Some((said, report)) = Report::from_message(message) else {
                    return Some(Event::Evidence {
                        node: contact.node,
                        cluster: Some(message.head.cluster?),
                        present: true,
                    });
                };
                if !contact.dialled
                    && let Some(said) = said
                {
                    contact.node = said;
                }
                Some(Event::Heard {
                    node: contact.node,
                    report,
                    called: !contact.dialled,
                })
            }
            stream::Event::Disconnected { link, .. } => {
                let node = self.links.remove(link)?.node;
                let others = self.links.values().any(|contact| contact.node == node);
                (!others).then_some(Event::Gone(node))
            }
            // Somebody is there who cannot be talked to: what it has is not known, and nobody founds beside
            // it before a person has looked.
            stream::Event::Unreachable {
                address,
                no_tls: true,
                ..
            } => Some(Event::Evidence {
                node: ip(address)?,
                cluster: None,
                present: false,
            }),
            stream::Event::Refused {
                address,
                refusal: Refusal::Tls(_),
                ..
            } => Some(Event::Evidence {
                node: ip(address)?,
                cluster: None,
                present: false,
            }),
            stream::Event::Unreachable {
                address, refused, ..
            } => Some(Event::Unreachable {
                node: ip(address)?,
                refused: *refused,
            }),
            stream::Event::Refused {
                address,
                refusal: Refusal::Misrouted(_),
                ..
            } => Some(Event::Evidence {
                node: ip(address)?,
                cluster: None,
                present: false,
            }),
            stream::Event::Refused { .. } => None,
        }
    }
}

fn ip(address: &str) -> Option<IpAddr> {
    let (ip, _) = address.parse::<Address>().ok()?.ip_and_port()?;
    Some(ip)
}

#[cfg(test)]
mod tests {
    use ovsdb_cluster::wire::message::{AddServerRequest, BecomeLeader};
    use ovsdb_cluster::wire::stream::Closed;
    use ovsdb_cluster::wire::{Body, Head, Message};
    use uuid::Uuid;

    use super::*;

    fn node(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn connected(link: u64, address: &str, dialled: bool) -> stream::Event {
        stream::Event::Connected {
            link: LinkId(link),
            server: None,
            address: address.into(),
            dialled,
        }
    }

    fn received(link: u64, cluster: Option<u128>, body: Body) -> stream::Event {
        stream::Event::Received {
            link: LinkId(link),
            message: Message {
                head: Head {
                    cluster: cluster.map(Uuid::from_u128),
                    from: Uuid::from_u128(1),
                    to: None,
                    comment: None,
                },
                body,
            },
            held: ovsdb_cluster::wire::stream::Held::default(),
        }
    }

    fn no_answer(address: &str, no_tls: bool) -> stream::Event {
        stream::Event::Unreachable {
            server: None,
            address: address.into(),
            error: String::new(),
            refused: !no_tls,
            no_tls,
        }
    }

    #[test]
    fn who_cannot_be_talked_to_may_have_a_cluster() {
        let evidence = Some(Event::Evidence {
            node: node(2),
            cluster: None,
            present: false,
        });
        let mut contacts = Contacts::default();
        let no_tls = no_answer("ssl:10.0.0.2:6647", true);
        assert_eq!(contacts.on(&no_tls), evidence);
        let refuses_us = stream::Event::Refused {
            link: LinkId(1),
            server: None,
            address: "ssl:10.0.0.2:6647".into(),
            refusal: Refusal::Tls("refuses".into()),
        };
        assert_eq!(contacts.on(&refuses_us), evidence);
    }

    fn disconnected(link: u64) -> stream::Event {
        stream::Event::Disconnected {
            link: LinkId(link),
            server: None,
            address: String::new(),
            why: Closed::ByPeer,
            remaining: 0,
        }
    }

    fn request(address: &str) -> Body {
        Body::AddServerRequest(AddServerRequest {
            address: address.into(),
        })
    }

    #[test]
    fn a_node_is_gone_with_its_last_connection() {
        let mut contacts = Contacts::default();
        let dialled = connected(1, "tcp:10.0.0.2:6647", true);
        assert_eq!(contacts.on(&dialled), Some(Event::Connected(node(2))));
        // The caller's own address is not where it calls from.
        let calls = connected(2, "tcp:10.0.0.77:40000", false);
        assert_eq!(contacts.on(&calls), None);
        let asks = received(2, None, request("tcp:[10.0.0.2]:6647"));
        assert!(matches!(
            contacts.on(&asks),
            Some(Event::Heard { node: heard, called: true, .. }) if heard == node(2)
        ));
        let asks = received(1, None, request("tcp:10.0.0.99:6647"));
        assert!(matches!(
            contacts.on(&asks),
            Some(Event::Heard { node: heard, called: false, .. }) if heard == node(2)
        ));
        assert_eq!(contacts.on(&disconnected(1)), None);
        assert_eq!(contacts.on(&disconnected(2)), Some(Event::Gone(node(2))));
        assert_eq!(contacts.on(&disconnected(2)), None);
    }

    #[test]
    fn who_sends_as_a_member_has_a_cluster() {
        let mut contacts = Contacts::default();
        let other = || Body::BecomeLeader(BecomeLeader { term: 1 });
        assert_eq!(contacts.on(&received(7, Some(9), other())), None);
        contacts.on(&connected(1, "tcp:10.0.0.2:6647", true));
        let cluster = Some(Uuid::from_u128(9));
        let evidence = |cluster, present| Event::Evidence {
            node: node(2),
            cluster,
            present,
        };
        assert_eq!(
            contacts.on(&received(1, Some(9), other())),
            Some(evidence(cluster, true))
        );
        assert_eq!(contacts.on(&received(1, None, other())), None);
        let refused = |refusal| stream::Event::Refused {
            link: LinkId(3),
            server: None,
            address: "tcp:10.0.0.2:50000".into(),
            refusal,
        };
        let misrouted = refused(Refusal::Misrouted(Uuid::from_u128(5)));
        assert_eq!(contacts.on(&misrouted), Some(evidence(None, false)));
        assert_eq!(contacts.on(&refused(Refusal::SaysNothing)), None);
    }

    #[test]
    fn unreachable_nodes_are_told_by_their_address() {
        let mut contacts = Contacts::default();
        let unreachable = |address: &str| no_answer(address, false);
        assert_eq!(
            contacts.on(&unreachable("tcp:[10.0.0.2]:6647")),
            Some(Event::Unreachable {
                node: node(2),
                refused: true
            })
        );
        assert_eq!(contacts.on(&unreachable("tcp:name:6647")), None);
    }
}
