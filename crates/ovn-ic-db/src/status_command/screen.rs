//! Both databases on one screen.

use std::fmt::Write;

use super::figures;
use super::interconnection::{self, Interconnection};
use super::summary::{Load, Rates, ServerLine, Summary};
use super::table::{BAD, Cell, GOOD, HEADING, WARNING, harmless, write_table};
use ovsdb_cluster::status::short_id;
use ovsdb_server::report::{ProblemReport, SessionReport};

/// So many clients are listed unless all are asked for, those with the most unsent first.
const MAX_CLIENTS: usize = 20;
/// How deep tables are below a database's name.
const INDENT: usize = 2;

const SERVERS: [&str; 13] = [
    "SERVER",
    "ID",
    "ROLE",
    "STATE",
    "TERM",
    "LOG",
    "BEHIND",
    "HEARD",
    "CLIENTS",
    "FILE",
    "COMPACTED",
    "MEMORY",
    "PROGRAM",
];
const CLIENTS: [&str; 5] = ["CLIENT", "SINCE", "WATCHES", "UNSENT", "AT"];

/// The text, with colours in it; `all` of what may be long.
pub fn screen(summaries: &[Summary], interconnection: &Interconnection, all: bool) -> String {
    let mut out = String::new();
    for summary in summaries {
        write_summary(&mut out, summary, all);
        out.push('\n');
    }
    interconnection::screen::write(&mut out, interconnection, all);
    out
}

fn write_summary(out: &mut String, summary: &Summary, all: bool) {
    let mut facts = Vec::new();
    if let Some(version) = &summary.schema_version {
        facts.push(format!("schema {}", harmless(version)));
    }
    if let Some(cluster) = summary.cluster {
        facts.push(format!("cluster {}", short_id(cluster)));
    }
    if let Some(leader) = &summary.leader {
        facts.push(format!("leader {}", harmless(leader)));
    }
    let name = &summary.database;
    // Strings take all that is written.
    let _ = write!(out, "{HEADING}{name}{HEADING:#}");
    if !facts.is_empty() {
        let _ = write!(out, "  {}", facts.join(", "));
    }
    out.push('\n');
    let servers: Vec<Vec<Cell>> = summary.servers.iter().map(server).collect();
    write_table(out, INDENT, &SERVERS, &servers);
    let rows = summary.rows.iter().filter(|(_, count)| **count > 0);
    let rows: Vec<String> = rows
        .map(|(table, count)| format!("{} {count}", harmless(table)))
        .collect();
    if !rows.is_empty() {
        let _ = writeln!(out, "  {HEADING}rows:{HEADING:#} {}", rows.join(", "));
    }
    if let Some(load) = &summary.load {
        write_load(out, load);
    }
    for (at, problem) in &summary.problems {
        write_problem(out, at, problem);
    }
    write_clients(out, summary, all);
    for trouble in &summary.troubles {
        let trouble = harmless(trouble);
        let _ = writeln!(out, "  {WARNING}! {trouble}{WARNING:#}");
    }
}

fn write_load(out: &mut String, load: &Load) {
    let rates = |of: fn(&Rates) -> u64| {
        let [transactions, changes] = [&load.transactions, &load.changes].map(of);
        [figures::rate(transactions), figures::rate(changes)]
    };
    let [transactions, changes] = rates(|rates| rates.ten_seconds);
    let [transactions_before, changes_before] = rates(|rates| rates.minute);
    let _ = writeln!(
        out,
        "  {HEADING}load:{HEADING:#} {transactions} transactions/s and {changes} changes/s in the \
         last 10 s, {transactions_before} and {changes_before} in the last minute"
    );
}

fn write_problem(out: &mut String, at: &str, problem: &ProblemReport) {
    let ProblemReport {
        level,
        message,
        age,
    } = problem;
    let [at, level, message] = [at, level, message].map(harmless);
    let age = figures::time(*age);
    let _ = writeln!(
        out,
        "  {HEADING}last {level}:{HEADING:#} {message} ({at}, {age} ago)"
    );
}

fn server(line: &ServerLine) -> Vec<Cell> {
    let number = |number: Option<u64>| number.map(|n| n.to_string()).unwrap_or_default();
    let role = match line.role.as_str() {
        "leader" | "standalone" if line.well => Cell::styled(&line.role, GOOD),
        _ => Cell::plain(&line.role),
    };
    let state = match (line.well, line.role.is_empty()) {
        (true, _) => Cell::plain(&line.state),
        (false, false) => Cell::styled(&line.state, WARNING),
        (false, true) => Cell::styled(&line.state, BAD),
    };
    let behind = match line.behind {
        Some(entries @ 1..) => Cell::styled(entries.to_string(), WARNING),
        none => Cell::plain(number(none)),
    };
    let log = line.log.map(|(first, last)| format!("{first}..{last}"));
    vec![
        Cell::plain(&line.remote),
        Cell::plain(line.id.map(short_id).unwrap_or_default()),
        role,
        state,
        Cell::plain(number(line.term)),
        Cell::plain(log.unwrap_or_default()),
        behind,
        Cell::plain(line.heard.map(figures::time).unwrap_or_default()),
        Cell::plain(number(line.clients)),
        Cell::plain(line.file.map(figures::bytes).unwrap_or_default()),
        Cell::plain(line.compacted.map(figures::time).unwrap_or_default()),
        Cell::plain(line.memory.map(figures::bytes).unwrap_or_default()),
        Cell::plain(&line.program),
    ]
}

