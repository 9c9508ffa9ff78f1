use super::*;
use ovsdb::json::Document;

const NAME: &str = "D";
const SCHEMA: &str =
    r#"{"name":"D","version":"1.0.0","tables":{"T":{"columns":{"n":{"type":"integer"}}}}}"#;
const SERVER: &str = r#"{"name":"_Server","version":"1.2.0","tables":{"Database":{"columns":{
    "name":{"type":"string"},"model":{"type":"string"},"connected":{"type":"boolean"},
    "leader":{"type":"boolean"},"schema":{"type":{"key":"string","min":0,"max":1}},
    "cid":{"type":{"key":"uuid","min":0,"max":1}},"index":{"type":{"key":"integer","min":0,"max":1}}}}}}"#;
const ID: &str = "00000000-0000-0000-0000-000000000005";

/// Notes what it hears.
#[derive(Default)]
struct Notes {
    heard: Vec<String>,
    wishes: Vec<&'static str>,
}

impl Sink for Notes {
    fn begin(&mut self, schema: &Arc<Schema>, first: First<'_>) -> Result<(), Error> {
        let First {
            updates,
            since,
            id,
            form,
        } = first;
        let id = id.as_u128();
        let version = &schema.version;
        self.heard
            .push(format!("begin {version} {since} {id} {form:?} {updates:?}"));
        Ok(())
    }

    fn update(&mut self, updates: Json<'_>, form: Form, id: Uuid) -> Result<(), Error> {
        if updates.is_empty() {
            return Err(Error::new(ovsdb::Tag::OvsdbError, "does not fit"));
        }
        let id = id.as_u128();
        self.heard.push(format!("update {id} {form:?} {updates:?}"));
        Ok(())
    }

    fn answered(&mut self, number: u64, answer: Result<Json<'_>, Json<'_>>) {
        self.heard.push(format!("answered {number} {answer:?}"));
    }

    fn send(&mut self, requests: &mut Requests, out: &mut Outgoing) {
        for wish in self.wishes.drain(..) {
            requests.send(out, "transact", wish.as_bytes());
        }
    }

    fn paused(&mut self) {
        self.heard.push("paused".to_owned());
    }

    fn lost(&mut self) {
        self.heard.push("lost".to_owned());
    }

    fn missed(&mut self) {}
}

/// A conversation, and the socket on whose other side it is heard.
struct Play {
    conversation: Conversation<Notes>,
    ours: crate::stream::Stream,
    theirs: std::os::unix::net::UnixStream,
    out: Outgoing,
}

impl Play {
    fn start() -> Play {
        Play::with("tcp:1.2.3.4:1,tcp:1.2.3.4:2")
    }

    fn with(remotes: &str) -> Play {
        let remotes = Remotes::parse(remotes, std::path::Path::new("/"));
        let (ours, theirs) = tokio::net::UnixStream::pair().expect("sockets");
        let theirs = theirs.into_std().expect("socket");
        theirs.set_nonblocking(true).expect("socket");
        let mut play = Play {
            conversation: Conversation::new(NAME, &remotes, false, Notes::default()),
            ours: crate::stream::Stream::Unix(ours),
            theirs,
            out: Outgoing::default(),
        };
        play.conversation.begin(&mut play.out);
        play
    }

    /// Everything that was sent, without the ids.
    fn said(&mut self) -> Vec<String> {
        use std::io::Read as _;
        self.conversation.look(&mut self.out).expect("goes on");
        self.out.send(&self.ours).expect("sent");
        let mut said = vec![0; 64 << 10];
        let count = self.theirs.read(&mut said).unwrap_or(0);
        let said = String::from_utf8_lossy(&said[..count]).into_owned();
        let messages = said.split("{\"id\":").skip(1);
        messages
            .map(|message| {
                let (_, rest) = message.split_once(',').expect("more");
                rest.trim_end_matches('}').replace("\"method\":", "")
            })
            .collect()
    }

    fn hear(&mut self, text: &str) -> Result<(), Leave> {
        let document = Document::parse(text).expect("JSON");
        let message = Message::parse(document.root()).expect("message");
        self.conversation.hear(&message, &mut self.out)
    }

