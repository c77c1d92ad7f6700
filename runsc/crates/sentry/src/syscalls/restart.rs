//! `man 2 restart_syscall`: goes on with a call that a signal without handler interrupted.

use abi::Errno;
use abi::raw::general as nr;

use crate::error::SyscallResult;
use crate::kernel::futex::wait::{self, Expected};
use crate::kernel::task::{RestartBlock, Task};
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;

pub(super) const CALLS: &[Call] = &[Call::full(
    nr::__NR_restart_syscall,
    "restart_syscall",
    restart_syscall,
)];

fn restart_syscall(task: &Task, _args: &SyscallArgs) -> SyscallResult {
    let block = task.own.lock().restart_block.take();
    match block {
        Some(RestartBlock::Futex {
            address,
            value,
            bitset,
            private,
            deadline,
        }) => {
            let expected = Expected {
                address,
                value,
                private,
            };
            wait::wait(task, expected, bitset, Some(deadline))?;
            Ok(0)
        }
        Some(RestartBlock::Poll {
            fds,
            count,
            deadline,
        }) => super::poll::restarted(task, fds, count, deadline),
        Some(RestartBlock::Sleep {
            deadline,
            remaining,
        }) => super::sleep::sleep_on(task, deadline, remaining),
        None => Err(Errno::EINTR.into()),
    }
}
