//! containerd's command line, on the containerd that comes with Docker.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::docker::{docker, run};
use super::sandbox::{Sandbox, containerd_socket};

/// containerd's namespace of this test, with its image and its containers. All goes when it is dropped.
#[derive(Debug)]
pub struct Containerd {
    socket: PathBuf,
    namespace: String,
    image: String,
}

impl Containerd {
    /// With the image under test.
    ///
    /// # Errors
    /// If there is no containerd, or it does not take the image.
    pub fn with_image(sandbox: &Sandbox) -> Result<Containerd> {
        let archive = sandbox.folder().join("image.tar");
        let archive = archive.to_str().context("UTF-8")?;
        docker(&["save", "--output", archive, &sandbox.images.ours])?;
        let containerd = Containerd {
            socket: containerd_socket()?,
            namespace: sandbox.name("ns"),
            image: format!("docker.io/library/{}", sandbox.images.ours),
        };
        containerd.ctr(&["images", "import", archive])?;
        Ok(containerd)
    }

    /// The image's name here.
    #[must_use]
    pub fn image(&self) -> &str {
        &self.image
    }

    /// `ctr ...`.
    ///
    /// # Errors
    /// As [`run`].
    pub fn ctr(&self, arguments: &[&str]) -> Result<String> {
        let socket = self.socket.to_str().context("UTF-8")?;
        let fixed = ["--address", socket, "--namespace", &self.namespace];
        run("ctr", "containerd", &[&fixed[..], arguments].concat())
    }

    fn clean(&self) -> Result<()> {
        for task in self.ctr(&["tasks", "list", "--quiet"])?.lines() {
            let _ = self.ctr(&["tasks", "delete", "--force", task]);
        }
        for container in self.ctr(&["containers", "list", "--quiet"])?.lines() {
            let _ = self.ctr(&["containers", "delete", container]);
        }
        for image in self.ctr(&["images", "list", "--quiet"])?.lines() {
            let _ = self.ctr(&["images", "delete", "--sync", image]);
        }
        self.ctr(&["namespaces", "remove", &self.namespace])
            .map(drop)
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        // Nothing more can be done in a drop.
        let _ = self.clean();
    }
}
