//! `docker/kubernetes/ovn-ic-db.yaml`, parsed as Kubernetes parses it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, PodSpec, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What the file has, each once.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The nodes.
    pub deployment: Deployment,
    /// How many of them may be away.
    pub budget: PodDisruptionBudget,
    /// Who they are.
    pub account: ServiceAccount,
    /// What they may do.
    pub role: Role,
    /// That they may do it.
    pub binding: RoleBinding,
}

impl Manifest {
    /// Reads it.
    ///
    /// # Errors
    /// If it is no YAML, has a field that Kubernetes does not know, or has not just one of each.
    pub fn read() -> Result<Self> {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/kubernetes/ovn-ic-db.yaml");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let mut documents: Vec<Value> = serde_saphyr::from_multiple(&text)?;
        let manifest = Self {
            deployment: take(&mut documents, "apps/v1", "Deployment")?,
            budget: take(&mut documents, "policy/v1", "PodDisruptionBudget")?,
            account: take(&mut documents, "v1", "ServiceAccount")?,
            role: take(&mut documents, "rbac.authorization.k8s.io/v1", "Role")?,
            binding: take(
                &mut documents,
                "rbac.authorization.k8s.io/v1",
                "RoleBinding",
            )?,
        };
        ensure!(documents.is_empty(), "also there: {documents:?}");
        Ok(manifest)
    }

    /// The pods' specification.
    ///
    /// # Errors
    /// If there is none.
    pub fn pod(&self) -> Result<&PodSpec> {
        let spec = self.deployment.spec.as_ref().context("no spec")?;
        spec.template.spec.as_ref().context("no pod's spec")
    }

    /// The server's container.
    ///
    /// # Errors
    /// If there is not just one.
    pub fn server(&self) -> Result<&Container> {
        match self.pod()?.containers.as_slice() {
            [server] => Ok(server),
            others => anyhow::bail!("{} containers", others.len()),
        }
    }

    /// The container that prepares the folders.
    ///
    /// # Errors
    /// If there is not just one.
    pub fn preparation(&self) -> Result<&Container> {
        match self.pod()?.init_containers.as_deref() {
            Some([preparation]) => Ok(preparation),
            others => anyhow::bail!("{others:?}"),
        }
    }
}

/// Takes the one document of a kind out. A field that Kubernetes does not know is missing in what
/// is written again.
fn take<T: DeserializeOwned + Serialize>(
    documents: &mut Vec<Value>,
    version: &str,
    kind: &str,
) -> Result<T> {
    let found = documents
        .iter()
        .position(|document| document["apiVersion"] == version && document["kind"] == kind);
    let document = documents.remove(found.with_context(|| format!("no {version} {kind}"))?);
    let typed: T = serde_json::from_value(document.clone()).context(kind.to_owned())?;
    let again = serde_json::to_value(&typed)?;
    lost(&document, &again, kind)?;
    ensure!(
        !documents.iter().any(|other| other["kind"] == kind),
        "two of {kind}"
    );
    Ok(typed)
}

/// Fails if something of `before` is not in `after`.
fn lost(before: &Value, after: &Value, place: &str) -> Result<()> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            before.iter().try_for_each(|(name, value)| {
                let place = format!("{place}.{name}");
                let kept = after.get(name);
                lost(
                    value,
                    kept.with_context(|| format!("{place} is unknown"))?,
                    &place,
                )
            })
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            let mut pairs = before.iter().zip(after).enumerate();
            pairs.try_for_each(|(number, (before, after))| {
                lost(before, after, &format!("{place}[{number}]"))
            })
        }
        _ => {
            ensure!(before == after, "{place}: {before} is taken as {after}");
            Ok(())
        }
    }
}
