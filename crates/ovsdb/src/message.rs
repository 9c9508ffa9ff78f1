//! JSON-RPC messages (RFC 7047 section 4, JSON-RPC 1.0).

use std::borrow::Cow;

use crate::json::{Json, Kind};

/// A message from the other side.
#[derive(Debug, Clone)]
pub enum Message<'a> {
    /// A method that wants an answer.
    Request {
        /// The method's name.
        method: Cow<'a, str>,
        /// Its parameters, an array.
        params: Json<'a>,
        /// What the answer must carry; anything but `null`.
        id: Json<'a>,
    },
    /// A method that wants no answer.
    Notification {
        /// The method's name.
        method: Cow<'a, str>,
        /// Its parameters, an array.
        params: Json<'a>,
    },
    /// An answer to a request of ours.
    Reply {
        /// The request's id.
        id: Json<'a>,
        /// The result, unless the request failed.
        result: Option<Json<'a>>,
        /// The error, if the request failed.
        error: Option<Json<'a>>,
    },
}

impl<'a> Message<'a> {
    /// Takes a message apart. An error means that the peer does not speak JSON-RPC, and the
    /// connection should be closed.
    pub fn parse(json: Json<'a>) -> Result<Message<'a>, String> {
        if json.kind() != Kind::Object {
            return Err("message is not a JSON object".into());
        }
        let (mut method, mut params, mut result, mut error, mut id) =
            (None, None, None, None, None);
        for (name, value) in json.members() {
            let slot = match name.string().as_deref() {
                Some("method") => {
                    method = Some(value);
                    continue;
                }
                Some("params") => &mut params,
                Some("result") => &mut result,
                Some("error") => &mut error,
                Some("id") => &mut id,
                name => {
                    let name = name.unwrap_or_default();
                    return Err(format!("message has unexpected member \"{name}\""));
                }
            };
            *slot = (value.kind() != Kind::Null).then_some(value);
        }
        let method = match method {
            Some(method) => Some(method.string().ok_or("method is not a JSON string")?),
            None => None,
        };
        if params.is_some_and(|params| params.kind() != Kind::Array) {
            return Err("\"params\" must be JSON array".into());
        }
        match (method, params, result, error, id) {
            (Some(method), Some(params), None, None, Some(id)) => {
                Ok(Message::Request { method, params, id })
            }
            (Some(method), Some(params), None, None, None) => {
                Ok(Message::Notification { method, params })
            }
            (None, None, Some(result), None, Some(id)) => Ok(Message::Reply {
                id,
                result: Some(result),
                error: None,
            }),
            (None, None, None, Some(error), Some(id)) => Ok(Message::Reply {
                id,
                result: None,
                error: Some(error),
            }),
            (method, params, result, error, id) => Err(wrong_members(
                [method.is_some(), params.is_some(), id.is_some()],
                [result.is_some(), error.is_some()],
            )),
        }
    }
}

/// Says which member a message of its kind must or must not have.
fn wrong_members([method, params, id]: [bool; 3], [result, error]: [bool; 2]) -> String {
    let (kind, expected) = match (result, error, id) {
        (true, _, _) => ("reply", [false, false, true, false, true]),
        (_, true, _) => ("error", [false, false, false, true, true]),
        (_, _, true) => ("request", [true, true, false, false, true]),
        _ => ("notification", [true, true, false, false, false]),
    };
    let names = ["method", "params", "result", "error", "id"];
    let present = [method, params, result, error, id];
    for ((name, must), is) in names.into_iter().zip(expected).zip(present) {
        if must != is {
            let not = if must { "" } else { " not" };
            return format!("{kind} must{not} have \"{name}\"");
        }
    }
    format!("invalid {kind}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Document;

    fn parse(text: &str) -> Result<String, String> {
        let document = Document::parse(text).expect("JSON");
        Message::parse(document.root()).map(|message| match message {
            Message::Request { method, id, .. } => format!("request {method} {id:?}"),
            Message::Notification { method, .. } => format!("notification {method}"),
            Message::Reply { error, .. } => format!("reply error={}", error.is_some()),
        })
    }

    #[test]
    fn messages_are_told_apart() {
        for (text, kind) in [
            (
                r#"{"method":"echo","params":[],"id":"x"}"#,
                "request echo \"x\"",
            ),
            (
                r#"{"method":"cancel","params":[],"id":null}"#,
                "notification cancel",
            ),
            (r#"{"result":{},"error":null,"id":1}"#, "reply error=false"),
            (r#"{"result":null,"error":"x","id":1}"#, "reply error=true"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(kind), "{text}");
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for (text, error) in [
            ("[]", "message is not a JSON object"),
            (
                r#"{"method":1,"params":[],"id":1}"#,
                "method is not a JSON string",
            ),
            (
                r#"{"method":"x","params":{},"id":1}"#,
                "\"params\" must be JSON array",
            ),
            (r#"{"method":"x","id":1}"#, "request must have \"params\""),
            (r#"{"x":1}"#, "message has unexpected member \"x\""),
            (r#"{"result":1}"#, "reply must have \"id\""),
            (
                r#"{"method":"x","result":1,"id":1}"#,
                "reply must not have \"method\"",
            ),
            ("{}", "notification must have \"method\""),
        ] {
            assert_eq!(parse(text), Err(error.to_owned()), "{text}");
        }
    }
}
