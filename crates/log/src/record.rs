//! One record: a header line `OVSDB <magic> <length> <sha1>`, then `<length>` bytes (ovsdb(5)).

use sha1::{Digest, Sha1};

/// The longest header line that is accepted, in bytes with its newline. The reference reads lines of
/// at most 127 bytes; a real one has about 60.
pub const MAX_HEADER: usize = 127;

/// What a header line begins with.
pub(crate) const LEAD: &[u8] = b"OVSDB ";

/// The kind of a log file, which every one of its records names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Magic {
    /// A standalone database.
    Json,
    /// A clustered database: one server's Raft log.
    Cluster,
}

impl Magic {
    /// The word in the header line.
    pub fn word(self) -> &'static str {
        match self {
            Magic::Json => "JSON",
            Magic::Cluster => "CLUSTER",
        }
    }

    /// The service model's name for people.
    pub fn model(self) -> &'static str {
        match self {
            Magic::Json => "standalone",
            Magic::Cluster => "clustered",
        }
    }
}

/// A parsed header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The kind of file it belongs to.
    pub magic: Magic,
    /// The length of the data that follows, in bytes, with its newline. Never 0.
    pub length: u64,
    /// The SHA-1 over the data.
    pub hash: [u8; 20],
}

/// Parses a header line, with or without its newline; an error says what is wrong with it.
///
/// Exactly one space between words, as ovsdb(5) has it (the reference's reader is laxer about the
/// length). Hash digits may be of either case.
pub fn parse_header(line: &[u8]) -> Result<Header, String> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    if line.len() >= MAX_HEADER {
        return Err("the header line is too long".to_owned());
    }
    let Some(rest) = line.strip_prefix(LEAD) else {
        return Err(format!(
            "expected a header line that begins with \"OVSDB\", found {}",
            excerpt(line)
        ));
    };
    let mut words = rest.split(|&b| b == b' ');
    let (Some(magic), Some(length), Some(hash), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(format!("malformed header line {}", excerpt(line)));
    };
    let magic = match magic {
        b"JSON" => Magic::Json,
        b"CLUSTER" => Magic::Cluster,
        other => return Err(format!("unknown kind of OVSDB file {}", excerpt(other))),
    };
    let length = std::str::from_utf8(length)
        .ok()
        .filter(|s| s.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|s| s.parse::<u64>().ok())
        .filter(|&n| n > 0)
        .ok_or_else(|| format!("bad length {} in the header line", excerpt(length)))?;
    let hash = parse_hash(hash)
        .ok_or_else(|| format!("bad SHA-1 {} in the header line", excerpt(hash)))?;
    Ok(Header {
        magic,
        length,
        hash,
    })
}

fn parse_hash(hex: &[u8]) -> Option<[u8; 20]> {
    if hex.len() != 40 {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16);
    let mut hash = [0; 20];
    for (byte, pair) in hash.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(hash)
}

/// The first bytes of something unreadable, quoted, for an error message.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(40)];
    format!(
        "\"{}{}\"",
        shown.escape_ascii(),
        if shown.len() < bytes.len() { "..." } else { "" }
    )
}

/// The SHA-1 of some bytes.
pub(crate) fn sha1(data: &[u8]) -> [u8; 20] {
    Sha1::digest(data).into()
}

/// Records, framed one behind the other, ready to be written at the end of a file.
#[derive(Debug)]
pub struct RecordBuffer {
    magic: Magic,
    framed: Vec<u8>,
    text: Vec<u8>,
    records: u64,
}

/// What a cleared buffer may keep allocated; one huge record must not cost memory for ever.
const KEEP: usize = 1 << 20;

impl RecordBuffer {
    /// An empty buffer for a file of that kind.
    pub fn new(magic: Magic) -> RecordBuffer {
        RecordBuffer {
            magic,
            framed: Vec::new(),
            text: Vec::new(),
            records: 0,
        }
    }

    /// Adds one record. `encode` appends the record's JSON text (an object, on one line, without a
    /// newline at the end) to the empty vector that it is given.
    pub fn record(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        self.text.clear();
        encode(&mut self.text);
        self.frame();
    }

