//! The commands `cluster/...` of a control socket (ovsdb-server(1), "Cluster Commands").
//!
//! A server that has no member of any cluster does not know them, as the reference.

use std::collections::BTreeMap;
use std::sync::Arc;

use ovsdb_cluster::operator::orders::{self, Answer};
use ovsdb_cluster::operator::{Member, Refusal};
use parking_lot::Mutex;

use crate::control::{self, Commands};

/// The members that live in this process and that one control socket speaks of, by database.
#[derive(Default)]
pub struct Members(Mutex<State>);

#[derive(Default)]
struct State {
    members: BTreeMap<String, Arc<dyn Member>>,
    /// There is a member, or was one.
    clustered: bool,
}

impl Members {
    /// Adds a database's member, or replaces it.
    pub fn add(&self, database: &str, member: Arc<dyn Member>) {
        let mut state = self.0.lock();
        state.members.insert(database.to_owned(), member);
        state.clustered = true;
    }

    /// Forgets a database's member: it is no cluster's any more.
    pub fn remove(&self, database: &str) {
        self.0.lock().members.remove(database);
    }

    /// A database's member, if it is clustered.
    pub fn get(&self, database: &str) -> Option<Arc<dyn Member>> {
        self.0.lock().members.get(database).cloned()
    }

    fn all(&self) -> Vec<Arc<dyn Member>> {
        self.0.lock().members.values().cloned().collect()
    }

    fn is_clustered(&self) -> bool {
        self.0.lock().clustered
    }
}

/// A command for one database's member, with the arguments behind the database's name.
type Order = fn(&dyn Member, &[String]) -> Answer;

/// Name, usage, and how many arguments with the database's name.
const ORDERS: [(&str, &str, usize, Order); 7] = [
    ("cluster/cid", "DB", 1, |member, _| {
        orders::cluster_id(member)
    }),
    ("cluster/sid", "DB", 1, |member, _| {
        orders::server_id(member)
    }),
    ("cluster/status", "DB", 1, |member, _| {
        orders::status(member)
    }),
    ("cluster/leave", "DB", 1, |member, _| orders::leave(member)),
    ("cluster/kick", "DB SERVER", 2, |member, rest| {
        orders::kick(member, argument(rest, 0))
    }),
    (
        "cluster/change-election-timer",
        "DB TIME",
        2,
        |member, rest| orders::change_election_timer(member, argument(rest, 0)),
    ),
    (
        "cluster/set-backlog-threshold",
        "DB N_MSGS N_BYTES",
        3,
        |member, rest| orders::set_backlog_threshold(member, argument(rest, 0), argument(rest, 1)),
    ),
];

/// The socket has counted them already.
fn argument(arguments: &[String], place: usize) -> &str {
    arguments.get(place).map_or("", String::as_str)
}

/// Adds the commands.
pub fn register(commands: &mut Commands, members: &Arc<Members>) {
    for (name, usage, count, order) in ORDERS {
        let members = Arc::clone(members);
        add(
            commands,
            &Arc::clone(&members),
            name,
            usage,
            count,
            move |args| {
                let member = members.get(argument(args, 0));
                let member = member.ok_or_else(|| Refusal("unknown cluster".to_owned()))?;
                let answer = order(&*member, args.get(1..).unwrap_or_default())?;
                if !is_question(name) {
                    tracing::info!("{name} {}: {answer}", args.join(" "));
                }
                Ok(answer)
            },
        );
    }
    let all = Arc::clone(members);
    let name = "cluster/failure-test";
    add(
        commands,
        members,
        name,
        "FAILURE SCENARIO",
        1,
        move |args| {
            let test = argument(args, 0);
            tracing::warn!("{name} {test}");
            let all = all.all();
            orders::failure_test(all.iter().map(|member| &**member), test)
        },
    );
}

/// Whether a command changes nothing, so that nobody needs to read of it in the log.
fn is_question(name: &str) -> bool {
    ["cluster/cid", "cluster/sid", "cluster/status"].contains(&name)
}

fn add(
    commands: &mut Commands,
    members: &Arc<Members>,
    name: &str,
    usage: &str,
    count: usize,
    execute: impl Fn(&[String]) -> Answer + Send + Sync + 'static,
) {
    commands.register(name, Some(usage), count, count, move |args| {
        let answer: control::Answer = execute(&args).map_err(|refusal| refusal.to_string());
        std::future::ready(answer)
    });
    let members = Arc::clone(members);
    commands.offer_while(name, Arc::new(move || members.is_clustered()));
}

#[cfg(test)]
mod tests {
    use ovsdb::json::Document;
    use ovsdb_cluster::entry::ServerId;
    use ovsdb_cluster::failure_test::FailureTest;
    use ovsdb_cluster::status::{LogStatus, MemberStatus, Phase, Role, ServerStatus, Standing};
    use uuid::Uuid;

    use super::*;

    /// Notes what it is told.
    #[derive(Default)]
    struct Fake(Mutex<Vec<String>>);

    impl Fake {
        fn note(&self, text: String) -> Result<(), Refusal> {
            self.0.lock().push(text);
            Ok(())
        }
    }

