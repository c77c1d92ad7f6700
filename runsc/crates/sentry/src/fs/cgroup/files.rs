//! One file of a group: a row of a table.

use std::sync::Arc;

use abi::Errno;

use crate::error::Result;
use crate::fs::synthetic::Content;
use crate::kernel::Kernel;
use crate::kernel::cgroup::{Group, GroupUsage, Hierarchy};
use crate::kernel::task::Task;

/// What a row's functions are given.
pub(super) struct View<'a> {
    pub(super) task: &'a Task,
    pub(super) hierarchy: &'a Arc<Hierarchy>,
    pub(super) group: &'a Arc<Group>,
    pub(super) row: &'static Row,
}

impl View<'_> {
    pub(super) fn kernel(&self) -> &Arc<Kernel> {
        self.task.kernel()
    }

    pub(super) fn usage(&self) -> GroupUsage {
        self.hierarchy.usage(self.kernel(), self.group)
    }
}

/// How a file is written.
#[derive(Clone, Copy)]
pub(super) enum Store {
    /// It can't be.
    Never,
    /// By this function.
    By(fn(&View<'_>, &str) -> Result<()>),
    /// A number within bounds is kept: a weight, or a switch without effect here.
    Number(u64, u64),
    /// A limit that nothing here would enforce: only what is no limit may be written below the root
    /// (EOPNOTSUPP), and nothing in the root, whose limits are the container's (EPERM).
    NoLimit(&'static [&'static str]),
}

/// A file of a group.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) show: Show,
    pub(super) store: Store,
}

/// Always the same.
pub(super) const fn fixed(name: &'static str, text: &'static str) -> Row {
    Row {
        name,
        show: Show::Fixed(text),
        store: Store::Never,
    }
}

/// Made when it is read.
pub(super) const fn live(name: &'static str, show: fn(&View<'_>) -> String) -> Row {
    Row {
        name,
        show: Show::By(show),
        store: Store::Never,
    }
}

/// A number that is remembered, from `least` to `most`.
pub(super) const fn kept(name: &'static str, default: &'static str, least: u64, most: u64) -> Row {
    Row {
        name,
        show: Show::Kept(default),
        store: Store::Number(least, most),
    }
}

/// A limit that is the container's in the root, and can't be set below.
pub(super) const fn limit(
    name: &'static str,
    show: fn(&View<'_>) -> String,
    none: &'static [&'static str],
) -> Row {
    Row {
        name,
        show: Show::By(show),
        store: Store::NoLimit(none),
    }
}

/// How a file is read.
#[derive(Clone, Copy)]
pub(super) enum Show {
    /// It can't be.
    Never,
    /// Always this.
    Fixed(&'static str),
    /// What was written, else this.
    Kept(&'static str),
    /// As this function makes it, with the line break.
    By(fn(&View<'_>) -> String),
}

impl Row {
    pub(super) fn permissions(&self) -> u32 {
        let readable = if matches!(self.show, Show::Never) {
            0
        } else {
            0o444
        };
        let writable = if matches!(self.store, Store::Never) {
            0
        } else {
            0o200
        };
        readable | writable
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A row of a group.
#[derive(Debug)]
pub(super) struct GroupFile {
    pub(super) hierarchy: Arc<Hierarchy>,
    pub(super) group: Arc<Group>,
    pub(super) row: &'static Row,
}

impl GroupFile {
    fn view<'a>(&'a self, task: &'a Task) -> View<'a> {
        View {
            task,
            hierarchy: &self.hierarchy,
            group: &self.group,
            row: self.row,
        }
    }
}

impl Content for GroupFile {
    fn read(&self, task: &Task) -> Result<Vec<u8>> {
        let given = || {
            let on_host = || task.kernel().cgroups.on_host(self.row.name);
            let own = self.group.is_root().then(on_host).flatten();
            own.filter(|_| self.group.setting(self.row.name).is_none())
        };
        let text = match self.row.show {
            Show::Never => return Err(Errno::EINVAL),
            // What limits the container from outside shows as it is there.
            _ if let Some(text) = given() => text,
            Show::Fixed(text) => text.to_owned(),
            Show::Kept(default) => {
                let kept = self.group.setting(self.row.name);
                kept.map_or_else(|| default.to_owned(), |value| format!("{value}\n"))
            }
            Show::By(show) => show(&self.view(task)),
        };
        Ok(text.into_bytes())
    }

    fn write(&self, task: &Task, bytes: &[u8], _offset: u64) -> Result<usize> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Errno::EINVAL)?
            .trim();
        match self.row.store {
            Store::Never => return Err(Errno::EINVAL),
            Store::By(store) => store(&self.view(task), text)?,
            Store::Number(least, most) => {
                let number: u64 = text.parse().map_err(|_| Errno::EINVAL)?;
                if number < least || number > most {
                    return Err(Errno::ERANGE);
                }
                self.group.set(self.row.name, number.to_string());
            }
            Store::NoLimit(_) if self.group.is_root() => return Err(Errno::EPERM),
            Store::NoLimit(known) => {
                if !known.contains(&text) {
                    return Err(Errno::EOPNOTSUPP);
                }
            }
        }
        Ok(bytes.len())
    }
}
