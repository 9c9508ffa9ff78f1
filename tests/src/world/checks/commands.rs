//! The ctl tools' own and generic commands. What they print goes into the
//! transcript, which must be the same for every server.

use anyhow::{Result, ensure};

use crate::world::ctl::Ctl;
use crate::world::{Interconnect, Report, Side, World};

/// One command: its arguments, and what standard output has to hold if it
/// must succeed (`None` if it must fail).
type Command<'a> = (&'a [&'a str], Option<&'a str>);

/// `init` on the empty databases, twice.
///
/// # Errors
/// If it fails.
pub fn initial(server: &dyn Interconnect, report: &mut Report) -> Result<()> {
    for (side, program) in [
        (Side::Northbound, "ovn-ic-nbctl"),
        (Side::Southbound, "ovn-ic-sbctl"),
    ] {
        let ctl = Ctl::new(program, "ovn-ic", &server.remotes(side))?;
        report.check(&format!("{program} init on an empty database"), || {
            ctl.run("init")
        })?;
        play(&ctl, report, &[(&["init"], Some(""))])?;
    }
    Ok(())
}

/// Plays all commands in the settled world, and leaves nothing behind.
///
/// # Errors
/// If one of them does not do what it should.
pub fn run(world: &mut World<'_>, report: &mut Report) -> Result<()> {
    let northbound = world.nbctl.clone();
    let mut noted = Vec::new();
    report.check(
        &format!("ovn-ic-nbctl: {} commands", NORTHBOUND.len()),
        || collect(&northbound, NORTHBOUND, &mut noted),
    )?;
    let southbound = world.sbctl.clone();
    report.check(
        &format!("ovn-ic-sbctl: {} commands", SOUTHBOUND.len()),
        || collect(&southbound, SOUTHBOUND, &mut noted),
    )?;
    for text in noted {
        report.transcribe(&text);
    }
    Ok(())
}

const CSV: [&str; 3] = ["--format=csv", "--data=bare", "--no-heading"];

const NORTHBOUND: &[Command<'_>] = &[
    (&["ts-list"], Some("(ts)")),
    (&["ts-add", "cmd"], Some("")),
    (&["ts-add", "cmd"], None),
    (&["--may-exist", "ts-add", "cmd"], Some("")),
    (&["get", "Transit_Switch", "cmd", "name"], Some("cmd")),
    (&["get", "Transit_Switch", "cmd", "nosuch"], None),
    (&["get", "Transit_Switch", "nosuch", "name"], None),
    (
        &["--if-exists", "get", "Transit_Switch", "nosuch", "name"],
        Some(""),
    ),
    (
        &[
            "set",
            "Transit_Switch",
            "cmd",
            "external_ids:subnet=10.1.0.0/24",
        ],
        Some(""),
    ),
    (
        &[
            "set",
            "Transit_Switch",
            "cmd",
            "external_ids:vendor=kube-ovn",
        ],
        Some(""),
    ),
    (
        &["get", "Transit_Switch", "cmd", "external_ids"],
        Some("subnet=\"10.1.0.0/24\", vendor=kube-ovn"),
    ),
    (
        &["get", "Transit_Switch", "cmd", "external_ids:vendor"],
        Some("kube-ovn"),
    ),
    (
        &["get", "Transit_Switch", "cmd", "external_ids:nosuch"],
        None,
    ),
    (
        &[
            CSV[0],
            CSV[1],
            CSV[2],
            "--columns=name",
            "find",
            "Transit_Switch",
            "external_ids:vendor=kube-ovn",
        ],
        Some("cmd\n"),
    ),
    (
        &[
            CSV[0],
            CSV[1],
            CSV[2],
            "--columns=name,external_ids",
            "find",
            "Transit_Switch",
            "name=cmd",
        ],
        Some("cmd,subnet=10.1.0.0/24 vendor=kube-ovn\n"),
    ),
    (
        &[
            "--columns=name",
            "find",
            "Transit_Switch",
            "external_ids:vendor!=other",
        ],
        Some("cmd"),
    ),
    (
        &["--columns=name", "list", "Transit_Switch", "cmd"],
        Some("name"),
    ),
    (
        &[
            "--format=json",
            "--columns=name,other_config",
            "list",
            "Transit_Switch",
            "cmd",
        ],
        Some("headings"),
    ),
    (
        &[
            "--format=table",
            "--columns=name",
            "list",
            "Transit_Switch",
            "cmd",
        ],
        Some("----"),
    ),
    (
        &["add", "Transit_Switch", "cmd", "external_ids", "a=1", "b=2"],
        Some(""),
    ),
    (
        &["remove", "Transit_Switch", "cmd", "external_ids", "vendor"],
        Some(""),
    ),
    (
        &["get", "Transit_Switch", "cmd", "external_ids"],
        Some("{a=\"1\", b=\"2\", subnet=\"10.1.0.0/24\"}"),
    ),
    (
        &["wait-until", "Transit_Switch", "cmd", "external_ids:a=1"],
        Some(""),
    ),
    (
        &["clear", "Transit_Switch", "cmd", "external_ids"],
        Some(""),
    ),
    (
        &["get", "Transit_Switch", "cmd", "external_ids"],
        Some("{}"),
    ),
    (
        &["--", "--id=@t", "create", "Transit_Switch", "name=cmd2"],
        Some("-"),
    ),
    (&["create", "Transit_Switch", "name=cmd2"], None),
    (
        &[
            "set",
            "Transit_Switch",
            "cmd2",
            "name=cmd3",
            "--",
            "ts-add",
            "cmd2",
            "--",
            "ts-del",
            "cmd3",
        ],
        Some(""),
    ),
    (&["destroy", "Transit_Switch", "cmd2"], Some("")),
    (&["destroy", "Transit_Switch", "cmd2"], None),
    (
        &["--if-exists", "destroy", "Transit_Switch", "cmd2"],
        Some(""),
    ),
    (&["ts-del", "cmd"], Some("")),
    (&["ts-del", "cmd"], None),
    (&["--if-exists", "ts-del", "cmd"], Some("")),
    (&["get-connection"], Some("")),
    (
        &[
            "--inactivity-probe=30000",
            "set-connection",
            "ptcp:0:127.0.0.1",
        ],
        Some(""),
    ),
    (&["get-connection"], Some("ptcp:0:127.0.0.1")),
    (&["del-connection"], Some("")),
    (&["get-ssl"], Some("")),
    (&["list", "nosuch"], None),
];

