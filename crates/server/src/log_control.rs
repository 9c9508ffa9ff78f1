//! The control socket's commands for logging, `vlog/...` (ovs-vswitchd(8)), on top of what the
//! program logs with.

use std::sync::Arc;

use crate::control::Commands;

/// Where messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// The system's log.
    Syslog,
    /// Standard error.
    Console,
    /// The log file.
    File,
}

/// How much is logged, from nothing to everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    Off,
    /// What makes the program stop.
    Emergency,
    /// Errors.
    Error,
    /// Warnings.
    Warning,
    /// What is worth knowing.
    Info,
    /// Everything.
    Debug,
}

const DESTINATIONS: [Destination; 3] =
    [Destination::Syslog, Destination::Console, Destination::File];
const LEVELS: [Level; 6] = [
    Level::Off,
    Level::Emergency,
    Level::Error,
    Level::Warning,
    Level::Info,
    Level::Debug,
];

impl Destination {
    /// The reference's name.
    pub fn name(self) -> &'static str {
        match self {
            Destination::Syslog => "syslog",
            Destination::Console => "console",
            Destination::File => "file",
        }
    }
}

impl Level {
    /// The reference's name.
    pub fn name(self) -> &'static str {
        match self {
            Level::Off => "OFF",
            Level::Emergency => "EMER",
            Level::Error => "ERR",
            Level::Warning => "WARN",
            Level::Info => "INFO",
            Level::Debug => "DBG",
        }
    }
}

/// One module's levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleLevels {
    /// The module's name.
    pub module: String,
    /// On the console.
    pub console: Level,
    /// To the system's log.
    pub syslog: Level,
    /// To the file.
    pub file: Level,
}

/// What a program's logging can be asked and told.
pub trait LogControl: Send + Sync + 'static {
    /// All modules.
    fn levels(&self) -> Vec<ModuleLevels>;
    /// Sets the level of one module (in any case of letters) or all, at one destination or all.
    fn set_level(&self, module: Option<&str>, destination: Option<Destination>, level: Level);
    /// The pattern and the prefix of a destination's lines.
    fn pattern(&self, destination: Destination) -> (String, String);
    /// Opens the log file anew after it was rotated. None if there is no log file.
    fn reopen(&self) -> Option<std::io::Result<()>>;
    /// Closes the log file until it is reopened.
    fn close(&self);
}

/// Adds the logging commands.
pub fn register(commands: &mut Commands, log: Arc<dyn LogControl>) {
    let target = log.clone();
    commands.register("vlog/set", Some("{spec}"), 0, usize::MAX, move |specs| {
        std::future::ready(set_all(&*target, &specs))
    });
    let target = log.clone();
    commands.register("vlog/list", Some(""), 0, 0, move |_| {
        std::future::ready(Ok(list(&*target)))
    });
    let target = log.clone();
    commands.register("vlog/list-pattern", Some(""), 0, 0, move |_| {
        std::future::ready(Ok(list_patterns(&*target)))
    });
    let target = log.clone();
    commands.register("vlog/reopen", Some(""), 0, 0, move |_| {
        std::future::ready(match target.reopen() {
            None => Err("Logging to file not configured".to_owned()),
            Some(result) => result.map(|()| String::new()).map_err(|e| e.to_string()),
        })
    });
    commands.register("vlog/close", Some(""), 0, 0, move |_| {
        log.close();
        std::future::ready(Ok(String::new()))
    });
}

fn list(log: &dyn LogControl) -> String {
    let mut lines: Vec<String> = log
        .levels()
        .into_iter()
        .map(
            |ModuleLevels {
                 module,
                 console,
                 syslog,
                 file,
             }| {
                let (console, syslog, file) = (console.name(), syslog.name(), file.name());
                format!("{module:<16}  {console:>4}       {syslog:>4}       {file:>4}\n")
            },
        )
        .collect();
    lines.sort();
    let head = "                 console    syslog    file\n                 -------    ------    ------\n";
    head.to_owned() + &lines.concat()
}

fn list_patterns(log: &dyn LogControl) -> String {
    let mut text = format!(
        "{:9}{:<34}format\n{:9}{:<34}------\n",
        "", "prefix", "", "------"
    );
    for destination in DESTINATIONS {
        let (pattern, prefix) = log.pattern(destination);
        let name = destination.name().to_uppercase();
        text.push_str(&format!("{name:<7}  {prefix:<32}  {pattern}\n"));
    }
    text
}

fn set_all(log: &dyn LogControl, specs: &[String]) -> Result<String, String> {
    if specs.is_empty() {
        log.set_level(None, None, Level::Debug);
    }
    for spec in specs {
        set(log, spec)?;
    }
    Ok(String::new())
}

