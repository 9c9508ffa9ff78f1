//! What a single answer tells.

use ovsdb::Uuid;
use ovsdb_cluster::address::{Address, Host};
use ovsdb_cluster::status::{MemberStatus, Role, Standing};

use super::super::answer::{Answer, Outcome};

/// The member that answered, if it is one of ours.
pub fn member_of(answer: &Answer) -> Option<&MemberStatus> {
    match &answer.outcome {
        Outcome::Report(report) => report.member.as_ref(),
        _ => None,
    }
}

/// The last entry that the server knows to be committed.
pub fn newest_committed(answer: &Answer) -> Option<u64> {
    match &answer.outcome {
        Outcome::Report(report) => Some(report.member.as_ref()?.log.committed),
        Outcome::Server(row) => row.index,
        Outcome::Error(_) => None,
    }
}

/// Who leads, as far as the server knows.
pub fn leader_of(answer: &Answer) -> Option<Uuid> {
    match &answer.outcome {
        Outcome::Report(report) => report.member.as_ref()?.leader,
        Outcome::Server(row) if row.leader => row.server_id,
        _ => None,
    }
}

/// It is no cluster's member.
fn serves_alone(answer: &Answer) -> bool {
    match &answer.outcome {
        Outcome::Report(report) => report.member.is_none() && report.contents.is_some(),
        Outcome::Server(row) => row.model == "standalone",
        Outcome::Error(_) => false,
    }
}

/// The database can be used there: the server leads, is alone, or knows who leads.
pub fn knows_leader(answer: &Answer) -> bool {
    match &answer.outcome {
        Outcome::Report(report) => match &report.member {
            Some(member) => member.standing == Standing::Member && member.leader.is_some(),
            None => report.contents.is_some(),
        },
        Outcome::Server(row) => row.connected,
        Outcome::Error(_) => false,
    }
}

/// The places of those that have answered: who leads or is alone first, then those that know a
/// leader, as their contents are newer than the others'.
pub fn by_usefulness(answers: &[Answer]) -> Vec<usize> {
    let rank = |answer: &Answer| {
        let leads = match &answer.outcome {
            Outcome::Report(report) => report
                .member
                .as_ref()
                .is_none_or(|m| m.role == Role::Leader),
            Outcome::Server(row) => row.leader,
            Outcome::Error(_) => return None,
        };
        Some((!knows_leader(answer), !leads))
    };
    let ranked = answers.iter().enumerate();
    let mut ranked: Vec<_> = ranked
        .filter_map(|(place, answer)| Some((rank(answer)?, place)))
        .collect();
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, place)| place).collect()
}

/// Whether a member's address is of the host that was asked.
pub fn is_on_host(answer: &Answer, member: &str) -> bool {
    let host = |text: &str| match text.parse() {
        Ok(Address::Network { host, .. }) => Some(host),
        _ => None,
    };
    let (asked, member_host): (Option<Host>, Option<Host>) = (host(&answer.remote), host(member));
    let ip = member.parse::<Address>().ok();
    let ip = ip.as_ref().and_then(Address::ip_and_port);
    let is_there = ip.is_some_and(|(ip, _)| answer.at.iter().any(|at| at.ip() == ip));
    is_there || asked.is_some() && asked == member_host
}

/// How many servers that are no members have answered: one may have been asked under several names.
pub fn count_alone(answers: &[Answer]) -> usize {
    let alone: Vec<&Answer> = answers.iter().filter(|a| serves_alone(a)).collect();
    let is_again = |place: usize, answer: &Answer| {
        let mut before = alone.iter().take(place);
        before.any(|other| other.at.iter().any(|at| answer.at.contains(at)))
    };
    let new = alone.iter().enumerate();
    new.filter(|(place, answer)| !is_again(*place, answer))
        .count()
}
