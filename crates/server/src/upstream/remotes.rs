//! The names of active remotes (ovsdb(7), "Connection Methods"): where another server is.

use std::path::Path;

use ovsdb::{Uuid, atom};
use ovsdb_cluster::address::Address;

/// The port of a remote that names none.
const DEFAULT_PORT: u16 = 6640;

/// A remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    /// As it was given.
    pub(crate) name: String,
    /// None for a text that is no address: connecting fails then.
    pub(crate) address: Option<Address>,
}

/// Remotes of one server, or of the members of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remotes {
    text: String,
    all: Vec<Remote>,
    /// The cluster that is wanted.
    cluster: Option<Uuid>,
}

impl Remotes {
    /// Takes a comma list apart: `tcp:HOST[:PORT]`, `ssl:HOST[:PORT]`, `unix:PATH`, and perhaps
    /// `cid:UUID`. Relative paths are in `run_folder`.
    pub fn parse(text: &str, run_folder: &Path) -> Remotes {
        let mut remotes = Remotes {
            text: text.to_owned(),
            all: Vec::new(),
            cluster: None,
        };
        for part in split(text) {
            let cluster = part.strip_prefix("cid:").and_then(atom::parse_uuid);
            match cluster {
                Some(cluster) if remotes.cluster.is_none() => remotes.cluster = Some(cluster),
                _ => remotes.all.push(Remote {
                    name: part.to_owned(),
                    address: address(part, run_folder),
                }),
            }
        }
        remotes
    }

    /// The text that they were parsed from.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn all(&self) -> &[Remote] {
        &self.all
    }

    pub(crate) fn cluster(&self) -> Option<Uuid> {
        self.cluster
    }

    /// The remote of a name is among them.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.all.iter().any(|remote| remote.name == name)
    }

    /// True if there is one that is not on this machine for sure: only those are probed.
    pub(crate) fn is_probed(remote: &Remote) -> bool {
        !matches!(remote.address, Some(Address::Unix(_)))
    }
}

/// The parts of a list. A comma ends one only where the next one begins, as paths may have commas.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start_matches([' ', '\t']);
    while !rest.is_empty() {
        let mut commas = rest.match_indices(',').map(|(place, _)| place);
        let end = commas.find(|place| begins_remote(&rest[place + 1..]));
        let (part, behind) = match end {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, ""),
        };
        parts.push(part.trim_end_matches([' ', '\t']));
        rest = behind.trim_start_matches([' ', '\t']);
    }
    parts
}

/// A method's name and a colon.
fn begins_remote(text: &str) -> bool {
    let text = text.trim_start_matches([' ', '\t']);
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    letters > 0 && text.as_bytes().get(letters) == Some(&b':')
}

fn address(text: &str, run_folder: &Path) -> Option<Address> {
    match text.parse() {
        Ok(Address::Unix(path)) => {
            let path = run_folder.join(path);
            Some(Address::Unix(path.to_str()?.to_owned()))
        }
        Ok(address) => Some(address),
        Err(_) => format!("{text}:{DEFAULT_PORT}").parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Vec<Option<String>>, Option<Uuid>) {
        let remotes = Remotes::parse(text, Path::new("/run"));
        assert_eq!(remotes.text(), text);
        let address = |remote: &Remote| remote.address.as_ref().map(Address::to_string);
        (
            remotes.all().iter().map(address).collect(),
            remotes.cluster(),
        )
    }

    #[test]
    fn lists_are_taken_apart() {
        let id = Uuid::from_u128(7);
        for (text, addresses, cluster) in [
            ("", vec![], None),
            ("tcp:1.2.3.4:5", vec![Some("tcp:1.2.3.4:5")], None),
            (
                "tcp:[::1]:5, ssl:host,cid:00000000-0000-0000-0000-000000000007",
                vec![Some("tcp:[::1]:5"), Some("ssl:host:6640")],
                Some(id),
            ),
            (
                "unix:a,b.sock,unix:/c.sock",
                vec![Some("unix:/run/a,b.sock"), Some("unix:/c.sock")],
                None,
            ),
            ("tcp:1.2.3.4", vec![Some("tcp:1.2.3.4:6640")], None),
            ("ptcp:5", vec![None], None),
        ] {
            let addresses: Vec<_> = addresses.iter().map(|a| a.map(str::to_owned)).collect();
            assert_eq!(parse(text), (addresses, cluster), "{text}");
        }
    }
}
