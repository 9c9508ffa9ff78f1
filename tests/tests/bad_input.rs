//! Clients that send what is wrong. They get the reference's answer, or their
//! connection is closed; everybody else goes on and nothing is lost.

use anyhow::{Result, ensure};
use ovn_ic_db_tests::client::Received;
use ovn_ic_db_tests::process::{Options, Program, Server, Source};
use ovn_ic_db_tests::witness::{SCHEMA, Witness, said_to};
use serde_json::json;

const MIB: u64 = 1 << 20;

fn start(program: Program) -> Result<Server> {
    Server::start(
        program,
        &Source::SchemaText(SCHEMA.into()),
        &Options::default(),
    )
}

fn transact(operation: &str) -> Vec<u8> {
    format!("{{\"method\":\"transact\",\"params\":[\"d\",{operation}],\"id\":1}}").into_bytes()
}

fn nested(open: &str, close: &str, depth: usize) -> Vec<u8> {
    let text = format!("{}{}", open.repeat(depth), close.repeat(depth));
    format!("{{\"method\":\"echo\",\"params\":[{text}],\"id\":1}}").into_bytes()
}

/// Requests whose answer (or the end of the connection) is the reference's.
fn requests() -> Vec<Vec<u8>> {
    let values = [
        "1e400",
        "-1e400",
        "1e-400",
        "99999999999999999999",
        "-9223372036854775808",
        "-9223372036854775809",
        "9223372036854775807",
        "9223372036854775808",
        "1e3",
        "1.0",
        "1.5",
        "-0",
        "01",
        "0x10",
        "+1",
        ".5",
        "1.",
        "nan",
        "true",
        "null",
        "\"1\"",
        "[]",
        "{}",
        "[\"set\",[1,1]]",
        "[\"set\",[1],2]",
        "[\"uuid\",\"x\"]",
        "[\"named-uuid\",\"x\"]",
        "[\"map\",[[1,2]]]",
    ];
    let mut requests: Vec<Vec<u8>> = values
        .iter()
        .map(|value| transact(&format!("{{\"op\":\"insert\",\"table\":\"t\",\"row\":{{\"i\":{value}}}}},{{\"op\":\"abort\"}}")))
        .collect();
    for operation in [
        r#"{"op":"insert","op":"select","table":"t","where":[["i",">",0]]}"#,
        r#"{"op":"insert","table":"t","row":{"i":1,"i":2}},{"op":"select","table":"t","where":[["i","<",3],["i",">",0]],"columns":["i"]},{"op":"abort"}"#,
        r#"{"op":"insert","table":"t","row":{"i":1},"nosuch":1}"#,
        r#"{"op":"insert","table":"t","row":{"nosuch":1}}"#,
        r#"{"op":"insert","table":"nosuch","row":{}}"#,
        r#"{"op":"insert","table":"t"}"#,
        r#"{"op":"insert","row":{}}"#,
        r#"{"op":"nosuch"}"#,
        r#"{"op":7}"#,
        r#"{}"#,
        r#"7"#,
        r#"{"op":"select","table":"t","where":[["i","nosuch",1]]}"#,
        r#"{"op":"select","table":"t","where":[["nosuch","==",1]]}"#,
        r#"{"op":"select","table":"t","where":[["i","=="]]}"#,
        r#"{"op":"mutate","table":"t","where":[],"mutations":[["s","+=",1]]}"#,
        r#"{"op":"mutate","table":"t","where":[],"mutations":[["i","nosuch",1]]}"#,
        r#"{"op":"wait","table":"t","where":[],"columns":["i"],"until":"?","rows":[],"timeout":0}"#,
        r#"{"op":"wait","table":"t","where":[],"columns":["i"],"until":"==","rows":[],"timeout":-1}"#,
        r#"{"op":"assert","lock":"nosuch"}"#,
        r#"{"op":"comment","comment":7}"#,
        r#"{"op":"insert","table":"t","row":{"s":"\u0000"}},{"op":"abort"}"#,
        r#"{"op":"insert","table":"t","row":{"s":"\ud83d\ude00 \u00e9"}},{"op":"abort"}"#,
    ] {
        requests.push(transact(operation));
    }
    for (method, params) in [
        ("nosuch", "[]"),
        ("", "[]"),
        ("transact", "[]"),
        ("transact", "[7]"),
        ("transact", "[\"nosuch\"]"),
        ("transact", "[\"d\"]"),
        ("get_schema", "[]"),
        ("get_schema", "[1,2]"),
        ("get_schema", "[\"nosuch\"]"),
        ("list_dbs", "[1]"),
        ("monitor", "[\"d\",1,7]"),
        ("monitor", "[\"nosuch\",1,{}]"),
        ("monitor", "[\"d\",1,{\"nosuch\":{}}]"),
        ("monitor_cond", "[\"d\",1,{\"t\":{\"nosuch\":1}}]"),
        ("monitor_cond_since", "[\"d\",1,{\"t\":{}}]"),
        ("monitor_cond_change", "[1,2]"),
        ("monitor_cancel", "[]"),
        ("monitor_cancel", "[7]"),
        ("lock", "[]"),
        ("lock", "[7]"),
        ("lock", "[\"0 bad\"]"),
        ("unlock", "[\"never\"]"),
        ("steal", "[1,2]"),
        ("set_db_change_aware", "[7]"),
        ("set_db_change_aware", "[]"),
        ("convert", "[\"d\"]"),
        ("convert", "[\"d\",{}]"),
        ("convert", "[\"d\",7]"),
        ("get_server_id", "[1]"),
    ] {
        requests
            .push(format!("{{\"method\":\"{method}\",\"params\":{params},\"id\":1}}").into_bytes());
    }
    for text in [
        "{\"method\":\"echo\",\"params\":[],\"id\":1,\"more\":2}",
        "{\"method\":\"echo\",\"params\":[1],\"params\":[2],\"id\":1}",
        "{\"method\":\"echo\",\"params\":{},\"id\":1}",
        "{\"method\":\"echo\",\"params\":\"x\",\"id\":1}",
        "{\"method\":\"echo\",\"id\":1}",
        "{\"method\":7,\"params\":[],\"id\":1}",
        "{\"params\":[],\"id\":1}",
        "{\"id\":1}",
        "{\"result\":1,\"error\":null,\"id\":1}",
        "{\"result\":null,\"error\":null,\"id\":1}",
        "{\"result\":1,\"error\":2,\"id\":1}",
        "{}",
        "[]",
        "[1]",
        "]",
        "}",
        "7",
        "null",
        "\"text\"",
        "garbage",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "[1 2]",
        "/* */{}",
        "\u{feff}{}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "tru e",
        "\0",
        "{\"method\":\"echo\"\0}",
    ] {
        requests.push(text.as_bytes().to_vec());
    }
    // The parser on this side takes no more than 128 levels.
    for depth in [10, 100, 1_500, 10_000] {
        requests.push(nested("[", "]", depth));
        requests.push(nested("{\"a\":", "}", depth).replace_empty());
    }
    requests
}

