//! Changing what an epoll watches: `epoll_ctl(2)`.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use abi::Errno;
use locks::Mutex;

use super::{Epoll, EpollGraph, Interest, Interests, Item, Key, Mode, Watch, Watcher, queue_of};
use crate::error::Result;
use crate::kernel::wait_queue::{Events, Wakeup};
use crate::vfs::file::OpenFile;

/// Bits that may be asked for together with EPOLLEXCLUSIVE.
const WITH_EXCLUSIVE: u32 = Events::IN.bits()
    | Events::OUT.bits()
    | Events::ERR.bits()
    | Events::HUP.bits()
    | Mode::WAKEUP.bits()
    | Mode::EDGE.bits()
    | Mode::EXCLUSIVE.bits();

fn interest(bits: u32, data: u64) -> Interest {
    Interest {
        events: Events::from_bits_truncate(bits),
        mode: Mode::from_bits_truncate(bits),
        data,
        spent: false,
    }
}

fn key(file: &Arc<OpenFile>, fd: i32) -> Key {
    (Arc::as_ptr(file).addr(), fd)
}

impl Interests {
    /// Throws out the watches of files that are closed, once the table has doubled.
    fn sweep(&mut self) {
        if self.watches.len() < 2 * self.swept.max(16) {
            return;
        }
        self.watches
            .retain(|_, watch| watch.item.file.strong_count() > 0);
        self.swept = self.watches.len();
    }
}

impl Epoll {
    /// `EPOLL_CTL_ADD`: watches `file`, known as descriptor `fd`, for the events in `bits`. EEXIST; EPERM
    /// for a file that is always ready; ELOOP; ENOSPC if the user has more than `most` watches then.
    pub fn add(
        &self,
        graph: &EpollGraph,
        most: u64,
        file: &Arc<OpenFile>,
        fd: i32,
        bits: u32,
        data: u64,
    ) -> Result<()> {
        let interest = interest(bits, data);
        let exclusive = interest.mode.contains(Mode::EXCLUSIVE);
        let nested = super::of(file);
        if exclusive && (nested.is_some() || bits & !WITH_EXCLUSIVE != 0) {
            return Err(Errno::EINVAL);
        }
        let queue = queue_of(file)?;
        let _graph = nested.map(|child| graph.link(self, child)).transpose()?;
        let item = Arc::new(Item {
            epoll: self.this.clone(),
            file: Arc::downgrade(file),
            interest: Mutex::new(interest),
            listed: AtomicBool::new(false),
        });
        let (mask, wakeup) = if exclusive {
            (interest.events, Wakeup::Exclusive)
        } else {
            (Events::all(), Wakeup::Shared)
        };
        {
            let mut interests = self.interests.lock();
            if interests.watches.contains_key(&key(file, fd)) {
                return Err(Errno::EEXIST);
            }
            interests.sweep();
            let charge = self.user_watches.charge_within(1, most);
            let watch = Watch {
                item: item.clone(),
                _charge: charge.ok_or(Errno::ENOSPC)?,
                _registration: queue.register(Arc::new(Watcher(item.clone())), mask, wakeup),
            };
            interests.watches.insert(key(file, fd), watch);
        }
        if let Some(child) = nested {
            child.parents.lock().push(self.this.clone());
        }
        if item.poll().is_some() {
            self.enlist(&item);
        }
        Ok(())
    }

    /// `EPOLL_CTL_MOD`: watches for something else. ENOENT; EINVAL if the interest is or becomes exclusive.
    pub fn modify(&self, file: &Arc<OpenFile>, fd: i32, bits: u32, data: u64) -> Result<()> {
        let new = interest(bits, data);
        queue_of(file)?;
        if new.mode.contains(Mode::EXCLUSIVE) {
            return Err(Errno::EINVAL);
        }
        let item = {
            let interests = self.interests.lock();
            let watch = interests.watches.get(&key(file, fd));
            watch.ok_or(Errno::ENOENT)?.item.clone()
        };
        {
            let mut interest = item.interest.lock();
            if interest.mode.contains(Mode::EXCLUSIVE) {
                return Err(Errno::EINVAL);
            }
            *interest = new;
        }
        if item.poll().is_some() {
            self.enlist(&item);
        }
        Ok(())
    }

    /// `EPOLL_CTL_DEL`: watches no longer; ENOENT.
    pub fn remove(&self, file: &Arc<OpenFile>, fd: i32) -> Result<()> {
        queue_of(file)?;
        let watch = self.interests.lock().watches.remove(&key(file, fd));
        let watch = watch.ok_or(Errno::ENOENT)?;
        watch.item.interest.lock().spent = true;
        if let Some(child) = super::of(file) {
            let mut parents = child.parents.lock();
            if let Some(at) = parents.iter().position(|parent| parent.ptr_eq(&self.this)) {
                parents.swap_remove(at);
            }
        }
        Ok(())
    }

    /// The lines of `/proc/[pid]/fdinfo` (`man 5 proc`).
    pub(super) fn describe(&self) -> String {
        let interests = self.interests.lock();
        let mut watches: Vec<(i32, Arc<Item>)> = interests
            .watches
            .iter()
            .map(|((_, fd), watch)| (*fd, watch.item.clone()))
            .collect();
        drop(interests);
        watches.sort_by_key(|(fd, _)| *fd);
        let mut text = String::new();
        for (fd, item) in watches {
            let Some(file) = item.file.upgrade() else {
                continue;
            };
            let interest = *item.interest.lock();
            let bits = (interest.events | Events::ALWAYS).bits() | interest.mode.bits();
            let ino = file.inode().attr().map_or(0, |attr| attr.ino);
            let device = file.inode().file_system().device().encode();
            let _ = writeln!(
                text,
                "tfd: {fd:8} events: {bits:8x} data: {:16x}  pos:{} ino:{ino:x} sdev:{device:x}",
                interest.data,
                file.offset().last(),
            );
        }
        text
    }
}
