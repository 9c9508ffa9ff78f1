//! Datums: the values of columns (RFC 7047 section 5.1, `<value>`).

use std::sync::Arc;

use crate::atom::Atom;

/// A set or map of atoms, small in memory and cheap to clone.
///
/// Each value has one representation, so that comparing is comparing fields: no elements is
/// [`Datum::Empty`], for sets and maps alike; a set of one is [`Datum::One`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Datum {
    /// No elements.
    #[default]
    Empty,
    /// A scalar, or a set of one.
    One(Atom),
    /// A set of two or more, sorted.
    Set(Arc<[Atom]>),
    /// A map of one or more, sorted by key.
    Map(Arc<[(Atom, Atom)]>),
}

impl Datum {
    /// How many elements or pairs there are.
    pub fn len(&self) -> usize {
        match self {
            Datum::Empty => 0,
            Datum::One(_) => 1,
            Datum::Set(atoms) => atoms.len(),
            Datum::Map(pairs) => pairs.len(),
        }
    }

    /// True if there are no elements.
    pub fn is_empty(&self) -> bool {
        matches!(self, Datum::Empty)
    }

    /// The elements of a set; nothing for a map.
    pub fn atoms(&self) -> &[Atom] {
        match self {
            Datum::Empty | Datum::Map(_) => &[],
            Datum::One(atom) => std::slice::from_ref(atom),
            Datum::Set(atoms) => atoms,
        }
    }

    /// The pairs of a map; nothing for a set.
    pub fn pairs(&self) -> &[(Atom, Atom)] {
        match self {
            Datum::Map(pairs) => pairs,
            _ => &[],
        }
    }

    /// A set of atoms that are sorted and distinct.
    pub fn from_sorted_set(atoms: &[Atom]) -> Datum {
        match atoms {
            [] => Datum::Empty,
            [atom] => Datum::One(atom.clone()),
            atoms => Datum::Set(Arc::from(atoms)),
        }
    }

    /// A set of atoms that are sorted and distinct.
    pub fn from_sorted_atoms(mut atoms: Vec<Atom>) -> Datum {
        match atoms.len() {
            0 => Datum::Empty,
            1 => atoms.pop().map_or(Datum::Empty, Datum::One),
            _ => Datum::Set(Arc::from(atoms)),
        }
    }

    /// A map of pairs that are sorted and have distinct keys.
    pub fn from_sorted_pairs(pairs: Vec<(Atom, Atom)>) -> Datum {
        if pairs.is_empty() {
            return Datum::Empty;
        }
        Datum::Map(Arc::from(pairs))
    }

    /// A set of any atoms; duplicates are dropped.
    pub fn set(atoms: impl IntoIterator<Item = Atom>) -> Datum {
        let mut atoms: Vec<_> = atoms.into_iter().collect();
        atoms.sort_unstable();
        atoms.dedup();
        Datum::from_sorted_atoms(atoms)
    }

    /// A map of any pairs; of pairs with the same key, the first is kept.
    pub fn map(pairs: impl IntoIterator<Item = (Atom, Atom)>) -> Datum {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.dedup_by(|later, earlier| later.0 == earlier.0);
        Datum::from_sorted_pairs(pairs)
    }

    /// A scalar string.
    pub fn string(text: &str) -> Datum {
        Datum::One(Atom::string(text))
    }

    /// The value of a key in a map of strings.
    pub fn map_value(&self, key: &str) -> Option<&str> {
        self.pairs()
            .iter()
            .find(|(k, _)| k.as_str() == Some(key))
            .and_then(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database has as many of these as rows times columns.
    #[test]
    fn values_are_small() {
        assert_eq!(size_of::<Atom>(), 24);
        assert_eq!(size_of::<Datum>(), 24);
    }
}
