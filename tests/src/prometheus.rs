//! Debian's Prometheus, and its tool.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::cluster::guard;
use crate::http::get;
use crate::process::{free_port, require, wait_for};
use crate::world::daemon::Daemon;

/// How long it may take for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);
const PACKAGE: &str = "prometheus";

/// The name of the job that scrapes.
pub const JOB: &str = "ovn-ic-db";

/// A value and the labels that it has beside the metric's name.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Value.
    pub value: f64,
}

/// A running Prometheus with a folder of its own. Dropping it kills it.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    daemon: Daemon,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes some servers every second, by these alert rules.
    ///
    /// # Errors
    /// If it is missing or does not start.
    pub fn start(targets: &[SocketAddr], rules: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("prometheus-").tempdir()?;
        let mut config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
             rule_files: [{rules:?}]\n\
             scrape_configs:\n- job_name: {JOB}\n  static_configs:\n  - targets:\n"
        );
        for target in targets {
            writeln!(config, "    - \"{target}\"")?;
        }
        let file = folder.path().join("prometheus.yaml");
        fs::write(&file, config)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut line = guard::leash();
        line.push(require("prometheus", PACKAGE)?.into());
        let data = folder.path().join("data");
        for option in [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", data.display()),
            format!("--web.listen-address={address}"),
        ] {
            line.push(option.into());
        }
        let first = require(&line.remove(0).to_string_lossy(), "util-linux")?;
        let mut daemon = Daemon::new(first, line, folder.path().join("output"));
        daemon.start()?;
        let mut prometheus = Self {
            address,
            daemon,
            _folder: folder,
        };
        wait_for("Prometheus", PATIENCE, || {
            prometheus.daemon.check_alive()?;
            Ok(get(address, "/-/ready")
                .is_ok_and(|answer| answer.status == 200)
                .then_some(()))
        })?;
        Ok(prometheus)
    }

    /// What an expression gives now.
    ///
    /// # Errors
    /// If it does not answer, or the expression is wrong.
    pub fn query(&self, expression: &str) -> Result<Vec<Sample>> {
        let path = format!("/api/v1/query?query={}", encode(expression));
        let answer = get(self.address, &path)?;
        let body: Value = serde_json::from_str(&answer.body)?;
        ensure!(body["status"] == "success", "{expression}: {body}");
        let result = body["data"]["result"].as_array().context("no vector")?;
        result.iter().map(sample).collect()
    }

    /// Waits until an expression gives one value, this one.
    ///
    /// # Errors
    /// If it does not, with what it gives instead.
    pub fn wait_for(&self, expression: &str, value: f64) -> Result<()> {
        let mut last = Vec::new();
        let waited = wait_for(expression, PATIENCE, || {
            last = self.query(expression)?;
            std::thread::sleep(Duration::from_millis(50));
            Ok(matches!(&last[..], [one] if one.value == value).then_some(()))
        });
        waited.with_context(|| format!("expected {value}, there is {last:?}"))
    }
}

fn sample(json: &Value) -> Result<Sample> {
    let labels = json["metric"].as_object().context("no labels")?;
    let labels = labels.iter().map(|(name, value)| {
        let value = value.as_str().unwrap_or_default();
        (name.clone(), value.to_owned())
    });
    let value = json["value"][1].as_str().context("no value")?;
    Ok(Sample {
        labels: labels.collect(),
        value: value.parse()?,
    })
}

fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        // Nothing is lost by encoding too much.
        let _ = write!(encoded, "%{byte:02X}");
        encoded
    })
}

/// Runs `promtool` on an input; what it says.
///
/// # Errors
/// If it is missing, or finds something to say.
pub fn promtool(arguments: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new(require("promtool", PACKAGE)?)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("no input")?;
    stdin.write_all(input.as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if !output.status.success() {
        bail!("promtool {}: {said}", arguments.join(" "));
    }
    Ok(said)
}
