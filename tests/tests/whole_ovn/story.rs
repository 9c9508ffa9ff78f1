//! What is asked of an OVN, and what befalls it, wherever its databases are.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ovn_ic_db_tests::process::Program;
use ovn_ic_db_tests::world::central::Central;
use ovn_ic_db_tests::world::chassis::Chassis;
use ovn_ic_db_tests::world::home::Home;

/// How long a change may take to reach the other end. It takes tens of milliseconds, but processors
/// may be busy.
const BOUND: Duration = Duration::from_secs(10);

/// What has become of the Northbound at each stage.
pub type Pictures = Vec<(&'static str, Vec<String>)>;

struct Ovn {
    central: Central,
    chassis: [Chassis; 2],
    pictures: Pictures,
}

impl Ovn {
    /// The local databases of the chassis are on `program`.
    fn start(program: Program, home: Box<dyn Home>, folder: &Path) -> Result<Self> {
        let central = Central::start(home, folder)?;
        let chassis = |number: usize, name: &str, address: &str| {
            let (place, southbound) = (folder.join(name), central.home.remotes_of_chassis(number));
            Chassis::start(program, name, address, &place, &southbound)
        };
        Ok(Self {
            chassis: [
                chassis(0, "hv1", "127.0.0.1")?,
                chassis(1, "hv2", "127.0.0.2")?,
            ],
            central,
            pictures: Vec::new(),
        })
    }

    /// From its first switch until nothing is left of it.
    fn live(&mut self) -> Result<()> {
        self.furnish()?;
        self.change()?;
        self.enlarge()?;
        self.crash()?;
        self.clear()
    }

    fn keep_picture(&mut self, stage: &'static str) -> Result<()> {
        self.central.synchronize()?;
        self.central.check_alive()?;
        for chassis in &mut self.chassis {
            chassis.check_alive()?;
        }
        let picture = self.central.picture()?;
        self.pictures.push((stage, picture));
        Ok(())
    }

    /// A switch with one port on each chassis.
    fn furnish(&mut self) -> Result<()> {
        let nbctl = &self.central.nbctl;
        nbctl.run("ls-add sw")?;
        nbctl.run("lsp-add sw p1 -- lsp-set-addresses p1 02:00:00:00:00:01")?;
        nbctl.run("lsp-add sw p2 -- lsp-set-addresses p2 02:00:00:00:00:02")?;
        let [first, second] = &self.chassis;
        first.plug("p1")?;
        second.plug("p2")?;
        self.central.wait_bound("p1", Some("hv1"))?;
        self.central.wait_bound("p2", Some("hv2"))?;
        // Each knows where the other's port is.
        first.wait_flow("dl_dst=02:00:00:00:00:02", true)?;
        second.wait_flow("dl_dst=02:00:00:00:00:01", true)?;
        self.keep_picture("a switch")
    }

    /// Down: another address. Up: an interface that goes.
    fn change(&mut self) -> Result<()> {
        let start = Instant::now();
        let nbctl = &self.central.nbctl;
        nbctl.run("lsp-set-addresses p1 02:00:00:00:00:11")?;
        let [first, second] = &self.chassis;
        second.wait_flow("dl_dst=02:00:00:00:00:11", true)?;
        second.wait_flow("dl_dst=02:00:00:00:00:01", false)?;
        within("to the other chassis", start)?;
        let start = Instant::now();
        first.unplug("p1")?;
        self.central.wait_bound("p1", None)?;
        within("to the Northbound", start)?;
        self.keep_picture("a port is down")
    }

    /// Other tables: address sets, rules, routers, a load balancer, DHCP. A switch without a port
    /// here is no concern of this chassis: its monitors leave it out until there is one.
    fn enlarge(&mut self) -> Result<()> {
        let nbctl = &self.central.nbctl;
        nbctl.run(r#"create Address_Set name=friends addresses="10.0.0.7""#)?;
        let rule = "ip4.src == $friends";
        let said = nbctl.ask(&["acl-add", "sw", "to-lport", "1001", rule, "drop"])?;
        ensure!(said.status == 0, "{}", said.error);
        nbctl.run(
            "lr-add r -- lrp-add r r-sw 02:00:00:00:01:01 10.0.0.254/24 \
             -- lsp-add sw sw-r -- lsp-set-type sw-r router -- lsp-set-addresses sw-r router \
             -- lsp-set-options sw-r router-port=r-sw",
        )?;
        nbctl.run("lb-add lb 10.1.1.1:80 10.0.0.7:8080,10.0.0.8:8080 tcp -- ls-lb-add sw lb")?;
        nbctl.run("ls-add apart -- lsp-add apart p3 -- lsp-set-addresses p3 02:00:00:00:00:03")?;
        self.central.synchronize()?;
        let [first, second] = &self.chassis;
        second.wait_flow("nw_src=10.0.0.7", true)?;
        ensure!(
            !second.flows()?.contains("02:00:00:00:00:03"),
            "a switch that is apart"
        );
        let nbctl = &self.central.nbctl;
        nbctl.run(r#"add Address_Set friends addresses "10.0.0.9""#)?;
        second.wait_flow("nw_src=10.0.0.9", true)?;
        first.plug("p3")?;
        self.central.wait_bound("p3", Some("hv1"))?;
        first.wait_flow("dl_dst=02:00:00:00:00:03", true)?;
        self.keep_picture("more tables")
    }

    /// Nothing is lost, and what is asked for meanwhile comes about.
    fn crash(&mut self) -> Result<()> {
        self.central.kill_active_northd()?;
        for (number, fault) in self.central.home.faults().iter().enumerate() {
            let start = Instant::now();
            let [first, _] = &self.chassis;
            if number > 0 {
                first.unplug("p1")?;
                self.central.wait_bound("p1", None)?;
            }
            self.central.home.inflict(number)?;
            first.plug("p1")?;
            if fault.survived {
                self.central.wait_bound("p1", Some("hv1"))?;
            }
            self.central.home.mend()?;
            self.central.wait_bound("p1", Some("hv1"))?;
            println!("{}: {:?}", fault.name, start.elapsed());
        }
        let [first, second] = &mut self.chassis;
        second.crash_server()?;
        second.plug("p4")?;
        let nbctl = &self.central.nbctl;
        nbctl.run("lsp-add sw p4 -- lsp-set-addresses p4 02:00:00:00:00:04")?;
        self.central.wait_bound("p4", Some("hv2"))?;
        first.wait_flow("dl_dst=02:00:00:00:00:04", true)?;
        second.wait_flow("dl_dst=02:00:00:00:00:11", true)?;
        self.keep_picture("after crashes")?;
        self.central.home.wait_alike()
    }

    fn clear(&mut self) -> Result<()> {
        let nbctl = &self.central.nbctl;
        nbctl.run("lr-del r -- ls-del sw -- ls-del apart -- lb-del lb")?;
        for chassis in &self.chassis {
            chassis.wait_flow("dl_dst=02:00:00:00:00", false)?;
        }
        self.keep_picture("nothing is left")
    }
}

fn within(what: &str, start: Instant) -> Result<()> {
    let taken = start.elapsed();
    println!("{what}: {taken:?}");
    ensure!(taken < BOUND, "{what}: {taken:?}");
    Ok(())
}

/// The whole story in a home that is made in a folder.
pub fn play(
    name: &str,
    program: Program,
    home: impl FnOnce(&Path) -> Result<Box<dyn Home>>,
) -> Result<Pictures> {
    let folder = tempfile::Builder::new().prefix("ovn-").tempdir()?;
    let start = Instant::now();
    let mut ovn = Ovn::start(program, home(folder.path())?, folder.path())?;
    if let Err(error) = ovn.live() {
        return Err(error.context(format!("{name}: {}", ovn.central.home.said())));
    }
    println!("{name}: {:?}", start.elapsed());
    Ok(ovn.pictures)
}
