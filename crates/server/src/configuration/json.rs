//! Configurations as JSON: the text of `--config-file`, and what a server that may crash keeps.
//! Mistakes are told in the reference's words.

use std::fmt::Display;

use crate::origin::SessionOptions;
use crate::remotes::Wanted;
use ovsdb::json::{Document, Json, Kind, SyntaxError, write};
use ovsdb::members::{Kinds, Members};

use super::{Configuration, DatabaseConfig, ServiceModel, Sync, Upstream};

/// The longest text of a configuration, in bytes.
pub const LONGEST: usize = 16 << 20;

/// Understands a text. What is wrong but does not matter is added to `warnings`.
///
/// # Errors
/// Lines that say what is wrong.
pub fn parse(text: &[u8], warnings: &mut Vec<String>) -> Result<Configuration, Vec<String>> {
    let document = Document::parse(text).map_err(|error| {
        vec![format!(
            "config: reading JSON failed ({})",
            at(text, &error)
        )]
    })?;
    let root = document.root();
    if root.kind() != Kind::Object {
        let line = "configuration in a file must be a JSON object";
        return Err(vec![line.to_owned()]);
    }
    let mut remotes = Wanted::new();
    parse_remotes(root.member("remotes"), &mut remotes, warnings).map_err(|line| {
        let then = "config: failed to parse 'remotes'".to_owned();
        vec![line, then]
    })?;
    let mut configuration = Configuration {
        remotes,
        ..Configuration::default()
    };
    let databases = root.member("databases");
    if let Some(databases) = databases.filter(|json| json.kind() != Kind::Null) {
        if databases.kind() != Kind::Object {
            let line = "config: 'databases' is not a JSON object or null".to_owned();
            return Err(vec![line, "config: failed to parse 'databases'".to_owned()]);
        }
        for (name, json) in databases.members() {
            let name = name.string().unwrap_or_default().into_owned();
            let config = parse_database(&name, json, warnings).map_err(|mut lines| {
                lines.push("config: failed to parse 'databases'".to_owned());
                lines
            })?;
            configuration.databases.insert(name, config);
        }
    }
    let string = |name| {
        let json: Option<Json<'_>> = root.member(name);
        json.and_then(Json::string).map(|text| text.into_owned())
    };
    configuration.sync = Sync {
        from: string("sync_from"),
        exclude: string("sync_exclude"),
        backup: root.member("is_backup").and_then(Json::boolean) == Some(true),
    };
    Ok(configuration)
}

