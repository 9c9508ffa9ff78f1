//! `ovn-ic-db pki`: an authority with keys and certificates, for trying TLS out.

mod authority;
mod files;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use crate::command_line::PkiFlags;
use crate::process;
use authority::{Authority, Pair};
use files::{Content, NewFiles};

/// The whole command, from its flags to its exit status.
pub fn main(flags: &PkiFlags) -> ExitCode {
    match make(flags) {
        Ok(text) => process::print(&text),
        Err(error) => process::fail(&format!("{error:#}"), ExitCode::FAILURE),
    }
}

fn make(flags: &PkiFlags) -> anyhow::Result<String> {
    let folder = &flags.folder;
    for name in &flags.name {
        check_name(name)?;
    }
    let authority = Authority::new(flags.days).context("the authority cannot be made")?;
    let issue = |name: &str| -> anyhow::Result<Pair> {
        let pair = authority.issue(name, flags.days);
        pair.with_context(|| format!("the certificate {name} cannot be made"))
    };
    let own = issue("ovn-ic-db")?;
    let mut files = NewFiles::in_folder(folder);
    files.add("cakey", Content::Key(authority.key_pem()));
    files.add("cacert", Content::Certificate(authority.certificate_pem()));
    files.add("key", Content::Key(own.key));
    files.add("cert", Content::Certificate(own.certificate));
    for name in &flags.name {
        let pair = issue(name)?;
        files.add(&format!("{name}.key"), Content::Key(pair.key));
        files.add(
            &format!("{name}.cert"),
            Content::Certificate(pair.certificate),
        );
    }
    files.write()?;
    Ok(said(folder, &flags.name))
}

/// A name becomes part of a file's.
fn check_name(name: &str) -> anyhow::Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let right =
        !name.is_empty() && name.len() <= 64 && !name.starts_with('.') && name.chars().all(allowed);
    anyhow::ensure!(
        right,
        "--name={name}: must be of letters, digits, \"-\", \"_\" and \".\""
    );
    Ok(())
}

fn said(folder: &Path, names: &[String]) -> String {
    let folder = folder.display();
    let mut text = format!(
        "{folder}/key and {folder}/cert: for a server, and for its clients as well\n\
         {folder}/cacert: the authority that both sides trust\n\
         {folder}/cakey: the authority's key; who has it can make certificates\n"
    );
    for name in names {
        text.push_str(&format!("{folder}/{name}.key and {folder}/{name}.cert\n"));
    }
    text.push_str(&format!(
        "\nENABLE_SSL=true ovn-ic-db run -p {folder}/key -c {folder}/cert -C {folder}/cacert\n\
         ovn-ic-nbctl --db=ssl:127.0.0.1:6645 -p {folder}/key -c {folder}/cert -C {folder}/cacert ts-list\n"
    ));
    text
}
