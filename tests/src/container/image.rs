//! The image under test, built once by the files that `make image` uses.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::docker::{docker, run};
use crate::process::{Program, executable, require};

/// The image's name; each build has a tag of its own.
const NAME: &str = "ovn-ic-db-test";

/// The images that tests use.
#[derive(Clone, Debug)]
pub struct Images {
    /// The one under test.
    pub ours: String,
    /// The same under a second tag, to upgrade to.
    pub second: String,
    /// What ours is built upon: Debian's programs, `ovn-ctl` and `ovsdb-server` among them, which
    /// are those of the deployment that is replaced.
    pub debian: String,
}

/// Builds what is not there yet. Other processes wait meanwhile.
///
/// # Errors
/// If Docker or a program that is needed is missing, or the build fails.
pub fn images() -> Result<Images> {
    docker(&["version"]).context("a running Docker daemon is needed")?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker");
    let program = executable(Program::Ours)?;
    let beside = program.parent().context("the program's folder")?;
    let lock = File::create(beside.join(".image.lock"))?;
    lock.lock()?;
    let debian = script(&folder.join("make-base.sh"), &[], None)?;
    let tag = format!("{NAME}:{}", fingerprint(&folder, &program, &debian)?);
    let second = format!("{tag}-second");
    if docker(&["image", "inspect", &second]).is_err() {
        remove_older()?;
        let program = program.to_str().context("UTF-8")?;
        let arguments = [program, &tag, &second];
        script(&folder.join("make-image.sh"), &arguments, Some(&debian))?;
    }
    Ok(Images {
        ours: tag,
        second,
        debian,
    })
}

fn script(path: &PathBuf, arguments: &[&str], base: Option<&str>) -> Result<String> {
    let mut command = Command::new(path);
    command.args(arguments);
    if let Some(base) = base {
        command.env("BASE", base);
    }
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{}: {}",
        path.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Changes with all that goes into the image.
fn fingerprint(folder: &Path, program: &Path, base: &str) -> Result<String> {
    require("sha256sum", "coreutils")?;
    let names = [
        "Dockerfile",
        "start-ic-db.sh",
        "ovn-ic-healthcheck.sh",
        "make-image.sh",
    ];
    let mut files: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    files.push(program.to_owned());
    let files = files
        .iter()
        .map(|path| path.to_str().context("UTF-8"))
        .collect::<Result<Vec<&str>>>()?;
    let sums = run("sha256sum", "coreutils", &files)?;
    let sums = sums.lines().filter_map(|line| line.get(..8));
    let base = base.rsplit(':').next().unwrap_or_default();
    let all: Vec<&str> = sums.chain([base]).collect();
    Ok(all.join("-"))
}

/// Images of earlier builds, but for those that are in use.
fn remove_older() -> Result<()> {
    let listed = docker(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", NAME])?;
    for image in listed.lines() {
        // One that a container still uses stays until the next time.
        let _ = docker(&["image", "rm", image]);
    }
    Ok(())
}
