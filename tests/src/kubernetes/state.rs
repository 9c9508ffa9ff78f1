//! What the server has: pods, who may ask, how it feels, and what it was asked.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::http::Request;

/// The labels of one pod.
pub(super) type Labels = BTreeMap<String, String>;

/// How the server answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    #[default]
    Well,
    /// With this status, whatever is asked.
    Refuses(u16),
    /// It takes requests, does as they say, and never answers.
    Hangs,
    /// It takes requests and closes the connection.
    Closes,
    /// With something that is no JSON object of the API.
    Babbles,
    /// As if it had done what it was asked, which it has not.
    Ignores,
}

/// A request that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// `GET` or `PATCH`.
    pub method: String,
    /// The pod.
    pub pod: String,
    /// The status of the answer, 0 if there was none.
    pub code: u16,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) namespace: String,
    pub(super) token: String,
    pub(super) pods: BTreeMap<String, Labels>,
    pub(super) mood: Mood,
    pub(super) seen: Vec<Seen>,
    /// What a client has done that it should never do.
    pub(super) complaints: Vec<String>,
}

impl State {
    /// Does what a request asks for; status and answer.
    pub(super) fn serve(&mut self, request: &Request) -> (u16, Value) {
        let prefix = format!("/api/v1/namespaces/{}/pods/", self.namespace);
        let Some(pod) = request.path().strip_prefix(&prefix).map(str::to_owned) else {
            self.complain(request, "another path than that of a pod");
            return failure(404, "NotFound");
        };
        let (code, answer) = self.decide(request, &pod);
        self.seen.push(Seen {
            method: request.method.clone(),
            pod,
            code: if self.mood == Mood::Hangs { 0 } else { code },
        });
        (code, answer)
    }

    fn decide(&mut self, request: &Request, pod: &str) -> (u16, Value) {
        if request.header("authorization") != format!("Bearer {}", self.token) {
            return failure(401, "Unauthorized");
        }
        if let Mood::Refuses(code) = self.mood {
            return failure(code, "Whatever");
        }
        let Some(labels) = self.pods.get(pod) else {
            return failure(404, "NotFound");
        };
        let mut labels = labels.clone();
        match request.method.as_str() {
            "GET" => {}
            "PATCH" => {
                if let Err(complaint) = apply(request, &mut labels) {
                    self.complain(request, &complaint);
                    return failure(422, "Invalid");
                }
                if self.mood != Mood::Ignores {
                    self.pods.insert(pod.to_owned(), labels.clone());
                } else {
                    labels = self.pods[pod].clone();
                }
            }
            _ => {
                self.complain(request, "a verb that its role does not have");
                return failure(403, "Forbidden");
            }
        }
        let answer = json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": {"name": pod, "namespace": self.namespace, "labels": labels},
        });
        (200, answer)
    }

    fn complain(&mut self, request: &Request, what: &str) {
        let body = String::from_utf8_lossy(&request.body);
        let (method, target) = (&request.method, &request.target);
        self.complaints
            .push(format!("{method} {target} {body}: {what}"));
    }
}

/// A merge patch of labels, and of nothing else.
fn apply(request: &Request, labels: &mut Labels) -> Result<(), String> {
    let kind = request.header("content-type");
    if kind != "application/merge-patch+json" {
        return Err(format!("content type {kind}"));
    }
    let patch: Value = serde_json::from_slice(&request.body).map_err(|error| error.to_string())?;
    let set: Labels = serde_json::from_value(patch["metadata"]["labels"].clone())
        .map_err(|error| error.to_string())?;
    if patch != json!({"metadata": {"labels": set}}) {
        return Err("it is not only about labels".to_owned());
    }
    for (name, value) in set {
        if !["ovn-ic-nb-leader", "ovn-ic-sb-leader"].contains(&name.as_str())
            || !["true", "false"].contains(&value.as_str())
        {
            return Err(format!("the label {name}={value}"));
        }
        labels.insert(name, value);
    }
    Ok(())
}

fn failure(code: u16, reason: &str) -> (u16, Value) {
    let answer = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("the test answers {code}"), "reason": reason, "code": code,
    });
    (code, answer)
}
