//! One node: the guide's command by Docker and by containerd, and one without any privilege.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::container::containerd::Containerd;
use ovn_ic_db_tests::container::docker::{PATIENCE, docker, privileged};
use ovn_ic_db_tests::container::{Container, Sandbox};
use ovn_ic_db_tests::http::get;
use ovn_ic_db_tests::process::wait_for;
use ovn_ic_db_tests::world::ctl::Ctl;
use ovn_ic_db_tests::world::interconnect::Side;

/// Where the image answers HTTP.
const HTTP: ([u8; 4], u16) = ([127, 0, 0, 1], 6649);
const HEALTH: [&str; 2] = ["ovn-ic-db", "health"];
/// The most bytes that the image may have, with a program of a test build, which is larger.
const LARGEST: u64 = 110_000_000;

/// What operators type, by the guide and by the deployment's own scripts.
fn check_tools(container: &Container) -> Result<()> {
    let exec = |line: &str| container.exec(&line.split(' ').collect::<Vec<_>>());
    let northbound = exec("ovn-ic-nbctl show")?;
    ensure!(northbound.contains("Transit_Switch ts"), "{northbound}");
    let subnet = exec("ovn-ic-nbctl get Transit_Switch ts external_ids:subnet")?;
    ensure!(subnet.contains("169.254.100.0/24"), "{subnet}");
    exec("ovn-ic-sbctl show")?;
    let dump = exec("ovsdb-client dump unix:/var/run/ovn/ovn_ic_sb_db.sock")?;
    ensure!(dump.contains("Availability_Zone table"), "{dump}");
    let version = exec("ovsdb-tool db-version /etc/ovn/ovn_ic_nb_db.db")?;
    ensure!(version.trim() == "1.4.0", "{version}");
    let version = exec("ovn-appctl -t /var/run/ovn/ovn_ic_nb_db.ctl version")?;
    ensure!(version.contains("ovn-ic-db"), "{version}");
    exec("bash ovn-ic-healthcheck.sh")?;
    exec("/kube-ovn/ovn-ic-healthcheck.sh --alive")?;
    Ok(())
}

/// The clean-up of a zone that is gone, in the steps of the deployment's script.
fn check_clean_up(container: &Container) -> Result<()> {
    let sbctl = |line: &str| {
        let words = ["ovn-ic-sbctl"].into_iter().chain(line.split(' '));
        container.exec(&words.collect::<Vec<_>>())
    };
    let zone = sbctl("create Availability_Zone name=az1")?
        .trim()
        .to_owned();
    let encap = "--id=@e create Encap type=geneve ip=192.0.2.1 gateway_name=gw";
    let gateway =
        format!("create Gateway name=gw availability_zone={zone} hostname=node1 encaps=@e");
    sbctl(&format!("{encap} -- {gateway}"))?;
    let find = "--format=csv --data=bare --no-heading --columns=_uuid find";
    let found = sbctl(&format!("{find} Availability_Zone name=az1"))?;
    ensure!(found.trim() == zone, "{found}");
    for table in ["Gateway", "Route", "Port_Binding"] {
        let rows = sbctl(&format!("{find} {table} availability_zone={zone}"))?;
        for row in rows.split_whitespace() {
            sbctl(&format!("destroy {table} {row}"))?;
        }
    }
    sbctl(&format!("destroy Availability_Zone {zone}"))?;
    let shown = sbctl("show")?;
    ensure!(shown.trim().is_empty(), "{shown}");
    Ok(())
}

/// A container that is stopped ends at once and by itself.
fn check_stop(container: &Container) -> Result<()> {
    let (took, status) = container.stop()?;
    ensure!(status == 0, "status {status}: {}", container.logs()?);
    ensure!(took < Duration::from_secs(2), "stopped after {took:?}");
    Ok(())
}

