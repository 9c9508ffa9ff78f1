//! TLS on a cluster that serves.

use anyhow::Result;
use ovn_ic_db_tests::container::writers::Writers;
use ovn_ic_db_tests::operations::Site;
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
    site.follow(TLS_EXCHANGE)?;
    writers.wait_until_all_write()?;
    let acknowledged = writers.finish(&places)?;
    println!("{acknowledged} acknowledged writes, and all of them are there");
    site.follow(TLS_ONLY)
}
