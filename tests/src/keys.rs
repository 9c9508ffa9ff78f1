//! Keys and certificates as operators make them: with `ovs-pki` and OpenSSL.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::process::require;

/// An authority of `ovs-pki` and what it signs, in a folder.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
}

/// The three files of one side.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The private key.
    pub key: PathBuf,
    /// The certificate.
    pub certificate: PathBuf,
    /// The authority that is trusted.
    pub authority: PathBuf,
}

impl Authority {
    /// A new one, in a new folder.
    ///
    /// # Errors
    /// If a program is missing or fails.
    pub fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let authority = Self {
            folder: folder.to_owned(),
        };
        authority.pki(&["init"])?;
        Ok(authority)
    }

    /// A new key with a certificate of this name.
    ///
    /// # Errors
    /// If a program fails.
    pub fn issue(&self, name: &str) -> Result<Keys> {
        self.pki(&["--batch", "req+sign", name, "switch"])?;
        Ok(self.keys(name))
    }

    /// The same with this as its common name, to which [`Authority::issue`] adds a number.
    ///
    /// # Errors
    /// If a program fails.
    pub fn issue_exactly(&self, name: &str) -> Result<Keys> {
        self.pki(&["--batch", "--unique", "req+sign", name, "switch"])?;
        Ok(self.keys(name))
    }

    /// The same, valid from 2020 to 2021 only.
    ///
    /// # Errors
    /// If a program fails.
    pub fn issue_expired(&self, name: &str) -> Result<Keys> {
        self.pki(&["req", name])?;
        let request = self.folder.join(format!("{name}-req.pem"));
        let out = self.keys(name).certificate;
        let openssl = require("openssl", "openssl")?;
        let mut command = Command::new(openssl);
        command
            .args(["ca", "-config", "ca.cnf", "-batch", "-notext"])
            .args(["-startdate", "20200101000000Z"])
            .args(["-enddate", "20210101000000Z", "-in"])
            .arg(request)
            .arg("-out")
            .arg(out)
            .current_dir(self.folder.join("pki/switchca"));
        succeed(command)?;
        Ok(self.keys(name))
    }

    fn keys(&self, name: &str) -> Keys {
        Keys {
            key: self.folder.join(format!("{name}-privkey.pem")),
            certificate: self.folder.join(format!("{name}-cert.pem")),
            authority: self.folder.join("pki/switchca/cacert.pem"),
        }
    }

    fn pki(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(require("ovs-pki", "openvswitch-common")?);
        command
            .arg("--dir")
            .arg(self.folder.join("pki"))
            .arg("--log")
            .arg(self.folder.join("pki.log"))
            .args(arguments)
            .current_dir(&self.folder);
        succeed(command)
    }
}

impl Keys {
    /// The options of the real programs, and of ours.
    #[must_use]
    pub fn options(&self) -> [String; 3] {
        [
            format!("--private-key={}", self.key.display()),
            format!("--certificate={}", self.certificate.display()),
            format!("--ca-cert={}", self.authority.display()),
        ]
    }

    /// Copies them to `key`, `cert` and `cacert` of a folder, in place of others.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub fn put(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        for (from, to) in [
            (&self.key, "key"),
            (&self.certificate, "cert"),
            (&self.authority, "cacert"),
        ] {
            // In one step, as careful tools do.
            let new = folder.join(format!("{to}.new"));
            fs::copy(from, &new)?;
            fs::rename(new, folder.join(to))?;
        }
        Ok(())
    }
}

fn succeed(mut command: Command) -> Result<()> {
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
