//! `man 2 futex`, `man 2 futex_waitv`, `man 2 set_robust_list`, and what goes on after an interruption:
//! `man 2 restart_syscall`.

use abi::Errno;
use abi::futex::{
    BITSET_ANY, FUTEX2_PRIVATE, FUTEX2_SIZE_MASK, FUTEX2_SIZE_U32, FutexWaitv, RobustListHead,
    WAITV_MAX,
};
use abi::raw::general as nr;
use abi::time::Timespec;
use mm::user_ptr::UserPtr;

use crate::error::{Result, SyscallResult};
use crate::kernel::futex::pi;
use crate::kernel::futex::wait::{self, Expected};
use crate::kernel::futex::wake::{self, Operation, Word};
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;
use crate::time::Deadline;
use crate::vfs::command::CommandArg;

calls! {
    202 futex(
        word: UserPtr<u32>,
        flags: u32 as Before(process::futex_operation),
        value: u32 as Before(process::futex_argument),
        timeout: CommandArg as Before(process::futex_argument),
        word2: UserPtr<u32> as Before(process::futex_argument),
        value3: u32 as Before(process::futex_argument),
    )
        => partial("PI locks: no priority inheritance, no detection of deadlocks over several locks") [
            "eintr::futex_wait_is_eintr_without_restart",
            "eintr::futex_wait_restarts",
        ];
    449 futex_waitv(
        at: UserPtr<u8> as Before(process::futex_vector),
        count: u32,
        flags: u32,
        timeout: UserPtr<Timespec> as In(time::timespec),
        clock: i32 as OneOf(time::CLOCK),
    )
        => full ["futex::waitv_waits_for_several"];
    454 futex_wake(word: UserPtr<u8>, mask: u64, count: i32, flags: u32 as Flags(process::FUTEX2)) => full [
            "futex::calls_of_their_own",
        ];
    455 futex_wait(
        word: UserPtr<u8>,
        value: u64,
        mask: u64,
        flags: u32 as Flags(process::FUTEX2),
        timeout: UserPtr<Timespec> as In(time::timespec),
        clock: i32 as OneOf(time::CLOCK),
    )
        => full ["futex::calls_of_their_own"];
    456 futex_requeue(waiters: UserPtr<u8>, flags: u32, wake: i32, requeue: i32) => full [
            "futex::calls_of_their_own",
        ];
    273 set_robust_list(head: UserPtr<u8>, size: usize) => full ["futex::robust_list_calls"];
    274 get_robust_list(pid: i32, head: UserPtr<u64> as Out(id::pointer), len: UserPtr<u64> as Out(id::long))
        => full ["futex::robust_list_calls"];
}

/// The operation of `futex(2)`, without its flags.
struct Operands<'a> {
    task: &'a Task,
    /// The futex, and the second one of calls with two.
    words: [UserPtr<u32>; 2],
    value: u32,
    /// A time-out, or a second number.
    timeout: CommandArg,
    value3: u32,
    private: bool,
    realtime: bool,
}

impl Operands<'_> {
    fn word(&self, index: usize) -> Word {
        Word {
            address: self.words[index].address(),
            private: self.private,
        }
    }

    fn expected(&self) -> Expected {
        Expected {
            address: self.words[0].address(),
            value: self.value,
            private: self.private,
        }
    }

    /// The time-out argument in nanoseconds, none if it is NULL; EFAULT, EINVAL.
    fn timeout_ns(&self) -> Result<Option<u64>> {
        read_timeout(self.task, UserPtr::new(self.timeout.address()))
    }

    /// An absolute time-out.
    fn deadline(&self) -> Result<Option<Deadline>> {
        Ok(self.timeout_ns()?.map(|ns| absolute(ns, self.realtime)))
    }

    /// `FUTEX_WAIT`'s relative one.
    fn relative_deadline(&self) -> Result<Option<Deadline>> {
        let clock = self.task.kernel().clock();
        Ok(self.timeout_ns()?.map(|ns| {
            if self.realtime {
                Deadline::Realtime(clock.realtime_ns().saturating_add(ns))
            } else {
                clock.after(ns)
            }
        }))
    }
}

fn read_timeout(task: &Task, at: UserPtr<Timespec>) -> Result<Option<u64>> {
    if at.is_null() {
        return Ok(None);
    }
    at.read(&task.mm())?
        .to_nanos()
        .ok_or(Errno::EINVAL)
        .map(Some)
}

fn absolute(ns: u64, realtime: bool) -> Deadline {
    if realtime {
        Deadline::Realtime(ns)
    } else {
        Deadline::Monotonic(ns)
    }
}

