//! The interconnection on the screen.

use std::fmt::Write;

use super::super::table::{Cell, HEADING, WARNING, harmless, write_table};
use super::anomalies::number;
use super::{Gateway, Interconnection, Port, Route, Switch, Zone};

/// So many of each are listed, unless all are asked for.
const MAX_SWITCHES: usize = 20;
const MAX_ZONES: usize = 20;
const MAX_GATEWAYS: usize = 10;
const MAX_PORTS: usize = 10;
const MAX_ROUTES: usize = 5;

const SWITCHES: [&str; 5] = ["NAME", "KIND", "TUNNEL KEY", "PORTS", "ROUTES"];
const GATEWAYS: [&str; 3] = ["GATEWAY", "HOST", "TUNNELS"];
const PORTS: [&str; 6] = ["PORT", "ON", "GATEWAY", "KEY", "TYPE", "ADDRESS"];
const ROUTES: [&str; 5] = ["ROUTE", "OVER", "NEXT HOP", "ORIGIN", "TABLE"];

/// How deep tables are below what they belong to.
const UNDER_TITLE: usize = 2;
const UNDER_ZONE: usize = 4;

/// Appends everything, or the first of everything.
pub fn write(out: &mut String, seen: &Interconnection, all: bool) {
    let title = format!("{HEADING}Interconnection{HEADING:#}  {}", counts(seen));
    let _ = writeln!(out, "{}", title.trim_end());
    let switches = seen.switches.iter().map(switch);
    write_list(
        out,
        UNDER_TITLE,
        (&SWITCHES, "switch"),
        MAX_SWITCHES,
        all,
        switches,
    );
    let shown = if all { seen.zones.len() } else { MAX_ZONES };
    for zone in seen.zones.iter().take(shown) {
        write_zone(out, zone, all);
    }
    write_rest(
        out,
        UNDER_TITLE,
        seen.zones.len().saturating_sub(shown),
        "zone",
    );
    for trouble in &seen.troubles {
        let trouble = harmless(trouble);
        let _ = writeln!(out, "  {WARNING}! {trouble}{WARNING:#}");
    }
}

fn counts(seen: &Interconnection) -> String {
    let sum = |of: fn(&Zone) -> usize| seen.zones.iter().map(of).sum::<usize>();
    let mut counts = Vec::new();
    if seen.southbound.error.is_none() {
        counts.push(number(seen.zones.len(), "zone"));
        counts.push(number(sum(|zone| zone.gateways.len()), "gateway"));
        counts.push(number(sum(|zone| zone.ports.len()), "port"));
        counts.push(number(sum(|zone| zone.routes.len()), "route"));
    }
    counts.join(", ")
}

fn write_zone(out: &mut String, zone: &Zone, all: bool) {
    let name = harmless(&zone.name);
    let _ = writeln!(
        out,
        "  {HEADING}{name}{HEADING:#}  {}, {}, {}",
        number(zone.gateways.len(), "gateway"),
        number(zone.ports.len(), "port"),
        number(zone.routes.len(), "route"),
    );
    let gateways = zone.gateways.iter().map(gateway);
    write_list(
        out,
        UNDER_ZONE,
        (&GATEWAYS, "gateway"),
        MAX_GATEWAYS,
        all,
        gateways,
    );
    let ports = zone.ports.iter().map(port);
    write_list(out, UNDER_ZONE, (&PORTS, "port"), MAX_PORTS, all, ports);
    let routes = zone.routes.iter().map(route);
    write_list(out, UNDER_ZONE, (&ROUTES, "route"), MAX_ROUTES, all, routes);
}

fn write_list(
    out: &mut String,
    indent: usize,
    (headings, what): (&[&str], &str),
    most: usize,
    all: bool,
    lines: impl ExactSizeIterator<Item = Vec<Cell>>,
) {
    let count = lines.len();
    if count == 0 {
        return;
    }
    let shown = if all { count } else { most };
    let lines: Vec<Vec<Cell>> = lines.take(shown).collect();
    write_table(out, indent, headings, &lines);
    write_rest(out, indent, count.saturating_sub(shown), what);
}

fn write_rest(out: &mut String, indent: usize, rest: usize, what: &str) {
    if rest > 0 {
        let rest = number(rest, &format!("more {what}"));
        let _ = writeln!(out, "{:indent$}and {rest} (--all lists them)", "");
    }
}

fn switch(switch: &Switch) -> Vec<Cell> {
    let keys: Vec<String> = switch.tunnel_keys.iter().map(i64::to_string).collect();
    let name = match switch.wanted {
        Some(false) => Cell::styled(&switch.name, WARNING),
        _ => Cell::plain(&switch.name),
    };
    vec![
        name,
        Cell::plain(switch.kind),
        Cell::plain(keys.join(", ")),
        Cell::plain(switch.ports.to_string()),
        Cell::plain(switch.routes.to_string()),
    ]
}

fn gateway(gateway: &Gateway) -> Vec<Cell> {
    let tunnels = gateway.tunnels.iter();
    let tunnels: Vec<String> = tunnels
        .map(|tunnel| format!("{} {}", tunnel.kind, tunnel.ip))
        .collect();
    vec![
        Cell::plain(&gateway.name),
        Cell::plain(&gateway.hostname),
        Cell::plain(tunnels.join(", ")),
    ]
}

fn port(port: &Port) -> Vec<Cell> {
    let at = port.gateway.as_ref().or(port.chassis.as_ref());
    vec![
        Cell::plain(&port.name),
        Cell::plain(&port.switch),
        Cell::plain(at.cloned().unwrap_or_default()),
        Cell::plain(
            port.tunnel_key
                .map(|key| key.to_string())
                .unwrap_or_default(),
        ),
        Cell::plain(port.kind.clone().unwrap_or_default()),
        Cell::plain(&port.address),
    ]
}

fn route(route: &Route) -> Vec<Cell> {
    vec![
        Cell::plain(&route.prefix),
        Cell::plain(&route.switch),
        Cell::plain(&route.next_hop),
        Cell::plain(&route.origin),
        Cell::plain(&route.route_table),
    ]
}
