//! Pages of pipes by user: `/proc/sys/fs/pipe-user-pages-soft` and `-hard` (`man 7 pipe`, */proc files*).

use abi::{Errno, PAGE_SIZE};

use super::DEFAULT_CAPACITY;
use crate::error::Result;
use crate::kernel::credentials::Capability;
use crate::kernel::task::Task;
use crate::kernel::user_count::Charge;

/// What an unprivileged user may have before its new pipes are small; 0 for no limit.
const SOFT: &str = "fs/pipe-user-pages-soft";
/// What an unprivileged user may have at all; 0 for no limit.
const HARD: &str = "fs/pipe-user-pages-hard";
/// Pages of a pipe that is made beyond the soft limit (`PIPE_MIN_DEF_BUFFERS`).
const FEW: usize = 2;

fn pages(capacity: usize) -> u64 {
    (capacity / PAGE_SIZE) as u64
}

/// Whether the task's user has more than a limit allows it.
fn is_beyond(task: &Task, limit: &str, charge: &Charge) -> bool {
    let limit = task.kernel().sysctl.number(limit);
    limit != 0 && charge.total() > limit && is_unprivileged(task)
}

/// What Linux's `pipe_is_unprivileged_user` asks.
fn is_unprivileged(task: &Task) -> bool {
    !task.has_capability(Capability::SysResource) && !task.has_capability(Capability::SysAdmin)
}

/// The capacity of a new pipe of the task's user, which is charged with it; ENFILE beyond the hard limit.
pub(super) fn charge_new(task: &Task) -> Result<(usize, Charge)> {
    let uid = task.credentials().uid;
    let user = task.kernel().pipe_pages.of(uid);
    let mut capacity = DEFAULT_CAPACITY;
    let mut charge = user.charge(pages(capacity));
    if is_beyond(task, SOFT, &charge) {
        capacity = FEW * PAGE_SIZE;
        charge.set(pages(capacity));
    }
    if is_beyond(task, HARD, &charge) {
        return Err(Errno::ENFILE);
    }
    Ok((capacity, charge))
}

/// Charges a pipe that grows from `old` to `new` bytes; EPERM if the user has too much then.
pub(super) fn recharge(task: &Task, charge: &mut Charge, old: usize, new: usize) -> Result<()> {
    let before = charge.amount();
    charge.set(pages(new));
    let beyond = is_beyond(task, SOFT, charge) || is_beyond(task, HARD, charge);
    if new > old && beyond {
        charge.set(before);
        return Err(Errno::EPERM);
    }
    Ok(())
}
