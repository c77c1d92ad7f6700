//! Pid namespaces, process groups and sessions (`man 7 pid_namespaces`, `man 2 setpgid`, `man 2 setsid`).

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use abi::Errno;
use parking_lot::Mutex;

use crate::error::Result;
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;
use crate::kernel::user_namespace::UserNamespace;
use crate::kernel::wait_queue::Events;

/// Ids run up to `kernel.pid_max`, which is this at most, then start again above 300.
pub const PID_MAX: u32 = 4_194_304;
const FIRST_REUSED: u32 = 300;
/// The number of a namespace's first process.
const INIT: u32 = 1;
/// How deep namespaces may be nested in the outermost one.
const MOST_LEVELS: u32 = 32;

/// A pid namespace: a table from numbers to what has them.
#[derive(Debug)]
pub struct PidNamespace {
    /// Inode number.
    pub ino: u64,
    /// The namespace it was made in.
    pub parent: Option<Arc<PidNamespace>>,
    /// How many namespaces it is nested in.
    level: u32,
    /// Whose capabilities count in it.
    pub user_ns: Arc<UserNamespace>,
    table: Mutex<PidTable>,
}

#[derive(Debug, Default)]
struct PidTable {
    last: u32,
    tasks: BTreeMap<u32, Arc<Task>>,
    process_groups: WeakTable<ProcessGroup>,
    sessions: WeakTable<Session>,
    /// Its init is gone: nothing new may be made in it.
    dead: bool,
    /// Most tasks, if limited.
    most_tasks: Option<usize>,
}

impl PidTable {
    fn is_free(&self, id: u32) -> bool {
        !self.tasks.contains_key(&id) && !self.process_groups.has(id) && !self.sessions.has(id)
    }
}

/// What there is of each number, as long as somebody else keeps it.
#[derive(Debug)]
struct WeakTable<T> {
    entries: BTreeMap<u32, Weak<T>>,
    /// How many entries there may be before those without anything behind them are forgotten: twice as many as there
    /// were after the last time, so that each insertion costs the same.
    most: usize,
}

/// A table with fewer entries is not swept.
const SWEEP: usize = 64;

impl<T> Default for WeakTable<T> {
    fn default() -> WeakTable<T> {
        WeakTable {
            entries: BTreeMap::new(),
            most: SWEEP,
        }
    }
}

impl<T> WeakTable<T> {
    fn has(&self, id: u32) -> bool {
        self.entries
            .get(&id)
            .is_some_and(|weak| weak.strong_count() > 0)
    }

    fn get(&self, id: u32) -> Option<Arc<T>> {
        self.entries.get(&id)?.upgrade()
    }

    fn insert(&mut self, id: u32, object: &Arc<T>) {
        if self.entries.len() >= self.most {
            self.entries.retain(|_, weak| weak.strong_count() > 0);
            self.most = SWEEP.max(2 * self.entries.len());
        }
        self.entries.insert(id, Arc::downgrade(object));
    }
}

impl PidNamespace {
    /// The outermost namespace, empty.
    #[must_use]
    pub fn new(ino: u64, user_ns: Arc<UserNamespace>) -> Arc<PidNamespace> {
        Arc::new(PidNamespace {
            ino,
            parent: None,
            level: 0,
            user_ns,
            table: Mutex::default(),
        })
    }

    /// An empty namespace in this one; ENOSPC: they are nested as deep as may be (`man 7 pid_namespaces`,
    /// *Nesting PID namespaces*).
    pub fn nested(
        self: &Arc<Self>,
        ino: u64,
        user_ns: Arc<UserNamespace>,
    ) -> Result<Arc<PidNamespace>> {
        if self.level >= MOST_LEVELS {
            return Err(Errno::ENOSPC);
        }
        Ok(Arc::new(PidNamespace {
            ino,
            parent: Some(self.clone()),
            level: self.level + 1,
            user_ns,
            table: Mutex::default(),
        }))
    }

    /// Allows this many tasks from now on; those that there are stay.
    pub fn limit_tasks(&self, most: Option<usize>) {
        self.table.lock().most_tasks = most;
    }

    /// How many tasks there are, and may be.
    #[must_use]
    pub fn task_count(&self) -> (usize, Option<usize>) {
        let table = self.table.lock();
        (table.tasks.len(), table.most_tasks)
    }