    impl Member for Fake {
        fn status(&self) -> MemberStatus {
            let server = |n: u128| ServerStatus {
                id: Uuid::from_u128(n << 112),
                address: format!("tcp:10.0.0.{n}:6647"),
                phase: Phase::Stable,
                vote: None,
                progress: None,
                last_message: None,
            };
            MemberStatus {
                name: "d".to_owned(),
                cluster_id: Some(Uuid::from_u128(0xc << 112)),
                server_id: server(1).id,
                address: server(1).address,
                standing: Standing::Member,
                remotes: Vec::new(),
                changes: Vec::new(),
                role: Role::Leader,
                term: 1,
                leader: Some(server(1).id),
                vote: Some(server(1).id),
                election: None,
                election_timer: 1000,
                next_election_timer: None,
                log: LogStatus {
                    first: 2,
                    end: 3,
                    committed: 2,
                    applied: 2,
                },
                connections: Vec::new(),
                disconnections: 0,
                servers: (1..4).map(server).collect(),
                troubles: Vec::new(),
            }
        }

        fn remove(&self, server: ServerId) -> Result<(), Refusal> {
            self.note(format!("remove {server}"))
        }

        fn ask_to_remove(&self, _: ServerId) -> bool {
            false
        }

        fn leave(&self) -> Result<(), Refusal> {
            self.note("leave".to_owned())
        }

        fn change_election_timer(&self, milliseconds: u64) -> Result<(), Refusal> {
            self.note(format!("timer {milliseconds}"))
        }

        fn set_backlog_threshold(&self, messages: usize, bytes: usize) -> Result<(), Refusal> {
            self.note(format!("backlog {messages} {bytes}"))
        }

        fn test_failure(&self, test: Option<FailureTest>) -> Result<(), Refusal> {
            match test {
                Some(FailureTest::DelayElection) => Err(Refusal("not this one".to_owned())),
                test => self.note(format!("{test:?}")),
            }
        }
    }

    /// What a line of words is answered.
    async fn say(commands: &Commands, line: &str) -> Result<String, String> {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let params: Vec<String> = words.map(|word| format!("{word:?}")).collect();
        let params = Document::parse(format!("[{}]", params.join(","))).expect("JSON");
        commands.execute(name, params.root()).await
    }

    #[tokio::test]
    async fn a_server_of_no_cluster_knows_no_such_commands() {
        let members = Arc::new(Members::default());
        let mut commands = Commands::new("");
        register(&mut commands, &members);
        for name in ["cluster/status d", "cluster/failure-test clear"] {
            let unknown = say(&commands, name).await.expect_err(name);
            assert!(unknown.contains("is not a valid command"), "{unknown}");
        }
        let listed = say(&commands, "list-commands").await.expect("a list");
        assert!(!listed.contains("cluster/"), "{listed}");
        members.add("d", Arc::new(Fake::default()));
        let listed = say(&commands, "list-commands").await.expect("a list");
        assert_eq!(listed.matches("  cluster/").count(), 8, "{listed}");
        // It was in a cluster, so that nobody looks for a spelling mistake.
        members.remove("d");
        let gone = say(&commands, "cluster/sid d").await;
        assert_eq!(gone, Err("unknown cluster".to_owned()));
    }

    #[tokio::test]
    async fn each_command_reaches_the_member() {
        let members = Arc::new(Members::default());
        let fake = Arc::new(Fake::default());
        members.add("d", fake.clone());
        let mut commands = Commands::new("");
        register(&mut commands, &members);
        let second = Uuid::from_u128(2 << 112);
        let by_address = "cluster/kick d tcp:[10.0.0.2]:6647";
        for (line, answer, effect) in [
            (
                "cluster/kick d 0002",
                "started removal",
                format!("remove {second}"),
            ),
            (by_address, "started removal", format!("remove {second}")),
            ("cluster/kick d 0001", "", "leave".to_owned()),
            ("cluster/leave d", "", "leave".to_owned()),
            (
                "cluster/change-election-timer d 2000",
                "change of election timer initiated.",
                "timer 2000".to_owned(),
            ),
            (
                "cluster/set-backlog-threshold d 50 7",
                "",
                "backlog 50 7".to_owned(),
            ),
            (
                "cluster/failure-test stop-raft-rpc",
                "test engaged",
                "Some(StopRaftRpc)".to_owned(),
            ),
            (
                "cluster/failure-test clear",
                "test dismissed",
                "None".to_owned(),
            ),
        ] {
            assert_eq!(say(&commands, line).await.as_deref(), Ok(answer), "{line}");
            assert_eq!(fake.0.lock().pop().as_deref(), Some(&*effect), "{line}");
        }
        for (line, answer) in [
            ("cluster/kick d 000", "unknown server"),
            ("cluster/kick e 0001", "unknown cluster"),
            ("cluster/leave e", "unknown cluster"),
            ("cluster/failure-test delay-election", "not this one"),
            (
                "cluster/kick d",
                "\"cluster/kick\" command requires at least 2 arguments",
            ),
        ] {
            assert_eq!(say(&commands, line).await, Err(answer.to_owned()), "{line}");
        }
        assert_eq!(*fake.0.lock(), [""; 0]);
        let status = say(&commands, "cluster/status d").await.expect("a status");
        assert_eq!(status, fake.status().to_string());
    }
}
