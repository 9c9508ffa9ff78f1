//! A good file in one line.

use std::fmt::Write as _;

use ovsdb_cluster::file::{Replayed, Standing};
use ovsdb_log::Holder;

use crate::inspection::Inspected;

/// What a torn end means where no server writes.
pub const TORN: &str = "  a server that starts on the file drops this end, and keeps it as FILE.torn-OFFSET; a copy with such an end is cut short or damaged: take another one\n";

/// The same where one does.
pub fn may_be_writing(holder: &Holder) -> String {
    format!("  {holder} uses the file and may be writing just now: look again in a moment\n")
}

/// What is in it.
pub fn summary(file: &Inspected) -> String {
    let mut line = String::new();
    let kind = match file.member {
        None => "standalone",
        Some(_) => "clustered",
    };
    let name = match (&file.version, &file.member) {
        (Some(version), _) => version.schema().name.to_string(),
        (None, Some(member)) => member.header.identity.name.clone(),
        (None, None) => String::new(),
    };
    let _ = write!(line, "{kind} {name}");
    if let Some(version) = &file.version {
        let (schema, rows) = (&version.schema().version, version.row_count());
        let _ = write!(line, ", schema {schema}, {rows} rows");
    }
    let _ = write!(line, ", {} records, {} bytes", file.records, file.size);
    if let Some(member) = &file.member {
        line.push_str(&place(member));
    }
    line
}

fn place(member: &Replayed) -> String {
    let identity = &member.header.identity;
    let standing = match member.standing() {
        Standing::Joining => "has yet to join a cluster",
        Standing::Member => "is a member",
        Standing::NotAMember => "is not a member (any more)",
        Standing::Left => "has left its cluster",
    };
    let mut text = format!(
        "; server {} at {} {standing}",
        identity.server_id, identity.local_address
    );
    if let Some(cluster) = identity.cluster_id {
        let _ = write!(text, " of cluster {cluster}");
    }
    if let Some(servers) = member.servers() {
        let _ = write!(
            text,
            " with {} servers; term {}, entries up to {}, committed up to {}",
            servers.len(),
            member.term,
            member.entries.last().index,
            member.commit_index
        );
    }
    text
}