/// Does what one specification says (`vlog/set`, `--verbose`): destination, level and module in
/// any order.
pub fn set(log: &dyn LogControl, spec: &str) -> Result<(), String> {
    let is_separator = |c| matches!(c, ' ' | ',' | ':' | '\t');
    let spec = spec.trim_start_matches(is_separator);
    let (first, rest) = spec.split_once(is_separator).unwrap_or((spec, ""));
    if first.eq_ignore_ascii_case("PATTERN") {
        let rest = rest.trim_start_matches(is_separator);
        let (word, pattern) = rest.split_once(is_separator).unwrap_or((rest, ""));
        return check_pattern(word, pattern);
    }
    if first.eq_ignore_ascii_case("FACILITY") {
        // There is no system log here that a facility would matter to.
        return Err("invalid facility".to_owned());
    }
    let modules: Vec<String> = log
        .levels()
        .into_iter()
        .map(|levels| levels.module)
        .collect();
    let (mut destination, mut level, mut module) = (None, None, None);
    for word in spec.split(is_separator).filter(|word| !word.is_empty()) {
        let twice = |what| Err(format!("cannot specify multiple {what}"));
        if word.eq_ignore_ascii_case("ANY") {
            continue;
        } else if let Some(found) = destination_of(word) {
            if destination.replace(found).is_some() {
                return twice("destinations");
            }
        } else if let Some(found) = LEVELS.iter().find(|l| l.name().eq_ignore_ascii_case(word)) {
            if level.replace(*found).is_some() {
                return twice("levels");
            }
        } else if let Some(found) = modules.iter().find(|m| m.eq_ignore_ascii_case(word)) {
            if module.replace(found.as_str()).is_some() {
                return twice("modules");
            }
        } else {
            return Err(format!("no destination, level, or module \"{word}\""));
        }
    }
    log.set_level(module, destination, level.unwrap_or(Level::Debug));
    Ok(())
}

/// Lines have one shape here: a change of the pattern is an error, and the first thing wrong with
/// it is told.
fn check_pattern(word: &str, pattern: &str) -> Result<(), String> {
    if word.is_empty() {
        return Err("missing destination".to_owned());
    }
    if !word.eq_ignore_ascii_case("ANY") && destination_of(word).is_none() {
        return Err(format!("unknown destination \"{word}\""));
    }
    Err(format!("the pattern cannot be changed to \"{pattern}\""))
}

fn destination_of(word: &str) -> Option<Destination> {
    DESTINATIONS
        .into_iter()
        .find(|d| d.name().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    #[derive(Default)]
    struct Recorder(Mutex<Vec<String>>);

    impl LogControl for Recorder {
        fn levels(&self) -> Vec<ModuleLevels> {
            let (console, syslog, file) = (Level::Off, Level::Info, Level::Emergency);
            ["server", "jsonrpc"]
                .map(|name| ModuleLevels {
                    module: name.to_owned(),
                    console,
                    syslog,
                    file,
                })
                .to_vec()
        }
        fn set_level(&self, module: Option<&str>, to: Option<Destination>, level: Level) {
            self.0.lock().push(format!("{module:?} {to:?} {level:?}"));
        }
        fn pattern(&self, _: Destination) -> (String, String) {
            ("%m".to_owned(), "none".to_owned())
        }
        fn reopen(&self) -> Option<std::io::Result<()>> {
            None
        }
        fn close(&self) {}
    }

    #[test]
    fn specifications_are_understood_as_in_the_reference() {
        let log = Recorder::default();
        for spec in ["jsonrpc:FILE:warn", "any,dbg", "console off"] {
            assert_eq!(set(&log, spec), Ok(()), "{spec}");
        }
        assert_eq!(
            *log.0.lock(),
            [
                "Some(\"jsonrpc\") Some(File) Warning",
                "None None Debug",
                "None Some(Console) Off",
            ]
        );
        for (spec, error) in [
            ("foo", "no destination, level, or module \"foo\""),
            ("PATTERN", "missing destination"),
            ("PATTERN:x", "unknown destination \"x\""),
            (
                "PATTERN:ANY:%p:%m",
                "the pattern cannot be changed to \"%p:%m\"",
            ),
            ("info:warn", "cannot specify multiple levels"),
            ("file:console", "cannot specify multiple destinations"),
            ("server:jsonrpc", "cannot specify multiple modules"),
            ("FACILITY:zz", "invalid facility"),
        ] {
            assert_eq!(set(&log, spec), Err(error.to_owned()), "{spec}");
        }
    }

    #[test]
    fn lists_have_the_references_shape() {
        let log = Recorder::default();
        assert_eq!(
            list(&log),
            "                 console    syslog    file\n                 -------    ------    ------\n\
             jsonrpc            OFF       INFO       EMER\nserver             OFF       INFO       EMER\n"
        );
        assert_eq!(
            list_patterns(&log).lines().take(3).collect::<Vec<_>>(),
            [
                "         prefix                            format",
                "         ------                            ------",
                "SYSLOG   none                              %m",
            ]
        );
    }
}
