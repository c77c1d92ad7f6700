//! `man 2 select`: select, pselect6.

use abi::Errno;
use abi::poll::SizedSigset;
use abi::time::{Timespec, Timeval};
use mm::user_ptr::UserPtr;

use super::timeout;
use crate::error::{Restart, Result, SyscallResult};
use crate::kernel::task::Task;
use crate::kernel::wait_queue::Events;
use crate::syscalls::declare::calls;
use crate::time::Deadline;
use crate::vfs::poll::{self, Polled};

calls! {
    23 select(
        count: i32,
        readable: UserPtr<u8> as Before(event::fd_set),
        writable: UserPtr<u8> as Before(event::fd_set),
        exceptional: UserPtr<u8> as Before(event::fd_set),
        left: UserPtr<Timeval> as In(time::timeval),
    ) -> Print(event::selected)
        => full ["poll::select_errors", "poll::select_writes_the_rest_of_the_timeout"];
    270 pselect6(
        count: i32,
        readable: UserPtr<u8> as Before(event::fd_set),
        writable: UserPtr<u8> as Before(event::fd_set),
        exceptional: UserPtr<u8> as Before(event::fd_set),
        left: UserPtr<Timespec> as In(time::timespec),
        sized: UserPtr<SizedSigset> as In(signal::sized_set),
    ) -> Print(event::selected)
        => full ["poll::pselect_swaps_the_mask"];
}

/// What makes a descriptor readable, writable, exceptional (`fs/select.c` lists them in its documentation
/// of `POLLIN_SET` and so on; `man 2 select`, *Correspondence between select and poll notifications*).
const SETS: [Events; 3] = [
    Events::RDNORM
        .union(Events::RDBAND)
        .union(Events::IN)
        .union(Events::HUP)
        .union(Events::ERR),
    Events::WRBAND
        .union(Events::WRNORM)
        .union(Events::OUT)
        .union(Events::ERR),
    Events::PRI,
];

/// No descriptor is above this (`fs.nr_open`).
const MAX_DESCRIPTORS: usize = 1 << 20;

fn select(
    task: &Task,
    count: i32,
    readable: UserPtr<u8>,
    writable: UserPtr<u8>,
    exceptional: UserPtr<u8>,
    left: UserPtr<Timeval>,
) -> SyscallResult {
    let sets = [readable, writable, exceptional];
    let deadline = if left.is_null() {
        None
    } else {
        Some(timeout::after(task, timeval_nanos(left.read(&task.mm())?)?))
    };
    let result = select_descriptors(task, count, sets, deadline);
    timeout::finish(task, result, deadline, |nanos| {
        left.write(&task.mm(), &Timeval::from_nanos(nanos))
    })
}

/// Microseconds above a second carry over into seconds, as Linux has it for select alone.
fn timeval_nanos(time: Timeval) -> Result<u64> {
    let carry = time.usec / 1_000_000;
    let time = Timeval {
        sec: time.sec.saturating_add(carry),
        usec: time.usec % 1_000_000,
    };
    time.to_nanos().ok_or(Errno::EINVAL)
}

fn pselect6(
    task: &Task,
    count: i32,
    readable: UserPtr<u8>,
    writable: UserPtr<u8>,
    exceptional: UserPtr<u8>,
    left: UserPtr<Timespec>,
    sized: UserPtr<SizedSigset>,
) -> SyscallResult {
    let mask = if sized.is_null() {
        None
    } else {
        let sized = sized.read(&task.mm())?;
        let address = usize::try_from(sized.address).map_err(|_| Errno::EFAULT)?;
        let len = usize::try_from(sized.len).map_err(|_| Errno::EINVAL)?;
        timeout::read_mask(task, address, len)?
    };
    let sets = [readable, writable, exceptional];
    let deadline = timeout::read(task, left)?;
    let result = task.with_signal_mask(mask, || select_descriptors(task, count, sets, deadline));
    timeout::finish(task, result, deadline, |nanos| {
        left.write(&task.mm(), &Timespec::from_nanos(nanos))
    })
}

fn select_descriptors(
    task: &Task,
    count: i32,
    addresses: [UserPtr<u8>; 3],
    deadline: Option<Deadline>,
) -> SyscallResult {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    let count = count.min(MAX_DESCRIPTORS);
    let words = count.div_ceil(64);
    let addresses = addresses.map(UserPtr::address);
    let mut sets: [Vec<u64>; 3] = [vec![0; words], vec![0; words], vec![0; words]];
    for (set, address) in sets.iter_mut().zip(addresses) {
        read_set(task, address, count, set)?;
    }
    let (mut entries, fds) = entries(task, &sets)?;
    poll::wait(task, &mut entries, deadline)
        .map_err(|unslept| unslept.into_error(Errno::EINTR, Restart::NoHandler))?;
    let mut total = 0;
    let asked = std::mem::replace(&mut sets, [vec![0; words], vec![0; words], vec![0; words]]);
    for (entry, fd) in entries.iter().zip(fds) {
        for ((set, asked), events) in sets.iter_mut().zip(&asked).zip(SETS) {
            if has(asked, fd) && entry.found.intersects(events) {
                set[fd / 64] |= 1 << (fd % 64);
                total += 1;
            }
        }
    }
    for (set, address) in sets.iter().zip(addresses) {
        if address != 0 && !set.is_empty() {
            task.mm()
                .write_bytes(address, zerocopy::IntoBytes::as_bytes(set.as_slice()))?;
        }
    }
    Ok(total)
}

fn has(set: &[u64], fd: usize) -> bool {
    set.get(fd / 64)
        .is_some_and(|word| word & (1 << (fd % 64)) != 0)
}

/// Reads a set; what is in its last word beyond `count` does not count.
fn read_set(task: &Task, address: usize, count: usize, set: &mut [u64]) -> Result<()> {
    if address == 0 || set.is_empty() {
        return Ok(());
    }
    task.mm()
        .read_bytes(address, zerocopy::IntoBytes::as_mut_bytes(set))?;
    if let Some(last) = set.last_mut().filter(|_| !count.is_multiple_of(64)) {
        *last &= (1 << (count % 64)) - 1;
    }
    Ok(())
}

/// An entry per descriptor that is in any set, and its number; EBADF.
fn entries(task: &Task, sets: &[Vec<u64>; 3]) -> Result<(Vec<Polled>, Vec<usize>)> {
    let files = task.files();
    let (mut entries, mut fds) = (Vec::new(), Vec::new());
    for fd in 0..sets[0].len() * 64 {
        let asked = sets.iter().zip(SETS).filter(|(set, _)| has(set, fd));
        let wanted = asked.fold(Events::empty(), |all, (_, events)| all | events);
        if wanted.is_empty() {
            continue;
        }
        let file = files.get(i32::try_from(fd).map_err(|_| Errno::EBADF)?)?;
        let mut entry = Polled::new(file, wanted);
        // Only what is in a set counts: a hang-up does not wake a writer.
        entry.wanted = wanted;
        entries.push(entry);
        fds.push(fd);
    }
    Ok((entries, fds))
}
