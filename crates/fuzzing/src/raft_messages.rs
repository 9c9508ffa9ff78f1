//! What members of clusters say to each other.

use bytes::Bytes;
use ovsdb_cluster::contents::apply;
use ovsdb_cluster::wire::{Address, Announcement, Body, Message};

use crate::contents::version;

/// A message is written and reads back the same, and so are the addresses and announcements in it;
/// entries are applied.
pub fn run(data: &[u8]) {
    let text = Bytes::copy_from_slice(data);
    let Ok(message) = Message::parse(&text) else {
        return;
    };
    let again = Bytes::from(message.frame().to_vec());
    assert_eq!(Message::parse(&again).as_ref(), Ok(&message));
    let _ = (message.body.term(), message.body.is_heartbeat());
    let comment = message.head.comment.as_deref().unwrap_or_default();
    if let Some(announcement) = Announcement::parse(comment) {
        let printed = announcement.to_string();
        assert_eq!(Announcement::parse(&printed), Some(announcement));
    }
    match &message.body {
        Body::HelloRequest(hello) => check_address(&hello.address),
        Body::AddServerRequest(request) => check_address(&request.address),
        Body::InstallSnapshotRequest(snapshot) => {
            let _ = apply(None, &snapshot.data, snapshot.last_eid);
        }
        Body::ExecuteCommandRequest(request) => {
            let _ = apply(Some(&version()), &request.data, request.result);
        }
        _ => {}
    }
}

fn check_address(text: &str) {
    if let Ok(address) = text.parse::<Address>() {
        assert_eq!(address.to_string().parse(), Ok(address));
    }
}
