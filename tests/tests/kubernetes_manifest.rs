//! The manifest for Kubernetes: every field is known, and what belongs together fits.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use ovn_ic_db_tests::kubernetes::Manifest;

const NAME: &str = "ovn-ic-server";
const NAMESPACE: &str = "kube-system";

fn is_named(metadata: &ObjectMeta) -> Result<()> {
    ensure!(
        metadata.name.as_deref() == Some(NAME) && metadata.namespace.as_deref() == Some(NAMESPACE),
        "{metadata:?}"
    );
    Ok(())
}

/// Whether a selector, by labels alone, chooses the pods.
fn chooses(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let wanted = selector.match_labels.clone().unwrap_or_default();
    selector.match_expressions.is_none()
        && !wanted.is_empty()
        && wanted
            .iter()
            .all(|(name, value)| labels.get(name) == Some(value))
}

#[test]
fn selectors_choose_the_pods() -> Result<()> {
    let manifest = Manifest::read()?;
    let spec = manifest.deployment.spec.as_ref().context("spec")?;
    let metadata = spec.template.metadata.as_ref().context("metadata")?;
    let labels = metadata.labels.clone().unwrap_or_default();
    ensure!(chooses(&spec.selector, &labels));
    let budget = manifest.budget.spec.as_ref().context("spec")?;
    ensure!(chooses(
        budget.selector.as_ref().context("selector")?,
        &labels
    ));
    ensure!(format!("{:?}", budget.max_unavailable).contains("Int(1)"));
    let affinity = manifest.pod()?.affinity.as_ref();
    let apart = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    let apart = apart.and_then(|apart| {
        apart
            .required_during_scheduling_ignored_during_execution
            .as_deref()
    });
    let [term] = apart.context("no anti-affinity")? else {
        anyhow::bail!("{apart:?}")
    };
    ensure!(term.topology_key == "kubernetes.io/hostname");
    ensure!(chooses(
        term.label_selector.as_ref().context("selector")?,
        &labels
    ));
    // Labels that change are none that a selector goes by.
    ensure!(!labels.keys().any(|name| name.ends_with("-leader")));
    Ok(())
}

#[test]
fn the_service_account_may_do_what_the_labels_need_and_no_more() -> Result<()> {
    let manifest = Manifest::read()?;
    for metadata in [
        &manifest.deployment.metadata,
        &manifest.account.metadata,
        &manifest.role.metadata,
        &manifest.binding.metadata,
        &manifest.budget.metadata,
    ] {
        is_named(metadata)?;
    }
    let rules = manifest.role.rules.as_deref().unwrap_or_default();
    let [rule] = rules else {
        anyhow::bail!("{rules:?}")
    };
    let words = |words: Option<&Vec<String>>| words.map(|words| words.join(" "));
    ensure!(words(rule.api_groups.as_ref()).as_deref() == Some(""));
    ensure!(words(rule.resources.as_ref()).as_deref() == Some("pods"));
    ensure!(rule.verbs.join(" ") == "get patch", "{rule:?}");
    let role = &manifest.binding.role_ref;
    ensure!((role.kind.as_str(), role.name.as_str()) == ("Role", NAME));
    let subjects = manifest.binding.subjects.as_deref().unwrap_or_default();
    let [subject] = subjects else {
        anyhow::bail!("{subjects:?}")
    };
    ensure!((subject.kind.as_str(), subject.name.as_str()) == ("ServiceAccount", NAME));
    ensure!(subject.namespace.as_deref() == Some(NAMESPACE));
    let pod = manifest.pod()?;
    ensure!(pod.service_account_name.as_deref() == Some(NAME));
    ensure!(pod.automount_service_account_token == Some(true));
    Ok(())
}

#[test]
fn the_pod_is_the_installers() -> Result<()> {
    let manifest = Manifest::read()?;
    let pod = manifest.pod()?;
    let server = manifest.server()?;
    ensure!(pod.host_network == Some(true));
    let security = server
        .security_context
        .as_ref()
        .context("securityContext")?;
    ensure!(security.run_as_user == Some(65534));
    ensure!(security.read_only_root_filesystem == Some(true));
    let capabilities = security.capabilities.clone().unwrap_or_default();
    ensure!(capabilities.drop == Some(vec!["ALL".to_owned()]));
    let added = capabilities.add.unwrap_or_default();
    ensure!(added == ["NET_BIND_SERVICE", "SYS_NICE"], "{added:?}");
    let variables = server.env.as_deref().unwrap_or_default().iter();
    let variables: BTreeSet<&str> = variables.map(|variable| variable.name.as_str()).collect();
    let wanted = "ENABLE_SSL NODE_IPS OVN_LEADER_PROBE_INTERVAL POD_IP POD_IPS POD_NAME POD_NAMESPACE TS_NUM";
    ensure!(variables == wanted.split(' ').collect(), "{variables:?}");
    Ok(())
}

