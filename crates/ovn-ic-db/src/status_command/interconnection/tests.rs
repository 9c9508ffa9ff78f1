use serde_json::{Value, json};

use super::building::Read;
use super::tables::{Contents, Tables};
use super::*;

/// Contents as a server would give them for this schema's part.
fn read(remote: &str, rows: Value) -> Read {
    let rows = rows.as_object().expect("tables").clone();
    let mut names = Vec::new();
    let mut results = Vec::new();
    let wanted = tables::NORTHBOUND.iter().chain(tables::SOUTHBOUND);
    for (table, _) in wanted {
        if let Some(rows) = rows.get(*table) {
            names.push(*table);
            results.push(json!({"rows": rows}));
        }
    }
    assert_eq!(names.len(), rows.len(), "a table that nobody asks for");
    Ok(Contents {
        remote: remote.to_owned(),
        tables: Tables::read(&names, results).expect("rows"),
    })
}

fn id(n: u32) -> Value {
    json!(["uuid", format!("00000000-0000-4000-8000-{n:012}")])
}

fn route(zone: u32, prefix: &str, origin: &str) -> Value {
    json!({
        "transit_switch": "ts", "availability_zone": id(zone), "route_table": "",
        "ip_prefix": prefix, "nexthop": format!("169.254.100.{zone}"), "origin": origin
    })
}

fn port(zone: u32, switch: &str, gateway: &str) -> Value {
    json!({
        "logical_port": format!("{switch}-lr{zone}"), "transit_switch": switch,
        "availability_zone": id(zone), "tunnel_key": zone, "gateway": gateway,
        "address": format!("02:00:00:00:00:0{zone} 169.254.100.{zone}/24")
    })
}

fn gateway(zone: u32, encaps: Value) -> Value {
    json!({
        "name": format!("gw{zone}"), "availability_zone": id(zone),
        "hostname": format!("host{zone}"), "encaps": encaps
    })
}

/// Two zones as they should be, in the southbound of OVN 23.03.
fn two_zones() -> Value {
    json!({
        "Availability_Zone": [
            {"_uuid": id(2), "name": "az2"},
            {"_uuid": id(1), "name": "az1"}
        ],
        "Encap": [
            {"_uuid": id(11), "type": "geneve", "ip": "10.0.0.1"},
            {"_uuid": id(12), "type": "geneve", "ip": "10.0.0.2"},
            {"_uuid": id(13), "type": "vxlan", "ip": "10.0.0.2"}
        ],
        "Gateway": [
            gateway(1, id(11)),
            gateway(2, json!(["set", [id(13), id(12)]]))
        ],
        "Datapath_Binding": [{"transit_switch": "ts", "tunnel_key": 16711683}],
        "Port_Binding": [port(1, "ts", "gw1"), port(2, "ts", "")],
        "Route": [
            route(1, "192.168.1.0/24", "connected"),
            route(1, "10.11.0.0/16", "static"),
            route(1, "10.2.0.0/16", "static"),
            route(2, "192.168.2.0/24", "connected")
        ]
    })
}

fn one_switch() -> Read {
    read("tcp:n:1", json!({"Transit_Switch": [{"name": "ts"}]}))
}

fn shown(seen: &Interconnection, all: bool) -> String {
    let mut out = String::new();
    screen::write(&mut out, seen, all);
    anstream::adapter::strip_str(&out).to_string()
}

#[test]
fn two_zones_at_a_glance() {
    let seen = Interconnection::of(&one_switch(), &read("tcp:s:1", two_zones()));
    let expected = "\
Interconnection  2 zones, 2 gateways, 2 ports, 4 routes
  NAME  KIND    TUNNEL KEY  PORTS  ROUTES
  ts    switch  16711683    2      4
  az1  1 gateway, 1 port, 3 routes
    GATEWAY  HOST   TUNNELS
    gw1      host1  geneve 10.0.0.1
    PORT    ON  GATEWAY  KEY  ADDRESS
    ts-lr1  ts  gw1      1    02:00:00:00:00:01 169.254.100.1/24
    ROUTE           OVER  NEXT HOP       ORIGIN
    10.2.0.0/16     ts    169.254.100.1  static
    10.11.0.0/16    ts    169.254.100.1  static
    192.168.1.0/24  ts    169.254.100.1  connected
  az2  1 gateway, 1 port, 1 route
    GATEWAY  HOST   TUNNELS
    gw2      host2  geneve 10.0.0.2, vxlan 10.0.0.2
    PORT    ON  KEY  ADDRESS
    ts-lr2  ts  2    02:00:00:00:00:02 169.254.100.2/24
    ROUTE           OVER  NEXT HOP       ORIGIN
    192.168.2.0/24  ts    169.254.100.2  connected
";
    assert_eq!(shown(&seen, false), expected);
    let json = serde_json::to_value(&seen).expect("JSON");
    assert_eq!(
        json["southbound"],
        json!({"remote": "tcp:s:1", "error": null})
    );
    assert_eq!(
        json["zones"][1]["gateways"][0]["tunnels"][1]["type"],
        "vxlan"
    );
    assert_eq!(json["zones"][0]["routes"][2]["next_hop"], "169.254.100.1");
    assert_eq!(json["zones"][1]["ports"][0]["gateway"], Value::Null);
    assert_eq!(json["troubles"], json!([]));
}

