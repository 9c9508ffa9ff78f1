//! One setting's text, where it came from, and what it may be.

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

use crate::logging::Shape;

/// A setting that cannot be used; the program ends with status 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    source: String,
    value: String,
    reason: String,
}

impl SettingError {
    /// The exit status for a wrong command line or environment.
    pub const EXIT_STATUS: u8 = 2;
}

impl fmt::Display for SettingError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}={}: {}", self.source, self.value, self.reason)
    }
}

impl std::error::Error for SettingError {}

/// A value and the flag or variable that it came by.
pub(super) struct Given {
    pub(super) source: &'static str,
    pub(super) value: String,
}

impl Given {
    pub(super) fn refuse(&self, reason: impl Into<String>) -> SettingError {
        SettingError {
            source: self.source.to_owned(),
            value: self.value.clone(),
            reason: reason.into(),
        }
    }

    pub(super) fn number(&self, most: u64) -> Result<u64, SettingError> {
        match self.value.trim().parse() {
            Ok(number) if number <= most => Ok(number),
            _ => Err(self.refuse(format!("must be a number from 0 to {most}"))),
        }
    }

    /// A port; 0 is any free one.
    pub(super) fn port(&self) -> Result<u16, SettingError> {
        let number = self.number(u64::from(u16::MAX))?;
        u16::try_from(number).map_err(|_| self.refuse("is no port"))
    }

    /// An address and a port; none if it is empty.
    pub(super) fn place(&self) -> Result<Option<SocketAddr>, SettingError> {
        let text = self.value.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let place = text.parse();
        place.map(Some).map_err(|_| {
            self.refuse("must be ADDRESS:PORT, such as 127.0.0.1:6649 or [::1]:6649, or empty")
        })
    }

    pub(super) fn boolean(&self) -> Result<bool, SettingError> {
        match self.value.trim() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.refuse("must be true or false")),
        }
    }
}

/// Gives a variable's value.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Where settings come from.
pub(super) struct Sources<'a> {
    pub(super) environment: Environment<'a>,
}

impl Sources<'_> {
    /// A variable that is set and not empty, as text.
    pub(super) fn variable(&self, source: &'static str) -> Result<Option<Given>, SettingError> {
        match (self.environment)(source) {
            None => Ok(None),
            Some(value) if value.is_empty() => Ok(None),
            Some(value) => match value.into_string() {
                Ok(value) => Ok(Some(Given { source, value })),
                Err(value) => Err(SettingError {
                    source: source.to_owned(),
                    value: value.to_string_lossy().into_owned(),
                    reason: "is not UTF-8".to_owned(),
                }),
            },
        }
    }

    /// A flag's value, or else its variable's.
    pub(super) fn either(
        &self,
        flag: &'static str,
        value: &Option<String>,
        name: &'static str,
    ) -> Result<Option<Given>, SettingError> {
        match value {
            Some(value) => Ok(Some(Given {
                source: flag,
                value: value.clone(),
            })),
            None => self.variable(name),
        }
    }

    /// A variable that says true or false.
    pub(super) fn boolean(&self, name: &'static str) -> Result<Option<bool>, SettingError> {
        let given = self.variable(name)?;
        given.map(|given| given.boolean()).transpose()
    }

    /// A port; 0 is any free one.
    pub(super) fn port(
        &self,
        flag: &'static str,
        value: &Option<String>,
        name: &'static str,
        default: u16,
    ) -> Result<u16, SettingError> {
        match self.either(flag, value, name)? {
            None => Ok(default),
            Some(given) => given.port(),
        }
    }

    /// A folder, which need not be UTF-8: by flag, our own variable, or the usual one.
    pub(super) fn folder(
        &self,
        flag: &Option<OsString>,
        own: &str,
        usual: &str,
    ) -> Option<PathBuf> {
        let variable = |name| (self.environment)(name).filter(|value| !value.is_empty());
        flag.clone()
            .or_else(|| variable(own))
            .or_else(|| variable(usual))
            .map(PathBuf::from)
    }
}

/// Addresses between commas or white space; IPv6 ones bare or in brackets.
pub(super) fn addresses(given: &Given) -> Result<Vec<IpAddr>, SettingError> {
    given
        .value
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|part| !part.is_empty())
        .map(|part| {
            let bare = part
                .strip_prefix('[')
                .and_then(|part| part.strip_suffix(']'))
                .unwrap_or(part);
            bare.parse()
                .map_err(|_| given.refuse(format!("{part} is no IP address")))
        })
        .collect()
}

/// Whether an address can be listened on: it is one of this machine's, or stands for all of them.
pub(super) fn own_address(source: &'static str, address: IpAddr) -> Result<(), SettingError> {
    // A machine without IPv6 has its place for `::`, too.
    if address.is_unspecified() {
        return Ok(());
    }
    let given = Given {
        source,
        value: address.to_string(),
    };
    match TcpListener::bind((address, 0)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => {
            Err(given.refuse("is not an address of this machine (`ip address` shows those)"))
        }
        Err(error) => Err(given.refuse(format!("cannot be listened on: {error}"))),
    }
}

pub(super) fn level(given: &Given) -> Result<LevelFilter, SettingError> {
    Ok(match given.value.trim() {
        "off" => LevelFilter::OFF,
        "error" => LevelFilter::ERROR,
        "warn" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => return Err(given.refuse("must be off, error, warn, info, debug or trace")),
    })
}

pub(super) fn log_shape(
    sources: &Sources<'_>,
    flag: &Option<String>,
) -> Result<Shape, SettingError> {
    match sources.either("--log-format", flag, "OVN_IC_DB_LOG_FORMAT")? {
        None => Ok(Shape::Text),
        Some(given) => {
            Shape::parse(given.value.trim()).ok_or_else(|| given.refuse("must be text or json"))
        }
    }
}

/// One subnet, or one of each family.
pub(super) fn check_subnet(given: &Given) -> Result<(), SettingError> {
    let mut seen = [false; 2];
    for part in given.value.split(',') {
        let (address, length) = part
            .split_once('/')
            .ok_or_else(|| given.refuse(format!("{part} is no subnet (ADDRESS/LENGTH)")))?;
        let address: IpAddr = address
            .parse()
            .map_err(|_| given.refuse(format!("{address} is no IP address")))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        if !length.parse::<u8>().is_ok_and(|length| length <= most) {
            return Err(given.refuse(format!("{length} is no prefix length")));
        }
        let family = &mut seen[usize::from(address.is_ipv6())];
        if std::mem::replace(family, true) {
            return Err(given.refuse("has two subnets of one family"));
        }
    }
    Ok(())
}
