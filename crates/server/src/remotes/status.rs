//! How a remote is doing, as the columns `is_connected` and `status` of its row say it
//! (ovs-vswitchd.conf.db(5), table `Manager`, "Status").

use crate::locks::LockStatus;

/// How a remote is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteStatus {
    /// Somebody is connected.
    pub connected: bool,
    /// Where this server calls: the state of the connection, such as `ACTIVE`.
    pub state: Option<&'static str>,
    /// Seconds since it was last made.
    pub since_connect: Option<u64>,
    /// Seconds since it was last lost.
    pub since_disconnect: Option<u64>,
    /// Why it was last lost or not made.
    pub last_error: Option<String>,
    /// The session's locks.
    pub locks: LockStatus,
    /// Where this server listens: how many are connected.
    pub connections: usize,
    /// The port listened at.
    pub port: Option<u16>,
}

impl RemoteStatus {
    /// Where nobody is called, the reference has zeros for the times.
    pub(super) fn of_no_session() -> RemoteStatus {
        RemoteStatus {
            since_connect: Some(0),
            since_disconnect: Some(0),
            ..RemoteStatus::default()
        }
    }

    /// The pairs of the column `status`, in the order of their keys.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let locks = |names: &[String]| (!names.is_empty()).then(|| names.join(" "));
        let several = (self.connections > 1).then(|| self.connections.to_string());
        let pairs = [
            ("bound_port", self.port.map(|port| port.to_string())),
            ("last_error", self.last_error.clone()),
            ("locks_held", locks(&self.locks.held)),
            ("locks_lost", locks(&self.locks.lost)),
            ("locks_waiting", locks(&self.locks.waiting)),
            ("n_connections", several),
            (
                "sec_since_connect",
                self.since_connect.map(|s| s.to_string()),
            ),
            (
                "sec_since_disconnect",
                self.since_disconnect.map(|s| s.to_string()),
            ),
            ("state", self.state.map(str::to_owned)),
        ];
        let pairs = pairs.into_iter();
        pairs
            .filter_map(|(key, value)| Some((key, value?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_left_out() {
        assert_eq!(RemoteStatus::default().pairs(), []);
        let listening = RemoteStatus {
            connected: true,
            connections: 2,
            port: Some(6640),
            ..RemoteStatus::default()
        };
        let pairs = [
            ("bound_port", "6640".to_owned()),
            ("n_connections", "2".to_owned()),
        ];
        assert_eq!(listening.pairs(), pairs);
        let calling = RemoteStatus {
            state: Some("ACTIVE"),
            since_connect: Some(3),
            locks: LockStatus {
                held: vec!["a".to_owned(), "b".to_owned()],
                ..LockStatus::default()
            },
            ..RemoteStatus::default()
        };
        let pairs = [
            ("locks_held", "a b".to_owned()),
            ("sec_since_connect", "3".to_owned()),
            ("state", "ACTIVE".to_owned()),
        ];
        assert_eq!(calling.pairs(), pairs);
    }
}
