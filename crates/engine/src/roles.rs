//! Role-based access control (ovsdb-server(7), "Transact"): what a client of a role may change, by
//! the database's own tables.
//!
//! `RBAC_Role` has a row for each role: its `name`, and `permissions`, a map from the names of
//! tables to rows of another table. Such a row says who is `authorized` to change a row of that
//! table, whether rows may be inserted and deleted, and which columns updated. What nothing allows
//! is denied; a database without `RBAC_Role` denies nothing. Reading is free.

use ovsdb::{AtomicType, ColumnId, ColumnType, Datum, Error, TableId, TableSchema, Tag};

use crate::draft::Draft;
use crate::row::Row;

/// The table whose rows are the roles.
const ROLES: &str = "RBAC_Role";

/// A client whose rights depend on what the database says of its role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    name: String,
    client: Option<String>,
}

/// What a client wants to do with rows that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Update,
    Mutate,
    Delete,
}

impl Role {
    /// A client of a role, by the name that has been proved, as by a certificate; one without
    /// such a name may change nothing. The role without a name limits nobody, and is none.
    pub fn new(name: &str, client: Option<&str>) -> Option<Role> {
        (!name.is_empty()).then(|| Role {
            name: name.to_owned(),
            client: client.map(str::to_owned),
        })
    }

    /// The role's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The client's name.
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// Why the client must not convert a database: no client of a role may.
    pub fn conversion_error(&self, database: &str) -> Error {
        self.error(&format!(
            "\"convert\" of database {database} (only the root role may convert databases)"
        ))
    }

    /// Whether the client may insert a row.
    pub(crate) fn check_insert(
        &self,
        draft: &Draft,
        table: TableId,
        row: &Row,
    ) -> Result<(), Error> {
        let allowed = match self.access(draft, table) {
            Access::Free => true,
            Access::Denied => false,
            Access::Limited(permissions) => {
                permissions.may_insert_and_delete() && permissions.are_authorized([row])
            }
        };
        self.unless(allowed, || {
            let table = &draft.version.schema().table(table).name;
            format!("row insertion into table \"{table}\".")
        })
    }

    /// Whether the client may do something with rows, and with these columns of them.
    pub(crate) fn check_rows<'r>(
        &self,
        draft: &Draft,
        wish: Wish,
        table: TableId,
        rows: impl IntoIterator<Item = &'r Row>,
        mut columns: impl Iterator<Item = ColumnId>,
    ) -> Result<(), Error> {
        let allowed = match self.access(draft, table) {
            Access::Free => true,
            Access::Denied => false,
            Access::Limited(permissions) => {
                let mut rows = rows.into_iter().peekable();
                let free_of_rows = rows.peek().is_none();
                match wish {
                    Wish::Delete => {
                        free_of_rows
                            || permissions.may_insert_and_delete()
                                && permissions.are_authorized(rows)
                    }
                    Wish::Update | Wish::Mutate => {
                        permissions.updatable().is_some_and(|updatable| {
                            free_of_rows
                                || columns.all(|column| permissions.names(updatable, column))
                                    && permissions.are_authorized(rows)
                        })
                    }
                }
            }
        };
        self.unless(allowed, || {
            let table = &draft.version.schema().table(table).name;
            match wish {
                Wish::Update => format!("modification of table \"{table}\"."),
                Wish::Mutate => format!("mutate operation on table \"{table}\"."),
                Wish::Delete => format!("row deletion from table \"{table}\"."),
            }
        })
    }

    fn unless(&self, allowed: bool, what: impl FnOnce() -> String) -> Result<(), Error> {
        match allowed {
            true => Ok(()),
            false => Err(self.error(&what())),
        }
    }

    fn error(&self, what: &str) -> Error {
        // As the reference prints no name.
        let client = self.client().unwrap_or("(null)");
        let role = &self.name;
        let details = format!("RBAC rules for client \"{client}\" role \"{role}\" prohibit {what}");
        Error::new(Tag::PermissionError, details)
    }

    /// What the database, as it is at this point of a transaction, says of a table.
    fn access<'a>(&'a self, draft: &'a Draft, table: TableId) -> Access<'a> {
        let Some(roles) = draft.version.schema().find(ROLES) else {
            return Access::Free;
        };
        self.permissions(draft, roles, table)
            .map_or(Access::Denied, Access::Limited)
    }

    fn permissions<'a>(
        &'a self,
        draft: &'a Draft,
        roles: TableId,
        table: TableId,
    ) -> Option<Permissions<'a>> {
        let client = self.client()?;
        let schema = draft.version.schema();
        let role_schema = schema.table(roles);
        let name = role_schema.find("name")?;
        let role = draft.version.table(roles).row_named(name, &self.name)?;
        let column = role_schema.find("permissions")?;
        let value_type = role_schema.column(column).column_type.value.as_ref()?;
        let (permissions_table, _) = value_type.reference()?;
        let about = schema.table(table);
        let uuid = value_of(role.get(column), &about.name)?.as_uuid()?;
        Some(Permissions {
            client,
            row: draft.row(permissions_table, &uuid)?,
            schema: schema.table(permissions_table),
            about,
        })
    }
}

