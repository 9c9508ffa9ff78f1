//! The rows that everything here works with: `Port` rows with about 80 bytes of values each, numbered from 0.
//!
//! Every number is printed with a fixed width, so all rows, and all updates of them, have the same length: that is
//! what lets a client of the bulk fetch know how long the answer is without parsing it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use sha1::{Digest, Sha1};

/// The schema, as JSON.
pub const SCHEMA: &str = include_str!("../bench.ovsschema");

/// Values of the column `seq` begin here: ten digits, also after billions of updates.
pub const FIRST_SEQ: u64 = 1_000_000_000;

/// Rows in one record of a database file and in one transaction of the bulk insert.
pub const BULK: usize = 1000;

/// The UUID of row `number`, without pattern, as a real one has none.
pub fn uuid(number: usize) -> String {
    let (high, low) = (scramble(number as u64), scramble(!(number as u64)));
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

/// The value of the indexed column of row `number`.
pub fn name(number: usize) -> String {
    format!("port-{number:08}")
}

/// A value that one row alone has, in a column without an index.
pub fn mac(number: usize) -> String {
    format!(
        "0a:{:02x}:{:02x}:{:02x}:00:01",
        number >> 16 & 0xff,
        number >> 8 & 0xff,
        number & 0xff
    )
}

/// Appends row `number` as JSON, as in an insert operation or a record of the log.
///
/// Put together from pieces, not formatted: at a thousand rows a request the generator would be seen in the figures.
pub fn push_row(number: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"name":"port-"#);
    push_digits(number, 8, out);
    out.extend_from_slice(br#"","mac":"0a:"#);
    for shift in [16, 8, 0] {
        let byte = number >> shift & 0xff;
        out.extend_from_slice(&[HEX[byte >> 4], HEX[byte & 15], b':']);
    }
    out.extend_from_slice(br#"00:01","chassis":"chassis-"#);
    push_digits(number % 512, 4, out);
    out.extend_from_slice(br#"","addresses":["set",["10.1.2."#);
    push_digits(number % 250, 3, out);
    out.extend_from_slice(br#"","fd00::"#);
    push_digits(number % 250, 3, out);
    out.extend_from_slice(br#""]],"external_ids":["map",[["zone","az"#);
    push_digits(number % 10, 1, out);
    out.extend_from_slice(br#""]]],"seq":1000000000}"#);
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn push_digits(number: usize, width: u32, out: &mut Vec<u8>) {
    for place in (0..width).rev() {
        out.push(b'0' + (number / 10_usize.pow(place) % 10) as u8);
    }
}

/// Writes a standalone database file with `rows` rows of `Port`, `BULK` in each record (ovsdb(5)).
pub fn write_database(path: &Path, rows: usize) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut file = BufWriter::new(file);
    let schema: serde_json::Value = serde_json::from_str(SCHEMA)?;
    write_record(&mut file, schema.to_string().into_bytes())?;
    let mut first = 0;
    while first < rows {
        let next = rows.min(first + BULK);
        let mut record =
            br#"{"_date":1700000000000,"_comment":"bench","_is_diff":true,"Port":{"#.to_vec();
        for number in first..next {
            let comma = if number > first { "," } else { "" };
            write!(record, "{comma}\"{}\":", uuid(number))?;
            push_row(number, &mut record);
        }
        record.extend_from_slice(b"}}");
        write_record(&mut file, record)?;
        first = next;
    }
    file.into_inner()?.sync_all()?;
    Ok(())
}

/// Appends one record of a database file.
pub fn write_record(file: &mut impl Write, mut text: Vec<u8>) -> Result<()> {
    text.push(b'\n');
    let hash: String = Sha1::digest(&text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    writeln!(file, "OVSDB JSON {} {hash}", text.len())?;
    file.write_all(&text)?;
    Ok(())
}

/// One step of the generator splitmix64: a bijection of the 64-bit numbers.
pub fn scramble(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn rows_differ_and_are_all_of_one_length() {
        let mut lengths = BTreeSet::new();
        let mut keys = BTreeSet::new();
        for number in 0..10_000 {
            let mut row = Vec::new();
            push_row(number, &mut row);
            let parsed: serde_json::Value = serde_json::from_slice(&row).unwrap();
            assert_eq!(parsed["name"], name(number));
            assert_eq!(parsed["mac"], mac(number));
            assert_eq!(parsed["seq"], FIRST_SEQ);
            lengths.insert(row.len());
            keys.insert(uuid(number));
            keys.insert(name(number));
            keys.insert(mac(number));
        }
        assert_eq!(lengths.len(), 1);
        assert_eq!(keys.len(), 30_000);
        assert!(keys.iter().all(|key| [13, 17, 36].contains(&key.len())));
    }
}
