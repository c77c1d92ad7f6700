//! Reading `/proc`.

use crate::case::Failure;
use crate::support::{fd, file};

/// The text of a file.
pub(crate) fn read(path: &str) -> Result<String, Failure> {
    let bytes = fd::open(&file::cstring(path), libc::O_RDONLY, 0)?.read_all()?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The value of a `Name:  value` line, trimmed.
pub(crate) fn field(path: &str, name: &str) -> Result<String, Failure> {
    let text = read(path)?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    match value {
        Some(value) => Ok(value.trim().to_owned()),
        None => fail!("{path} has no field {name}"),
    }
}

/// The state letter of a thread, from the line after its name.
pub(crate) fn state(pid: i32) -> Result<char, Failure> {
    let text = read(&format!("/proc/{pid}/stat"))?;
    let state = text
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.trim_start().chars().next());
    match state {
        Some(state) => Ok(state),
        None => fail!("/proc/{pid}/stat has no state: {text}"),
    }
}

/// Whether the process or thread is asleep in a call (or stopped, or gone).
pub(crate) fn is_asleep(pid: i32) -> bool {
    state(pid).map_or(true, |state| state != 'R')
}

/// One line of `/proc/PID/maps`.
#[derive(Debug, Clone)]
pub(crate) struct Area {
    /// First address.
    pub(crate) start: usize,
    /// Address after the last.
    pub(crate) end: usize,
    /// `rwxp` or `rwxs`, with dashes.
    pub(crate) perms: String,
    /// Offset in the file.
    pub(crate) offset: u64,
    /// Inode number, 0 for anonymous memory.
    pub(crate) inode: u64,
    /// Path or name, may be empty.
    pub(crate) name: String,
}

/// The process's own areas.
pub(crate) fn maps() -> Result<Vec<Area>, Failure> {
    read("/proc/self/maps")?.lines().map(parse_area).collect()
}

/// The area that holds this address.
pub(crate) fn area_of(addr: usize) -> Result<Option<Area>, Failure> {
    Ok(maps()?
        .into_iter()
        .find(|area| (area.start..area.end).contains(&addr)))
}

fn parse_area(line: &str) -> Result<Area, Failure> {
    let mut fields = line.split_ascii_whitespace();
    let mut next = || fields.next().unwrap_or("");
    let (range, perms, offset, _device, inode) = (next(), next(), next(), next(), next());
    let name = fields.collect::<Vec<_>>().join(" ");
    let parsed = (|| {
        let (start, end) = range.split_once('-')?;
        Some(Area {
            start: usize::from_str_radix(start, 16).ok()?,
            end: usize::from_str_radix(end, 16).ok()?,
            perms: perms.to_owned(),
            offset: u64::from_str_radix(offset, 16).ok()?,
            inode: inode.parse().ok()?,
            name,
        })
    })();
    match parsed {
        Some(area) => Ok(area),
        None => fail!("not a line of maps: {line}"),
    }
}
