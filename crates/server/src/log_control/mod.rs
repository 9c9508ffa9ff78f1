//! The control socket's commands for logging, `vlog/...` (ovs-vswitchd(8)), on top of what the
//! program logs with.

mod level;
mod specification;

use std::sync::Arc;

use ovsdb_log::system_words;

use crate::control::{Answer, Commands};

pub use level::{Destination, Facility, Level};
pub use specification::set;

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
    /// Warnings that come too often are left out.
    pub limited: bool,
}

/// What a program's logging can be asked and told.
pub trait LogControl: Send + Sync + 'static {
    /// The modules' names.
    fn modules(&self) -> &'static [&'static str];
    /// All modules.
    fn levels(&self) -> Vec<ModuleLevels>;
    /// Sets the level of one module (in any case of letters) or all, at one destination or all.
    fn set_level(&self, module: Option<&str>, destination: Option<Destination>, level: Level);
    /// The pattern and the prefix of a destination's lines.
    fn pattern(&self, destination: Destination) -> (String, String);
    /// Sets the pattern of one destination or all.
    fn set_pattern(&self, destination: Option<Destination>, pattern: &str);
    /// Sets the facility of what goes to the system's log.
    fn set_facility(&self, facility: Facility);
    /// Says whether warnings of one module or all that come too often are left out.
    fn limit_rate(&self, module: Option<&str>, limited: bool);
    /// Writes a line for whoever asks for it.
    fn say(&self, message: &str);
    /// Opens the log file anew after it was rotated. None if there is no log file.
    fn reopen(&self) -> Option<std::io::Result<()>>;
    /// Closes the log file until it is reopened.
    fn close(&self);
}

/// Adds the logging commands.
pub fn register(commands: &mut Commands, log: Arc<dyn LogControl>) {
    let mut add = |name, usage, (least, most): (usize, usize), answer: Handler| {
        let log = Arc::clone(&log);
        commands.register(name, usage, least, most, move |arguments| {
            std::future::ready(answer(&*log, &arguments))
        });
    };
    let any = (0, usize::MAX);
    let spec = Some("{spec | PATTERN:destination:pattern}");
    add("vlog/set", spec, any, specification::set_all);
    add("vlog/list", Some(""), (0, 0), |log, _| Ok(list(log)));
    add("vlog/list-pattern", Some(""), (0, 0), |log, _| {
        Ok(list_patterns(log))
    });
    let modules = Some("[module]...");
    add("vlog/enable-rate-limit", modules, any, |log, names| {
        limit_rates(log, names, true)
    });
    add("vlog/disable-rate-limit", modules, any, |log, names| {
        limit_rates(log, names, false)
    });
    add("vlog/reopen", Some(""), (0, 0), |log, _| {
        match log.reopen() {
            None => Err("Logging to file not configured".to_owned()),
            Some(result) => result.map(|()| String::new()).map_err(|e| system_words(&e)),
        }
    });
    add("vlog/close", Some(""), (0, 0), |log, _| {
        log.close();
        Ok(String::new())
    });
    // As in the reference, it is not listed.
    add("vlog/message", None, (1, 1), |log, words| {
        log.say(&format!("user-message: {}", words.concat()));
        Ok(String::new())
    });
}

type Handler = fn(&dyn LogControl, &[String]) -> Answer;

fn limit_rates(log: &dyn LogControl, names: &[String], limited: bool) -> Answer {
    if names.is_empty() {
        log.limit_rate(None, limited);
    }
    for name in names {
        let known = log.modules().iter().find(|m| m.eq_ignore_ascii_case(name));
        match known {
            _ if name.eq_ignore_ascii_case("ANY") => log.limit_rate(None, limited),
            Some(module) => log.limit_rate(Some(module), limited),
            None => return Err("unknown module".to_owned()),
        }
    }
    Ok(String::new())
}

