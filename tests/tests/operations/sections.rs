//! The document's sections, as the tests name them.

use anyhow::{Result, ensure};
use ovn_ic_db_tests::operations::headings;

/// Constants of their names, and all of them in the document's order.
macro_rules! sections {
    ($($name:ident = $heading:literal;)*) => {
        $(pub const $name: &str = $heading;)*
        const ALL: &[(&str, &str)] = &[$((stringify!($name), $heading)),*];
    };
}

sections! {
    INSTALL_ONE = "Install, one node";
    INSTALL_THREE = "Install, three nodes";
    MOVE_ONE = "Move over, one node";
    MOVE_ONE_BACK = "Move over, one node / Back";
    MOVE_ONE_COPY = "Move over, one node / Back to the copy";
    MOVE_THREE = "Move over, three nodes at once";
    MOVE_THREE_BACK = "Move over, three nodes at once / Back";
    MOVE_THREE_COPY = "Move over, three nodes at once / Back to the copy";
    MOVE_EACH = "Move over, one node at a time";
    MOVE_EACH_BACK = "Move over, one node at a time / Back";
    UPGRADE = "Upgrade";
    UPGRADE_BACK = "Upgrade / Back to the version before";
    BACKUP = "Backup";
    RESTORE = "Restore";
    ALL_LOST = "All nodes are lost";
    MAJORITY_LOST = "A majority is lost";
    LOST_DISK = "Replace a node: lost disk";
    OTHER_ADDRESS = "Replace a node: other address";
    TLS_ON = "TLS: turn it on";
    TLS_EXCHANGE = "TLS: exchange certificates";
    TLS_ONLY = "TLS: close the plain way";
}

/// The tests, which name the sections that they follow.
const TESTS: [&str; 4] = [
    include_str!("disasters.rs"),
    include_str!("everyday.rs"),
    include_str!("moves.rs"),
    include_str!("tls.rs"),
];

#[test]
fn every_procedure_is_known_here_and_followed() -> Result<()> {
    let headings = headings()?;
    let known: Vec<&str> = ALL.iter().map(|(_, heading)| *heading).collect();
    ensure!(headings == known, "{headings:#?}");
    for (name, heading) in ALL {
        let mut words = TESTS
            .iter()
            .flat_map(|test| test.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
        ensure!(words.any(|word| word == *name), "nobody follows {heading}");
    }
    Ok(())
}