fn futex(
    task: &Task,
    word: UserPtr<u32>,
    flags: u32,
    value: u32,
    timeout: CommandArg,
    word2: UserPtr<u32>,
    value3: u32,
) -> SyscallResult {
    let command = flags & !(nr::FUTEX_PRIVATE_FLAG | nr::FUTEX_CLOCK_REALTIME);
    let on = Operands {
        task,
        words: [word, word2],
        value,
        timeout,
        value3,
        private: flags & nr::FUTEX_PRIVATE_FLAG != 0,
        realtime: flags & nr::FUTEX_CLOCK_REALTIME != 0,
    };
    let may_be_realtime = matches!(
        command,
        nr::FUTEX_WAIT | nr::FUTEX_WAIT_BITSET | nr::FUTEX_WAIT_REQUEUE_PI | nr::FUTEX_LOCK_PI2
    );
    if on.realtime && !may_be_realtime {
        return Err(Errno::ENOSYS.into());
    }
    match command {
        nr::FUTEX_WAIT => {
            wait::wait(task, on.expected(), BITSET_ANY, on.relative_deadline()?)?;
            Ok(0)
        }
        nr::FUTEX_WAIT_BITSET => {
            wait::wait(task, on.expected(), value3, on.deadline()?)?;
            Ok(0)
        }
        nr::FUTEX_WAKE => Ok(wake::wake(
            task,
            on.word(0),
            at_least_one(value.cast_signed()),
            BITSET_ANY,
        )?
        .into()),
        nr::FUTEX_WAKE_BITSET => {
            Ok(wake::wake(task, on.word(0), at_least_one(value.cast_signed()), value3)?.into())
        }
        nr::FUTEX_REQUEUE => requeue(&on, None),
        nr::FUTEX_CMP_REQUEUE => requeue(&on, Some(value3)),
        nr::FUTEX_WAKE_OP => {
            let operation = Operation::decode(value3)?;
            let (first, second) = (
                at_least_one(value.cast_signed()),
                at_least_one(timeout.int()),
            );
            Ok(wake::wake_op(task, on.word(0), on.word(1), first, second, operation)?.into())
        }
        _ => priority_inheriting(&on, command),
    }
}

/// Linux wakes one even if asked for none.
fn at_least_one(count: i32) -> u32 {
    u32::try_from(count).unwrap_or(0).max(1)
}

fn requeue(on: &Operands<'_>, expected: Option<u32>) -> SyscallResult {
    let wake = u32::try_from(on.value.cast_signed()).map_err(|_| Errno::EINVAL)?;
    let requeue = u32::try_from(on.timeout.int()).map_err(|_| Errno::EINVAL)?;
    let (woken, moved) = wake::requeue(on.task, on.word(0), on.word(1), expected, wake, requeue)?;
    // Both count what they moved, whatever the manual says of FUTEX_REQUEUE.
    Ok(u64::from(woken) + u64::from(moved))
}

fn priority_inheriting(on: &Operands<'_>, command: u32) -> SyscallResult {
    let task = on.task;
    match command {
        nr::FUTEX_LOCK_PI => {
            let deadline = on.timeout_ns()?.map(Deadline::Realtime);
            pi::lock(task, on.word(0), deadline)?;
            Ok(0)
        }
        nr::FUTEX_LOCK_PI2 => {
            pi::lock(task, on.word(0), on.deadline()?)?;
            Ok(0)
        }
        nr::FUTEX_TRYLOCK_PI => {
            pi::try_lock(task, on.word(0))?;
            Ok(0)
        }
        nr::FUTEX_UNLOCK_PI => {
            pi::unlock(task, on.word(0))?;
            Ok(0)
        }
        nr::FUTEX_WAIT_REQUEUE_PI => {
            pi::wait_requeue(task, on.expected(), on.word(1), on.deadline()?)?;
            Ok(0)
        }
        nr::FUTEX_CMP_REQUEUE_PI => {
            if on.value != 1 {
                return Err(Errno::EINVAL.into());
            }
            let count = u32::try_from(on.timeout.int()).map_err(|_| Errno::EINVAL)?;
            Ok(pi::requeue(task, on.word(0), on.word(1), on.value3, count)?.into())
        }
        _ => Err(Errno::ENOSYS.into()),
    }
}

/// A deadline of the newer calls: an absolute time of clock `clock_id`; EINVAL for other clocks.
fn clock_deadline(task: &Task, at: UserPtr<Timespec>, clock_id: i32) -> Result<Option<Deadline>> {
    let Some(ns) = read_timeout(task, at)? else {
        return Ok(None);
    };
    match u32::try_from(clock_id) {
        Ok(nr::CLOCK_MONOTONIC) => Ok(Some(Deadline::Monotonic(ns))),
        Ok(nr::CLOCK_REALTIME) => Ok(Some(Deadline::Realtime(ns))),
        _ => Err(Errno::EINVAL),
    }
}

