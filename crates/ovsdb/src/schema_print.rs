//! Printing schemas, in the form that the reference gives them.

use crate::column_type::{BaseType, ColumnType, Constraint, RefType};
use crate::datum::Datum;
use crate::datum_print::Reals;
use crate::json::write;
use crate::schema::{Column, Schema, TableSchema};

/// Appends the members of an object one by one.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Object { out, empty: true }
    }

    fn member(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.empty, false) {
            self.out.push(b',');
        }
        write::string(self.out, name);
        self.out.push(b':');
        self.out
    }

    fn close(self) {
        self.out.push(b'}');
    }
}

impl Schema {
    /// The schema as the text of a JSON object.
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.write_json(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    /// Appends the schema as a JSON object.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::open(out);
        if !self.cksum.is_empty() {
            write::string(object.member("cksum"), &self.cksum);
        }
        write::string(object.member("name"), &self.name);
        // Where every table is in the root set, "isRoot" is left out, for readers that do not
        // know it.
        let default_is_root = self.tables.iter().all(|table| table.is_root);
        let mut tables = Object::open(object.member("tables"));
        for table in &self.tables {
            write_table(tables.member(&table.name), table, default_is_root);
        }
        tables.close();
        if !self.version.is_empty() {
            write::string(object.member("version"), &self.version);
        }
        object.close();
    }
}

fn write_table(out: &mut Vec<u8>, table: &TableSchema, default_is_root: bool) {
    let mut object = Object::open(out);
    let mut columns = Object::open(object.member("columns"));
    for (_, column) in table.own_columns() {
        write_column(columns.member(&column.name), column);
    }
    columns.close();
    if !table.indexes.is_empty() {
        let out = object.member("indexes");
        for (i, index) in table.indexes.iter().enumerate() {
            out.push(if i == 0 { b'[' } else { b',' });
            for (j, id) in index.iter().enumerate() {
                out.push(if j == 0 { b'[' } else { b',' });
                write::string(out, &table.column(*id).name);
            }
            out.push(b']');
        }
        out.push(b']');
    }
    if table.is_root != default_is_root {
        write::boolean(object.member("isRoot"), table.is_root);
    }
    if table.max_rows != u32::MAX {
        write::integer(object.member("maxRows"), table.max_rows.into());
    }
    if !table.mutable {
        write::boolean(object.member("mutable"), false);
    }
    object.close();
}

fn write_column(out: &mut Vec<u8>, column: &Column) {
    let mut object = Object::open(out);
    if !column.persistent {
        write::boolean(object.member("ephemeral"), true);
    }
    if !column.mutable {
        write::boolean(object.member("mutable"), false);
    }
    write_type(object.member("type"), &column.column_type);
    object.close();
}

/// Appends a `<type>`.
pub fn write_type(out: &mut Vec<u8>, column_type: &ColumnType) {
    if column_type.is_scalar() && column_type.key.is_plain() {
        return write_base(out, &column_type.key);
    }
    let mut object = Object::open(out);
    write_base(object.member("key"), &column_type.key);
    match column_type.max {
        1 => {}
        u32::MAX => write::string(object.member("max"), "unlimited"),
        max => write::integer(object.member("max"), max.into()),
    }
    if column_type.min != 1 {
        write::integer(object.member("min"), column_type.min.into());
    }
    if let Some(value) = &column_type.value {
        write_base(object.member("value"), value);
    }
    object.close();
}

fn write_base(out: &mut Vec<u8>, base: &BaseType) {
    if base.is_plain() {
        return write::string(out, base.atomic.name());
    }
    let mut object = Object::open(out);
    if let Some(allowed) = &base.allowed {
        let set = ColumnType::scalar(base.atomic);
        Datum::from_sorted_set(allowed).write_json(object.member("enum"), &set, Reals::Rounded);
    }
    match &base.constraint {
        Constraint::None => {}
        Constraint::Integer { min, max } => {
            if *max != i64::MAX {
                write::integer(object.member("maxInteger"), *max);
            }
            if *min != i64::MIN {
                write::integer(object.member("minInteger"), *min);
            }
        }
        Constraint::Real { min, max } => {
            if *max != f64::MAX {
                write::real_exactly(object.member("maxReal"), *max);
            }
            if *min != -f64::MAX {
                write::real_exactly(object.member("minReal"), *min);
            }
        }
        Constraint::String { min, max } => {
            if *max != u32::MAX {
                write::integer(object.member("maxLength"), (*max).into());
            }
            if *min != 0 {
                write::integer(object.member("minLength"), (*min).into());
            }
        }
        Constraint::Reference { table, kind, .. } => {
            write::string(object.member("refTable"), table);
            if *kind == RefType::Weak {
                write::string(object.member("refType"), "weak");
            }
        }
    }
    write::string(object.member("type"), base.atomic.name());
    object.close();
}

#[cfg(test)]
mod tests {
    use crate::json::Document;
    use crate::schema::Schema;

    const NORTHBOUND: &str = include_str!("../../../schemas/ovn-ic-nb.ovsschema");
    const SOUTHBOUND: &str = include_str!("../../../schemas/ovn-ic-sb.ovsschema");

    fn canonical(text: &str) -> String {
        Document::parse(text).expect("JSON").root().canonical()
    }

    #[test]
    fn schemas_print_and_parse_back() {
        for text in [NORTHBOUND, SOUTHBOUND] {
            let schema = Schema::from_text(text.as_bytes()).expect("schema");
            let printed = schema.to_json();
            assert_eq!(canonical(&printed), printed, "sorted and compact");
            let back = Schema::from_text(printed.as_bytes()).expect("schema");
            assert_eq!(back, schema);
        }
    }

    #[test]
    fn what_a_schema_forbids_itself_is_refused() {
        for (text, details) in [
            ("[]", "Parsing database schema failed: Object expected."),
            (
                r#"{"name":"x","version":"1.2","tables":{}}"#,
                "schema version \"1.2\" not in format x.y.z",
            ),
            (
                r#"{"name":"x","tables":{"_t":{"columns":{}}}}"#,
                "names beginning with \"_\" are reserved",
            ),
            (
                r#"{"name":"x","tables":{"t":{"columns":{}}}}"#,
                "table must have at least one column",
            ),
            (
                r#"{"name":"x","tables":{"t":{"columns":{"a":{"type":{"key":{"type":"uuid","refTable":"u"}}}}}}}"#,
                "column a key refers to undefined table u",
            ),
            (
                r#"{"name":"x","tables":{"t":{"columns":{"a":{"type":{"key":"integer","min":2}}}}}}"#,
                "ovsdb type fails constraint checks",
            ),
            (
                r#"{"name":"x","tables":{"t":{"columns":{"a":{"type":"integer","ephemeral":true}},"indexes":[["a"]]}}}"#,
                "ephemeral columns (such as a) may not be indexed",
            ),
        ] {
            let error = Schema::from_text(text.as_bytes()).expect_err(text);
            assert_eq!(error.details.as_deref(), Some(details), "{text}");
        }
    }
}
