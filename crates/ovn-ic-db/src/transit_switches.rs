//! The transit switches that the interconnect keeps by itself: a plan is made
//! of what there is and what the settings ask for. Nothing here talks to a
//! database: the plan is the text of a transaction for the northbound one.
//!
//! A plan guards itself with `wait` operations (RFC 7047 5.2.6): if anybody
//! changed one of its rows meanwhile, all of it fails, and the caller makes a
//! new plan.

use std::collections::BTreeMap;

use ovsdb::json::write;

use crate::schemas::Side;

/// The owner's mark in `external_ids`: only switches that carry it are deleted.
const VENDOR: (&str, &str) = ("vendor", "kube-ovn");
/// Which addresses a switch's routers get, in `external_ids`.
const SUBNET: &str = "subnet";
/// Greatest `TS_NUM`: the IPv4 subnets end at 169.254.255.0/24.
pub const MOST_SWITCHES: u32 = 156;

/// Address families of the subnets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    /// 169.254.(100+i).0/24
    V4,
    /// fe80:a9fe:(100+i in hexadecimal)::/112
    V6,
    /// Both, IPv4 first, with a comma.
    Dual,
}

impl Families {
    /// The subnet of the i-th switch, which is `TS_CIDR`'s default for the first.
    pub fn subnet(self, i: u32) -> String {
        let third = 100 + i;
        match self {
            Families::V4 => format!("169.254.{third}.0/24"),
            Families::V6 => format!("fe80:a9fe:{third:02x}::/112"),
            Families::Dual => format!("{},{}", Families::V4.subnet(i), Families::V6.subnet(i)),
        }
    }
}

/// What the settings ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// `TS_NUM`: so many, named `ts`, `ts1`, ...; to be planned again and again.
    Number {
        /// How many.
        count: u32,
        /// Of which families.
        families: Families,
    },
    /// `TS_NAME`: one at start.
    One {
        /// Its name.
        name: String,
        /// The subnet for a new one.
        subnet: String,
        /// `TS_CIDR` was set: it also goes to a switch that exists.
        explicit: bool,
    },
    /// `TS_NAME=`: none is made.
    Nothing,
}

/// A row of `Transit_Switch`, as far as a plan needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransitSwitch {
    /// The row's `_uuid`, in text.
    pub uuid: String,
    /// Its name.
    pub name: String,
    /// Its `external_ids`.
    pub external_ids: BTreeMap<String, String>,
}

impl TransitSwitch {
    fn is_ours(&self) -> bool {
        self.external_ids.get(VENDOR.0).map(String::as_str) == Some(VENDOR.1)
    }

    /// Whether a plan would make just this one: by these settings, or by any number of switches.
    pub fn is_made_by(&self, wanted: &Wanted) -> bool {
        let Some(subnet) = self.external_ids.get(SUBNET) else {
            return false;
        };
        let numbered = number_of(&self.name).filter(|number| *number < MOST_SWITCHES);
        let by_number = numbered.is_some_and(|number| {
            let families = [Families::V4, Families::V6, Families::Dual];
            families.iter().any(|its| its.subnet(number) == *subnet)
        });
        let by_name = matches!(wanted, Wanted::One { name, subnet: its, .. }
            if *name == self.name && its == subnet);
        self.is_ours() && self.external_ids.len() == 2 && (by_number || by_name)
    }
}

/// The operations that lead from what there is to what is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// JSON texts, in order. Empty: all is as it should be.
    pub operations: Vec<String>,
    /// What the plan does, a line a switch, for the log.
    pub says: Vec<String>,
}

impl Plan {
    /// The `params` of the `transact` request (RFC 7047 4.1.3).
    pub fn params(&self) -> String {
        let database = Side::Northbound.database();
        format!("[\"{database}\",{}]", self.operations.join(","))
    }

