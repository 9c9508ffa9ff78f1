//! Beside real `ovsdb-server`s of Debian.

#[path = "wire/reference.rs"]
mod reference;
#[path = "wire/support.rs"]
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use ovsdb::Uuid;
use ovsdb::json::Document;
use ovsdb_cluster::entry::{Index, Servers};
use ovsdb_cluster::wire::message::*;
use ovsdb_cluster::wire::stream::{Event, LinkId, Settings};
use ovsdb_cluster::wire::{Body, Message};
use reference::{Reference, wait_for};
use support::*;

/// Joins as the reference's joiner would, keeping nothing but its place in the log.
struct Joiner {
    node: Node,
    log_end: Index,
    snapshots: usize,
    members: Servers,
    /// Who said hello.
    called: BTreeSet<Uuid>,
}

impl Joiner {
    async fn answer(&mut self, message: Message) {
        let from = message.head.from;
        let send = |body: Body, comment| {
            let sent = self.node.peers.send(from, &body, Some(comment));
            sent.expect("sent");
        };
        match message.body {
            Body::AppendRequest(request) => {
                let known = request.prev_log_index < self.log_end;
                if known {
                    self.log_end = request.prev_log_index + 1 + request.log.len() as u64;
                    for entry in request.log.iter() {
                        if let ovsdb_cluster::entry::Payload::Servers(servers) = &entry.payload {
                            self.members.clone_from(servers);
                        }
                    }
                }
                let reply = AppendReply {
                    term: request.term,
                    log_end: self.log_end,
                    prev_log_index: request.prev_log_index,
                    prev_log_term: request.prev_log_term,
                    n_entries: request.log.len() as u64,
                    result: match known {
                        true => AppendResult::Ok,
                        false => AppendResult::Inconsistency,
                    },
                };
                send(Body::AppendReply(reply), "test");
            }
            Body::InstallSnapshotRequest(request) => {
                self.log_end = request.last_index + 1;
                self.snapshots += 1;
                assert!(request.data.starts_with(b"[{"));
                let reply = InstallSnapshotReply {
                    term: request.term,
                    last_index: request.last_index,
                    last_term: request.last_term,
                };
                send(Body::InstallSnapshotReply(reply), "test");
            }
            Body::HelloRequest(_) => {
                assert!(self.node.peers.announcement(from).is_none());
                self.called.insert(from);
            }
            _ => {}
        }
    }

    /// Answers messages until one is what is waited for.
    async fn until(&mut self, what: &str, mut pick: impl FnMut(&Message) -> bool) -> Message {
        loop {
            let message = self.node.message(what, |_| true).await;
            if pick(&message) {
                return message;
            }
            self.answer(message).await;
        }
    }

