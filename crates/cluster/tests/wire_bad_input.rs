//! Bad peers: each is refused for the right reason, and nobody else notices.

#[path = "wire/support.rs"]
mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ovsdb_cluster::entry::ServerId;
use ovsdb_cluster::wire::message::{AddServerRequest, HelloRequest};
use ovsdb_cluster::wire::stream::{Event, Refusal, Settings};
use ovsdb_cluster::wire::{Body, Head, Message};
use proptest::prelude::*;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A message as any program could write it.
fn written(cluster: Option<ServerId>, from: u128, to: Option<u128>, body: Body) -> Vec<u8> {
    let head = Head {
        cluster,
        from: id(from),
        to: to.map(id),
        comment: None,
    };
    Message { head, body }.frame().to_vec()
}

fn hello(from: u128, address: &str) -> Vec<u8> {
    let address = address.to_owned();
    let body = Body::HelloRequest(HelloRequest { address });
    written(Some(cluster()), from, Some(1), body)
}

/// Two members that talk with each other, for a bad peer to disturb.
struct World {
    one: Node,
    two: Node,
    addresses: [SocketAddr; 2],
    number: u64,
}

impl World {
    async fn start(ips: [&str; 2]) -> World {
        let addresses = ips.map(free);
        let settings = Settings {
            max_message: 1 << 20,
            first_message: Duration::from_millis(300),
            max_accepted: 8,
            ..Settings::default()
        };
        let members = servers(&addresses);
        let start = |n: u128| {
            let address = addresses[n as usize - 1];
            Node::start(local(n, address), address, &members, settings.clone())
        };
        let mut one = start(1);
        let mut two = start(2);
        one.links(id(2), 2).await;
        two.links(id(1), 2).await;
        World {
            one,
            two,
            addresses,
            number: 0,
        }
    }

    /// Sends bytes to member one; gives why it hangs up.
    async fn refusal(&mut self, bytes: &[u8]) -> Refusal {
        let mut stream = TcpStream::connect(self.addresses[0])
            .await
            .expect("connected");
        // It may hang up in the middle.
        let _ = stream.write_all(bytes).await;
        let refusal = self
            .one
            .wait("a refusal", |event| match event {
                Event::Refused { refusal, .. } => Some(refusal),
                _ => None,
            })
            .await;
        ended(&mut stream).await;
        self.still_well().await;
        refusal
    }

    /// The two still talk, on the connections that they had.
    async fn still_well(&mut self) {
        self.number += 1;
        self.one.send(2, &term(self.number));
        self.two.term(self.number).await;
        self.two.send(1, &term(self.number));
        self.one.term(self.number).await;
        self.one.links(id(2), 2).await;
    }
}

/// Reads until the other side hangs up.
async fn ended(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    // Bytes that it did not read make the end a reset.
    let _ = end.expect("hung up");
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let mut world = World::start(["127.0.91.1", "127.0.91.2"]).await;
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"{\"id\":null,,}",
        b"{\"\xff\":1}",
    ] {
        let refusal = world.refusal(garbage).await;
        assert!(matches!(refusal, Refusal::NotJson(_)), "{refusal}");
    }
    for wrong in [
        &b"[1,2,3]"[..],
        b"{\"id\":1,\"method\":\"transact\",\"params\":[]}",
        b"{\"id\":null,\"method\":\"become_leader\",\"params\":[{}]}",
        b"{\"id\":null,\"method\":\"steal_leader\",\"params\":[{}]}",
        b"{\"id\":null,\"method\":\"hello_request\",\"params\":[{},{}]}",
    ] {
        let refusal = world.refusal(wrong).await;
        assert!(matches!(refusal, Refusal::NotAMessage(_)), "{refusal}");
    }
    let mut strange = hello(7, "tcp:127.0.0.1:1");
    strange.truncate(strange.len() - 3);
    strange.extend_from_slice(b",\"colour\":\"red\"}]}");
    assert_eq!(
        world.refusal(&strange).await.to_string(),
        "sends a wrong message: hello_request: member 'colour' is present but not allowed here"
    );
}

#[tokio::test]
async fn long_messages_are_refused_before_they_are_whole() {
    let mut world = World::start(["127.0.92.1", "127.0.92.2"]).await;
    let endless = format!("{{\"id\":null,\"method\":\"{}", "x".repeat(70_000));
    let refusal = world.refusal(endless.as_bytes()).await;
    assert_eq!(refusal, Refusal::TooLong(64 << 10));
    // Who is known may send more, but not without end.
    let mut known = hello(2, &format!("tcp:{}", world.addresses[1]));
    known.extend_from_slice(format!("[\"{}", "x".repeat(2 << 20)).as_bytes());
    let refusal = world.refusal(&known).await;
    assert_eq!(refusal, Refusal::TooLong(1 << 20));
}