#[test]
fn the_guides_command() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let place = sandbox.place(0)?;
    let volumes = place.volumes();
    let mut options = vec!["--network=host"];
    options.extend(privileged()?);
    options.extend(volumes.iter().map(String::as_str));
    let command = [&sandbox.images.ours, "bash", "start-ic-db.sh"];
    let container = sandbox.run("ovn-ic-db", &options, &command)?;
    container.wait_for(&HEALTH)?;
    let zones = Ctl::new("ovn-ic-nbctl", "ovn-ic", "tcp:127.0.0.1:6645")?;
    ensure!(zones.run("ts-list")?.contains("(ts)"));
    check_tools(&container)?;
    check_clean_up(&container)?;
    let ready = get(HTTP.into(), "/readyz")?;
    ensure!(ready.status == 200, "{ready:?}");
    let console = container.logs()?;
    for (short, name) in [("nb", "OVN_IC_Northbound"), ("sb", "OVN_IC_Southbound")] {
        ensure!(console.contains(name), "{console}");
        let log = place.log(short)?;
        ensure!(log.contains(name), "{short}: {log}");
    }
    check_stop(&container)?;
    ensure!(
        place
            .names("run")?
            .iter()
            .all(|name| !name.ends_with("pid"))
    );

    let labels = container.inspect("json .Config.Labels")?;
    for label in ["title", "licenses", "version", "revision"] {
        let label = format!("org.opencontainers.image.{label}");
        ensure!(labels.contains(&label), "{labels}");
    }
    ensure!(!labels.contains("unknown"), "{labels}");

    let image = &sandbox.images.ours;
    let size = docker(&["image", "inspect", "--format", "{{.Size}}", image])?;
    let size: u64 = size.trim().parse()?;
    ensure!(size < LARGEST, "the image has {size} bytes");
    Ok(())
}

#[test]
fn the_guides_command_with_containerd() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let containerd = Containerd::with_image(&sandbox)?;
    let place = sandbox.place(0)?;
    let binds = place.binds();
    let log = sandbox.folder().join("console");
    let log_uri = format!("file://{}", log.display());
    let name = sandbox.name("ovn-ic-db");
    let mut line = vec!["run", "--detach", "--net-host", "--privileged"];
    line.extend(["--log-uri", &log_uri]);
    line.extend(binds.iter().map(String::as_str));
    line.extend([containerd.image(), &name, "bash", "start-ic-db.sh"]);
    containerd.ctr(&line)?;
    let exec = |line: &[&str]| {
        let fixed = ["tasks", "exec", "--exec-id", "e", &name];
        containerd.ctr(&[&fixed[..], line].concat())
    };
    let healthy = wait_for("health", PATIENCE, || Ok(exec(&HEALTH).ok()));
    healthy.with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
    let zones = Ctl::new("ovn-ic-nbctl", "ovn-ic", "tcp:127.0.0.1:6645")?;
    ensure!(zones.run("ts-list")?.contains("(ts)"));
    ensure!(exec(&["ovn-ic-nbctl", "show"])?.contains("Transit_Switch ts"));
    containerd.ctr(&["tasks", "kill", &name])?;
    wait_for("the end", PATIENCE, || {
        let tasks = containerd.ctr(&["tasks", "list"])?;
        Ok(tasks.contains("STOPPED").then_some(()))
    })?;
    let console = fs::read_to_string(&log)?;
    ensure!(console.contains("starts as process 1"), "{console}");
    // Who writes the console down may lose its last words; the log file has them.
    let said = place.log("nb")?;
    ensure!(said.trim_end().ends_with("|stopped"), "{said}");
    Ok(())
}

#[test]
fn without_any_privilege() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let place = sandbox.place(0)?;
    place.give_to(65534)?;
    let volumes = place.volumes();
    let mut options = vec!["--network=none", "--cap-drop", "ALL", "--read-only"];
    options.extend(["--user", "65534", "--security-opt", "no-new-privileges"]);
    options.extend(["--health-interval=1s", "--env", "TS_NUM=3"]);
    options.extend(volumes.iter().map(String::as_str));
    let command = [&sandbox.images.ours, "/kube-ovn/start-ic-db.sh"];
    let container = sandbox.run("bare", &options, &command)?;
    wait_for("Docker's word that it is healthy", PATIENCE, || {
        let health = container.inspect(".State.Health.Status")?;
        Ok((health == "healthy").then_some(()))
    })
    .with_context(|| container.logs().unwrap_or_default())?;
    let list = container.exec(&["ovn-ic-nbctl", "ts-list"])?;
    ensure!(list.lines().count() == 3, "{list}");
    check_stop(&container)?;
    ensure!(place.file(Side::Southbound).exists());
    Ok(())
}
