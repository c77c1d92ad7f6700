//! `/proc/[pid]` and `/proc/[pid]/task/[tid]`.

mod fd;
mod links;
mod maps;
mod memory;
mod namespaces;
mod settings;
mod stat;
mod status;

use std::sync::{Arc, Weak};

use abi::Errno;

use super::{alive, net, of_task, parse_id};
use crate::error::Result;
use crate::fs::synthetic::{Body, Content, Directory, Entry};
use crate::kernel::pids::PidNamespace;
use crate::kernel::ptrace::access;
use crate::kernel::task::{RunState, Task};
use crate::vfs::attr::FileType;

/// The directory of a process, or of one thread of it.
#[derive(Debug)]
pub(super) struct ProcessDirectory {
    namespace: Arc<PidNamespace>,
    task: Weak<Task>,
    /// Whether it stands for the whole thread group.
    whole: bool,
}

/// What a write does: whose file it is, who writes, what.
type Set = fn(&View<'_>, &Task, &[u8]) -> Result<()>;

/// What a file of the directory is made of.
#[derive(Clone, Copy)]
enum Kind {
    /// A text: what makes it.
    Text(fn(&View<'_>) -> Result<Vec<u8>>),
    /// A text that can be written.
    Setting(fn(&View<'_>) -> Result<Vec<u8>>, Set),
    /// As `Text`, only for those who may look into the process.
    Private(fn(&View<'_>) -> Result<Vec<u8>>),
    /// What shows the address space that the process has when it is opened.
    Memory(fn(&Arc<Task>) -> Arc<dyn Content>),
    /// A link or directory.
    Other(fn(&ProcessDirectory, &Arc<Task>) -> Body),
}

/// What a text is made from: whose it is, and who looks.
struct View<'a> {
    task: &'a Arc<Task>,
    viewer: &'a Task,
    namespace: &'a Arc<PidNamespace>,
    whole: bool,
}

/// Name, permissions, content; `group_only` entries are missing in `task/[tid]`.
struct Row {
    name: &'static str,
    permissions: u32,
    kind: Kind,
    group_only: bool,
}

const fn row(name: &'static str, permissions: u32, kind: Kind) -> Row {
    Row {
        name,
        permissions,
        kind,
        group_only: false,
    }
}

const ROWS: &[Row] = &[
    Row {
        name: "task",
        permissions: 0o555,
        kind: Kind::Other(|directory, task| {
            Body::Directory(Arc::new(TaskDirectory::of(directory, task)))
        }),
        group_only: true,
    },
    row(
        "fd",
        0o500,
        Kind::Other(|_, task| Body::Directory(fd::descriptors(task))),
    ),
    row(
        "fdinfo",
        0o555,
        Kind::Other(|_, task| Body::Directory(fd::information(task))),
    ),
    row(
        "ns",
        0o511,
        Kind::Other(|_, task| Body::Directory(namespaces::directory(task))),
    ),
    row(
        "cwd",
        0o777,
        Kind::Other(|_, task| Body::Link(links::cwd(task))),
    ),
    row(
        "root",
        0o777,
        Kind::Other(|_, task| Body::Link(links::root(task))),
    ),
    row(
        "exe",
        0o777,
        Kind::Other(|_, task| Body::Link(links::exe(task))),
    ),
    row("environ", 0o400, Kind::Memory(memory::environ)),
    row("auxv", 0o400, Kind::Memory(memory::auxv)),
    row("cmdline", 0o444, Kind::Text(memory::cmdline)),
    row("maps", 0o444, Kind::Memory(memory::maps)),
    row("smaps", 0o444, Kind::Memory(memory::smaps)),
    row("smaps_rollup", 0o444, Kind::Memory(memory::smaps_rollup)),
    row("pagemap", 0o400, Kind::Memory(memory::pagemap)),
    row(
        "net",
        0o555,
        Kind::Other(|_, _| Body::Directory(net::directory())),
    ),
    row("mem", 0o600, Kind::Memory(memory::mem)),
    row("stat", 0o444, Kind::Text(stat::stat)),
    row("statm", 0o444, Kind::Text(stat::statm)),
    row("status", 0o444, Kind::Text(status::status)),
    row("io", 0o400, Kind::Private(stat::io)),
    row("schedstat", 0o444, Kind::Text(stat::schedstat)),
    row("wchan", 0o444, Kind::Text(|_| Ok(b"0".to_vec()))),
    row(
        "comm",
        0o644,
        Kind::Setting(settings::comm, settings::set_comm),
    ),
    row("limits", 0o444, Kind::Text(settings::limits)),
    row("oom_score", 0o444, Kind::Text(settings::oom_score)),
    row(
        "oom_score_adj",
        0o644,
        Kind::Setting(settings::oom_score_adj, settings::set_oom_score_adj),
    ),
    row(
        "coredump_filter",
        0o644,
        Kind::Setting(settings::core_dump_filter, settings::set_core_dump_filter),
    ),
    row(
        "loginuid",
        0o444,
        Kind::Text(|_| Ok(b"4294967295".to_vec())),
    ),
    row(
        "sessionid",
        0o444,
        Kind::Text(|_| Ok(b"4294967295".to_vec())),
    ),
    row("personality", 0o400, Kind::Private(settings::personality)),
    row("cgroup", 0o444, Kind::Text(settings::cgroup)),
    row(
        "uid_map",
        0o644,
        Kind::Setting(namespaces::uid_map, namespaces::set_uid_map),
    ),
    row(
        "gid_map",
        0o644,
        Kind::Setting(namespaces::gid_map, namespaces::set_gid_map),
    ),
    row(
        "setgroups",
        0o644,
        Kind::Setting(namespaces::setgroups, namespaces::set_setgroups),
    ),
    row("mounts", 0o444, Kind::Text(namespaces::mounts)),
    row("mountinfo", 0o444, Kind::Text(namespaces::mount_info)),
    row("mountstats", 0o400, Kind::Text(namespaces::mount_stats)),
    row("children", 0o444, Kind::Text(stat::children)),
    row("timerslack_ns", 0o666, Kind::Text(settings::timer_slack)),
];

impl ProcessDirectory {
    /// The directory of the whole thread group that `task` belongs to.
    pub(super) fn of_group(namespace: &Arc<PidNamespace>, task: &Arc<Task>) -> ProcessDirectory {
        ProcessDirectory {
            namespace: namespace.clone(),
            task: Arc::downgrade(task),
            whole: true,
        }
    }

    fn rows(&self) -> impl Iterator<Item = &'static Row> {
        let whole = self.whole;
        ROWS.iter().filter(move |row| whole || !row.group_only)
    }

    fn body(&self, row: &Row, task: &Arc<Task>) -> Body {
        let text = |make, set, private| {
            Body::File(Arc::new(Text {
                namespace: self.namespace.clone(),
                task: self.task.clone(),
                whole: self.whole,
                make,
                set,
                private,
            }))
        };
        match row.kind {
            Kind::Text(make) => text(make, None, false),
            Kind::Private(make) => text(make, None, true),
            Kind::Setting(make, set) => text(make, Some(set), false),
            Kind::Memory(make) => Body::File(make(task)),
            Kind::Other(make) => make(self, task),
        }
    }
}

impl Directory for ProcessDirectory {
    fn entry(&self, name: &[u8]) -> Result<Entry> {
        // The directory itself can't be searched any more: ESRCH.
        let task = alive(&self.task)?;
        let row = self
            .rows()
            .find(|row| row.name.as_bytes() == name)
            .ok_or(Errno::ENOENT)?;
        Ok(of_task(&task, self.body(row, &task), row.permissions))
    }

    fn names(&self) -> Result<Vec<(Vec<u8>, FileType)>> {
        let task = living(&self.task)?;
        let file_type = |row: &Row| self.body(row, &task).file_type();
        Ok(self
            .rows()
            .map(|row| (row.name.as_bytes().to_vec(), file_type(row)))
            .collect())
    }
}

/// A task that has not been reaped; ENOENT for names in the directory of one that has.
fn living(task: &Weak<Task>) -> Result<Arc<Task>> {
    task.upgrade()
        .filter(|task| task.run_state() != RunState::Dead)
        .ok_or(Errno::ENOENT)
}

/// A text of a process.
#[derive(Debug)]
struct Text {
    namespace: Arc<PidNamespace>,
    task: Weak<Task>,
    whole: bool,
    make: fn(&View<'_>) -> Result<Vec<u8>>,
    set: Option<Set>,
    private: bool,
}

impl Content for Text {
    fn read(&self, viewer: &Task) -> Result<Vec<u8>> {
        let task = alive(&self.task)?;
        (self.make)(&View {
            task: &task,
            viewer,
            namespace: &self.namespace,
            whole: self.whole,
        })
    }

    fn write(&self, viewer: &Task, bytes: &[u8], _offset: u64) -> Result<usize> {
        let task = alive(&self.task)?;
        let set = self.set.ok_or(Errno::EINVAL)?;
        set(
            &View {
                task: &task,
                viewer,
                namespace: &self.namespace,
                whole: self.whole,
            },
            viewer,
            bytes,
        )?;
        Ok(bytes.len())
    }

    fn open(&self, viewer: &Task) -> Result<Option<Arc<dyn Content>>> {
        if self.private {
            may_inspect(viewer, &*alive(&self.task)?)?;
        }
        Ok(None)
    }
}

/// Whether `viewer` may look into `target`; EACCES.
pub(super) fn may_inspect(viewer: &Task, target: &Task) -> Result<()> {
    access::check(viewer, target, access::Mode::FileSystem).map_err(|_| Errno::EACCES)
}

/// `/proc/[pid]/task`
#[derive(Debug)]
struct TaskDirectory {
    namespace: Arc<PidNamespace>,
    task: Weak<Task>,
}

impl TaskDirectory {
    fn of(directory: &ProcessDirectory, task: &Arc<Task>) -> TaskDirectory {
        TaskDirectory {
            namespace: directory.namespace.clone(),
            task: Arc::downgrade(task),
        }
    }
}

impl Directory for TaskDirectory {
    fn entry(&self, name: &[u8]) -> Result<Entry> {
        let id = parse_id(name)?;
        let group = living(&self.task)?.group().clone();
        let task = self
            .namespace
            .task(id)
            .filter(|task| Arc::ptr_eq(task.group(), &group))
            .ok_or(Errno::ENOENT)?;
        let directory = ProcessDirectory {
            namespace: self.namespace.clone(),
            task: Arc::downgrade(&task),
            whole: false,
        };
        Ok(of_task(&task, Body::Directory(Arc::new(directory)), 0o555))
    }

    fn names(&self) -> Result<Vec<(Vec<u8>, FileType)>> {
        let tasks = living(&self.task)?.group().tasks();
        let mut ids: Vec<u32> = tasks
            .iter()
            .map(|task| task.tid_in(&self.namespace))
            .filter(|id| *id != 0)
            .collect();
        ids.sort_unstable();
        Ok(ids
            .into_iter()
            .map(|id| (id.to_string().into_bytes(), FileType::Directory))
            .collect())
    }
}
