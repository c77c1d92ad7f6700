//! `man 2 poll`: poll, ppoll.

use abi::Errno;
use abi::poll::PollFd;
use abi::time::Timespec;
use mm::user_ptr::UserPtr;

use super::timeout;
use crate::error::{Restart, Result, SysError, SyscallResult};
use crate::kernel::limits::Resource;
use crate::kernel::task::{RestartBlock, Task};
use crate::kernel::wait_queue::Events;
use crate::syscalls::declare::calls;
use crate::time::Deadline;
use crate::vfs::poll::{self, Polled};

calls! {
    7 poll(fds: UserPtr<u8> as Before(event::poll_fds), count: u32, timeout_ms: i32) -> Print(event::polled)
        => full ["poll::poll_of_a_closed_descriptor_is_nval", "poll::poll_reports_each_descriptor"];
    271 ppoll(
        fds: UserPtr<u8> as Before(event::poll_fds),
        count: u32,
        left: UserPtr<Timespec> as In(time::timespec),
        mask: UserPtr<u64> as In(signal::set),
        mask_size: usize,
    ) -> Print(event::polled)
        => full ["poll::ppoll_swaps_the_mask"];
}

fn poll(task: &Task, fds: UserPtr<u8>, count: u32, timeout_ms: i32) -> SyscallResult {
    let (fds, count) = (fds.address(), u64::from(count));
    let deadline = timeout::after_millis(task, timeout_ms);
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

fn ppoll(
    task: &Task,
    fds: UserPtr<u8>,
    count: u32,
    left: UserPtr<Timespec>,
    mask: UserPtr<u64>,
    mask_size: usize,
) -> SyscallResult {
    let (fds, count) = (fds.address(), u64::from(count));
    let deadline = timeout::read(task, left)?;
    let mask = timeout::read_mask(task, mask.address(), mask_size)?;
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
