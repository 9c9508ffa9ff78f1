//! Writes inputs for the fuzzers to begin with, made of this repository's test data, to a folder:
//! `cargo run -p ovsdb-fuzzing --example seeds -- fuzz/corpus`.

mod following;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ovsdb::{Schema, Uuid};
use ovsdb_cluster::file::{ClusterFile, Contents, Founding, Identity, Position};
use ovsdb_engine::Version;
use ovsdb_log::testing::{SimulatedDisk, Writeback};
use ovsdb_log::{Lock, Magic, RecordBuffer};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const SCHEMA: &str = include_str!("../../src/schema.json");

/// Inputs by fuzzer.
#[derive(Default)]
struct Seeds(BTreeMap<&'static str, Vec<Vec<u8>>>);

impl Seeds {
    fn add(&mut self, target: &'static str, flags: Option<u8>, text: impl AsRef<[u8]>) {
        let mut input: Vec<u8> = flags.into_iter().collect();
        input.extend_from_slice(text.as_ref());
        self.0.entry(target).or_default().push(input);
    }
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

fn texts(folder: &str) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(repository(folder))? {
        paths.push(entry?.path());
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| Ok(fs::read_to_string(path)?))
        .collect()
}

/// The engine's stories: their commands, with their input in one line each.
fn commands(story: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let mut lines = story.lines();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let input = lines.by_ref().take_while(|line| *line != "----");
        let input = input.map(str::to_owned).collect();
        lines
            .by_ref()
            .take_while(|line| !line.is_empty())
            .for_each(drop);
        found.push((line.to_owned(), input));
    }
    found
}

fn stories(seeds: &mut Seeds) -> Result<()> {
    for story in texts("crates/engine/testdata")? {
        let mut transactions = Vec::new();
        for (command, input) in commands(&story) {
            match command.split(' ').next().unwrap_or_default() {
                "schema" | "convert" => seeds.add("schemas", None, input.concat()),
                "transact" => {
                    let params = format!("[\"D\",{}]", input.join(","));
                    transactions.push(params.clone());
                    let request =
                        format!("{{\"method\":\"transact\",\"params\":{params},\"id\":1}}");
                    seeds.add("frames", Some(7), request);
                }
                "monitor" => seeds.add("monitors", Some(1), input.concat()),
                _ => {}
            }
        }
        for some in transactions.chunks(4) {
            seeds.add("transactions", Some(0), some.join("\n"));
        }
    }
    Ok(())
}

fn conversations(seeds: &mut Seeds) -> Result<()> {
    for conversation in texts("crates/server/tests/testdata")? {
        let said = conversation
            .lines()
            .filter_map(|line| line.get(1..)?.strip_prefix("> "));
        let said: Vec<&str> = said.collect();
        for some in said.chunks(5) {
            seeds.add("sessions", Some(0), some.concat());
            seeds.add("frames", Some(3), some.concat());
        }
    }
    Ok(())
}