/// Flags of the newer calls: 32-bit words, private or not; EINVAL.
fn is_private(flags: u32) -> Result<bool> {
    if flags & !(FUTEX2_SIZE_MASK | FUTEX2_PRIVATE) != 0
        || flags & FUTEX2_SIZE_MASK != FUTEX2_SIZE_U32
    {
        return Err(Errno::EINVAL);
    }
    Ok(flags & FUTEX2_PRIVATE != 0)
}

fn waitv_expected(entry: &FutexWaitv) -> Result<Expected> {
    if entry.reserved != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(Expected {
        private: is_private(entry.flags)?,
        address: usize::try_from(entry.address).map_err(|_| Errno::EFAULT)?,
        value: u32::try_from(entry.value).map_err(|_| Errno::EINVAL)?,
    })
}

fn read_waitv(task: &Task, at: usize, count: usize) -> Result<Vec<Expected>> {
    let mm = task.mm();
    (0..count)
        .map(|index| {
            let offset = index * size_of::<FutexWaitv>();
            let entry: FutexWaitv = mm.read_value(at.wrapping_add(offset))?;
            waitv_expected(&entry)
        })
        .collect()
}

fn futex_waitv(
    task: &Task,
    at: UserPtr<u8>,
    count: u32,
    flags: u32,
    timeout: UserPtr<Timespec>,
    clock: i32,
) -> SyscallResult {
    let at = at.address();
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    if flags != 0 || count == 0 || count > WAITV_MAX || at == 0 {
        return Err(Errno::EINVAL.into());
    }
    let deadline = clock_deadline(task, timeout, clock)?;
    let words = read_waitv(task, at, count)?;
    Ok(wait::wait_many(task, &words, deadline)? as u64)
}

/// A mask of the newer calls: bits beyond the word's are EINVAL.
fn bitset(raw: u64) -> Result<u32> {
    u32::try_from(raw)
        .ok()
        .filter(|mask| *mask != 0)
        .ok_or(Errno::EINVAL)
}

fn futex_wake(task: &Task, word: UserPtr<u8>, mask: u64, count: i32, flags: u32) -> SyscallResult {
    let word = Word {
        address: word.address(),
        private: is_private(flags)?,
    };
    let mask = bitset(mask)?;
    let count = u32::try_from(count).unwrap_or(0);
    Ok(wake::wake(task, word, count, mask)?.into())
}

fn futex_wait(
    task: &Task,
    word: UserPtr<u8>,
    value: u64,
    mask: u64,
    flags: u32,
    timeout: UserPtr<Timespec>,
    clock: i32,
) -> SyscallResult {
    let expected = Expected {
        address: word.address(),
        value: u32::try_from(value).map_err(|_| Errno::EINVAL)?,
        private: is_private(flags)?,
    };
    let mask = bitset(mask)?;
    let deadline = clock_deadline(task, timeout, clock)?;
    wait::wait(task, expected, mask, deadline)?;
    Ok(0)
}

fn futex_requeue(
    task: &Task,
    waiters: UserPtr<u8>,
    flags: u32,
    wake: i32,
    requeue: i32,
) -> SyscallResult {
    if flags != 0 || waiters.is_null() {
        return Err(Errno::EINVAL.into());
    }
    let words = read_waitv(task, waiters.address(), 2)?;
    let word = |n: usize| Word {
        address: words[n].address,
        private: words[n].private,
    };
    let wake = u32::try_from(wake).map_err(|_| Errno::EINVAL)?;
    let requeue = u32::try_from(requeue).map_err(|_| Errno::EINVAL)?;
    let (woken, moved) =
        wake::requeue(task, word(0), word(1), Some(words[0].value), wake, requeue)?;
    Ok(u64::from(woken) + u64::from(moved))
}

fn set_robust_list(task: &Task, head: UserPtr<u8>, size: usize) -> SyscallResult {
    if size != size_of::<RobustListHead>() {
        return Err(Errno::EINVAL.into());
    }
    task.own.lock().robust_list = head.address();
    Ok(0)
}

fn get_robust_list(task: &Task, pid: i32, head: UserPtr<u64>, len: UserPtr<u64>) -> SyscallResult {
    let list = if pid == 0 {
        task.own.lock().robust_list
    } else {
        let id = u32::try_from(pid).map_err(|_| Errno::ESRCH)?;
        let other = task.pid_namespace().task(id).ok_or(Errno::ESRCH)?;
        // PTRACE_MODE_READ_REALCREDS, as far as ids go.
        let (mine, theirs) = (task.credentials(), other.credentials());
        let privileged = mine.has(crate::kernel::credentials::Capability::SysPtrace);
        if !std::ptr::eq(other.as_ref(), task) && mine.uid != theirs.uid && !privileged {
            return Err(Errno::EPERM.into());
        }
        other.own.lock().robust_list
    };
    let mm = task.mm();
    len.write(&mm, &(size_of::<RobustListHead>() as u64))?;
    head.write(&mm, &(list as u64))?;
    Ok(0)
}
