//! Why the API did not do what was asked of it.

use std::error::Error;
use std::fmt;

use super::api::ANSWER;

/// No text of others is longer than this in a line of the log.
const LONGEST: usize = 300;

/// What kind of failure it is. Each is said once, until it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The service account's files cannot be used.
    Account,
    /// No answer in time.
    Slow,
    /// No answer that can be understood.
    Unreachable,
    /// A refusal, with its HTTP status.
    Refused(u16),
    /// A patch that was taken and has changed nothing.
    Ignored,
}

/// A failure.
#[derive(Debug)]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: Kind,
    text: String,
}

impl Failure {
    /// The service account's files cannot be used.
    pub fn account(text: impl fmt::Display) -> Failure {
        Failure {
            kind: Kind::Account,
            text: shortened(&text.to_string()),
        }
    }

    /// No answer in time.
    pub fn slow() -> Failure {
        Failure {
            kind: Kind::Slow,
            text: format!("the API server does not answer within {ANSWER:?}"),
        }
    }

    /// A patch that was taken and has changed nothing.
    pub fn ignored() -> Failure {
        Failure {
            kind: Kind::Ignored,
            text: "the API server takes the labels and leaves the pod without them".to_owned(),
        }
    }

    /// What the client has to say.
    pub fn of_client(error: &kube::Error) -> Failure {
        match error {
            kube::Error::Api(status) => {
                let advice = match status.code {
                    401 | 403 => " (the service account needs the verbs get and patch on pods)",
                    404 => " (POD_NAME and POD_NAMESPACE name no pod)",
                    _ => "",
                };
                let message = shortened(&status.message);
                Failure {
                    kind: Kind::Refused(status.code),
                    text: format!(
                        "the API server answers {} {}: {message}{advice}",
                        status.code, status.reason
                    ),
                }
            }
            other => Failure {
                kind: Kind::Unreachable,
                text: shortened(&chain(other)),
            },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

/// An error with its causes. Many repeat them in their own text.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn a_refusal_is_told_with_advice_and_in_bounds() {
        let status = Status::failure(&"x".repeat(5000), "Forbidden").with_code(403);
        let failure = Failure::of_client(&kube::Error::Api(status.boxed()));
        assert_eq!(failure.kind, Kind::Refused(403));
        let text = failure.to_string();
        assert!(text.contains("403 Forbidden: xxx") && text.contains("get and patch"));
        assert!(text.len() < 500, "{text}");
    }
}
