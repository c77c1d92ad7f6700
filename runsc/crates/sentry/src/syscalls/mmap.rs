//! `man 2 mmap`, mprotect, mremap, brk, pkeys: what is mapped where.

use abi::Errno;
use abi::raw::general as nr;
use mm::RemapRequest;
use mm::address_space::{Backing, MapAt, MapRequest, MmLimits};
use mm::user_ptr::UserPtr;
use platform::Access;

use crate::error::{Result, SyscallResult};
use crate::fs::shared_memory::SharedMemory;
use crate::kernel::credentials::Capability;
use crate::kernel::limits::Resource;
use crate::kernel::task::Task;
use crate::syscalls::args::Fd;
use crate::syscalls::declare::calls;
use crate::vfs::file::OpenFlags;
use crate::vfs::seals::SealFlags;

calls! {
    9 mmap(
        address: UserPtr<u8>,
        len: usize,
        prot: u32 as Flags(memory::PROT),
        flags: u32 as Before(memory::map_flags),
        fd: Fd,
        offset: u64 as Before(memory::hex_offset),
    ) -> Hex
        => partial("huge pages (MAP_HUGETLB is ENOMEM), MAP_SYNC") [
            "mmap_place::hint_within_the_guard_of_a_stack_is_no_hint",
            "mmap_place::hint_is_honoured_if_free",
        ];
    11 munmap(address: UserPtr<u8>, len: usize)
        => full ["mmap::munmap_errors", "mmap::munmap_in_the_middle_splits"];
    10 mprotect(address: UserPtr<u8>, len: usize, protection: u32 as Flags(memory::PROT))
        => full ["mmap::execute_after_mprotect", "mmap::mprotect_splits_and_merges"];
    25 mremap(
        old: UserPtr<u8>,
        old_len: usize,
        new_len: usize,
        flags: u32 as Flags(memory::MREMAP),
        new: UserPtr<u8> as Before(memory::new_address),
    ) -> Hex
        => full ["madvise::mremap_of_zero_duplicates_shared_memory", "madvise::mremap_grows_in_place"];
    12 brk(address: UserPtr<u8>) -> Hex => full ["mmap::brk_stops_at_its_limit", "mmap::brk_moves"];
    329 pkey_mprotect(address: UserPtr<u8>, len: usize, protection: u32 as Flags(memory::PROT), key: i32)
        => full ["forms::protection_with_the_default_key"];
    330 pkey_alloc(flags: u64, rights: u32 as Flags(memory::PKEY_ACCESS))
        => refused(ENOSPC, "no protection keys, as on processors without them");
    331 pkey_free(key: i32) => refused(EINVAL, "no protection keys");
    216 remap_file_pages(address: UserPtr<u8>, len: usize, protection: u64, page: usize, flags: u64)
        => refused(ENOSYS, "deprecated; mmap does the same");
}

const PROT_GROWSDOWN: u32 = nr::PROT_GROWSDOWN;
const PROT_GROWSUP: u32 = nr::PROT_GROWSUP;
/// `PROT_SEM`: no effect.
const PROT_SEM: u32 = 8;
const MAP_TYPE: u32 = 0x0f;

/// What `PROT_*` bits allow.
fn access(prot: u32) -> Access {
    Access::from_bits_truncate((prot & 7).to_le_bytes()[0])
}

/// The limits of the calling process that count for mappings.
pub(super) fn limits(task: &Task) -> MmLimits {
    let limits = task.group().limits();
    let locked = if task.has_capability(Capability::IpcLock) {
        u64::MAX
    } else {
        limits.get(Resource::LockedMemory).soft
    };
    MmLimits {
        address_space: limits.get(Resource::AddressSpace).soft,
        data: limits.get(Resource::Data).soft,
        stack: limits.get(Resource::Stack).soft,
        locked,
    }
}

fn mmap(
    task: &Task,
    address: UserPtr<u8>,
    len: usize,
    prot: u32,
    flags: u32,
    fd: Fd,
    offset: u64,
) -> SyscallResult {
    let address = address.address();
    if !offset.is_multiple_of(4096) || len == 0 {
        return Err(Errno::EINVAL.into());
    }
    let private = sharing(flags)?;
    let mut request = MapRequest {
        at: place(address, flags),
        len,
        access: access(prot),
        max_access: Access::all(),
        private,
        backing: Backing::Anonymous,
        grows_down: flags & nr::MAP_GROWSDOWN != 0,
        locked: flags & nr::MAP_LOCKED != 0,
        no_reserve: flags & nr::MAP_NORESERVE != 0,
        populate: flags & nr::MAP_POPULATE != 0 && flags & nr::MAP_NONBLOCK == 0,
        stack: false,
    };
    if request.grows_down && !private {
        return Err(Errno::EINVAL.into());
    }
    if flags & nr::MAP_ANONYMOUS == 0 {
        map_file(task, fd, offset, &mut request)?;
    } else if flags & nr::MAP_HUGETLB != 0 {
        return Err(Errno::ENOMEM.into());
    }
    if matches!(request.backing, Backing::Anonymous) && !private {
        request.backing = Backing::File {
            mappable: SharedMemory::anonymous(task.kernel().memory(), len)?,
            offset: 0,
            open: None,
        };
    }
    if request.locked && limits(task).locked == 0 {
        return Err(Errno::EPERM.into());
    }
    Ok(task.mm().map(&request, &limits(task))? as u64)
}