/// `{"a":}` at the innermost place is no JSON: there it gets a value.
trait ReplaceEmpty {
    fn replace_empty(self) -> Self;
}

impl ReplaceEmpty for Vec<u8> {
    fn replace_empty(self) -> Self {
        String::from_utf8_lossy(&self)
            .replace(":}", ":1}")
            .into_bytes()
    }
}

#[test]
fn wrong_requests_get_the_answers_of_the_reference() -> Result<()> {
    let reference = start(Program::Reference)?;
    let ours = start(Program::Ours)?;
    let mut witness = Witness::start(&ours)?;
    let mut different = Vec::new();
    for request in requests() {
        let [expected, said] = [said_to(&reference, &request)?, said_to(&ours, &request)?];
        if expected != said {
            let text = String::from_utf8_lossy(&request);
            different.push(format!(
                "{text:.300}\n reference {expected:?}\n ours      {said:?}"
            ));
        }
        witness.check()?;
    }
    assert!(
        different.is_empty(),
        "{} differ:\n{}",
        different.len(),
        different.join("\n")
    );
    assert_eq!(witness.others()?, 0, "something was written");
    Ok(())
}

#[test]
fn text_that_is_not_unicode_closes_its_connection() -> Result<()> {
    let server = start(Program::Ours)?;
    let mut witness = Witness::start(&server)?;
    let wrong: [&[u8]; 7] = [
        b"\xff\xfe{}",
        b"\x80",
        b"{\"method\":\"echo\",\"params\":[\"\xff\"],\"id\":1}",
        b"{\"method\":\"echo\",\"params\":[\"\xc3\x28\"],\"id\":1}",
        b"{\"method\":\"echo\",\"params\":[\"\xed\xa0\x80\"],\"id\":1}",
        b"{\"method\":\"echo\",\"params\":[\"\\ud800\"],\"id\":1}",
        b"{\"method\":\"transact\",\"params\":[\"d\",{\"op\":\"insert\",\"table\":\"t\",\"row\":{\"s\":\"\xf8\"}}],\"id\":1}",
    ];
    for bytes in wrong {
        let said = said_to(&server, bytes)?;
        assert_eq!(
            said,
            [json!("closed")],
            "{}",
            String::from_utf8_lossy(bytes)
        );
        witness.check()?;
    }
    assert_eq!(witness.others()?, 0);
    Ok(())
}

