//! TLS on a cluster that serves.

use anyhow::{Result, ensure};
use ovn_ic_db_tests::container::docker::PATIENCE;
use ovn_ic_db_tests::container::writers::Writers;
use ovn_ic_db_tests::operations::Site;
use ovn_ic_db_tests::process::wait_for;
use ovn_ic_db_tests::world::interconnect::Side;

use crate::sections::*;

#[test]
fn tls_is_turned_on_renewed_and_demanded_while_others_write() -> Result<()> {
    let site = Site::new()?;
    site.follow(INSTALL_THREE)?;
    let places = site.places("ABC");
    let writers = Writers::start(&places, &site.remotes("ABC", Side::Northbound))?;
    writers.wait_until_all_write()?;
    site.follow(TLS_ON)?;
    writers.wait_until_all_write()?;
    // The second time must not take what is left of the first.
    for _ in 0..2 {
        site.follow(TLS_EXCHANGE)?;
        writers.wait_until_all_write()?;
    }
    wait_for("a writer that is listed without TLS", PATIENCE, || {
        let hosts = site.hosts("ABC");
        let status = ["ovn-ic-db", "status", "--all", "--host", &hosts];
        let said = site.container('A').exec(&status)?;
        let mut lines = said.lines().map(str::trim_start);
        Ok(lines.any(|line| line.starts_with("tcp:")).then_some(()))
    })?;
    let acknowledged = writers.finish(&places)?;
    println!("{acknowledged} acknowledged writes, and all of them are there");
    site.follow(TLS_ONLY)?;

    // A node that comes back empty gets settings and keys of another one.
    site.lose('C')?;
    site.follow(LOST_DISK)?;
    let hosts = site.hosts("ABC");
    let status = ["ovn-ic-db", "status", "--host", &hosts];
    let said = site.container('C').exec(&status)?;
    ensure!(said.contains("leader ssl:"), "{said}");
    let refuses = site.container('C').inspect(".Config.Env")?;
    ensure!(refuses.contains("OVN_IC_DB_PLAINTEXT=refuse"), "{refuses}");
    Ok(())
}
