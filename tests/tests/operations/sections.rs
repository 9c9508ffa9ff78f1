//! The document's sections, as the tests name them.

use anyhow::{Result, ensure};
use ovn_ic_db_tests::operations::headings;

pub const INSTALL_ONE: &str = "Install, one node";
pub const INSTALL_THREE: &str = "Install, three nodes";
pub const MOVE_ONE: &str = "Move over, one node";
pub const MOVE_ONE_BACK: &str = "Move over, one node / Back";
pub const MOVE_ONE_COPY: &str = "Move over, one node / Back to the copy";
pub const MOVE_THREE: &str = "Move over, three nodes at once";
pub const MOVE_THREE_BACK: &str = "Move over, three nodes at once / Back";
pub const MOVE_THREE_COPY: &str = "Move over, three nodes at once / Back to the copy";
pub const MOVE_EACH: &str = "Move over, one node at a time";
pub const MOVE_EACH_BACK: &str = "Move over, one node at a time / Back";
pub const UPGRADE: &str = "Upgrade";
pub const UPGRADE_BACK: &str = "Upgrade / Back to the version before";
pub const BACKUP: &str = "Backup";
pub const RESTORE: &str = "Restore";
pub const ALL_LOST: &str = "All nodes are lost";
pub const MAJORITY_LOST: &str = "A majority is lost";
pub const LOST_DISK: &str = "Replace a node: lost disk";
pub const OTHER_ADDRESS: &str = "Replace a node: other address";
pub const TLS_ON: &str = "TLS: turn it on";
pub const TLS_EXCHANGE: &str = "TLS: exchange certificates";
pub const TLS_ONLY: &str = "TLS: close the plain way";

/// All of them. One that no test follows is a constant that nobody uses, or is not here.
const ALL: [&str; 21] = [
    INSTALL_ONE,
    INSTALL_THREE,
    MOVE_ONE,
    MOVE_ONE_BACK,
    MOVE_ONE_COPY,
    MOVE_THREE,
    MOVE_THREE_BACK,
    MOVE_THREE_COPY,
    MOVE_EACH,
    MOVE_EACH_BACK,
    UPGRADE,
    UPGRADE_BACK,
    BACKUP,
    RESTORE,
    ALL_LOST,
    MAJORITY_LOST,
    LOST_DISK,
    OTHER_ADDRESS,
    TLS_ON,
    TLS_EXCHANGE,
    TLS_ONLY,
];

#[test]
fn every_procedure_is_known_here() -> Result<()> {
    let headings = headings()?;
    ensure!(headings == ALL, "{headings:#?}");
    Ok(())
}
