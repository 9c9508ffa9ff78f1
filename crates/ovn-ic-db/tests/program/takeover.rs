//! Files that others made: older and newer schemas, and what cannot be converted.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::program::{OLD_SCHEMAS, Program, old_database, tool};

const SWITCH: &str = r#"{"op":"insert","table":"Transit_Switch","row":{"name":"old","external_ids":["map",[["a","b"]]]}}"#;

/// An availability zone with a gateway, whose encapsulation is of this type.
fn zone(encapsulation: &str) -> String {
    format!(
        r#"{{"op":"insert","table":"Availability_Zone","row":{{"name":"zone"}},"uuid-name":"az"}},
           {{"op":"insert","table":"Encap","row":{{"type":"{encapsulation}","ip":"10.0.0.1","gateway_name":"gw"}},"uuid-name":"encap"}},
           {{"op":"insert","table":"Gateway","row":{{"name":"gw","availability_zone":["named-uuid","az"],"encaps":["named-uuid","encap"]}}}}"#
    )
}

/// What `ovsdb-tool` says of a file: version and checksum of its schema.
fn schema_of(file: &str) -> Result<(String, String)> {
    let version = tool("ovsdb-tool", ["db-version", file])?;
    let cksum = tool("ovsdb-tool", ["db-cksum", file])?;
    Ok((version.trim().to_owned(), cksum.trim().to_owned()))
}

fn text(path: &std::path::Path) -> Result<&str> {
    path.to_str().context("UTF-8")
}