    /// Reserves the next free number; ENOMEM once the namespace's init is gone, EAGAIN if none is free
    /// or a limit is reached (Documentation/admin-guide/cgroup-v1/pids.rst; `threads-max` in `man 5 proc_sys_kernel`).
    pub fn allocate(&self, task: &Arc<Task>) -> Result<u32> {
        let shown = &task.kernel().sysctl;
        let most_threads = match self.parent {
            Some(_) => u64::MAX,
            None => shown.number("kernel/threads-max"),
        };
        let end = u32::try_from(shown.number("kernel/pid_max")).unwrap_or(PID_MAX);
        let end = end.clamp(FIRST_REUSED + 1, PID_MAX);
        let mut table = self.table.lock();
        if table.dead {
            return Err(Errno::ENOMEM);
        }
        let is_full = table
            .most_tasks
            .is_some_and(|most| table.tasks.len() >= most);
        if is_full || table.tasks.len() as u64 >= most_threads {
            return Err(Errno::EAGAIN);
        }
        for _ in 0..end {
            let id = if table.last + 1 >= end {
                FIRST_REUSED
            } else {
                table.last + 1
            };
            table.last = id;
            if table.is_free(id) {
                table.tasks.insert(id, task.clone());
                return Ok(id);
            }
        }
        Err(Errno::EAGAIN)
    }

    /// A process could not be made after it would have had a number on Linux: a namespace whose first process that was
    /// never gets another (`free_pid` in Linux's `kernel/pid.c`).
    pub(crate) fn first_process_failed(&self) {
        let mut table = self.table.lock();
        table.dead |= table.last == 0;
    }

    /// The number was given to nobody. That of an init is the next one's again.
    fn take_back(&self, id: u32) {
        let mut table = self.table.lock();
        table.tasks.remove(&id);
        if id == 1 {
            table.last = 0;
        }
    }

    /// The number is free again. An init that goes last looks whether this was what it waits for: it need not be the
    /// parent of what ends, which may be outside of the namespace (`free_pid` in Linux's `kernel/pid.c`).
    pub fn release(&self, id: u32) {
        let init = {
            let mut table = self.table.lock();
            table.tasks.remove(&id);
            if table.dead {
                table.tasks.get(&INIT).cloned()
            } else {
                None
            }
        };
        if let Some(init) = init {
            init.group().child_events.wake(Events::IN);
        }
    }

    /// The number now means another task (`execve` from a thread that is not the leader).
    pub fn replace(&self, id: u32, task: &Arc<Task>) {
        self.table.lock().tasks.insert(id, task.clone());
    }

    /// The namespace's init is gone.
    pub fn set_dead(&self) {
        self.table.lock().dead = true;
    }

    /// The task with this thread id.
    pub fn task(&self, id: u32) -> Option<Arc<Task>> {
        self.table.lock().tasks.get(&id).cloned()
    }

    /// The thread group with this process id.
    pub fn group(&self, id: u32) -> Option<Arc<ThreadGroup>> {
        let task = self.task(id)?;
        task.is_leader().then(|| task.group().clone())
    }

    /// All tasks, by id.
    pub fn tasks(&self) -> Vec<(u32, Arc<Task>)> {
        self.table
            .lock()
            .tasks
            .iter()
            .map(|(id, task)| (*id, task.clone()))
            .collect()
    }

    /// All thread groups, by id, zombies included.
    pub fn groups(&self) -> Vec<(u32, Arc<ThreadGroup>)> {
        let leaders = self
            .tasks()
            .into_iter()
            .filter(|(_, task)| task.is_leader());
        leaders
            .map(|(id, task)| (id, task.group().clone()))
            .collect()
    }

    /// The last id given out (`/proc/loadavg`).
    pub fn last_id(&self) -> u32 {
        self.table.lock().last
    }

    /// The process group with this id.
    pub fn process_group(&self, id: u32) -> Option<Arc<ProcessGroup>> {
        self.table.lock().process_groups.get(id)
    }

    /// The session with this id.
    pub fn session(&self, id: u32) -> Option<Arc<Session>> {
        self.table.lock().sessions.get(id)
    }

    fn add_process_group(&self, id: u32, group: &Arc<ProcessGroup>) {
        self.table.lock().process_groups.insert(id, group);
    }

    fn add_session(&self, id: u32, session: &Arc<Session>) {
        self.table.lock().sessions.insert(id, session);
    }

    /// Whether `self` is `other` or one of its descendants.
    #[must_use]
    pub fn is_within(self: &Arc<Self>, other: &Arc<PidNamespace>) -> bool {
        let mut current = Some(self);
        while let Some(namespace) = current {
            if Arc::ptr_eq(namespace, other) {
                return true;
            }
            current = namespace.parent.as_ref();
        }
        false
    }
}

/// A task's or group's number in each namespace that sees it, the innermost last.
#[derive(Clone, Debug)]
pub struct PidNumbers(pub Vec<(Arc<PidNamespace>, u32)>);

