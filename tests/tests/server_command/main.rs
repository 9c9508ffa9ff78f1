//! `ovsdb-server`'s command line and its commands about databases and remotes: what the reference
//! answers, ours answers.

mod configuration;
mod databases;
mod monitored;
mod remotes;
mod tls;

use std::path::{Path, PathBuf};

use anyhow::Result;
use ovn_ic_db_tests::process::{Options, Program, Server, Source, create_database};

/// A schema of this name with one table of numbers.
fn schema(name: &str) -> String {
    format!(
        r#"{{"name":"{name}","version":"1.0.0","tables":{{"T":{{"columns":{{"n":{{"type":"integer"}}}},"isRoot":true}}}}}}"#
    )
}

/// A new database in a folder.
fn create(folder: &Path, name: &str) -> Result<PathBuf> {
    let (schema_file, file) = (
        folder.join(format!("{name}.ovsschema")),
        folder.join(format!("{name}.db")),
    );
    std::fs::write(&schema_file, schema(name))?;
    create_database(&file, &schema_file)?;
    Ok(file)
}

/// A server of a new database of this schema.
fn start(program: Program, text: &str, arguments: &[&str]) -> Result<Server> {
    let options = Options {
        arguments: arguments.iter().map(Into::into).collect(),
        ..Options::default()
    };
    Server::start(program, &Source::SchemaText(text.to_owned()), &options)
}

/// What a command answers, or the error's text.
fn answer(server: &Server, command: &str, arguments: &[&str]) -> String {
    match server.control(command, arguments) {
        Ok(text) => text,
        Err(error) => format!("{error:#}"),
    }
}
