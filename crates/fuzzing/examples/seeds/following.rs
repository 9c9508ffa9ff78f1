//! What other servers say: to who follows their database, and to each other in a cluster.

use std::sync::Arc;

use ovsdb::json::Document;
use ovsdb::{Schema, Uuid};
use ovsdb_engine::monitor::Format;
use ovsdb_engine::{Context, Monitor, Outcome, Transaction, Version};

use super::{Result, SCHEMA, Seeds};

const STEPS: [&str; 5] = [
    r#"["D",{"op":"insert","table":"A","uuid-name":"a","row":{"s":"one","i":1,"r":1.5,"tags":["map",[["k","v"]]],"few":["set",[1,2]]}},{"op":"insert","table":"B","uuid-name":"b","row":{"n":1}},{"op":"insert","table":"C","row":{"strong":["named-uuid","b"],"both":["map",[[["named-uuid","a"],["named-uuid","b"]]]]}}]"#,
    r#"["D",{"op":"insert","table":"A","row":{"s":"two","e":"red","reals":["set",[0.5,2]],"pairs":["map",[[1,true]]]}}]"#,
    r#"["D",{"op":"mutate","table":"A","where":[["s","==","one"]],"mutations":[["few","insert",["set",[3]]],["tags","insert",["map",[["l","w"]]]],["i","+=",4]]}]"#,
    r#"["D",{"op":"update","table":"C","where":[],"row":{"both":["map",[]]}},{"op":"delete","table":"A","where":[["s","==","one"]]}]"#,
    r#"["D",{"op":"delete","table":"C","where":[]}]"#,
];

const SERVER: &str = r#"{"name":"_Server","version":"1.2.0","tables":{"Database":{"columns":{"name":{"type":"string"},"model":{"type":"string"},"connected":{"type":"boolean"},"leader":{"type":"boolean"},"schema":{"type":{"key":"string","min":0,"max":1}},"cid":{"type":{"key":"uuid","min":0,"max":1}},"index":{"type":{"key":"integer","min":0,"max":1}}}}}}"#;

const ROW: &str = "00000000-0000-4000-8000-000000000001";

/// What a server tells of a database, from the first contents on, in one form.
struct Told {
    first: String,
    updates: Vec<String>,
}

