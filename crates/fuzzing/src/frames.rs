//! A stream of bytes, cut into JSON-RPC messages as sessions, control sockets and members do it.

use ovsdb::json::{Document, Json, Scanner};
use ovsdb::message::Message;

/// The first byte says in how large pieces the others come. However they come, the same messages
/// are found in them.
pub fn run(data: &[u8]) {
    let Some((size, stream)) = data.split_first() else {
        return;
    };
    let whole = messages(stream, stream.len().max(1));
    assert_eq!(whole, messages(stream, usize::from(*size).max(1)));
}

/// The messages in a stream, and what is wrong with it behind them.
fn messages(stream: &[u8], size: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut scanner = Scanner::new();
    let mut input = Vec::new();
    for piece in stream.chunks(size) {
        input.extend_from_slice(piece);
        loop {
            let length = match scanner.scan(&input) {
                Ok(Some(length)) => length,
                Ok(None) => break,
                Err(error) => {
                    found.push(error.to_string());
                    return found;
                }
            };
            let text: Vec<u8> = input.drain(..length).collect();
            let document = Document::from_scanned(&mut scanner, text).expect("scanned");
            found.push(describe(document.root()));
        }
    }
    found
}

/// The message, after a look at everything in it.
fn describe(json: Json<'_>) -> String {
    let canonical = json.canonical();
    // A real of 15 digits may read back as an integer, but no more than once.
    let again = printed_again(&canonical);
    assert_eq!(printed_again(&again), again);
    visit(json);
    let message = match Message::parse(json) {
        Ok(Message::Request { method, params, id }) => {
            format!("{method}{}{}", params.canonical(), id.canonical())
        }
        Ok(Message::Notification { method, params }) => format!("{method}{}", params.canonical()),
        Ok(Message::Reply { id, result, error }) => {
            let text = |json: Option<Json<'_>>| json.map(Json::canonical);
            format!("{}{:?}{:?}", id.canonical(), text(result), text(error))
        }
        Err(why) => why,
    };
    format!("{canonical} {message}")
}

/// Reads every value in every way.
fn visit(json: Json<'_>) {
    let mut rest = vec![json];
    while let Some(json) = rest.pop() {
        assert_eq!(json.len(), json.elements().count() + json.members().count());
        let _ = (json.string(), json.number(), json.integer(), json.boolean());
        rest.extend(json.elements());
        for (name, value) in json.members() {
            assert!(name.string().is_some(), "a name is a string");
            rest.push(value);
        }
    }
}

fn printed_again(text: &str) -> String {
    let document = Document::parse(text.as_bytes()).expect("what is printed is JSON");
    document.root().canonical()
}
