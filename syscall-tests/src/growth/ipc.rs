//! System V and POSIX objects, and others that belong to no process.

use crate::case::Failure;
use crate::growth::descriptors::each;
use crate::growth::{Kind, Step};
use crate::support::file::cstring;
use crate::sys::SysResult;

pub(super) const KINDS: &[(&str, Kind)] = &[
    ("sysv-messages", messages),
    ("sysv-semaphores", || {
        each(|_| sys!(SYS_semget, libc::IPC_PRIVATE, 1000, 0o600))
    }),
    ("sysv-shm", || each(|_| shared_memory())),
    ("posix-queues", || each(queue)),
    ("keys", || each(key)),
];

/// Full queues of messages.
fn messages() -> Result<Step, Failure> {
    // The type, then the text.
    let message = vec![1_u64; 513];
    Ok(Box::new(move || {
        let queue = sys!(SYS_msgget, libc::IPC_PRIVATE, 0o600)?;
        let mut sent = 0;
        while sys!(
            SYS_msgsnd,
            queue,
            message.as_slice(),
            4096,
            libc::IPC_NOWAIT
        )
        .is_ok()
        {
            sent += 1;
        }
        Ok(sent)
    }))
}

/// A segment with something in it, which nobody has attached any more.
fn shared_memory() -> SysResult {
    const LEN: usize = 64 << 10;
    let id = sys!(SYS_shmget, libc::IPC_PRIVATE, LEN, 0o600)?;
    let address = sys!(SYS_shmat, id, 0, 0)?;
    for at in (0..LEN).step_by(4096) {
        crate::support::map::poke(address as usize + at, 1);
    }
    sys!(SYS_shmdt, address)
}

fn queue(serial: u64) -> SysResult {
    let attributes = [0_i64, 10, 8192, 0, 0, 0, 0, 0];
    let flags = libc::O_CREAT | libc::O_RDWR | libc::O_NONBLOCK;
    let name = cstring(&format!("growth-{serial}"));
    let fd = sys!(SYS_mq_open, &name, flags, 0o600, &attributes)?;
    let message = vec![1_u8; 8192];
    while sys!(SYS_mq_timedsend, fd, message.as_slice(), 8192, 0, 0).is_ok() {}
    Ok(fd)
}

fn key(serial: u64) -> SysResult {
    const USER_KEYRING: i32 = -4;
    let name = cstring(&format!("growth-{serial}"));
    let bytes = [1_u8; 4096];
    sys!(
        SYS_add_key,
        &cstring("user"),
        &name,
        &bytes,
        bytes.len(),
        USER_KEYRING
    )
}
