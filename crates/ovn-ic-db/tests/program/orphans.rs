//! As the first process of a container it waits for processes that have lost their parent.

use std::fs;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::process::{require, wait_for};

use crate::program::{DEADLINE, Program};

/// A process's children, with their names and states.
fn children(parent: u32) -> Result<Vec<(u32, String, char)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may have gone meanwhile.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        let (name, rest) = stat.rsplit_once(") ").context("a name")?;
        let name = name.split_once('(').context("a name")?.1;
        let mut rest = rest.split(' ');
        let state = rest.next().and_then(|state| state.chars().next());
        if rest.next().context("a parent")? == parent.to_string() {
            found.push((pid, name.to_owned(), state.context("a state")?));
        }
    }
    Ok(found)
}

#[test]
fn nothing_is_left_of_processes_without_a_parent() -> Result<()> {
    // `in_script` makes a process in between, which the first of the container is a child of.
    let script = r#"exec unshare --pid --fork --kill-child "$0" "$@""#;
    let mut program = Program::new()?.in_script(script)?;
    program.start()?;
    let outer = program.pid().context("it runs")?;
    let first = first_of(outer)?;
    // As `docker exec` with a shell that goes before what it has started.
    let shell: Child = Command::new(require("nsenter", "util-linux")?)
        .args(["--target", &first.to_string(), "--pid"])
        .args(["sh", "-c", "sleep 2 & sleep 2 & exit 0"])
        .stdin(Stdio::null())
        .spawn()?;
    let ended = shell.wait_with_output()?;
    ensure!(ended.status.success(), "{ended:?}");
    wait_for("the orphans to be its own", DEADLINE, || {
        let sleeping = children(first)?;
        let sleeping = sleeping
            .iter()
            .filter(|(_, name, state)| name == "sleep" && *state != 'Z');
        Ok((sleeping.count() == 2).then_some(()))
    })?;
    wait_for("their ends to be taken note of", DEADLINE, || {
        Ok(children(first)?.is_empty().then_some(()))
    })?;
    program.ctl("nb", &["show"])?;
    Ok(())
}

/// The process that serves, below the ones that have started it.
fn first_of(outer: u32) -> Result<u32> {
    let mut pid = outer;
    loop {
        match children(pid)?.first() {
            None => return Ok(pid),
            Some((child, _, _)) => pid = *child,
        }
    }
}