const SOUTHBOUND: &[Command<'_>] = &[
    (
        &[
            CSV[0],
            CSV[1],
            CSV[2],
            "--columns=name",
            "find",
            "availability_zone",
            "name=az1",
        ],
        Some("az1\n"),
    ),
    (
        &[
            "--columns=name,hostname",
            "find",
            "gateway",
            "hostname=host2",
        ],
        Some("gw2"),
    ),
    (
        &[
            "--columns=ip_prefix,nexthop,origin",
            "find",
            "route",
            "ip_prefix=192.168.1.1/24",
        ],
        Some("connected"),
    ),
    (
        &[
            "--columns=logical_port,address",
            "find",
            "port_binding",
            "logical_port=ts-lr2",
        ],
        Some("169.254.100.2/24"),
    ),
    (&["get", "Gateway", "gw1", "hostname"], Some("host1")),
    (
        &["wait-until", "Gateway", "gw1", "hostname=host1"],
        Some(""),
    ),
    (
        &[
            "--",
            "--id=@z",
            "create",
            "Availability_Zone",
            "name=az9",
            "--",
            "--id=@e",
            "create",
            "Encap",
            "gateway_name=gw9",
            "type=geneve",
            "ip=10.0.0.9",
            "--",
            "create",
            "Gateway",
            "name=gw9",
            "availability_zone=@z",
            "encaps=@e",
        ],
        Some("-"),
    ),
    (&["create", "Availability_Zone", "name=az9"], None),
    (&["get", "Availability_Zone", "az9", "name"], Some("az9")),
    (
        &[
            "--",
            "--id=@e",
            "create",
            "Encap",
            "gateway_name=gw8",
            "type=geneve",
            "ip=10.0.0.8",
            "--",
            "create",
            "Gateway",
            "name=gw8",
            "encaps=@e",
            "availability_zone=00000000-0000-0000-0000-000000000001",
        ],
        None,
    ),
    (&["destroy", "Availability_Zone", "az9"], None),
    (
        &[
            "destroy",
            "Gateway",
            "gw9",
            "--",
            "destroy",
            "Availability_Zone",
            "az9",
        ],
        Some(""),
    ),
    (
        &[
            CSV[0],
            CSV[1],
            CSV[2],
            "--columns=ip",
            "find",
            "Encap",
            "ip=10.0.0.9",
        ],
        Some(""),
    ),
    (
        &[
            "create",
            "Datapath_Binding",
            "transit_switch=x",
            "tunnel_key=0",
        ],
        None,
    ),
    (&["get-connection"], Some("")),
    (
        &["set-connection", "ptcp:0:127.0.0.1", "punix:extra.sock"],
        Some(""),
    ),
    (&["get-connection"], Some("punix:extra.sock")),
    (&["del-connection"], Some("")),
    (&["get-ssl"], Some("")),
];

fn play(ctl: &Ctl, report: &mut Report, commands: &[Command<'_>]) -> Result<()> {
    let mut noted = Vec::new();
    collect(ctl, commands, &mut noted)?;
    for text in noted {
        report.transcribe(&text);
    }
    Ok(())
}

fn collect(ctl: &Ctl, commands: &[Command<'_>], noted: &mut Vec<String>) -> Result<()> {
    for (arguments, wanted) in commands {
        let said = ctl.ask(arguments)?;
        match wanted {
            Some(part) => ensure!(
                said.status == 0 && said.output.contains(part),
                "{arguments:?}: not {part:?} but {said:?}"
            ),
            None => ensure!(said.status == 1, "{arguments:?} did not fail: {said:?}"),
        }
        noted.push(format!(
            "{}\nexit {}\n{}{}",
            arguments.join(" "),
            said.status,
            said.output,
            stable(&said.error)
        ));
    }
    Ok(())
}

/// What a tool said on standard error, without what differs from run to run:
/// its log lines start with the time of day and a running number, and which of
/// two rows with one name the server calls the first is a matter of hashing.
fn stable(error: &str) -> String {
    error
        .lines()
        .filter(|line| !line.contains("|WARN|"))
        .map(|line| match line.split_once("  First row, with UUID") {
            Some((start, _)) => format!("{start} ...\n"),
            None => format!("{line}\n"),
        })
        .collect()
}
