//! Files and folders of another user, as they are left where a container of root's becomes one of another
//! user: the start fails, says whose they are and what to do, and changes nothing.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::program::Program;
use crate::tls::{made_in, with_keys};

/// The image's user.
const NOBODY: u32 = 65534;

/// A file's name, owner, mode and contents.
type Shape = (PathBuf, u32, u32, Option<Vec<u8>>);

/// All that is in the folders.
fn shape(program: &Program) -> Result<Vec<Shape>> {
    let mut all = Vec::new();
    for folder in ["db", "run"] {
        for entry in fs::read_dir(program.path(folder))? {
            let path = entry?.path();
            let found = fs::symlink_metadata(&path)?;
            let contents = found.is_file().then(|| fs::read(&path)).transpose()?;
            all.push((path, found.uid(), found.mode(), contents));
        }
    }
    all.sort();
    Ok(all)
}

fn give(path: &Path) -> Result<()> {
    Ok(chown(path, Some(NOBODY), Some(NOBODY))?)
}

/// Gives a folder with all that is in it to the user.
fn give_all(folder: &Path) -> Result<()> {
    give(folder)?;
    for entry in fs::read_dir(folder)? {
        give(&entry?.path())?;
    }
    Ok(())
}

/// The start fails with these words, and changes nothing.
fn refuses(program: &mut Program, words: &[&str]) -> Result<()> {
    let before = shape(program)?;
    let (status, said) = program.fails()?;
    ensure!(status == 1, "{status}: {said}");
    for word in words {
        ensure!(said.contains(word), "{word}: {said}");
    }
    ensure!(shape(program)? == before, "something was changed: {said}");
    Ok(())
}

/// A database that root's server has made, in folders that the user was given.
fn of_root() -> Result<Program> {
    let mut program = Program::new()?;
    program.start()?;
    program.ctl("nb", &["ts-add", "kept"])?;
    program.stop()?;
    for folder in ["db", "run", "log"] {
        give(&program.path(folder))?;
    }
    program.by_user(NOBODY)
}

#[test]
fn files_that_root_has_left() -> Result<()> {
    let mut program = of_root()?;
    let database = program.database("nb")?;
    let lock = program.path("db/.ovn_ic_nb_db.db.~lock~");
    let chown = format!("`chown -R 65534:65534 {}`", program.path("db").display());
    let words = [
        &lock.display().to_string(),
        "belongs to user 0 (root)",
        "this server runs as user 65534",
        &chown,
    ];
    refuses(&mut program, &words)?;

    // With the lock alone it is the database.
    give(&lock)?;
    let words = [
        &database.display().to_string(),
        words[1],
        words[2],
        words[3],
    ];
    refuses(&mut program, &words)?;

    // Its own, and not readable.
    give_all(&program.path("db"))?;
    let mode = |mode| fs::set_permissions(&database, fs::Permissions::from_mode(mode));
    mode(0o200)?;
    let words = [
        "is this user's (65534), but its mode 0200 does not let it",
        "`chmod u+rwX",
    ];
    refuses(&mut program, &words)?;

    // What was said helps.
    mode(0o600)?;
    program.start()?;
    ensure!(program.ctl("nb", &["show"])?.contains("kept"));
    // Its log file still is root's, and said to be so.
    ensure!(program.said().contains("the log file cannot be opened"));
    program.stop()
}

#[test]
fn a_run_folder_that_root_has_left() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    program.ctl("nb", &["ts-add", "kept"])?;
    program.signal(Signal::KILL)?;
    program.end()?;
    for folder in ["db", "log"] {
        give_all(&program.path(folder))?;
    }
    let run = program.path("run");
    give(&run)?;
    let mut program = program.by_user(NOBODY)?;
    let chown = format!("`chown -R 65534:65534 {}`", run.display());
    let of_root = "belongs to user 0 (root)";
    let pid = run.join("ovn_ic_nb_db.pid").display().to_string();
    refuses(&mut program, &[&pid, of_root, &chown])?;
    fs::remove_file(pid)?;
    let socket = format!("punix:{}: ", run.join("ovn_ic_nb_db.ctl").display());
    refuses(&mut program, &[&socket, of_root, &chown])?;
    give_all(&run)?;
    program.start()?;
    ensure!(program.ctl("nb", &["show"])?.contains("kept"));
    program.stop()
}

#[test]
fn folders_of_another_user() -> Result<()> {
    let mut program = of_root()?;
    for (folder, variable) in [
        ("db", "OVN_DBDIR"),
        ("run", "OVN_RUNDIR"),
        ("log", "OVN_LOGDIR"),
    ] {
        let path = program.path(folder);
        chown(&path, Some(0), Some(0))?;
        // Not even to be looked into, and then only that.
        for mode in [0o700, 0o755] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
            let path = path.display().to_string();
            let words = [
                &path,
                "Permission denied",
                "make it writable for this user",
                variable,
            ];
            refuses(&mut program, &words)?;
        }
        give(&path)?;
    }
    Ok(())
}

#[test]
fn a_key_that_may_not_be_read() -> Result<()> {
    let keys = tempfile::tempdir()?;
    fs::set_permissions(keys.path(), fs::Permissions::from_mode(0o755))?;
    let folder = keys.path().join("pki");
    made_in(&folder)?;
    let mut program = with_keys(Program::new()?, &folder).by_user(NOBODY)?;
    let (status, said) = program.fails()?;
    ensure!(status == 1, "{said}");
    for words in [
        &format!(
            "{}: the private key cannot be read: Permission denied",
            folder.join("key").display()
        ),
        "readable for this user",
        "--private-key, --certificate and --ca-cert name the files",
    ] {
        ensure!(said.contains(words), "{words}: {said}");
    }
    ensure!(!program.path("db").exists() && !program.path("run").exists());
    Ok(())
}
