//! The transit switches that the program makes by itself.

use anyhow::Result;

use crate::program::Program;

/// The transit switches: name, subnet and vendor, sorted by name.
fn switches(program: &Program) -> Result<Vec<(String, String, String)>> {
    let text = program.ctl(
        "nb",
        &[
            "--format=json",
            "--columns=name,external_ids",
            "list",
            "Transit_Switch",
        ],
    )?;
    let table: serde_json::Value = serde_json::from_str(&text)?;
    let rows = table["data"].as_array().cloned().unwrap_or_default();
    let mut switches: Vec<_> = rows
        .iter()
        .map(|row| {
            let name = row[0].as_str().unwrap_or_default().to_owned();
            let id = |key: &str| {
                let pairs = row[1][1].as_array().cloned().unwrap_or_default();
                let pair = pairs.iter().find(|pair| pair[0] == key);
                pair.and_then(|pair| pair[1].as_str())
                    .unwrap_or("-")
                    .to_owned()
            };
            (name, id("subnet"), id("vendor"))
        })
        .collect();
    switches.sort();
    Ok(switches)
}

fn of(switches: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    let owned = switches.iter();
    owned
        .map(|(a, b, c)| ((*a).into(), (*b).into(), (*c).into()))
        .collect()
}

#[test]
fn one_is_made_at_start() -> Result<()> {
    const BOTH: &str = "169.254.100.0/24,fe80:a9fe:64::/112";
    for (set, expected) in [
        (&[][..], ("ts", "169.254.100.0/24", "kube-ovn")),
        (
            &[("TS_NAME", "mine")],
            ("mine", "169.254.100.0/24", "kube-ovn"),
        ),
        (
            &[("TS_CIDR", "10.1.0.0/16")],
            ("ts", "10.1.0.0/16", "kube-ovn"),
        ),
        (
            &[("PROTOCOL", "ipv6")],
            ("ts", "fe80:a9fe:64::/112", "kube-ovn"),
        ),
        (&[("PROTOCOL", "dual")], ("ts", BOTH, "kube-ovn")),
        (
            &[("TS_NUM", "2"), ("ENABLE_OVN_LEADER_CHECK", "false")],
            ("ts", "169.254.100.0/24", "kube-ovn"),
        ),
    ] {
        let program = Program::new()?.unset("TS_NAME");
        let mut program = set
            .iter()
            .fold(program, |program, (name, value)| program.set(name, value));
        program.start()?;
        assert_eq!(switches(&program)?, of(&[expected]), "{set:?}");
        let said = program.said();
        assert!(
            said.contains("make transit switch") && said.contains("1 rows"),
            "{said}"
        );
    }
    let mut program = Program::new()?.set("TS_NAME", "");
    program.start()?;
    assert_eq!(switches(&program)?, []);
    Ok(())
}

#[test]
fn one_that_exists_stays_unless_its_subnet_is_said() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    program.ctl(
        "nb",
        &[
            "ts-add",
            "ts",
            "--",
            "set",
            "Transit_Switch",
            "ts",
            "external_ids:subnet=1.2.3.0/24",
        ],
    )?;
    program.stop()?;
    let mut program = program.unset("TS_NAME");
    program.start()?;
    assert_eq!(switches(&program)?, of(&[("ts", "1.2.3.0/24", "-")]));
    program.stop()?;
    let mut program = program.set("TS_CIDR", "4.5.6.0/24");
    program.start()?;
    assert_eq!(switches(&program)?, of(&[("ts", "4.5.6.0/24", "-")]));
    Ok(())
}

#[test]
fn a_number_is_kept() -> Result<()> {
    let mut program = Program::new()?
        .set("TS_NUM", "2")
        .set("POD_IPS", "10.0.0.1,fd00::1")
        .set("OVN_LEADER_PROBE_INTERVAL", "1");
    program.start()?;
    let (first, second) = (
        "169.254.100.0/24,fe80:a9fe:64::/112",
        "169.254.101.0/24,fe80:a9fe:65::/112",
    );
    let two = of(&[("ts", first, "kube-ovn"), ("ts1", second, "kube-ovn")]);
    assert_eq!(switches(&program)?, two);
    // What somebody takes away comes back, what is too much goes, a stranger's stays.
    program.ctl("nb", &["ts-del", "ts1", "--", "ts-add", "ts8"])?;
    program.ctl(
        "nb",
        &[
            "ts-add",
            "ts9",
            "--",
            "set",
            "Transit_Switch",
            "ts9",
            "external_ids:vendor=kube-ovn",
        ],
    )?;
    let kept = [two, of(&[("ts8", "-", "-")])].concat();
    program.wait("the number", |program| {
        Ok((switches(program)? == kept).then_some(()))
    })?;
    let said = program.said();
    assert!(said.contains("make transit switch \"ts1\""), "{said}");
    assert!(said.contains("delete transit switch \"ts9\""), "{said}");
    // Fewer after a restart.
    program.stop()?;
    let mut program = program.set("TS_NUM", "0");
    program.start()?;
    assert_eq!(switches(&program)?, of(&[("ts8", "-", "-")]));
    Ok(())
}
