//! Files under way in messages (`SCM_RIGHTS`), and the collector of those that only each other hold.
//!
//! A socket can be sent over another, or over itself, and then be closed everywhere: it is only in an inbox
//! that nobody can read any more. [`InFlight::collect`] finds such sockets: those whose every reference is in
//! a message, and whose messages are all in inboxes of such sockets (`man 7 unix`, *BUGS*, tells of the limit
//! for the same reason).
//!
//! Files leave inboxes only with the lock of [`InFlight`] held, so that the collector never takes a file that
//! is being received for one that is lost.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use abi::Errno;
use locks::{Mutex, MutexGuard};

use super::{Connection, UnixSocket};
use crate::error::Result;
use crate::kernel::credentials::Capability;
use crate::kernel::limits::Resource;
use crate::kernel::task::Task;
use crate::vfs::file::OpenFile;

/// With up to this many sockets under way, the collector always looks.
const FEW: usize = 32;

/// The files of one message.
#[derive(Debug)]
pub struct Rights {
    files: Vec<Arc<OpenFile>>,
    uid: u32,
}

impl Rights {
    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.files.len()
    }

    /// The files.
    #[must_use]
    pub fn files(&self) -> &[Arc<OpenFile>] {
        &self.files
    }
}

/// What is under way in one kernel.
#[derive(Debug, Default)]
pub struct InFlight {
    table: Mutex<Table>,
    /// Sockets under way, to know without the lock whether there is anything to collect.
    sockets: AtomicUsize,
    /// How many the collector left.
    left: AtomicUsize,
    collecting: AtomicBool,
    grave: Mutex<Grave>,
}

/// The lock of [`InFlight`].
pub type Guard<'a> = MutexGuard<'a, Table>;

/// Counts of what is under way.
#[derive(Debug, Default)]
pub struct Table {
    /// By user who sent them.
    by_user: HashMap<u32, u64>,
    /// Unix sockets, by the address of their open file description.
    sockets: HashMap<usize, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    file: Weak<OpenFile>,
    /// In how many messages it is.
    messages: usize,
}

/// Files to be dropped, one after the other rather than one within the other.
#[derive(Debug, Default)]
struct Grave {
    files: Vec<Arc<OpenFile>>,
    draining: bool,
}

fn socket_of(file: &OpenFile) -> Option<&UnixSocket> {
    file.file_as::<UnixSocket>()
}

impl InFlight {
    /// Keeps files from leaving inboxes elsewhere.
    pub fn lock(&self) -> Guard<'_> {
        self.table.lock()
    }

    /// `files` are sent by `task`; ETOOMANYREFS above `RLIMIT_NOFILE` of its user's files.
    pub fn depart(&self, task: &Task, files: Vec<Arc<OpenFile>>) -> Result<Rights> {
        let uid = task.credentials().uid;
        let limit = task.group().limits().get(Resource::OpenFiles).soft;
        let exempt = task.has_capability(Capability::SysResource)
            || task.has_capability(Capability::SysAdmin);
        let mut table = self.lock();
        let count = table.by_user.entry(uid).or_default();
        if *count > limit && !exempt {
            return Err(Errno::ETOOMANYREFS);
        }
        *count += files.len() as u64;
        for file in files.iter().filter(|file| socket_of(file).is_some()) {
            let waiting = table.sockets.entry(Arc::as_ptr(file).addr());
            waiting
                .or_insert_with(|| Waiting {
                    file: Arc::downgrade(file),
                    messages: 0,
                })
                .messages += 1;
            self.sockets.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Rights { files, uid })
    }

    /// The files of a message are received, or taken back.
    pub fn arrive(&self, table: &mut Table, rights: Rights) -> Vec<Arc<OpenFile>> {
        let Rights { files, uid } = rights;
        if let Some(count) = table.by_user.get_mut(&uid) {
            *count = count.saturating_sub(files.len() as u64);
            if *count == 0 {
                table.by_user.remove(&uid);
            }
        }
        for file in files.iter().filter(|file| socket_of(file).is_some()) {
            self.sockets.fetch_sub(1, Ordering::Relaxed);
            let key = Arc::as_ptr(file).addr();
            if let Some(waiting) = table.sockets.get_mut(&key) {
                waiting.messages -= 1;
                if waiting.messages == 0 {
                    table.sockets.remove(&key);
                }
            }
        }
        files
    }

    /// Drops the files of messages that nobody will read. A file that is dropped may hold others in its
    /// inbox: they come after it, not inside, or the host's stack would end before the chain.
    pub fn bury(&self, rights: Vec<Rights>) {
        if rights.is_empty() {
            return;
        }
        let mut files = Vec::new();
        {
            let mut table = self.lock();
            for rights in rights {
                files.extend(self.arrive(&mut table, rights));
            }
        }
        let mut grave = self.grave.lock();
        grave.files.append(&mut files);
        if std::mem::replace(&mut grave.draining, true) {
            return;
        }
        while let Some(file) = grave.files.pop() {
            drop(grave);
            drop(file);
            grave = self.grave.lock();
        }
        grave.draining = false;
    }

    /// Takes the files out of sockets that nobody can reach any more, which ends those sockets.
    ///
    /// With many sockets under way it only looks once their number has doubled, so that closing sockets
    /// does not take time in proportion to the others'.
    pub fn collect(&self) {
        let sockets = self.sockets.load(Ordering::Relaxed);
        if sockets == 0
            || (sockets > FEW && sockets < 2 * self.left.load(Ordering::Relaxed))
            || self.collecting.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let lost = {
            let table = self.lock();
            table.lost()
        };
        self.bury(lost);
        let left = self.sockets.load(Ordering::Relaxed);
        self.left.store(left, Ordering::Relaxed);
        self.collecting.store(false, Ordering::Release);
    }
}

