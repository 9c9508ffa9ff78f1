//! The labels `ovn-ic-nb-leader` and `ovn-ic-sb-leader` of the pod that the program runs in, by
//! which tools find the leaders.
//!
//! `plan` decides what to do, `api` does it; both databases go on whatever becomes of it.

mod api;
mod failure;
mod leading;
mod plan;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::api::PodApi;
use self::failure::{Failure, Kind};
use self::leading::Leading;
use self::plan::{Plan, Step};
use crate::databases::{Databases, Kept};
use crate::schemas::Side;
use crate::settings::PodSettings;

/// How often a change of leadership is looked for.
const LOOK: Duration = Duration::from_millis(250);
/// How long the labels may hold up the end of the program.
const FAREWELL: Duration = Duration::from_secs(2);

/// Keeps a pod's labels.
pub struct PodLabels {
    task: JoinHandle<()>,
    ending: watch::Sender<bool>,
}

impl PodLabels {
    /// Begins to keep them, and looks after them `every` so often. `databases` are those of the
    /// northbound and of the southbound. None, with a warning, outside of Kubernetes.
    pub fn start(
        pod: &PodSettings,
        every: Duration,
        databases: [Arc<Databases>; 2],
    ) -> Option<PodLabels> {
        let missing = match &pod.api {
            None => Some("KUBERNETES_SERVICE_HOST is not set".to_owned()),
            Some(_) if !pod.account.is_dir() => {
                Some(format!("{}: no such folder", pod.account.display()))
            }
            Some(_) => None,
        };
        if let Some(missing) = missing {
            tracing::warn!(
                "POD_NAME is set, but the pod's labels cannot be kept without a service account: {missing}"
            );
            return None;
        }
        let (ending, ended) = watch::channel(false);
        let keeper = Keeper {
            name: pod.name.clone(),
            api: PodApi::new(pod.clone()),
            plan: Plan::new(every, Instant::now()),
            databases,
            said: BTreeSet::new(),
        };
        Some(PodLabels {
            task: tokio::spawn(keeper.keep(ended)),
            ending,
        })
    }

    /// Makes them say that this server leads nothing, if that can be done at once.
    pub async fn withdraw(mut self) {
        self.ending.send_replace(true);
        if tokio::time::timeout(FAREWELL, &mut self.task)
            .await
            .is_err()
        {
            self.task.abort();
            tracing::warn!("the pod's labels still say what this server led: no time was left");
        }
    }
}

/// The task behind [`PodLabels`].
struct Keeper {
    name: String,
    api: PodApi,
    plan: Plan,
    databases: [Arc<Databases>; 2],
    /// Failures that were said since the last success.
    said: BTreeSet<Kind>,
}

impl Keeper {
    async fn keep(mut self, mut ending: watch::Receiver<bool>) {
        while !*ending.borrow() {
            self.step(self.leading()).await;
            // The program's end cuts the rest short.
            if let Ok(Err(_)) = tokio::time::timeout(LOOK, ending.changed()).await {
                return;
            }
        }
        self.plan.hurry(Instant::now());
        while !self.plan.shows(Leading::NOTHING) {
            if self.plan.next(Leading::NOTHING, Instant::now()) == Step::Rest {
                tokio::time::sleep(LOOK / 10).await;
            }
            self.step(Leading::NOTHING).await;
        }
    }

    /// What this server leads now.
    fn leading(&self) -> Leading {
        let [northbound, southbound] = &self.databases;
        let leads = |databases: &Databases, side: Side| {
            databases
                .get(side.database())
                .is_some_and(|kept| Kept::leads(&kept))
        };
        Leading {
            northbound: leads(northbound, Side::Northbound),
            southbound: leads(southbound, Side::Southbound),
        }
    }

    async fn step(&mut self, wanted: Leading) {
        let step = self.plan.next(wanted, Instant::now());
        let outcome = match step {
            Step::Rest => return,
            Step::Look => self.api.look().await,
            Step::Set(leading) => self.api.set(leading).await,
        };
        let outcome = outcome.and_then(|shown| match step {
            Step::Set(leading) if shown != Some(leading) => Err(Failure::ignored()),
            _ => Ok(shown),
        });
        match outcome {
            Ok(shown) => {
                self.plan.seen(shown, Instant::now());
                self.tell_success(step);
            }
            Err(failure) => {
                self.plan.failed(step, Instant::now());
                self.tell_failure(&failure);
            }
        }
    }

    fn tell_success(&mut self, step: Step) {
        let again = !std::mem::take(&mut self.said).is_empty();
        match step {
            Step::Set(leading) => tracing::info!("pod {}: labels {leading}", self.name),
            _ if again => tracing::info!("pod {}: the labels can be read again", self.name),
            _ => {}
        }
    }

    fn tell_failure(&mut self, failure: &Failure) {
        if self.said.insert(failure.kind) {
            tracing::warn!(
                "pod {}: the labels of leadership cannot be kept, it is tried again: {failure}",
                self.name
            );
        }
    }
}
