//! Ours and Debian's `ovsdb-server` side by side.

use anyhow::Result;
use ovn_ic_db_tests::differential::{run, same};
use ovn_ic_db_tests::process::{Options, Program, Server, Source};
use serde_json::json;

const SCHEMA: &str = r#"{"name":"d","version":"1.0.0","tables":{"t":{"columns":{"i":{"type":"integer"}},"isRoot":true}}}"#;

#[test]
fn a_server_starts_stops_and_keeps_its_rows() -> Result<()> {
    let options = Options {
        tcp: true,
        ..Options::default()
    };
    let mut server = Server::start(
        Program::Reference,
        &Source::SchemaText(SCHEMA.into()),
        &options,
    )?;
    let results = server.tcp_client()?.transact(
        "d",
        &[json!({"op": "insert", "table": "t", "row": {"i": 7}})],
    )?;
    assert!(results[0]["uuid"].is_array(), "{results:?}");
    assert!(server.control("version", &[])?.contains("ovsdb-server"));
    server.restart()?;
    let select = [json!({"op": "select", "table": "t", "where": [], "columns": ["i"]})];
    let results = server.client()?.transact("d", &select)?;
    assert_eq!(results, [json!({"rows": [{"i": 7}]})]);
    server.kill9()?;
    assert!(server.client().is_err());
    server.start_again()?;
    Ok(())
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// The second server is the reference too, which proves the comparer, unless
/// `DIFFERENTIAL_AGAINST=ours` asks for our own program.
#[test]
fn two_servers_do_not_differ() -> Result<()> {
    let second = match std::env::var("DIFFERENTIAL_AGAINST").as_deref() {
        Ok("ours") => Program::Ours,
        _ => Program::Reference,
    };
    let seed = setting("DIFFERENTIAL_SEED", 1);
    let steps = setting("DIFFERENTIAL_STEPS", 3000) as usize;
    println!("DIFFERENTIAL_SEED={seed} reference against {second:?}");
    let difference = run([Program::Reference, second], seed, steps)?;
    assert!(difference.is_none(), "seed {seed}: {difference:#?}");
    Ok(())
}

#[test]
fn an_altered_answer_is_a_difference() {
    let request = json!(["d", {"op": "delete"}]);
    let reply = |result| json!({"reply": {"result": result}, "updates": []});
    let answer = reply(json!([{"count": 1}]));
    assert!(same(&request, &answer, &answer));
    assert!(!same(&request, &answer, &reply(json!([{"count": 2}]))));
    // An error of an operation is compared in full, one found at commit by its name.
    let violation = |details| json!({"error": "constraint violation", "details": details});
    let [a, b] = [violation("a"), violation("b")];
    assert!(!same(&request, &reply(json!([a])), &reply(json!([b]))));
    assert!(same(
        &request,
        &reply(json!([{}, a])),
        &reply(json!([{}, b]))
    ));
    let other = json!({"error": "timed out", "details": "a"});
    assert!(!same(
        &request,
        &reply(json!([{}, a])),
        &reply(json!([{}, other]))
    ));
}
