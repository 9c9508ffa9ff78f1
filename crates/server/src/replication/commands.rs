//! The control socket's commands about active and backup databases (ovsdb-server(1), "Active-Backup
//! Commands").

use std::sync::Arc;
use std::time::Duration;

use super::ActiveBackup;
use crate::control::{Answer, Commands};

/// The shortest interval of probes that is not none.
const MIN_PROBE: Duration = Duration::from_secs(1);

/// What the commands have to know of the rest of the server.
#[derive(Clone)]
pub struct Surroundings {
    /// Why commands may not change anything, if so: a file says what is.
    pub refusal: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    /// Called after each change that would have to be remembered.
    pub changed: Arc<dyn Fn() + Send + Sync>,
}

impl Default for Surroundings {
    fn default() -> Surroundings {
        Surroundings {
            refusal: Arc::new(|| None),
            changed: Arc::new(|| {}),
        }
    }
}

type Order = fn(&ActiveBackup, &[String]) -> Answer;

/// Name, fewest and most arguments, what it does; the last three only tell.
const ORDERS: [(&str, usize, usize, Order); 8] = [
    ("set-active-ovsdb-server", 1, 1, |all, args| {
        all.set_active_server(argument(args));
        Ok(String::new())
    }),
    ("connect-active-ovsdb-server", 0, 0, |all, _| {
        Ok(all.connect())
    }),
    ("disconnect-active-ovsdb-server", 0, 0, |all, _| {
        all.disconnect();
        Ok(String::new())
    }),
    (
        "set-active-ovsdb-server-probe-interval",
        1,
        1,
        |all, args| {
            all.set_probe_interval(parse_interval(argument(args))?);
            Ok(String::new())
        },
    ),
    // Without an argument nothing is left out; the reference does not survive that.
    ("set-sync-exclude-tables", 0, 1, |all, args| {
        all.set_excluded_tables(argument(args));
        Ok(String::new())
    }),
    ("get-active-ovsdb-server", 0, 0, |all, _| {
        Ok(all.active_server().unwrap_or_default())
    }),
    ("get-sync-exclude-tables", 0, 0, |all, _| {
        Ok(all.excluded_tables().unwrap_or_default())
    }),
    ("sync-status", 0, 0, |all, _| Ok(all.sync_status())),
];

/// Adds the commands, `ovsdb-server/...`.
pub fn register(commands: &mut Commands, all: &Arc<ActiveBackup>, surroundings: &Surroundings) {
    for (name, fewest, most, order) in ORDERS {
        let changes = !(name.starts_with("get-") || name == "sync-status");
        let (all, surroundings) = (Arc::clone(all), surroundings.clone());
        let full_name = format!("ovsdb-server/{name}");
        commands.register(&full_name, Some(""), fewest, most, move |args| {
            let (all, surroundings) = (Arc::clone(&all), surroundings.clone());
            async move {
                if changes && let Some(refusal) = (surroundings.refusal)() {
                    return Err(refusal);
                }
                // It may have to wait for a database's writer.
                let executed = tokio::task::spawn_blocking(move || order(&all, &args)).await;
                let answer = executed.unwrap_or_else(|error| Err(error.to_string()));
                if changes && answer.is_ok() {
                    (surroundings.changed)();
                }
                answer
            }
        });
    }
}

fn argument(args: &[String]) -> &str {
    args.first().map_or("", String::as_str)
}

/// An interval of probes in milliseconds, as commands have it; none for 0, which turns them off.
///
/// # Errors
/// The reference's words.
pub fn parse_interval(text: &str) -> Result<Option<Duration>, String> {
    let interval: i32 = text
        .parse()
        .map_err(|_| "Invalid probe interval, integer value expected".to_owned())?;
    let interval = Duration::from_millis(u64::try_from(interval).unwrap_or(0));
    Ok((!interval.is_zero()).then(|| interval.max(MIN_PROBE)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Service;
    use crate::upstream::Remotes;
    use ovsdb::json::Document;
    use std::path::Path;

    async fn say(commands: &Commands, line: &str) -> Answer {
        let mut words = line.split(' ');
        let name = format!("ovsdb-server/{}", words.next().unwrap_or_default());
        let args: Vec<String> = words.map(|word| format!("\"{word}\"")).collect();
        let params = Document::parse(format!("[{}]", args.join(","))).expect("JSON");
        commands.execute(&name, params.root()).await
    }

    #[tokio::test]
    async fn commands_answer_in_the_references_words() {
        let service = Service::new().expect("service");
        let parse = |text: &str| Remotes::parse(text, Path::new("/"));
        let all = ActiveBackup::new(service, true, parse);
        let mut commands = Commands::new("");
        register(&mut commands, &all, &Surroundings::default());
        for (line, answer) in [
            ("sync-status", Ok("state: active\n")),
            ("get-active-ovsdb-server", Ok("")),
            (
                "connect-active-ovsdb-server",
                Ok("Unable to connect: active server is not specified.\n"),
            ),
            ("set-active-ovsdb-server tcp:127.0.0.1:1", Ok("")),
            ("get-active-ovsdb-server", Ok("tcp:127.0.0.1:1")),
            ("connect-active-ovsdb-server", Ok("")),
            ("set-sync-exclude-tables a:b,c", Ok("")),
            ("get-sync-exclude-tables", Ok("a:b,c")),
            ("set-sync-exclude-tables", Ok("")),
            ("get-sync-exclude-tables", Ok("")),
            ("set-active-ovsdb-server-probe-interval 5000", Ok("")),
            (
                "set-active-ovsdb-server-probe-interval x",
                Err("Invalid probe interval, integer value expected"),
            ),
            ("disconnect-active-ovsdb-server", Ok("")),
        ] {
            let answer = answer.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(say(&commands, line).await, answer, "{line}");
        }
        let fixed = Surroundings {
            refusal: Arc::new(|| Some("no".to_owned())),
            ..Surroundings::default()
        };
        register(&mut commands, &all, &fixed);
        let refused = say(&commands, "disconnect-active-ovsdb-server").await;
        assert_eq!(refused, Err("no".to_owned()));
        assert!(say(&commands, "sync-status").await.is_ok());
    }

    #[test]
    fn intervals_are_milliseconds() {
        let ms = Duration::from_millis;
        for (text, interval) in [("0", None), ("5", Some(ms(1000))), ("7000", Some(ms(7000)))] {
            assert_eq!(parse_interval(text), Ok(interval));
        }
    }
}
