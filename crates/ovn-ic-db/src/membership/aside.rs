//! Keeping a file that another one takes the place of, under a name with the date.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// How many files of one second are kept.
const MOST: u32 = 1000;

/// Gives the file a second name, `FILE.WORD-YYYYMMDDTHHMMSSZ`, and returns it. The file stays where it is
/// for whoever replaces it: at no moment is it missing. When this returns, the second name is on the disk.
pub fn keep(file: &Path, word: &str, now: SystemTime) -> io::Result<PathBuf> {
    let base = format!("{word}-{}", stamp(now));
    for number in 0..MOST {
        let mut name = file.as_os_str().to_owned();
        name.push(".");
        name.push(&base);
        if number > 0 {
            name.push(format!(".{number}"));
        }
        let name = PathBuf::from(name);
        match link_or_copy(file, &name) {
            Ok(()) => {
                sync_folder_of(&name)?;
                return Ok(name);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!("{MOST} files like {}.{base} exist", file.display()),
    ))
}

/// Not every file system has links.
fn link_or_copy(file: &Path, name: &Path) -> io::Result<()> {
    match fs::hard_link(file, name) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::AlreadyExists) => copy(file, name),
        result => result,
    }
}

fn copy(file: &Path, name: &Path) -> io::Result<()> {
    let mut from = File::open(file)?;
    let mut to = File::create_new(name)?;
    let copied = io::copy(&mut from, &mut to).and_then(|_| to.sync_all());
    if copied.is_err() {
        // Best effort: the error that stopped us is the one to report.
        let _ = fs::remove_file(name);
    }
    copied
}

fn sync_folder_of(file: &Path) -> io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

/// Date and time (UTC) without what is special in file names, as ISO 8601's basic format has them.
fn stamp(now: SystemTime) -> String {
    let seconds = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The Gregorian date of a day since 1970-01-01.
fn date(mut days: u64) -> (u64, u64, u64) {
    // In cycles of 400 years, which all have the same length.
    let cycles = days / 146_097;
    days %= 146_097;
    let mut year = 1970 + 400 * cycles;
    let leap =
        |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn stamps_are_dates() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (951_868_800, "20000301T000000Z"),
            (1_785_060_672, "20260726T101112Z"),
            (4_107_542_399, "21000228T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
            (13_569_465_600, "24000101T000000Z"),
        ] {
            assert_eq!(stamp(at(seconds)), text);
        }
    }

    #[test]
    fn every_file_is_kept_and_stays_in_its_place() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("a.db");
        for (contents, end) in [
            ("first", "damaged-19700101T000000Z"),
            ("second", "damaged-19700101T000000Z.1"),
        ] {
            // A new file takes the old one's place, as a database's does.
            let new = folder.path().join("new");
            fs::write(&new, contents)?;
            fs::rename(&new, &file)?;
            let kept = keep(&file, "damaged", at(0))?;
            assert_eq!(kept, folder.path().join(format!("a.db.{end}")));
        }
        fs::write(folder.path().join("new"), "third")?;
        fs::rename(folder.path().join("new"), &file)?;
        let read = |name: &str| fs::read_to_string(folder.path().join(name));
        assert_eq!(read("a.db")?, "third");
        assert_eq!(read("a.db.damaged-19700101T000000Z")?, "first");
        assert_eq!(read("a.db.damaged-19700101T000000Z.1")?, "second");
        Ok(())
    }

    #[test]
    fn a_copy_is_whole_and_takes_nobodys_name() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
        fs::write(&from, "contents")?;
        copy(&from, &to)?;
        assert_eq!(fs::read_to_string(&to)?, "contents");
        let error = copy(&from, &to).expect_err("exists");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        Ok(())
    }
}
