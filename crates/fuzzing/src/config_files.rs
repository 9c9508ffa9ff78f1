//! The text of `--config-file`.

use ovsdb_server::configuration::{parse, write};

/// What is printed of a configuration is understood without a warning, and prints the same.
pub fn run(data: &[u8]) {
    let Ok(configuration) = parse(data, &mut Vec::new()) else {
        return;
    };
    let printed = write(&configuration);
    let mut warnings = Vec::new();
    let again = parse(&printed, &mut warnings).expect("what is printed is a configuration");
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(again.remotes, configuration.remotes);
    assert_eq!(write(&again), printed);
}
