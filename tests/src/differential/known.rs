//! Where ours and the reference (3.1) are known to differ, or where the
//! reference is at odds with itself from run to run. Each has its reason.
//! Requests that lead there are not sent ([`is_avoided`]), or what differs is
//! taken out of both answers ([`without_chance`], [`is_no_change`]).
//!
//! Two more are avoided where the requests are made: maps with a weak
//! reference on one side and a strong one on the other (`schema.rs`; when the
//! weak one's row goes, the pair goes, but 3.1 keeps the strong one's row), and
//! lone surrogates and invalid UTF-8 (no generator makes them; ours closes the
//! connection, 3.1 passes some of it on to other clients).

use serde_json::Value;

use super::schema::Schema;

/// Whether the reference cannot read back what it wrote. It writes the
/// difference of two sets or maps, which may have more elements than the column
/// allows, and refuses that (and all that follows) when it starts again.
#[must_use]
pub fn loses_rows_at_restart(schema: &Schema) -> bool {
    let columns = schema.tables.iter().flat_map(|table| &table.columns);
    columns.filter(|column| !column.ephemeral).any(|column| {
        column
            .max
            .is_some_and(|max| max > 1 || column.value.is_some())
    })
}

/// Whether the reference would forget a weak reference: one that is added in the
/// transaction that also changes the row it is to. When that row goes later, the
/// reference to it stays, and unique indexes do not see what they should.
#[must_use]
pub fn forgets_weak_references(schema: &Schema, params: &Value) -> bool {
    let operations = params.as_array().map_or(&[][..], Vec::as_slice);
    let changes = |table: &str| {
        operations.iter().any(|operation| {
            operation["table"] == table
                && (operation["op"] == "update" || operation["op"] == "mutate")
        })
    };
    operations.iter().any(|operation| {
        let table = operation["table"].as_str().unwrap_or_default();
        let columns = schema.table(table).map_or(&[][..], |table| &table.columns);
        columns.iter().any(|column| {
            let bases = std::iter::once(&column.key).chain(&column.value);
            let written = operation["row"].get(&column.name).is_some()
                || operation["mutations"].to_string().contains(&column.name);
            written
                && bases
                    .filter_map(|base| base.target.as_ref())
                    .any(|(target, strong)| !strong && changes(target))
        })
    })
}

/// Whether the reference ends or hangs up at this request, or answers by chance:
/// - `*=` with 0 on a set of several integers ended the process (the results are
///   duplicates, which an assertion did not expect);
/// - `monitor` with two params reads the third one all the same;
/// - dividing the least integer by -1 is undefined in C.
#[must_use]
pub fn is_avoided(method: &str, params: &Value) -> bool {
    (method == "monitor" && params.as_array().is_some_and(|params| params.len() < 3))
        || has_hazardous_mutation(params)
}

fn has_hazardous_mutation(value: &Value) -> bool {
    match value {
        Value::Array(items) => {
            if let [Value::String(_), Value::String(mutator), operand] = &items[..] {
                let zero = operand.as_f64() == Some(0.0);
                let minus_one = operand.as_f64() == Some(-1.0);
                if mutator == "*=" && zero || ["/=", "%="].contains(&mutator.as_str()) && minus_one
                {
                    return true;
                }
            }
            items.iter().any(has_hazardous_mutation)
        }
        Value::Object(members) => members.values().any(has_hazardous_mutation),
        _ => false,
    }
}

/// A `transact` reply without the reference's own chance, as it takes rows in
/// the order of a hash table of random UUIDs: which row it names in an error
/// found at commit (the extra last result; also which of two rows is the first
/// with the same value of an index), and which row's value it names when a
/// mutation of several rows breaks a rule. There the `details` may differ, the
/// `error` not.
///
/// The same goes for a `convert` whose contents break a rule of the new schema
/// ([`without_rows`]).
///
/// The details of "duplicate uuid" are those of newer versions in ours. Those of a `wait` that is over say in
/// milliseconds how long it took, and with a timeout of 0 whether that was one.
pub fn without_chance(params: &Value, reply: &mut Value) {
    let operations = params.as_array().map_or(0, Vec::len).saturating_sub(1);
    let results = reply["result"].as_array_mut();
    for (index, result) in results.into_iter().flatten().enumerate() {
        let at_commit = index == operations;
        let of_mutation = params[index + 1]["op"] == "mutate";
        let chance = (at_commit || of_mutation) && is_violation(result);
        let of_time = params[index + 1]["op"] == "wait" && result["error"] == "timed out";
        if chance || of_time || result["error"] == "duplicate uuid" {
            result["details"] = Value::Null;
        }
    }
}

