//! What happens on the connections, as events of [`Founding`](super::Founding).

use std::collections::BTreeMap;
use std::net::IpAddr;

use ovsdb_cluster::wire::Address;
use ovsdb_cluster::wire::stream::{self, LinkId, Refusal};

use super::report::Report;
use super::rule::Event;

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
            stream::Event::Received { link, message } => {
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
