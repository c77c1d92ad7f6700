//! kcmp: whether two processes share something.

use std::sync::Arc;

use abi::Errno;

use crate::error::{Result, SyscallResult};
use crate::kernel::ptrace::access;
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;

calls! {
    312 kcmp(pid1: i32, pid2: i32, kind: i32, index1: u64, index2: u64)
        => partial("KCMP_EPOLL_TFD") ["limits::kcmp_compares"];
}

const FILE: i32 = 0;
const VM: i32 = 1;
const FILES: i32 = 2;
const FS: i32 = 3;
const SIGHAND: i32 = 4;
const IO: i32 = 5;
const SYSVSEM: i32 = 6;

fn kcmp(task: &Task, pid1: i32, pid2: i32, kind: i32, index1: u64, index2: u64) -> SyscallResult {
    let find = |pid: i32| -> Result<Arc<Task>> {
        let pid = u32::try_from(pid).map_err(|_| Errno::ESRCH)?;
        task.pid_namespace().task(pid).ok_or(Errno::ESRCH)
    };
    let (one, two) = (find(pid1)?, find(pid2)?);
    access::check(task, &one, access::Mode::Real)?;
    access::check(task, &two, access::Mode::Real)?;
    let places = (place(&one, kind, index1)?, place(&two, kind, index2)?);
    Ok(match places.0.cmp(&places.1) {
        std::cmp::Ordering::Equal => 0,
        std::cmp::Ordering::Less => 1,
        std::cmp::Ordering::Greater => 2,
    })
}

/// Where the object is, mixed so that nothing can be told from it but an order.
fn place(task: &Task, kind: i32, index: u64) -> Result<u64> {
    let address = match kind {
        FILE => {
            let fd = i32::try_from(index).map_err(|_| Errno::EBADF)?;
            Arc::as_ptr(&task.files().get(fd)?).addr()
        }
        VM => task.mm_if_alive().map_or(0, |mm| Arc::as_ptr(&mm).addr()),
        FILES => Arc::as_ptr(&task.files()).addr(),
        FS => Arc::as_ptr(&task.fs()).addr(),
        SIGHAND => Arc::as_ptr(&task.group().shared_dispositions()).addr(),
        // Kept by each process.
        IO | SYSVSEM => Arc::as_ptr(task.group()).addr(),
        _ => return Err(Errno::EINVAL),
    };
    Ok((address as u64)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(23))
}