    /// The same for a record that may turn out to have nothing in it: then `encode` says `false`, and
    /// none is added.
    pub fn record_if(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> bool) {
        self.text.clear();
        if encode(&mut self.text) {
            self.frame();
        }
    }

    fn frame(&mut self) {
        self.text.push(b'\n');
        self.header();
        self.framed.extend_from_slice(&self.text);
        self.records += 1;
    }

    fn header(&mut self) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.framed.extend_from_slice(LEAD);
        self.framed.extend_from_slice(self.magic.word().as_bytes());
        self.framed.push(b' ');
        self.framed
            .extend_from_slice(self.text.len().to_string().as_bytes());
        self.framed.push(b' ');
        for byte in sha1(&self.text) {
            self.framed.push(HEX[usize::from(byte >> 4)]);
            self.framed.push(HEX[usize::from(byte & 15)]);
        }
        self.framed.push(b'\n');
    }

    /// The framed records.
    pub fn as_bytes(&self) -> &[u8] {
        &self.framed
    }

    /// Their length in bytes.
    pub fn len(&self) -> usize {
        self.framed.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.framed.is_empty()
    }

    /// How many records there are.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The kind of file that they are for.
    pub fn magic(&self) -> Magic {
        self.magic
    }

    /// Forgets all records; keeps a reasonable amount of memory for the next ones.
    pub fn clear(&mut self) {
        self.framed.clear();
        self.text.clear();
        self.framed.shrink_to(KEEP);
        self.text.shrink_to(KEEP);
        self.records = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_counts_the_newline() {
        let mut buffer = RecordBuffer::new(Magic::Json);
        buffer.record(|text| {
            text.extend_from_slice(br#"{"name":"d","tables":{},"version":"1.0.0"}"#)
        });
        let expected = "OVSDB JSON 43 ";
        assert!(buffer.as_bytes().starts_with(expected.as_bytes()));
        assert!(buffer.as_bytes().ends_with(b"\"1.0.0\"}\n"));
        assert_eq!(buffer.records(), 1);
    }

    #[test]
    fn print_parse_identity() {
        let mut buffer = RecordBuffer::new(Magic::Cluster);
        buffer.record(|text| text.extend_from_slice(b"{}"));
        let newline = buffer.as_bytes().iter().position(|&b| b == b'\n').unwrap();
        let header = parse_header(&buffer.as_bytes()[..=newline]).unwrap();
        assert_eq!(
            header,
            Header {
                magic: Magic::Cluster,
                length: 3,
                hash: sha1(b"{}\n")
            }
        );
    }

    #[test]
    fn refuses_malformed_headers() {
        let hash = "0123456789abcdef0123456789abcdef01234567";
        assert!(parse_header(format!("OVSDB JSON 5 {hash}\n").as_bytes()).is_ok());
        for line in [
            String::new(),
            "\n".to_owned(),
            "OVSDB".to_owned(),
            format!("OVSDB  JSON 5 {hash}"),
            format!("OVSDB JSON  5 {hash}"),
            format!("OVSDB JSON 5 {hash} "),
            format!("OVSDB JSON 5 {hash}0"),
            format!("OVSDB JSON 0 {hash}"),
            format!("OVSDB JSON -5 {hash}"),
            format!("OVSDB JSON +5 {hash}"),
            format!("OVSDB JSON 99999999999999999999999 {hash}"),
            format!("OVSDB JSN 5 {hash}"),
            format!("ovsdb JSON 5 {hash}"),
            format!("OVSDB JSON 5 {}g", &hash[1..]),
            format!("OVSDB JSON {}5 {hash}", "0".repeat(100)),
        ] {
            assert!(parse_header(line.as_bytes()).is_err(), "{line:?}");
        }
    }

    #[test]
    fn a_cleared_buffer_gives_memory_back() {
        let mut buffer = RecordBuffer::new(Magic::Json);
        buffer.record(|text| text.resize(8 << 20, b' '));
        buffer.clear();
        assert!(
            buffer.is_empty()
                && buffer.framed.capacity() <= 2 * KEEP
                && buffer.text.capacity() <= 2 * KEEP
        );
    }
}
