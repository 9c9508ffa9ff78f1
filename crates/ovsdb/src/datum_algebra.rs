//! Sets and maps as such: inclusion, union, subtraction, differences, order.

use std::cmp::Ordering;

use crate::atom::Atom;
use crate::column_type::ColumnType;
use crate::datum::Datum;

/// One side of a walk through two sorted lists.
enum Side<'a, T> {
    Left(&'a T),
    Right(&'a T),
    Both(&'a T, &'a T),
}

/// Walks two sorted lists side by side.
fn merge<'a, T>(
    left: &'a [T],
    right: &'a [T],
    compare: impl Fn(&T, &T) -> Ordering,
    mut visit: impl FnMut(Side<'a, T>),
) {
    let (mut i, mut j) = (0, 0);
    while i < left.len() && j < right.len() {
        match compare(&left[i], &right[j]) {
            Ordering::Less => {
                visit(Side::Left(&left[i]));
                i += 1;
            }
            Ordering::Greater => {
                visit(Side::Right(&right[j]));
                j += 1;
            }
            Ordering::Equal => {
                visit(Side::Both(&left[i], &right[j]));
                i += 1;
                j += 1;
            }
        }
    }
    left[i..].iter().for_each(|item| visit(Side::Left(item)));
    right[j..].iter().for_each(|item| visit(Side::Right(item)));
}

fn by_key(a: &(Atom, Atom), b: &(Atom, Atom)) -> Ordering {
    a.0.cmp(&b.0)
}

impl Datum {
    /// True if every element (of a map: pair) of `other` is in `self`.
    pub fn includes(&self, other: &Datum) -> bool {
        other.len() <= self.len()
            && other.atoms().iter().all(|atom| self.has_atom(atom))
            && other.pairs().iter().all(|pair| self.has_pair(pair))
    }

    /// True if no element (of a map: pair) of `other` is in `self`.
    pub fn excludes(&self, other: &Datum) -> bool {
        !other.atoms().iter().any(|atom| self.has_atom(atom))
            && !other.pairs().iter().any(|pair| self.has_pair(pair))
    }

    fn has_atom(&self, atom: &Atom) -> bool {
        self.atoms().binary_search(atom).is_ok()
    }

    fn has_pair(&self, pair: &(Atom, Atom)) -> bool {
        let pairs = self.pairs();
        match pairs.binary_search_by(|p| by_key(p, pair)) {
            Ok(place) => pairs[place].1 == pair.1,
            Err(_) => false,
        }
    }

    /// The elements of both; where a map has the key already, its value stays.
    pub fn union(&self, other: &Datum) -> Datum {
        if other.is_empty() {
            return self.clone();
        }
        if matches!(self, Datum::Map(_)) || matches!(other, Datum::Map(_)) {
            let mut pairs = Vec::with_capacity(self.len() + other.len());
            merge(self.pairs(), other.pairs(), by_key, |side| match side {
                Side::Left(pair) | Side::Right(pair) | Side::Both(pair, _) => {
                    pairs.push(pair.clone());
                }
            });
            return Datum::from_sorted_pairs(pairs);
        }
        let mut atoms = Vec::with_capacity(self.len() + other.len());
        merge(self.atoms(), other.atoms(), Atom::cmp, |side| match side {
            Side::Left(atom) | Side::Right(atom) | Side::Both(atom, _) => atoms.push(atom.clone()),
        });
        Datum::from_sorted_atoms(atoms)
    }

    /// What is left without the elements of `other`. From a map, a set takes the pairs of its
    /// keys away, and a map the pairs that are equal.
    pub fn subtract(&self, other: &Datum) -> Datum {
        if other.is_empty() {
            return self.clone();
        }
        match self {
            Datum::Empty => Datum::Empty,
            Datum::Map(pairs) => {
                let gone = |pair: &(Atom, Atom)| other.has_atom(&pair.0) || other.has_pair(pair);
                Datum::from_sorted_pairs(pairs.iter().filter(|p| !gone(p)).cloned().collect())
            }
            set => Datum::from_sorted_atoms(
                set.atoms()
                    .iter()
                    .filter(|atom| !other.has_atom(atom))
                    .cloned()
                    .collect(),
            ),
        }
    }

    /// The difference between two values of a column, as monitors and files have it
    /// (ovsdb-server(7), "Update2 Notification"): elements that came or went; for a map also the
    /// new values of keys that stayed; for a type of at most one element, the new value.
    pub fn diff(old: &Datum, new: &Datum, column_type: &ColumnType) -> Datum {
        if !column_type.is_composite() {
            return new.clone();
        }
        if column_type.is_map() {
            let mut pairs = Vec::new();
            merge(old.pairs(), new.pairs(), by_key, |side| match side {
                Side::Left(pair) | Side::Right(pair) => pairs.push(pair.clone()),
                Side::Both(before, after) if before.1 != after.1 => pairs.push(after.clone()),
                Side::Both(..) => {}
            });
            return Datum::from_sorted_pairs(pairs);
        }
        let mut atoms = Vec::new();
        merge(old.atoms(), new.atoms(), Atom::cmp, |side| match side {
            Side::Left(atom) | Side::Right(atom) => atoms.push(atom.clone()),
            Side::Both(..) => {}
        });
        Datum::from_sorted_atoms(atoms)
    }

    /// The value that `diff` makes of `self`: the inverse of [`Datum::diff`]. A map takes a
    /// pair that it has out, a pair with another value in: the very steps that make a difference,
    /// so that it is one function.
    pub fn apply_diff(&self, diff: &Datum, column_type: &ColumnType) -> Datum {
        Datum::diff(self, diff, column_type)
    }

    /// Calls `added` with what `new` has and `old` has not, and `removed` the other way round;
    /// pairs count as equal only with the same value. Sets give their atoms without a value.
    pub fn compare<'a>(
        old: &'a Datum,
        new: &'a Datum,
        mut removed: impl FnMut(&'a Atom, Option<&'a Atom>),
        mut added: impl FnMut(&'a Atom, Option<&'a Atom>),
    ) {
        merge(old.atoms(), new.atoms(), Atom::cmp, |side| match side {
            Side::Left(atom) => removed(atom, None),
            Side::Right(atom) => added(atom, None),
            Side::Both(..) => {}
        });
        let whole = |a: &(Atom, Atom), b: &(Atom, Atom)| a.cmp(b);
        merge(old.pairs(), new.pairs(), whole, |side| match side {
            Side::Left((key, value)) => removed(key, Some(value)),
            Side::Right((key, value)) => added(key, Some(value)),
            Side::Both(..) => {}
        });
    }

    /// Keeps the elements (or pairs) for which `keep` is true.
    pub fn retain(&self, keep: impl Fn(&Atom, Option<&Atom>) -> bool) -> Datum {
        match self {
            Datum::Map(pairs) => Datum::from_sorted_pairs(
                pairs
                    .iter()
                    .filter(|(key, value)| keep(key, Some(value)))
                    .cloned()
                    .collect(),
            ),
            set => Datum::from_sorted_atoms(
                set.atoms()
                    .iter()
                    .filter(|atom| keep(atom, None))
                    .cloned()
                    .collect(),
            ),
        }
    }

    /// OVSDB's order of values: by number of elements, then by keys, then by values.
    pub fn compare_order(&self, other: &Datum) -> Ordering {
        self.len()
            .cmp(&other.len())
            .then_with(|| self.atoms().cmp(other.atoms()))
            .then_with(|| {
                let keys = |datum: &Datum| -> Vec<Atom> {
                    datum.pairs().iter().map(|(key, _)| key.clone()).collect()
                };
                keys(self).cmp(&keys(other))
            })
            .then_with(|| self.pairs().cmp(other.pairs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atom::AtomicType;
    use crate::column_type::BaseType;
    use proptest::prelude::*;

    fn set() -> impl Strategy<Value = Datum> {
        proptest::collection::vec(0i64..8, 0..6)
            .prop_map(|atoms| Datum::set(atoms.into_iter().map(Atom::Integer)))
    }

    fn map() -> impl Strategy<Value = Datum> {
        proptest::collection::vec((0i64..6, 0i64..3), 0..6).prop_map(|pairs| {
            Datum::map(
                pairs
                    .into_iter()
                    .map(|(k, v)| (Atom::Integer(k), Atom::Integer(v))),
            )
        })
    }

    fn unlimited(is_map: bool) -> ColumnType {
        let integer = BaseType::plain(AtomicType::Integer);
        ColumnType {
            key: integer.clone(),
            value: is_map.then_some(integer),
            min: 0,
            max: u32::MAX,
        }
    }

    proptest! {
        #[test]
        fn diff_and_apply_are_inverses(a in set(), b in set()) {
            let diff = Datum::diff(&a, &b, &unlimited(false));
            prop_assert_eq!(a.apply_diff(&diff, &unlimited(false)), b);
        }

        #[test]
        fn diff_and_apply_are_inverses_for_maps(a in map(), b in map()) {
            let diff = Datum::diff(&a, &b, &unlimited(true));
            prop_assert_eq!(a.apply_diff(&diff, &unlimited(true)), b);
        }

        #[test]
        fn union_includes_and_subtract_excludes(a in set(), b in set()) {
            prop_assert!(a.union(&b).includes(&a) && a.union(&b).includes(&b));
            prop_assert!(a.subtract(&b).excludes(&b) && a.includes(&a.subtract(&b)));
        }

        #[test]
        fn maps_keep_their_values_in_a_union(a in map(), b in map()) {
            prop_assert!(a.union(&b).includes(&a));
            prop_assert!(a.subtract(&b).excludes(&b));
        }
    }
}