fn list(log: &dyn LogControl) -> String {
    let line = |levels: ModuleLevels| {
        let [console, syslog, file] = [levels.console, levels.syslog, levels.file].map(Level::name);
        let unlimited = match levels.limited {
            true => "",
            false => "    (rate limiting disabled)",
        };
        let module = levels.module;
        format!("{module:<16}  {console:>4}       {syslog:>4}       {file:>4}{unlimited}\n")
    };
    let mut lines: Vec<String> = log.levels().into_iter().map(line).collect();
    lines.sort();
    let head = "                 console    syslog    file\n                 -------    ------    ------\n";
    head.to_owned() + &lines.concat()
}

fn list_patterns(log: &dyn LogControl) -> String {
    let mut text = format!(
        "{:9}{:<34}format\n{:9}{:<34}------\n",
        "", "prefix", "", "------"
    );
    for destination in Destination::ALL {
        let (pattern, prefix) = log.pattern(destination);
        let name = destination.name().to_uppercase();
        text.push_str(&format!("{name:<7}  {prefix:<32}  {pattern}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    #[derive(Default)]
    struct Recorder(Mutex<Vec<String>>);

    impl LogControl for Recorder {
        fn modules(&self) -> &'static [&'static str] {
            &["server", "jsonrpc"]
        }
        fn levels(&self) -> Vec<ModuleLevels> {
            let (console, syslog, file) = (Level::Off, Level::Info, Level::Emergency);
            let modules = self.modules().iter();
            let levels = modules.map(|name| ModuleLevels {
                module: (*name).to_owned(),
                console,
                syslog,
                file,
                limited: *name != "server",
            });
            levels.collect()
        }
        fn set_level(&self, module: Option<&str>, to: Option<Destination>, level: Level) {
            self.0.lock().push(format!("{module:?} {to:?} {level:?}"));
        }
        fn pattern(&self, _: Destination) -> (String, String) {
            ("%m".to_owned(), "none".to_owned())
        }
        fn set_pattern(&self, to: Option<Destination>, pattern: &str) {
            self.0.lock().push(format!("{to:?} pattern {pattern}"));
        }
        fn set_facility(&self, facility: Facility) {
            let facility = facility.number();
            self.0.lock().push(format!("facility {facility}"));
        }
        fn limit_rate(&self, module: Option<&str>, limited: bool) {
            self.0.lock().push(format!("{module:?} limited {limited}"));
        }
        fn say(&self, message: &str) {
            self.0.lock().push(message.to_owned());
        }
        fn reopen(&self) -> Option<std::io::Result<()>> {
            None
        }
        fn close(&self) {}
    }

    #[test]
    fn specifications_are_understood_as_in_the_reference() {
        let log = Recorder::default();
        for spec in [
            "jsonrpc:FILE:warn",
            "any,dbg",
            "console off",
            "PATTERN:console:%p|%m",
            "pattern any ::x",
            "FACILITY:Local3",
            "facility clock",
        ] {
            assert_eq!(set(&log, spec), Ok(()), "{spec}");
        }
        assert_eq!(
            *log.0.lock(),
            [
                "Some(\"jsonrpc\") Some(File) Warning",
                "None None Debug",
                "None Some(Console) Off",
                "Some(Console) pattern %p|%m",
                "None pattern ::x",
                "facility 19",
                "facility 9",
            ]
        );
        for (spec, error) in [
            ("foo", "no destination, level, or module \"foo\""),
            ("PATTERN", "missing destination"),
            ("PATTERN:x", "unknown destination \"x\""),
            ("info:warn", "cannot specify multiple levels"),
            ("file:console", "cannot specify multiple destinations"),
            ("server:jsonrpc", "cannot specify multiple modules"),
            ("FACILITY:zz", "invalid facility"),
            ("FACILITY", "invalid facility"),
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
             jsonrpc            OFF       INFO       EMER\n\
             server             OFF       INFO       EMER    (rate limiting disabled)\n"
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
