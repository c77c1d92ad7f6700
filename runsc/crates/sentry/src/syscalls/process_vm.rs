//! `man 2 process_vm_readv`, `process_vm_writev`.

use std::sync::Arc;

use abi::Errno;
use abi::raw::general as nr;

use crate::error::{Result, SyscallResult};
use crate::kernel::ptrace::access;
use crate::kernel::task::Task;
use crate::mm::AddressSpace;
use crate::mm::user_io::UserIo;
use crate::syscalls::{Call, SyscallArgs};

pub(super) const CALLS: &[Call] = &[
    Call::full(
        nr::__NR_process_vm_readv,
        "process_vm_readv",
        process_vm_readv,
    ),
    Call::full(
        nr::__NR_process_vm_writev,
        "process_vm_writev",
        process_vm_writev,
    ),
];

/// Most entries of an iovec (`UIO_MAXIOV`).
const MAX_VECTORS: usize = 1024;

fn process_vm_readv(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (own, other, remote) = decode(task, args)?;
    let mut local = UserIo::from_iovec(&own, args.usize(1), args.usize(2))?;
    let moved = UserIo::from_ranges(&other, &remote).copy_to(&mut local)?;
    Ok(moved as u64)
}

fn process_vm_writev(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (own, other, remote) = decode(task, args)?;
    let mut local = UserIo::from_iovec(&own, args.usize(1), args.usize(2))?;
    let moved = local.copy_to(&mut UserIo::from_ranges(&other, &remote))?;
    Ok(moved as u64)
}

type Decoded = (Arc<AddressSpace>, Arc<AddressSpace>, Vec<(usize, usize)>);

/// The caller's memory, the other process's, and the ranges in that.
fn decode(task: &Task, args: &SyscallArgs) -> Result<Decoded> {
    if args.u64(5) != 0 {
        return Err(Errno::EINVAL);
    }
    let own = task.mm();
    let remote = ranges(&own, args.usize(3), args.usize(4))?;
    let pid = u32::try_from(args.i32(0)).map_err(|_| Errno::ESRCH)?;
    let target = task.pid_namespace().task(pid).ok_or(Errno::ESRCH)?;
    Ok((own, memory_of(task, &target)?, remote))
}

/// An iovec of addresses of another process.
pub(super) fn ranges(
    own: &AddressSpace,
    address: usize,
    count: usize,
) -> Result<Vec<(usize, usize)>> {
    if count > MAX_VECTORS {
        return Err(Errno::EINVAL);
    }
    let range = |index: usize| {
        let entry = address.checked_add(index * 16).ok_or(Errno::EFAULT)?;
        let [base, len]: [usize; 2] = own.read_value(entry)?;
        if isize::try_from(len).is_err() {
            return Err(Errno::EINVAL);
        }
        Ok((base, len))
    };
    (0..count).map(range).collect()
}

/// Another task's memory, if the caller may look into it (`man 2 ptrace`, *Ptrace access mode checking*,
/// with real credentials); EPERM, ESRCH.
pub(super) fn memory_of(task: &Task, target: &Task) -> Result<Arc<AddressSpace>> {
    let mm = target.mm_if_alive().ok_or(Errno::ESRCH)?;
    access::check(task, target, access::Mode::Real)?;
    Ok(mm)
}
