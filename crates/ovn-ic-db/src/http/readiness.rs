//! Whether the server is alive, and whether it is ready, with the reasons in words.

use std::sync::atomic::Ordering;

use ovsdb_cluster::status::{MemberStatus, Role, Standing};

use super::Shown;
use crate::control_commands::Subject;
use crate::schemas::Side;

/// What is thought of a database.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Its name.
    pub database: &'static str,
    /// All is well.
    pub well: bool,
    /// What there is to say, behind its name.
    pub words: String,
}

/// Whether the process serves the databases' ports. Of one that is loaded or waits for the others of
/// its cluster it does: a new start would not help it.
pub fn alive(shown: &Shown) -> Vec<Verdict> {
    let verdicts = shown.databases.iter().map(|(side, subject)| {
        let lost = subject.service.counters().lost_listeners.get();
        Verdict {
            database: side.database(),
            well: lost == 0,
            words: match lost {
                0 => "has its ports".to_owned(),
                _ => "lets nobody in any more at one of its ports".to_owned(),
            },
        }
    });
    verdicts.collect()
}

/// Whether clients find the databases, and where they are clustered a leader.
pub fn ready(shown: &Shown) -> Vec<Verdict> {
    let databases = shown.databases.iter();
    databases
        .map(|(side, subject)| one_ready(*side, subject))
        .collect()
}

/// The same for one of them.
pub fn one_ready(side: Side, subject: &Subject) -> Verdict {
    let database = side.database();
    let member = subject.members.get(database).map(|member| member.status());
    let served = subject.service.database(database).is_some();
    let accepts = subject.accepts.load(Ordering::Acquire);
    let (well, words) = judge(served, accepts, member.as_ref());
    Verdict {
        database,
        well,
        words,
    }
}

fn judge(served: bool, accepts: bool, member: Option<&MemberStatus>) -> (bool, String) {
    let Some(member) = member else {
        return match served && accepts {
            true => (true, "is served".to_owned()),
            false => (false, "is being loaded".to_owned()),
        };
    };
    if member.leader.is_some() && served && accepts {
        let place = match member.role {
            Role::Leader => "here",
            _ => "elsewhere",
        };
        return (true, format!("is served, and led {place}"));
    }
    let mut words = match member.standing {
        Standing::Joining => "waits to join its cluster",
        Standing::Left => "has left its cluster",
        Standing::Failed => "has a file that cannot be used",
        Standing::Disconnected => "is cut off from a majority of its cluster",
        Standing::Member | Standing::Leaving if served => "knows no leader",
        Standing::Member | Standing::Leaving => "has no contents yet",
    }
    .to_owned();
    if !member.troubles.is_empty() {
        words += &format!(" ({})", member.troubles.join("; "));
    }
    (false, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ovsdb_cluster::entry::ServerId;

    fn member(standing: Standing, leader: Option<u128>) -> MemberStatus {
        MemberStatus {
            standing,
            leader: leader.map(ServerId::from_u128),
            ..MemberStatus::joining("D", ServerId::from_u128(1), "tcp:127.0.0.1:6647".to_owned())
        }
    }

    #[test]
    fn a_database_alone_is_ready_when_clients_are_let_in() {
        let loading = (false, "is being loaded".to_owned());
        assert_eq!(judge(false, false, None), loading);
        assert_eq!(judge(true, false, None), loading);
        assert_eq!(judge(true, true, None), (true, "is served".to_owned()));
    }

    #[test]
    fn a_member_is_ready_when_it_knows_a_leader() {
        let follows = member(Standing::Member, Some(2));
        let (ready, words) = judge(true, true, Some(&follows));
        assert!(ready && words == "is served, and led elsewhere", "{words}");
        assert!(!judge(false, true, Some(&follows)).0);
        let mut alone = member(Standing::Disconnected, None);
        alone.troubles = vec!["10.0.0.2: no answer".to_owned()];
        let (ready, words) = judge(true, true, Some(&alone));
        assert!(!ready);
        assert_eq!(
            words,
            "is cut off from a majority of its cluster (10.0.0.2: no answer)"
        );
        let joining = member(Standing::Joining, None);
        let (ready, words) = judge(false, true, Some(&joining));
        assert!(!ready && words == "waits to join its cluster", "{words}");
    }
}