impl Table {
    /// The files of the messages in inboxes of sockets that nobody can reach.
    fn lost(&self) -> Vec<Rights> {
        // Those that nothing but messages refers to. Taking a reference while looking would spoil the
        // count, so it is read first.
        let candidates: HashMap<usize, Arc<OpenFile>> = self
            .sockets
            .iter()
            .filter(|(_, waiting)| waiting.file.strong_count() == waiting.messages)
            .filter_map(|(key, waiting)| Some((*key, waiting.file.upgrade()?)))
            .collect();
        let children: HashMap<usize, Vec<usize>> = candidates
            .iter()
            .map(|(key, file)| (*key, children_of(file)))
            .collect();
        let mut inside: HashMap<usize, usize> = HashMap::new();
        for child in children.values().flatten() {
            *inside.entry(*child).or_default() += 1;
        }
        let messages = |key: &usize| self.sockets.get(key).map_or(0, |waiting| waiting.messages);
        // In an inbox that somebody can read: alive, and so is what is in its own inbox.
        let mut alive: Vec<usize> = candidates
            .keys()
            .filter(|key| messages(key) > inside.get(key).copied().unwrap_or(0))
            .copied()
            .collect();
        let mut reached: HashSet<usize> = alive.iter().copied().collect();
        while let Some(key) = alive.pop() {
            for child in children.get(&key).into_iter().flatten() {
                if reached.insert(*child) {
                    alive.push(*child);
                }
            }
        }
        let lost = candidates.iter().filter(|(key, _)| !reached.contains(key));
        lost.flat_map(|(_, file)| strip(file)).collect()
    }
}

/// Calls `visit` for the socket of `file` and, if it listens, for those that wait to be accepted.
fn each_inbox(file: &OpenFile, mut visit: impl FnMut(&UnixSocket)) {
    let Some(socket) = socket_of(file) else {
        return;
    };
    visit(socket);
    let pending: Vec<Arc<UnixSocket>> = match &socket.state.lock().connection {
        Connection::Listening(listener) => listener.pending().cloned().collect(),
        _ => Vec::new(),
    };
    pending.iter().for_each(|embryo| visit(embryo));
}

/// The sockets in the inboxes of `file`, as often as they are there.
fn children_of(file: &OpenFile) -> Vec<usize> {
    let mut children = Vec::new();
    each_inbox(file, |socket| {
        let inbox = socket.inbox.lock();
        let rights = inbox
            .segments
            .iter()
            .filter_map(|segment| segment.rights.as_ref());
        let sockets = rights
            .flat_map(|rights| rights.files())
            .filter(|file| socket_of(file).is_some());
        children.extend(sockets.map(|file| Arc::as_ptr(file).addr()));
    });
    children
}

fn strip(file: &OpenFile) -> Vec<Rights> {
    let mut all = Vec::new();
    each_inbox(file, |socket| {
        all.extend(socket.inbox.lock().strip_rights());
    });
    all
}
