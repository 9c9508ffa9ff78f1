//! What is answered to whom.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use prometheus::TEXT_FORMAT;

use super::{Shown, metrics, readiness};

const PLAIN: &str = "text/plain; charset=utf-8";

/// A request's answer.
pub fn answer(method: &Method, path: &str, shown: &Shown) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let mut response = respond(status, PLAIN, "only GET and HEAD\n".to_owned());
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allowed);
        return response;
    }
    match path {
        "/metrics" => match metrics::text(shown) {
            Ok(text) => respond(StatusCode::OK, TEXT_FORMAT, text),
            Err(error) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                respond(status, PLAIN, format!("{error}\n"))
            }
        },
        "/healthz" => probe(readiness::alive(shown)),
        "/readyz" => probe(readiness::ready(shown)),
        _ => {
            let text = "there are /metrics, /healthz and /readyz\n";
            respond(StatusCode::NOT_FOUND, PLAIN, text.to_owned())
        }
    }
}

fn probe(verdicts: Vec<readiness::Verdict>) -> Response<Full<Bytes>> {
    let status = match verdicts.iter().all(|verdict| verdict.well) {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let lines = verdicts.iter().map(|verdict| {
        // A line stays one, whatever a peer has said.
        let words = verdict.words.replace(['\n', '\r'], " ");
        format!("{} {words}\n", verdict.database)
    });
    respond(status, PLAIN, lines.collect())
}

fn respond(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