    /// The connection to a dialled address.
    async fn connected(&mut self, to: &str) -> LinkId {
        self.node
            .wait("the connection", |event| match event {
                Event::Connected {
                    link,
                    address,
                    dialled: true,
                    ..
                } if address == to => Some(link),
                _ => None,
            })
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_cluster_takes_us_in_and_lets_us_go() {
    let reference = Reference::start(&["127.0.101.1", "127.0.101.2", "127.0.101.3"]);
    for member in 0..3 {
        reference.insert(member, &format!("part {member}"));
    }
    let leader = reference.leader();
    let follower = (0..3).find(|member| *member != leader).expect("a follower");
    let address = free("127.0.101.9");
    let mut identity = local(9, address);
    identity.cluster = Some(reference.id(leader, "cluster/cid"));
    let nobody = Servers::new();
    let mut joiner = Joiner {
        node: Node::start(identity, address, &nobody, Settings::default()),
        log_end: 1,
        snapshots: 0,
        members: Servers::new(),
        called: BTreeSet::new(),
    };
    let request = Body::AddServerRequest(AddServerRequest {
        address: format!("tcp:{address}"),
    });

    // A follower names the leader.
    let at_follower = format!("tcp:{}", reference.addresses[follower]);
    let at_leader = format!("tcp:{}", reference.addresses[leader]);
    joiner
        .node
        .peers
        .set_members(&nobody, std::slice::from_ref(&at_follower));
    let link = joiner.connected(&at_follower).await;
    joiner
        .node
        .peers
        .send_on(link, &request, None)
        .expect("sent");
    let reply = joiner
        .until("a reply", |m| matches!(m.body, Body::AddServerReply(_)))
        .await;
    assert_eq!(reply.head.comment.as_deref(), Some("not leader"));
    let Body::AddServerReply(reply_body) = &reply.body else {
        panic!("{reply:?}");
    };
    assert!(!reply_body.success && reply_body.remote_addresses.contains(&at_leader));
    assert_eq!(reply.head.from, reference.id(follower, "cluster/sid"));

    // The leader sends a snapshot, then the log, then says that we are a member.
    joiner
        .node
        .peers
        .set_members(&nobody, std::slice::from_ref(&at_leader));
    let link = joiner.connected(&at_leader).await;
    joiner
        .node
        .peers
        .send_on(link, &request, None)
        .expect("sent");
    let reply = joiner
        .until("a reply", |m| matches!(m.body, Body::AddServerReply(_)))
        .await;
    assert_eq!(reply.head.comment.as_deref(), Some("completed"));
    assert!(matches!(&reply.body, Body::AddServerReply(r) if r.success));
    assert_eq!(joiner.snapshots, 1);
    assert_eq!(joiner.members.len(), 4);
    let members = joiner.members.clone();
    joiner.node.peers.set_members(&members, &[]);
    assert!(
        joiner
            .node
            .peers
            .links()
            .iter()
            .any(|status| status.link == link),
        "the connection was kept"
    );

    // All three call us now, and take our calls, hellos with announcements included.
    let ids: Vec<Uuid> = (0..3).map(|m| reference.id(m, "cluster/sid")).collect();
    let everybody = ids.iter().copied().collect();
    while joiner.called != everybody {
        let message = joiner.node.message("hellos", |_| true).await;
        joiner.answer(message).await;
    }
    reference.insert(follower, "with us");
    joiner
        .until(
            "an entry",
            |m| matches!(&m.body, Body::AppendRequest(r) if !r.log.is_empty()),
        )
        .await;

    // A message of our own is not for them.
    let own = Body::Own(Own {
        kind: "question".into(),
        data: Bytes::from_static(b"[]"),
    });
    assert!(joiner.node.peers.send(ids[leader], &own, None).is_err());

    // And out again.
    let remove = Body::RemoveServerRequest(RemoveServerRequest { server_id: id(9) });
    joiner
        .node
        .peers
        .send(ids[leader], &remove, None)
        .expect("sent");
    let reply = joiner
        .until("a reply", |m| matches!(m.body, Body::RemoveServerReply(_)))
        .await;
    assert!(matches!(&reply.body, Body::RemoveServerReply(r) if r.success));
    for member in 0..3 {
        let log = reference.log(member);
        for complaint in [
            "not allowed here",
            "unknown method",
            "ovsdb error",
            "syntax error",
        ] {
            assert!(!log.contains(complaint), "{member}: {complaint}");
        }
    }
    assert!(
        reference
            .log(leader)
            .contains("ovn-ic-db/1 own-messages pre-vote")
    );

    // Every message that any of them sent or received is one of ours, word for word.
    let mut methods = BTreeSet::new();
    let messages = reference.messages();
    for text in &messages {
        let bytes = Bytes::from(text.clone());
        let message = Message::parse(&bytes).unwrap_or_else(|error| panic!("{error}: {text}"));
        let canonical = |text: &[u8]| Document::parse(text).expect("JSON").root().canonical();
        assert_eq!(
            canonical(&message.frame().to_vec()),
            canonical(text.as_bytes())
        );
        methods.insert(message.body.method());
    }
    println!("{} messages, {methods:?}", messages.len());
    assert!(methods.len() >= 10, "{methods:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_that_restarts_is_back_at_once() {
    let mut reference = Reference::start(&["127.0.102.1"]);
    let server = reference.id(0, "cluster/sid");
    let address = free("127.0.102.9");
    let mut identity = local(9, address);
    identity.cluster = Some(reference.id(0, "cluster/cid"));
    let members = Servers::from([(server, format!("tcp:{}", reference.addresses[0]))]);
    let mut node = Node::start(identity, address, &members, Settings::default());
    for round in 0..3 {
        while !node.peers.is_connected(server) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        reference.kill(0);
        let killed = std::time::Instant::now();
        node.wait("its end", |event| match event {
            Event::Disconnected { remaining: 0, .. } => Some(()),
            _ => None,
        })
        .await;
        let took = killed.elapsed();
        println!("{round}: its end was known after {took:?}");
        assert!(took < Duration::from_millis(200), "{took:?}");
        // Down for long enough that the waits are at their longest.
        for _ in 0..8 {
            node.wait("a failure", |event| match event {
                Event::Unreachable { .. } => Some(()),
                _ => None,
            })
            .await;
        }
        reference.start_member(0);
        let start = std::time::Instant::now();
        node.wait("the connection", |event| match event {
            Event::Connected { .. } => Some(()),
            _ => None,
        })
        .await;
        println!("{round}: back {:?} after it listened", start.elapsed());
        assert!(start.elapsed() < Duration::from_millis(500));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_does_not_listen_to_us() {
    let reference = Reference::start(&["127.0.103.1"]);
    let server = reference.id(0, "cluster/sid");
    let address = free("127.0.103.9");
    let members = Servers::from([(server, format!("tcp:{}", reference.addresses[0]))]);
    let mut node = Node::start(local(9, address), address, &members, Settings::default());
    node.links(server, 1).await;
    let request = Body::AddServerRequest(AddServerRequest {
        address: format!("tcp:{address}"),
    });
    node.peers.send(server, &request, None).expect("sent");
    // It complains and drops the message; a call that it took stays open all the same.
    wait_for("its complaints", || {
        let log = reference.log(0);
        (log.matches("wrong cluster").count() == 2).then_some(())
    });
    node.links(server, 1).await;
    assert!(!reference.log(0).contains("add_server_reply"));
}
