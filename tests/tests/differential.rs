//! Ours and Debian's `ovsdb-server` side by side.

use anyhow::Result;
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
