//! `man 2 mmap`, mprotect, mremap, brk, pkeys: what is mapped where.

use abi::Errno;
use abi::raw::general as nr;
use platform::Access;

use crate::error::{Result, SyscallResult};
use crate::kernel::credentials::Capability;
use crate::kernel::limits::Resource;
use crate::kernel::task::Task;
use crate::mm::RemapRequest;
use crate::mm::address_space::{Backing, MapAt, MapRequest, MmLimits};
use crate::syscalls::{Call, SyscallArgs};
use crate::vfs::file::OpenFlags;
use crate::vfs::seals::SealFlags;

pub(super) const CALLS: &[Call] = &[
    Call::partial(
        nr::__NR_mmap,
        "mmap",
        mmap,
        "huge pages (MAP_HUGETLB is ENOMEM), MAP_SYNC",
    ),
    Call::full(nr::__NR_munmap, "munmap", munmap),
    Call::full(nr::__NR_mprotect, "mprotect", mprotect),
    Call::full(nr::__NR_mremap, "mremap", mremap),
    Call::full(nr::__NR_brk, "brk", brk),
    Call::full(nr::__NR_pkey_mprotect, "pkey_mprotect", pkey_mprotect),
    Call::refused(
        nr::__NR_pkey_alloc,
        "pkey_alloc",
        Errno::ENOSPC,
        "no protection keys, as on processors without them",
    ),
    Call::refused(
        nr::__NR_pkey_free,
        "pkey_free",
        Errno::EINVAL,
        "no protection keys",
    ),
];

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

fn mmap(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (address, len, prot, flags) = (args.usize(0), args.usize(1), args.u32(2), args.u32(3));
    let offset = args.u64(5);
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
        map_file(task, args.i32(4), offset, &mut request)?;
    } else if flags & nr::MAP_HUGETLB != 0 {
        return Err(Errno::ENOMEM.into());
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

fn map_file(task: &Task, fd: i32, offset: u64, request: &mut MapRequest) -> Result<()> {
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

fn munmap(task: &Task, args: &SyscallArgs) -> SyscallResult {
    task.mm().unmap(args.usize(0), args.usize(1))?;
    Ok(0)
}

fn mprotect(task: &Task, args: &SyscallArgs) -> SyscallResult {
    protect(task, args)
}

fn pkey_mprotect(task: &Task, args: &SyscallArgs) -> SyscallResult {
    // -1 is the default key; no other was ever handed out.
    if args.i32(3) != -1 {
        return Err(Errno::EINVAL.into());
    }
    protect(task, args)
}

fn protect(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let prot = args.u32(2);
    let known = 7 | PROT_SEM | PROT_GROWSDOWN | PROT_GROWSUP;
    // No area grows up on x86-64.
    if prot & !known != 0 || prot & PROT_GROWSUP != 0 {
        return Err(Errno::EINVAL.into());
    }
    let grows_down = prot & PROT_GROWSDOWN != 0;
    task.mm()
        .protect(args.usize(0), args.usize(1), access(prot), grows_down)?;
    Ok(0)
}

fn mremap(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let flags = args.u32(3);
    let known = nr::MREMAP_MAYMOVE | nr::MREMAP_FIXED | nr::MREMAP_DONTUNMAP;
    if flags & !known != 0 {
        return Err(Errno::EINVAL.into());
    }
    let request = RemapRequest {
        old: args.usize(0),
        old_len: args.usize(1),
        new_len: args.usize(2),
        may_move: flags & nr::MREMAP_MAYMOVE != 0,
        fixed: (flags & nr::MREMAP_FIXED != 0).then(|| args.usize(4)),
        keep_old: flags & nr::MREMAP_DONTUNMAP != 0,
    };
    Ok(task.mm().remap(&request, &limits(task))? as u64)
}

fn brk(task: &Task, args: &SyscallArgs) -> SyscallResult {
    Ok(task.mm().brk(args.usize(0), &limits(task)) as u64)
}
