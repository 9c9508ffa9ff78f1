use super::*;
use ovsdb_server::log_control::{self, LogControl};
use std::fs;

const NB: Option<Side> = Some(Side::Northbound);
const SB: Option<Side> = Some(Side::Southbound);

#[test]
fn each_database_has_its_lines_and_files_can_be_rotated() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let (nb, sb) = (folder.path().join("nb.log"), folder.path().join("sb.log"));
    let (logging, subscriber) =
        Logging::build((LevelFilter::OFF, LevelFilter::INFO), Shape::Text, true);
    tracing::subscriber::with_default(subscriber, || -> io::Result<()> {
        logging.open(NB, &nb)?;
        logging.open(SB, &sb)?;
        tracing::info!(db = "nb", rows = 3, "north");
        tracing::info!(db = "sb", "south");
        tracing::warn!("two\nlines");
        tracing::debug!("hidden");
        let control = logging.of_side(NB);
        assert_eq!(log_control::set(&control, "vlog:file:dbg"), Ok(()));
        tracing::debug!("shown");
        fs::rename(&nb, folder.path().join("nb.log.1"))?;
        control.reopen().expect("a file")?;
        tracing::info!("after");
        logging.close(SB);
        tracing::info!("only north");
        Ok(())
    })?;
    let old = fs::read_to_string(folder.path().join("nb.log.1"))?;
    assert!(old.contains("|vlog|INFO|north rows=3\n"), "{old}");
    assert!(old.contains("|WARN|two\\nlines\n"), "{old}");
    assert!(old.contains("shown") && !old.contains("south") && !old.contains("hidden"));
    let new = fs::read_to_string(&nb)?;
    assert_eq!(new.lines().count(), 3, "{new}");
    let south = fs::read_to_string(&sb)?;
    assert!(south.contains("south") && !south.contains("north") && !south.contains("shown"));
    Ok(())
}

#[test]
fn without_sides_one_file_has_all() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("all.log");
    let (logging, subscriber) =
        Logging::build((LevelFilter::OFF, LevelFilter::INFO), Shape::Text, false);
    assert!(logging.of_side(None).reopen().is_none());
    tracing::subscriber::with_default(subscriber, || -> io::Result<()> {
        logging.open(None, &path)?;
        tracing::info!(db = "nb", "north");
        tracing::info!(db = "sb", "south");
        Ok(())
    })?;
    let text = fs::read_to_string(&path)?;
    assert_eq!(text.lines().count(), 3, "{text}");
    let first = text.lines().next().unwrap_or_default();
    // 2026-01-31T12:00:00.123Z|00001|vlog|INFO|opened log file ...
    let parts: Vec<&str> = first.splitn(5, '|').collect();
    assert_eq!((parts[0].len(), parts[1]), (24, "00001"), "{first}");
    Ok(())
}

#[test]
fn a_log_file_that_cannot_be_opened_does_not_matter() {
    let (logging, subscriber) =
        Logging::build((LevelFilter::OFF, LevelFilter::INFO), Shape::Text, true);
    let nowhere = Path::new("/proc/no/such/folder/file.log");
    assert!(logging.open(NB, nowhere).is_err());
    tracing::subscriber::with_default(subscriber, || tracing::info!("goes on"));
    assert!(logging.reopen(NB).is_some_and(|result| result.is_err()));
}

/// Runs `work` with a log in these folders' two files; gives what stands in each.
fn logged(shape: Shape, work: impl FnOnce(&Logging)) -> io::Result<[String; 2]> {
    let folder = tempfile::tempdir()?;
    let files = Side::BOTH.map(|side| folder.path().join(side.short()));
    let (logging, subscriber) = Logging::build((LevelFilter::OFF, LevelFilter::INFO), shape, true);
    tracing::subscriber::with_default(subscriber, || -> io::Result<()> {
        for (side, file) in Side::BOTH.into_iter().zip(&files) {
            logging.open(Some(side), file)?;
        }
        work(&logging);
        Ok(())
    })?;
    let [north, south] = files.map(fs::read_to_string);
    Ok([north?, south?])
}

