//! A pod at the API server of its Kubernetes cluster.

use std::fs;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Config};

use super::failure::Failure;
use super::leading::Leading;
use crate::settings::PodSettings;

/// How long one answer may take.
pub const ANSWER: Duration = Duration::from_secs(5);

/// Who has set the labels, in the pod's `managedFields`.
const MANAGER: &str = "ovn-ic-db";

/// The pod, and the connection by which it is reached.
pub struct PodApi {
    pod: PodSettings,
    /// None before the first request, while one is under way, and after a failure: then the service account's files are
    /// read anew, as they may have been replaced. While all is well, the client does so itself
    /// each minute.
    pods: Option<Api<Pod>>,
}

impl PodApi {
    /// Nothing is asked yet.
    pub fn new(pod: PodSettings) -> PodApi {
        PodApi { pod, pods: None }
    }

    /// What the labels say (`get`).
    pub async fn look(&mut self) -> Result<Option<Leading>, Failure> {
        let pods = self.take_pods()?;
        let shown = answer(pods.get_metadata(&self.pod.name)).await?;
        self.pods = Some(pods);
        Ok(shown)
    }

    /// Makes the labels say this (`patch`); what they say then.
    pub async fn set(&mut self, leading: Leading) -> Result<Option<Leading>, Failure> {
        let pods = self.take_pods()?;
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(leading.patch());
        let shown = answer(pods.patch_metadata(&self.pod.name, &params, &patch)).await?;
        self.pods = Some(pods);
        Ok(shown)
    }

    fn take_pods(&mut self) -> Result<Api<Pod>, Failure> {
        match self.pods.take() {
            Some(pods) => Ok(pods),
            None => connect(&self.pod),
        }
    }
}

/// What the labels of a pod in an answer say.
async fn answer(
    request: impl Future<Output = kube::Result<PartialObjectMeta<Pod>>>,
) -> Result<Option<Leading>, Failure> {
    match tokio::time::timeout(ANSWER, request).await {
        Err(_) => Err(Failure::slow()),
        Ok(Err(error)) => Err(Failure::of_client(&error)),
        Ok(Ok(pod)) => Ok(Leading::of_labels(&pod.metadata.labels.unwrap_or_default())),
    }
}

/// A client by the service account's files. Nothing is sent yet.
fn connect(pod: &PodSettings) -> Result<Api<Pod>, Failure> {
    let host = pod.api.as_deref().unwrap_or_default();
    let url = format!("https://{host}/");
    let url = url
        .parse()
        .map_err(|error| Failure::account(format_args!("{url}: {error}")))?;
    let file = |name: &str| pod.account.join(name);
    let mut config = Config::new(url);
    config.root_cert_file = Some(file("ca.crt"));
    // Without these the client would look for the system's authorities, which an image need not have.
    config.root_cert = Some(Vec::new());
    config.auth_info.token_file = Some(file("token").display().to_string());
    // Retries are planned here.
    config.default_retry = false;
    let client = Client::try_from(config);
    let client = client.map_err(|error| Failure::account(format_args!("{error}")))?;
    let namespace = match &pod.namespace {
        Some(namespace) => namespace.clone(),
        None => {
            let file = file("namespace");
            fs::read_to_string(&file)
                .map_err(|error| Failure::account(format_args!("{}: {error}", file.display())))?
                .trim()
                .to_owned()
        }
    };
    Ok(Api::namespaced(client, &namespace))
}
