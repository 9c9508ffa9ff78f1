//! `ovn-ic-db compact`: asks this machine's servers to compact, over their control sockets.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use ovsdb_cluster::address::Address;
use ovsdb_server::report::{self, DatabaseReport};

use crate::client::{CallError, Client, quoted};
use crate::command_line::{CompactFlags, Only};
use crate::folders::Folders;
use crate::process;
use crate::progress::Progress;
use crate::schemas::Side;
use crate::settings::Settings;

/// The whole command, from its flags to its exit status: 0 if all have done it.
pub fn main(flags: &CompactFlags) -> ExitCode {
    let environment = |name: &str| std::env::var_os(name);
    let named = Settings::run_folder(&flags.run_dir, &environment);
    let folder = Folders::look_for_run(named, &environment);
    let limit = Duration::from_secs(flags.timeout);
    let sides = Only::sides(flags.only);
    let outcome = process::block_on(async move {
        let mut status = ExitCode::SUCCESS;
        for side in sides {
            match compact(&folder, side, limit).await {
                Ok(line) => process::print(&line),
                Err(error) => {
                    status = ExitCode::FAILURE;
                    process::fail(&format!("{}: {error}", side.database()), status)
                }
            };
        }
        status
    });
    match outcome {
        Ok(status) => status,
        Err(error) => process::fail(&error.to_string(), ExitCode::FAILURE),
    }
}

async fn compact(folder: &Path, side: Side, limit: Duration) -> Result<String, String> {
    let socket = folder.join(Folders::control_name(side));
    let about = |error: CallError| format!("{}: {error}", socket.display());
    let before = size(folder, side).await;
    let control = Address::Unix(socket.to_string_lossy().into_owned());
    let mut client = Client::connect(&control)
        .await
        .map_err(|error| about(error.into()))?;
    let params = format!("[{}]", quoted(side.database()));
    let progress = Progress::wait(format!("{} is compacted", side.database()));
    let call = client.call("ovsdb-server/compact", &params);
    let answered = tokio::time::timeout(limit, call).await;
    progress.end();
    answered
        .map_err(|_| {
            format!(
                "{}: no answer within {} s",
                socket.display(),
                limit.as_secs()
            )
        })?
        .map_err(about)?;
    let sizes = match (before, size(folder, side).await) {
        (Some(before), Some(after)) => format!("from {before} to {after} bytes"),
        // Servers of other kinds do not say it.
        _ => "done".to_owned(),
    };
    Ok(format!("{}: {sizes}\n", side.database()))
}

/// The file's size, if the server says it.
async fn size(folder: &Path, side: Side) -> Option<u64> {
    let socket = folder.join(Folders::socket_name(side));
    let remote = Address::Unix(socket.to_string_lossy().into_owned());
    let ask = async {
        let mut client = Client::connect(&remote).await.ok()?;
        let params = format!("[{}]", quoted(side.database()));
        client.call(report::METHOD, &params).await.ok()
    };
    let answer = tokio::time::timeout(Duration::from_secs(5), ask).await;
    let report: DatabaseReport = serde_json::from_slice(&answer.ok()??).ok()?;
    Some(report.file?.size)
}
