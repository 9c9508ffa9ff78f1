//! Install, upgrade, back up, restore.

use anyhow::{Result, ensure};
use ovn_ic_db_tests::container::writers::{Writers, names};
use ovn_ic_db_tests::operations::Site;
use ovn_ic_db_tests::world::interconnect::Side;

use crate::sections::*;

#[test]
fn one_node_is_installed() -> Result<()> {
    let site = Site::new()?;
    site.follow(INSTALL_ONE)?;
    let switches = names(site.place('A'), Side::Northbound, "Transit_Switch")?;
    ensure!(switches == ["ts"], "{switches:?}");
    Ok(())
}

#[test]
fn three_nodes_are_installed_copied_restored_and_upgraded() -> Result<()> {
    let site = Site::new()?;
    site.follow(INSTALL_THREE)?;
    let switches = |machine| names(site.place(machine), Side::Northbound, "Transit_Switch");
    let nbctl = |line: [&str; 2]| {
        let fixed = ["ovn-ic-nbctl", "--no-leader-only", "--timeout=20"];
        site.container('B').exec(&[&fixed[..], &line].concat())
    };
    nbctl(["ts-add", "copied"])?;
    site.follow(BACKUP)?;
    nbctl(["ts-del", "copied"])?;
    nbctl(["ts-add", "mistake"])?;
    site.follow(RESTORE)?;
    ensure!(switches('B')? == ["copied", "ts"], "{:?}", switches('B')?);

    let places = site.places("ABC");
    let writers = Writers::start(&places, &site.remotes("ABC", Side::Northbound))?;
    writers.wait_until_all_write()?;
    for (section, image) in [
        (UPGRADE, site.new_image()),
        (UPGRADE_BACK, site.first_image()),
    ] {
        site.follow(section)?;
        for machine in "ABC".chars() {
            let runs = site.container(machine).inspect(".Config.Image")?;
            ensure!(runs == image, "{machine}: {runs}");
        }
        writers.wait_until_all_write()?;
    }
    let acknowledged = writers.finish(&places)?;
    println!("{acknowledged} acknowledged writes, and all of them are there");
    Ok(())
}