    /// The present request is answered.
    fn answer(&mut self, result: &str) -> Result<(), Leave> {
        let id = self.conversation.pending.expect("a request");
        self.hear(&format!(r#"{{"id":{id},"result":{result},"error":null}}"#))
    }

    fn refuse(&mut self) -> Result<(), Leave> {
        let id = self.conversation.pending.expect("a request");
        self.hear(&format!(r#"{{"id":{id},"result":null,"error":"no"}}"#))
    }

    fn row(model: &str, connected: bool) -> String {
        format!(
            r#"{{"Database":{{"{ID}":{{"initial":{{"name":"D","model":"{model}","connected":{connected},"index":7,"schema":"old"}}}}}}}}"#
        )
    }

    fn follow(&mut self, since: bool, id: u64, contents: &str) {
        self.answer(SERVER).expect("schema");
        self.answer(&Play::row("clustered", true)).expect("row");
        self.answer(SCHEMA).expect("schema");
        let id = Uuid::from_u128(id.into());
        self.answer(&format!(r#"[{since},"{id}",{contents}]"#))
            .expect("contents");
    }

    fn heard(&mut self) -> Vec<String> {
        std::mem::take(&mut self.conversation.sink.heard)
    }
}

#[tokio::test]
async fn contents_and_changes_come_and_requests_go() {
    let mut play = Play::start();
    play.conversation.sink.wishes.push(r#"["D"]"#);
    assert_eq!(play.said(), [r#""get_schema","params":["_Server"]"#]);
    play.follow(false, 3, "{}");
    let said = play.said();
    assert_eq!(said[0], r#""set_db_change_aware","params":[true]"#);
    assert!(said[1].starts_with(r#""monitor_cond","params":["_Server",["monid","_Server"]"#));
    let nil = "00000000-0000-0000-0000-000000000000";
    assert_eq!(said[2], r#""get_schema","params":["D"]"#);
    let contents =
        format!(r#""monitor_cond_since","params":["D",["monid","D"],{{"T":[{{}}]}},"{nil}"]"#);
    assert_eq!(said[3], contents);
    assert_eq!(said[4], r#""transact","params":["D"]"#);
    play.hear(&format!(
        r#"{{"id":null,"method":"update3","params":[["monid","D"],"{ID}",{{"T":{{}}}}]}}"#
    ))
    .expect("update");
    play.hear(r#"{"id":6,"result":[],"error":null}"#)
        .expect("answer");
    assert_eq!(
        play.heard(),
        [
            "begin 1.0.0 false 3 Differences {}",
            "update 5 Differences {\"T\":{}}",
            "answered 6 Ok([])"
        ]
    );
    // The next connection asks for what came since.
    play.conversation.end();
    play.conversation.begin(&mut play.out);
    assert_eq!(play.heard(), ["lost"]);
    play.follow(true, 9, "{}");
    assert!(play.said().iter().any(|said| said.contains(ID)));
    assert_eq!(play.heard(), ["begin 1.0.0 true 9 Differences {}"]);
}

#[tokio::test]
async fn older_servers_are_asked_in_older_ways() {
    let mut play = Play::start();
    play.refuse().expect("goes on");
    play.answer(SCHEMA).expect("schema");
    play.refuse().expect("goes on");
    play.answer(r#"{"T":{}}"#).expect("contents");
    let said = play.said();
    let methods: Vec<_> = said
        .iter()
        .filter_map(|said| said.split('"').nth(1))
        .collect();
    let wanted = ["get_schema", "get_schema", "monitor_cond", "monitor"];
    assert_eq!(methods, wanted);
    assert_eq!(play.heard(), ["begin 1.0.0 false 0 Values {\"T\":{}}"]);
    let refused = {
        let mut play = Play::start();
        play.refuse().expect("goes on");
        play.refuse()
    };
    assert!(matches!(refused, Err(Leave::Later(_))));
}

#[tokio::test]
async fn a_server_of_no_use_is_left() {
    let mut play = Play::start();
    play.answer(SERVER).expect("schema");
    let left = play.answer(&Play::row("clustered", false));
    assert!(matches!(left, Err(Leave::Later(why)) if why.contains("disconnected")));
    let mut play = Play::start();
    play.follow(false, 0, "{}");
    let lost = format!(
        r#"{{"id":null,"method":"update2","params":[["monid","_Server"],{{"Database":{{"{ID}":{{"modify":{{"connected":false}}}}}}}}]}}"#
    );
    assert!(matches!(play.hear(&lost), Err(Leave::AtOnce(_))));
    // Another member must not be behind the first one.
    play.conversation.begin(&mut play.out);
    play.answer(SERVER).expect("schema");
    let row = Play::row("clustered", true).replace("\"index\":7", "\"index\":6");
    assert!(matches!(play.answer(&row), Err(Leave::Later(why)) if why.contains("stale")));
}

#[tokio::test]
async fn another_schema_is_asked_for_with_its_contents() {
    let mut play = Play::start();
    play.follow(false, 3, "{}");
    play.said();
    play.hear(r#"{"id":null,"method":"monitor_canceled","params":[["monid","D"]]}"#)
        .expect("goes on");
    play.answer(SERVER).expect("schema");
    play.answer(&Play::row("clustered", true)).expect("row");
    play.answer(&SCHEMA.replace("1.0.0", "2.0.0"))
        .expect("schema");
    let said = play.said();
    assert_eq!(
        said[0],
        r#""monitor_cancel","params":[["monid","_Server"]]"#
    );
    let all = said
        .iter()
        .any(|said| said.contains("00000000-0000-0000-0000-000000000000"));
    assert!(all, "{said:?}");
    play.answer(&format!(r#"[false,"{ID}",{{}}]"#))
        .expect("contents");
    let heard = play.heard();
    assert_eq!(heard[1..], ["paused", "begin 2.0.0 false 5 Differences {}"]);
}

#[tokio::test]
async fn after_what_does_not_fit_all_is_asked_for() {
    let mut play = Play::start();
    play.follow(false, 3, "{}");
    let wrong = format!(r#"{{"id":null,"method":"update3","params":[["monid","D"],"{ID}",{{}}]}}"#);
    assert!(matches!(play.hear(&wrong), Err(Leave::Later(_))));
    assert_eq!(play.conversation.last, None);
    let short = r#"{"id":null,"method":"update3","params":[["monid","D"]]}"#;
    assert!(matches!(play.hear(short), Err(Leave::Later(_))));
}

#[tokio::test]
async fn the_only_server_is_waited_for() {
    let mut play = Play::with("tcp:1.2.3.4:1");
    play.answer(SERVER).expect("schema");
    play.answer(&Play::row("relay", false)).expect("waits");
    play.said();
    let update = |change: &str| {
        format!(
            r#"{{"id":null,"method":"update2","params":[["monid","_Server"],{{"Database":{{"{ID}":{{"modify":{{{change}}}}}}}}}]}}"#
        )
    };
    play.hear(&update(r#""index":8"#)).expect("waits");
    assert!(play.said().is_empty());
    play.hear(&update(r#""connected":true"#)).expect("goes on");
    assert_eq!(play.said(), [r#""get_schema","params":["D"]"#]);
}
