//! Members of our own, connected with each other.

#[path = "wire/support.rs"]
mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ovsdb_cluster::entry::Servers;
use ovsdb_cluster::wire::extension::PRE_VOTE;
use ovsdb_cluster::wire::message::*;
use ovsdb_cluster::wire::stream::{
    Closed, Event, Held, LinkId, Listen, Local, Peers, Receiver, SendError, Settings,
};
use ovsdb_cluster::wire::{Announcement, Body, Message};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn snapshot(term: u64, data: Bytes) -> Body {
    Body::InstallSnapshotRequest(InstallSnapshotRequest {
        term,
        last_index: 1,
        last_term: 1,
        last_servers: Servers::from([(id(1), "tcp:127.0.0.1:1".to_owned())]),
        last_eid: id(7),
        election_timer: 1000,
        data,
    })
}

#[tokio::test]
async fn three_members_talk_with_each_other() {
    let addresses = ["127.0.81.1", "127.0.81.2", "127.0.81.3"].map(free);
    let mut nodes = [1, 2, 3].map(|n| Node::member(n, &addresses));
    for node in &mut nodes {
        let server = node.server;
        for other in (1..=3).map(id).filter(|other| *other != server) {
            node.links(other, 2).await;
        }
    }
    for from in 0..3 {
        for to in (0..3).filter(|to| *to != from) {
            let number = (from * 10 + to) as u64;
            nodes[from].send(to as u128 + 1, &term(number));
            let message = nodes[to].term(number).await;
            assert_eq!(message.head.from, nodes[from].server);
            assert_eq!(message.head.to, Some(nodes[to].server));
            assert_eq!(message.head.cluster, Some(cluster()));
        }
    }
    let announcement = nodes[0].peers.announcement(id(2)).expect("of our kind");
    assert!(announcement.has(PRE_VOTE));
    assert_eq!(nodes[0].peers.announcement(id(9)), None);
    assert_eq!(
        nodes[0].peers.send(id(9), &term(1), None),
        Err(SendError::NotConnected)
    );
    // Without a connection a member stays what it was.
    nodes[1].peers.stop().await;
    while nodes[0].peers.announcement(id(2)).is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let announced = |peers: &Peers| peers.last_announcement(id(2));
    assert_eq!(announced(&nodes[0].peers), Some(announcement));
    let members: Servers = [(id(1), format!("tcp:{}", addresses[0]))].into();
    nodes[0].peers.set_members(&members, &[]);
    assert_eq!(announced(&nodes[0].peers), None, "it is none any more");
}

#[tokio::test]
async fn ipv6_and_messages_of_our_own() {
    let addresses = ["::1", "::1"].map(free);
    let mut one = Node::member(1, &addresses);
    let mut two = Node::member(2, &addresses);
    one.links(id(2), 2).await;
    two.links(id(1), 2).await;
    let own = Body::Own(Own {
        kind: "question".into(),
        data: Bytes::from_static(b"[1,{\"a\": 2}]"),
    });
    one.peers.send(id(2), &own, Some("why")).expect("sent");
    let message = two
        .message("the question", |m| matches!(m.body, Body::Own(_)))
        .await;
    assert_eq!(message.body, own);
    assert_eq!(message.head.comment.as_deref(), Some("why"));
}

