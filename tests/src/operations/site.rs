//! The machines of the document, with its sections followed on them.

use std::fs;
use std::process::Output;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::document::{self, ANYWHERE, Section, Step};
use super::machine::Machine;
use super::output::missing;
use crate::container::docker::docker;
use crate::container::{Container, Place, Sandbox, old};
use crate::keys::Authority;
use crate::world::interconnect::Side;

/// The machines, with the addresses that the document gives them. The last one is any machine that has
/// the program.
const MACHINES: [(char, &str); 5] = [
    ('A', "192.168.65.3"),
    ('B', "192.168.65.4"),
    ('C', "192.168.65.5"),
    ('D', "192.168.65.6"),
    (ANYWHERE, "192.168.65.7"),
];

/// What ran on the machines before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    /// One node, on A.
    Alone,
    /// A cluster of A, B and C.
    Cluster,
    /// The same with `ENABLE_SSL=true` and keys.
    ClusterWithTls,
}

/// The machines A to D, and one that has the program.
#[derive(Debug)]
pub struct Site {
    sections: Vec<Section>,
    machines: Vec<Machine>,
    sandbox: Sandbox,
}

impl Site {
    /// Machines with nothing on them.
    ///
    /// # Errors
    /// If there is no Docker, no image, or the document cannot be read.
    pub fn new() -> Result<Site> {
        let mut sandbox = Sandbox::new()?;
        let machines = MACHINES.iter().enumerate();
        let machines =
            machines.map(|(number, (name, _))| Machine::make(&mut sandbox, *name, number));
        let site = Site {
            sections: document::read()?,
            machines: machines.collect::<Result<_>>()?,
            sandbox,
        };
        site.machine(ANYWHERE).give_program()?;
        Ok(site)
    }

    /// Types all commands of a section, and compares what they print with what it says.
    ///
    /// # Errors
    /// With the first command that does something else.
    pub fn follow(&self, heading: &str) -> Result<()> {
        let section = self.sections.iter().find(|one| one.heading == heading);
        let section = section.with_context(|| format!("no section {heading:?}"))?;
        let begun = Instant::now();
        for step in &section.steps {
            self.type_in(step).with_context(|| heading.to_owned())?;
        }
        println!("{heading}: {:.1} s", begun.elapsed().as_secs_f32());
        Ok(())
    }

    fn type_in(&self, step: &Step) -> Result<()> {
        let machine = self.machine(step.machine);
        let command = self.here(&step.command);
        let output = machine.run(&command)?;
        let said = said(&output);
        let told = || {
            let log = machine.container().logs().unwrap_or_default();
            let log: Vec<&str> = log.lines().collect();
            let end = log[log.len().saturating_sub(15)..].join("\n");
            format!(
                "{}# {command}\n{said}--- its log ends:\n{end}",
                step.machine
            )
        };
        let status = output.status.code();
        ensure!(status == Some(step.status), "{}: {}", output.status, told());
        let printed: Vec<String> = step.printed.iter().map(|line| self.here(line)).collect();
        if let Some(line) = missing(&printed, &said) {
            anyhow::bail!("not printed, or not in this order: {line:?}: {}", told());
        }
        Ok(())
    }

    /// A text of the document with the addresses that the machines have here.
    fn here(&self, text: &str) -> String {
        let pairs = MACHINES.iter().zip(&self.machines);
        pairs.fold(text.to_owned(), |text, ((_, said), machine)| {
            text.replace(said, &machine.address)
        })
    }

    fn machine(&self, name: char) -> &Machine {
        let found = MACHINES.iter().position(|(known, _)| *known == name);
        // The reader takes no other names.
        &self.machines[found.unwrap_or_default()]
    }

    /// The folders of a machine.
    #[must_use]
    pub fn place(&self, machine: char) -> &Place {
        &self.machine(machine).place
    }

    /// The folders of several machines.
    #[must_use]
    pub fn places(&self, machines: &str) -> Vec<Place> {
        let places = machines.chars().map(|name| self.place(name).clone());
        places.collect()
    }

    /// A machine's container.
    #[must_use]
    pub fn container(&self, machine: char) -> Container {
        self.machine(machine).container()
    }

    /// The image that the document calls `ovn-ic-db:latest`.
    #[must_use]
    pub fn first_image(&self) -> &str {
        &self.sandbox.images.ours
    }

    /// The image that the document calls the new one.
    #[must_use]
    pub fn new_image(&self) -> &str {
        &self.sandbox.images.second
    }

    /// A comma list of the machines' addresses.
    #[must_use]
    pub fn hosts(&self, machines: &str) -> String {
        let all = machines.chars().map(|name| &self.machine(name).address);
        all.cloned().collect::<Vec<_>>().join(",")
    }

    /// The same for clients of one database.
    #[must_use]
    pub fn remotes(&self, machines: &str, side: Side) -> String {
        let port = match side {
            Side::Northbound => 6645,
            Side::Southbound => 6646,
        };
        let all = machines.chars().map(|name| &self.machine(name).address);
        let all: Vec<String> = all.map(|ip| format!("tcp:{ip}:{port}")).collect();
        all.join(",")
    }

    /// Starts what ran before, and waits until it serves.
    ///
    /// # Errors
    /// If it does not.
    pub fn start_old(&mut self, what: Old) -> Result<()> {
        let nodes = match what {
            Old::Alone => &self.machines[..1],
            Old::Cluster | Old::ClusterWithTls => &self.machines[..3],
        };
        if what == Old::ClusterWithTls {
            let authority = Authority::new(&self.sandbox.folder().join("authority"))?;
            let keys = authority.issue("node")?;
            for node in nodes {
                keys.put(&node.place.path().join("tls"))?;
            }
            let variables = ["ENABLE_SSL=true", "OVN_LEADER_PROBE_INTERVAL=7"];
            self.sandbox.images.debian = with_variables(&self.sandbox, &variables)?;
        }
        let addresses: Vec<String> = nodes.iter().map(|node| node.address.clone()).collect();
        let mut started = Vec::new();
        for (number, node) in nodes.iter().enumerate() {
            let cluster = (what != Old::Alone).then_some((number, addresses.as_slice()));
            let name = node.container_name();
            started.push(old::start(&self.sandbox, &name, &node.place, cluster)?);
        }
        started.iter().try_for_each(old::wait_until_served)
    }

    /// A machine that is gone: its container and what was on its disk.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn lose(&self, machine: char) -> Result<()> {
        self.container(machine).remove()?;
        let folder = self.place(machine).path().join("etc");
        fs::remove_dir_all(&folder)?;
        Ok(fs::create_dir(&folder)?)
    }
}

/// The old deployment's image with more variables, which a container has as if it were started with them.
fn with_variables(sandbox: &Sandbox, variables: &[&str]) -> Result<String> {
    // Images of this name go when there is a new one under test.
    const IMAGE: &str = "ovn-ic-db-test:old-with-tls";
    let folder = sandbox.folder().join("image");
    fs::create_dir(&folder)?;
    let (base, variables) = (&sandbox.images.debian, variables.join(" "));
    fs::write(
        folder.join("Dockerfile"),
        format!("FROM {base}\nENV {variables}\n"),
    )?;
    docker(&[
        "build",
        "--quiet",
        "--tag",
        IMAGE,
        &folder.to_string_lossy(),
    ])?;
    Ok(IMAGE.to_owned())
}

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

/// The headings of all sections in which something is typed.
///
/// # Errors
/// As `document::read`.
pub fn headings() -> Result<Vec<String>> {
    let sections = document::read()?.into_iter();
    Ok(sections.map(|section| section.heading).collect())
}