fn told(format: Format) -> Result<Told> {
    let schema = Arc::new(Schema::from_text(SCHEMA.as_bytes())?);
    let all = Document::parse(r#"{"A":{},"B":{},"C":{},"P":{},"RBAC_Role":{}}"#)?;
    let monitor = Monitor::parse(all.root(), format, &schema).map_err(|error| error.to_string())?;
    let mut version = Version::empty(schema);
    let mut count = 0;
    let mut draw = || {
        count += 1;
        Uuid::from_u128(count)
    };
    let mut told = Told {
        first: String::new(),
        updates: Vec::new(),
    };
    for (place, step) in STEPS.iter().enumerate() {
        let document = Document::parse(*step)?;
        let transaction = Transaction::parse(document.root(), version.schema(), &mut draw);
        let mut context = Context {
            read_only: false,
            role: None,
            elapsed: 0,
            owns_lock: &|_| true,
            new_uuid: &mut draw,
        };
        let Outcome::Done {
            version: next,
            changes,
            failure: None,
            ..
        } = transaction.execute(&version, &mut context)
        else {
            return Err(format!("step {place} fails").into());
        };
        version = next;
        match place {
            0 => told.first = String::from_utf8(monitor.initial(&version))?,
            _ => {
                let update = monitor.update(&changes).ok_or("nothing has changed")?;
                told.updates.push(String::from_utf8(update)?);
            }
        }
    }
    Ok(told)
}

pub(super) fn updates(seeds: &mut Seeds) -> Result<()> {
    for (format, flag) in [(Format::Update, 0), (Format::Update3, 1)] {
        let Told { first, updates } = told(format)?;
        let story = format!("{first}\n{}", updates.join("\n"));
        seeds.add("updates", Some(2 | flag), &story);
        seeds.add(
            "updates",
            Some(2 | 4 | flag),
            format!("{first}\n{first}\n{{}}"),
        );
        seeds.add("updates", Some(4 | 8 | flag), format!("{first}\n{{}}"));
        seeds.add("updates", Some(2 | flag), format!("{first}\n{}", STEPS[1]));
    }
    seeds.add("updates", Some(0), STEPS[1..4].join("\n"));
    seeds.add(
        "updates",
        Some(0),
        r#"{"A":{"00000000-0000-4000-8000-00000000000a":{"old":{"i":1},"new":{"s":"one","i":3}},"00000000-0000-4000-8000-00000000000b":{"old":{}}}}"#,
    );
    seeds.add(
        "updates",
        Some(1),
        r#"{"A":{"00000000-0000-4000-8000-00000000000a":{"modify":{"few":["set",[2,3]],"tags":["map",[["k","v"],["l","w"]]]}},"00000000-0000-4000-8000-00000000000b":{"delete":null}}}"#,
    );
    Ok(())
}

/// The part of a conversation that comes from the other side, as `upstream` reads it.
pub(super) fn upstream(seeds: &mut Seeds) -> Result<()> {
    let schema = SCHEMA.replace('\n', "");
    let row =
        |kind: &str, more: &str| format!(r#"{{"Database":{{"{ROW}":{{"{kind}":{{{more}}}}}}}}}"#);
    let status =
        r#""name":"D","model":"clustered","connected":true,"leader":true,"index":7,"schema":"x""#;
    let ways = [
        (Format::Update3, "update3"),
        (Format::Update2, "update2"),
        (Format::Update, "update"),
    ];
    for (place, (format, method)) in ways.into_iter().enumerate() {
        let Told { first, updates } = told(format)?;
        let (id, contents) = match format {
            Format::Update3 => (
                format!(r#","{}""#, Uuid::from_u128(9)),
                format!(r#"=[false,"{}",{first}]"#, Uuid::from_u128(8)),
            ),
            _ => (String::new(), format!("={first}")),
        };
        let updates: Vec<_> = updates
            .iter()
            .map(|update| {
                format!(
                    r#"{{"method":"{method}","params":[["monid","D"]{id},{update}],"id":null}}"#
                )
            })
            .collect();
        let mut said = vec![format!("={SERVER}"), format!("={}", row("initial", status))];
        said.push(format!("={schema}"));
        // Older servers do not know the newer methods.
        said.extend(vec!["!\"unknown method\"".to_owned(); place]);
        said.push(contents);
        let follows = said.clone();
        said.extend(updates);
        seeds.add("upstream", Some(0), said.join("\n"));
        let lost = format!(
            r#"{{"method":"update2","params":[["monid","_Server"],{}],"id":null}}"#,
            row("modify", r#""connected":false"#)
        );
        let canceled = r#"{"method":"monitor_canceled","params":[["monid","D"]],"id":null}"#;
        for end in [&*lost, canceled, "-"] {
            let mut said = follows.clone();
            said.push(r#"t["D",{"op":"delete","table":"C","where":[]}]"#.to_owned());
            said.push(end.to_owned());
            said.push(r#"r[{"count":1}]"#.to_owned());
            said.push(r#"t["D",{"op":"wait","table":"A","timeout":9,"where":[],"columns":["i"],"until":"==","rows":[]}]"#.to_owned());
            said.push("-".to_owned());
            said.extend(follows.iter().cloned());
            said.push(r#"e"canceled""#.to_owned());
            seeds.add("upstream", Some(2), said.join("\n"));
        }
    }
    let Told { first, updates } = told(Format::Update)?;
    let mut said = vec![format!("=\"{ROW}\""), "=[\"_Server\",\"D\"]".to_owned()];
    said.push(format!("={schema}"));
    said.push(format!("={first}"));
    for update in updates {
        said.push(format!(
            r#"{{"method":"update","params":["D",{update}],"id":null}}"#
        ));
    }
    for flags in [1, 5] {
        seeds.add("upstream", Some(flags), said.join("\n"));
    }
    seeds.add(
        "upstream",
        Some(1),
        format!("{}\n-\n!\"no\"", said[..3].join("\n")),
    );
    Ok(())
}

/// Transactions that members pass on.
pub(super) fn passed_on(seeds: &mut Seeds) -> Result<()> {
    let id = |n| Uuid::from_u128(n);
    let one =
        |number: u64, limits: &str| format!(r#"[{number},"{}",2,{limits}{}]"#, id(8), STEPS[1]);
    let message = |kind: &str, term: u64, answered: u64, all: &[String]| {
        let incarnation = id(7);
        format!(
            r#"{kind}["{incarnation}",{term},{answered},[{}]]"#,
            all.join(",")
        )
    };
    let lines = [
        message("a", 1, 1, &[one(1, ""), one(2, "[true],")]),
        message(
            "b",
            1,
            1,
            &[
                one(1, r#"[false,"role"],"#),
                one(2, r#"[false,"role","one"],"#),
            ],
        ),
        message("a", 1, 2, &[one(2, ""), one(3, "")]),
        message("a", 2, 3, &[one(3, "")]),
    ];
    seeds.add("passed_on", None, lines.join("\n"));
    let asked = [
        format!("j{}", STEPS[1]),
        format!("j{}", STEPS[4]),
        r#"j["D",{"op":"assert","lock":"other"}]"#.to_owned(),
        "s".to_owned(),
    ];
    let answers = format!(r#"r["{}",1,[[1,2,[{{}}]],[2,3,null]]]"#, id(7));
    for answered in [
        vec!["q", "n9"],
        vec!["c", "s", "q", "n1", "n9"],
        vec!["i1", "t2", "s", "q", "n9"],
        vec!["f", "jj", "s", "q", "c", "s", "q", "n9"],
        vec!["t3", "s", "q", "l", "n9"],
        vec![&answers, "n2", "n3"],
    ] {
        let mut lines: Vec<&str> = asked.iter().map(String::as_str).collect();
        lines.extend(answered);
        seeds.add("passed_on", None, lines.join("\n"));
    }
    let wish = format!("w[\"{}\",{}]", id(7), SCHEMA.replace('\n', ""));
    seeds.add("passed_on", None, format!("{wish}\nv[\"{}\",true]", id(7)));
    Ok(())
}
