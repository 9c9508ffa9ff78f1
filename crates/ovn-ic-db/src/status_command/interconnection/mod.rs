//! The interconnection itself: which zones there are, with their gateways, ports and routes, as the
//! contents of both databases tell it. `asking` gets the rows, all else is pure.

mod anomalies;
pub mod asking;
mod building;
mod order;
pub mod screen;
mod tables;
#[cfg(test)]
mod tests;

use serde::Serialize;

/// What both databases say of the interconnection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Interconnection {
    /// Where the northbound was read.
    pub northbound: Source,
    /// Where the southbound was read.
    pub southbound: Source,
    /// Transit switches and routers, by name.
    pub switches: Vec<Switch>,
    /// Availability zones, by name.
    pub zones: Vec<Zone>,
    /// What a person should look at.
    pub troubles: Vec<String>,
}

/// Which server a database's contents are from, or why there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The server.
    pub remote: Option<String>,
    /// Why nothing could be read.
    pub error: Option<String>,
}

/// A transit switch, or a transit router.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Switch {
    /// Its name.
    pub name: String,
    /// What it is: `switch` or `router`.
    pub kind: &'static str,
    /// It is in the northbound; none if that could not be read.
    pub wanted: Option<bool>,
    /// Its tunnel keys: one, once a zone has taken it up.
    pub tunnel_keys: Vec<i64>,
    /// How many ports of zones are on it.
    pub ports: usize,
    /// How many routes are announced over it.
    pub routes: usize,
}

/// An availability zone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// Its gateways, by name.
    pub gateways: Vec<Gateway>,
    /// Its ports, by switch and name.
    pub ports: Vec<Port>,
    /// The routes that it announces, by switch, table and prefix.
    pub routes: Vec<Route>,
}

/// A gateway chassis of a zone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Gateway {
    /// Its name, which is the chassis's.
    pub name: String,
    /// Its host's name.
    pub hostname: String,
    /// Where others send to.
    pub tunnels: Vec<Tunnel>,
}

/// An end of tunnels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tunnel {
    /// `geneve` or `vxlan`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its address.
    pub ip: String,
}

/// A zone's port on a transit switch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// The transit switch or router that it is on.
    pub switch: String,
    /// Its type, in schemas that have one.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The gateway that it is bound to.
    pub gateway: Option<String>,
    /// The chassis that the northbound asks for, in schemas that have one.
    pub chassis: Option<String>,
    /// Its tunnel key.
    pub tunnel_key: Option<i64>,
    /// Its addresses.
    pub address: String,
}

/// A route that a zone announces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Route {
    /// The transit switch that it leads over.
    pub switch: String,
    /// Where to.
    pub prefix: String,
    /// By whom.
    pub next_hop: String,
    /// Where the zone has it from: `connected`, `static` and others.
    pub origin: String,
    /// The route table; empty is the main one.
    pub route_table: String,
}