#[test]
fn old_schemas_are_converted_and_a_copy_is_kept() -> Result<()> {
    let mut program = Program::new()?;
    let (nb, sb) = (program.database("nb")?, program.database("sb")?);
    old_database(&nb, "nb", SWITCH)?;
    old_database(&sb, "sb", &zone("geneve"))?;
    let before = [(&nb, fs::read(&nb)?), (&sb, fs::read(&sb)?)];
    let copies: Vec<String> = [&nb, &sb]
        .map(|file| {
            let file = text(file)?;
            let (version, cksum) = schema_of(file)?;
            let first = cksum.split(' ').next().unwrap_or_default();
            Ok(format!("{file}.backup{version}-{first}"))
        })
        .into_iter()
        .collect::<Result<_>>()?;
    program.start()?;
    assert!(program.ctl("nb", &["show"])?.contains("Transit_Switch old"));
    let shown = program.ctl("sb", &["show"])?;
    for part in [
        "availability-zone zone",
        "gateway gw",
        "type: geneve",
        "ip: 10.0.0.1",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    // A table that the old schema does not have.
    let insert = json!({"op": "insert", "table": "Transit_Router", "row": {"name": "tr"}});
    program
        .client("nb")?
        .transact("OVN_IC_Northbound", &[insert])?;
    for ((file, old), copy) in before.iter().zip(&copies) {
        assert!(&fs::read(copy)? == old, "{copy} differs");
        assert!(&fs::read(file)? != old);
        assert!(program.said().contains(copy), "{}", program.said());
    }
    program.stop()?;
    for (side, file) in [("nb", &nb), ("sb", &sb)] {
        let newest = format!(
            "{}/../../schemas/ovn-ic-{side}.ovsschema",
            env!("CARGO_MANIFEST_DIR")
        );
        let version = tool("ovsdb-tool", ["schema-version", &newest])?;
        assert_eq!(schema_of(text(file)?)?.0, version.trim());
    }
    // The second start has nothing left to do.
    program.start()?;
    assert!(!program.said().contains("converted"), "{}", program.said());
    assert!(program.ctl("nb", &["show"])?.contains("Transit_Switch old"));
    assert_eq!(
        fs::read_dir(program.path("db"))?.count(),
        2 * 3,
        "file, lock, copy"
    );
    Ok(())
}

#[test]
fn what_cannot_be_converted_stays_as_it_was() -> Result<()> {
    let mut program = Program::new()?;
    let sb = program.database("sb")?;
    old_database(&sb, "sb", &zone("stt"))?;
    let before = fs::read(&sb)?;
    program.start()?;
    let said = program.said();
    assert!(
        said.contains("|ERR|") && said.contains("cannot be converted"),
        "{said}"
    );
    assert!(said.contains("stt"), "{said}");
    let version = tool("ovsdb-tool", ["db-version", text(&sb)?])?;
    assert!(fs::read(&sb)? == before, "the file is touched");
    assert!(program.ctl("sb", &["show"])?.contains("type: stt"));
    let schema = program
        .client("sb")?
        .call("get_schema", json!(["OVN_IC_Southbound"]))?;
    assert_eq!(schema["version"], Value::from(version.trim()));
    // It is served like any other.
    program.ctl("sb", &["create", "Availability_Zone", "name=second"])?;
    program.stop()?;
    assert_eq!(schema_of(text(&sb)?)?.0, version.trim());
    let mut names = Vec::new();
    for entry in fs::read_dir(program.path("db"))? {
        names.push(entry?.file_name().into_string().unwrap_or_default());
    }
    assert!(
        !names.iter().any(|name| name.contains("backup")),
        "{names:?}"
    );
    // The reason is gone, the next start converts.
    let delete = r#"["OVN_IC_Southbound",{"op":"update","table":"Encap","where":[],"row":{"type":"vxlan"}}]"#;
    tool("ovsdb-tool", ["transact", text(&sb)?, delete])?;
    program.start()?;
    assert!(
        program.said().contains("converted from schema"),
        "{}",
        program.said()
    );
    assert!(program.ctl("sb", &["show"])?.contains("zone second"));
    Ok(())
}

#[test]
fn a_newer_schema_is_served_as_it_is() -> Result<()> {
    let mut program = Program::new()?;
    let nb = program.database("nb")?;
    let old = fs::read_to_string(format!("{OLD_SCHEMAS}/ovn-ic-nb.ovsschema"))?;
    let mut schema: Value = serde_json::from_str(&old)?;
    schema["version"] = json!("99.0.0");
    schema["tables"]["Future"] = json!({"columns": {"name": {"type": "string"}}, "isRoot": true});
    let newer = program.path("newer.ovsschema");
    fs::write(&newer, schema.to_string())?;
    tool("ovsdb-tool", ["create", text(&nb)?, text(&newer)?])?;
    program.start()?;
    let insert =
        json!(["OVN_IC_Northbound", {"op": "insert", "table": "Future", "row": {"name": "x"}}]);
    let reply = program.client("nb")?.call("transact", insert)?;
    assert!(reply[0]["uuid"].is_array(), "{reply}");
    assert!(
        program.said().contains("schema 99.0.0"),
        "{}",
        program.said()
    );
    program.stop()?;
    assert_eq!(schema_of(text(&nb)?)?.0, "99.0.0");
    Ok(())
}

#[test]
fn the_replaced_server_can_go_on_with_our_files() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    program.ctl("nb", &["ts-add", "ours"])?;
    program.stop()?;
    let nb = program.database("nb")?;
    let source = ovn_ic_db_tests::process::Source::File(nb);
    let mut server = ovn_ic_db_tests::process::Server::start(
        ovn_ic_db_tests::process::Program::Reference,
        &source,
        &ovn_ic_db_tests::process::Options::default(),
    )?;
    let database = format!("--db=unix:{}", server.socket().display());
    assert!(tool("ovn-ic-nbctl", [&database, "show"])?.contains("ours"));
    tool("ovn-ic-nbctl", [&database, "ts-add", "theirs"])?;
    assert!(server.terminate()?.success() || server.ended()?.is_none());
    program.start()?;
    let shown = program.ctl("nb", &["show"])?;
    assert!(
        shown.contains("ours") && shown.contains("theirs"),
        "{shown}"
    );
    Ok(())
}
