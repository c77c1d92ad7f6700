//! System V IPC (`man 7 sysvipc`): message queues, semaphores, shared memory.

use crate::case::Outcome;
use crate::support::{map, process};

cases!(
    messages_come_by_kind,
    messages_that_do_not_fit_stay,
    message_queues_are_told_and_removed,
    semaphores_change_together_or_not_at_all,
    semaphore_operations_wait,
    semaphore_time_outs_end,
    semaphore_errors,
    segments_are_shared,
    segments_live_until_the_last_leaves,
    read_only_segments_can_not_be_written,
);

const IPC_NOWAIT: i32 = libc::IPC_NOWAIT;
const GETVAL: i32 = 12;
const SETVAL: i32 = 16;

/// An object that is removed at the end of a test.
struct Object {
    id: i64,
    remove: fn(i64),
}

impl Drop for Object {
    fn drop(&mut self) {
        (self.remove)(self.id);
    }
}

fn queue() -> Result<Object, crate::sys::SysError> {
    let id = sys!(SYS_msgget, libc::IPC_PRIVATE, 0o600)?;
    // A test has removed it by itself.
    let remove = |id| drop(sys!(SYS_msgctl, id, libc::IPC_RMID, 0));
    Ok(Object { id, remove })
}

fn semaphores(count: i32) -> Result<Object, crate::sys::SysError> {
    let id = sys!(SYS_semget, libc::IPC_PRIVATE, count, 0o600)?;
    let remove = |id| drop(sys!(SYS_semctl, id, 0, libc::IPC_RMID, 0));
    Ok(Object { id, remove })
}

fn segment(len: usize) -> Result<Object, crate::sys::SysError> {
    let id = sys!(SYS_shmget, libc::IPC_PRIVATE, len, 0o600)?;
    let remove = |id| drop(sys!(SYS_shmctl, id, libc::IPC_RMID, 0));
    Ok(Object { id, remove })
}

/// One operation: number, change, flags.
fn operation(number: u16, change: i16, flags: i32) -> [u16; 3] {
    [number, change as u16, flags as u16]
}

fn value(set: &Object, number: i32) -> crate::sys::SysResult {
    sys!(SYS_semctl, set.id, number, GETVAL, 0)
}

fn messages_come_by_kind() -> Outcome {
    let queue = queue()?;
    for message in [[3_u64, 30], [2, 20], [1, 10], [2, 21]] {
        sys!(SYS_msgsnd, queue.id, &message, 8, 0)?;
    }
    let mut message = [0_u64; 2];
    for (kind, expected) in [(2, [2, 20]), (0, [3, 30]), (-2, [1, 10]), (0, [2, 21])] {
        check_eq!(sys!(SYS_msgrcv, queue.id, &mut message, 8, kind, 0)?, 8);
        check_eq!(message, expected);
    }
    errno_is!(
        sys!(SYS_msgrcv, queue.id, &mut message, 8, 0, IPC_NOWAIT),
        ENOMSG
    );
    Ok(())
}

fn messages_that_do_not_fit_stay() -> Outcome {
    let queue = queue()?;
    errno_is!(sys!(SYS_msgsnd, queue.id, &[0_u64, 1], 8, 0), EINVAL);
    errno_is!(sys!(SYS_msgsnd, queue.id, &[1_u64, 1], 1 << 20, 0), EINVAL);
    sys!(SYS_msgsnd, queue.id, &[1_u64, 0x1122], 8, 0)?;
    let mut message = [0_u64; 2];
    errno_is!(sys!(SYS_msgrcv, queue.id, &mut message, 1, 0, 0), E2BIG);
    check_eq!(
        sys!(SYS_msgrcv, queue.id, &mut message, 1, 0, libc::MSG_NOERROR)?,
        1
    );
    check_eq!(message, [1, 0x22]);
    Ok(())
}

fn message_queues_are_told_and_removed() -> Outcome {
    let queue = queue()?;
    sys!(SYS_msgsnd, queue.id, &[1_u64, 1], 5, 0)?;
    // `struct msqid_ds`: permissions, three times, bytes, messages.
    let mut told = [0_u64; 15];
    sys!(SYS_msgctl, queue.id, libc::IPC_STAT, &mut told)?;
    check_eq!((told[9], told[10]), (5, 1));
    let waiting = process::fork(|| {
        let mut message = [0_u64; 2];
        match sys!(SYS_msgrcv, queue.id, &mut message, 8, 7, 0) {
            Err(error) if error.errno == libc::EIDRM || error.errno == libc::EINVAL => 0,
            _ => 1,
        }
    })?;
    sys!(SYS_msgctl, queue.id, libc::IPC_RMID, 0)?;
    let mut waiting = waiting;
    check_eq!(waiting.wait()?.code(), Some(0));
    errno_is!(sys!(SYS_msgsnd, queue.id, &[1_u64, 1], 8, 0), EINVAL);
    Ok(())
}

