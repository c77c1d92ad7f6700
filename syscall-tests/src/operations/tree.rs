//! What is in a directory: names, and all that is below.

use std::ffi::CString;

use super::summary;
use crate::support::fd::Fd;
use crate::sys::{self, SysError};

/// The name of an entry, and the type that the directory has of it.
type Name = (String, u8);

/// What is in the directory from its offset on, sorted, without `.` and `..`.
pub(super) fn names(dir: &Fd) -> Result<Vec<Name>, SysError> {
    let (mut names, mut buffer) = (Vec::new(), vec![0_u8; 8192]);
    loop {
        let len = sys!(SYS_getdents64, dir, buffer.as_mut_slice(), buffer.len())?;
        let mut rest = buffer.get(..len as usize).unwrap_or_default();
        if rest.is_empty() {
            names.sort();
            return Ok(names);
        }
        while let Some((name, after)) = first(rest) {
            if name.0 != "." && name.0 != ".." {
                names.push(name);
            }
            rest = after;
        }
    }
}

/// The first of these entries (`man 2 getdents64`), and those after it.
fn first(entries: &[u8]) -> Option<(Name, &[u8])> {
    const LEN: usize = 16;
    const TYPE: usize = 18;
    let len = u16::from_le_bytes(entries.get(LEN..LEN + 2)?.try_into().ok()?);
    let (entry, after) = entries.split_at_checked(usize::from(len))?;
    let name = entry.get(TYPE + 1..)?.split(|byte| *byte == 0).next()?;
    let name = String::from_utf8_lossy(name).into_owned();
    Some(((name, *entry.get(TYPE)?), after))
}

pub(super) fn text(names: &[Name]) -> String {
    let texts: Vec<_> = names
        .iter()
        .map(|(name, kind)| format!("{name}:{kind}"))
        .collect();
    texts.join(" ")
}

/// What a status says that is the same in every place; the size of a directory is its file system's own.
pub(super) fn status(stat: &libc::stat) -> String {
    let size = match stat.st_mode & libc::S_IFMT {
        libc::S_IFDIR => 0,
        _ => stat.st_size,
    };
    format!(
        "mode {:o} size {size} links {} owner {}:{}",
        stat.st_mode, stat.st_nlink, stat.st_uid, stat.st_gid
    )
}

/// Removes all that is in the directory; how many entries there were.
pub(super) fn empty(dir: &Fd) -> Result<usize, SysError> {
    let mut count = 0;
    for (name, _) in names(dir)? {
        let name = CString::new(name).unwrap_or_default();
        count += 1;
        if stat_at(dir, &name)?.st_mode & libc::S_IFMT == libc::S_IFDIR {
            count += empty(&open_at(dir, &name)?)?;
            sys!(SYS_unlinkat, dir, &name, libc::AT_REMOVEDIR)?;
        } else {
            sys!(SYS_unlinkat, dir, &name, 0)?;
        }
    }
    Ok(count)
}

/// A line for each entry in the directory and below, with its status and content.
pub(super) fn describe(dir: &Fd) -> Vec<String> {
    let mut lines = Vec::new();
    if let Err(error) = describe_in(dir, "", &mut lines) {
        lines.push(format!("errno {}", error.errno));
    }
    lines
}

fn describe_in(dir: &Fd, above: &str, lines: &mut Vec<String>) -> Result<(), SysError> {
    sys!(SYS_lseek, dir, 0, libc::SEEK_SET)?;
    for (name, kind) in names(dir)? {
        let path = format!("{above}/{name}");
        let name = CString::new(name).unwrap_or_default();
        let stat = stat_at(dir, &name)?;
        let content = match stat.st_mode & libc::S_IFMT {
            libc::S_IFREG => summary(&open_at(dir, &name)?.read_all()?),
            _ => String::new(),
        };
        lines.push(format!("{path} type {kind} {} {content}", status(&stat)));
        if stat.st_mode & libc::S_IFMT == libc::S_IFDIR {
            describe_in(&open_at(dir, &name)?, &path, lines)?;
        }
    }
    Ok(())
}

fn stat_at(dir: &Fd, name: &CString) -> Result<libc::stat, SysError> {
    let mut stat = sys::zeroed::<libc::stat>();
    let flags = libc::AT_SYMLINK_NOFOLLOW;
    sys!(SYS_newfstatat, dir, name, &mut stat, flags)?;
    Ok(stat)
}

fn open_at(dir: &Fd, name: &CString) -> Result<Fd, SysError> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NOFOLLOW;
    sys!(SYS_openat, dir, name, flags, 0).map(Fd::own)
}
