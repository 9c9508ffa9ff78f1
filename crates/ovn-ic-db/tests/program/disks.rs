//! Disks that are full or read-only at start and for copies: it is said, and what is there stays.

use std::fs;

use anyhow::{Result, ensure};

use crate::program::Program;

/// Puts a small disk without room at `$PLACE`, runs the program, and says what is left there.
const FULL: &str = r#"
mount -t tmpfs -o "size=64k,$OPTIONS" none "$PLACE" || exit 99
cp -a kept/. "$PLACE/" || exit 98
head -c 1M /dev/zero >"$PLACE/other" 2>/dev/null
"$0" "$@"
status=$?
ls -A "$PLACE" >left
rm "$PLACE/other"
cp -a "$PLACE/." after/
exit $status
"#;

/// Makes what is at `$PLACE` read-only, and runs the program.
const READ_ONLY: &str = r#"
mount --bind "$PLACE" "$PLACE" && mount -o remount,bind,ro "$PLACE" || exit 99
"$0" "$@"
"#;

/// On a disk without room, on which only `kept` is first.
fn full(program: Program, place: &str) -> Result<Program> {
    for folder in ["kept", "after", place] {
        fs::create_dir_all(program.path(folder))?;
    }
    let path = program.path(place).display().to_string();
    program
        .set("PLACE", &path)
        .set("OPTIONS", "mode=755")
        .in_script(FULL)
}

/// The names in a folder, in order.
fn names(program: &Program, folder: &str) -> Result<Vec<String>> {
    let entries = fs::read_dir(program.path(folder))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<Result<_>>()?;
    names.sort();
    Ok(names)
}

fn fails_with(program: &mut Program, words: &[&str]) -> Result<()> {
    let (status, said) = program.fails()?;
    ensure!(status == 1, "{status}: {said}");
    for word in words {
        ensure!(said.contains(word), "{word}: {said}");
    }
    Ok(())
}

#[test]
fn a_database_that_has_no_room_is_not_made() -> Result<()> {
    let mut program = full(Program::new()?, "db")?;
    let advice = format!(
        "; free space in {} and start again",
        program.path("db").display()
    );
    fails_with(&mut program, &["No space left on device", &advice])?;
    let left = names(&program, "after")?;
    ensure!(
        left.iter().all(|name| name.ends_with(".~lock~")),
        "{left:?}"
    );
    ensure!(program.run_folder()?.is_empty());
    Ok(())
}

#[test]
fn a_run_folder_that_has_no_room() -> Result<()> {
    let mut program = full(Program::new()?, "run")?;
    let advice = format!(
        "; free space in {} and start again",
        program.path("run").display()
    );
    fails_with(&mut program, &["No space left on device", &advice])?;
    ensure!(names(&program, "after")?.is_empty());
    ensure!(names(&program, "db")?.is_empty());
    Ok(())
}

#[test]
fn folders_that_are_read_only() -> Result<()> {
    let mut made = Program::new()?;
    made.start()?;
    made.stop()?;
    let before = [made.database("nb")?, made.database("sb")?].map(fs::read);
    for (folder, variable) in [
        ("db", "OVN_DBDIR"),
        ("run", "OVN_RUNDIR"),
        ("log", "OVN_LOGDIR"),
    ] {
        let path = made.path(folder).display().to_string();
        let mut program = Program::new()?;
        for (name, folder) in [
            ("OVN_DBDIR", "db"),
            ("OVN_RUNDIR", "run"),
            ("OVN_LOGDIR", "log"),
        ] {
            program = program.set(name, &made.path(folder).display().to_string());
        }
        let mut program = program.set("PLACE", &path).in_script(READ_ONLY)?;
        fails_with(&mut program, &["Read-only file system", &path, variable])?;
        ensure!(made.run_folder()?.is_empty());
    }
    for (side, before) in ["nb", "sb"].into_iter().zip(before) {
        ensure!(fs::read(made.database(side)?)? == before?, "{side}");
    }
    Ok(())
}

/// A server, and the folder of its sockets.
fn server() -> Result<(Program, String)> {
    let mut server = Program::new()?;
    server.start()?;
    server.ctl("nb", &["ts-add", "one"])?;
    let run = server.path("run").display().to_string();
    Ok((server, run))
}

#[test]
fn copies_that_have_no_room_leave_the_old_ones() -> Result<()> {
    let (server, run) = server()?;
    let run = format!("--run-dir={run}");
    let program = Program::new()?;
    let [kept, copies] = ["kept", "copies"].map(|name| program.path(name));
    let [into_kept, into_copies] = [&kept, &copies].map(|path| path.display().to_string());

    // Nothing was there.
    let arguments = ["backup", "--overwrite", &run, &into_copies];
    let mut program = full(program.arguments(&arguments), "copies")?;
    fails_with(
        &mut program,
        &["No space left on device", "nothing was written"],
    )?;
    let left = names(&program, "after")?;
    ensure!(
        left.iter().all(|name| name.ends_with(".~lock~")),
        "{left:?}"
    );

    // Copies were there.
    let mut other = Program::new()?.arguments(&["backup", &run, &into_kept]);
    let (status, said) = other.fails()?;
    ensure!(status == 0, "{said}");
    fails_with(
        &mut program,
        &["No space left on device", "nothing was written"],
    )?;
    for side in ["nb", "sb"] {
        let name = format!("ovn_ic_{side}_db.db");
        let same = fs::read(kept.join(&name))? == fs::read(program.path("after").join(&name))?;
        ensure!(same, "{name} was changed");
    }
    ensure!(server.ctl("nb", &["show"])?.contains("one"));
    Ok(())
}

#[test]
fn a_restored_file_that_has_no_room_is_not_made() -> Result<()> {
    let (_server, run) = server()?;
    let copies = tempfile::tempdir()?;
    let copies = copies.path().join("copies").display().to_string();
    let run = format!("--run-dir={run}");
    let (status, said) = Program::new()?
        .arguments(&["backup", &run, &copies])
        .fails()?;
    ensure!(status == 0, "{said}");
    let program = Program::new()?;
    let to = program.path("db").display().to_string();
    let mut program = full(program.arguments(&["restore", &copies, "--to", &to]), "db")?;
    fails_with(&mut program, &["No space left on device", &to])?;
    let left = names(&program, "after")?;
    ensure!(
        left.iter().all(|name| name.ends_with(".~lock~")),
        "{left:?}"
    );
    Ok(())
}
