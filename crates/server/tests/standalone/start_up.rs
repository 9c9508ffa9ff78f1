//! How long opening a large file takes: `cargo test --release -p ovsdb-server --test standalone
//! start_up -- --ignored --nocapture` prints it.

use std::fmt::Write;
use std::time::Instant;

use ovsdb_log::{Magic, RecordBuffer};
use ovsdb_server::standalone::File;

const ROWS: usize = 100_000;
const ZONE: &str = "00000000-0000-4000-8000-000000000000";

fn row(n: usize) -> String {
    format!(
        r#""{:08x}-0000-4000-9000-{n:012x}":{{"transit_switch":"ts{}","availability_zone":["uuid","{ZONE}"],"ip_prefix":"10.{}.{}.0/24","nexthop":"169.254.100.{}","origin":"connected","external_ids":["map",[["ic-node","node-{n}"],["vendor","kube-ovn"]]]}}"#,
        (n as u32).wrapping_mul(2_654_435_761),
        n % 10,
        n / 256,
        n % 256,
        n % 250
    )
}

fn file(rows_a_record: usize) -> Vec<u8> {
    let schema = include_str!("../../../../schemas/ovn-ic-sb.ovsschema").replace('\n', " ");
    let mut buffer = RecordBuffer::new(Magic::Json);
    buffer.record(|out| out.extend_from_slice(schema.as_bytes()));
    let numbers: Vec<usize> = (0..ROWS).collect();
    for (i, chunk) in numbers.chunks(rows_a_record).enumerate() {
        let rows: Vec<String> = chunk.iter().map(|n| row(*n)).collect();
        let mut text = r#"{"_date":1700000000000,"_is_diff":true"#.to_owned();
        if i == 0 {
            let zone = format!(r#","Availability_Zone":{{"{ZONE}":{{"name":"az"}}}}"#);
            text.push_str(&zone);
        }
        write!(text, r#","Route":{{{}}}}}"#, rows.join(",")).unwrap();
        buffer.record(|out| out.extend_from_slice(text.as_bytes()));
    }
    buffer.as_bytes().to_vec()
}

#[test]
#[ignore = "a measurement"]
fn of_a_large_file() {
    let folder = tempfile::tempdir().unwrap();
    for rows_a_record in [ROWS, 1] {
        let path = folder.path().join("a.db");
        std::fs::write(&path, file(rows_a_record)).unwrap();
        for _ in 0..3 {
            let begin = Instant::now();
            let file = File::open(&path).unwrap();
            let time = begin.elapsed();
            assert_eq!(file.version().row_count(), ROWS + 1);
            println!("{rows_a_record} rows a record: {time:?}");
        }
        let begin = Instant::now();
        let server = crate::reference::Server::start(&path, &[]);
        println!("the reference: {:?}", begin.elapsed());
        drop(server);
    }
}
