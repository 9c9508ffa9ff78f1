//! The manifest's pods, run by Docker as Kubernetes would run them, with an API server that is
//! played.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Container as Described, EnvVar, SecurityContext};
use ovn_ic_db_tests::container::docker::{PATIENCE, docker};
use ovn_ic_db_tests::container::{Container, Place, Sandbox};
use ovn_ic_db_tests::kubernetes::{ApiServer, Manifest};
use ovn_ic_db_tests::process::wait_for;

/// Where a pod finds its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

struct Cluster {
    sandbox: Sandbox,
    manifest: Manifest,
    addresses: Vec<String>,
    api: ApiServer,
}

fn pod(number: usize) -> String {
    format!("ovn-ic-server-5d9c-{number}")
}

/// `docker run`'s options for what a container may.
fn security(described: &Described) -> Result<Vec<String>> {
    let security: &SecurityContext = described.security_context.as_ref().context("none")?;
    let mut options = vec![format!("--user={}", security.run_as_user.context("user")?)];
    if security.read_only_root_filesystem == Some(true) {
        options.push("--read-only".to_owned());
    }
    if security.allow_privilege_escalation == Some(false) {
        options.push("--security-opt=no-new-privileges".to_owned());
    }
    let capabilities = security.capabilities.clone().unwrap_or_default();
    let dropped = capabilities.drop.unwrap_or_default();
    options.extend(dropped.iter().map(|name| format!("--cap-drop={name}")));
    let added = capabilities.add.unwrap_or_default();
    options.extend(added.iter().map(|name| format!("--cap-add={name}")));
    Ok(options)
}

fn command(words: &Option<Vec<String>>) -> Result<Vec<&str>> {
    let words = words.as_ref().context("no command")?;
    Ok(words.iter().map(String::as_str).collect())
}

fn strs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

impl Cluster {
    fn new() -> Result<Cluster> {
        let mut sandbox = Sandbox::new()?;
        let addresses = (0..3).map(|number| sandbox.address(number));
        let addresses = addresses.collect::<Result<_>>()?;
        let gateway: IpAddr = sandbox.gateway()?.parse()?;
        let api = ApiServer::start_at(gateway, &sandbox.folder().join("account"))?;
        for number in 0..3 {
            api.add_pod(&pod(number));
        }
        Ok(Cluster {
            manifest: Manifest::read()?,
            sandbox,
            addresses,
            api,
        })
    }

    /// A variable as Kubernetes fills it in, but for the nodes' addresses, which the operator does.
    fn variable(&self, number: usize, variable: &EnvVar) -> Result<String> {
        let field = variable.value_from.as_ref();
        let field = field.and_then(|source| source.field_ref.as_ref());
        let value = match field.map(|field| field.field_path.as_str()) {
            Some("status.podIP" | "status.podIPs") => self.addresses[number].clone(),
            Some("metadata.name") => pod(number),
            Some("metadata.namespace") => "kube-system".to_owned(),
            Some(other) => anyhow::bail!("{other}"),
            None if variable.name == "NODE_IPS" => self.addresses.join(","),
            None => variable.value.clone().unwrap_or_default(),
        };
        Ok(format!("--env={}={value}", variable.name))
    }

    /// The init container to its end, then the server's.
    fn start(&self, number: usize, place: &Place) -> Result<Container> {
        let image = &self.sandbox.images.ours;
        let volumes = place.volumes();
        let preparation = self.manifest.preparation()?;
        let options = security(preparation)?;
        let line = [
            &["run", "--rm", "--network=none"][..],
            &strs(&options),
            &strs(&volumes),
            &["--entrypoint=", image],
            &command(&preparation.command)?,
        ];
        docker(&line.concat())?;

        let server = self.manifest.server()?;
        let mut options = security(server)?;
        for variable in server.env.as_deref().unwrap_or_default() {
            options.push(self.variable(number, variable)?);
        }
        for (name, value) in self.api.variables(&pod(number)) {
            if name.starts_with("KUBERNETES_") {
                options.push(format!("--env={name}={value}"));
            }
        }
        let account = self.sandbox.folder().join("account");
        options.push(format!("--volume={}:{ACCOUNT}:ro", account.display()));
        options.extend(volumes);
        options.push(format!("--ip={}", self.addresses[number]));
        options.push(format!("--network={}", self.sandbox.network()?));
        let line = [&[image.as_str()][..], &command(&server.command)?].concat();
        self.sandbox.run(&pod(number), &strs(&options), &line)
    }
}

#[test]
fn three_pods_of_which_the_labels_name_the_leaders() -> Result<()> {
    let cluster = Cluster::new()?;
    let mut pods = Vec::new();
    for number in 0..3 {
        let place = cluster.sandbox.place(number)?;
        pods.push(cluster.start(number, &place)?);
    }
    let server = cluster.manifest.server()?;
    for pod in &pods {
        for probe in [&server.readiness_probe, &server.liveness_probe] {
            let exec = probe.as_ref().and_then(|probe| probe.exec.as_ref());
            pod.wait_for(&command(&exec.context("no command")?.command)?)?;
        }
    }
    // As `kubectl ko icnbctl` does it: a pod by its label, and the tool in it.
    for (side, tool) in [(0, "ovn-ic-nbctl"), (1, "ovn-ic-sbctl")] {
        let leader = wait_for("one leader's label", PATIENCE, || {
            let leads = (0..3).map(|number| cluster.api.leads(&pod(number))[side]);
            let leads: Vec<Option<bool>> = leads.collect();
            let leaders = leads.iter().filter(|leads| **leads == Some(true)).count();
            let whole = leads.iter().all(Option::is_some) && leaders == 1;
            Ok(leads
                .iter()
                .position(|leads| *leads == Some(true))
                .filter(|_| whole))
        })?;
        pods[leader].exec(&[tool, "show"])?;
        pods[leader].exec(&[tool, "--timeout=5", "init"])?;
    }
    let switches = pods[0].exec(&["ovn-ic-nbctl", "--no-leader-only", "ts-list"])?;
    ensure!(switches.lines().count() == 3, "{switches}");
    for (number, container) in pods.iter().enumerate() {
        let (_, status) = container.stop()?;
        ensure!(status == 0, "{}", container.logs()?);
        let after = cluster.api.leads(&pod(number));
        ensure!(
            after == [Some(false); 2],
            "{after:?}: {}",
            container.logs()?
        );
    }
    let complaints = cluster.api.complaints();
    ensure!(complaints.is_empty(), "{complaints:?}");
    Ok(())
}
