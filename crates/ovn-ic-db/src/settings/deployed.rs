//! The manifest for Kubernetes sets what the program knows.

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde_json::Value;

use super::variables::VARIABLES;
use super::{PodSettings, Settings};
use crate::command_line::RunFlags;
use crate::transit_switches::{Families, Wanted};

const MANIFEST: &str = include_str!("../../../../docker/kubernetes/ovn-ic-db.yaml");

/// The variables of the manifest's server, with what Kubernetes would fill in at the second node.
fn variables() -> BTreeMap<String, String> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(MANIFEST).expect("YAML");
    let deployment = documents
        .iter()
        .find(|document| document["kind"] == "Deployment")
        .expect("a deployment");
    let variables = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    let variables = variables.as_array().expect("variables").iter();
    variables
        .map(|variable| {
            let name = variable["name"].as_str().expect("a name").to_owned();
            let field = &variable["valueFrom"]["fieldRef"]["fieldPath"];
            let value = match field.as_str() {
                None => variable["value"].as_str().expect("a value"),
                Some("status.podIP" | "status.podIPs") => "192.168.65.4",
                Some("metadata.name") => "ovn-ic-server-5d9c-x2x",
                Some("metadata.namespace") => "kube-system",
                Some(other) => panic!("{other}"),
            };
            (name, value.to_owned())
        })
        .collect()
}

#[test]
fn the_manifests_variables_make_one_of_three_nodes() {
    let set = variables();
    for name in set.keys() {
        let known = VARIABLES.iter().any(|variable| variable.name == name);
        assert!(known, "{name}");
    }
    let environment = |name: &str| match name {
        "KUBERNETES_SERVICE_HOST" => Some(OsString::from("10.96.0.1")),
        name => set.get(name).map(OsString::from),
    };
    let settings = Settings::resolve(&RunFlags::default(), &environment).expect("settings");
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
    let cluster = settings.cluster.expect("a cluster");
    assert_eq!(cluster.nodes.len(), 3);
    assert_eq!(cluster.local.to_string(), "192.168.65.4");
    assert_eq!(settings.listen, [cluster.local]);
    assert!(settings.tls.is_none());
    let wanted = Wanted::Number {
        count: 3,
        families: Families::V4,
    };
    assert_eq!(settings.transit_switches, wanted);
    let PodSettings {
        name, namespace, ..
    } = settings.pod.expect("a pod");
    assert_eq!(name, "ovn-ic-server-5d9c-x2x");
    assert_eq!(namespace.as_deref(), Some("kube-system"));
}
