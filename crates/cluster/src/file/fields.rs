//! Members that several kinds of record (and of message) have.

use bytes::Bytes;
use ovsdb::json::{Json, Kind, write};
use ovsdb::members::{Kinds, Members};
use ovsdb::{Error, Tag, Uuid, atom};

use crate::address::Address;
use crate::entry::{Payload, ServerId, Servers};

/// An unsigned number. JSON's integers are signed here: those from 2^63 on are written as negative
/// ones. A missing one is 0, as in the reference.
pub(crate) fn optional_number(members: &Members<'_>, name: &'static str) -> u64 {
    let number = members
        .optional(name, Kinds::INTEGER)
        .and_then(Json::integer);
    number.unwrap_or(0).cast_unsigned()
}

/// The same for a member that has to be there.
pub(crate) fn required_number(members: &Members<'_>, name: &'static str) -> u64 {
    let number = members
        .required(name, Kinds::INTEGER)
        .and_then(Json::integer);
    number.unwrap_or(0).cast_unsigned()
}

/// A UUID as a plain string.
pub(crate) fn optional_uuid(members: &Members<'_>, name: &'static str) -> Option<Uuid> {
    to_uuid(members, name, members.optional(name, Kinds::STRING)?)
}

/// The same for a member that has to be there; nil if it is not, and the error is noted.
pub(crate) fn required_uuid(members: &Members<'_>, name: &'static str) -> Uuid {
    members
        .required(name, Kinds::STRING)
        .and_then(|json| to_uuid(members, name, json))
        .unwrap_or_default()
}

fn to_uuid(members: &Members<'_>, name: &'static str, json: Json<'_>) -> Option<Uuid> {
    let uuid = json.string().and_then(|text| atom::parse_uuid(&text));
    if uuid.is_none() {
        members.fail(format!("{name} is not a valid UUID"));
    }
    uuid
}

/// A text that may be missing.
pub(crate) fn optional_string(members: &Members<'_>, name: &'static str) -> Option<String> {
    let json = members.optional(name, Kinds::STRING)?;
    json.string().map(String::from)
}

/// A text that has to be there.
pub(crate) fn required_string(members: &Members<'_>, name: &'static str) -> String {
    let json = members.required(name, Kinds::STRING);
    json.and_then(Json::string)
        .map(String::from)
        .unwrap_or_default()
}

/// An address, as it is written.
pub(crate) fn parse_address(json: Json<'_>) -> Result<String, Error> {
    let text = json
        .string()
        .ok_or_else(|| Error::about(json, Tag::SyntaxError, "server address is not string"))?;
    text.parse::<Address>()
        .map_err(|error| Error::new(Tag::OvsdbError, error.to_string()))?;
    Ok(text.into_owned())
}

/// The members of a cluster.
pub(crate) fn parse_servers(json: Json<'_>) -> Result<Servers, Error> {
    if json.kind() != Kind::Object {
        return Err(Error::syntax(json, "servers must be JSON object"));
    }
    if json.is_empty() {
        return Err(Error::syntax(json, "must have at least one server"));
    }
    let mut servers = Servers::new();
    for (name, address) in json.members() {
        let name = name.string().unwrap_or_default();
        let server: ServerId = atom::parse_uuid(&name)
            .ok_or_else(|| Error::syntax(json, format!("{name} is not a UUID")))?;
        if servers.insert(server, parse_address(address)?).is_some() {
            return Err(Error::syntax(json, format!("{name} is there twice")));
        }
    }
    Ok(servers)
}

/// The servers in a member that may be missing.
pub(crate) fn optional_servers(
    members: &Members<'_>,
    name: &'static str,
) -> Result<Option<Servers>, Error> {
    members
        .optional(name, Kinds::OBJECT)
        .map(parse_servers)
        .transpose()
}

/// What an entry carries, from its members `data` and `eid`, `servers`, `election_timer`.
///
/// By ovsdb(5) an entry may carry several of them; the reference never makes one that does, and
/// none is read here.
pub(crate) fn parse_payload(members: &Members<'_>) -> Result<Payload, Error> {
    let servers = optional_servers(members, "servers")?;
    let timer = optional_number(members, "election_timer");
    let data = members.optional("data", Kinds::OBJECT.or(Kinds::ARRAY));
    let eid = data.map(|_| required_uuid(members, "eid"));
    Ok(match (servers, timer, data.zip(eid)) {
        (None, 0, None) => Payload::Empty,
        (None, 0, Some((data, eid))) => Payload::Data {
            eid,
            data: Bytes::copy_from_slice(data.source()),
        },
        (Some(servers), 0, None) => Payload::Servers(servers),
        (None, timer, None) => Payload::ElectionTimer(timer),
        _ => {
            members.fail(
                "An entry can carry only one of data, servers and election_timer.".to_owned(),
            );
            Payload::Empty
        }
    })
}

/// Appends the members of a JSON object, one by one.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    separator: u8,
}

impl<'a> Object<'a> {
    /// Begins one.
    pub(crate) fn open(out: &'a mut Vec<u8>) -> Self {
        Object {
            out,
            separator: b'{',
        }
    }

    /// A member's name; its value goes to the buffer that this gives.
    pub(crate) fn member(&mut self, name: &str) -> &mut Vec<u8> {
        self.out.push(std::mem::replace(&mut self.separator, b','));
        write::string(self.out, name);
        self.out.push(b':');
        self.out
    }

    pub(crate) fn number(&mut self, name: &str, value: u64) {
        write::integer(self.member(name), value.cast_signed());
    }

    pub(crate) fn uuid(&mut self, name: &str, value: &Uuid) {
        write::uuid(self.member(name), value);
    }

    pub(crate) fn string(&mut self, name: &str, value: &str) {
        write::string(self.member(name), value);
    }

    pub(crate) fn servers(&mut self, name: &str, servers: &Servers) {
        let mut object = Object::open(self.member(name));
        for (server, address) in servers {
            object.string(&server.hyphenated().to_string(), address);
        }
        object.close();
    }

    pub(crate) fn payload(&mut self, payload: &Payload) {
        match payload {
            Payload::Empty => {}
            Payload::Data { eid, data } => {
                self.uuid("eid", eid);
                self.member("data").extend_from_slice(data);
            }
            Payload::Servers(servers) => self.servers("servers", servers),
            Payload::ElectionTimer(timer) => self.number("election_timer", *timer),
        }
    }

    /// Ends it.
    pub(crate) fn close(self) {
        if self.separator == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }
}
