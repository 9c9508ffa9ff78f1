//! From what a server says of its two databases to one line.

use crate::status_command::{ServerLine, Summary};

/// What is said and meant.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Nothing is wrong.
    pub well: bool,
    /// Why, without a line's end.
    pub line: String,
}

impl Verdict {
    /// Judges the databases of one server. `alive` asks only whether it answers: a server that
    /// waits for the others of its cluster is not helped by being started anew.
    pub fn of(databases: Vec<Summary>, alive: bool) -> Verdict {
        let judged = databases.iter().map(|database| {
            let server = database.servers.first();
            let well = match alive {
                true => server.is_some_and(answered),
                false => database.served && server.is_some_and(|server| server.well),
            };
            (well, format!("{} {}", database.database, words(database)))
        });
        let judged: Vec<(bool, String)> = judged.collect();
        let well = judged.iter().all(|(well, _)| *well);
        let lines: Vec<String> = judged.into_iter().map(|(_, line)| line).collect();
        let begin = match well {
            true => "well",
            false => "not well",
        };
        // A line stays one, whatever a server has answered.
        let line = format!("{begin}: {}", lines.join("; ")).replace(['\n', '\r'], " ");
        Verdict { well, line }
    }
}

/// Of one that does not answer nothing is known but why.
fn answered(server: &ServerLine) -> bool {
    !server.role.is_empty()
}

fn words(database: &Summary) -> String {
    let Some(server) = database.servers.first() else {
        return "has no server".to_owned();
    };
    let (role, state) = (server.role.as_str(), &server.state);
    if !answered(server) {
        return format!("does not answer: {state}");
    }
    match (database.served, server.well, role) {
        (true, true, "standalone") => "is served".to_owned(),
        (true, true, "leader") => "is served, and led here".to_owned(),
        (true, true, _) => "is served, and led elsewhere".to_owned(),
        (true, false, _) => state.clone(),
        (false, _, "standalone") => "is being loaded".to_owned(),
        (false, _, _) => format!("knows no leader ({state})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(name: &str, served: bool, role: &str, state: &str) -> Summary {
        let server = ServerLine {
            role: role.to_owned(),
            state: state.to_owned(),
            well: served,
            ..ServerLine::default()
        };
        Summary {
            database: name.to_owned(),
            served,
            servers: vec![server],
            ..Summary::default()
        }
    }

    fn judge(first: Summary, second: Summary, alive: bool) -> (bool, String) {
        let verdict = Verdict::of(vec![first, second], alive);
        (verdict.well, verdict.line)
    }

    #[test]
    fn both_databases_count() {
        let alone = || database("N", true, "standalone", "serves");
        let said = judge(alone(), database("S", true, "leader", "x"), false);
        let line = "well: N is served; S is served, and led here";
        assert_eq!(said, (true, line.to_owned()));
        let said = judge(
            alone(),
            database("S", false, "", "Connection\nrefused"),
            false,
        );
        let line = "not well: N is served; S does not answer: Connection refused";
        assert_eq!(said, (false, line.to_owned()));
        assert!(!judge(database("S", false, "", "gone"), alone(), true).0);
        let loading = judge(database("S", false, "standalone", "serves"), alone(), false);
        assert_eq!(loading.1, "not well: S is being loaded; N is served");
        let mut full = database("S", true, "standalone", "cannot write its file");
        full.servers[0].well = false;
        let said = judge(alone(), full, false);
        let line = "not well: N is served; S cannot write its file";
        assert_eq!(said, (false, line.to_owned()));
    }

    #[test]
    fn who_only_waits_is_alive() {
        let waits = || database("N", false, "follower", "disconnected");
        let led = || database("S", true, "follower", "x");
        let (well, line) = judge(waits(), led(), false);
        assert!(!well);
        assert_eq!(
            line,
            "not well: N knows no leader (disconnected); S is served, and led elsewhere"
        );
        assert!(judge(waits(), led(), true).0);
    }
}
