//! Where messages go, and how much of them: the names that vlog has for it.

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

impl Destination {
    /// In the order in which they are listed.
    pub const ALL: [Destination; 3] =
        [Destination::Syslog, Destination::Console, Destination::File];

    /// The reference's name.
    pub fn name(self) -> &'static str {
        match self {
            Destination::Syslog => "syslog",
            Destination::Console => "console",
            Destination::File => "file",
        }
    }

    /// By its name, in any case of letters.
    pub(super) fn named(word: &str) -> Option<Destination> {
        let mut all = Destination::ALL.into_iter();
        all.find(|destination| destination.name().eq_ignore_ascii_case(word))
    }
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

impl Level {
    /// From nothing to everything.
    pub const ALL: [Level; 6] = [
        Level::Off,
        Level::Emergency,
        Level::Error,
        Level::Warning,
        Level::Info,
        Level::Debug,
    ];

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

    /// What the system's log calls it, as the reference has it.
    pub fn severity(self) -> u8 {
        match self {
            Level::Off | Level::Emergency => 1,
            Level::Error => 3,
            Level::Warning => 4,
            Level::Info => 5,
            Level::Debug => 7,
        }
    }

    /// By its name, in any case of letters.
    pub(super) fn named(word: &str) -> Option<Level> {
        let mut all = Level::ALL.into_iter();
        all.find(|level| level.name().eq_ignore_ascii_case(word))
    }
}

/// What kind of program a message is from, for the system's log (RFC 5424).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    /// A daemon: what the system's log is told unless something else was set.
    pub const DAEMON: Facility = Facility(3);
    /// What a target beside the system's log is told unless something else was set.
    pub const LOCAL0: Facility = Facility(16);

    /// Each one's name stands at its number.
    const NAMES: [&str; 24] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "clock", "",
        "ftp", "ntp", "audit", "alert", "clock2", "local0", "local1", "local2", "local3", "local4",
        "local5", "local6", "local7",
    ];

    /// By its name, in any case of letters.
    pub(super) fn named(word: &str) -> Option<Facility> {
        let mut names = Facility::NAMES.iter();
        let place = names.position(|name| name.eq_ignore_ascii_case(word));
        let place = place.filter(|_| !word.is_empty())?;
        u8::try_from(place).ok().map(Facility)
    }

    /// The number that a message of that level begins with.
    pub fn priority(self, level: Level) -> u8 {
        self.0 << 3 | level.severity()
    }

    /// Its own number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// By its number.
    pub fn numbered(number: u8) -> Option<Facility> {
        (usize::from(number) < Facility::NAMES.len()).then_some(Facility(number))
    }
}
