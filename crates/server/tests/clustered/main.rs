//! Clustered databases of several members in one process.

mod status;
mod support;

use std::time::Duration;

use ovsdb_engine::Role;
use support::{Cluster, wait_for};

/// Every member takes writes and shows them, and a new leader goes on where the old one stopped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_members_take_writes_and_survive_a_leader() {
    let mut cluster = Cluster::start(3).await;
    for (n, member) in cluster.members().enumerate() {
        let reply = member.insert(i64::try_from(n).expect("small")).await;
        assert!(reply.contains("uuid"), "{reply}");
        // A client's own write is visible to its own reads at once.
        assert!(member.numbers().contains(&i64::try_from(n).expect("small")));
    }
    wait_for("all rows everywhere", || {
        cluster
            .members()
            .all(|member| member.numbers() == [0, 1, 2])
    })
    .await;
    let leader = cluster.leader().await;
    cluster.stop(leader).await;
    let next = cluster.leader().await;
    let reply = cluster.member(next).insert(3).await;
    assert!(reply.contains("uuid"), "{reply}");
    cluster.restart(leader).await;
    wait_for("the restarted member has all", || {
        cluster.member(leader).numbers() == [0, 1, 2, 3]
    })
    .await;
    let reply = cluster.member(leader).insert(4).await;
    assert!(reply.contains("uuid"), "{reply}");
    cluster.stop_all().await;
}

/// Writes that come in crowds, at leader and follower, are all there once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writes_at_once() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let started = std::time::Instant::now();
    let all: Vec<_> = (0..3000)
        .map(|n| {
            cluster
                .member(usize::try_from(n).expect("small") % 3)
                .submit(n)
        })
        .collect();
    for answer in all {
        let reply = answer.get().await;
        assert!(reply.contains("uuid"), "{reply}");
    }
    let elapsed = started.elapsed();
    assert!(elapsed < Duration::from_secs(30), "{elapsed:?}");
    let expected: Vec<i64> = (0..3000).collect();
    for member in cluster.members() {
        wait_for("all rows", || member.numbers() == expected).await;
    }
    assert!(cluster.member(leader).is_leader());
    cluster.stop_all().await;
}

/// Writes that are under way at every member while the leadership goes from one to another are
/// answered, and all are there once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_is_lost_or_forgotten_while_leaders_change() {
    const ROUNDS: i64 = 20;
    const WRITES: i64 = 60;
    let cluster = Cluster::start(3).await;
    for round in 0..ROUNDS {
        let submit = |from: i64, until: i64| -> Vec<_> {
            (from..until)
                .map(|n| {
                    let member = usize::try_from(n).expect("small") % 3;
                    cluster.member(member).submit(round * WRITES + n)
                })
                .collect()
        };
        let leader = cluster.leader().await;
        let mut all = submit(0, WRITES / 2);
        let (_, more) = tokio::join!(cluster.member(leader).transfer_leadership(), async {
            submit(WRITES / 2, WRITES)
        });
        all.extend(more);
        for answer in all {
            let reply = answer.get().await;
            // A follower may know only from the log that one was executed, and not its results.
            assert!(reply.contains("uuid") || reply == "unknown", "{reply}");
        }
    }
    let expected: Vec<i64> = (0..ROUNDS * WRITES).collect();
    for member in cluster.members() {
        wait_for("all rows once", || member.numbers() == expected).await;
    }
    cluster.stop_all().await;
}

/// What a client may do is the same wherever it asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_of_clients_hold_at_every_member() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    for member in [leader, (leader + 1) % 3] {
        let member = cluster.member(member);
        let insert = |read_only, role: Option<&str>, client| {
            let role = role.and_then(|role| Role::new(role, client));
            member.submit_limited(1, read_only, role).get()
        };
        let reply = insert(true, None, None).await;
        assert!(
            reply.contains("not allowed when database server is in read only mode"),
            "{reply}"
        );
        let reply = insert(false, Some("a role"), Some("somebody")).await;
        let words = r#"client \"somebody\" role \"a role\" prohibit row insertion"#;
        assert!(reply.contains(words), "{reply}");
        let reply = insert(false, Some("a role"), None).await;
        assert!(reply.contains(r#"client \"(null)\" role"#), "{reply}");
    }
    assert!(cluster.member(leader).numbers().is_empty());
    cluster.stop_all().await;
}
