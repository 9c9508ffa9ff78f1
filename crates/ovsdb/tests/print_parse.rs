//! What is printed reads back as the same value: schemas, datums, and conditions with them.

use ovsdb::datum_print::Reals;
use ovsdb::json::Document;
use ovsdb::{
    Atom, AtomicType, BaseType, Clause, ColumnType, Condition, Datum, Function, NoNames, Schema,
    Uuid,
};
use proptest::prelude::*;

fn base_type() -> impl Strategy<Value = String> {
    let range = |name: &'static str| {
        (
            proptest::option::of(-9i64..9),
            proptest::option::of(9i64..99),
        )
            .prop_map(move |(low, high)| {
                let low = low.map_or(String::new(), |n| format!(r#","minInteger":{n}"#));
                let high = high.map_or(String::new(), |n| format!(r#","maxInteger":{n}"#));
                format!(r#"{{"type":"{name}"{low}{high}}}"#)
            })
    };
    prop_oneof![
        proptest::sample::select(vec!["integer", "real", "boolean", "string", "uuid"])
            .prop_map(|name| format!("\"{name}\"")),
        range("integer"),
        (-5.0f64..0.0, 0.0f64..1e20).prop_map(|(low, high)| format!(
            r#"{{"type":"real","minReal":{low:.3},"maxReal":{high:.3}}}"#
        )),
        (0u32..5, 5u32..50).prop_map(|(low, high)| format!(
            r#"{{"type":"string","minLength":{low},"maxLength":{high}}}"#
        )),
        proptest::collection::btree_set("[a-z\"\\\\é]{0,4}", 1..4).prop_map(|words| {
            let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
            format!(
                r#"{{"type":"string","enum":["set",[{}]]}}"#,
                words.join(",")
            )
        }),
        (any::<bool>(), 0usize..3).prop_map(|(weak, table)| {
            let kind = if weak { "weak" } else { "strong" };
            format!(r#"{{"type":"uuid","refTable":"T{table}","refType":"{kind}"}}"#)
        }),
    ]
}

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    ovsdb::json::write::string(&mut out, text);
    String::from_utf8(out).expect("UTF-8")
}

fn column() -> impl Strategy<Value = String> {
    let limits = prop_oneof![
        Just(String::new()),
        Just(r#","min":0"#.to_owned()),
        Just(r#","min":0,"max":"unlimited""#.to_owned()),
        (1u32..9).prop_map(|max| format!(r#","min":1,"max":{max}"#)),
    ];
    (
        base_type(),
        proptest::option::of(base_type()),
        limits,
        any::<(bool, bool)>(),
    )
        .prop_map(|(key, value, limits, (ephemeral, mutable))| {
            let value = value.map_or(String::new(), |value| format!(",\"value\":{value}"));
            format!(
                r#"{{"type":{{"key":{key}{value}{limits}}},"ephemeral":{ephemeral},"mutable":{mutable}}}"#
            )
        })
}

fn schema() -> impl Strategy<Value = String> {
    let table = (
        proptest::collection::vec(column(), 1..5),
        any::<bool>(),
        proptest::option::of(1u32..100),
        any::<bool>(),
    );
    proptest::collection::vec(table, 3).prop_map(|tables| {
        let tables: Vec<_> = tables
            .into_iter()
            .enumerate()
            .map(|(place, (columns, is_root, max_rows, indexed))| {
                let columns: Vec<_> = columns
                    .iter()
                    .enumerate()
                    .map(|(place, column)| format!("\"c{place}\":{column}"))
                    .collect();
                let max_rows =
                    max_rows.map_or(String::new(), |rows| format!(",\"maxRows\":{rows}"));
                let index = r#","columns":{"key":{"type":"string"},"#;
                let (index, indexes) = if indexed {
                    (index, r#","indexes":[["key"]]"#)
                } else {
                    (r#","columns":{"#, "")
                };
                format!(
                    "\"T{place}\":{{\"isRoot\":{is_root}{max_rows}{indexes}{index}{}}}}}",
                    columns.join(",")
                )
            })
            .collect();
        format!(
            r#"{{"name":"S","version":"1.2.3","cksum":"1 2","tables":{{{}}}}}"#,
            tables.join(",")
        )
    })
}

fn atom(atomic: AtomicType) -> BoxedStrategy<Atom> {
    match atomic {
        AtomicType::Integer => any::<i64>().prop_map(Atom::Integer).boxed(),
        AtomicType::Real => prop_oneof![
            proptest::num::f64::NORMAL,
            (-99i32..99).prop_map(|n| f64::from(n) / 4.0),
        ]
        .prop_map(|real| Atom::Real(real + 0.0))
        .boxed(),
        AtomicType::Boolean => any::<bool>().prop_map(Atom::Boolean).boxed(),
        AtomicType::String => "[^\u{0}]{0,12}"
            .prop_map(|text| Atom::string(&text))
            .boxed(),
        AtomicType::Uuid => any::<u128>()
            .prop_map(|uuid| Atom::Uuid(Uuid::from_u128(uuid)))
            .boxed(),
    }
}

fn atomic() -> impl Strategy<Value = AtomicType> {
    proptest::sample::select(vec![
        AtomicType::Integer,
        AtomicType::Real,
        AtomicType::Boolean,
        AtomicType::String,
        AtomicType::Uuid,
    ])
}

/// A type of any number of elements, with two values of it.
fn values() -> impl Strategy<Value = (ColumnType, Datum, Datum)> {
    (atomic(), proptest::option::of(atomic()), any::<bool>()).prop_flat_map(
        |(key, value, optional)| {
            let column_type = ColumnType {
                key: BaseType::plain(key),
                value: value.map(BaseType::plain),
                min: 0,
                max: if optional { 1 } else { u32::MAX },
            };
            let most = if optional { 2 } else { 7 };
            let datum = move || match value {
                Some(value) => proptest::collection::vec((atom(key), atom(value)), 0..most)
                    .prop_map(Datum::map)
                    .boxed(),
                None => proptest::collection::vec(atom(key), 0..most)
                    .prop_map(Datum::set)
                    .boxed(),
            };
            (Just(column_type), datum(), datum())
        },
    )
}

fn printed(datum: &Datum, column_type: &ColumnType) -> String {
    let mut out = Vec::new();
    datum.write_json(&mut out, column_type, Reals::Exact);
    String::from_utf8(out).expect("UTF-8")
}

proptest! {
    #[test]
    fn schemas_read_back(text in schema()) {
        // Not every combination is a schema; if hardly any were, this would fail.
        let schema = Schema::from_text(text.as_bytes());
        prop_assume!(schema.is_ok());
        let schema = schema.expect("checked");
        let back = Schema::from_text(schema.to_json().as_bytes()).expect("printed schema");
        prop_assert_eq!(back.to_json(), schema.to_json());
        prop_assert_eq!(back, schema);
    }

    #[test]
    fn datums_read_back((column_type, datum, _) in values()) {
        let text = format!("[{}]", printed(&datum, &column_type));
        let document = Document::parse(text).expect("JSON");
        let json = document.root().element(0).expect("value");
        prop_assert_eq!(Datum::parse(json, &column_type, &mut NoNames), Ok(datum));
    }

    #[test]
    fn differences_lead_from_one_to_the_other((column_type, old, new) in values()) {
        let diff = Datum::diff(&old, &new, &column_type);
        prop_assert_eq!(old.apply_diff(&diff, &column_type), new.clone());
        // Also by way of the notation.
        let document = Document::parse(format!("[{}]", printed(&diff, &column_type))).expect("JSON");
        let json = document.root().element(0).expect("value");
        let diff = Datum::parse_diff(json, &column_type).expect("difference");
        prop_assert_eq!(old.apply_diff(&diff, &column_type), new);
    }

    #[test]
    fn conditions_read_back(number: i64, function in 0usize..8) {
        let name = ["==", "!=", "<", "<=", ">", ">=", "includes", "excludes"][function];
        let schema = Schema::from_text(
            br#"{"name":"S","version":"1.0.0","tables":{"T":{"columns":{"n":{"type":"integer"}}}}}"#,
        ).expect("schema");
        let table = &schema.tables[0];
        let document = Document::parse(format!(r#"[["n","{name}",{number}],true]"#)).expect("JSON");
        let condition = Condition::parse(document.root(), table, &mut NoNames).expect("condition");
        prop_assert_eq!(condition.clauses, vec![
            Clause::Compare {
                column: table.find("n").expect("column"),
                function: Function::from_name(name).expect("function"),
                value: Datum::One(Atom::Integer(number)),
            },
            Clause::Constant(true),
        ]);
    }
}