#[test]
fn lines_go_where_their_span_or_their_databases_name_says() -> io::Result<()> {
    let [north, south] = logged(Shape::Text, |_| {
        let span = of_database(Side::Southbound);
        span.in_scope(|| tracing::info!("one"));
        tracing::info!(parent: &span, "two");
        // The nearest word counts.
        span.in_scope(|| tracing::info!(db = "nb", "three"));
        tracing::info!(db = "OVN_IC_Southbound", "four");
        tracing::info!(db = "other", "five");
        tracing::info!(db = "other", "other: six");
    })?;
    let words = |text: &str| {
        let lines = text.lines().skip(1);
        let words = lines.map(|line| line.rsplit('|').next().unwrap_or_default().to_owned());
        words.collect::<Vec<_>>()
    };
    assert_eq!(words(&north), ["three", "five db=other", "other: six"]);
    let all = ["one", "two", "four", "five db=other", "other: six"];
    assert_eq!(words(&south), all);
    Ok(())
}

#[test]
fn lines_for_both_say_whose_they_are() {
    let text = |message: &str, side| {
        let parts = Parts {
            message: message.to_owned(),
            about: About { side, other: None },
            ..Parts::default()
        };
        parts.named_text(line::LONGEST)
    };
    assert_eq!(text("text", SB), "text db=sb");
    assert_eq!(text("text", None), "text");
    let named = "OVN_IC_Northbound: text";
    assert_eq!(text(named, NB), named);
}

#[test]
fn lines_look_as_their_pattern_says() -> io::Result<()> {
    let [north, south] = logged(Shape::Text, |logging| {
        let north = logging.of_side(NB);
        assert_eq!(log_control::set(&north, "PATTERN:file:%A|%p|%m"), Ok(()));
        let pattern = ("%A|%p|%m".to_owned(), "none".to_owned());
        assert_eq!(north.pattern(log_control::Destination::File), pattern);
        tracing::warn!("a warning");
    })?;
    assert!(north.ends_with("\novn-ic-db|WARN|a warning\n"), "{north}");
    assert!(south.ends_with("|vlog|WARN|a warning\n"), "{south}");
    Ok(())
}

#[test]
fn modules_are_those_of_the_replaced_server() -> io::Result<()> {
    let [north, _] = logged(Shape::Text, |logging| {
        let north = logging.of_side(NB);
        for spec in ["file:off", "jsonrpc:file:dbg", "vlog:FILE:info"] {
            assert_eq!(log_control::set(&north, spec), Ok(()));
        }
        tracing::debug!(target: "jsonrpc", "shown");
        tracing::debug!(target: "ovsdb_server::session", "hidden");
        tracing::info!(target: "ovn_ic_db::logging", "shown, too");
        tracing::info!("and this");
        assert_eq!(log_control::set(&north, "jsonrpc:file:info"), Ok(()));
        assert!(!tracing::enabled!(target: "jsonrpc", Level::DEBUG));
    })?;
    let lines: Vec<&str> = north.lines().skip(1).map(|line| &line[25..]).collect();
    let expected = [
        "00003|jsonrpc|DBG|shown",
        "00004|vlog|INFO|shown, too",
        "00005|vlog|INFO|and this",
    ];
    assert_eq!(lines, expected);
    Ok(())
}

#[test]
fn warnings_that_come_too_often_are_left_out() -> io::Result<()> {
    let [north, south] = logged(Shape::Text, |logging| {
        let say = || {
            for _ in 0..100 {
                tracing::warn!("again");
            }
        };
        say();
        let north = logging.of_side(NB);
        north.limit_rate(Some("vlog"), false);
        say();
    })?;
    let written = 1 + 60 + 100;
    assert_eq!(north.lines().count(), written, "{north}");
    assert_eq!(south.lines().count(), written);
    Ok(())
}

