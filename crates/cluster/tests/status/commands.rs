//! What the commands of an operator are answered.

use ovsdb_cluster::entry::ServerId;
use ovsdb_cluster::failure_test::FailureTest;
use ovsdb_cluster::operator::{Member, Refusal, orders};
use ovsdb_cluster::status::MemberStatus;

use super::cluster::{Cluster, IPS};
use super::reference::wait_for;

/// A member whose status is always the same, and to which nothing happens.
struct Fake(MemberStatus);

impl Member for Fake {
    fn status(&self) -> MemberStatus {
        self.0.clone()
    }

    fn remove(&self, _: ServerId) -> Result<(), Refusal> {
        Ok(())
    }

    fn ask_to_remove(&self, _: ServerId) -> bool {
        self.0.leader.is_some()
    }

    fn leave(&self) -> Result<(), Refusal> {
        Ok(())
    }

    fn change_election_timer(&self, _: u64) -> Result<(), Refusal> {
        Ok(())
    }

    fn set_backlog_threshold(&self, _: usize, _: usize) -> Result<(), Refusal> {
        Ok(())
    }

    fn test_failure(&self, _: Option<FailureTest>) -> Result<(), Refusal> {
        Ok(())
    }
}

impl Fake {
    fn says(&self, command: &str, arguments: &[&str]) -> String {
        let answer = match (command, arguments) {
            ("cid", []) => orders::cluster_id(self),
            ("sid", []) => orders::server_id(self),
            ("leave", []) => orders::leave(self),
            ("kick", [server]) => orders::kick(self, server),
            ("change-election-timer", [timer]) => orders::change_election_timer(self, timer),
            ("set-backlog-threshold", [messages, bytes]) => {
                orders::set_backlog_threshold(self, messages, bytes)
            }
            other => panic!("{other:?}"),
        };
        answer.unwrap_or_else(|refusal| refusal.to_string())
    }
}

/// Ours and theirs are asked the same, in the same state.
fn compare(cluster: &Cluster, member: usize, commands: &[(&str, &[&str])]) {
    for (command, arguments) in commands {
        let fake = Fake(cluster.status(member));
        let name = format!("cluster/{command}");
        let all = [&[&*name, "Parts"], *arguments].concat();
        let theirs = cluster.says(member, &all);
        assert_eq!(fake.says(command, arguments), theirs, "{all:?}");
    }
}

#[test]
fn commands_are_answered_in_the_same_words() {
    let cluster = Cluster::start(&IPS);
    let leader = cluster.members.leader();
    let follower = (leader + 1) % 3;
    cluster.settle();
    let anywhere: &[(&str, &[&str])] = &[
        ("cid", &[]),
        ("sid", &[]),
        ("kick", &[""]),
        ("kick", &["zzzz"]),
        ("kick", &["tcp:1.2.3.4:5"]),
        ("kick", &["00000000-0000-4000-8000-000000000000"]),
        ("change-election-timer", &["1000"]),
        ("change-election-timer", &["99"]),
        ("change-election-timer", &["2001"]),
        ("change-election-timer", &["600001"]),
        ("change-election-timer", &["-1"]),
        ("change-election-timer", &["soon"]),
        ("change-election-timer", &[" +1000ms"]),
        ("set-backlog-threshold", &["49", "0"]),
        ("set-backlog-threshold", &["50", "0"]),
        ("set-backlog-threshold", &["18446744073709551616", "0"]),
        ("set-backlog-threshold", &["many", "0"]),
        ("set-backlog-threshold", &["60", "0x10"]),
    ];
    compare(&cluster, leader, anywhere);
    compare(&cluster, follower, anywhere);
    compare(&cluster, leader, &[("change-election-timer", &["1999"])]);
    for test in FailureTest::ALL {
        let command = ["cluster/failure-test", test.name()];
        // Dismissed at once: the process must not end.
        if test.name().starts_with("crash") {
            assert_eq!(cluster.says(leader, &command), "test engaged");
            let clear = ["cluster/failure-test", "clear"];
            assert_eq!(cluster.says(leader, &clear), "test dismissed");
        }
    }
    let nobody = || std::iter::empty::<&dyn Member>();
    for name in ["clear", "crash", ""] {
        let ours = orders::failure_test(nobody(), name);
        let ours = ours.unwrap_or_else(|refusal| refusal.to_string());
        let theirs = cluster.says(leader, &["cluster/failure-test", name]);
        assert_eq!(ours, theirs, "{name}");
    }
    // The follower asks the leader to remove the third; the leader leaves the rest to it.
    let third = cluster
        .members
        .id((leader + 2) % 3, "cluster/sid")
        .to_string();
    compare(&cluster, follower, &[("kick", &[&third])]);
    let two = cluster.wait("two members", leader, |status| status.servers.len() == 2);
    compare(
        &cluster,
        leader,
        &[("kick", &[&two.address]), ("leave", &[])],
    );
    let left = wait_for("one member", || {
        let status = cluster
            .members
            .control(leader, &["cluster/status", "Parts"]);
        status.err()
    });
    assert!(left.starts_with("unknown cluster"), "{left}");
    cluster.wait("one member", follower, |status| status.servers.len() == 1);
    // The reference would leave, and wait for ever.
    let last = Fake(cluster.status(follower));
    let why = "the only member of a cluster can't leave it";
    assert_eq!(last.says("leave", &[]), why);
    assert_eq!(last.says("kick", &["zzzz"]), "unknown server");
}
