//! `/proc/sys` (`man 5 proc_sys`).

use std::sync::Arc;

use abi::Errno;

use crate::error::Result;
use crate::fs::proc::sysctl_values;
use crate::fs::synthetic::{Content, Directory, Entry, Generated, StaticDirectory};
use crate::kernel::credentials::{CAP_LAST, Capability};
use crate::kernel::namespaces::UtsNames;
use crate::kernel::task::Task;
use crate::kernel::version::{RELEASE, SYSTEM, VERSION};

/// A path and what is there.
type Row = (&'static [u8], Entry);

/// The whole tree.
pub(super) fn root() -> Arc<dyn Directory> {
    let mut entries = sysctl_values::entries();
    entries.extend(fixed_entries());
    let mut entries: Vec<Row> = entries
        .into_iter()
        .map(|(path, entry)| (path.as_bytes(), entry))
        .collect();
    entries.sort_by_key(|(path, _)| *path);
    directory(entries)
}

/// Makes directories of paths, which come sorted.
fn directory(entries: Vec<Row>) -> Arc<dyn Directory> {
    let mut here: Vec<(&'static str, Entry)> = Vec::new();
    let mut below: Vec<(&'static str, Vec<Row>)> = Vec::new();
    for (path, entry) in entries {
        let mut parts = path.splitn(2, |byte| *byte == b'/');
        let name = parts.next().and_then(|name| std::str::from_utf8(name).ok());
        let name = name.unwrap_or_default();
        match (parts.next(), below.last_mut()) {
            (None, _) => here.push((name, entry)),
            (Some(rest), Some((last, list))) if *last == name => list.push((rest, entry)),
            (Some(rest), _) => below.push((name, vec![(rest, entry)])),
        }
    }
    here.extend(
        below
            .into_iter()
            .map(|(name, list)| (name, Entry::directory(directory(list)))),
    );
    StaticDirectory::new(here)
}

/// A value that never changes.
fn fixed(value: impl Into<String>) -> Entry {
    let line = format!("{}\n", value.into()).into_bytes();
    Entry::file(Arc::new(Generated(move |_: &Task| Ok(line.clone()))))
}

/// Host or domain name of the reader's UTS namespace.
struct Name(fn(&mut UtsNames) -> &mut Vec<u8>);

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Name")
    }
}

impl Content for Name {
    fn read(&self, task: &Task) -> Result<Vec<u8>> {
        let mut names = task.namespaces().uts.names.lock().clone();
        let mut line = (self.0)(&mut names).clone();
        line.push(b'\n');
        Ok(line)
    }

    fn write(&self, task: &Task, bytes: &[u8], _offset: u64) -> Result<usize> {
        let owner = task.namespaces().uts.user_ns.clone();
        if !task.credentials().has_in(&owner, Capability::SysAdmin) {
            return Err(Errno::EPERM);
        }
        let name = bytes
            .split(|byte| matches!(byte, 0 | b'\n'))
            .next()
            .unwrap_or_default();
        let namespaces = task.namespaces();
        *(self.0)(&mut namespaces.uts.names.lock()) = name[..name.len().min(64)].to_vec();
        Ok(bytes.len())
    }
}

fn name(field: fn(&mut UtsNames) -> &mut Vec<u8>) -> Entry {
    Entry::file(Arc::new(Name(field))).with_permissions(0o644)
}

/// A random UUID, version 4.
fn uuid() -> String {
    let mut bytes = [0_u8; 16];
    // It can fail only for a signal before the first byte; zeros make a valid if dull UUID.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

fn fixed_entries() -> Vec<(&'static str, Entry)> {
    let terminals =
        Generated(|task: &Task| Ok(format!("{}\n", task.kernel().terminals.get()).into_bytes()));
    let files = Generated(|task: &Task| {
        let (nr, most) = (
            task.kernel().open_files.get(),
            task.kernel().sysctl.file_max(),
        );
        Ok(format!("{nr}\t0\t{most}\n").into_bytes())
    });
    let fresh = Generated(|_: &Task| Ok(format!("{}\n", uuid()).into_bytes()));
    vec![
        ("kernel/random/boot_id", fixed(uuid())),
        ("kernel/random/uuid", Entry::file(Arc::new(fresh))),
        ("kernel/random/entropy_avail", fixed("256")),
        ("kernel/random/poolsize", fixed("256")),
        ("kernel/cap_last_cap", fixed(CAP_LAST.to_string())),
        ("kernel/hostname", name(|names| &mut names.host)),
        ("kernel/domainname", name(|names| &mut names.domain)),
        ("kernel/ostype", fixed(SYSTEM)),
        ("kernel/osrelease", fixed(RELEASE)),
        ("kernel/version", fixed(VERSION)),
        ("kernel/ngroups_max", fixed("65536")),
        ("kernel/core_pattern", fixed("core")),
        ("kernel/pty/nr", Entry::file(Arc::new(terminals))),
        ("fs/file-nr", Entry::file(Arc::new(files))),
        ("fs/inode-nr", fixed("0\t0")),
        ("fs/inode-state", fixed("0\t0\t0\t0\t0\t0\t0")),
        ("fs/aio-nr", fixed("0")),
        ("vm/mmap_min_addr", fixed("65536")),
    ]
}
