//! Writing a message's members, each behind a comma.

use ovsdb::Uuid;
use ovsdb::json::write;

use crate::entry::Servers;

pub(super) fn name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// The reverse of [`super::fields::Fields::number`].
pub(super) fn number(out: &mut Vec<u8>, member: &str, value: u64) {
    name(out, member);
    write::integer(out, value.cast_signed());
}

pub(super) fn boolean(out: &mut Vec<u8>, member: &str, value: bool) {
    name(out, member);
    write::boolean(out, value);
}

/// Only if it is true.
pub(super) fn flag(out: &mut Vec<u8>, member: &str, value: bool) {
    if value {
        boolean(out, member, value);
    }
}

pub(super) fn string(out: &mut Vec<u8>, member: &str, value: &str) {
    name(out, member);
    write::string(out, value);
}

pub(super) fn uuid(out: &mut Vec<u8>, member: &str, value: &Uuid) {
    name(out, member);
    write::uuid(out, value);
}

pub(super) fn servers(out: &mut Vec<u8>, member: &str, value: &Servers) {
    name(out, member);
    let mut separator = b'{';
    for (id, address) in value {
        out.push(separator);
        separator = b',';
        write::uuid(out, id);
        out.push(b':');
        write::string(out, address);
    }
    if separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}
