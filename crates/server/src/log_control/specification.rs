//! The specifications of `vlog/set` and `--verbose`.

use super::{Destination, Facility, Level, LogControl};

/// What stands between words.
fn is_separator(c: char) -> bool {
    matches!(c, ' ' | ',' | ':' | '\t')
}

/// Does what specifications say; without any, everything is logged everywhere.
pub(super) fn set_all(log: &dyn LogControl, specs: &[String]) -> Result<String, String> {
    if specs.is_empty() {
        log.set_level(None, None, Level::Debug);
    }
    for spec in specs {
        set(log, spec)?;
    }
    Ok(String::new())
}

/// Does what one specification says (`vlog/set`, `--verbose`): destination, level and module in
/// any order, or the pattern of a destination's lines, or the facility.
///
/// # Errors
/// The reference's words. Nothing is changed.
pub fn set(log: &dyn LogControl, spec: &str) -> Result<(), String> {
    let spec = spec.trim_start_matches(is_separator);
    let (first, rest) = spec.split_once(is_separator).unwrap_or((spec, ""));
    if first.eq_ignore_ascii_case("PATTERN") {
        return set_pattern(log, rest);
    }
    if first.eq_ignore_ascii_case("FACILITY") {
        let facility = Facility::named(rest).ok_or("invalid facility")?;
        log.set_facility(facility);
        return Ok(());
    }
    let modules = log.modules();
    let (mut destination, mut level, mut module) = (None, None, None);
    for word in spec.split(is_separator).filter(|word| !word.is_empty()) {
        let twice = |what| Err(format!("cannot specify multiple {what}"));
        if word.eq_ignore_ascii_case("ANY") {
            continue;
        } else if let Some(found) = Destination::named(word) {
            if destination.replace(found).is_some() {
                return twice("destinations");
            }
        } else if let Some(found) = Level::named(word) {
            if level.replace(found).is_some() {
                return twice("levels");
            }
        } else if let Some(found) = modules.iter().find(|m| m.eq_ignore_ascii_case(word)) {
            if module.replace(*found).is_some() {
                return twice("modules");
            }
        } else {
            return Err(format!("no destination, level, or module \"{word}\""));
        }
    }
    log.set_level(module, destination, level.unwrap_or(Level::Debug));
    Ok(())
}

/// `DESTINATION:PATTERN`. The pattern begins right behind the destination's separator.
fn set_pattern(log: &dyn LogControl, rest: &str) -> Result<(), String> {
    let rest = rest.trim_start_matches(is_separator);
    let (word, pattern) = rest.split_once(is_separator).unwrap_or((rest, ""));
    if word.is_empty() {
        return Err("missing destination".to_owned());
    }
    let destination = match Destination::named(word) {
        None if word.eq_ignore_ascii_case("ANY") => None,
        None => return Err(format!("unknown destination \"{word}\"")),
        found => found,
    };
    log.set_pattern(destination, pattern);
    Ok(())
}