/// Where a text is wrong, and why, in the reference's words: lines and columns count from 0.
fn at(text: &[u8], error: &SyntaxError) -> String {
    let before = &text[..error.offset.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count();
    let column = before
        .iter()
        .rev()
        .take_while(|byte| **byte != b'\n')
        .count();
    let SyntaxError { offset, reason } = error;
    format!("line {line}, column {column}, byte {offset}: {reason}")
}

fn parse_remotes(
    json: Option<Json<'_>>,
    remotes: &mut Wanted,
    warnings: &mut Vec<String>,
) -> Result<(), String> {
    let Some(json) = json.filter(|json| json.kind() != Kind::Null) else {
        return Ok(());
    };
    if json.kind() != Kind::Object {
        return Err("config: 'remotes' is not a JSON object".to_owned());
    }
    for (name, json) in json.members() {
        let name = name.string().unwrap_or_default().into_owned();
        let mut options = SessionOptions::of(&name);
        match json.kind() {
            Kind::Object => parse_options(json, &mut options, true, warnings),
            Kind::Null => {}
            _ => {
                let line = "JSON-RPC options are not a JSON object or null";
                return Err(format!("{name}: {line}"));
            }
        }
        remotes.insert(name, options);
    }
    Ok(())
}

/// The options of a connection; `sessions` if they are also about what clients may do.
fn parse_options(
    json: Json<'_>,
    options: &mut SessionOptions,
    sessions: bool,
    warnings: &mut Vec<String>,
) {
    let members = Members::new(json, &"JSON-RPC options");
    let integer = |name| {
        let json = members.optional(name, Kinds::INTEGER);
        json.and_then(Json::integer)
    };
    if let Some(milliseconds) = integer("max-backoff") {
        options.set_max_backoff(milliseconds);
    }
    if let Some(milliseconds) = integer("inactivity-probe") {
        options.set_inactivity_probe(milliseconds);
    }
    if let Some(dscp) = integer("dscp").and_then(|dscp| u8::try_from(dscp).ok())
        && dscp <= 63
    {
        options.dscp = dscp;
    }
    if sessions {
        if let Some(json) = members.optional("read-only", Kinds::BOOLEAN) {
            options.read_only = json.boolean() == Some(true);
        }
        if let Some(role) = members.optional("role", Kinds::STRING) {
            let role = role.string().filter(|role| !role.is_empty());
            options.role = role.map(|role| role.into_owned());
        }
    }
    if let Err(error) = members.finish() {
        warnings.push(error.to_string());
    }
}

fn parse_database(
    name: &str,
    json: Json<'_>,
    warnings: &mut Vec<String>,
) -> Result<DatabaseConfig, Vec<String>> {
    let mut config = DatabaseConfig::default();
    if json.kind() == Kind::Null {
        return Ok(config);
    }
    let mut lines = Vec::new();
    let what = format!("database {name}");
    let what: &dyn Display = &what;
    let members = Members::new(json, &what);
    if let Some(model) = members.optional("service-model", Kinds::STRING) {
        let model = model.string().unwrap_or_default();
        config.model = ServiceModel::parse(&model);
        if config.model.is_none() {
            lines.push(format!("Unrecognized database service model: '{model}'"));
            members.fail(format!("'{model}' is not a valid service model"));
        }
    }
    if config.model == Some(ServiceModel::ActiveBackup) {
        let backup = members.required("backup", Kinds::BOOLEAN);
        config.backup = backup.and_then(Json::boolean) == Some(true);
        if let Some(exclude) = members.optional("exclude-tables", Kinds::ARRAY) {
            let tables: Option<Vec<_>> = exclude.elements().map(Json::string).collect();
            match tables {
                Some(tables) => config.exclude = Some(tables.join(",")),
                None => members.fail("'exclude-tables' must contain strings".to_owned()),
            }
        }
    }
    if let Some(model @ (ServiceModel::ActiveBackup | ServiceModel::Relay)) = config.model {
        // An active server need not have anybody to become a copy of.
        let needed = model == ServiceModel::Relay || config.backup;
        let source = match needed {
            true => members.required("source", Kinds::OBJECT),
            false => members.optional("source", Kinds::OBJECT),
        };
        if let Some(source) = source {
            config.source = parse_source(source, model, &members, warnings);
        }
    }
    match members.finish() {
        Ok(()) => Ok(config),
        Err(error) => {
            lines.push(error.to_string());
            Err(lines)
        }
    }
}

fn parse_source(
    json: Json<'_>,
    model: ServiceModel,
    members: &Members<'_>,
    warnings: &mut Vec<String>,
) -> Option<Upstream> {
    let mut all = json.members();
    let (Some((name, options)), None) = (all.next(), all.next()) else {
        members.fail("'source' should be an object with exactly one element".to_owned());
        return None;
    };
    let mut source = Upstream::new(&name.string()?, model);
    match options.kind() {
        Kind::Object => parse_options(options, &mut source.options, false, warnings),
        Kind::Null => {}
        _ => members.fail("JSON-RPC options is not a JSON object or null".to_owned()),
    }
    Some(source)
}

/// The text of a configuration, which [`parse`] understands.
pub fn write(configuration: &Configuration) -> Vec<u8> {
    let mut out = b"{\"remotes\":{".to_vec();
    for (index, (name, options)) in configuration.remotes.iter().enumerate() {
        separate(&mut out, index);
        write::string(&mut out, name);
        out.push(b':');
        write_options(&mut out, options, true);
    }
    out.extend_from_slice(b"},\"databases\":{");
    for (index, (name, config)) in configuration.databases.iter().enumerate() {
        separate(&mut out, index);
        write::string(&mut out, name);
        out.push(b':');
        write_database(&mut out, config);
    }
    out.extend_from_slice(b"},\"is_backup\":");
    write::boolean(&mut out, configuration.sync.backup);
    for (name, value) in [
        ("sync_from", &configuration.sync.from),
        ("sync_exclude", &configuration.sync.exclude),
    ] {
        if let Some(value) = value {
            out.push(b',');
            write::string(&mut out, name);
            out.push(b':');
            write::string(&mut out, value);
        }
    }
    out.push(b'}');
    out
}

fn separate(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

fn write_options(out: &mut Vec<u8>, options: &SessionOptions, sessions: bool) {
    let milliseconds =
        |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    out.extend_from_slice(b"{\"max-backoff\":");
    write::integer(out, milliseconds(options.max_backoff));
    out.extend_from_slice(b",\"inactivity-probe\":");
    write::integer(out, options.probe_interval.map_or(0, milliseconds));
    out.extend_from_slice(b",\"dscp\":");
    write::integer(out, options.dscp.into());
    if sessions {
        out.extend_from_slice(b",\"read-only\":");
        write::boolean(out, options.read_only);
        if let Some(role) = &options.role {
            out.extend_from_slice(b",\"role\":");
            write::string(out, role);
        }
    }
    out.push(b'}');
}

fn write_database(out: &mut Vec<u8>, config: &DatabaseConfig) {
    let Some(model) = config.model else {
        out.extend_from_slice(b"{}");
        return;
    };
    out.extend_from_slice(b"{\"service-model\":");
    write::string(out, model.name());
    if let Some(source) = &config.source
        && matches!(model, ServiceModel::ActiveBackup | ServiceModel::Relay)
    {
        out.extend_from_slice(b",\"source\":{");
        write::string(out, &source.remotes);
        out.push(b':');
        write_options(out, &source.options, false);
        out.push(b'}');
    }
    if model == ServiceModel::ActiveBackup {
        if let Some(exclude) = &config.exclude {
            out.extend_from_slice(b",\"exclude-tables\":[");
            let tables = exclude.split([',', ' ']).filter(|table| !table.is_empty());
            for (index, table) in tables.enumerate() {
                separate(out, index);
                write::string(out, table);
            }
            out.push(b']');
        }
        out.extend_from_slice(b",\"backup\":");
        write::boolean(out, config.backup);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parsed(text: &str) -> (Result<Configuration, Vec<String>>, Vec<String>) {
        let mut warnings = Vec::new();
        (parse(text.as_bytes(), &mut warnings), warnings)
    }

    #[test]
    fn what_is_written_is_understood() {
        let text = r#"{"remotes":{"ptcp:6641":{"inactivity-probe":7000,"read-only":true,"role":"r"},
            "db:D,T,c":null},
          "databases":{"a.db":null,"b.db":{"service-model":"standalone"},
            "R":{"service-model":"relay","source":{"tcp:[::1]:1,unix:b":{"dscp":7}}},
            "c.db":{"service-model":"active-backup","backup":true,"exclude-tables":["T","U"],
              "source":{"unix:x":{"max-backoff":2000}}}}}"#;
        let (configuration, warnings) = parsed(text);
        let mut configuration = configuration.expect("a configuration");
        assert_eq!(warnings, [""; 0]);
        let options = &configuration.remotes["ptcp:6641"];
        assert_eq!(options.probe_interval, Some(Duration::from_secs(7)));
        assert!(options.read_only && options.role.as_deref() == Some("r"));
        let relay = configuration.databases["R"]
            .source
            .clone()
            .expect("a source");
        assert_eq!(relay.options.dscp, 7);
        assert_eq!(
            configuration.databases["c.db"].exclude.as_deref(),
            Some("T,U")
        );
        configuration.sync = Sync {
            from: Some("unix:x".to_owned()),
            exclude: Some("T".to_owned()),
            backup: true,
        };
        let again = parse(&write(&configuration), &mut Vec::new());
        assert_eq!(again, Ok(configuration));
    }

    #[test]
    fn mistakes_are_told_in_the_references_words() {
        let failed = "config: failed to parse 'databases'";
        for (text, lines) in [
            ("[]", &["configuration in a file must be a JSON object"][..]),
            (
                r#"{"remotes":1}"#,
                &[
                    "config: 'remotes' is not a JSON object",
                    "config: failed to parse 'remotes'",
                ],
            ),
            (
                r#"{"databases":{"d":{"service-model":"x"}}}"#,
                &[
                    "Unrecognized database service model: 'x'",
                    "syntax \"{\"service-model\":\"x\"}\": syntax error: Parsing database d failed: \
                     'x' is not a valid service model",
                    failed,
                ],
            ),
            (
                r#"{"databases":{"d":{"service-model":"active-backup","backup":true}}}"#,
                &[
                    "syntax \"{\"backup\":true,\"service-model\":\"active-backup\"}\": syntax error: \
                     Parsing database d failed: Required 'source' member is missing.",
                    failed,
                ],
            ),
            (
                r#"{"databases":{"d":{"y":1}}}"#,
                &[
                    "syntax \"{\"y\":1}\": syntax error: Parsing database d failed: Member 'y' is \
                     present but not allowed here.",
                    failed,
                ],
            ),
        ] {
            assert_eq!(
                parsed(text).0,
                Err(lines.iter().map(|l| (*l).to_owned()).collect())
            );
        }
        let (configuration, warnings) = parsed(r#"{"remotes":{"ptcp:1":{"x":1}}}"#);
        assert!(configuration.is_ok());
        assert_eq!(
            warnings,
            [
                "syntax \"{\"x\":1}\": syntax error: Parsing JSON-RPC options failed: Member 'x' is present but not allowed here."
            ]
        );
    }
}
