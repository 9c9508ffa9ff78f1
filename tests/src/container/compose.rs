//! `docker/compose.yaml`, with names, addresses and folders of a test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::docker::Container;
use super::sandbox::{LABEL, Sandbox};
use crate::process::require;

/// The file's services.
const SERVICES: [(&str, &[&str]); 2] = [("one", &["one"]), ("three", &["node1", "node2", "node3"])];

/// One profile of the file. All of it goes when it is dropped.
#[derive(Debug)]
pub struct Composed {
    project: String,
    profile: String,
    /// Beside the real file: how the next test knows what one that was killed has left.
    labels: PathBuf,
    environment: Vec<(String, String)>,
}

impl Composed {
    /// Nothing is started yet. `folders` is where the host's folders begin.
    ///
    /// # Errors
    /// If the profile is unknown, or a file cannot be written.
    pub fn new(sandbox: &Sandbox, profile: &str, folders: &Path) -> Result<Self> {
        let known = SERVICES.iter().find(|(name, _)| *name == profile);
        let (_, services) = known.with_context(|| format!("no profile {profile}"))?;
        let label = format!("labels: {{{LABEL}: \"{}\"}}", std::process::id());
        let services = services.iter();
        let mut text = String::from("services:\n");
        text.extend(services.map(|name| format!("  {name}: {{restart: \"no\", {label}}}\n")));
        if profile == "three" {
            // What is said here of a network takes the place of all that the file says.
            let subnet = "ipam: {config: [{subnet: \"${SUBNET}.0/24\"}]}";
            text += &format!("networks:\n  nodes: {{{label}, {subnet}}}\nvolumes:\n");
            text.extend((1..=3).map(|number| format!("  node{number}: {{{label}}}\n")));
        }
        let labels = sandbox.folder().join("labels.yaml");
        fs::write(&labels, text)?;
        let environment = [
            ("IMAGE", sandbox.images.ours.clone()),
            ("FOLDERS", folders.display().to_string()),
            ("SUBNET", format!("10.214.{}", fastrand::u8(1..255))),
        ];
        Ok(Self {
            project: sandbox.name(profile),
            profile: profile.to_owned(),
            labels,
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .to_vec(),
        })
    }

    /// `docker-compose ...`.
    ///
    /// # Errors
    /// If it is missing, or fails, with what it said.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/compose.yaml");
        let output = Command::new(require("docker-compose", "docker-compose")?)
            .args(["--project-name", &self.project, "--profile", &self.profile])
            .args(["--file".as_ref(), file.as_os_str()])
            .args(["--file".as_ref(), self.labels.as_os_str()])
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .output()?;
        ensure!(
            output.status.success(),
            "docker-compose {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Starts all of it.
    ///
    /// # Errors
    /// As [`Composed::run`].
    pub fn up(&self) -> Result<()> {
        self.run(&["up", "--detach", "--no-build"]).map(drop)
    }

    /// The container of a service.
    ///
    /// # Errors
    /// If there is none.
    pub fn container(&self, service: &str) -> Result<Container> {
        let id = self.run(&["ps", "--quiet", service])?;
        ensure!(!id.trim().is_empty(), "{service} has no container");
        Ok(Container {
            name: id.trim().to_owned(),
        })
    }

    /// The beginning of the addresses.
    #[must_use]
    pub fn subnet(&self) -> &str {
        let found = self.environment.iter().find(|(name, _)| name == "SUBNET");
        found.map_or("", |(_, value)| value)
    }
}

impl Drop for Composed {
    fn drop(&mut self) {
        // Nothing more can be done in a drop.
        let _ = self.run(&["down", "--volumes", "--timeout", "5"]);
    }
}
