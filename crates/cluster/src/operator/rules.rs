//! Which wishes of an operator can be fulfilled, and what is said where they cannot.

use super::Refusal;
use crate::address::same_address;
use crate::entry::ServerId;
use crate::status::{MemberStatus, Phase, Role, Standing, short_id};

/// The least election timer, in milliseconds.
pub const MIN_ELECTION_TIMER: u64 = 100;
/// The greatest election timer, in milliseconds.
pub const MAX_ELECTION_TIMER: u64 = 600_000;
/// The fewest messages that must be allowed to wait for a connection.
pub const MIN_BACKLOG_MESSAGES: usize = 50;

/// What it takes to remove a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is this server itself.
    Leave,
    /// This server leads, and can do it.
    Remove(ServerId),
    /// The leader can do it.
    AskLeader(ServerId),
}

/// How to remove the member that `text` means: its address, or the beginning of its id.
///
/// # Errors
/// If there is not exactly one such member, or it cannot be removed now.
pub fn kick(status: &MemberStatus, text: &str) -> Result<Removal, Refusal> {
    let server = find(status, text).ok_or_else(|| Refusal::new("unknown server"))?;
    if server == status.server_id {
        leave(status)?;
        return Ok(Removal::Leave);
    }
    if status.role != Role::Leader {
        return Ok(Removal::AskLeader(server));
    }
    let known = status.servers.iter().find(|known| known.id == server);
    let why = match known.map(|known| known.phase) {
        Some(Phase::Committing) => "committing",
        Some(Phase::Removing) => "in progress",
        _ => return Ok(Removal::Remove(server)),
    };
    Err(Refusal(format!(
        "request via unixctl to remove {} from cluster {} failed ({why})",
        status.short_name(server),
        short_id(status.cluster_id.unwrap_or_default()),
    )))
}

/// The member of an address, or the only one whose id begins so.
fn find(status: &MemberStatus, text: &str) -> Option<ServerId> {
    let servers = &status.servers;
    let mut at_address = servers.iter().filter(|s| same_address(&s.address, text));
    if let Some(server) = at_address.next() {
        return Some(server.id);
    }
    if text.is_empty() {
        return None;
    }
    let mut found = servers
        .iter()
        .filter(|server| server.id.to_string().starts_with(text));
    let first = found.next()?;
    found.next().is_none().then_some(first.id)
}

/// Whether the server can leave.
///
/// # Errors
/// If it cannot.
pub fn leave(status: &MemberStatus) -> Result<(), Refusal> {
    let why = match status.standing {
        Standing::Leaving => "already in progress leaving cluster",
        Standing::Joining => "can't leave while join in progress",
        Standing::Failed => "can't leave after failure",
        Standing::Left => "already left the cluster",
        // The reference begins, and waits for ever as a member that serves nobody.
        Standing::Member | Standing::Disconnected if status.servers.len() == 1 => {
            "the only member of a cluster can't leave it"
        }
        Standing::Member | Standing::Disconnected => return Ok(()),
    };
    Err(Refusal::new(why))
}

/// The new election timer that `text` means, in milliseconds; none if that is the present one.
///
/// # Errors
/// If it cannot be changed here, now, or to this.
pub fn election_timer(status: &MemberStatus, text: &str) -> Result<Option<u64>, Refusal> {
    if status.role != Role::Leader {
        let why = "election timer must be changed through leader.";
        return Err(Refusal::new(why));
    }
    if status.next_election_timer.is_some() {
        return Err(Refusal::new("election timer change pending."));
    }
    let timer = leading_number(text);
    if timer == status.election_timer {
        return Ok(None);
    }
    if !(MIN_ELECTION_TIMER..=MAX_ELECTION_TIMER).contains(&timer) {
        let why = "election timer must be between 100 and 600000, in msec.";
        return Err(Refusal::new(why));
    }
    // A follower that has the new one later than the leader must not run out of patience.
    if timer > status.election_timer.saturating_mul(2) {
        let why = "election timer increase should not exceed the current value x 2.";
        return Err(Refusal::new(why));
    }
    Ok(Some(timer))
}

/// The number that a text begins with, 0 if with none: as C reads numbers, so that `1500ms` is 1500.
fn leading_number(text: &str) -> u64 {
    let text = text.trim_start();
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.bytes().position(|byte| !byte.is_ascii_digit());
    let digits = &text[..end.unwrap_or(text.len())];
    match digits {
        "" => 0,
        digits => digits.parse().unwrap_or(u64::MAX),
    }
}

/// How many messages and bytes may wait for a connection.
///
/// # Errors
/// If these are no such numbers.
pub fn backlog_threshold(messages: &str, bytes: &str) -> Result<(usize, usize), Refusal> {
    let number = |text: &str| text.parse::<u64>().ok();
    let (Some(messages), Some(bytes)) = (number(messages), number(bytes)) else {
        return Err(Refusal::new("invalid argument"));
    };
    let out_of_range = || Refusal::new("values out of range");
    let size = |number: u64| usize::try_from(number).map_err(|_| out_of_range());
    let (messages, bytes) = (size(messages)?, size(bytes)?);
    if messages < MIN_BACKLOG_MESSAGES {
        return Err(out_of_range());
    }
    Ok((messages, bytes))
}
