//! The methods that a client can call (RFC 7047 section 4.1; ovsdb-server(7)).

use std::sync::Arc;

use ovsdb::json::{Json, write};
use ovsdb::members::is_id;
use ovsdb::{Error, Tag};
use ovsdb_engine::monitor::Format;

use super::{Ending, Handled, Request, Session, envelope};
use crate::counters::ErrorKind;
use crate::locks::{LockError, Locking};
use crate::report;
use crate::server_database;
use crate::service::Served;

/// What a client that may only read is told when it asks for a lock.
const READ_ONLY: &str = "lock and unlock methods not allowed, DB server is read only.";

/// It is about to read who leads what.
fn asks_for_server(request: &Request<'_>) -> bool {
    let reads = request.method == "transact" || request.method.starts_with("monitor");
    let name = || request.params.element(0).and_then(Json::string);
    reads && name().is_some_and(|name| name == server_database::NAME)
}

impl Session {
    pub(super) async fn request(&mut self, request: Request<'_>) -> Result<Handled, Ending> {
        if !self.knows_server && asks_for_server(&request) {
            self.knows_server = true;
            self.service.prepare_server().await;
        }
        match request.method {
            "transact" => return self.transact(request),
            // All others may depend on what was asked before, and are answered in order anyway.
            _ if !self.transactions.all_answered() => return Ok(Handled::Later),
            "echo" => {
                let id = request.id.source();
                envelope::result(&mut self.outbox, id, request.params.source());
                return Ok(Handled::Yes);
            }
            "convert" => return self.convert(request),
            _ => {}
        }
        let id = request.id.source();
        match request.method {
            "monitor" => self.monitor(request, Format::Update).await?,
            // `ovsdb-server/disable-monitor-cond`: as servers were before there were conditions.
            "monitor_cond" | "monitor_cond_since" if !self.service.knows_conditions() => {
                self.unknown_method(id)?;
            }
            "monitor_cond" => self.monitor(request, Format::Update2).await?,
            "monitor_cond_since" => self.monitor(request, Format::Update3).await?,
            "monitor_cond_change" => self.monitor_cond_change(request)?,
            "monitor_cancel" => self.monitor_cancel(request)?,
            "get_schema" => {
                if let Some(served) = self.lookup(&request)? {
                    let schema = served.database.committed().version.schema().to_json();
                    self.result(id, schema.as_bytes())?;
                }
            }
            "list_dbs" => {
                let mut names = b"[".to_vec();
                for name in self.service.known_names() {
                    if names.len() > 1 {
                        names.push(b',');
                    }
                    write::string(&mut names, &name);
                }
                names.push(b']');
                self.result(id, &names)?;
            }
            "get_server_id" => {
                let mut text = Vec::new();
                write::uuid(&mut text, &self.service.id);
                self.result(id, &text)?;
            }
            "lock" | "steal" => self.lock(&request)?,
            "unlock" => self.unlock(&request)?,
            "set_db_change_aware" => {
                let aware = request.params.element(0).and_then(Json::boolean);
                match (request.params.len(), aware) {
                    (1, Some(aware)) => {
                        self.change_aware = aware;
                        self.result(id, b"{}")?;
                    }
                    _ => self.syntax_error(&request, "true or false parameter expected")?,
                }
            }
            report::METHOD => self.report(&request)?,
            _ => self.unknown_method(id)?,
        }
        Ok(Handled::Yes)
    }

    pub(super) fn unknown_method(&mut self, id: &[u8]) -> Result<(), Ending> {
        self.error_text(id, "unknown method")
    }

    /// The database that a request begins with.
    pub(super) fn find_database(&self, request: &Request<'_>) -> Result<Arc<Served>, Error> {
        let (method, params) = (request.method, request.params);
        let Some(name) = params.element(0).and_then(Json::string) else {
            let details = format!("{method} request params must begin with <db-name>");
            return Err(Error::syntax(params, details));
        };
        self.service.served(&name).ok_or_else(|| {
            if self.service.is_announced(&name) || self.service.is_awaited(&name) {
                let details = format!(
                    "{method} request specifies database {name} which is not yet available \
                     because it has not completed joining its cluster"
                );
                return Error::new(Tag::DatabaseNotAvailable, details);
            }
            let details = format!("{method} request specifies unknown database {name}");
            Error::about(params, Tag::UnknownDatabase, details)
        })
    }

