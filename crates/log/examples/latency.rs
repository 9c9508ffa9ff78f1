//! One durable record at a time through the log, against a plain loop of write and fdatasync.
//! `cargo run --release -p ovsdb-log --example latency [FOLDER]`

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use ovsdb_log::{Appender, Batch, Disk, Lock, Log, Magic, Options, RecordBuffer};

const ROUNDS: u32 = 1000;
const TEXT: [u8; 200] = [b' '; 200];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder)?;
    let mut plain = std::fs::File::create(folder.path().join("plain"))?;
    let path = folder.path().join("log");
    let appender = Appender::create(
        Arc::new(Disk),
        Lock::acquire(&path)?,
        Magic::Json,
        |writer| writer.record(|text| text.extend_from_slice(b"{}")),
    )?;
    let log = Log::start(appender, Options::default())?;
    let (sender, receiver) = mpsc::channel();
    for _ in 0..3 {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            let mut buffer = RecordBuffer::new(Magic::Json);
            buffer.record(|text| text.extend_from_slice(&TEXT));
            plain.write_all(buffer.as_bytes())?;
            plain.sync_data()?;
        }
        let direct = start.elapsed() / ROUNDS;
        let start = Instant::now();
        for _ in 0..ROUNDS {
            let sender = sender.clone();
            let batch = Batch {
                encode: Box::new(|buffer| buffer.record(|text| text.extend_from_slice(&TEXT))),
                size_hint: TEXT.len(),
                durable: true,
                done: Box::new(move |result| {
                    let _ = sender.send(result.is_ok());
                }),
            };
            log.try_submit(batch)
                .map_err(|refused| format!("{refused:?}"))?;
            receiver.recv()?;
        }
        println!(
            "direct {direct:?}, through the log {:?}",
            start.elapsed() / ROUNDS
        );
    }
    Ok(())
}
