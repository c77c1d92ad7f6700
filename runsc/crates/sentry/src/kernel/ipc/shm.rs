//! Shared memory segments (`man 2 shmop`, `man 2 shmctl`).

use std::sync::Arc;

use abi::{Errno, PAGE_SIZE};
use locks::Mutex;
use mm::address_space::{Backing, MapAt, MapRequest, MmLimits};
use mm::mappable::Mappable;
use platform::Access;

use super::permission::{Permission, READ, WRITE};
use super::table::{self, Lookup, PRIVATE};
use super::{Encoder, count, limits, now, of};
use crate::error::Result;
use crate::fs::shared_memory::SharedMemory;
use crate::kernel::credentials::Capability;
use crate::kernel::limits::Resource;
use crate::kernel::task::Task;
use crate::kernel::user_count::Charge;

/// `SHM_DEST`: it goes with its last attachment.
const DESTROYED: u32 = 0o1000;
/// `SHM_LOCKED`
const LOCKED: u32 = 0o2000;

/// A segment.
#[derive(Debug)]
pub struct Segment {
    id: i32,
    len: u64,
    memory: Arc<SharedMemory>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    permission: Permission,
    attached: i64,
    detached: i64,
    changed: i64,
    creator: u32,
    last: u32,
    /// Its bytes, counted for the user who locked it.
    locked: Option<Charge>,
}

/// How a segment is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attach {
    /// Where; 0: anywhere.
    pub address: usize,
    /// `SHM_RND`
    pub rounds: bool,
    /// `SHM_REMAP`
    pub replaces: bool,
    /// Not `SHM_RDONLY`
    pub writes: bool,
    /// `SHM_EXEC`
    pub executes: bool,
}

/// `shmget(2)`
pub fn get(task: &Task, key: i32, len: usize, flags: u32) -> Result<i32> {
    let limits = table::Limits {
        objects: limits::segments(task),
        parts: limits::segment_pages(task),
    };
    let longest = limits::segment_bytes(task);
    let namespace = of(task);
    let credentials = task.credentials();
    let mut segments = namespace.segments.lock();
    match segments.look_up(key, flags)? {
        Lookup::Found(id, segment) => {
            segment.state.lock().permission.check(&credentials, flags)?;
            if len as u64 > segment.len {
                return Err(Errno::EINVAL);
            }
            Ok(id)
        }
        Lookup::Missing => {
            if len == 0 || len as u64 > longest {
                return Err(Errno::EINVAL);
            }
            let size = len
                .checked_next_multiple_of(PAGE_SIZE)
                .ok_or(Errno::ENOMEM)? as u64;
            segments.add(key, size / PAGE_SIZE as u64, limits, |sequence, id| {
                task.kernel().memory().check_lasting(Errno::ENOMEM)?;
                let name = format!("00:01 {id} /SYSV{key:08x} (deleted)");
                let memory = SharedMemory::new(task.kernel().memory(), size, name)
                    .map_err(|_| Errno::ENOMEM)?;
                let mut permission = Permission::new(&credentials, key, flags);
                permission.sequence = sequence;
                Ok(Arc::new(Segment {
                    id,
                    len: len as u64,
                    memory,
                    state: Mutex::new(State {
                        permission,
                        attached: 0,
                        detached: 0,
                        changed: now(task),
                        creator: task.group().pid(),
                        last: 0,
                        locked: None,
                    }),
                }))
            })
        }
    }
}

/// The segment of an identifier.
pub fn find(task: &Task, id: i32) -> Result<Arc<Segment>> {
    let found = of(task).segments.lock().get(id)?;
    found.forget_if_unused(task);
    Ok(found)
}

/// Removes the segments that are marked for it and that nobody has attached any more.
pub(super) fn sweep(task: &Task) {
    let all = of(task).segments.lock().all();
    for (_, segment) in all {
        segment.forget_if_unused(task);
    }
}

