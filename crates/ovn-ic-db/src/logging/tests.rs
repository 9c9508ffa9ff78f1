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
        assert_eq!(log_control::set(&control, "ovn_ic_db:file:dbg"), Ok(()));
        tracing::debug!("shown");
        fs::rename(&nb, folder.path().join("nb.log.1"))?;
        control.reopen().expect("a file")?;
        tracing::info!("after");
        logging.close(SB);
        tracing::info!("only north");
        Ok(())
    })?;
    let old = fs::read_to_string(folder.path().join("nb.log.1"))?;
    assert!(old.contains("|ovn_ic_db|INFO|north rows=3\n"), "{old}");
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
    // 2026-01-31T12:00:00.123Z|00001|ovn_ic_db|INFO|opened log file ...
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
    let line = |message: &str, side| {
        let parts = Parts {
            message: message.to_owned(),
            about: About { side, other: None },
            ..Parts::default()
        };
        let line = parts.named_line(7, "m", Level::WARN);
        line.split_once('Z').expect("a time").1.to_owned()
    };
    assert_eq!(line("text", SB), "|00007|m|WARN|text db=sb\n");
    assert_eq!(line("text", None), "|00007|m|WARN|text\n");
    let named = "OVN_IC_Northbound: text";
    assert_eq!(line(named, NB), format!("|00007|m|WARN|{named}\n"));
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
