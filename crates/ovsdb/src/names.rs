//! Named UUIDs: names that stand for rows of the same transaction (RFC 7047 section 3.1,
//! `<named-uuid>`).

use rustc_hash::FxHashMap;
use uuid::Uuid;

/// Resolves the names of a request.
pub trait Names {
    /// The UUID that a name stands for; `None` where names are not allowed at all.
    fn resolve(&mut self, name: &str) -> Option<Uuid>;

    /// False where names are not allowed at all.
    fn allowed(&self) -> bool;
}

/// Where no names are allowed: files, monitors' conditions.
#[derive(Debug, Default)]
pub struct NoNames;

impl Names for NoNames {
    fn resolve(&mut self, _: &str) -> Option<Uuid> {
        None
    }

    fn allowed(&self) -> bool {
        false
    }
}

/// What a name of a transaction stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol {
    /// The row's UUID, drawn when the name was first seen.
    pub uuid: Uuid,
    /// An `insert` had this `uuid-name`.
    pub created: bool,
}

/// The names of one transaction. A name may be used before the `insert` that it belongs to.
#[derive(Debug)]
pub struct SymbolTable<F> {
    symbols: FxHashMap<String, Symbol>,
    new_uuid: F,
}

impl<F: FnMut() -> Uuid> SymbolTable<F> {
    /// An empty table that draws UUIDs from `new_uuid`.
    pub fn new(new_uuid: F) -> Self {
        SymbolTable {
            symbols: FxHashMap::default(),
            new_uuid,
        }
    }

    /// The symbol of a name, made if it is new.
    pub fn symbol(&mut self, name: &str) -> &mut Symbol {
        let new_uuid = &mut self.new_uuid;
        self.symbols
            .entry(name.to_owned())
            .or_insert_with(|| Symbol {
                uuid: new_uuid(),
                created: false,
            })
    }

    /// A fresh UUID for a row without a name.
    pub fn new_uuid(&mut self) -> Uuid {
        (self.new_uuid)()
    }
}

impl<F: FnMut() -> Uuid> Names for SymbolTable<F> {
    fn resolve(&mut self, name: &str) -> Option<Uuid> {
        Some(self.symbol(name).uuid)
    }

    fn allowed(&self) -> bool {
        true
    }
}