fn semaphores_change_together_or_not_at_all() -> Outcome {
    let set = semaphores(2)?;
    sys!(SYS_semctl, set.id, 0, SETVAL, 3)?;
    let both = [operation(0, -1, IPC_NOWAIT), operation(1, -1, IPC_NOWAIT)].concat();
    errno_is!(sys!(SYS_semop, set.id, both.as_slice(), 2), EAGAIN);
    check_eq!(value(&set, 0)?, 3);
    let exchange = [operation(0, -1, 0), operation(1, 2, 0)].concat();
    sys!(SYS_semop, set.id, exchange.as_slice(), 2)?;
    check_eq!((value(&set, 0)?, value(&set, 1)?), (2, 2));
    Ok(())
}

fn semaphore_operations_wait() -> Outcome {
    let set = semaphores(1)?;
    let mut child = process::fork(|| match sys!(SYS_semop, set.id, &operation(0, -2, 0), 1) {
        Ok(0) => 0,
        _ => 1,
    })?;
    for _ in 0..2 {
        sys!(SYS_semop, set.id, &operation(0, 1, 0), 1)?;
    }
    check_eq!(child.wait()?.code(), Some(0));
    check_eq!(value(&set, 0)?, 0);
    Ok(())
}

fn semaphore_time_outs_end() -> Outcome {
    let set = semaphores(1)?;
    let soon = [0_i64, 10_000_000];
    errno_is!(
        sys!(SYS_semtimedop, set.id, &operation(0, -1, 0), 1, &soon),
        EAGAIN
    );
    errno_is!(
        sys!(
            SYS_semtimedop,
            set.id,
            &operation(0, -1, 0),
            1,
            &[0_i64, -1]
        ),
        EINVAL
    );
    sys!(SYS_semtimedop, set.id, &operation(0, 0, 0), 1, &soon)?;
    Ok(())
}

fn semaphore_errors() -> Outcome {
    let set = semaphores(1)?;
    errno_is!(sys!(SYS_semop, set.id, &operation(1, 1, 0), 1), EFBIG);
    errno_is!(sys!(SYS_semop, set.id, &operation(0, 1, 0), 0), EINVAL);
    errno_is!(sys!(SYS_semop, set.id, 8, 1), EFAULT);
    errno_is!(sys!(SYS_semctl, set.id, 0, SETVAL, 40_000), ERANGE);
    errno_is!(sys!(SYS_semctl, set.id, 1, GETVAL, 0), EINVAL);
    errno_is!(sys!(SYS_semget, libc::IPC_PRIVATE, 0, 0o600), EINVAL);
    Ok(())
}

/// How often a segment is attached: a word of `struct shmid_ds`.
fn attached(segment: &Object) -> Result<u64, crate::sys::SysError> {
    let mut told = [0_u64; 14];
    sys!(SYS_shmctl, segment.id, libc::IPC_STAT, &mut told)?;
    Ok(told[11])
}

fn segments_are_shared() -> Outcome {
    let segment = segment(8192)?;
    let first = sys!(SYS_shmat, segment.id, 0, 0)? as usize;
    let second = sys!(SYS_shmat, segment.id, 0, 0)? as usize;
    map::poke(first + 5000, 7);
    check_eq!(map::peek(second + 5000), 7);
    check_eq!(attached(&segment)?, 2);
    sys!(SYS_shmdt, second)?;
    errno_is!(sys!(SYS_shmdt, second), EINVAL);
    check_eq!(attached(&segment)?, 1);
    sys!(SYS_shmdt, first)?;
    Ok(())
}

fn segments_live_until_the_last_leaves() -> Outcome {
    let segment = segment(4096)?;
    let at = sys!(SYS_shmat, segment.id, 0, 0)? as usize;
    sys!(SYS_shmctl, segment.id, libc::IPC_RMID, 0)?;
    map::poke(at, 9);
    check_eq!(map::peek(at), 9);
    check_eq!(attached(&segment)?, 1);
    sys!(SYS_shmdt, at)?;
    errno_is!(sys!(SYS_shmat, segment.id, 0, 0), EINVAL);
    Ok(())
}

fn read_only_segments_can_not_be_written() -> Outcome {
    let segment = segment(4096)?;
    let at = sys!(SYS_shmat, segment.id, 0, libc::SHM_RDONLY)? as usize;
    check_eq!(map::peek(at), 0);
    check_eq!(map::status_of_write(at)?.signal(), Some(libc::SIGSEGV));
    sys!(SYS_shmdt, at)?;
    Ok(())
}
