//! A clustered file's first record: who the server is, and the contents that its log starts from.

use bytes::Bytes;
use ovsdb::json::{Json, write};
use ovsdb::members::{Kinds, Members};
use ovsdb::{Error, Uuid};

use super::fields::{self, Object};
use crate::entry::{Index, ServerId, Servers, Term};

/// Whose file it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The server's id.
    pub server_id: ServerId,
    /// The cluster's id; only who has not joined yet may not know it.
    pub cluster_id: Option<Uuid>,
    /// The database's name.
    pub name: String,
    /// Where the server listens for the other members, as it was written.
    pub local_address: String,
}

/// What is known of a snapshot but its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The last entry that it stands for.
    pub index: Index,
    /// That entry's term.
    pub term: Term,
    /// The id of the last transaction in it.
    pub eid: Uuid,
    /// The members there.
    pub servers: Servers,
    /// The election timer there, in milliseconds, where it was ever changed.
    pub election_timer: Option<u64>,
}

/// The contents that a log starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// All but the contents.
    pub meta: SnapshotMeta,
    /// A JSON array of two: the schema, and a transaction's record that makes the contents.
    pub data: Bytes,
}

/// What a file starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nothing: the server has yet to join the cluster that one of these addresses belongs to.
    Joining {
        /// At least one, none of them the server's own.
        remote_addresses: Vec<String>,
    },
    /// A snapshot.
    Snapshot(Snapshot),
}

/// A clustered file's first record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Whose file it is.
    pub identity: Identity,
    /// What it starts from.
    pub origin: Origin,
}

impl Header {
    /// Reads a header.
    pub fn parse(json: Json<'_>) -> Result<Header, Error> {
        let members = Members::new(json, &"raft header");
        let server_id = fields::required_uuid(&members, "server_id");
        let name = fields::required_string(&members, "name");
        let local_address = match members.required("local_address", Kinds::STRING) {
            Some(json) => fields::parse_address(json)?,
            None => String::new(),
        };
        let origin = match members.optional("remote_addresses", Kinds::ARRAY) {
            Some(remotes) => Origin::Joining {
                remote_addresses: parse_remotes(&members, remotes, &local_address)?,
            },
            None => Origin::Snapshot(parse_snapshot(&members)?),
        };
        let joining = matches!(origin, Origin::Joining { .. });
        let cluster_id = match fields::optional_uuid(&members, "cluster_id") {
            Some(id) if id.is_nil() => {
                members.fail("all-zero UUID is not valid cluster ID".to_owned());
                None
            }
            None if !joining => {
                members.required("cluster_id", Kinds::STRING);
                None
            }
            id => id,
        };
        members.finish()?;
        Ok(Header {
            identity: Identity {
                server_id,
                cluster_id,
                name,
                local_address,
            },
            origin,
        })
    }

    /// Appends the header.
    pub fn write(&self, out: &mut Vec<u8>) {
        match &self.origin {
            Origin::Joining { remote_addresses } => {
                let mut object = begin(out, &self.identity);
                let list = object.member("remote_addresses");
                let mut separator = b'[';
                for address in remote_addresses {
                    list.push(std::mem::replace(&mut separator, b','));
                    write::string(list, address);
                }
                list.push(b']');
                object.close();
            }
            Origin::Snapshot(Snapshot { meta, data }) => {
                write_snapshot(out, &self.identity, meta, |out| out.extend_from_slice(data));
            }
        }
    }
}

/// Appends the header of a file that starts from a snapshot, whose contents `data` appends.
pub fn write_snapshot(
    out: &mut Vec<u8>,
    identity: &Identity,
    meta: &SnapshotMeta,
    data: impl FnOnce(&mut Vec<u8>),
) {
    let mut object = begin(out, identity);
    object.number("prev_term", meta.term);
    object.number("prev_index", meta.index);
    object.uuid("prev_eid", &meta.eid);
    if let Some(timer) = meta.election_timer {
        object.number("prev_election_timer", timer);
    }
    object.servers("prev_servers", &meta.servers);
    data(object.member("prev_data"));
    object.close();
}

fn begin<'a>(out: &'a mut Vec<u8>, identity: &Identity) -> Object<'a> {
    let mut object = Object::open(out);
    object.uuid("server_id", &identity.server_id);
    if let Some(cluster_id) = &identity.cluster_id {
        object.uuid("cluster_id", cluster_id);
    }
    object.string("name", &identity.name);
    object.string("local_address", &identity.local_address);
    object
}

fn parse_remotes(
    members: &Members<'_>,
    json: Json<'_>,
    local_address: &str,
) -> Result<Vec<String>, Error> {
    if json.is_empty() {
        return Err(Error::syntax(
            json,
            "at least one remote address is required",
        ));
    }
    let mut remotes = Vec::with_capacity(json.len());
    for address in json.elements() {
        let address = fields::parse_address(address)?;
        if address != local_address && !remotes.contains(&address) {
            remotes.push(address);
        }
    }
    if remotes.is_empty() {
        members.fail(
            "at least one remote address (other than the local address) is required".to_owned(),
        );
    }
    Ok(remotes)
}

fn parse_snapshot(members: &Members<'_>) -> Result<Snapshot, Error> {
    let servers = members
        .required("prev_servers", Kinds::OBJECT)
        .map(fields::parse_servers)
        .transpose()?;
    let index = fields::required_number(members, "prev_index");
    let term = fields::required_number(members, "prev_term");
    let eid = fields::required_uuid(members, "prev_eid");
    let timer = fields::optional_number(members, "prev_election_timer");
    let data = members.required("prev_data", Kinds::ANY);
    if index == 0 {
        members.fail("prev_index is 0, which stands for nothing.".to_owned());
    }
    Ok(Snapshot {
        meta: SnapshotMeta {
            index,
            term,
            eid,
            servers: servers.unwrap_or_default(),
            election_timer: (timer != 0).then_some(timer),
        },
        data: data.map_or_else(Bytes::new, |json| Bytes::copy_from_slice(json.source())),
    })
}
