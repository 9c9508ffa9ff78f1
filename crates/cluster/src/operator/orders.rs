//! The commands' effects and answers, apart from the socket that they come by.

use super::rules::{self, Removal};
use super::{Member, Refusal};
use crate::failure_test::FailureTest;

/// What is said of a command; nothing of some that are obeyed.
pub type Answer = Result<String, Refusal>;

/// `cluster/status`.
pub fn status(member: &dyn Member) -> Answer {
    Ok(member.status().to_string())
}

/// `cluster/cid`.
///
/// # Errors
/// If the cluster's id is not known yet.
pub fn cluster_id(member: &dyn Member) -> Answer {
    match member.status().cluster_id {
        Some(id) => Ok(id.to_string()),
        None => Err(Refusal::new("cluster id not yet known")),
    }
}

/// `cluster/sid`.
pub fn server_id(member: &dyn Member) -> Answer {
    Ok(member.status().server_id.to_string())
}

/// `cluster/leave`.
///
/// # Errors
/// If the member cannot leave.
pub fn leave(member: &dyn Member) -> Answer {
    rules::leave(&member.status())?;
    member.leave()?;
    Ok(String::new())
}

/// `cluster/kick`, with a server's address or the beginning of its id.
///
/// # Errors
/// If there is no such server, or it cannot be removed.
pub fn kick(member: &dyn Member, server: &str) -> Answer {
    Ok(match rules::kick(&member.status(), server)? {
        Removal::Leave => {
            member.leave()?;
            String::new()
        }
        Removal::Remove(server) => {
            member.remove(server)?;
            "started removal".to_owned()
        }
        Removal::AskLeader(server) => {
            if !member.ask_to_remove(server) {
                return Err(Refusal::new("failed to send removal request"));
            }
            "sent removal request to leader".to_owned()
        }
    })
}

/// `cluster/change-election-timer`, with milliseconds.
///
/// # Errors
/// If it cannot be changed here, now, or to this.
pub fn change_election_timer(member: &dyn Member, milliseconds: &str) -> Answer {
    Ok(
        match rules::election_timer(&member.status(), milliseconds)? {
            None => "change election timer to current value.".to_owned(),
            Some(milliseconds) => {
                member.change_election_timer(milliseconds)?;
                "change of election timer initiated.".to_owned()
            }
        },
    )
}

/// `cluster/set-backlog-threshold`.
///
/// # Errors
/// If these are no such numbers.
pub fn set_backlog_threshold(member: &dyn Member, messages: &str, bytes: &str) -> Answer {
    let (messages, bytes) = rules::backlog_threshold(messages, bytes)?;
    member.set_backlog_threshold(messages, bytes)?;
    Ok(String::new())
}

/// `cluster/failure-test`, for all members in a process.
///
/// # Errors
/// If there is no such test.
pub fn failure_test<'a>(members: impl Iterator<Item = &'a dyn Member>, name: &str) -> Answer {
    let test = FailureTest::of_name(name);
    if test.is_none() && name != "clear" {
        return Err(Refusal::new("unknown test scenario"));
    }
    for member in members {
        member.test_failure(test)?;
    }
    Ok(match test {
        Some(_) => "test engaged".to_owned(),
        None => "test dismissed".to_owned(),
    })
}
