//! The result of a `transact` request, built while its operations run.

use ovsdb::Error;

/// A JSON array of operations' results (RFC 7047 section 4.1.3), open at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    json: Vec<u8>,
    results: usize,
}

impl Default for Reply {
    fn default() -> Self {
        Reply::new()
    }
}

impl Reply {
    /// A reply without results.
    pub fn new() -> Self {
        Reply {
            json: b"[".to_vec(),
            results: 0,
        }
    }

    /// Begins a result: what is appended to the buffer is its JSON.
    pub(crate) fn result(&mut self) -> &mut Vec<u8> {
        if self.results > 0 {
            self.json.push(b',');
        }
        self.results += 1;
        &mut self.json
    }

    /// Where the reply ends now, for [`Reply::truncate`].
    pub(crate) fn mark(&self) -> (usize, usize) {
        (self.json.len(), self.results)
    }

    /// Takes back what was added since a mark.
    pub(crate) fn truncate(&mut self, (length, results): (usize, usize)) {
        self.json.truncate(length);
        self.results = results;
    }

    /// Adds an error as the next result: that of an operation, or, behind the last one, that of
    /// the commit.
    pub fn error(&mut self, error: &Error) {
        error.write_json(self.result());
    }

    /// Adds `null` for each operation that was not executed.
    pub(crate) fn fill(&mut self, operations: usize) {
        while self.results < operations {
            self.result().extend_from_slice(b"null");
        }
    }

    /// The JSON array.
    pub fn finish(mut self) -> Vec<u8> {
        self.json.push(b']');
        self.json
    }
}
