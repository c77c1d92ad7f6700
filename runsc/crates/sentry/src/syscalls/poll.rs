//! `man 2 poll`: poll, ppoll.

use abi::Errno;
use abi::poll::PollFd;
use abi::raw::general as nr;
use abi::time::Timespec;

use super::timeout;
use crate::error::{Restart, Result, SysError, SyscallResult};
use crate::kernel::limits::Resource;
use crate::kernel::task::{RestartBlock, Task};
use crate::kernel::wait_queue::Events;
use crate::mm::user_ptr::UserPtr;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;
use crate::time::Deadline;
use crate::vfs::poll::{self, Polled};

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_poll, "poll", poll),
    Call::full(nr::__NR_ppoll, "ppoll", ppoll),
];

fn poll(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (fds, count) = (args.usize(0), u64::from(args.u32(1)));
    let deadline = timeout::after_millis(task, args.i32(2));
    restarted(task, fds, count, deadline)
}

/// `poll`, now or again after a signal without handler.
pub(super) fn restarted(
    task: &Task,
    fds: usize,
    count: u64,
    deadline: Option<Deadline>,
) -> SyscallResult {
    let result = poll_descriptors(task, fds, count, deadline);
    if result == Err(SysError::Restart(Restart::NoHandler)) {
        task.own.lock().restart_block = Some(RestartBlock::Poll {
            fds,
            count,
            deadline,
        });
        return Err(SysError::Restart(Restart::Block));
    }
    result
}

fn ppoll(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (fds, count) = (args.usize(0), u64::from(args.u32(1)));
    let left: UserPtr<Timespec> = args.ptr(2);
    let deadline = timeout::read(task, left)?;
    let mask = timeout::read_mask(task, args.usize(3), args.usize(4))?;
    let result = task.with_signal_mask(mask, || poll_descriptors(task, fds, count, deadline));
    timeout::finish(task, result, deadline, |nanos| {
        left.write(&task.mm(), &Timespec::from_nanos(nanos))
    })
}

fn poll_descriptors(
    task: &Task,
    address: usize,
    count: u64,
    deadline: Option<Deadline>,
) -> SyscallResult {
    let mut fds = read_descriptors(task, address, count)?;
    let mut entries: Vec<Polled> = fds.iter().map(|fd| entry(task, fd)).collect();
    let ready = poll::wait(task, &mut entries, deadline)
        .map_err(|unslept| unslept.into_error(Errno::EINTR, Restart::NoHandler))?;
    for (fd, entry) in fds.iter_mut().zip(&entries) {
        fd.revents = low_bits(entry.found);
    }
    write_results(task, address, &fds)?;
    Ok(ready as u64)
}

fn read_descriptors(task: &Task, address: usize, count: u64) -> Result<Vec<PollFd>> {
    if count > task.group().limits().get(Resource::OpenFiles).soft {
        return Err(Errno::EINVAL);
    }
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    let mut fds = vec![
        PollFd {
            fd: 0,
            events: 0,
            revents: 0
        };
        count
    ];
    if count > 0 {
        let bytes = zerocopy::IntoBytes::as_mut_bytes(fds.as_mut_slice());
        task.mm().read_bytes(address, bytes)?;
    }
    Ok(fds)
}

fn entry(task: &Task, fd: &PollFd) -> Polled {
    if fd.fd < 0 {
        return Polled::settled(Events::empty());
    }
    match task.files().get(fd.fd) {
        Ok(file) => Polled::new(file, Events::from_bits_truncate(fd.events.into())),
        Err(_) => Polled::settled(Events::NVAL),
    }
}

/// Every event of `poll` is in the low 16 bits.
fn low_bits(events: Events) -> u16 {
    u16::try_from(events.bits() & 0xffff).unwrap_or(0)
}

fn write_results(task: &Task, address: usize, fds: &[PollFd]) -> Result<()> {
    if fds.is_empty() {
        return Ok(());
    }
    // Only `revents` changes, but the rest was read from there.
    task.mm()
        .write_bytes(address, zerocopy::IntoBytes::as_bytes(fds))
}
