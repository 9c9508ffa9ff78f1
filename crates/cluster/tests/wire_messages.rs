//! The messages: those of the reference are read and written as it does, ours read back.

use bytes::Bytes;
use ovsdb::Uuid;
use ovsdb::json::Document;
use ovsdb_cluster::entry::{Entry, Payload, Servers};
use ovsdb_cluster::wire::message::*;
use ovsdb_cluster::wire::{Body, Head, Message};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

fn canonical(text: &[u8]) -> String {
    let document = Document::parse(text).expect("JSON");
    document.root().canonical()
}

fn parse(text: &str) -> Result<Message, String> {
    Message::parse(&Bytes::from(text.to_owned())).map_err(|error| error.to_string())
}

/// One of each kind that a real cluster's members (3.1) exchanged, word for word.
const CAPTURED: &str = include_str!("wire/captured.jsonl");

#[test]
fn the_references_messages_read_and_print_the_same() {
    let mut methods = std::collections::BTreeSet::new();
    for line in CAPTURED.lines() {
        let message = parse(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let printed = message.frame().to_vec();
        assert_eq!(canonical(&printed), canonical(line.as_bytes()));
        methods.insert(message.body.method());
    }
    assert_eq!(methods.len(), 14, "{methods:?}");
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn address() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<std::net::SocketAddr>()
            .prop_filter("scope", |a| !a.to_string().contains('%'))
            .prop_map(|a| format!("tcp:{a}")),
        "ssl:\\[10\\.0\\.0\\.[1-9]\\]:6647",
    ]
}

fn servers() -> impl Strategy<Value = Servers> {
    btree_map(uuid(), address(), 1..4)
}

fn data() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        Just("[null,{}]".to_owned()),
        "[a-z \u{e9}\u{1f600}]{0,8}"
            .prop_map(|t| format!("[ null, {{\"T\" : [\"{t}\\u0001\",1e3]}}]")),
        (0..9000usize).prop_map(|n| format!("[null,{{\"x\":\"{}\"}}]", "y".repeat(n))),
    ]
    .prop_map(Bytes::from)
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        Just(Payload::Empty),
        (uuid(), data()).prop_map(|(eid, data)| Payload::Data { eid, data }),
        servers().prop_map(Payload::Servers),
        (1..u64::MAX).prop_map(Payload::ElectionTimer),
    ]
}

fn append_request() -> impl Strategy<Value = Body> {
    let numbers = (any::<u64>(), 0..1u64 << 63, any::<u64>(), any::<u64>());
    (numbers, vec((any::<u64>(), payload()), 0..6)).prop_map(|(numbers, payloads)| {
        let (term, prev_log_index, prev_log_term, leader_commit) = numbers;
        let entries = (prev_log_index + 1..).zip(payloads);
        let entries = entries.map(|(index, (term, payload))| Entry {
            term,
            index,
            payload,
        });
        Body::AppendRequest(AppendRequest {
            term,
            prev_log_index,
            prev_log_term,
            leader_commit,
            log: Log::new(entries.collect()),
        })
    })
}

fn append_reply() -> impl Strategy<Value = Body> {
    let result = prop_oneof![
        Just(AppendResult::Ok),
        Just(AppendResult::Inconsistency),
        Just(AppendResult::IoError),
    ];
    (any::<[u64; 5]>(), result).prop_map(
        |([term, log_end, prev_log_index, prev_log_term, n_entries], result)| {
            Body::AppendReply(AppendReply {
                term,
                log_end,
                prev_log_index,
                prev_log_term,
                n_entries,
                result,
            })
        },
    )
}

fn vote() -> impl Strategy<Value = Body> {
    let request = (any::<[u64; 3]>(), any::<[bool; 2]>()).prop_map(
        |([term, last_log_index, last_log_term], [leadership_transfer, is_prevote])| {
            Body::VoteRequest(VoteRequest {
                term,
                last_log_index,
                last_log_term,
                leadership_transfer,
                is_prevote,
            })
        },
    );
    let reply = (any::<u64>(), uuid(), any::<bool>()).prop_map(|(term, vote, is_prevote)| {
        Body::VoteReply(VoteReply {
            term,
            vote,
            is_prevote,
        })
    });
    let become_leader = any::<u64>().prop_map(|term| Body::BecomeLeader(BecomeLeader { term }));
    prop_oneof![request, reply, become_leader]
}