    /// Likewise; none after the error was sent.
    pub(super) fn lookup(&mut self, request: &Request<'_>) -> Result<Option<Arc<Served>>, Ending> {
        match self.find_database(request) {
            Ok(served) => Ok(Some(served)),
            Err(error) => {
                self.error(request.id.source(), &error)?;
                Ok(None)
            }
        }
    }

    fn lock(&mut self, request: &Request<'_>) -> Result<(), Ending> {
        if self.is_read_only() {
            return self.error_text(request.id.source(), READ_ONLY);
        }
        let Some(name) = self.lock_name(request)? else {
            return Ok(());
        };
        let mut locks = self.service.locks.lock();
        let (locked, victim) = if request.method == "lock" {
            let locked = locks.lock(self.id, &name);
            (locked.map(|locking| locking == Locking::Locked), None)
        } else {
            match locks.steal(self.id, &name) {
                Ok(victim) => (Ok(true), victim),
                Err(error) => (Err(error), None),
            }
        };
        drop(locks);
        if let Some(victim) = victim {
            self.service.tell_lock(victim, "stolen", name);
        }
        match locked {
            Ok(true) => self.result(request.id.source(), b"{\"locked\":true}"),
            Ok(false) => self.result(request.id.source(), b"{\"locked\":false}"),
            Err(error) => self.lock_error(request, &error),
        }
    }

    fn unlock(&mut self, request: &Request<'_>) -> Result<(), Ending> {
        if self.is_read_only() {
            return self.error_text(request.id.source(), READ_ONLY);
        }
        let Some(name) = self.lock_name(request)? else {
            return Ok(());
        };
        let unlocked = self.service.locks.lock().unlock(self.id, &name);
        match unlocked {
            Ok(owner) => {
                if let Some(owner) = owner {
                    self.service.tell_lock(owner, "locked", name);
                }
                self.result(request.id.source(), b"{}")
            }
            Err(error) => self.lock_error(request, &error),
        }
    }

    fn lock_name(&mut self, request: &Request<'_>) -> Result<Option<String>, Ending> {
        let name = request.params.element(0).and_then(Json::string);
        match name {
            Some(name) if request.params.len() == 1 && is_id(&name) => Ok(Some(name.into_owned())),
            _ => {
                let details = format!("{} request params must be <id>", request.method);
                let error = Error::syntax(request.params, details);
                self.error(request.id.source(), &error)?;
                Ok(None)
            }
        }
    }

    fn lock_error(&mut self, request: &Request<'_>, error: &LockError) -> Result<(), Ending> {
        let tag = match error {
            LockError::TooMany => Tag::ResourcesExhausted,
            _ => Tag::SyntaxError,
        };
        let error = Error::about(request.params, tag, error.to_string());
        self.error(request.id.source(), &error)
    }

    pub(super) fn syntax_error_of(&self, request: &Request<'_>, details: &str) -> Error {
        Error::syntax(request.params, format!("{}: {details}", request.method))
    }

    pub(super) fn syntax_error(
        &mut self,
        request: &Request<'_>,
        details: &str,
    ) -> Result<(), Ending> {
        let error = self.syntax_error_of(request, details);
        self.error(request.id.source(), &error)
    }

    pub(super) fn error(&mut self, id: &[u8], error: &Error) -> Result<(), Ending> {
        self.flush_monitors()?;
        self.count_error(ErrorKind::Ovsdb(error.tag));
        envelope::error(&mut self.outbox, id, error);
        Ok(())
    }

    pub(super) fn error_text(&mut self, id: &[u8], text: &str) -> Result<(), Ending> {
        self.flush_monitors()?;
        self.count_error(ErrorKind::Other);
        envelope::error_text(&mut self.outbox, id, text);
        Ok(())
    }

    pub(super) fn result(&mut self, id: &[u8], json: &[u8]) -> Result<(), Ending> {
        self.flush_monitors()?;
        envelope::result(&mut self.outbox, id, json);
        Ok(())
    }
}
