//! The commands of the control socket that only a server of any databases has (ovsdb-server(1),
//! "Runtime Management Commands").

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ovsdb_server::control::{Answer, Commands};

use super::configurator::Configurator;
use crate::control_commands::{Subject, change_remotes};
use crate::remote_keeper::RemoteKeeper;

/// Who is asked; nobody until the server has begun.
pub type Asked = Arc<OnceLock<Arc<Configurator>>>;

/// What can be asked without a change.
type Question = fn(&Configurator) -> String;

/// A change of a remote by its name.
type RemoteChange = fn(&RemoteKeeper, &str) -> Result<(), String>;

fn configurator(asked: &Asked) -> Result<Arc<Configurator>, String> {
    asked
        .get()
        .cloned()
        .ok_or_else(|| "the server is starting".to_owned())
}

fn first(args: &[String]) -> &str {
    args.first().map_or("", String::as_str)
}

/// Adds them. `data_with_conversion`: the option that its command takes back was given.
pub fn register(
    commands: &mut Commands,
    subject: &Arc<Subject>,
    asked: &Asked,
    data_with_conversion: bool,
) {
    if data_with_conversion {
        // A cluster's conversions have the data with them either way: every version reads that.
        let name = "ovsdb/file/no-data-conversion-enable";
        commands.register(name, Some(""), 0, 0, |_| {
            std::future::ready(Ok(String::new()))
        });
    }
    let of = asked.clone();
    commands.register("ovsdb-server/add-db", Some("DB"), 1, 1, move |args| {
        let of = of.clone();
        async move {
            configurator(&of)?.add_database(first(&args)).await?;
            Ok(String::new())
        }
    });
    let of = asked.clone();
    commands.register("ovsdb-server/remove-db", Some("DB"), 1, 1, move |args| {
        let of = of.clone();
        async move {
            configurator(&of)?.remove_database(first(&args)).await?;
            Ok(String::new())
        }
    });
    let of = asked.clone();
    commands.register("ovsdb-server/reload", Some(""), 0, 0, move |_| {
        let of = of.clone();
        async move {
            configurator(&of)?.reload().await?;
            Ok(String::new())
        }
    });
    let changes: [(&str, RemoteChange); 2] = [
        ("ovsdb-server/add-remote", RemoteKeeper::add),
        ("ovsdb-server/remove-remote", RemoteKeeper::remove),
    ];
    for (name, change) in changes {
        let (of, subject) = (asked.clone(), Arc::clone(subject));
        commands.register(name, Some("REMOTE"), 1, 1, move |args| {
            let (of, subject) = (of.clone(), Arc::clone(&subject));
            async move {
                let configurator = configurator(&of)?;
                configurator.check_commands()?;
                let answer = change_remotes(subject, args, change).await?;
                configurator.save_now().await;
                Ok(answer)
            }
        });
    }
    register_standbys(commands, asked);
}

/// Adds those about active and backup databases.
fn register_standbys(commands: &mut Commands, asked: &Asked) {
    let mut changing =
        |name: &str, most: usize, least: usize, change: fn(&Configurator, &[String]) -> Answer| {
            let of = asked.clone();
            commands.register(name, Some(""), least, most, move |args| {
                let of = of.clone();
                async move {
                    let configurator = configurator(&of)?;
                    configurator.check_commands()?;
                    let answer = change(&configurator, &args)?;
                    configurator.save_now().await;
                    Ok(answer)
                }
            });
        };
    changing(
        "ovsdb-server/set-active-ovsdb-server",
        1,
        1,
        |configurator, args| {
            let standbys = &configurator.opener().standbys;
            standbys.set_active_server(first(args));
            Ok(String::new())
        },
    );
    changing(
        "ovsdb-server/connect-active-ovsdb-server",
        0,
        0,
        |configurator, _| Ok(configurator.opener().standbys.connect()),
    );
    changing(
        "ovsdb-server/disconnect-active-ovsdb-server",
        0,
        0,
        |configurator, _| {
            configurator.opener().standbys.disconnect();
            Ok(String::new())
        },
    );
    changing(
        "ovsdb-server/set-sync-exclude-tables",
        1,
        0,
        |configurator, args| {
            let standbys = &configurator.opener().standbys;
            standbys.set_excluded_tables(first(args));
            Ok(String::new())
        },
    );
    changing(
        "ovsdb-server/set-active-ovsdb-server-probe-interval",
        1,
        1,
        |configurator, args| {
            let interval = interval(first(args))?;
            let standbys = &configurator.opener().standbys;
            standbys.set_probe_interval(interval);
            Ok(String::new())
        },
    );
    let of = asked.clone();
    let name = "ovsdb-server/set-relay-source-probe-interval";
    commands.register(name, Some(""), 1, 1, move |args| {
        let of = of.clone();
        async move {
            let configurator = configurator(&of)?;
            configurator.check_commands()?;
            let interval = interval(first(&args))?;
            let set = |source: &mut ovsdb_server::configuration::Upstream| {
                source.options.probe_interval = interval;
            };
            configurator.set_relay_sources(set).await;
            Ok(String::new())
        }
    });
    let questions: [(&str, Question); 3] = [
        ("ovsdb-server/get-active-ovsdb-server", |configurator| {
            let active = configurator.opener().standbys.active_server();
            active.unwrap_or_default()
        }),
        ("ovsdb-server/get-sync-exclude-tables", |configurator| {
            let excluded = configurator.opener().standbys.excluded_tables();
            excluded.unwrap_or_default()
        }),
        ("ovsdb-server/sync-status", |configurator| {
            configurator.opener().standbys.sync_status()
        }),
    ];
    for (name, question) in questions {
        let of = asked.clone();
        commands.register(name, Some(""), 0, 0, move |_| {
            std::future::ready(configurator(&of).map(|configurator| question(&configurator)))
        });
    }
}

fn interval(text: &str) -> Result<Option<Duration>, String> {
    let milliseconds: i32 = text
        .parse()
        .map_err(|_| "Invalid probe interval, integer value expected".to_owned())?;
    let milliseconds = u64::try_from(milliseconds).unwrap_or(0);
    Ok((milliseconds > 0).then(|| Duration::from_millis(milliseconds.max(1000))))
}
