//! What lies behind a record that cannot be used: nothing (a torn write) or intact records (damage).
//!
//! A crash can leave the last write cut short, replaced by zeros or torn at a page, and as a group
//! commit writes several records at once, several of them; whatever is torn was not acknowledged. So a
//! bad record with nothing intact behind it is a torn end. An intact record behind a bad one is treated
//! as damage even though a file system that writes pages out of order could leave that too: refusing
//! costs an operator a decision, dropping could cost acknowledged transactions.

use std::io;

use memchr::memmem;
use sha1::{Digest, Sha1};

use crate::LogFile;
use crate::file_system::read_full_at;
use crate::record::{LEAD, MAX_HEADER, parse_header};

const CHUNK: usize = 1 << 18;

/// What a search for intact records found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Behind {
    /// Nothing that could be a record.
    Nothing,
    /// An intact record at this offset.
    Intact(u64),
    /// Too much that looks like a record to check all of it (a hostile file).
    Unclear,
}

/// Searches `[from, end)` for an intact record. The work is bounded by a multiple of its size.
pub(crate) fn search(file: &dyn LogFile, from: u64, end: u64) -> io::Result<Behind> {
    let mut budget = 4 * (end - from) + (64 << 20);
    let finder = memmem::Finder::new(LEAD);
    let mut at = from;
    let mut chunk = vec![0; CHUNK];
    while at < end {
        let want = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
        let got = read_full_at(file, &mut chunk[..want], at)?;
        if got == 0 {
            break;
        }
        for found in finder.find_iter(&chunk[..got]) {
            let offset = at + found as u64;
            let Some((data, length, hash)) = header_at(file, offset, end)? else {
                continue;
            };
            if length > budget {
                return Ok(Behind::Unclear);
            }
            budget -= length;
            if hash_of(file, data, length)? == hash {
                return Ok(Behind::Intact(offset));
            }
        }
        if got < want || at + got as u64 == end {
            break;
        }
        // The next chunk overlaps this one, so that no header's beginning is missed.
        at += (got - (LEAD.len() - 1)) as u64;
    }
    Ok(Behind::Nothing)
}

fn header_at(
    file: &dyn LogFile,
    offset: u64,
    end: u64,
) -> io::Result<Option<(u64, u64, [u8; 20])>> {
    let mut line = [0; MAX_HEADER];
    let got = read_full_at(file, &mut line, offset)?;
    let Some(newline) = memchr::memchr(b'\n', &line[..got]) else {
        return Ok(None);
    };
    let Ok(header) = parse_header(&line[..newline]) else {
        return Ok(None);
    };
    let data = offset + newline as u64 + 1;
    let fits = data
        .checked_add(header.length)
        .is_some_and(|last| last <= end);
    Ok(fits.then_some((data, header.length, header.hash)))
}

fn hash_of(file: &dyn LogFile, mut at: u64, mut length: u64) -> io::Result<[u8; 20]> {
    let mut hasher = Sha1::new();
    let mut chunk = vec![0; CHUNK];
    while length > 0 {
        let want = usize::try_from(length).unwrap_or(CHUNK).min(CHUNK);
        let got = read_full_at(file, &mut chunk[..want], at)?;
        if got == 0 {
            break;
        }
        hasher.update(&chunk[..got]);
        at += got as u64;
        length -= got as u64;
    }
    Ok(hasher.finalize().into())
}