    fn add(&mut self, name: &str, subnet: &str) {
        let name = quoted(name);
        self.operations.push(format!(
            r#"{{"op":"wait","table":"Transit_Switch","timeout":0,"where":[["name","==",{name}]],"columns":["name"],"until":"==","rows":[]}}"#
        ));
        let ids = map([(SUBNET, subnet), VENDOR]);
        self.operations.push(format!(
            r#"{{"op":"insert","table":"Transit_Switch","row":{{"name":{name},"external_ids":{ids}}}}}"#
        ));
        self.says
            .push(format!("make transit switch {name}, subnet {subnet}"));
    }

    fn guard(&mut self, switch: &TransitSwitch) {
        let ids = map(switch
            .external_ids
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str())));
        self.operations.push(format!(
            r#"{{"op":"wait","table":"Transit_Switch","timeout":0,"where":{},"columns":["name","external_ids"],"until":"==","rows":[{{"name":{},"external_ids":{ids}}}]}}"#,
            row(switch),
            quoted(&switch.name),
        ));
    }

    fn set_subnet(&mut self, switch: &TransitSwitch, subnet: &str) {
        self.guard(switch);
        let key = quoted(SUBNET);
        let pair = map([(SUBNET, subnet)]);
        // An insert alone would keep the old value of a key that is there.
        self.operations.push(format!(
            r#"{{"op":"mutate","table":"Transit_Switch","where":{},"mutations":[["external_ids","delete",["set",[{key}]]],["external_ids","insert",{pair}]]}}"#,
            row(switch),
        ));
        self.says.push(format!(
            "set the subnet of transit switch {} to {subnet}",
            quoted(&switch.name)
        ));
    }

    fn delete(&mut self, switch: &TransitSwitch) {
        self.guard(switch);
        self.operations.push(format!(
            r#"{{"op":"delete","table":"Transit_Switch","where":{}}}"#,
            row(switch),
        ));
        self.says
            .push(format!("delete transit switch {}", quoted(&switch.name)));
    }
}

/// Plans the way from `present` to `wanted`.
pub fn plan(wanted: &Wanted, present: &[TransitSwitch]) -> Plan {
    let mut plan = Plan::default();
    let of_name = |name: &str| present.iter().find(|switch| switch.name == name);
    match wanted {
        Wanted::Nothing => {}
        Wanted::One {
            name,
            subnet,
            explicit,
        } => match of_name(name) {
            None => plan.add(name, subnet),
            Some(switch) if *explicit && switch.external_ids.get(SUBNET) != Some(subnet) => {
                plan.set_subnet(switch, subnet);
            }
            Some(_) => {}
        },
        Wanted::Number { count, families } => {
            for i in 0..*count {
                let name = numbered_name(i);
                let subnet = families.subnet(i);
                match of_name(&name) {
                    None => plan.add(&name, &subnet),
                    // A subnet that somebody chose stays; a missing one is no choice.
                    Some(switch)
                        if switch.is_ours() && !switch.external_ids.contains_key(SUBNET) =>
                    {
                        plan.set_subnet(switch, &subnet);
                    }
                    Some(_) => {}
                }
            }
            let mut extra: Vec<(u32, &TransitSwitch)> = present
                .iter()
                .filter(|switch| switch.is_ours())
                .filter_map(|switch| Some((number_of(&switch.name)?, switch)))
                .filter(|(number, _)| number >= count)
                .collect();
            extra.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
            for (_, switch) in extra {
                plan.delete(switch);
            }
        }
    }
    plan
}

/// `ts`, `ts1`, `ts2`, ...
fn numbered_name(i: u32) -> String {
    match i {
        0 => "ts".to_owned(),
        i => format!("ts{i}"),
    }
}

/// The inverse of [`numbered_name`]: `ts0` and `ts01` are nobody's number.
fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("ts")?;
    let number = if digits.is_empty() {
        0
    } else {
        digits.parse().ok()?
    };
    (numbered_name(number) == name).then_some(number)
}

fn row(switch: &TransitSwitch) -> String {
    format!(r#"[["_uuid","==",["uuid",{}]]]"#, quoted(&switch.uuid))
}

fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    write::string(&mut out, text);
    String::from_utf8_lossy(&out).into_owned()
}

