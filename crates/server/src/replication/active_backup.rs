//! The databases of a server that are active or backups, and the commands about them
//! (ovsdb-server(1), "Active-Backup Commands").

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::{ExcludedTables, Replication};
use crate::service::Service;
use crate::upstream::{Remotes, Settings};

/// What a database follows as a backup.
#[derive(Debug, Clone)]
pub struct Source {
    /// The active server.
    pub settings: Settings,
    /// A list of the tables that are left out, as [`ExcludedTables::parse`] takes it.
    pub excluded: Option<String>,
}

impl Source {
    fn is_same(&self, other: &Source) -> bool {
        self.settings.remotes == other.settings.remotes && self.excluded == other.excluded
    }
}

/// What a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Clients write to it.
    Active,
    /// It follows its source.
    Backup,
}

/// A database that can be either.
struct Member {
    /// An active one need not have any.
    source: Option<Source>,
    replication: Option<Replication>,
    /// Counts replications: one that has failed may be over for long.
    turn: u64,
}

struct State {
    /// What the commands and the command line say: for all databases together.
    source: Option<String>,
    excluded: Option<String>,
    /// How the source of the commands is reached, but for where.
    template: Settings,
    members: BTreeMap<String, Member>,
}

/// All of them.
pub struct ActiveBackup {
    itself: Weak<ActiveBackup>,
    service: Arc<Service>,
    /// Makes remotes of a text.
    parse: Box<dyn Fn(&str) -> Remotes + Send + Sync>,
    /// When one cannot be a backup any more, none is.
    together: bool,
    state: Mutex<State>,
}

impl std::fmt::Debug for ActiveBackup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.lock();
        f.debug_struct("ActiveBackup")
            .field("members", &state.members.keys())
            .finish_non_exhaustive()
    }
}

impl ActiveBackup {
    /// None yet. `together`, as the reference has it where they are not set one by one in a file:
    /// when one cannot be a backup any more, all become active. `parse` makes remotes of the texts
    /// that commands give.
    pub fn new(
        service: Arc<Service>,
        together: bool,
        parse: impl Fn(&str) -> Remotes + Send + Sync + 'static,
    ) -> Arc<ActiveBackup> {
        Arc::new_cyclic(|itself| ActiveBackup {
            itself: itself.clone(),
            service,
            state: Mutex::new(State {
                source: None,
                excluded: None,
                template: Settings::new(parse("")),
                members: BTreeMap::new(),
            }),
            parse: Box::new(parse),
            together,
        })
    }

    /// How the active server that commands name is reached, but for where.
    pub fn set_template(&self, settings: Settings) {
        self.state.lock().template = settings;
    }

    /// Makes a standalone database of the service active or a backup, or one that is neither. A backup
    /// that stays one with the same source and tables goes on. An error is about what is missing.
    pub fn set(&self, name: &str, wanted: Option<(Role, Option<Source>)>) -> Result<(), String> {
        let mut state = self.state.lock();
        self.set_in(&mut state, name, wanted)
    }

    fn set_in(
        &self,
        state: &mut State,
        name: &str,
        wanted: Option<(Role, Option<Source>)>,
    ) -> Result<(), String> {
        let Some((role, source)) = wanted else {
            state.members.remove(name);
            return Ok(());
        };
        let member = state.members.entry(name.to_owned()).or_insert(Member {
            source: None,
            replication: None,
            turn: 0,
        });
        let before = std::mem::replace(&mut member.source, source);
        match (role, &member.source) {
            (Role::Active, _) => member.replication = None,
            (Role::Backup, None) => return Err(format!("{name}: a backup needs a source")),
            (Role::Backup, Some(source)) => {
                if before.is_some_and(|before| before.is_same(source))
                    && let Some(replication) = &member.replication
                {
                    let settings = source.settings.clone();
                    replication.set(move |present| *present = settings);
                    return Ok(());
                }
                // In this order: the one before makes it writable.
                member.replication = None;
                member.turn += 1;
                let source = source.clone();
                member.replication = Some(self.begin(name, member.turn, source)?);
            }
        }
        Ok(())
    }

    fn begin(&self, name: &str, turn: u64, source: Source) -> Result<Replication, String> {
        let database = self.service.database(name);
        let database = database.ok_or_else(|| format!("{name}: no such database"))?;
        let excluded = source.excluded.as_deref().unwrap_or_default();
        let excluded = ExcludedTables::parse(excluded, name);
        let (itself, of) = (self.itself.clone(), name.to_owned());
        let failed = Box::new(move || {
            if let Some(all) = itself.upgrade() {
                all.failed(&of, turn);
            }
        });
        let own = self.service.id();
        Ok(Replication::start(
            &database,
            own,
            source.settings,
            excluded,
            failed,
        ))
    }

