//! Reads what the reference's `cluster/status` prints, so that our print of it can be compared.

use std::collections::BTreeMap;

use ovsdb::Uuid;
use ovsdb_cluster::entry::ServerId;
use ovsdb_cluster::status::*;

/// The text's lines, one after the other.
struct Lines<'a> {
    lines: std::iter::Peekable<std::str::Lines<'a>>,
    ids: &'a BTreeMap<String, ServerId>,
}

impl<'a> Lines<'a> {
    /// What follows `title` in the next line; the line must be that one.
    fn take(&mut self, title: &str) -> &'a str {
        let line = self.lines.next().expect(title);
        line.strip_prefix(title)
            .unwrap_or_else(|| panic!("{title}: {line}"))
    }

    /// Likewise, if the next line is that one.
    fn may_take(&mut self, title: &str) -> Option<&'a str> {
        let rest = self.lines.peek()?.strip_prefix(title)?;
        self.lines.next();
        Some(rest)
    }

    fn number(&mut self, title: &str) -> u64 {
        self.take(title).parse().expect(title)
    }

    /// The server of a short name; the texts have no longer ones.
    fn server(&self, name: &str) -> ServerId {
        self.ids[name]
    }

    fn person(&mut self, title: &str, own: ServerId) -> Option<ServerId> {
        match self.take(title) {
            "unknown" => None,
            "self" => Some(own),
            name => Some(self.server(name)),
        }
    }

    fn election(&mut self) -> Option<Election> {
        let started = self.may_take("Last Election started ")?;
        let (started, reason) = started.split_once(" ms ago, reason: ").expect("reason");
        let won = self.may_take("Last Election won: ");
        Some(Election {
            started: started.parse().expect("number"),
            reason: match reason {
                "timeout" => ElectionReason::Timeout,
                "leadership_transfer" => ElectionReason::LeadershipTransfer,
                other => panic!("{other}"),
            },
            won: won.map(|won| {
                won.strip_suffix(" ms ago")
                    .expect("age")
                    .parse()
                    .expect("ms")
            }),
        })
    }

    fn connection(&self, word: &str) -> ConnectionStatus {
        let inside = word.strip_prefix('(').and_then(|w| w.strip_suffix(')'));
        let (arrow, name) = inside.unwrap_or(word).split_at(2);
        ConnectionStatus {
            server: (name != "0000").then(|| self.server(name)),
            address: "tcp:".to_owned(),
            dialled: match arrow {
                "->" => true,
                "<-" => false,
                other => panic!("{other}"),
            },
            connected: inside.is_none(),
            waiting: 0,
        }
    }

    /// `NAME (ID at ADDRESS)` and what a leader or a candidate knows.
    fn server_line(&self, line: &str) -> ServerStatus {
        let (name, rest) = line.split_once(" (").expect("name");
        let (_, rest) = rest.split_once(" at ").expect("address");
        let (address, mut rest) = rest.split_once(')').expect("address");
        let mut server = ServerStatus {
            id: self.server(name),
            address: address.to_owned(),
            phase: Phase::Stable,
            vote: None,
            progress: None,
            last_message: None,
        };
        while let Some((remark, behind)) = rest
            .strip_prefix(" (")
            .and_then(|rest| rest.split_once(')'))
        {
            rest = behind;
            match remark {
                "self" => {}
                "adding: catchup" => server.phase = Phase::CatchingUp,
                "adding: caught up" => server.phase = Phase::CaughtUp,
                "adding: committing" => server.phase = Phase::Committing,
                "removing" => server.phase = Phase::Removing,
                voted => {
                    let name = voted.strip_prefix("voted for ").expect("remark");
                    server.vote = Some(self.server(name));
                }
            }
        }
        if let Some(places) = rest.strip_prefix(" next_index=") {
            let (next, behind) = places.split_once(" match_index=").expect("places");
            let (matched, behind) = behind.split_at(behind.find(' ').unwrap_or(behind.len()));
            server.progress = Some(Progress {
                next: next.parse().expect("index"),
                matched: matched.parse().expect("index"),
            });
            rest = behind;
        }
        if let Some(age) = rest.strip_prefix(" last msg ") {
            let age = age.strip_suffix(" ms ago").expect("age");
            server.last_message = Some(age.parse().expect("age"));
        } else {
            assert_eq!(rest, "");
        }
        server
    }
}

fn full_id(text: &str) -> Uuid {
    let (_, id) = text.split_once(" (").expect("id");
    id.strip_suffix(')').expect("id").parse().expect("id")
}

/// Reads a text. `ids` has the servers by their short names.
pub fn read(text: &str, ids: &BTreeMap<String, ServerId>) -> MemberStatus {
    let mut lines = Lines {
        lines: text.lines().peekable(),
        ids,
    };
    lines.take("");
    let name = lines.take("Name: ").to_owned();
    let cluster_id = match lines.take("Cluster ID: ") {
        "not yet known" => None,
        id => Some(full_id(id)),
    };
    let server_id = full_id(lines.take("Server ID: "));
    let address = lines.take("Address: ").to_owned();
    let standing = match lines.take("Status: ") {
        "joining cluster" => Standing::Joining,
        "cluster member" => Standing::Member,
        "leaving cluster" => Standing::Leaving,
        "left cluster" => Standing::Left,
        "failed" => Standing::Failed,
        "disconnected from the cluster (election timeout)" => Standing::Disconnected,
        other => panic!("{other}"),
    };
    let remotes = lines.may_take("Remotes for joining:").unwrap_or_default();
    let remotes = remotes.split_whitespace().map(str::to_owned).collect();
    let mut changes = Vec::new();
    while let Some(line) = lines
        .may_take("Adding server ")
        .or_else(|| lines.may_take("Removing server "))
    {
        changes.push(lines.server_line(line));
    }
    let role = match lines.take("Role: ") {
        "leader" => Role::Leader,
        "candidate" => Role::Candidate,
        "follower" => Role::Follower,
        other => panic!("{other}"),
    };
    let term = lines.number("Term: ");
    let leader = lines.person("Leader: ", server_id);
    let vote = lines.person("Vote: ", server_id);
    assert_eq!(lines.take(""), "");
    let election = lines.election();
    let timer = lines.take("Election timer: ");
    let (timer, next) = match timer.split_once(" (changing to ") {
        None => (timer, None),
        Some((timer, next)) => (timer, next.strip_suffix(')')),
    };
    let log = lines.take("Log: [").strip_suffix(']').expect("log");
    let (first, end) = log.split_once(", ").expect("log");
    let end: u64 = end.parse().expect("index");
    let uncommitted = lines.number("Entries not yet committed: ");
    let unapplied = lines.number("Entries not yet applied: ");
    let connections = lines.take("Connections:").split_whitespace();
    let connections = connections.map(|word| lines.connection(word)).collect();
    let disconnections = lines.number("Disconnections: ");
    lines.take("Servers:");
    let mut servers = Vec::new();
    while let Some(line) = lines.may_take("    ") {
        servers.push(lines.server_line(line));
    }
    assert_eq!(lines.lines.next(), None);
    MemberStatus {
        name,
        cluster_id,
        server_id,
        address,
        standing,
        remotes,
        changes,
        role,
        term,
        leader,
        vote,
        election,
        election_timer: timer.parse().expect("timer"),
        next_election_timer: next.map(|next| next.parse().expect("timer")),
        log: LogStatus {
            first: first.parse().expect("index"),
            end,
            committed: end - 1 - uncommitted,
            applied: end - 1 - unapplied,
        },
        connections,
        disconnections,
        servers,
        troubles: Vec::new(),
    }
}