/// Whether the mapping is private; EINVAL, EOPNOTSUPP.
fn sharing(flags: u32) -> Result<bool> {
    match flags & MAP_TYPE {
        nr::MAP_SHARED => Ok(false),
        nr::MAP_PRIVATE => Ok(true),
        // Only here are flags refused that are not known; no file supports MAP_SYNC.
        nr::MAP_SHARED_VALIDATE => {
            if flags & nr::MAP_SYNC != 0 || flags & !KNOWN_FLAGS != 0 {
                Err(Errno::EOPNOTSUPP)
            } else {
                Ok(false)
            }
        }
        _ => Err(Errno::EINVAL),
    }
}

const KNOWN_FLAGS: u32 = MAP_TYPE
    | nr::MAP_FIXED
    | nr::MAP_ANONYMOUS
    | nr::MAP_32BIT
    | nr::MAP_GROWSDOWN
    | nr::MAP_DENYWRITE
    | nr::MAP_EXECUTABLE
    | nr::MAP_LOCKED
    | nr::MAP_NORESERVE
    | nr::MAP_POPULATE
    | nr::MAP_NONBLOCK
    | nr::MAP_STACK
    | nr::MAP_HUGETLB
    | nr::MAP_FIXED_NOREPLACE;

fn place(address: usize, flags: u32) -> MapAt {
    if flags & nr::MAP_FIXED_NOREPLACE != 0 {
        MapAt::FixedNoReplace(address)
    } else if flags & nr::MAP_FIXED != 0 {
        MapAt::Fixed(address)
    } else if flags & nr::MAP_32BIT != 0 {
        MapAt::Low(address)
    } else {
        MapAt::Hint(address)
    }
}

fn map_file(task: &Task, fd: Fd, offset: u64, request: &mut MapRequest) -> Result<()> {
    let open = task.files().get(fd)?;
    let flags = open.flags();
    if flags.contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    if !flags.readable() {
        return Err(Errno::EACCES);
    }
    if !request.private && !flags.writable() {
        request.max_access.remove(Access::WRITE);
        if request.access.contains(Access::WRITE) {
            return Err(Errno::EACCES);
        }
    }
    if open.path().mount.is_no_exec() {
        request.max_access.remove(Access::EXECUTE);
        if request.access.contains(Access::EXECUTE) {
            return Err(Errno::EPERM);
        }
    }
    if !request.private
        && let Some(seals) = open.inode().seals()
        && seals
            .get()
            .intersects(SealFlags::WRITE | SealFlags::FUTURE_WRITE)
    {
        request.max_access.remove(Access::WRITE);
        if request.access.contains(Access::WRITE) {
            return Err(Errno::EPERM);
        }
    }
    if open.file().maps_as_memory() {
        return Ok(());
    }
    let mappable = open.file().mappable()?;
    request.backing = Backing::File {
        mappable,
        offset,
        open: Some(open),
    };
    Ok(())
}

fn munmap(task: &Task, address: UserPtr<u8>, len: usize) -> SyscallResult {
    task.mm().unmap(address.address(), len)?;
    Ok(0)
}

fn mprotect(task: &Task, address: UserPtr<u8>, len: usize, protection: u32) -> SyscallResult {
    protect(task, address, len, protection)
}

fn pkey_mprotect(
    task: &Task,
    address: UserPtr<u8>,
    len: usize,
    protection: u32,
    key: i32,
) -> SyscallResult {
    // -1 is the default key; no other was ever handed out.
    if key != -1 {
        return Err(Errno::EINVAL.into());
    }
    protect(task, address, len, protection)
}

fn protect(task: &Task, address: UserPtr<u8>, len: usize, prot: u32) -> SyscallResult {
    let known = 7 | PROT_SEM | PROT_GROWSDOWN | PROT_GROWSUP;
    // No area grows up on x86-64.
    if prot & !known != 0 || prot & PROT_GROWSUP != 0 {
        return Err(Errno::EINVAL.into());
    }
    let grows_down = prot & PROT_GROWSDOWN != 0;
    task.mm()
        .protect(address.address(), len, access(prot), grows_down)?;
    Ok(0)
}

fn mremap(
    task: &Task,
    old: UserPtr<u8>,
    old_len: usize,
    new_len: usize,
    flags: u32,
    new: UserPtr<u8>,
) -> SyscallResult {
    let known = nr::MREMAP_MAYMOVE | nr::MREMAP_FIXED | nr::MREMAP_DONTUNMAP;
    if flags & !known != 0 {
        return Err(Errno::EINVAL.into());
    }
    let request = RemapRequest {
        old: old.address(),
        old_len,
        new_len,
        may_move: flags & nr::MREMAP_MAYMOVE != 0,
        fixed: (flags & nr::MREMAP_FIXED != 0).then(|| new.address()),
        keep_old: flags & nr::MREMAP_DONTUNMAP != 0,
    };
    Ok(task.mm().remap(&request, &limits(task))? as u64)
}

fn brk(task: &Task, address: UserPtr<u8>) -> SyscallResult {
    Ok(task.mm().brk(address.address(), &limits(task)) as u64)
}
