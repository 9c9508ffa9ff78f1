//! The labels of the pod that the program runs in, with an API server that can fail in any way.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ovn_ic_db_tests::kubernetes::{ApiServer, Mood};
use tempfile::TempDir;

use crate::program::Program;

const POD: &str = "ovn-ic-server-7c5-x2x";
const BOTH: [Option<bool>; 2] = [Some(true); 2];
const NEITHER: [Option<bool>; 2] = [Some(false); 2];

/// The API server, and the program in its pod.
fn in_pod() -> Result<(TempDir, ApiServer, Program)> {
    let folder = tempfile::tempdir()?;
    let api = ApiServer::start(&folder.path().join("account"))?;
    api.add_pod(POD);
    let variables = api.variables(POD);
    let program = Program::new()?;
    let program = variables
        .iter()
        .fold(program, |program, (name, value)| program.set(name, value));
    Ok((folder, api, program))
}

fn wait_for_labels(
    program: &mut Program,
    api: &ApiServer,
    wanted: [Option<bool>; 2],
) -> Result<()> {
    program.wait(&format!("the labels {wanted:?}"), |_| {
        Ok((api.leads(POD) == wanted).then_some(()))
    })
}

/// Waits for so many more requests that please.
fn wait_for_requests(
    program: &mut Program,
    api: &ApiServer,
    count: usize,
    pleases: impl Fn(&str, u16) -> bool,
) -> Result<()> {
    let before = api.seen().len();
    program.wait("requests", |_| {
        let seen = api.seen();
        let more = seen.iter().skip(before);
        let found = more.filter(|seen| pleases(&seen.method, seen.code)).count();
        Ok((found >= count).then_some(()))
    })
}

fn patches(api: &ApiServer) -> usize {
    let seen = api.seen();
    seen.iter().filter(|seen| seen.method == "PATCH").count()
}

#[test]
fn a_server_alone_leads_both_until_it_stops() -> Result<()> {
    let (_folder, api, mut program) = in_pod()?;
    program.start()?;
    wait_for_labels(&mut program, &api, BOTH)?;
    // It looks, and writes nothing while nothing changes.
    let written = patches(&api);
    wait_for_requests(&mut program, &api, 2, |method, _| method == "GET")?;
    ensure!(patches(&api) == written, "{:?}", api.seen());
    // What somebody else does to the labels is undone; other labels are not its business.
    api.edit(POD, |labels| {
        labels.remove("ovn-ic-nb-leader");
        labels.insert("app".to_owned(), "ovn-ic-server".to_owned());
    });
    wait_for_labels(&mut program, &api, BOTH)?;
    api.edit(POD, |labels| {
        labels.insert("ovn-ic-sb-leader".to_owned(), "false".to_owned());
    });
    wait_for_labels(&mut program, &api, BOTH)?;
    program.stop()?;
    ensure!(api.leads(POD) == NEITHER, "{:?}", api.leads(POD));
    api.edit(POD, |labels| assert_eq!(labels["app"], "ovn-ic-server"));
    ensure!(api.complaints().is_empty(), "{:?}", api.complaints());
    Ok(())
}

#[test]
fn failures_of_the_api_are_said_once_and_outlived() -> Result<()> {
    let (_folder, api, mut program) = in_pod()?;
    program.start()?;
    wait_for_labels(&mut program, &api, BOTH)?;
    let moods = [403, 404, 409, 429, 500, 503].map(Mood::Refuses);
    let moods = moods
        .into_iter()
        .chain([Mood::Closes, Mood::Babbles, Mood::Ignores]);
    for mood in moods {
        let said = program.said().len();
        api.edit(POD, |labels| labels.clear());
        api.set_mood(mood);
        wait_for_requests(&mut program, &api, 3, |_, _| true)?;
        program.ctl("nb", &["--may-exist", "ts-add", "x"])?;
        api.edit(POD, |labels| labels.clear());
        api.set_mood(Mood::Well);
        wait_for_labels(&mut program, &api, BOTH)?;
        let all = program.said();
        let told = all[said..].matches("cannot be kept").count();
        ensure!(told == 1, "{mood:?}: said {told} times: {}", &all[said..]);
        if let Mood::Refuses(code) = mood {
            ensure!(all[said..].contains(&format!("answers {code} ")), "{all}");
        }
    }
    // One that the program has to give up waiting for.
    api.set_mood(Mood::Hangs);
    wait_for_requests(&mut program, &api, 1, |_, code| code == 0)?;
    program.wait("the end of its patience", |program| {
        let said = program.said();
        Ok(said.contains("does not answer within").then_some(()))
    })?;
    api.edit(POD, |labels| labels.clear());
    api.set_mood(Mood::Well);
    wait_for_labels(&mut program, &api, BOTH)?;
    ensure!(api.complaints().is_empty(), "{:?}", api.complaints());
    program.stop()
}

#[test]
fn an_api_that_is_away_for_a_while_and_a_token_that_is_replaced() -> Result<()> {
    let (_folder, mut api, mut program) = in_pod()?;
    api.end();
    program.start()?;
    program.wait("the complaint", |program| {
        let said = program.said();
        Ok(said.contains("cannot be kept").then_some(()))
    })?;
    program.ctl("sb", &["show"])?;
    api.start_again()?;
    wait_for_labels(&mut program, &api, BOTH)?;

    api.rotate("second")?;
    wait_for_requests(&mut program, &api, 1, |_, code| code == 200)?;
    api.edit(POD, |labels| labels.clear());
    wait_for_labels(&mut program, &api, BOTH)?;
    program.stop()?;
    ensure!(api.leads(POD) == NEITHER);
    ensure!(api.complaints().is_empty(), "{:?}", api.complaints());
    Ok(())
}

#[test]
fn an_api_that_hangs_holds_the_end_up_for_a_moment_only() -> Result<()> {
    let (_folder, api, mut program) = in_pod()?;
    program.start()?;
    wait_for_labels(&mut program, &api, BOTH)?;
    api.set_mood(Mood::Hangs);
    let begun = Instant::now();
    program.stop()?;
    let took = begun.elapsed();
    ensure!(took < Duration::from_secs(4), "stopped after {took:?}");
    ensure!(program.said().contains("no time was left"));
    ensure!(program.run_folder()?.is_empty(), "the databases are closed");
    Ok(())
}

#[test]
fn variables_without_a_service_account_are_a_warning() -> Result<()> {
    let mut outside = Program::new()?.set("POD_NAME", POD);
    outside.start()?;
    ensure!(
        outside
            .said()
            .contains("KUBERNETES_SERVICE_HOST is not set")
    );
    outside.stop()?;
    let mut without = Program::new()?
        .set("POD_NAME", POD)
        .set("POD_NAMESPACE", "kube-system")
        .set("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        .set("OVN_IC_DB_SERVICE_ACCOUNT", "/nowhere");
    without.start()?;
    ensure!(without.said().contains("/nowhere: no such folder"));
    without.stop()?;
    let (code, said) = Program::new()?.set("POD_NAME", "../x").fails()?;
    ensure!(
        code == 2 && said.contains("POD_NAME=../x"),
        "{code}: {said}"
    );
    Ok(())
}
