//! What is known of another node.

use std::time::{Duration, Instant};

use ovsdb_cluster::wire::ClusterId;

use super::report::{Report, Standing};

/// A node whose system refuses connections for so long is not running.
const REFUSED: Duration = Duration::from_secs(1);
/// A node that does not answer for so long is away; a node that was there is waited for as long.
const SILENT: Duration = Duration::from_secs(3);
/// A node that takes connections is given so long to say something: it may be a busy or stopped
/// member.
const MUTE: Duration = Duration::from_secs(10);

/// How a node can be reached that is not talking to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// It has not answered.
    Silent,
    /// Its system refuses connections.
    Refused,
    /// It takes connections, and has not said anything on one.
    Mute,
    /// It was there, and its last connection is gone.
    Lost,
}

/// What is known of another node.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// It is one of those that were to be asked; others have only called.
    pub(super) listed: bool,
    /// What it said last.
    pub(super) report: Option<Report>,
    /// The connection on which it said so is open.
    pub(super) present: bool,
    reach: Reach,
    since: Instant,
    lost: Option<Instant>,
}

impl Peer {
    pub(super) fn new(listed: bool, now: Instant) -> Peer {
        Peer {
            listed,
            report: None,
            present: false,
            reach: Reach::Silent,
            since: now,
            lost: None,
        }
    }

    pub(super) fn connected(&mut self, now: Instant) {
        self.reached(Reach::Mute, now);
    }

    pub(super) fn unreachable(&mut self, refused: bool, now: Instant) {
        let reach = if refused {
            Reach::Refused
        } else {
            Reach::Silent
        };
        self.reached(reach, now);
    }

    /// Time counts from when it was first so: trying again and again changes nothing.
    fn reached(&mut self, reach: Reach, now: Instant) {
        if !self.present && self.reach != reach {
            (self.reach, self.since) = (reach, now);
        }
    }

    pub(super) fn heard(&mut self, report: Report) {
        self.report = Some(report);
        self.present = true;
    }

    /// It behaves as a member; what it has said itself says more.
    pub(super) fn shown(&mut self, cluster: Option<ClusterId>, present: bool) {
        let known = match self.report.map(|report| report.standing) {
            Some(Standing::Member { cluster: known, .. }) => cluster.is_none() || known == cluster,
            // Something else, said just now.
            Some(_) => self.present && !present,
            None => false,
        };
        if !known {
            self.report = Some(Report::foreign(Standing::unknown_member(cluster)));
        }
        self.present |= present;
    }

    pub(super) fn gone(&mut self, now: Instant) {
        if std::mem::take(&mut self.present) {
            (self.reach, self.since) = (Reach::Lost, now);
            self.lost = Some(now);
        }
    }

    /// How it is not talking to us; none if it is.
    pub(super) fn reach(&self) -> Option<Reach> {
        (!self.present).then_some(self.reach)
    }

    /// From when on it is taken for away, unless it is there.
    pub(super) fn away_at(&self) -> Option<Instant> {
        let patience = match self.reach()? {
            Reach::Silent | Reach::Lost => SILENT,
            Reach::Refused => REFUSED,
            Reach::Mute => MUTE,
        };
        Some(self.since + patience)
    }

    pub(super) fn is_away(&self, now: Instant) -> bool {
        self.away_at().is_some_and(|at| at <= now)
    }

    /// Until when it is waited for if it was about to found when it was lost.
    pub(super) fn held_until(&self) -> Option<Instant> {
        let lost = self.lost.filter(|_| !self.present)?;
        Some(lost + SILENT)
    }

    /// What it says on an open connection.
    pub(super) fn says(&self) -> Option<&Report> {
        self.report.as_ref().filter(|_| self.present)
    }
}