/// `shmat(2)`: where it is.
pub fn attach(task: &Task, id: i32, how: Attach, limits: &MmLimits) -> Result<usize> {
    let segment = find(task, id)?;
    let mut access = Access::READ;
    let mut wanted = READ;
    if how.writes {
        access |= Access::WRITE;
        wanted |= WRITE;
    }
    if how.executes {
        access |= Access::EXECUTE;
        wanted |= 0o111;
    }
    segment
        .state
        .lock()
        .permission
        .check(&task.credentials(), wanted)?;
    let mut address = how.address;
    if !address.is_multiple_of(PAGE_SIZE) {
        if !how.rounds {
            return Err(Errno::EINVAL);
        }
        address -= address % PAGE_SIZE;
    }
    let at = match (address, how.replaces) {
        (0, true) => return Err(Errno::EINVAL),
        (0, false) => MapAt::Hint(0),
        (address, true) => MapAt::Fixed(address),
        (address, false) => MapAt::FixedNoReplace(address),
    };
    let max_access = if how.writes {
        Access::all()
    } else {
        Access::READ | Access::EXECUTE
    };
    let mappable: Arc<dyn Mappable> = segment.memory.clone();
    let request = MapRequest {
        at,
        len: usize::try_from(segment.len).map_err(|_| Errno::ENOMEM)?,
        access,
        max_access,
        private: false,
        backing: Backing::File {
            mappable,
            offset: 0,
            open: None,
        },
        grows_down: false,
        locked: false,
        no_reserve: false,
        populate: false,
        stack: false,
    };
    let mapped = match task.mm().map(&request, limits) {
        Err(Errno::EEXIST) => return Err(Errno::EINVAL),
        other => other?,
    };
    let mut state = segment.state.lock();
    state.attached = now(task);
    state.last = task.group().pid();
    Ok(mapped)
}

/// `shmdt(2)`: EINVAL if no segment is attached there.
pub fn detach(task: &Task, address: usize) -> Result<()> {
    let mm = task.mm();
    let all = of(task).segments.lock().all();
    let mut found: Option<u64> = None;
    let mut pieces = Vec::new();
    for (range, vma) in mm.vmas() {
        let Some(file) = vma.file.filter(|file| file.file.is_none()) else {
            continue;
        };
        let here = range.start.checked_sub(address).map(|delta| delta as u64);
        let id = file.mappable.id();
        let is_segment = all.iter().any(|(_, segment)| segment.memory.id() == id);
        if here == Some(file.offset) && is_segment && *found.get_or_insert(id) == id {
            pieces.push(range);
        }
    }
    let id = found.ok_or(Errno::EINVAL)?;
    for range in pieces {
        mm.unmap(range.start, range.len())?;
    }
    for (_, segment) in all {
        if segment.memory.id() == id {
            let mut state = segment.state.lock();
            state.detached = now(task);
            state.last = task.group().pid();
            drop(state);
            segment.forget_if_unused(task);
        }
    }
    Ok(())
}

/// `IPC_RMID`: it goes once nobody has it attached, and its key at once.
pub fn remove(task: &Task, id: i32) -> Result<()> {
    let segment = find(task, id)?;
    {
        let mut state = segment.state.lock();
        state.permission.check_owner(&task.credentials())?;
        state.permission.mode |= DESTROYED;
        state.permission.key = PRIVATE;
    }
    of(task).segments.lock().forget_key(id);
    segment.forget_if_unused(task);
    Ok(())
}

impl Segment {
    /// Its line in `/proc/sysvipc/shm`. What of it is resident is not told: all of it, as if it were touched.
    pub(crate) fn line(&self, id: i32) -> String {
        let attachments = self.attachments();
        let state = self.state.lock();
        let owner = &state.permission;
        format!(
            "{:10} {id:10}  {:4o} {:21} {:5} {:5}  {attachments:5} {:5} {:5} {:5} {:5} {:10} {:10} {:10} {:21} {:21}\n",
            owner.key,
            owner.mode,
            self.len,
            state.creator,
            state.last,
            owner.uid,
            owner.gid,
            owner.creator_uid,
            owner.creator_gid,
            state.attached,
            state.detached,
            state.changed,
            self.len,
            0,
        )
    }

