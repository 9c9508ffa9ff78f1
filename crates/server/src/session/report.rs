//! The report on a database, which people and their tools ask for.

use ovsdb::json::Json;

use super::{Ending, Request, Session, envelope};

impl Session {
    pub(super) fn report(&mut self, request: &Request<'_>) -> Result<(), Ending> {
        let id = request.id.source();
        let found = self.find_database(request);
        let name = request.params.element(0).and_then(Json::string);
        let served = found.as_deref().ok();
        let report = name.and_then(|name| self.service.report(&name, served, self.id));
        let report = match (report, found) {
            (Some(report), _) => report,
            (None, Err(error)) => return self.error(id, &error),
            (None, Ok(_)) => return self.unknown_method(id),
        };
        match serde_json::to_vec(&report) {
            Ok(json) => self.result(id, &json),
            Err(error) => {
                self.flush_monitors()?;
                envelope::error_text(&mut self.outbox, id, &error.to_string());
                Ok(())
            }
        }
    }
}