fn membership() -> impl Strategy<Value = Body> {
    prop_oneof![
        address().prop_map(|address| Body::HelloRequest(HelloRequest { address })),
        address().prop_map(|address| Body::AddServerRequest(AddServerRequest { address })),
        (any::<bool>(), vec(address(), 0..4)).prop_map(|(success, remote_addresses)| {
            Body::AddServerReply(AddServerReply {
                success,
                remote_addresses,
            })
        }),
        uuid().prop_map(|server_id| Body::RemoveServerRequest(RemoveServerRequest { server_id })),
        (any::<bool>(), option::of(uuid())).prop_map(|(success, target_server)| {
            Body::RemoveServerReply(RemoveServerReply {
                success,
                target_server,
            })
        }),
    ]
}

fn snapshot() -> impl Strategy<Value = Body> {
    let request = (any::<[u64; 4]>(), servers(), uuid(), data()).prop_map(
        |([term, last_index, last_term, election_timer], last_servers, last_eid, data)| {
            Body::InstallSnapshotRequest(InstallSnapshotRequest {
                term,
                last_index,
                last_term,
                last_servers,
                last_eid,
                election_timer,
                data,
            })
        },
    );
    let reply = any::<[u64; 3]>().prop_map(|[term, last_index, last_term]| {
        Body::InstallSnapshotReply(InstallSnapshotReply {
            term,
            last_index,
            last_term,
        })
    });
    prop_oneof![request, reply]
}

