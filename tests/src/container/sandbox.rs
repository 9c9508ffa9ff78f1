//! Names, folders and a network for a test's containers, which go when it ends, however it ends.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::docker::{Container, docker};
use super::image::{Images, images};
use super::node::Place;

/// The label of all containers, networks and volumes of tests; its value is the process.
pub(super) const LABEL: &str = "ovn-ic-db-test";

/// One test's containers.
#[derive(Debug)]
pub struct Sandbox {
    /// The images.
    pub images: Images,
    prefix: String,
    folder: TempDir,
    network: Option<Network>,
    _turn: MutexGuard<'static, ()>,
}

#[derive(Debug)]
struct Network {
    name: String,
    /// The first three bytes of its addresses.
    subnet: String,
}

impl Sandbox {
    /// With the image built, and without what a test left that was killed. One at a time in a
    /// process: some use the machine's own ports.
    ///
    /// # Errors
    /// If there is no Docker, or no image.
    pub fn new() -> Result<Sandbox> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let images = images()?;
        sweep(|process| !Path::new("/proc").join(process).exists());
        let folder = tempfile::Builder::new().prefix("container-").tempdir()?;
        Ok(Sandbox {
            images,
            prefix: format!("ovn-ic-db-test-{:08x}", fastrand::u32(..)),
            folder,
            network: None,
            _turn: turn,
        })
    }

    /// A folder of the test's own on the host.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A name that nothing else has.
    #[must_use]
    pub fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// A node's folders on the host, for `number` from 0 on.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn place(&self, number: usize) -> Result<Place> {
        self.place_named(&number.to_string())
    }

    /// A node's folders on the host, below the test's folder under this name.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn place_named(&self, name: &str) -> Result<Place> {
        Place::make(self.folder.path().join(name))
    }

    /// The label by which its containers are found and removed.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{LABEL}={}", std::process::id())
    }

    /// The address of a node in the test's network, which is made with the first.
    ///
    /// # Errors
    /// If Docker has no free addresses.
    pub fn address(&mut self, number: usize) -> Result<String> {
        let network = match &self.network {
            Some(network) => network,
            None => self.network.insert(make_network(&self.prefix)?),
        };
        Ok(format!("{}.{}", network.subnet, number + 11))
    }

    /// The host's own address in the network, which is made with the first [`Sandbox::address`].
    ///
    /// # Errors
    /// If there is none yet.
    pub fn gateway(&self) -> Result<String> {
        let network = self.network.as_ref().context("no network yet")?;
        Ok(format!("{}.1", network.subnet))
    }

    /// The network's name; it is made with the first [`Sandbox::address`].
    ///
    /// # Errors
    /// If there is none yet.
    pub fn network(&self) -> Result<&str> {
        let network = self.network.as_ref().context("no network yet")?;
        Ok(&network.name)
    }

    /// `docker run --detach` with these options, then image and command.
    ///
    /// # Errors
    /// If it does not start.
    pub fn run(&self, name: &str, options: &[&str], command: &[&str]) -> Result<Container> {
        let name = self.name(name);
        let label = self.label();
        let fixed = ["run", "--detach", "--name", &name, "--label", &label];
        docker(&[&fixed[..], options, command].concat())?;
        Ok(Container { name })
    }

    /// Cuts a container off from the network, as a pulled cable would.
    ///
    /// # Errors
    /// If it is not in it.
    pub fn cut_off(&self, container: &Container) -> Result<()> {
        docker(&["network", "disconnect", self.network()?, &container.name]).map(drop)
    }

    /// Undoes [`Sandbox::cut_off`].
    ///
    /// # Errors
    /// If the address is taken.
    pub fn bring_back(&self, container: &Container, address: &str) -> Result<()> {
        let network = self.network()?;
        docker(&[
            "network",
            "connect",
            "--ip",
            address,
            network,
            &container.name,
        ])
        .map(drop)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let own = std::process::id().to_string();
        sweep(|process| process == own);
    }
}

/// Removes the containers, networks and volumes of some processes.
fn sweep(of: impl Fn(&str) -> bool) {
    let filter = format!("label={LABEL}");
    let format = format!("{{{{.ID}}}} {{{{.Label \"{LABEL}\"}}}}");
    let by_name = format.replace("ID", "Name");
    for (list, remove) in [
        (
            &["ps", "--all", "--filter", &filter, "--format", &format][..],
            &["rm", "--force", "--volumes"][..],
        ),
        (
            &["network", "ls", "--filter", &filter, "--format", &format],
            &["network", "rm"],
        ),
        (
            &["volume", "ls", "--filter", &filter, "--format", &by_name],
            &["volume", "rm"],
        ),
    ] {
        let listed = docker(list).unwrap_or_default();
        for line in listed.lines() {
            if let Some((id, process)) = line.split_once(' ')
                && of(process)
            {
                // Somebody else may have been faster.
                let _ = docker(&[remove, &[id]].concat());
            }
        }
    }
}

/// A bridge with addresses that nobody else on this machine has.
fn make_network(prefix: &str) -> Result<Network> {
    let mut last = None;
    for _ in 0..20 {
        let subnet = format!("10.213.{}", fastrand::u8(1..255));
        let name = format!("{prefix}-net");
        let label = format!("{LABEL}={}", std::process::id());
        let range = format!("{subnet}.0/24");
        let made = docker(&[
            "network", "create", "--label", &label, "--subnet", &range, &name,
        ]);
        match made {
            Ok(_) => return Ok(Network { name, subnet }),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(error.context("no free addresses")),
        None => bail!("no free addresses"),
    }
}

/// Where containerd listens that comes with Docker.
///
/// # Errors
/// If it is at neither of its places.
pub fn containerd_socket() -> Result<PathBuf> {
    let places = [
        "/run/containerd/containerd.sock",
        "/var/run/docker/containerd/containerd.sock",
    ];
    let found = places.iter().map(PathBuf::from).find(|path| path.exists());
    ensure!(found.is_some(), "containerd listens at none of {places:?}");
    found.context("containerd")
}
