//! `ovsdb-server/tlog-set` and `ovsdb-server/tlog-list` (ovsdb-server(1)).

use std::sync::Arc;

use crate::control::{Answer, Commands};
use crate::service::Service;

/// Adds the commands.
pub fn register(commands: &mut Commands, service: &Arc<Service>) {
    let about = Arc::clone(service);
    let usage = Some("DB:TABLE on|off");
    commands.register("ovsdb-server/tlog-set", usage, 2, 2, move |arguments| {
        std::future::ready(set(&about, &arguments))
    });
    let about = Arc::clone(service);
    commands.register("ovsdb-server/tlog-list", Some(""), 0, 0, move |_| {
        std::future::ready(Ok(list(&about)))
    });
}

fn set(service: &Service, arguments: &[String]) -> Answer {
    let [place, command] = arguments else {
        return Err("invalid command argument".to_owned());
    };
    let logged = match command.to_ascii_lowercase().as_str() {
        "on" => true,
        "off" => false,
        _ => return Err("invalid command argument".to_owned()),
    };
    // As in the reference, colons before and behind are left out.
    let words: Vec<&str> = place.split(':').filter(|word| !word.is_empty()).collect();
    let [database, table] = words[..] else {
        return Err("invalid DB:TABLE argument".to_owned());
    };
    let database = service.database(database).ok_or("no such database")?;
    let commit = database.committed();
    if commit.version.schema().find(table).is_none() {
        return Err("no such table".to_owned());
    }
    database.table_log().set(table, logged);
    Ok(String::new())
}

fn list(service: &Service) -> String {
    let mut text = String::from(
        "database        table                       logging\n\
         --------        -----                       -------\n",
    );
    for name in service.names() {
        let Some(database) = service.database(&name) else {
            continue;
        };
        text.push_str(&format!("{name:<16} \n"));
        let logged = database.table_log().tables();
        let commit = database.committed();
        let schema = commit.version.schema();
        let mut tables: Vec<&str> = schema.tables.iter().map(|table| &*table.name).collect();
        tables.sort_unstable();
        for table in tables {
            let state = if logged.contains(table) { "ON" } else { "OFF" };
            text.push_str(&format!("                {table:<27} {state}\n"));
        }
    }
    text
}
