//! `man 2 process_vm_readv`, `process_vm_writev`.

use std::sync::Arc;

use abi::Errno;
use mm::AddressSpace;
use mm::user_io::UserIo;
use mm::user_ptr::UserPtr;

use crate::error::{Result, SyscallResult};
use crate::kernel::ptrace::access;
use crate::kernel::task::Task;
use crate::syscalls::args::Iovec;
use crate::syscalls::declare::calls;

calls! {
    310 process_vm_readv(
        pid: i32,
        local: UserPtr<Iovec> as Before(file::ranges),
        local_count: usize,
        remote: UserPtr<Iovec> as Before(file::ranges),
        remote_count: usize,
        flags: u64 as Unsigned,
    )
        => full ["madvise::process_vm_reads_and_writes", "security::other_user_namespace_is_not_looked_into"];
    311 process_vm_writev(
        pid: i32,
        local: UserPtr<Iovec> as Before(file::vector_in),
        local_count: usize,
        remote: UserPtr<Iovec> as Before(file::ranges),
        remote_count: usize,
        flags: u64 as Unsigned,
    )
        => full ["madvise::process_vm_reads_and_writes"];
}

/// Most entries of an iovec (`UIO_MAXIOV`).
const MAX_VECTORS: usize = 1024;

fn process_vm_readv(
    task: &Task,
    pid: i32,
    local: UserPtr<Iovec>,
    local_count: usize,
    remote: UserPtr<Iovec>,
    remote_count: usize,
    flags: u64,
) -> SyscallResult {
    let (own, other, remote) = decode(task, pid, (remote, remote_count), flags)?;
    let mut local = UserIo::from_iovec(&own, local.address(), local_count)?;
    let moved = UserIo::from_ranges(&other, &remote).copy_to(&mut local)?;
    Ok(moved as u64)
}

fn process_vm_writev(
    task: &Task,
    pid: i32,
    local: UserPtr<Iovec>,
    local_count: usize,
    remote: UserPtr<Iovec>,
    remote_count: usize,
    flags: u64,
) -> SyscallResult {
    let (own, other, remote) = decode(task, pid, (remote, remote_count), flags)?;
    let mut local = UserIo::from_iovec(&own, local.address(), local_count)?;
    let moved = local.copy_to(&mut UserIo::from_ranges(&other, &remote))?;
    Ok(moved as u64)
}

type Decoded = (Arc<AddressSpace>, Arc<AddressSpace>, Vec<(usize, usize)>);

/// The caller's memory, the other process's, and the ranges in that.
fn decode(
    task: &Task,
    pid: i32,
    (remote, count): (UserPtr<Iovec>, usize),
    flags: u64,
) -> Result<Decoded> {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let own = task.mm();
    let remote = ranges(&own, remote.address(), count)?;
    let pid = u32::try_from(pid).map_err(|_| Errno::ESRCH)?;
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