impl PidNumbers {
    /// Reserves a number for `task` in `namespace` and every one above it.
    pub fn allocate(namespace: &Arc<PidNamespace>, task: &Arc<Task>) -> Result<PidNumbers> {
        let mut numbers: Vec<(Arc<PidNamespace>, u32)> = Vec::new();
        let mut current = Some(namespace.clone());
        while let Some(level) = current {
            match level.allocate(task) {
                Ok(id) => numbers.push((level.clone(), id)),
                Err(errno) => {
                    numbers
                        .iter()
                        .for_each(|(namespace, id)| namespace.take_back(*id));
                    return Err(errno);
                }
            }
            current = level.parent.clone();
        }
        numbers.reverse();
        Ok(PidNumbers(numbers))
    }

    /// Frees every number.
    pub fn release(&self) {
        self.0
            .iter()
            .for_each(|(namespace, id)| namespace.release(*id));
    }

    /// The number that `namespace` knows, 0 if it sees none.
    #[must_use]
    pub fn in_namespace(&self, namespace: &Arc<PidNamespace>) -> u32 {
        self.0
            .iter()
            .find(|(level, _)| Arc::ptr_eq(level, namespace))
            .map_or(0, |(_, id)| *id)
    }

    /// The innermost namespace.
    #[must_use]
    pub fn namespace(&self) -> &Arc<PidNamespace> {
        &self
            .0
            .last()
            .expect("a task has a number in at least one namespace")
            .0
    }

    /// The number in the innermost namespace.
    #[must_use]
    pub fn own(&self) -> u32 {
        self.0.last().map_or(0, |(_, id)| *id)
    }
}

/// A session (`man 7 credentials`). It lives as long as a process group of it.
#[derive(Debug)]
pub struct Session {
    /// Its numbers: those of the leader that made it.
    pub numbers: PidNumbers,
    /// The leader, while it lives.
    pub leader: Mutex<Weak<ThreadGroup>>,
    /// The controlling terminal.
    pub terminal: Mutex<Option<Arc<crate::fs::tty::Tty>>>,
}

/// A process group. It lives as long as a member.
#[derive(Debug)]
pub struct ProcessGroup {
    /// Its numbers: those of the process that made it.
    pub numbers: PidNumbers,
    /// Its session.
    pub session: Arc<Session>,
    /// Who is in it, zombies included, by address.
    members: Mutex<BTreeMap<usize, Weak<ThreadGroup>>>,
}

impl Session {
    /// A new session with its first process group, both numbered as `leader` is.
    pub fn create(numbers: PidNumbers, leader: &Arc<ThreadGroup>) -> Arc<ProcessGroup> {
        let session = Arc::new(Session {
            numbers: numbers.clone(),
            leader: Mutex::new(Arc::downgrade(leader)),
            terminal: Mutex::new(None),
        });
        for (namespace, id) in &numbers.0 {
            namespace.add_session(*id, &session);
        }
        ProcessGroup::create(numbers, session)
    }
}

impl ProcessGroup {
    /// A new process group in `session`.
    pub fn create(numbers: PidNumbers, session: Arc<Session>) -> Arc<ProcessGroup> {
        let group = Arc::new(ProcessGroup {
            numbers: numbers.clone(),
            session,
            members: Mutex::default(),
        });
        for (namespace, id) in &numbers.0 {
            namespace.add_process_group(*id, &group);
        }
        group
    }

    /// Who is in it, zombies included.
    #[must_use]
    pub fn members(&self) -> Vec<Arc<ThreadGroup>> {
        let members = self.members.lock();
        members.values().filter_map(Weak::upgrade).collect()
    }

    /// Takes in a thread group, whose link to this one is its holder's to make.
    pub(crate) fn add(&self, member: &Arc<ThreadGroup>) {
        let address = Arc::as_ptr(member).addr();
        self.members.lock().insert(address, Arc::downgrade(member));
    }

    /// The thread group is in another now, or gone.
    pub(crate) fn remove(&self, member: &Arc<ThreadGroup>) {
        self.members.lock().remove(&Arc::as_ptr(member).addr());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{SWEEP, WeakTable};

    #[test]
    fn a_table_forgets_what_nobody_keeps() {
        let mut table = WeakTable::default();
        let kept: Vec<Arc<u32>> = (0..10).map(Arc::new).collect();
        for object in &kept {
            table.insert(**object, object);
        }
        for id in 10..10_000 {
            table.insert(id, &Arc::new(id));
            assert!(!table.has(id));
            assert!(table.entries.len() <= SWEEP);
        }
        for object in &kept {
            assert_eq!(table.get(**object).as_deref(), Some(&**object));
        }
    }
}