/// A reply without what depends on the order in which the reference goes through
/// the members of a JSON object (that of a hash table): where several columns of
/// a row or several tables of a request are wrong, it names one of them.
/// To be used only if the replies differ.
pub fn without_member_order(request: &Value, reply: &mut Value) {
    let params = &request["params"];
    match request["method"].as_str() {
        Some("transact") => {
            let results = reply["result"].as_array_mut();
            for (index, result) in results.into_iter().flatten().enumerate() {
                let operation = &params[index + 1];
                let row = ["row", "rows"]
                    .iter()
                    .any(|name| operation.get(name).is_some());
                let of_column = [
                    "syntax error",
                    "constraint violation",
                    "unknown column",
                    "ovsdb error",
                ]
                .iter()
                .any(|error| result["error"] == *error);
                // A mutation of several rows may be out of the type's range in
                // one and out of the column's in another, or divide by zero.
                let of_row = ["range error", "domain error", "constraint violation"]
                    .iter()
                    .any(|error| result["error"] == *error);
                if row && of_column {
                    *result = Value::from("one of its columns is wrong");
                } else if operation["op"] == "mutate" && of_row {
                    *result = Value::from("one of its rows cannot be mutated");
                }
            }
        }
        Some("monitor" | "monitor_cond" | "monitor_cond_since" | "monitor_cond_change") => {
            let tables = params[2].as_object().map_or(0, serde_json::Map::len);
            let details = reply["error"]["details"].as_str().unwrap_or_default();
            // Without `columns` it goes through all of them, likewise.
            let repeated = details.ends_with("mentioned more than once");
            if (tables > 1 || repeated) && !reply["error"].is_null() {
                reply["error"] = Value::from("one of its tables or columns is wrong");
            }
        }
        Some("convert") if reply["error"]["error"] == "syntax error" => {
            reply["error"] = Value::from("something in the schema is wrong");
        }
        _ => {}
    }
}

/// The reply to `convert`, likewise.
pub fn without_rows(reply: &mut Value) {
    if is_violation(&reply["error"]) {
        reply["error"]["details"] = Value::Null;
    }
}

fn is_violation(result: &Value) -> bool {
    result["error"] == "constraint violation"
        || result["error"] == "referential integrity violation"
}

/// Whether a row's part of an update notification says that nothing changed.
/// 3.1 reports a row that gained and lost a dangling weak reference in one
/// transaction as changed: with `_version` or nothing at all in it.
#[must_use]
pub fn is_no_change(row: &Value) -> bool {
    let bare = |value: &Value| {
        value
            .as_object()
            .is_some_and(|members| members.keys().all(|column| column == "_version"))
    };
    match row.as_object() {
        Some(members) if members.contains_key("modify") => bare(&row["modify"]),
        Some(members) if members.contains_key("old") && members.contains_key("new") => {
            bare(&row["old"])
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hazards_are_found_wherever_they_hide() {
        let mutate = |mutation| json!(["d", {"op": "mutate", "mutations": [mutation]}]);
        assert!(is_avoided("transact", &mutate(json!(["c", "*=", 0]))));
        assert!(is_avoided("transact", &mutate(json!(["c", "/=", -1]))));
        assert!(!is_avoided("transact", &mutate(json!(["c", "*=", 2]))));
        assert!(is_avoided("monitor", &json!(["d", 1])));
        assert!(!is_avoided("monitor", &json!(["d", 1, {}])));
    }

    #[test]
    fn how_long_a_wait_took_is_chance() {
        let params = json!(["d", {"op": "wait", "timeout": 0}, {"op": "select"}]);
        let over = |details: &str| {
            let result = json!({"error": "timed out", "details": details});
            let mut reply = json!({"result": [result, null]});
            without_chance(&params, &mut reply);
            reply
        };
        let failed = over("\"where\" clause test failed");
        assert_eq!(failed, over("\"wait\" timed out after 1 ms"));
        assert_eq!(failed["result"][0]["error"], "timed out");
    }

    #[test]
    fn a_bare_version_is_no_change() {
        assert!(is_no_change(&json!({"modify": {"_version": 1}})));
        assert!(is_no_change(&json!({"old": {}, "new": {"a": 1}})));
        assert!(!is_no_change(&json!({"modify": {"a": 1}})));
        assert!(!is_no_change(&json!({"delete": null})));
        assert!(!is_no_change(&json!({"insert": {}})));
    }
}