fn write_clients(out: &mut String, summary: &Summary, all: bool) {
    let mut clients: Vec<&(String, SessionReport)> = summary.clients.iter().collect();
    if clients.is_empty() {
        return;
    }
    clients.sort_by_key(|(_, session)| std::cmp::Reverse(session.backlog));
    let most = if all { clients.len() } else { MAX_CLIENTS };
    let shown = clients.iter().take(most);
    let lines: Vec<Vec<Cell>> = shown.map(|(at, session)| client(at, session)).collect();
    write_table(out, INDENT, &CLIENTS, &lines);
    let rest = clients.len().saturating_sub(most);
    let rest = u64::try_from(rest).unwrap_or(u64::MAX) + summary.other_clients;
    if rest > 0 {
        let _ = writeln!(out, "  and {rest} more clients");
    }
}

fn client(at: &str, session: &SessionReport) -> Vec<Cell> {
    let watches = match session.tables.as_slice() {
        [] => String::new(),
        few if few.len() <= 3 => few.join(", "),
        many => format!("{} tables", many.len()),
    };
    let unsent = match session.backlog {
        0 => Cell::plain("0"),
        backlog => Cell::styled(figures::bytes(backlog), WARNING),
    };
    vec![
        Cell::plain(&session.peer),
        Cell::plain(figures::time(session.connected)),
        Cell::plain(watches),
        unsent,
        Cell::plain(at),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(remote: &str) -> ServerLine {
        ServerLine {
            remote: remote.to_owned(),
            ..ServerLine::default()
        }
    }

    #[test]
    fn a_screen() {
        let sessions = (0..22).map(|n: u64| SessionReport {
            peer: format!("tcp:c:{n}"),
            connected: 1000 * n,
            monitors: 1,
            tables: vec!["T".to_owned(); usize::try_from(n).unwrap_or(0)],
            backlog: if n == 21 { 5000 } else { 0 },
        });
        let summary = Summary {
            database: "D".to_owned(),
            served: true,
            cluster: Some(uuid::Uuid::from_u128(0xab << 112)),
            leader: Some("tcp:a:1".to_owned()),
            schema_version: Some("1.0.0".to_owned()),
            rows: [("T".to_owned(), 3), ("U".to_owned(), 0)].into(),
            load: Some(Load {
                transactions: Rates {
                    ten_seconds: 12_300,
                    minute: 8_140,
                },
                changes: Rates {
                    ten_seconds: 3_000,
                    minute: 20,
                },
            }),
            problems: vec![(
                "tcp:a:1".to_owned(),
                ProblemReport {
                    level: "error".to_owned(),
                    message: "no\tspace".to_owned(),
                    age: 180_000,
                },
            )],
            servers: vec![
                ServerLine {
                    role: "leader".to_owned(),
                    state: "cluster member".to_owned(),
                    well: true,
                    term: Some(2),
                    log: Some((2, 9)),
                    behind: Some(0),
                    compacted: Some(60_000),
                    ..line("tcp:a:1")
                },
                ServerLine {
                    state: "no answer within 5 s".to_owned(),
                    heard: Some(4200),
                    ..line("tcp:b:1")
                },
            ],
            clients: sessions
                .map(|session| ("tcp:a:1".to_owned(), session))
                .collect(),
            other_clients: 3,
            troubles: vec!["tcp:a:1: \u{7}waits".to_owned()],
        };
        let nothing = Interconnection::default();
        let shown = screen(&[summary.clone(), Summary::default()], &nothing, false);
        let plain = anstream::adapter::strip_str(&shown).to_string();
        let lines: Vec<&str> = plain.lines().collect();
        let beginning = [
            "D  schema 1.0.0, cluster 00ab, leader tcp:a:1",
            "  SERVER   ROLE    STATE                 TERM  LOG   BEHIND  HEARD  COMPACTED",
            "  tcp:a:1  leader  cluster member        2     2..9  0       -      60 s",
            "  tcp:b:1  -       no answer within 5 s  -     -     -       4.2 s  -",
            "  rows: T 3",
            "  load: 12 transactions/s and 3.0 changes/s in the last 10 s, 8.1 and <0.1 in the last minute",
            "  last error: nospace (tcp:a:1, 3 min ago)",
            "  CLIENT    SINCE  WATCHES    UNSENT   AT",
            "  tcp:c:21  21 s   21 tables  4.9 KiB  tcp:a:1",
            "  tcp:c:0   0.0 s  -          0        tcp:a:1",
            "  tcp:c:1   1.0 s  T          0        tcp:a:1",
        ];
        assert_eq!(lines[..11], beginning, "{plain}");
        assert_eq!(
            lines[28..30],
            ["  and 5 more clients", "  ! tcp:a:1: waits"],
            "{plain}"
        );
        // The second one is empty: a line between, its name, and headings of nothing.
        assert_eq!(
            lines[33..],
            [
                "",
                "Interconnection  0 zones, 0 gateways, 0 ports, 0 routes"
            ]
        );
    }
}
