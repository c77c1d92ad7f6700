//! Limits of System V IPC (`man 5 proc_sys_kernel`).

use super::{Row, Step, each};
use crate::case::Failure;
use crate::sys::{SysError, SysResult};

const PAGE: usize = 4096;

pub(super) const ROWS: &[Row] = &[
    ("message-queues-sysv", &[("kernel/msgmni", "3")], queues),
    ("message-length", &[("kernel/msgmax", "50")], message_length),
    ("queue-bytes", &[("kernel/msgmnb", "50")], queue_bytes),
    (
        "semaphores-of-a-set",
        &[("kernel/sem", "4 1000 500 100")],
        set_size,
    ),
    (
        "semaphores",
        &[("kernel/sem", "32000 10 500 100")],
        semaphores,
    ),
    (
        "semaphore-operations",
        &[("kernel/sem", "32000 1000 5 100")],
        semaphore_operations,
    ),
    (
        "semaphore-sets",
        &[("kernel/sem", "32000 1000 500 4")],
        semaphores,
    ),
    ("segment-size", &[("kernel/shmmax", "12288")], segment_size),
    ("segment-pages", &[("kernel/shmall", "7")], segments),
    ("segments", &[("kernel/shmmni", "3")], segments),
];

/// An object that goes when it is dropped.
struct Object {
    id: i64,
    remove: fn(i64) -> SysResult,
}

impl Drop for Object {
    fn drop(&mut self) {
        let _ = (self.remove)(self.id);
    }
}

fn queue() -> Result<Object, SysError> {
    Ok(Object {
        id: sys!(SYS_msgget, libc::IPC_PRIVATE, 0o600)?,
        remove: |id| sys!(SYS_msgctl, id, libc::IPC_RMID, 0),
    })
}

fn set(semaphores: usize) -> Result<Object, SysError> {
    Ok(Object {
        id: sys!(SYS_semget, libc::IPC_PRIVATE, semaphores, 0o600)?,
        remove: |id| sys!(SYS_semctl, id, 0, libc::IPC_RMID, 0),
    })
}

fn segment(bytes: usize) -> Result<Object, SysError> {
    Ok(Object {
        id: sys!(SYS_shmget, libc::IPC_PRIVATE, bytes, 0o600)?,
        remove: |id| sys!(SYS_shmctl, id, libc::IPC_RMID, 0),
    })
}

fn send(queue: &Object, len: usize) -> SysResult {
    let message = [1_u64; 32];
    sys!(SYS_msgsnd, queue.id, &message, len, libc::IPC_NOWAIT)
}

fn add_often(set: &Object, count: usize) -> SysResult {
    // Number, change, flags.
    let operations = vec![[0_u16, 1, 0]; count];
    sys!(SYS_semop, set.id, operations.as_ptr(), operations.len())
}

fn queues() -> Result<Step, Failure> {
    Ok(each(|_| queue()))
}

/// The first that is refused is of 51 bytes.
fn message_length() -> Result<Step, Failure> {
    Ok(Box::new(|made| send(&queue()?, 48 + made)))
}

fn queue_bytes() -> Result<Step, Failure> {
    let queue = queue()?;
    Ok(Box::new(move |_| send(&queue, 10)))
}

/// Sets of 1, 2, and so on.
fn set_size() -> Result<Step, Failure> {
    Ok(each(|made| set(made + 1)))
}

fn semaphores() -> Result<Step, Failure> {
    Ok(each(|_| set(3)))
}

/// One more operation in each call.
fn semaphore_operations() -> Result<Step, Failure> {
    let set = set(1)?;
    Ok(Box::new(move |made| add_often(&set, made + 1)))
}

/// Segments of one page, two, and so on.
fn segment_size() -> Result<Step, Failure> {
    Ok(each(|made| segment(PAGE * (made + 1))))
}

fn segments() -> Result<Step, Failure> {
    Ok(each(|_| segment(2 * PAGE)))
}