#[test]
fn random_bytes_hurt_nobody() -> Result<()> {
    let server = start(Program::Ours)?;
    let mut witness = Witness::start(&server)?;
    let before = server.resident_bytes()?;
    let mut random = fastrand::Rng::with_seed(5);
    let alphabet = b"{}[]\":,\\u0019 eE+-.truefalsn\x00\xff";
    for round in 0..200 {
        let mut client = server.client()?;
        let bytes: Vec<u8> = (0..random.usize(1..20_000))
            .map(|_| match round % 2 {
                0 => random.u8(..),
                _ => alphabet[random.usize(..alphabet.len())],
            })
            .collect();
        // The server may close in the middle.
        let _ = client.send_bytes(&bytes);
        if round % 10 == 0 {
            witness.check()?;
        }
    }
    witness.check()?;
    let grown = server.resident_bytes()?.saturating_sub(before);
    assert!(grown < 32 * MIB, "{grown} bytes more");
    Ok(())
}

#[test]
fn a_message_cut_anywhere_changes_nothing() -> Result<()> {
    let server = start(Program::Ours)?;
    let mut witness = Witness::start(&server)?;
    let message = transact(r#"{"op":"insert","table":"t","row":{"i":7,"s":"\u00e9\ud83d\ude00"}}"#);
    for end in 0..message.len() {
        let mut client = server.client()?;
        client.send_bytes(&message[..end])?;
    }
    witness.check()?;
    // Whoever hangs up only halfway gets no answer to half a message either.
    let mut client = server.client()?;
    client.send_bytes(&message[..message.len() - 1])?;
    client.finish_sending()?;
    assert_eq!(client.receive_within(client.deadline)?, Received::Closed);
    assert_eq!(witness.others()?, 0);
    // The whole one works, in pieces of one byte.
    let mut client = server.client()?;
    for byte in &message {
        client.send_bytes(&[*byte])?;
    }
    client.reply(&json!(1))?;
    assert_eq!(witness.others()?, 1);
    witness.check()?;
    Ok(())
}

#[test]
fn a_message_without_end_ends_its_connection() -> Result<()> {
    let server = start(Program::Ours)?;
    let mut witness = Witness::start(&server)?;
    let before = server.resident_bytes()?;
    let mut client = server.client()?;
    client.send_bytes(
        b"{\"method\":\"transact\",\"params\":[\"d\",{\"op\":\"comment\",\"comment\":\"",
    )?;
    let piece = vec![b'x'; MIB as usize];
    let mut most = 0;
    let mut refused = false;
    for sent in 1..=400 {
        if client.send_bytes(&piece).is_err() {
            refused = true;
            break;
        }
        if sent % 16 == 0 {
            most = most.max(server.resident_bytes()?);
            witness.check()?;
        }
    }
    ensure!(refused, "400 MiB of one message were taken");
    let grown = most.saturating_sub(before);
    assert!(grown < 600 * MIB, "{} MiB more", grown / MIB);
    witness.check()?;
    Ok(())
}
