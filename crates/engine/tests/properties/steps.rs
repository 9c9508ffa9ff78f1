//! What a random transaction does.

use proptest::prelude::*;

/// Where a random reference points to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// The nth row of the table, if it has that many.
    Row(usize),
    /// The nth row that this transaction inserts into the table.
    New(usize),
    /// The row itself is not known; a row that never was.
    Nowhere,
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Root {
        name: u8,
        a: u8,
        b: u8,
    },
    Kid {
        n: u8,
        next: Option<Target>,
        owner: Vec<Target>,
    },
    Set {
        row: usize,
        column: &'static str,
        targets: Vec<Target>,
        values: Vec<Target>,
    },
    Number {
        row: usize,
        column: &'static str,
        to: u8,
    },
    Next {
        row: usize,
        next: Option<Target>,
    },
    Swap(usize, usize),
    Delete {
        table: &'static str,
        row: usize,
    },
    Tags {
        row: usize,
        insert: bool,
        key: u8,
        value: u8,
    },
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        8 => (0usize..12).prop_map(Target::Row),
        4 => (0usize..3).prop_map(Target::New),
        1 => Just(Target::Nowhere),
    ]
}

fn targets() -> impl Strategy<Value = Vec<Target>> {
    proptest::collection::vec(target(), 0..4)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..20, 0u8..4, 0u8..9).prop_map(|(name, a, b)| Step::Root { name, a, b }),
        4 => (0u8..9, proptest::option::of(target()), proptest::collection::vec(target(), 0..3))
            .prop_map(|(n, next, owner)| Step::Kid { n, next, owner }),
        8 => (0usize..12, proptest::sample::select(vec!["kids", "friends", "must", "map"]), targets(), targets())
            .prop_map(|(row, column, targets, values)| Step::Set { row, column, targets, values }),
        2 => (0usize..12, proptest::sample::select(vec!["a", "b", "scratch"]), 0u8..9)
            .prop_map(|(row, column, to)| Step::Number { row, column, to }),
        2 => (0usize..12, proptest::option::of(target())).prop_map(|(row, next)| Step::Next { row, next }),
        2 => (0usize..12, 0usize..12).prop_map(|(x, y)| Step::Swap(x, y)),
        2 => (proptest::sample::select(vec!["Root", "Kid"]), 0usize..12)
            .prop_map(|(table, row)| Step::Delete { table, row }),
        2 => (0usize..12, any::<bool>(), 0u8..4, 0u8..3)
            .prop_map(|(row, insert, key, value)| Step::Tags { row, insert, key, value }),
    ]
}

pub(crate) fn transactions(most: usize) -> impl Strategy<Value = Vec<Vec<Step>>> {
    proptest::collection::vec(proptest::collection::vec(step(), 1..7), 1..most)
}