#[test]
fn json_lines_have_all_that_is_known() -> io::Result<()> {
    let long = "x".repeat(20_000);
    let [north, _] = logged(Shape::Json, |_| {
        tracing::info!(
            db = "nb",
            rows = 3,
            name = "a\"b\n",
            time = "forged",
            "two\nlines"
        );
        tracing::warn!(db = "other", flag = true, debug = ?Some(1), "{long}");
    })?;
    let lines: Vec<serde_json::Value> = north
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .collect();
    assert_eq!(lines.len(), 3, "{north}");
    let mut first = lines[1].clone();
    let time = first["time"].take();
    let time = time.as_str().unwrap_or_default();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    assert_eq!(
        first,
        serde_json::json!({
            "time": null, "level": "info", "db": "nb", "module": module_path!(),
            "message": "two\nlines", "rows": 3, "name": "a\"b\n"
        })
    );
    let second = &lines[2];
    assert_eq!(second["db"], "other");
    assert_eq!(second["flag"], true);
    assert_eq!(second["debug"], "Some(1)");
    let message = second["message"].as_str().unwrap_or_default();
    assert_eq!(message.len(), line::LONGEST + "...".len());
    Ok(())
}

#[test]
fn the_last_problem_is_kept_whatever_is_logged() -> io::Result<()> {
    logged(Shape::Text, |logging| {
        let [north, south] = [NB, SB].map(|side| logging.of_side(side));
        assert_eq!(log_control::set(&north, "off"), Ok(()));
        tracing::info!(db = "nb", "well");
        assert_eq!(north.problem(), None);
        tracing::warn!(db = "nb", "first");
        tracing::error!(db = "nb", code = 7, "second {}", "y".repeat(1000));
        let problem = north.problem().expect("a problem");
        assert_eq!(problem.level, "error");
        assert!(problem.message.starts_with("second yyy"), "{problem:?}");
        assert_eq!(problem.message.len(), 300 + "...".len());
        assert_eq!(south.problem(), None);
        tracing::warn!("both");
        let both = [north.problem(), south.problem()].map(|problem| problem.map(|p| p.message));
        assert_eq!(both, [Some("both".to_owned()), Some("both".to_owned())]);
    })?;
    Ok(())
}

#[test]
fn the_systems_log_gets_what_is_sent_there() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("log");
    let system = std::os::unix::net::UnixDatagram::bind(&path)?;
    let target = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let patience = Some(std::time::Duration::from_secs(10));
    system.set_read_timeout(patience)?;
    target.set_read_timeout(patience)?;
    let levels = (LevelFilter::OFF, LevelFilter::INFO);
    let (logging, subscriber) = Logging::build(levels, Shape::Text, false);
    logging.set_subprogram("monitor");
    tracing::subscriber::with_default(subscriber, || {
        let log = logging.of_side(None);
        let method = format!("unix:{}", path.display());
        let address = target.local_addr()?.to_string();
        assert_eq!(logging.open_syslog(Some(&method), Some(&address)), Ok(()));
        assert_eq!(log_control::set(&log, "syslog:info"), Ok(()));
        tracing::warn!(db = "nb", "first\nline");
        assert_eq!(log_control::set(&log, "FACILITY:local1"), Ok(()));
        tracing::info!("second");
        let wrong = logging.open_syslog(Some("tcp:1"), None);
        assert_eq!(wrong, Err("unsupported syslog method 'tcp:1'".to_owned()));
        io::Result::Ok(())
    })?;
    let mut bytes = [0; 2000];
    let mut heard = || -> io::Result<[String; 2]> {
        let length = system.recv(&mut bytes)?;
        let system = String::from_utf8_lossy(&bytes[..length]).into_owned();
        let length = target.recv(&mut bytes)?;
        Ok([
            system,
            String::from_utf8_lossy(&bytes[..length]).into_owned(),
        ])
    };
    let process = std::process::id();
    for (priorities, level, text) in [
        ([28, 132], "WARN", "first\\nline db=nb"),
        ([141, 141], "INFO", "second"),
    ] {
        let [system, target] = heard()?;
        let begin = format!("<{}>ovs|0000", priorities[0]);
        assert!(system.starts_with(&begin), "{system}");
        let end = format!("|vlog(monitor)|{level}|{text}");
        assert!(system.ends_with(&end), "{system}");
        let begin = format!("<{}>1 20", priorities[1]);
        assert!(target.starts_with(&begin), "{target}");
        let end = format!(" ovsdb-server {process} vlog - \u{feff}{text}");
        assert!(target.ends_with(&end), "{target}");
    }
    Ok(())
}
