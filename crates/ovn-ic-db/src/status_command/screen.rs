//! Both databases on one screen.

use std::fmt::Write;

use super::figures;
use super::summary::{ServerLine, Summary};
use super::table::{BAD, Cell, GOOD, HEADING, WARNING, harmless, write_table};
use ovsdb_cluster::status::short_id;
use ovsdb_server::report::SessionReport;

/// So many clients are listed, those with the most unsent first.
const MAX_CLIENTS: usize = 20;

const SERVERS: [&str; 12] = [
    "SERVER", "ID", "ROLE", "STATE", "TERM", "LOG", "BEHIND", "HEARD", "CLIENTS", "FILE", "MEMORY",
    "PROGRAM",
];
const CLIENTS: [&str; 5] = ["CLIENT", "SINCE", "WATCHES", "UNSENT", "AT"];

/// The text, with colours in it.
pub fn screen(summaries: &[Summary]) -> String {
    let mut out = String::new();
    for (place, summary) in summaries.iter().enumerate() {
        if place > 0 {
            out.push('\n');
        }
        write_summary(&mut out, summary);
    }
    out
}

fn write_summary(out: &mut String, summary: &Summary) {
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
    write_table(out, &SERVERS, &servers);
    let rows = summary.rows.iter().filter(|(_, count)| **count > 0);
    let rows: Vec<String> = rows
        .map(|(table, count)| format!("{} {count}", harmless(table)))
        .collect();
    if !rows.is_empty() {
        let _ = writeln!(out, "  {HEADING}rows:{HEADING:#} {}", rows.join(", "));
    }
    write_clients(out, summary);
    for trouble in &summary.troubles {
        let trouble = harmless(trouble);
        let _ = writeln!(out, "  {WARNING}! {trouble}{WARNING:#}");
    }
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
        Cell::plain(line.memory.map(figures::bytes).unwrap_or_default()),
        Cell::plain(&line.program),
    ]
}

fn write_clients(out: &mut String, summary: &Summary) {
    let mut clients: Vec<&(String, SessionReport)> = summary.clients.iter().collect();
    if clients.is_empty() {
        return;
    }
    clients.sort_by_key(|(_, session)| std::cmp::Reverse(session.backlog));
    let shown = clients.iter().take(MAX_CLIENTS);
    let lines: Vec<Vec<Cell>> = shown.map(|(at, session)| client(at, session)).collect();
    write_table(out, &CLIENTS, &lines);
    let rest = clients.len().saturating_sub(MAX_CLIENTS);
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
            servers: vec![
                ServerLine {
                    role: "leader".to_owned(),
                    state: "cluster member".to_owned(),
                    well: true,
                    term: Some(2),
                    log: Some((2, 9)),
                    behind: Some(0),
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
        let shown = screen(&[summary.clone(), Summary::default()]);
        let plain = anstream::adapter::strip_str(&shown).to_string();
        let lines: Vec<&str> = plain.lines().collect();
        let beginning = [
            "D  schema 1.0.0, cluster 00ab, leader tcp:a:1",
            "  SERVER   ROLE    STATE                 TERM  LOG   BEHIND  HEARD",
            "  tcp:a:1  leader  cluster member        2     2..9  0       -",
            "  tcp:b:1  -       no answer within 5 s  -     -     -       4.2 s",
            "  rows: T 3",
            "  CLIENT    SINCE  WATCHES    UNSENT   AT",
            "  tcp:c:21  21 s   21 tables  4.9 KiB  tcp:a:1",
            "  tcp:c:0   0.0 s  -          0        tcp:a:1",
            "  tcp:c:1   1.0 s  T          0        tcp:a:1",
        ];
        assert_eq!(lines[..9], beginning, "{plain}");
        assert_eq!(
            lines[26..28],
            ["  and 5 more clients", "  ! tcp:a:1: waits"],
            "{plain}"
        );
        // The second one is empty: a line between, its name, and headings of nothing.
        assert_eq!(lines.len(), 31, "{plain}");
    }
}