#[test]
fn every_mount_has_its_volume() -> Result<()> {
    let manifest = Manifest::read()?;
    let volumes = manifest.pod()?.volumes.as_deref().unwrap_or_default();
    let volumes: BTreeSet<&str> = volumes.iter().map(|volume| volume.name.as_str()).collect();
    for container in [manifest.server()?, manifest.preparation()?] {
        let mounts = container.volume_mounts.as_deref().unwrap_or_default();
        let paths: Vec<&str> = mounts
            .iter()
            .map(|mount| mount.mount_path.as_str())
            .collect();
        for path in ["/etc/ovn", "/var/run/ovn", "/var/log/ovn"] {
            ensure!(paths.contains(&path), "{}: {paths:?}", container.name);
        }
        for mount in mounts {
            ensure!(volumes.contains(mount.name.as_str()), "{mount:?}");
        }
    }
    Ok(())
}

/// The folders on the hosts are those of the installer, whose databases are taken over. `/etc/origin/ovn` is
/// what its pods see as `/etc/ovn`.
#[test]
fn the_folders_are_the_installers() -> Result<()> {
    let manifest = Manifest::read()?;
    let volumes = manifest.pod()?.volumes.as_deref().unwrap_or_default();
    let folders = [
        ("/etc/ovn", "/etc/origin/ovn"),
        ("/var/run/ovn", "/run/ovn"),
        ("/var/log/ovn", "/var/log/ovn"),
    ];
    for container in [manifest.server()?, manifest.preparation()?] {
        let mounts = container.volume_mounts.as_deref().unwrap_or_default();
        let volume = |inside: &str| {
            let mount = mounts.iter().find(|mount| mount.mount_path == inside);
            let mount = mount.with_context(|| format!("{}: {inside}", container.name))?;
            let volume = volumes.iter().find(|volume| volume.name == mount.name);
            Ok::<_, anyhow::Error>((mount, volume.with_context(|| mount.name.clone())?))
        };
        for (inside, outside) in folders {
            let (mount, volume) = volume(inside)?;
            let folder = volume.host_path.as_ref().map(|folder| folder.path.as_str());
            ensure!(folder == Some(outside), "{inside}: {volume:?}");
            // A part of it or a copy that cannot be written would be other databases.
            let whole = mount.sub_path.is_none() && mount.sub_path_expr.is_none();
            ensure!(whole && mount.read_only != Some(true), "{mount:?}");
        }
        let keys = mounts
            .iter()
            .any(|mount| mount.mount_path == "/var/run/tls");
        if keys {
            let (mount, volume) = volume("/var/run/tls")?;
            let secret = volume.secret.as_ref().context("no secret")?;
            ensure!(secret.secret_name.as_deref() == Some("kube-ovn-tls"));
            // Without TLS there is none.
            ensure!(secret.optional == Some(true) && mount.read_only == Some(true));
        }
        ensure!(keys == (container.name == manifest.server()?.name));
    }
    Ok(())
}

/// Memory that an alert tells of before the limit is reached.
#[test]
fn memory_is_told_of_before_it_is_used_up() -> Result<()> {
    let manifest = Manifest::read()?;
    let limits = manifest
        .server()?
        .resources
        .as_ref()
        .and_then(|r| r.limits.as_ref());
    let limit = limits.and_then(|limits| limits.get("memory"));
    let limit = limit.and_then(|limit| limit.0.strip_suffix("Gi"));
    let limit = limit.context("no limit in Gi")?.parse::<u64>()? << 30;
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/prometheus/alerts.yaml");
    let rules = fs::read_to_string(rules)?;
    let threshold = rules
        .lines()
        .find(|line| line.contains("process_resident_memory_bytes"))
        .and_then(|line| line.split_once(" > "));
    let (_, threshold) = threshold.context("no rule about memory")?;
    let factors = threshold
        .split('*')
        .map(|factor| factor.trim().parse::<u64>());
    let threshold: u64 = factors.product::<Result<u64, _>>()?;
    ensure!(threshold * 10 <= limit * 9, "{threshold} of {limit}");
    Ok(())
}

#[test]
fn the_probes_scripts_are_in_the_image() -> Result<()> {
    let manifest = Manifest::read()?;
    let server = manifest.server()?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker");
    let dockerfile = fs::read_to_string(folder.join("Dockerfile"))?;
    let copied = dockerfile
        .lines()
        .find_map(|line| line.strip_prefix("COPY ")?.strip_suffix(" /kube-ovn/"));
    let copied: Vec<&str> = copied.context("nothing is copied")?.split(' ').collect();
    let mut commands = vec![server.command.clone().context("command")?];
    for probe in [&server.readiness_probe, &server.liveness_probe] {
        let exec = probe.as_ref().and_then(|probe| probe.exec.clone());
        commands.push(exec.and_then(|exec| exec.command).context("no command")?);
    }
    for command in &commands {
        let script = command
            .iter()
            .find_map(|word| word.strip_prefix("/kube-ovn/"));
        let script = script.with_context(|| format!("{command:?}"))?;
        ensure!(copied.contains(&script), "{script}: {copied:?}");
        ensure!(folder.join(script).is_file(), "{script}");
    }
    // A node that waits for the others is alive, and not ready.
    ensure!(commands[2].last().map(String::as_str) == Some("--alive"));
    ensure!(!commands[1].contains(&"--alive".to_owned()));
    Ok(())
}
