//! The relay of slow links, started by the harness at the router.

use anyhow::Result;
use ovn_ic_db_tests::cluster::network::slow;

fn main() -> Result<()> {
    slow::relay(&slow::ports(std::env::args().skip(1))?)
}
