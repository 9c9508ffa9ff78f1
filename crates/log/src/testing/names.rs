//! The names in a folder: as they are seen, and as a power cut would find them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::random::Random;

#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Create(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

type Map = BTreeMap<PathBuf, u64>;

#[derive(Debug, Default)]
pub(super) struct Names {
    seen: Map,
    durable: Map,
    /// What was changed since the folder was synced, in order.
    unsynced: Vec<NameChange>,
}

impl Names {
    pub(super) fn get(&self, path: &Path) -> Option<u64> {
        self.seen.get(path).copied()
    }

    pub(super) fn has(&self, file: u64) -> bool {
        self.seen.values().any(|other| *other == file)
    }

    pub(super) fn change(&mut self, change: NameChange) {
        apply(&mut self.seen, &change);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        self.durable.clone_from(&self.seen);
        self.unsynced.clear();
    }

    /// File systems keep changes of names in their order, so some of the first ones survive.
    pub(super) fn cut_power(&mut self, random: &mut Random) {
        let survive = random.index(self.unsynced.len() + 1);
        for change in &self.unsynced[..survive] {
            apply(&mut self.durable, change);
        }
        self.seen.clone_from(&self.durable);
        self.unsynced.clear();
    }
}

fn apply(names: &mut Map, change: &NameChange) {
    match change {
        NameChange::Create(path, file) => {
            names.insert(path.clone(), *file);
        }
        NameChange::Rename(from, to) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        NameChange::Remove(path) => {
            names.remove(path);
        }
    }
}
