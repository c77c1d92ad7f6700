//! [`WindowCache`]: windows of host files in the Sentry's address space.
//!
//! A window is 2 MiB of a file, aligned. Pages behind the file's end, and pages that the host
//! truncates later, fail when they are touched; the windows themselves stay.

#![expect(unsafe_code, reason = "maps host files")]

use std::collections::HashMap;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rustix::mm::{self, MapFlags, ProtFlags};

use crate::Result;
use crate::bytes::GuestBytes;

/// Bytes in a window.
pub const WINDOW: u64 = 2 << 20;
const WINDOW_LEN: usize = 2 << 20;

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// A descriptor of a host file that can be mapped.
pub struct HostFile {
    fd: OwnedFd,
    /// Tells files apart in the cache, after the descriptor's number was used again too.
    id: u64,
}

impl HostFile {
    /// Takes over a descriptor.
    #[must_use]
    pub fn new(fd: OwnedFd) -> Arc<Self> {
        Arc::new(Self {
            fd,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        })
    }
}

impl AsFd for HostFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl fmt::Debug for HostFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostFile({:?})", self.fd)
    }
}

/// What a window may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WindowAccess {
    /// Loads; stores fault.
    Read,
    /// Loads and stores, which reach the file.
    ReadWrite,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    file: u64,
    index: u64,
    access: WindowAccess,
}

/// One mapped window; unmapped when the last user is gone.
#[derive(Debug)]
struct Window {
    base: usize,
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: the mapping was made in `map_window` with this address and length, and every
        // `GuestBytes` of it borrowed a pin that held this window. A failure leaves it in place.
        let _ = unsafe { mm::munmap(ptr::without_provenance_mut(self.base), WINDOW_LEN) };
    }
}

/// A part of a window that stays mapped as long as this lives.
#[derive(Clone, Debug)]
pub struct WindowPin {
    window: Arc<Window>,
    from: usize,
    len: usize,
}

impl WindowPin {
    /// The bytes that were asked for, as far as the window holds them.
    #[must_use]
    pub fn bytes(&self) -> GuestBytes<'_> {
        // SAFETY: 1. the window is mapped as long as `self` holds it, and `from` and `len` lie in it
        // (`WindowCache::pin`); 2. only `GuestBytes` touches it, so there are no references to it.
        unsafe { GuestBytes::new(self.window.base + self.from, self.len) }
    }
}

/// Mapped windows, the least recently used ones of which are dropped when there are too many.
#[derive(Debug)]
pub struct WindowCache {
    capacity: usize,
    windows: Mutex<Windows>,
}

#[derive(Debug, Default)]
struct Windows {
    by_key: HashMap<Key, (Arc<Window>, u64)>,
    /// Counts uses, to order them.
    clock: u64,
}

impl WindowCache {
    /// A cache of at most `capacity` windows; those in use come on top.
    #[must_use]
    pub fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            capacity: capacity.max(1),
            windows: Mutex::new(Windows::default()),
        })
    }

    /// Makes `len` bytes of a file from `offset` accessible, or as many as are in the same window.
    ///
    /// # Errors
    /// What mmap(2) reports: EACCES for a descriptor that does not allow the access, ENODEV for a
    /// file that can't be mapped, ENOMEM.
    pub fn pin(
        &self,
        file: &HostFile,
        offset: u64,
        len: u64,
        access: WindowAccess,
    ) -> Result<WindowPin> {
        let key = Key {
            file: file.id,
            index: offset / WINDOW,
            access,
        };
        let from = usize::try_from(offset % WINDOW).expect("less than a window");
        let len = usize::try_from(len)
            .unwrap_or(WINDOW_LEN)
            .min(WINDOW_LEN - from);
        if let Some(window) = self.windows.lock().get(key) {
            return Ok(WindowPin { window, from, len });
        }
        // Two threads may map the same window at once; the second one's is dropped.
        let window = Arc::new(map_window(file, key)?);
        let (window, dropped) = self.windows.lock().add(key, window, self.capacity);
        drop(dropped);
        Ok(WindowPin { window, from, len })
    }

    /// Drops all windows of a file that are not in use.
    pub fn forget(&self, file: &HostFile) {
        let mut dropped = Vec::new();
        self.windows.lock().by_key.retain(|key, (window, _)| {
            if key.file == file.id {
                dropped.push(Arc::clone(window));
            }
            key.file != file.id
        });
    }
}

impl Windows {
    fn get(&mut self, key: Key) -> Option<Arc<Window>> {
        self.clock += 1;
        let (window, used) = self.by_key.get_mut(&key)?;
        *used = self.clock;
        Some(Arc::clone(window))
    }

    /// Adds a window unless there is one; returns the one to use and those that were dropped.
    fn add(
        &mut self,
        key: Key,
        window: Arc<Window>,
        capacity: usize,
    ) -> (Arc<Window>, Vec<Arc<Window>>) {
        self.clock += 1;
        let mut dropped = Vec::new();
        let kept = Arc::clone(&self.by_key.entry(key).or_insert((window, self.clock)).0);
        if self.by_key.len() > capacity {
            // A quarter at once, so that the scan is rare.
            let mut uses: Vec<(u64, Key)> = self
                .by_key
                .iter()
                .map(|(&key, &(_, used))| (used, key))
                .collect();
            uses.sort_unstable_by_key(|&(used, _)| used);
            let surplus = (self.by_key.len() - capacity) + capacity / 4;
            let oldest = uses
                .into_iter()
                .filter(|&(_, other)| other != key)
                .take(surplus);
            dropped.extend(
                oldest
                    .filter_map(|(_, key)| self.by_key.remove(&key))
                    .map(|(window, _)| window),
            );
        }
        (kept, dropped)
    }
}

fn map_window(file: &HostFile, key: Key) -> Result<Window> {
    let access = match key.access {
        WindowAccess::Read => ProtFlags::READ,
        WindowAccess::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
    };
    let offset = key.index * WINDOW;
    // SAFETY: a new mapping at an address that the kernel chooses replaces nothing.
    let mapped = unsafe {
        mm::mmap(
            ptr::null_mut(),
            WINDOW_LEN,
            access,
            MapFlags::SHARED,
            &file.fd,
            offset,
        )
    };
    mapped
        .map(|base| Window { base: base.addr() })
        .map_err(host::errno)
}

#[cfg(test)]
mod tests;