fn command() -> impl Strategy<Value = Body> {
    use CommandStatus::*;
    let status = proptest::sample::select(vec![
        Incomplete,
        Success,
        NotLeader,
        BadPrerequisite,
        LostLeadership,
        Shutdown,
        IoError,
        Timeout,
    ]);
    prop_oneof![
        (data(), uuid(), uuid()).prop_map(|(data, prereq, result)| {
            Body::ExecuteCommandRequest(ExecuteCommandRequest {
                data,
                prereq,
                result,
            })
        }),
        (uuid(), status, any::<u64>()).prop_map(|(result, status, commit_index)| {
            Body::ExecuteCommandReply(ExecuteCommandReply {
                result,
                status,
                commit_index,
            })
        }),
        ("\\PC{0,12}", data()).prop_map(|(kind, data)| Body::Own(Own { kind, data })),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let body = prop_oneof![
        append_request(),
        append_reply(),
        vote(),
        membership(),
        snapshot(),
        command(),
    ];
    let head = (uuid(), uuid(), uuid(), option::of("[^\u{0}]{0,20}"));
    (head, any::<[bool; 2]>(), body).prop_map(|((cluster, from, to, comment), known, body)| {
        let free = matches!(body, Body::AddServerRequest(_) | Body::Own(_));
        let hello = matches!(body, Body::HelloRequest(_));
        Message {
            head: Head {
                cluster: (known[0] || !free).then_some(cluster),
                from,
                to: (known[1] || !(free || hello)).then_some(to),
                comment,
            },
            body,
        }
    })
}

proptest! {
    #[test]
    fn a_message_reads_back(message in message()) {
        let text = Bytes::from(message.frame().to_vec());
        let back = Message::parse(&text).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(&back, &message);
        prop_assert_eq!(back.frame().to_vec(), text);
    }

    #[test]
    fn a_cut_or_changed_message_is_refused_or_read(
        message in message(),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut text = message.frame().to_vec();
        let at = at.index(text.len());
        prop_assert!(Message::parse(&Bytes::copy_from_slice(&text[..at])).is_err());
        text[at] = byte;
        // Whatever it is now, reading it ends.
        let _ = Message::parse(&Bytes::from(text));
    }
}

const FROM: &str = "\"from\":\"00000000-0000-4000-8000-000000000001\"";
const CLUSTER: &str = "\"cluster\":\"00000000-0000-4000-8000-00000000000c\"";
const TO: &str = "\"to\":\"00000000-0000-4000-8000-000000000002\"";

fn text(method: &str, members: &str) -> String {
    format!("{{\"id\":null,\"method\":\"{method}\",\"params\":[{{{members}}}]}}")
}

#[test]
fn what_is_missing_too_much_or_wrong_is_refused() {
    let all = format!("{FROM},{CLUSTER},{TO}");
    let entry = |entry: &str| {
        let members = "\"term\":1,\"prev_log_index\":1,\"prev_log_term\":1,\"leader_commit\":1";
        text(
            "append_request",
            &format!("{all},{members},\"log\":[{entry}]"),
        )
    };
    for (text, error) in [
        (text("fly", &all), "unknown method"),
        (
            text("become_leader", &all),
            "required 'term' member is missing",
        ),
        (
            text("become_leader", &format!("{all},\"term\":1,\"x\":1")),
            "member 'x' is present but not allowed here",
        ),
        (
            text("become_leader", &format!("{all},\"term\":\"1\"")),
            "type mismatch for member 'term'",
        ),
        (
            text("become_leader", &format!("{all},\"term\":1.5")),
            "type mismatch for member 'term'",
        ),
        (
            text("become_leader", &format!("{FROM},{TO},\"term\":1")),
            "required 'cluster' member is missing",
        ),
        (
            text("become_leader", &format!("{FROM},{CLUSTER},\"term\":1")),
            "required 'to' member is missing",
        ),
        (
            text("become_leader", &format!("{CLUSTER},{TO},\"term\":1")),
            "required 'from' member is missing",
        ),
        (
            text(
                "hello_request",
                &format!("{FROM},\"address\":\"tcp:1.2.3.4:5\""),
            ),
            "required 'cluster' member is missing",
        ),
        (
            text(
                "add_server_request",
                "\"from\":\"x\",\"address\":\"tcp:1.2.3.4:5\"",
            ),
            "'from' is not a UUID",
        ),
        (
            text(
                "add_server_reply",
                &format!("{all},\"success\":true,\"remote_addresses\":[]"),
            ),
            "at least one remote address is required",
        ),
        (
            text(
                "execute_command_reply",
                &format!(
                    "{all},\"result\":\"00000000-0000-4000-8000-000000000002\",\"status\":\"fine\""
                ),
            ),
            "unknown 'status'",
        ),
        (entry("1"), "object expected"),
        (
            entry("{\"term\":1,\"data\":[]}"),
            "required 'eid' member is missing",
        ),
        (
            entry("{\"term\":1,\"eid\":\"00000000-0000-4000-8000-000000000002\"}"),
            "member 'eid' is present but not allowed here",
        ),
        (
            entry("{\"term\":1,\"servers\":{}}"),
            "must have at least one server",
        ),
        (
            entry("{\"term\":1,\"servers\":{\"x\":\"tcp:1.2.3.4:5\"}}"),
            "a server's id is not a UUID",
        ),
        (
            entry(
                "{\"term\":1,\"servers\":{\"00000000-0000-4000-8000-000000000002\":\"1.2.3.4\"}}",
            ),
            "1.2.3.4: expected \"tcp\" or \"ssl\" address",
        ),
        (
            "{\"id\":null,\"method\":\"become_leader\",\"params\":[]}".to_owned(),
            "one parameter expected",
        ),
        (
            "{\"id\":1,\"method\":\"become_leader\",\"params\":[{}]}".to_owned(),
            "expecting notification",
        ),
    ] {
        assert_eq!(parse(&text).map(|_| ()), Err(error.to_owned()), "{text}");
    }
}

#[test]
fn a_batch_is_encoded_once_for_all_peers() {
    let data = Bytes::from(format!("[null,{{\"x\":\"{}\"}}]", "y".repeat(100)));
    let entries = (1..=100).map(|index| Entry {
        term: 1,
        index,
        payload: Payload::Data {
            eid: Uuid::from_u128(index.into()),
            data: data.clone(),
        },
    });
    let log = Log::new(entries.collect());
    let frames = [2, 3].map(|to| {
        Message {
            head: Head {
                cluster: Some(Uuid::from_u128(9)),
                from: Uuid::from_u128(1),
                to: Some(Uuid::from_u128(to)),
                comment: None,
            },
            body: Body::AppendRequest(AppendRequest {
                term: 1,
                prev_log_index: 0,
                prev_log_term: 0,
                leader_commit: 0,
                log: log.clone(),
            }),
        }
        .frame()
    });
    assert_ne!(frames[0].pieces()[0], frames[1].pieces()[0]);
    assert_eq!(frames[0].pieces()[1].len(), log.text_len());
    assert_eq!(
        frames[0].pieces()[1].as_ptr(),
        frames[1].pieces()[1].as_ptr()
    );
}

#[test]
fn received_data_shares_the_messages_bytes() {
    let line = CAPTURED
        .lines()
        .find(|line| line.contains("install_snapshot_request"))
        .expect("a snapshot");
    let text = Bytes::from(line.to_owned());
    let Ok(Message {
        body: Body::InstallSnapshotRequest(request),
        ..
    }) = Message::parse(&text)
    else {
        panic!("not read");
    };
    let range = text.as_ptr_range();
    assert!(range.contains(&request.data.as_ptr()));
    assert!(request.data.starts_with(b"[{"));
}
