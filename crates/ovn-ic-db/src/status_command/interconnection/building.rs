//! Putting rows together.

use std::collections::{BTreeMap, HashMap};

use super::tables::{Contents, Row, Tables};
use super::{Gateway, Interconnection, Port, Route, Source, Switch, Tunnel, Zone};
use super::{anomalies, order};

/// What there is of one database: its rows, or why there are none.
pub type Read = Result<Contents, String>;

impl Interconnection {
    /// Puts both databases together.
    pub fn of(northbound: &Read, southbound: &Read) -> Interconnection {
        let nothing = Tables::default();
        let north = northbound.as_ref().ok().map(|read| &read.tables);
        let south = southbound.as_ref().map_or(&nothing, |read| &read.tables);
        let mut interconnection = Interconnection {
            northbound: source(northbound),
            southbound: source(southbound),
            zones: zones(south, north.unwrap_or(&nothing)),
            switches: Vec::new(),
            troubles: Vec::new(),
        };
        interconnection.switches = switches(north, south, &interconnection.zones);
        interconnection.troubles = anomalies::all(&interconnection);
        interconnection
    }
}

fn source(read: &Read) -> Source {
    match read {
        Ok(contents) => Source {
            remote: Some(contents.remote.clone()),
            error: None,
        },
        Err(error) => Source {
            remote: None,
            error: Some(error.clone()),
        },
    }
}

fn zones(south: &Tables, north: &Tables) -> Vec<Zone> {
    let mut zones: HashMap<&str, Zone> = HashMap::new();
    for row in south.rows("Availability_Zone") {
        let zone = Zone {
            name: row.text("name").to_owned(),
            ..Zone::default()
        };
        zones.extend(row.ids("_uuid").map(|id| (id, zone.clone())));
    }
    let mut add = |table: &str, put: &dyn Fn(&mut Zone, &Row)| {
        for row in south.rows(table) {
            let zone = row.ids("availability_zone").next();
            if let Some(zone) = zone.and_then(|id| zones.get_mut(id)) {
                put(zone, row);
            }
        }
    };
    let tunnels = tunnels(south);
    add("Gateway", &|zone, row| {
        let tunnels = row.ids("encaps").filter_map(|id| tunnels.get(id).cloned());
        let mut gateway = Gateway {
            name: row.text("name").to_owned(),
            hostname: row.text("hostname").to_owned(),
            tunnels: tunnels.collect(),
        };
        gateway
            .tunnels
            .sort_by(|a, b| (&a.kind, &a.ip).cmp(&(&b.kind, &b.ip)));
        zone.gateways.push(gateway);
    });
    let chassis = chassis(north);
    add("Port_Binding", &|zone, row| {
        let owned = |column: &str| row.optional(column).map(str::to_owned);
        let name = row.text("logical_port");
        zone.ports.push(Port {
            name: name.to_owned(),
            switch: row.text("transit_switch").to_owned(),
            kind: owned("type"),
            gateway: owned("gateway"),
            chassis: chassis.get(name).map(|chassis| (*chassis).to_owned()),
            tunnel_key: row.integer("tunnel_key"),
            address: row.text("address").to_owned(),
        });
    });
    add("Route", &|zone, row| {
        zone.routes.push(Route {
            switch: row.text("transit_switch").to_owned(),
            prefix: row.text("ip_prefix").to_owned(),
            next_hop: row.text("nexthop").to_owned(),
            origin: row.text("origin").to_owned(),
            route_table: row.text("route_table").to_owned(),
        });
    });
    let mut zones: Vec<Zone> = zones.into_values().collect();
    zones.sort_by(|a, b| a.name.cmp(&b.name));
    for zone in &mut zones {
        zone.gateways.sort_by(|a, b| a.name.cmp(&b.name));
        zone.ports
            .sort_by(|a, b| (&a.switch, &a.name).cmp(&(&b.switch, &b.name)));
        zone.routes.sort_by(|a, b| {
            let place = |route: &Route| (route.switch.clone(), route.route_table.clone());
            let prefixes = order::of_prefix(&a.prefix).cmp(&order::of_prefix(&b.prefix));
            let hops = || order::of_prefix(&a.next_hop).cmp(&order::of_prefix(&b.next_hop));
            place(a).cmp(&place(b)).then(prefixes).then_with(hops)
        });
    }
    zones
}

fn tunnels(south: &Tables) -> HashMap<&str, Tunnel> {
    let mut tunnels = HashMap::new();
    for row in south.rows("Encap") {
        let tunnel = Tunnel {
            kind: row.text("type").to_owned(),
            ip: row.text("ip").to_owned(),
        };
        tunnels.extend(row.ids("_uuid").map(|id| (id, tunnel.clone())));
    }
    tunnels
}

/// Which chassis the northbound wants ports on.
fn chassis(north: &Tables) -> HashMap<&str, &str> {
    let tables = ["Transit_Switch_Port", "Transit_Router_Port"];
    let ports = tables.into_iter().flat_map(|table| north.rows(table));
    ports
        .filter_map(|row| Some((row.text("name"), row.optional("chassis")?)))
        .collect()
}

/// Every switch that is wanted, has a tunnel key, or is mentioned.
fn switches(north: Option<&Tables>, south: &Tables, zones: &[Zone]) -> Vec<Switch> {
    let mut switches: BTreeMap<String, Switch> = BTreeMap::new();
    let mut at = |name: &str, change: &dyn Fn(&mut Switch)| {
        let switch = switches.entry(name.to_owned()).or_insert_with(|| Switch {
            name: name.to_owned(),
            kind: "switch",
            wanted: north.map(|_| false),
            ..Switch::default()
        });
        change(switch);
    };
    for (table, kind) in [("Transit_Switch", "switch"), ("Transit_Router", "router")] {
        for row in north.map(|north| north.rows(table)).unwrap_or_default() {
            at(row.text("name"), &|switch| {
                switch.kind = kind;
                switch.wanted = Some(true);
            });
        }
    }
    for row in south.rows("Datapath_Binding") {
        at(row.text("transit_switch"), &|switch| {
            switch.tunnel_keys.extend(row.integer("tunnel_key"));
            switch.tunnel_keys.sort_unstable();
            if row.text("type") == "transit-router" {
                switch.kind = "router";
            }
        });
    }
    for zone in zones {
        for port in &zone.ports {
            at(&port.switch, &|switch| switch.ports += 1);
        }
        for route in &zone.routes {
            at(&route.switch, &|switch| switch.routes += 1);
        }
    }
    switches.into_values().collect()
}