#[test]
fn the_newest_schemas_tell_more() {
    let north = json!({
        "Transit_Switch": [{"name": "ts"}],
        "Transit_Switch_Port": [{"name": "ts-lr1", "chassis": "gw9"}],
        "Transit_Router": [{"name": "tr"}],
        "Transit_Router_Port": [{"name": "tr-p", "chassis": ""}]
    });
    let mut south = two_zones();
    south["Datapath_Binding"] = json!([
        {"transit_switch": "ts", "tunnel_key": 5, "type": "transit-switch"},
        {"transit_switch": "tr", "tunnel_key": 6, "type": "transit-router"}
    ]);
    let mut on_switch = port(1, "ts", "");
    on_switch["type"] = json!("transit-switch-port");
    let mut on_router = port(2, "tr", "gw2");
    on_router["type"] = json!("transit-router-port");
    south["Port_Binding"] = json!([on_switch, on_router]);
    let seen = Interconnection::of(&read("n", north), &read("s", south));
    assert_eq!(seen.troubles, [""; 0]);
    let text = shown(&seen, false);
    for line in [
        "  tr    router  6           1      0\n",
        "    ts-lr1  ts  gw9      1    transit-switch-port  02:00:00:00:00:01 169.254.100.1/24\n",
        "    tr-lr2  tr  gw2      2    transit-router-port  02:00:00:00:00:02 169.254.100.2/24\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}

#[test]
fn thousands_of_routes_are_counted() {
    let mut south = two_zones();
    let routes = (0..3000).map(|n| route(1, &format!("10.{}.{}.0/24", n / 250, n % 250), "static"));
    south["Route"] = routes.collect();
    let seen = Interconnection::of(&one_switch(), &read("s", south));
    let few = shown(&seen, false);
    assert!(
        few.contains("  az1  1 gateway, 1 port, 3000 routes\n"),
        "{few}"
    );
    let end = "    10.0.4.0/24  ts    169.254.100.1  static\n    and 2995 more routes (--all lists them)\n";
    assert!(few.contains(end), "{few}");
    let all = shown(&seen, true);
    assert!(all.contains("    10.11.249.0/24  ts "), "the last one");
    assert_eq!(all.lines().count(), few.lines().count() + 2995 - 1);
}

#[test]
fn what_does_not_fit_together_is_told() {
    let mut south = two_zones();
    south["Gateway"] = json!([gateway(1, id(11))]);
    south["Datapath_Binding"] = json!([
        {"transit_switch": "ts", "tunnel_key": 7},
        {"transit_switch": "ts2", "tunnel_key": 7},
        {"transit_switch": "ts2", "tunnel_key": 8}
    ]);
    south["Port_Binding"] = json!([port(1, "ts", "gw2"), port(2, "gone", "gw1")]);
    let mut over_gone = route(2, "10.2.0.0/16", "static");
    over_gone["transit_switch"] = json!("gone");
    let mut in_table = route(2, "10.11.0.0/16", "static");
    in_table["route_table"] = json!("blue");
    for more in [over_gone, in_table] {
        south["Route"].as_array_mut().expect("routes").push(more);
    }
    let names = ["ts", "ts2", "ts3"].map(|name| json!({"name": name}));
    let north = read("n", json!({"Transit_Switch": names}));
    let seen = Interconnection::of(&north, &read("s", south.clone()));
    let expected = [
        "az2 has no gateway",
        "port ts-lr1 of az1 is bound to gateway gw2, which is not there",
        "az2 has 1 port and 1 route on gone, which is not there",
        "ts3 has no tunnel key yet",
        "ts2 has several tunnel keys: 7, 8",
        "ts and ts2 share the tunnel key 7",
        "10.2.0.0/16 is announced by az1 and az2",
    ];
    assert_eq!(seen.troubles, expected);
    assert!(shown(&seen, false).contains("  ! az2 has no gateway\n"));
    // Many of a kind are cut short.
    south["Port_Binding"] = (0..9).map(|_| port(1, "ts", "gw7")).collect();
    let seen = Interconnection::of(&north, &read("s", south));
    let of_ports = seen.troubles.iter().filter(|line| line.contains("gw7"));
    assert_eq!(of_ports.count(), 5);
    assert_eq!(seen.troubles[6], "and 4 more like this");
}

#[test]
fn one_database_is_enough_for_its_part() {
    let gone = |what: &str| Err(format!("nobody answers for {what}"));
    let seen = Interconnection::of(&gone("NB"), &read("s", two_zones()));
    assert_eq!(
        seen.troubles,
        ["which transit switches are wanted is not known: nobody answers for NB"]
    );
    assert_eq!(seen.zones.len(), 2);
    assert_eq!(seen.switches[0].wanted, None);
    let seen = Interconnection::of(&one_switch(), &gone("SB"));
    let expected = "\
Interconnection
  NAME  KIND    PORTS  ROUTES
  ts    switch  0      0
  ! the zones are not known: nobody answers for SB
";
    assert_eq!(shown(&seen, false), expected);
    let seen = Interconnection::of(&gone("NB"), &gone("SB"));
    assert_eq!(seen.troubles.len(), 2);
    let empty = Interconnection::of(&one_switch(), &read("s", json!({})));
    assert_eq!(empty.troubles, [""; 0]);
}

#[test]
fn only_what_a_schema_has_is_asked_for() {
    let schema = json!({"tables": {
        "Gateway": {"columns": {"name": {}, "encaps": {}}},
        "Encap": {"columns": {}},
        "Other": {"columns": {"name": {}}}
    }});
    let selects = tables::selects(tables::SOUTHBOUND, &schema);
    let expected = [
        (
            "Gateway",
            json!({"op": "select", "table": "Gateway", "where": [], "columns": ["name", "encaps"]}),
        ),
        (
            "Encap",
            json!({"op": "select", "table": "Encap", "where": [], "columns": ["_uuid"]}),
        ),
    ];
    assert_eq!(selects, expected);
    let refused = Tables::read(&["Gateway"], vec![json!({"error": "resources exhausted"})]);
    let refused = refused.expect_err("no rows");
    assert!(
        refused.contains("Gateway: ") && refused.contains("exhausted"),
        "{refused}"
    );
}