#[tokio::test]
async fn a_peer_that_ends_is_news_and_is_back_at_once() {
    let addresses = ["127.0.82.1", "127.0.82.2"].map(free);
    let mut one = Node::member(1, &addresses);
    let mut two = Node::member(2, &addresses);
    one.links(id(2), 2).await;
    two.links(id(1), 2).await;
    for round in 0..3 {
        let ended = Instant::now();
        // All its tasks are dropped with the connections, as when a process ends.
        two.peers.stop().await;
        one.wait("the end", |event| match event {
            Event::Disconnected {
                server,
                remaining: 0,
                ..
            } => {
                assert_eq!(server, Some(id(2)));
                Some(())
            }
            _ => None,
        })
        .await;
        assert!(ended.elapsed() < Duration::from_millis(500));
        assert!(!one.peers.is_connected(id(2)));
        // By now the other waits as long as it ever does.
        for _ in 0..8 {
            one.wait("a failure to reach it", |event| match event {
                Event::Unreachable { refused: true, .. } => Some(()),
                _ => None,
            })
            .await;
        }
        let back = Instant::now();
        two = Node::member(2, &addresses);
        while one.peers.send(id(2), &term(round), None).is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            while one.events.try_recv().is_ok() {}
        }
        two.term(round).await;
        let took = back.elapsed();
        println!("back after {took:?}");
        assert!(took < Duration::from_millis(500), "{took:?}");
        one.links(id(2), 2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_overtake_a_snapshot() {
    let addresses = ["127.0.83.1", "127.0.83.2"].map(free);
    let mut one = Node::member(1, &addresses);
    let mut two = Node::member(2, &addresses);
    one.links(id(2), 2).await;
    two.links(id(1), 2).await;
    let data = Bytes::from(format!("[{{}},{{\"x\":\"{}\"}}]", "y".repeat(100 << 20)));
    let start = Instant::now();
    one.send(2, &snapshot(1_000_000, data.clone()));
    println!("sending took {:?}", start.elapsed());
    let mut number = 0;
    let mut slowest = Duration::ZERO;
    let received = loop {
        number += 1;
        let sent = Instant::now();
        one.send(2, &heartbeat(number));
        let mut large = None;
        loop {
            let message = two.message("anything", |m| m.body.term().is_some()).await;
            match message.body {
                Body::InstallSnapshotRequest(request) => large = Some(request),
                body if body.term() == Some(number) => break,
                _ => {}
            }
        }
        slowest = slowest.max(sent.elapsed());
        while one.events.try_recv().is_ok() {}
        if let Some(large) = large {
            break large;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    println!(
        "snapshot took {:?}, {number} heartbeats, the slowest {slowest:?}",
        start.elapsed()
    );
    assert_eq!(received.data, data);
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
}

#[tokio::test]
async fn a_peer_that_does_not_read_costs_bounded_memory_and_no_time() {
    let addresses = ["127.0.84.1", "127.0.84.2"].map(free);
    let deaf = TcpListener::bind(addresses[1]).await.expect("bind");
    let settings = Settings {
        max_queued_bytes: 1 << 20,
        probe: Duration::from_secs(60),
        ..Settings::default()
    };
    let members = servers(&addresses);
    let mut one = Node::start(local(1, addresses[0]), addresses[0], &members, settings);
    let (_stream, _) = deaf.accept().await.expect("a call");
    one.links(id(2), 1).await;
    let data = Bytes::from(format!("[null,{{\"x\":\"{}\"}}]", "y".repeat(100_000)));
    let command = Body::ExecuteCommandRequest(ExecuteCommandRequest {
        data,
        prereq: id(5),
        result: id(6),
    });
    let mut refused = 0;
    let start = Instant::now();
    for _ in 0..500 {
        if one.peers.send(id(2), &command, None) == Err(SendError::QueueFull) {
            refused += 1;
        }
        tokio::task::yield_now().await;
    }
    assert!(refused > 300, "{refused}");
    assert!(start.elapsed() < Duration::from_secs(2));
    let link = &one.peers.links()[0];
    assert!(link.waiting_bytes <= 1 << 20, "{link:?}");
    one.wait_nothing();
}

#[tokio::test]
async fn who_joins_keeps_its_connection() {
    let addresses = ["127.0.85.1", "127.0.85.2"].map(free);
    let mut leader = Node::member(1, &addresses[..1]);
    let mut joiner = local(2, addresses[1]);
    joiner.cluster = None;
    joiner.announcement = Announcement::new([PRE_VOTE]).with("data", "none");
    let none = Servers::new();
    let mut joiner = Node::start(joiner, addresses[1], &none, Settings::default());
    let target = format!("tcp:{}", addresses[0]);
    joiner
        .peers
        .set_members(&none, std::slice::from_ref(&target));
    let link = joiner
        .wait("the connection", |event| match event {
            Event::Connected {
                link,
                server: None,
                dialled: true,
                ..
            } => Some(link),
            _ => None,
        })
        .await;
    assert_eq!(
        joiner.peers.send_on(link, &term(1), None),
        Err(SendError::NoCluster)
    );
    let request = Body::AddServerRequest(AddServerRequest {
        address: format!("tcp:{}", addresses[1]),
    });
    joiner.peers.send_on(link, &request, None).expect("sent");
    let asked = leader
        .message("the request", |m| {
            matches!(m.body, Body::AddServerRequest(_))
        })
        .await;
    assert_eq!(asked.head.cluster, None);
    let announcement = leader.peers.announcement(id(2)).expect("of our kind");
    assert_eq!(announcement.fact("data"), Some("none"));
    let reply = Body::AddServerReply(AddServerReply {
        success: false,
        remote_addresses: vec![target],
    });
    leader
        .peers
        .send(id(2), &reply, Some("wait"))
        .expect("sent");
    let told = joiner
        .message("the reply", |m| matches!(m.body, Body::AddServerReply(_)))
        .await;
    assert_eq!(told.head.comment.as_deref(), Some("wait"));
    joiner.peers.set_cluster(cluster());
    let members = servers(&addresses);
    joiner.peers.set_members(&members, &[]);
    leader.peers.set_members(&members, &[]);
    leader.links(id(2), 2).await;
    joiner.links(id(1), 2).await;
    assert!(
        joiner
            .peers
            .links()
            .iter()
            .any(|status| status.link == link)
    );
    joiner.send(1, &term(5));
    leader.term(5).await;
    // Removed again: what is dialled is closed on both sides.
    leader.peers.set_members(&servers(&addresses[..1]), &[]);
    joiner.peers.set_members(&none, &[]);
    leader.links(id(2), 0).await;
    joiner.links(id(1), 0).await;
}

#[tokio::test]
async fn silence_is_probed_and_then_the_end() {
    let addresses = ["127.0.86.1", "127.0.86.2"].map(free);
    let silent = TcpListener::bind(addresses[1]).await.expect("bind");
    let settings = Settings {
        probe: Duration::from_millis(200),
        ..Settings::default()
    };
    let members = servers(&addresses);
    let mut one = Node::start(local(1, addresses[0]), addresses[0], &members, settings);
    let (mut stream, _) = silent.accept().await.expect("a call");
    let start = Instant::now();
    // Three probes are answered, the next one is not.
    let mut text = String::new();
    let mut answered = 0;
    let why = loop {
        let mut bytes = [0; 4096];
        tokio::select! {
            count = stream.read(&mut bytes) => {
                let count = count.expect("read");
                text.push_str(&String::from_utf8_lossy(&bytes[..count]));
                if text.ends_with("\"method\":\"echo\",\"params\":[]}") && answered < 3 {
                    answered += 1;
                    text.clear();
                    let reply = b"{\"id\":\"echo\",\"result\":[],\"error\":null}";
                    stream.write_all(reply).await.expect("written");
                }
            }
            event = one.events.recv() => {
                if let Some(Event::Disconnected { why, remaining, .. }) = event {
                    assert_eq!(remaining, 0);
                    break why;
                }
            }
        }
    };
    assert_eq!(why, Closed::Silent);
    assert_eq!(answered, 3);
    let took = start.elapsed();
    assert!(took > Duration::from_millis(800), "{took:?}");
    assert!(took < Duration::from_millis(2500), "{took:?}");
}

#[tokio::test]
async fn what_was_sent_before_the_end_arrives() {
    let addresses = ["127.0.87.1", "127.0.87.2"].map(free);
    let mut one = Node::member(1, &addresses);
    let mut two = Node::member(2, &addresses);
    one.links(id(2), 2).await;
    two.links(id(1), 2).await;
    let data = Bytes::from(format!("[null,{{\"x\":\"{}\"}}]", "y".repeat(1 << 20)));
    let command = Body::ExecuteCommandRequest(ExecuteCommandRequest {
        data,
        prereq: id(5),
        result: id(6),
    });
    for _ in 0..10 {
        one.send(2, &command);
    }
    // What it has not read yet does not matter.
    for number in 0..2000 {
        two.send(1, &heartbeat(number));
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    one.send(2, &term(99));
    let peers = one.peers;
    let stopping = tokio::spawn(async move { peers.stop().await });
    two.term(99).await;
    stopping.await.expect("stopped");
}

#[tokio::test]
async fn where_it_cannot_listen_it_does_not_start() {
    let address = free("127.0.88.1");
    let _taken = TcpListener::bind(address).await.expect("bind");
    let (sender, _events) = tokio::sync::mpsc::channel(1);
    let error = Peers::start(
        local(1, address),
        &[address.into()],
        &Servers::new(),
        sender,
        Settings::default(),
    )
    .expect_err("the address is taken");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

impl Node {
    /// It has nothing to say any more, but is alive.
    fn wait_nothing(&mut self) {
        while self.events.try_recv().is_ok() {}
        assert!(!self.events.is_closed());
    }
}

/// A member that listens at a socket's file, and who the others are.
fn by_file(n: u128, folder: &std::path::Path, members: &Servers) -> Node {
    let (sender, events) = tokio::sync::mpsc::channel(64);
    let address = format!("unix:{n}.raft");
    let local = Local {
        address,
        ..local(n, free("127.0.0.1"))
    };
    let listen = [Listen::Unix(folder.join(format!("{n}.raft")))];
    let settings = Settings {
        folder: folder.to_owned(),
        ..Settings::default()
    };
    let server = local.server;
    let peers = Peers::start(local, &listen, members, sender, settings).expect("start");
    Node {
        peers,
        events,
        server,
    }
}

#[tokio::test]
async fn sockets_with_names_in_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let members: Servers = (1..=2).map(|n| (id(n), format!("unix:{n}.raft"))).collect();
    // What a member has left behind is in nobody's way.
    drop(std::os::unix::net::UnixListener::bind(folder.path().join("2.raft")).expect("bind"));
    let mut one = by_file(1, folder.path(), &members);
    let mut two = by_file(2, folder.path(), &members);
    one.links(id(2), 2).await;
    two.links(id(1), 2).await;
    one.send(2, &term(7));
    assert_eq!(two.term(7).await.head.from, one.server);
    let addresses: Vec<_> = one
        .peers
        .links()
        .into_iter()
        .map(|link| link.address)
        .collect();
    assert!(
        addresses.contains(&"unix:2.raft".to_owned()),
        "{addresses:?}"
    );
    // A live one's is not taken.
    let (sender, _events) = tokio::sync::mpsc::channel(1);
    let local = local(3, free("127.0.0.1"));
    let listen = [Listen::Unix(folder.path().join("1.raft"))];
    let taken = Peers::start(local, &listen, &members, sender, Settings::default());
    let error = taken.expect_err("in use");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse, "{error}");
    two.peers.stop().await;
    assert!(!folder.path().join("2.raft").exists());
}

/// Takes messages of odd terms.
#[derive(Debug, Default)]
struct Odd(Mutex<Vec<u64>>);

impl Receiver for Odd {
    fn take(self: Arc<Self>, _: LinkId, message: Message, held: Held) -> Option<(Message, Held)> {
        match message.body.term() {
            Some(term) if term % 2 == 1 => {
                self.0.lock().expect("no panic").push(term);
                None
            }
            _ => Some((message, held)),
        }
    }
}

#[tokio::test]
async fn what_a_receiver_takes_is_no_event() {
    let addresses = ["127.0.109.1", "127.0.109.2"].map(free);
    let mut one = Node::member(1, &addresses);
    let mut two = Node::member(2, &addresses);
    let odd = Arc::new(Odd::default());
    let receiver: Arc<dyn Receiver> = odd.clone();
    two.peers.set_receiver(Arc::downgrade(&receiver));
    drop(receiver);
    one.links(id(2), 2).await;
    two.links(id(1), 2).await;
    for number in 1..=10 {
        one.send(2, &term(number));
    }
    for number in [2, 4, 6, 8, 10] {
        let next = two
            .message("an even one", |m| m.body.term().is_some())
            .await;
        assert_eq!(next.body.term(), Some(number));
    }
    assert_eq!(*odd.0.lock().expect("no panic"), [1, 3, 5, 7, 9]);
    // One that is gone takes nothing.
    drop(odd);
    one.send(2, &term(11));
    two.term(11).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn messages_of_several_senders_arrive_whole_and_each_sender_s_in_order() {
    const SENDERS: usize = 4;
    const EACH: usize = 3000;
    let addresses = ["127.0.110.1", "127.0.110.2"].map(free);
    let mut one = Node::member(1, &addresses);
    let mut two = Node::member(2, &addresses);
    one.links(id(2), 2).await;
    two.links(id(1), 2).await;
    let peers = Arc::new(one.peers);
    for sender in 0..SENDERS {
        let peers = peers.clone();
        tokio::spawn(async move {
            for number in 0..EACH {
                // Mostly short ones; some that go through the queue, and fill the socket.
                let length = match (number + sender) % 97 {
                    0 => 200_000,
                    rest => rest * 7,
                };
                let text = format!("[{number},\"{}\"]", "x".repeat(length));
                let own = Body::Own(Own {
                    kind: sender.to_string(),
                    data: text.into(),
                });
                while peers.send(id(2), &own, None) == Err(SendError::QueueFull) {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    let mut next = [0; SENDERS];
    while next != [EACH; SENDERS] {
        let message = two
            .message("one more", |m| matches!(m.body, Body::Own(_)))
            .await;
        let Body::Own(own) = message.body else {
            unreachable!("it was looked for");
        };
        let sender: usize = own.kind.parse().expect("a number");
        let start = format!("[{},", next[sender]);
        assert!(
            own.data.starts_with(start.as_bytes()),
            "{start} of {sender}"
        );
        next[sender] += 1;
    }
}
