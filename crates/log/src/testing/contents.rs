//! A file's bytes: in the page cache, on the disk, and what lies between the two.

use super::Writeback;
use super::random::Random;

const SECTOR: usize = 512;

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) cached: Vec<u8>,
    durable: Vec<u8>,
    /// What was changed since the file was synced, in order.
    unsynced: Vec<Change>,
}

impl Contents {
    pub(super) fn synced(bytes: &[u8]) -> Contents {
        Contents {
            cached: bytes.to_vec(),
            durable: bytes.to_vec(),
            unsynced: Vec::new(),
        }
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.change(Change::Write(place(offset), bytes.to_vec()));
    }

    pub(super) fn set_length(&mut self, length: u64) {
        self.change(Change::Length(place(length)));
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.cached, &change);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            apply(&mut self.durable, &change);
        }
    }

    /// A write-back that failed: the pages are clean afterwards, whether they were written or
    /// not, and those that were not may be read back from the disk as they were before.
    pub(super) fn fail_sync(&mut self, random: &mut Random) {
        let mut lost = Vec::new();
        for change in self.unsynced.drain(..) {
            match change {
                Change::Write(at, bytes) if random.coin() => lost.push((at, bytes.len())),
                change => apply(&mut self.durable, &change),
            }
        }
        for (at, length) in lost {
            if random.coin() {
                continue;
            }
            for place in at..(at + length).min(self.cached.len()) {
                self.cached[place] = self.durable.get(place).copied().unwrap_or(0);
            }
        }
    }

    pub(super) fn cut_power(&mut self, writeback: Writeback, random: &mut Random) {
        let changes = std::mem::take(&mut self.unsynced);
        match writeback {
            Writeback::InOrder => self.keep_beginning(&changes, random),
            Writeback::AnyOrder => self.keep_sectors(&changes, random),
        }
        self.cached.clone_from(&self.durable);
    }

    fn keep_beginning(&mut self, changes: &[Change], random: &mut Random) {
        let whole = random.index(changes.len() + 1);
        for change in &changes[..whole] {
            apply(&mut self.durable, change);
        }
        if let Some(Change::Write(at, bytes)) = changes.get(whole) {
            let torn = random.index(bytes.len() + 1);
            apply(
                &mut self.durable,
                &Change::Write(*at, bytes[..torn].to_vec()),
            );
            let grown = at + torn + random.index(bytes.len() - torn + 1);
            if random.coin() && self.durable.len() < grown {
                // The length got there before the bytes.
                self.durable.resize(grown, 0);
            }
        }
    }

    fn keep_sectors(&mut self, changes: &[Change], random: &mut Random) {
        for change in changes {
            match change {
                Change::Length(_) if random.coin() => apply(&mut self.durable, change),
                Change::Length(_) => {}
                Change::Write(at, bytes) => {
                    let mut from = 0;
                    while from < bytes.len() {
                        let sector = SECTOR - (at + from) % SECTOR;
                        let to = (from + sector).min(bytes.len());
                        if random.coin() {
                            let part = bytes[from..to].to_vec();
                            apply(&mut self.durable, &Change::Write(at + from, part));
                        }
                        from = to;
                    }
                }
            }
        }
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Length(length) => bytes.resize(*length, 0),
        Change::Write(at, new) => {
            if new.is_empty() {
                return;
            }
            let end = at + new.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*at..end].copy_from_slice(new);
        }
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
