//! Requests to another server, and their numbers.

use ovsdb::json::{Json, write};

use super::Outgoing;

/// Writes requests; each has the next number as its id.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    last: u64,
}

impl Requests {
    /// Sends a request; its number is returned.
    pub(crate) fn send(&mut self, out: &mut Outgoing, method: &str, params: &[u8]) -> u64 {
        self.last += 1;
        out.copy(b"{\"id\":");
        out.copy(self.last.to_string().as_bytes());
        out.copy(b",\"method\":");
        out.write(|out| write::string(out, method));
        out.copy(b",\"params\":");
        out.copy(params);
        out.copy(b"}");
        self.last
    }
}

/// The number of a request by its answer's id.
pub(crate) fn number(id: Json<'_>) -> Option<u64> {
    u64::try_from(id.integer()?).ok()
}

/// `params` of one string.
pub(crate) fn one_string(text: &str) -> Vec<u8> {
    let mut params = vec![b'['];
    write::string(&mut params, text);
    params.push(b']');
    params
}
