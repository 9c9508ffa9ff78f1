//! What does not fit together. All of it may be so for a moment, while `ovn-ic` is at work.

use std::collections::{BTreeMap, BTreeSet};

use super::{Interconnection, Switch};

/// So many of a kind are told; of others only how many they are.
const MAX_OF_A_KIND: usize = 5;

/// All that is worth a look.
pub fn all(seen: &Interconnection) -> Vec<String> {
    let mut troubles = Vec::new();
    let sources = [
        (&seen.southbound, "the zones are"),
        (&seen.northbound, "which transit switches are wanted is"),
    ];
    for (source, what) in sources {
        if let Some(error) = &source.error {
            troubles.push(format!("{what} not known: {error}"));
        }
    }
    for kind in [
        zones_without_gateways,
        lost_gateways,
        lost_switches,
        unkeyed_switches,
        shared_keys,
        shared_prefixes,
    ] {
        limit(&mut troubles, kind(seen));
    }
    troubles
}

fn limit(troubles: &mut Vec<String>, mut kind: Vec<String>) {
    let rest = kind.len().saturating_sub(MAX_OF_A_KIND);
    if rest > 0 {
        kind.truncate(MAX_OF_A_KIND);
        kind.push(format!("and {rest} more like this"));
    }
    troubles.append(&mut kind);
}

fn zones_without_gateways(seen: &Interconnection) -> Vec<String> {
    let zones = seen.zones.iter().filter(|zone| zone.gateways.is_empty());
    zones
        .map(|zone| format!("{} has no gateway", zone.name))
        .collect()
}

fn lost_gateways(seen: &Interconnection) -> Vec<String> {
    let gateways = seen.zones.iter().flat_map(|zone| &zone.gateways);
    let known: BTreeSet<&str> = gateways.map(|gateway| gateway.name.as_str()).collect();
    let mut lost = Vec::new();
    for zone in &seen.zones {
        for port in &zone.ports {
            if let Some(gateway) = &port.gateway
                && !known.contains(gateway.as_str())
            {
                let (port, zone) = (&port.name, &zone.name);
                lost.push(format!(
                    "port {port} of {zone} is bound to gateway {gateway}, which is not there"
                ));
            }
        }
    }
    lost
}

/// One line for each zone and switch: there may be thousands of routes.
fn lost_switches(seen: &Interconnection) -> Vec<String> {
    let is_lost = |switch: &&Switch| match switch.wanted {
        Some(wanted) => !wanted,
        None => switch.tunnel_keys.is_empty(),
    };
    let lost = seen.switches.iter().filter(is_lost);
    let lost: BTreeSet<&str> = lost.map(|switch| switch.name.as_str()).collect();
    let mut lines = Vec::new();
    for zone in &seen.zones {
        let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for port in &zone.ports {
            counts.entry(&port.switch).or_default().0 += 1;
        }
        for route in &zone.routes {
            counts.entry(&route.switch).or_default().1 += 1;
        }
        for (switch, (ports, routes)) in counts {
            if lost.contains(switch) {
                let name = &zone.name;
                lines.push(format!(
                    "{name} has {} and {} on {switch}, which is not there",
                    number(ports, "port"),
                    number(routes, "route")
                ));
            }
        }
    }
    lines
}

fn unkeyed_switches(seen: &Interconnection) -> Vec<String> {
    // Who should have given it one?
    if seen.zones.is_empty() {
        return Vec::new();
    }
    let unkeyed = |switch: &&Switch| switch.wanted == Some(true) && switch.tunnel_keys.is_empty();
    let switches = seen.switches.iter().filter(unkeyed);
    switches
        .map(|switch| format!("{} has no tunnel key yet", switch.name))
        .collect()
}

fn shared_keys(seen: &Interconnection) -> Vec<String> {
    let mut lines = Vec::new();
    let mut by_key: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    for switch in &seen.switches {
        if let [_, _, ..] = switch.tunnel_keys.as_slice() {
            let keys: Vec<String> = switch.tunnel_keys.iter().map(i64::to_string).collect();
            lines.push(format!(
                "{} has several tunnel keys: {}",
                switch.name,
                keys.join(", ")
            ));
        }
        for key in &switch.tunnel_keys {
            by_key.entry(*key).or_default().push(&switch.name);
        }
    }
    for (key, mut names) in by_key {
        names.dedup();
        if let [_, _, ..] = names.as_slice() {
            lines.push(format!(
                "{} share the tunnel key {key}",
                names.join(" and ")
            ));
        }
    }
    lines
}

fn shared_prefixes(seen: &Interconnection) -> Vec<String> {
    let mut by_prefix: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for zone in &seen.zones {
        for route in &zone.routes {
            let place = (route.route_table.as_str(), route.prefix.as_str());
            by_prefix.entry(place).or_default().insert(&zone.name);
        }
    }
    let shared = by_prefix.into_iter().filter(|(_, zones)| zones.len() > 1);
    let lines = shared.map(|((table, prefix), zones)| {
        let zones: Vec<&str> = zones.into_iter().collect();
        let table = match table {
            "" => String::new(),
            table => format!(" in route table {table}"),
        };
        format!("{prefix}{table} is announced by {}", zones.join(" and "))
    });
    lines.collect()
}

/// `1 port`, `2 ports`.
pub fn number(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
