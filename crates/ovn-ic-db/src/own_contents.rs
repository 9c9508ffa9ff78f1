//! Whether a database holds anything that this program would not make again by itself.

use ovsdb_engine::{Row, Version};

use crate::founding::Holding;
use crate::schemas::Side;
use crate::switch_keeper::present;
use crate::transit_switches::Wanted;

/// Tables whose only row clients make by themselves.
const GLOBAL: [&str; 2] = ["IC_NB_Global", "IC_SB_Global"];
const SWITCHES: &str = "Transit_Switch";

/// Looks through the contents: at most transit switches as `wanted` asks for them or as some other node's
/// numbers would, and a global row without anything in it, are nothing of their own.
pub fn holding(version: &Version, wanted: &Wanted) -> Holding {
    let schema = version.schema();
    let nothing = version.tables().all(|(id, table)| {
        let own = schema.table(id);
        let defaults_but = |row: &Row, names: &[&str]| {
            own.own_columns().all(|(column, its)| {
                names.contains(&&*its.name) || *row.get(column) == its.column_type.default_datum()
            })
        };
        match &*own.name {
            name if GLOBAL.contains(&name) => table.rows().all(|row| defaults_but(row, &[])),
            SWITCHES if *schema.name == *Side::Northbound.database() => table
                .rows()
                .all(|row| defaults_but(row, &["name", "external_ids"])),
            _ => table.is_empty(),
        }
    });
    let made = || match present(version) {
        Ok(switches) => switches.iter().all(|switch| switch.is_made_by(wanted)),
        // No table, no rows.
        Err(_) => true,
    };
    if nothing && made() {
        Holding::OwnSwitches
    } else {
        Holding::Data
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ovsdb::json::Document;
    use ovsdb::{Schema, Uuid};
    use ovsdb_engine::{Context, Outcome, Transaction};

    use super::*;
    use crate::transit_switches::{Families, plan};

    fn after(version: &Version, params: String) -> Version {
        let document = Document::parse(params.into_bytes()).expect("JSON");
        let transaction = Transaction::parse(document.root(), version.schema(), Uuid::new_v4);
        let mut context = Context {
            read_only: false,
            role: None,
            elapsed: 0,
            owns_lock: &|_| false,
            new_uuid: &mut Uuid::new_v4,
        };
        match transaction.execute(version, &mut context) {
            Outcome::Done { version, .. } => version,
            other => panic!("{other:?}"),
        }
    }

    fn with(side: Side, operations: &[&str]) -> Version {
        let schema = Schema::from_text(side.schema().as_bytes()).expect("a schema");
        let empty = Version::empty(Arc::new(schema));
        if operations.is_empty() {
            return empty;
        }
        let made = after(
            &empty,
            format!("[\"{}\",{}]", side.database(), operations.join(",")),
        );
        assert_eq!(made.row_count(), operations.len());
        made
    }

    fn one() -> Wanted {
        Wanted::One {
            name: "mine".into(),
            subnet: "10.9.0.0/24".into(),
            explicit: true,
        }
    }

    #[test]
    fn what_the_keeper_makes_is_nothing() {
        let number = |count, families| Wanted::Number { count, families };
        let default = Wanted::One {
            name: "ts".into(),
            subnet: Families::V4.subnet(0),
            explicit: false,
        };
        for wanted in [
            Wanted::Nothing,
            default.clone(),
            one(),
            number(3, Families::Dual),
        ] {
            let plan = plan(&wanted, &[]);
            let empty = with(Side::Northbound, &[]);
            let version = match plan.operations.is_empty() {
                true => empty,
                false => after(&empty, plan.params()),
            };
            assert_eq!(version.row_count(), plan.says.len());
            assert_eq!(holding(&version, &wanted), Holding::OwnSwitches);
            // A node with other numbers says the same; names of one's own nobody else knows.
            let others = holding(&version, &number(9, Families::V6));
            let expected = match wanted == one() {
                true => Holding::Data,
                false => Holding::OwnSwitches,
            };
            assert_eq!(others, expected, "{wanted:?}");
        }
    }

    #[test]
    fn anything_else_is_data() {
        let (nb, sb) = (Side::Northbound, Side::Southbound);
        let own = r#"["map",[["subnet","169.254.100.0/24"],["vendor","kube-ovn"]]]"#;
        for (side, operation, expected) in [
            (
                nb,
                r#"{"op":"insert","table":"IC_NB_Global","row":{}}"#.to_owned(),
                Holding::OwnSwitches,
            ),
            (
                sb,
                r#"{"op":"insert","table":"IC_SB_Global","row":{}}"#.to_owned(),
                Holding::OwnSwitches,
            ),
            (
                nb,
                r#"{"op":"insert","table":"IC_NB_Global","row":{"nb_ic_cfg":1}}"#.to_owned(),
                Holding::Data,
            ),
            (
                sb,
                r#"{"op":"insert","table":"Availability_Zone","row":{"name":"az1"}}"#.to_owned(),
                Holding::Data,
            ),
            (
                nb,
                r#"{"op":"insert","table":"Transit_Switch","row":{"name":"ts"}}"#.to_owned(),
                Holding::Data,
            ),
            (
                nb,
                format!(
                    r#"{{"op":"insert","table":"Transit_Switch","row":{{"name":"ts","external_ids":{own}}}}}"#
                ),
                Holding::OwnSwitches,
            ),
            (
                nb,
                format!(
                    r#"{{"op":"insert","table":"Transit_Switch","row":{{"name":"ts2","external_ids":{own}}}}}"#
                ),
                Holding::Data,
            ),
            (
                nb,
                format!(
                    r#"{{"op":"insert","table":"Transit_Switch","row":{{"name":"ts","other_config":["map",[["a","b"]]],"external_ids":{own}}}}}"#
                ),
                Holding::Data,
            ),
        ] {
            let version = with(side, &[&operation]);
            assert_eq!(holding(&version, &Wanted::Nothing), expected, "{operation}");
        }
    }
}