/// By hand, for the schema of the fuzzers.
fn own(seeds: &mut Seeds) {
    let operations = [
        r#"{"op":"insert","table":"A","uuid-name":"x","row":{"s":"new","i":7,"few":["set",[3]],"reals":["set",[1.5,2]]}}"#,
        r#"{"op":"insert","table":"B","uuid-name":"y","row":{"n":2,"next":["named-uuid","z"]}},{"op":"insert","table":"B","uuid-name":"z","row":{}},{"op":"insert","table":"C","row":{"strong":["named-uuid","y"]}}"#,
        r#"{"op":"update","table":"A","where":[["i","<",2]],"row":{"s":"x","r":2.5,"scratch":"s"}}"#,
        r#"{"op":"mutate","table":"A","where":[["tags","includes",["map",[["k","v"]]]]],"mutations":[["i","+=",1],["r","*=",2],["few","insert",["set",[9]]],["tags","delete",["set",["k"]]]]}"#,
        r#"{"op":"delete","table":"A","where":[["s","==","one"]]}"#,
        r#"{"op":"delete","table":"C","where":[]}"#,
        r#"{"op":"select","table":"A","where":[["b","!=",true]],"columns":["s","i"],"sort":["r"]}"#,
        r#"{"op":"wait","table":"A","where":[],"columns":["i"],"until":"!=","rows":[{"i":1}],"timeout":5}"#,
        r#"{"op":"assert","lock":"mine"},{"op":"comment","comment":"c"},{"op":"commit","durable":true}"#,
        r#"{"op":"abort"}"#,
        r#"{"op":"mutate","table":"C","where":[],"mutations":[["both","delete",["set",[["uuid","00000000-0000-4000-8000-00000000000a"]]]]]}"#,
        r#"{"op":"update","table":"RBAC_Role","where":[],"row":{"permissions":["map",[]]}}"#,
    ];
    for (place, operation) in operations.iter().enumerate() {
        let next = operations[(place + 5) % operations.len()];
        for flags in 0..4 {
            let text = format!("[\"D\",{operation}]\n[\"D\",{next},{operation}]");
            seeds.add("transactions", Some(flags), text);
        }
        let monitors = [
            r#"{"A":{}}"#,
            r#"{"A":[{"columns":["i","tags"],"where":[["i",">",1],["b","==",true]],"select":{"initial":false}}],"C":{}}"#,
            r#"{"A":[{"columns":["s"]},{"columns":["few"],"select":{"delete":false}}],"B":[{"where":[false]}]}"#,
        ];
        let monitor = monitors[place % 3];
        let text = format!(
            "{monitor}\n{{\"A\":[{{\"where\":[[\"s\",\"!=\",\"one\"]]}}]}}\n[\"D\",{operation}]\n[\"D\",{next}]"
        );
        seeds.add("monitors", Some(u8::try_from(place).unwrap_or(0)), text);
        let requests = format!(
            r#"{{"method":"monitor_cond_since","params":["D","m",{monitor},"00000000-0000-0000-0000-000000000000"],"id":1}}{{"method":"transact","params":["D",{operation}],"id":2}}{{"method":"monitor_cond_change","params":["m","n",{{"A":[{{"where":[]}}]}}],"id":3}}{{"method":"convert","params":["D",{SCHEMA}],"id":4}}{{"method":"cancel","params":[2],"id":null}}{{"method":"echo","params":[{{}}],"id":"e"}}"#
        );
        seeds.add(
            "sessions",
            Some(u8::try_from(place % 4).unwrap_or(0)),
            requests,
        );
    }
    for configuration in CONFIGURATIONS {
        seeds.add("config_files", None, configuration);
    }
    seeds.add("schemas", None, SCHEMA);
    seeds.add(
        "schemas",
        None,
        SCHEMA
            .replace("\"maxRows\":6,", "")
            .replace("real", "integer"),
    );
    for (method, params) in [
        ("list-commands", r#"[]"#),
        ("version", r#"[]"#),
        ("vlog/set", r#"["console:off","jsonrpc:file:dbg"]"#),
        ("vlog/set", r#"["pattern:console:%m","ANY:syslog:err"]"#),
        ("vlog/list", r#"[]"#),
        ("vlog/list-pattern", r#"[]"#),
        ("vlog/reopen", r#"[]"#),
        ("cluster/status", r#"["D"]"#),
        ("cluster/kick", r#"["D","tcp:[::1]:6647"]"#),
        ("cluster/change-election-timer", r#"["D","1000"]"#),
        ("cluster/set-backlog-threshold", r#"["D","1","2"]"#),
        (
            "cluster/failure-test",
            r#"["crash-before-sending-append-request"]"#,
        ),
        (
            "remotes",
            r#"["ptcp:6641:[::]","pssl:","punix:a","tcp:[fe80::1%2]:1","ssl:host:2"]"#,
        ),
        ("none", r#"[1]"#),
    ] {
        let text = format!(r#"{{"method":"{method}","params":{params},"id":7}}"#);
        seeds.add("control_requests", None, text);
    }
}

const CONFIGURATIONS: [&str; 5] = [
    r#"{"remotes":{"punix:a":null,"pssl:6640:[::]":{"inactivity-probe":0,"max-backoff":2000,"dscp":7,"read-only":true,"role":"r"},"db:D,T,c":{}}}"#,
    r#"{"databases":{"a.db":null,"b.db":{"service-model":"standalone"},"c.db":{"service-model":"clustered"}}}"#,
    r#"{"databases":{"R":{"service-model":"relay","source":{"tcp:[::1]:1,unix:b":{"inactivity-probe":-1}}}}}"#,
    r#"{"databases":{"d":{"service-model":"active-backup","backup":true,"exclude-tables":["T","U"],"source":{"unix:x":null}}}}"#,
    r#"{"sync_from":"unix:x","sync_exclude":"T,U","is_backup":true,"remotes":{"ptcp:1":{"x":1}},"databases":{"d":{"service-model":"active-backup","backup":false}}}"#,
];

const RECORDS: &str = r#"{"_date":1,"_comment":"c","_is_diff":true,"A":{"00000000-0000-4000-8000-00000000000a":{"s":"one","i":1,"few":["set",[1,2]]}}}
{"_date":2,"_is_diff":true,"A":{"00000000-0000-4000-8000-00000000000a":{"few":["set",[2,3]]},"00000000-0000-4000-8000-00000000000b":{"s":"two"}}}
{"A":{"00000000-0000-4000-8000-00000000000a":null,"00000000-0000-4000-8000-00000000000b":{"s":"2","tags":["map",[["a","b"]]]}}}"#;

fn files(seeds: &mut Seeds) -> Result<()> {
    let one_line = SCHEMA.replace('\n', "");
    let lines = format!("{one_line}\n{RECORDS}");
    for flags in [1, 3] {
        seeds.add("standalone_files", Some(flags), &lines);
        seeds.add("standalone_files", Some(flags), &one_line);
    }
    let mut records = RecordBuffer::new(Magic::Json);
    for line in lines.lines() {
        records.record(|out| out.extend_from_slice(line.as_bytes()));
    }
    seeds.add("standalone_files", Some(0), records.as_bytes());
    let version = Version::empty(Arc::new(Schema::from_text(SCHEMA.as_bytes())?));
    let id = Uuid::from_u128;
    let founding = Founding {
        behind: Position::default(),
        server_id: id(1),
        cluster_id: id(2),
        eid: id(3),
        local_address: "tcp:127.0.0.1:6647".to_owned(),
        election_timer: Some(1000),
        date: 0,
        comment: None,
    };
    let identity = Identity {
        server_id: id(1),
        cluster_id: None,
        name: "D".to_owned(),
        local_address: "ssl:[::1]:6647".to_owned(),
    };
    let remotes = vec!["tcp:127.0.0.1:6648".to_owned()];
    for contents in [
        Contents::new_cluster(founding, &version)?,
        Contents::joining(identity, remotes)?,
    ] {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("db");
        let disk = SimulatedDisk::new(0, Writeback::InOrder);
        let file = ClusterFile::create(disk.mount(), Lock::acquire(&path)?, &contents)?;
        drop(file);
        let bytes = disk.read(&path).unwrap_or_default();
        seeds.add("clustered_files", Some(0), &bytes);
        let text = String::from_utf8(bytes)?;
        let texts = text.lines().filter(|line| !line.starts_with("OVSDB "));
        let mut lines: Vec<&str> = texts.collect();
        let more = [
            r#"{"term":2}"#.to_owned(),
            format!(r#"{{"term":2,"vote":"{}"}}"#, id(1)),
            format!(r#"{{"term":2,"leader":"{}","comment":"c"}}"#, id(1)),
            format!(
                r#"{{"term":2,"index":3,"eid":"{}","data":[null,{}]}}"#,
                id(4),
                RECORDS.lines().next().unwrap_or_default()
            ),
            format!(
                r#"{{"term":2,"index":4,"eid":"{}","data":[{one_line},null]}}"#,
                id(5)
            ),
            r#"{"term":2,"index":5,"election_timer":2000}"#.to_owned(),
            format!(
                r#"{{"term":2,"index":6,"servers":{{"{}":"tcp:127.0.0.1:6647","{}":"tcp:127.0.0.1:6648"}}}}"#,
                id(1),
                id(6)
            ),
            r#"{"commit_index":6}"#.to_owned(),
            r#"{"note":"left"}"#.to_owned(),
        ];
        for count in [0, 4, more.len()] {
            let from = lines.len();
            lines.extend(more[..count].iter().map(String::as_str));
            seeds.add("clustered_files", Some(1), lines.join("\n"));
            lines.truncate(from);
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).ok_or("the folder for the inputs")?;
    let mut seeds = Seeds::default();
    stories(&mut seeds)?;
    conversations(&mut seeds)?;
    own(&mut seeds);
    files(&mut seeds)?;
    following::updates(&mut seeds)?;
    following::upstream(&mut seeds)?;
    following::passed_on(&mut seeds)?;
    for line in fs::read_to_string(repository("crates/cluster/tests/wire/captured.jsonl"))?.lines()
    {
        seeds.add("raft_messages", None, line);
    }
    for schema in texts("schemas")? {
        seeds.add("schemas", None, schema);
    }
    for (target, inputs) in seeds.0 {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder)?;
        for (place, input) in inputs.iter().enumerate() {
            fs::write(folder.join(format!("seed-{place}")), input)?;
        }
    }
    Ok(())
}