    /// How many areas map it.
    fn attachments(&self) -> usize {
        // One reference is the segment's own.
        Arc::strong_count(&self.memory).saturating_sub(1)
    }

    fn forget_if_unused(&self, task: &Task) {
        let destroyed = self.state.lock().permission.mode & DESTROYED != 0;
        if destroyed && self.attachments() == 0 {
            of(task).segments.lock().remove(self.id);
        }
    }

    /// `IPC_STAT`: a `struct shmid64_ds`.
    pub fn stat(&self, task: &Task, wanted: u32) -> Result<Vec<u8>> {
        let state = self.state.lock();
        state.permission.check(&task.credentials(), wanted)?;
        Ok(state
            .permission
            .encode()
            .word(self.len)
            .signed(state.attached)
            .signed(state.detached)
            .signed(state.changed)
            .half(state.creator)
            .half(state.last)
            .word(self.attachments() as u64)
            .word(0)
            .word(0)
            .finish())
    }

    /// `IPC_SET`
    pub fn set(&self, task: &Task, owner: (u32, u32), mode: u32) -> Result<()> {
        let mut state = self.state.lock();
        state.permission.set_by(&task.credentials(), owner, mode)?;
        state.changed = now(task);
        Ok(())
    }

    /// `SHM_LOCK` and `SHM_UNLOCK`: a mark that counts for the user; the host pages or does not, as it likes.
    /// EPERM, ENOMEM beyond `RLIMIT_MEMLOCK` (`man 2 shmctl`).
    pub fn set_locked(&self, task: &Task, locked: bool) -> Result<()> {
        let mut state = self.state.lock();
        let mut limit = u64::MAX;
        if !task.has_capability(Capability::IpcLock) {
            state.permission.check_owner(&task.credentials())?;
            limit = task.group().limits().get(Resource::LockedMemory).soft;
        }
        if !locked {
            state.permission.mode &= !LOCKED;
            state.locked = None;
            return Ok(());
        }
        if limit == 0 {
            return Err(Errno::EPERM);
        }
        if state.locked.is_none() {
            let user = task.kernel().locked_shm.of(task.credentials().euid);
            let charge = user.charge_within(self.len, limit).ok_or(Errno::ENOMEM)?;
            state.locked = Some(charge);
        }
        state.permission.mode |= LOCKED;
        Ok(())
    }
}

/// `IPC_INFO`: a `struct shminfo64`.
#[must_use]
pub fn limits_info(task: &Task) -> Vec<u8> {
    let segments = limits::segments(task) as u64;
    let words = [
        limits::segment_bytes(task),
        1,
        segments,
        segments,
        limits::segment_pages(task),
    ];
    let encoder = words
        .iter()
        .fold(Encoder::default(), |all, word| all.word(*word));
    encoder.word(0).word(0).word(0).word(0).finish()
}

/// `SHM_INFO`: a `struct shm_info`, and the highest slot in use.
#[must_use]
pub fn used_info(task: &Task) -> (Vec<u8>, u64) {
    let namespace = of(task);
    let segments = namespace.segments.lock();
    let all = segments.all();
    let pages = PAGE_SIZE as u64;
    let total: u64 = all
        .iter()
        .map(|(_, segment)| segment.len.div_ceil(pages))
        .sum();
    let resident: u64 = all
        .iter()
        .map(|(_, segment)| segment.memory.allocated() / pages)
        .sum();
    let bytes = Encoder::default()
        .half(count(segments.count()))
        .half(0)
        .word(total)
        .word(resident)
        .word(0)
        .word(0)
        .word(0)
        .finish();
    (bytes, segments.highest())
}