#[tokio::test]
async fn who_is_not_who_it_says_is_refused() {
    let mut world = World::start(["127.0.93.1", "127.0.93.2"]).await;
    let at_two = format!("tcp:{}", world.addresses[1]);
    let other = written(Some(id(0xbad)), 7, Some(1), term(1));
    assert!(matches!(
        world.refusal(&other).await,
        Refusal::WrongCluster { theirs, .. } if theirs == id(0xbad)
    ));
    let misrouted = written(Some(cluster()), 7, Some(5), term(1));
    assert_eq!(world.refusal(&misrouted).await, Refusal::Misrouted(id(5)));
    let ours = written(Some(cluster()), 1, Some(1), term(1));
    assert_eq!(world.refusal(&ours).await, Refusal::OurId(id(1)));
    // A hello as server 7, then a message as server 2.
    let mut forged = hello(7, "tcp:127.0.0.1:1");
    forged.extend(written(Some(cluster()), 2, Some(1), term(1)));
    assert_eq!(
        world.refusal(&forged).await,
        Refusal::OtherServer {
            said: id(2),
            expected: id(7)
        }
    );
    // A copy of server 2's file, run at another address.
    assert_eq!(
        world.refusal(&hello(2, "tcp:127.0.93.9:1")).await,
        Refusal::OtherAddress {
            server: id(2),
            known: at_two,
            said: "tcp:127.0.93.9:1".into()
        }
    );
}

#[tokio::test]
async fn who_says_nothing_or_breaks_off_goes() {
    let mut world = World::start(["127.0.94.1", "127.0.94.2"]).await;
    assert_eq!(world.refusal(b"").await, Refusal::SaysNothing);
    assert_eq!(world.refusal(b"{\"id\":null,").await, Refusal::SaysNothing);
    // Cut at every byte.
    let message = hello(7, "tcp:127.0.0.1:1");
    for at in 0..message.len() {
        let mut stream = TcpStream::connect(world.addresses[0])
            .await
            .expect("connected");
        stream.write_all(&message[..at]).await.expect("written");
        stream.shutdown().await.expect("shut down");
        ended(&mut stream).await;
    }
    world.still_well().await;
}

#[tokio::test]
async fn there_is_an_end_to_callers() {
    let mut world = World::start(["127.0.95.1", "127.0.95.2"]).await;
    let start = Instant::now();
    let mut callers = Vec::new();
    for _ in 0..50 {
        callers.push(
            TcpStream::connect(world.addresses[0])
                .await
                .expect("connected"),
        );
    }
    for caller in &mut callers {
        ended(caller).await;
    }
    assert!(start.elapsed() < Duration::from_secs(5));
    world.still_well().await;
    // There is room again.
    let mut stream = TcpStream::connect(world.addresses[0])
        .await
        .expect("connected");
    let request = Body::AddServerRequest(AddServerRequest {
        address: "tcp:127.0.95.3:1".into(),
    });
    stream
        .write_all(&written(None, 7, None, request))
        .await
        .expect("written");
    let message = world
        .one
        .message("the request", |m| {
            matches!(m.body, Body::AddServerRequest(_))
        })
        .await;
    assert_eq!(message.head.from, id(7));
}

#[tokio::test]
async fn a_dialled_address_with_another_server_is_refused() {
    let addresses = ["127.0.96.1", "127.0.96.2"].map(free);
    let impostor = TcpListener::bind(addresses[1]).await.expect("bind");
    let mut one = Node::member(1, &addresses);
    for attempt in 0..3 {
        let (mut stream, _) = impostor.accept().await.expect("a call");
        let (bytes, refused) = match attempt {
            0 => (hello(7, "tcp:127.0.96.2:1"), "server"),
            1 => (written(Some(id(0xbad)), 2, Some(1), term(1)), "cluster"),
            _ => (b"hello".to_vec(), "JSON"),
        };
        stream.write_all(&bytes).await.expect("written");
        let refusal = one
            .wait("a refusal", |event| match event {
                Event::Refused { refusal, .. } => Some(refusal.to_string()),
                _ => None,
            })
            .await;
        assert!(refusal.contains(refused), "{refusal}");
        ended(&mut stream).await;
    }
}

/// Pieces of real messages and noise.
fn noise() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let good = prop_oneof![
        Just(hello(7, "tcp:127.0.0.1:1")),
        any::<u64>().prop_map(|n| written(Some(cluster()), 7, Some(1), heartbeat(n))),
        Just(b"{\"id\":\"echo\",\"method\":\"echo\",\"params\":[]}".to_vec()),
        Just(b"{\"id\":\"echo\",\"result\":[],\"error\":null}".to_vec()),
    ];
    let piece = (good, any::<prop::sample::Index>(), any::<u8>(), 0..3u8).prop_map(
        |(mut bytes, at, byte, change)| {
            let at = at.index(bytes.len());
            match change {
                0 => bytes.truncate(at),
                1 => bytes[at] = byte,
                _ => {}
            }
            bytes
        },
    );
    prop::collection::vec(piece, 1..6)
}

#[test]
fn noise_disturbs_nobody() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    let world = runtime.block_on(World::start(["127.0.98.1", "127.0.98.2"]));
    let world = std::cell::RefCell::new(world);
    proptest!(ProptestConfig::with_cases(100), |(pieces in noise())| {
        let mut world = world.borrow_mut();
        runtime.block_on(async {
            let mut stream = TcpStream::connect(world.addresses[0]).await.expect("connected");
            for piece in &pieces {
                if stream.write_all(piece).await.is_err() {
                    break;
                }
            }
            let _ = stream.shutdown().await;
            ended(&mut stream).await;
            world.still_well().await;
        });
    });
}
