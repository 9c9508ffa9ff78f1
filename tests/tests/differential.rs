//! Ours and Debian's `ovsdb-server` side by side.

use std::time::Duration;

use anyhow::Result;
use ovn_ic_db_tests::differential::run;
use ovn_ic_db_tests::differential::shrink::shrink;
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

/// With `DIFFERENTIAL_AGAINST=reference` the second server is the reference too,
/// which proves the comparer. `DIFFERENTIAL_SCHEMAS`
/// seeds from `DIFFERENTIAL_SEED` on share `DIFFERENTIAL_STEPS`; it ends after
/// `DIFFERENTIAL_DIFFERENCES` differences.
#[test]
fn two_servers_do_not_differ() -> Result<()> {
    let second = match std::env::var("DIFFERENTIAL_AGAINST").as_deref() {
        Ok("reference") => Program::Reference,
        _ => Program::Ours,
    };
    let programs = [Program::Reference, second];
    let seed = setting("DIFFERENTIAL_SEED", 1);
    let schemas = setting("DIFFERENTIAL_SCHEMAS", 60).max(1);
    let steps = setting("DIFFERENTIAL_STEPS", 12_000).div_ceil(schemas) as usize;
    let most = setting("DIFFERENTIAL_DIFFERENCES", 1);
    let mut different = Vec::new();
    let mut reference_ended = 0;
    for seed in seed..seed + schemas {
        println!(
            "DIFFERENTIAL_SEED={seed} DIFFERENTIAL_SCHEMAS=1 DIFFERENTIAL_STEPS={steps} \
             reference against {second:?}"
        );
        let found = run(programs, seed, steps)?;
        if let Some(found) = found {
            if found.reference_ended {
                println!(
                    "the reference ended by itself after {} actions",
                    found.actions.len()
                );
                reference_ended += 1;
                continue;
            }
            let found = shrink(programs, found, Duration::from_secs(20));
            println!("seed {seed}: {found}");
            different.push(seed);
            if different.len() as u64 >= most {
                break;
            }
        }
    }
    assert!(
        different.is_empty(),
        "seeds that show a difference: {different:?}"
    );
    // One time is chance, many prove that the requests are not the right ones.
    assert!(
        reference_ended <= 1 + schemas / 20,
        "it ended {reference_ended} times"
    );
    Ok(())
}