    /// What the active server has cannot be taken: the database is active from now on.
    fn failed(&self, name: &str, turn: u64) {
        let mut state = self.state.lock();
        let Some(member) = state.members.get_mut(name) else {
            return;
        };
        if member.turn != turn || member.replication.is_none() {
            return;
        }
        member.replication = None;
        if self.together {
            let members = state.members.values_mut();
            members.for_each(|member| member.replication = None);
        }
    }

    /// What a database is; none for one that cannot be a backup.
    pub fn role(&self, name: &str) -> Option<Role> {
        let state = self.state.lock();
        state.members.get(name).map(Member::role)
    }

    /// All that can be a backup, with their sources.
    pub fn members(&self) -> Vec<(String, Role, Option<Source>)> {
        let state = self.state.lock();
        let member = |(name, member): (&String, &Member)| {
            (name.clone(), member.role(), member.source.clone())
        };
        state.members.iter().map(member).collect()
    }

    /// The answer to `ovsdb-server/sync-status`, in the reference's words.
    pub fn sync_status(&self) -> String {
        let state = self.state.lock();
        let mut out = String::new();
        let names = self.service.known_names();
        for (place, name) in names.iter().enumerate() {
            let Some(member) = state.members.get(name) else {
                continue;
            };
            let (role, status) = match &member.replication {
                Some(replication) => ("backup", replication.status()),
                None => ("active", String::new()),
            };
            out.push_str(&format!("database: {name}\nstate: {role}\n{status}"));
            if place + 1 < names.len() {
                out.push('\n');
            }
        }
        if state.members.is_empty() {
            out.push_str("state: active\n");
        }
        out
    }

    /// `ovsdb-server/set-active-ovsdb-server`: counts from the next time that a backup begins.
    pub fn set_active_server(&self, source: &str) {
        let mut state = self.state.lock();
        state.source = Some(source.to_owned());
        let remotes = (self.parse)(source);
        let template = state.template.clone();
        for member in state.members.values_mut() {
            match &mut member.source {
                Some(source) => source.settings.remotes = remotes.clone(),
                None => {
                    member.source = Some(Source {
                        settings: from_template(&template, remotes.clone()),
                        excluded: None,
                    });
                }
            }
        }
    }

    /// `ovsdb-server/get-active-ovsdb-server`.
    pub fn active_server(&self) -> Option<String> {
        self.state.lock().source.clone()
    }

    /// `ovsdb-server/connect-active-ovsdb-server`: all standalone databases become backups. The text is
    /// the reference's answer.
    pub fn connect(&self) -> String {
        let mut state = self.state.lock();
        let Some(source) = state.source.clone() else {
            return "Unable to connect: active server is not specified.\n".to_owned();
        };
        let default = Source {
            settings: from_template(&state.template, (self.parse)(&source)),
            excluded: state.excluded.clone(),
        };
        for name in self.service.standalone_names() {
            let member = state.members.get(&name);
            if member.is_some_and(|member| member.replication.is_some()) {
                continue;
            }
            let own = member.and_then(|member| member.source.clone());
            let source = own.unwrap_or_else(|| default.clone());
            let wanted = Some((Role::Backup, Some(source)));
            if let Err(error) = self.set_in(&mut state, &name, wanted) {
                tracing::error!("{error}");
            }
        }
        String::new()
    }

    /// `ovsdb-server/disconnect-active-ovsdb-server`: all backups become active.
    pub fn disconnect(&self) {
        let mut state = self.state.lock();
        let members = state.members.values_mut();
        members.for_each(|member| member.replication = None);
    }

    /// `ovsdb-server/set-sync-exclude-tables`: a backup begins anew with it.
    pub fn set_excluded_tables(&self, list: &str) {
        let mut state = self.state.lock();
        state.excluded = Some(list.to_owned());
        let names: Vec<String> = state.members.keys().cloned().collect();
        for name in names {
            let Some(member) = state.members.get(&name) else {
                continue;
            };
            let (role, mut source) = (member.role(), member.source.clone());
            if let Some(source) = &mut source {
                source.excluded = Some(list.to_owned());
            }
            if let Err(error) = self.set_in(&mut state, &name, Some((role, source))) {
                tracing::error!("{error}");
            }
        }
    }

    /// `ovsdb-server/get-sync-exclude-tables`.
    pub fn excluded_tables(&self) -> Option<String> {
        self.state.lock().excluded.clone()
    }

    /// `ovsdb-server/set-active-ovsdb-server-probe-interval`.
    pub fn set_probe_interval(&self, interval: Option<Duration>) {
        let mut state = self.state.lock();
        state.template.probe = interval;
        for member in state.members.values_mut() {
            if let Some(source) = &mut member.source {
                source.settings.probe = interval;
            }
            if let Some(replication) = &member.replication {
                replication.set(|settings| settings.probe = interval);
            }
        }
    }
}

impl Member {
    fn role(&self) -> Role {
        match self.replication {
            Some(_) => Role::Backup,
            None => Role::Active,
        }
    }
}

fn from_template(template: &Settings, remotes: Remotes) -> Settings {
    Settings {
        remotes,
        ..template.clone()
    }
}
