//! Printing datums: as JSON, and as text for error messages.

use crate::atom::Atom;
use crate::column_type::ColumnType;
use crate::datum::Datum;

/// How reals are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reals {
    /// With 15 significant digits, as the reference does on the wire.
    Rounded,
    /// So that they read back as the same value, for files.
    Exact,
}

impl Datum {
    /// Appends the value as JSON.
    pub fn write_json(&self, out: &mut Vec<u8>, column_type: &ColumnType, reals: Reals) {
        let exactly = reals == Reals::Exact;
        match self {
            Datum::Empty if column_type.is_map() => out.extend_from_slice(b"[\"map\",[]]"),
            Datum::Empty => out.extend_from_slice(b"[\"set\",[]]"),
            Datum::One(atom) => atom.write_json(out, exactly),
            Datum::Set(atoms) => {
                out.extend_from_slice(b"[\"set\",[");
                write_list(out, atoms, |out, atom| atom.write_json(out, exactly));
                out.extend_from_slice(b"]]");
            }
            Datum::Map(pairs) => {
                out.extend_from_slice(b"[\"map\",[");
                write_list(out, pairs, |out, (key, value)| {
                    out.push(b'[');
                    key.write_json(out, exactly);
                    out.push(b',');
                    value.write_json(out, exactly);
                    out.push(b']');
                });
                out.extend_from_slice(b"]]");
            }
        }
    }

    /// The value as error texts show it, such as `[1, 2]` or `{a=b}`.
    pub fn to_text(&self, column_type: &ColumnType) -> String {
        let mut out = String::new();
        let (open, close) = if column_type.is_map() {
            ('{', '}')
        } else {
            ('[', ']')
        };
        let bracketed = column_type.max > 1 || self.is_empty();
        if bracketed {
            out.push(open);
        }
        let mut separator = "";
        for atom in self.atoms() {
            out.push_str(separator);
            separator = ", ";
            atom.write_text(&mut out);
        }
        for (key, value) in self.pairs() {
            out.push_str(separator);
            separator = ", ";
            Atom::write_text(key, &mut out);
            out.push('=');
            value.write_text(&mut out);
        }
        if bracketed {
            out.push(close);
        }
        out
    }
}

fn write_list<T>(out: &mut Vec<u8>, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(out, item);
    }
}
