//! `man 2 restart_syscall`: goes on with a call that a signal without handler interrupted.

use abi::Errno;

use crate::error::SyscallResult;
use crate::kernel::futex::wait::{self, Expected};
use crate::kernel::task::{RestartBlock, Task};
use crate::syscalls::declare::calls;

calls! {
    219 restart_syscall()
        => full [
            "eintr::nanosleep_continues_after_stop_and_continue",
            "eintr::poll_continues_after_stop_and_continue",
        ];
}

fn restart_syscall(task: &Task) -> SyscallResult {
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