enum Access<'a> {
    /// The database has no roles.
    Free,
    Denied,
    Limited(Permissions<'a>),
}

/// What a client of a role may do with the rows of a table.
struct Permissions<'a> {
    client: &'a str,
    row: &'a Row,
    /// The schema of that row.
    schema: &'a TableSchema,
    /// The table that it is about.
    about: &'a TableSchema,
}

/// A place in a row where the name of a client that may change the row can be.
enum Owner<'a> {
    Anybody,
    Column(ColumnId),
    Key(ColumnId, &'a str),
}

impl<'a> Permissions<'a> {
    fn may_insert_and_delete(&self) -> bool {
        let value = scalar(self.row, self.schema, "insert_delete", AtomicType::Boolean);
        value == Some(&ovsdb::Atom::Boolean(true))
    }

    /// The names of the columns that may be updated.
    fn updatable(&self) -> Option<&'a Datum> {
        strings(self.row, self.schema, "update")
    }

    fn names(&self, updatable: &Datum, column: ColumnId) -> bool {
        let name = &*self.about.column(column).name;
        updatable
            .atoms()
            .binary_search_by(|atom| atom.as_str().cmp(&Some(name)))
            .is_ok()
    }

    /// Whether the client owns all of these rows.
    fn are_authorized<'r>(&self, rows: impl IntoIterator<Item = &'r Row>) -> bool {
        let owners = self.owners();
        rows.into_iter()
            .all(|row| owners.iter().any(|owner| owner.is(self.client, row)))
    }

    fn owners(&self) -> Vec<Owner<'a>> {
        strings(self.row, self.schema, "authorization")
            .map_or(&[][..], Datum::atoms)
            .iter()
            .filter_map(|atom| self.owner(atom.as_str()?))
            .collect()
    }

    fn owner(&self, text: &'a str) -> Option<Owner<'a>> {
        if text.is_empty() {
            return Some(Owner::Anybody);
        }
        let find = |name, fits: fn(&ColumnType) -> bool| {
            let column = self.about.find(name)?;
            fits(&self.about.column(column).column_type).then_some(column)
        };
        if !text.contains(':') {
            return find(text, is_string).map(Owner::Column);
        }
        let mut words = text.split(':').filter(|word| !word.is_empty());
        let (name, key) = (words.next()?, words.next()?);
        find(name, is_map_of_strings).map(|column| Owner::Key(column, key))
    }
}

impl Owner<'_> {
    fn is(&self, client: &str, row: &Row) -> bool {
        let name = match self {
            Owner::Anybody => return true,
            Owner::Column(column) => row.get(*column).atoms().first(),
            Owner::Key(column, key) => value_of(row.get(*column), key),
        };
        name.and_then(|atom| atom.as_str()) == Some(client)
    }
}

/// The value of a key in a map with strings as keys.
fn value_of<'a>(map: &'a Datum, key: &str) -> Option<&'a ovsdb::Atom> {
    let pairs = map.pairs();
    let place = pairs
        .binary_search_by(|(other, _)| other.as_str().cmp(&Some(key)))
        .ok()?;
    Some(&pairs[place].1)
}

/// The value of a column of at most one atom of this type, if there is such a column.
fn scalar<'a>(
    row: &'a Row,
    schema: &TableSchema,
    name: &str,
    atomic: AtomicType,
) -> Option<&'a ovsdb::Atom> {
    let column = schema.find(name)?;
    is_one(&schema.column(column).column_type, atomic)
        .then(|| row.get(column).atoms().first())
        .flatten()
}

/// The value of a column of any number of strings, if there is such a column.
fn strings<'a>(row: &'a Row, schema: &TableSchema, name: &str) -> Option<&'a Datum> {
    let column = schema.find(name)?;
    let column_type = &schema.column(column).column_type;
    let fits = column_type.key.atomic == AtomicType::String
        && column_type.value.is_none()
        && column_type.max == u32::MAX;
    fits.then(|| row.get(column))
}

fn is_one(column_type: &ColumnType, atomic: AtomicType) -> bool {
    column_type.key.atomic == atomic && column_type.value.is_none() && column_type.max == 1
}

fn is_string(column_type: &ColumnType) -> bool {
    is_one(column_type, AtomicType::String)
}

fn is_map_of_strings(column_type: &ColumnType) -> bool {
    let is_string = |base: &ovsdb::BaseType| base.atomic == AtomicType::String;
    is_string(&column_type.key)
        && column_type.value.as_ref().is_some_and(is_string)
        && column_type.max == u32::MAX
}
