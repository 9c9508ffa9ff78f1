//! A message's members: each is asked for by name and kind, and none may be left over.
//!
//! Error texts name members but never quote their values, which can be a whole database.

use std::borrow::Cow;

use bytes::Bytes;
use ovsdb::Uuid;
use ovsdb::json::{Json, Kind};
use smallvec::SmallVec;

use super::MessageError;
use crate::entry::{ServerId, Servers};
use crate::wire::Address;

/// No message has as many members.
const MOST: usize = 32;

/// An object being read.
pub(super) struct Fields<'a> {
    members: SmallVec<[(Cow<'a, str>, Option<Json<'a>>); 12]>,
    /// The bytes that the object was parsed from.
    text: &'a Bytes,
}

impl<'a> Fields<'a> {
    pub(super) fn new(json: Json<'a>, text: &'a Bytes) -> Result<Self, MessageError> {
        if json.kind() != Kind::Object {
            return Err(MessageError::new("object expected"));
        }
        if json.len() > MOST {
            return Err(MessageError::new("too many members"));
        }
        let members = json
            .members()
            .map(|(name, value)| (name.string().unwrap_or_default(), Some(value)))
            .collect();
        Ok(Fields { members, text })
    }

    /// The bytes that the object was parsed from.
    pub(super) fn text(&self) -> &'a Bytes {
        self.text
    }

    /// The member of a name, of duplicates the last one.
    fn take(&mut self, name: &str) -> Option<Json<'a>> {
        let mut found = None;
        for (_, value) in self.members.iter_mut().filter(|(n, _)| n == name) {
            found = value.take().or(found);
        }
        found
    }

    fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Json<'a>) -> Option<T>,
    ) -> Result<Option<T>, MessageError> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match read(value) {
                None => Err(MessageError(format!("type mismatch for member '{name}'"))),
                value => Ok(value),
            },
        }
    }

    fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Json<'a>) -> Option<T>,
    ) -> Result<T, MessageError> {
        self.optional(name, read)?
            .ok_or_else(|| MessageError(format!("required '{name}' member is missing")))
    }

    /// An unsigned integer. JSON's are signed here, so the upper half travels as negative ones.
    pub(super) fn number(&mut self, name: &str) -> Result<u64, MessageError> {
        self.required(name, |json| json.integer().map(i64::cast_unsigned))
    }

    /// The same, 0 if it is missing.
    pub(super) fn number_or_zero(&mut self, name: &str) -> Result<u64, MessageError> {
        let number = self.optional(name, |json| json.integer().map(i64::cast_unsigned))?;
        Ok(number.unwrap_or(0))
    }

    pub(super) fn boolean(&mut self, name: &str) -> Result<bool, MessageError> {
        self.required(name, Json::boolean)
    }

    pub(super) fn boolean_or_false(&mut self, name: &str) -> Result<bool, MessageError> {
        Ok(self.optional(name, Json::boolean)?.unwrap_or(false))
    }

    pub(super) fn string(&mut self, name: &str) -> Result<String, MessageError> {
        self.required(name, |json| json.string().map(Cow::into_owned))
    }

    pub(super) fn optional_string(&mut self, name: &str) -> Result<Option<String>, MessageError> {
        self.optional(name, |json| json.string().map(Cow::into_owned))
    }

    /// One of several words.
    pub(super) fn word<T>(
        &mut self,
        name: &str,
        find: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, MessageError> {
        let word = self.required(name, Json::string)?;
        find(&word).ok_or_else(|| MessageError(format!("unknown '{name}'")))
    }

    pub(super) fn uuid(&mut self, name: &str) -> Result<Uuid, MessageError> {
        self.optional_uuid(name)?
            .ok_or_else(|| MessageError(format!("required '{name}' member is missing")))
    }

    pub(super) fn optional_uuid(&mut self, name: &str) -> Result<Option<Uuid>, MessageError> {
        let Some(text) = self.optional(name, Json::string)? else {
            return Ok(None);
        };
        match ovsdb::atom::parse_uuid(&text) {
            None => Err(MessageError(format!("'{name}' is not a UUID"))),
            uuid => Ok(uuid),
        }
    }

    /// An array.
    pub(super) fn array(&mut self, name: &str) -> Result<Json<'a>, MessageError> {
        self.required(name, |json| (json.kind() == Kind::Array).then_some(json))
    }

    /// An array or object, as the text that it is.
    pub(super) fn data(&mut self, name: &str) -> Result<Bytes, MessageError> {
        let text = self.text;
        self.required(name, |json| container(json, text))
    }

    pub(super) fn optional_data(&mut self, name: &str) -> Result<Option<Bytes>, MessageError> {
        let text = self.text;
        self.optional(name, |json| container(json, text))
    }

    /// At least one address.
    pub(super) fn optional_addresses(&mut self, name: &str) -> Result<Vec<String>, MessageError> {
        let array = |json: Json<'a>| (json.kind() == Kind::Array).then_some(json);
        let Some(array) = self.optional(name, array)? else {
            return Ok(Vec::new());
        };
        if array.is_empty() {
            return Err(MessageError::new("at least one remote address is required"));
        }
        array.elements().map(address).collect()
    }

    pub(super) fn servers(&mut self, name: &str) -> Result<Servers, MessageError> {
        self.optional_servers(name)?
            .ok_or_else(|| MessageError(format!("required '{name}' member is missing")))
    }

    /// At least one server.
    pub(super) fn optional_servers(&mut self, name: &str) -> Result<Option<Servers>, MessageError> {
        let object = |json: Json<'a>| (json.kind() == Kind::Object).then_some(json);
        let Some(object) = self.optional(name, object)? else {
            return Ok(None);
        };
        if object.is_empty() {
            return Err(MessageError::new("must have at least one server"));
        }
        object
            .members()
            .map(server)
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Checks that every member was asked for.
    pub(super) fn finish(self) -> Result<(), MessageError> {
        match self.members.iter().find(|(_, value)| value.is_some()) {
            None => Ok(()),
            Some((name, _)) => {
                let name: String = name.chars().take(40).collect();
                let name = name.escape_debug();
                Err(MessageError(format!(
                    "member '{name}' is present but not allowed here"
                )))
            }
        }
    }
}

fn container(json: Json<'_>, text: &Bytes) -> Option<Bytes> {
    matches!(json.kind(), Kind::Array | Kind::Object).then(|| part(text, json.source()))
}

/// `source` as a part of `text`, which it was cut from, without copying it.
fn part(text: &Bytes, source: &[u8]) -> Bytes {
    let start = (source.as_ptr() as usize).checked_sub(text.as_ptr() as usize);
    match start.map(|start| start..start + source.len()) {
        Some(range) if range.end <= text.len() => text.slice(range),
        _ => Bytes::copy_from_slice(source),
    }
}

fn address(json: Json<'_>) -> Result<String, MessageError> {
    let text = json
        .string()
        .ok_or_else(|| MessageError::new("server address is not string"))?;
    match text.parse::<Address>() {
        Ok(_) => Ok(text.into_owned()),
        Err(error) => Err(MessageError(error.to_string())),
    }
}

fn server((id, value): (Json<'_>, Json<'_>)) -> Result<(ServerId, String), MessageError> {
    let id = id
        .string()
        .and_then(|id| ovsdb::atom::parse_uuid(&id))
        .ok_or_else(|| MessageError::new("a server's id is not a UUID"))?;
    Ok((id, address(value)?))
}