fn map<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(key, value)| format!("[{},{}]", quoted(key), quoted(value)))
        .collect();
    format!("[\"map\",[{}]]", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch(name: &str, ids: &[(&str, &str)]) -> TransitSwitch {
        TransitSwitch {
            uuid: "6f6ce6a8-2f9c-4a4a-a4f8-8d3a4b3f0d10".into(),
            name: name.into(),
            external_ids: ids
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
        }
    }

    fn ours(name: &str) -> TransitSwitch {
        switch(name, &[("subnet", "s"), ("vendor", "kube-ovn")])
    }

    fn number(count: u32) -> Wanted {
        Wanted::Number {
            count,
            families: Families::V4,
        }
    }

    fn one(explicit: bool) -> Wanted {
        Wanted::One {
            name: "ts".into(),
            subnet: "169.254.100.0/24".into(),
            explicit,
        }
    }

    #[test]
    fn subnets_are_numbered_by_family() {
        assert_eq!(Families::V4.subnet(0), "169.254.100.0/24");
        assert_eq!(Families::V6.subnet(0), "fe80:a9fe:64::/112");
        assert_eq!(Families::V4.subnet(MOST_SWITCHES - 1), "169.254.255.0/24");
        assert_eq!(
            Families::Dual.subnet(1),
            "169.254.101.0/24,fe80:a9fe:65::/112"
        );
    }

    #[test]
    fn plans_say_what_they_do() {
        let foreign = switch("ts2", &[]);
        type Case = (Wanted, Vec<TransitSwitch>, &'static [&'static str]);
        let cases: [Case; 12] = [
            (Wanted::Nothing, vec![], &[]),
            (
                one(false),
                vec![],
                &[r#"make transit switch "ts", subnet 169.254.100.0/24"#],
            ),
            (one(false), vec![ours("ts")], &[]),
            (
                one(true),
                vec![ours("ts")],
                &[r#"set the subnet of transit switch "ts" to 169.254.100.0/24"#],
            ),
            (
                one(true),
                vec![switch("ts", &[("subnet", "169.254.100.0/24")])],
                &[],
            ),
            (
                number(2),
                vec![],
                &[
                    r#"make transit switch "ts", subnet 169.254.100.0/24"#,
                    r#"make transit switch "ts1", subnet 169.254.101.0/24"#,
                ],
            ),
            (number(2), vec![ours("ts"), ours("ts1")], &[]),
            (
                number(1),
                vec![ours("ts"), ours("ts1"), ours("ts10"), ours("ts2")],
                &[
                    r#"delete transit switch "ts10""#,
                    r#"delete transit switch "ts2""#,
                    r#"delete transit switch "ts1""#,
                ],
            ),
            (
                number(0),
                vec![ours("ts")],
                &[r#"delete transit switch "ts""#],
            ),
            // Neither a stranger's row nor a name that is not numbered is touched.
            (
                number(1),
                vec![ours("ts"), foreign.clone(), ours("ts01"), ours("mine")],
                &[],
            ),
            (number(3), vec![ours("ts"), ours("ts1"), foreign], &[]),
            (
                number(1),
                vec![switch("ts", &[("vendor", "kube-ovn")])],
                &[r#"set the subnet of transit switch "ts" to 169.254.100.0/24"#],
            ),
        ];
        for (wanted, present, says) in cases {
            let plan = plan(&wanted, &present);
            assert_eq!(plan.says, says, "{wanted:?} {present:?}");
            assert_eq!(plan.operations.len(), 2 * says.len(), "each has its guard");
        }
    }

    #[test]
    fn the_text_is_json_whatever_the_names_are() {
        let wanted = Wanted::One {
            name: "a\"b\\\n".into(),
            subnet: "s".into(),
            explicit: true,
        };
        for present in [vec![], vec![switch("a\"b\\\n", &[("\"", "\\")])]] {
            let params = plan(&wanted, &present).params();
            let document = ovsdb::json::Document::parse(params.as_bytes()).expect("JSON");
            assert_eq!(document.root().len(), 3, "{params}");
        }
    }
}
