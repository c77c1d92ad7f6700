//! System V message queues: `man 2 msgget`, `man 2 msgop`, `man 2 msgctl`.

use abi::Errno;
use mm::user_ptr::UserPtr;

use super::sysv::{self, IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT};
use crate::error::{Result, SyscallResult};
use crate::kernel::ipc::limits;
use crate::kernel::ipc::msg::{self, Message, Selection};
use crate::kernel::ipc::{self, permission};
use crate::kernel::oom;
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;

calls! {
    68 msgget(key: i32 as Hex, flags: u32 as Hex) => full ["sysv::messages_come_by_kind"];
    69 msgsnd(id: i32, address: UserPtr<u8>, len: usize, flags: u32 as Hex) => full [
            "sysv::messages_that_do_not_fit_stay",
            "sysv::messages_come_by_kind",
        ];
    70 msgrcv(id: i32, address: UserPtr<u8>, max: usize, kind: i64 as Int, flags: u32 as Hex) => full [
            "sysv::messages_that_do_not_fit_stay",
            "sysv::messages_come_by_kind",
        ];
    71 msgctl(id: i32, command: i32, address: UserPtr<u8>) => full [
            "sysv::message_queues_are_told_and_removed",
        ];
}

const MSG_NOERROR: u32 = 0o10_000;
const MSG_EXCEPT: u32 = 0o20_000;
const MSG_COPY: u32 = 0o40_000;
const MSG_STAT: i32 = 11;
const MSG_INFO: i32 = 12;
const MSG_STAT_ANY: i32 = 13;

fn msgget(task: &Task, key: i32, flags: u32) -> SyscallResult {
    sysv::id(msg::get(task, key, flags)?)
}

fn msgsnd(task: &Task, id: i32, address: UserPtr<u8>, len: usize, flags: u32) -> SyscallResult {
    let address = address.address();
    if len > limits::message_len(task) {
        return Err(Errno::EINVAL.into());
    }
    let mm = task.mm();
    let kind: i64 = mm.read_value(address)?;
    if kind < 1 {
        return Err(Errno::EINVAL.into());
    }
    let _room = oom::reserve(task, len as u64)?;
    let mut text = vec![0; len];
    if len > 0 {
        mm.read_bytes(address.checked_add(8).ok_or(Errno::EFAULT)?, &mut text)?;
    }
    let waits = flags & sysv::IPC_NOWAIT == 0;
    msg::find(task, id)?.send(task, Message { kind, text }, waits)?;
    Ok(0)
}

fn msgrcv(
    task: &Task,
    id: i32,
    address: UserPtr<u8>,
    max: usize,
    kind: i64,
    flags: u32,
) -> SyscallResult {
    let address = address.address();
    if isize::try_from(max).is_err() {
        return Err(Errno::EINVAL.into());
    }
    let selection = selection(kind, flags)?;
    let waits = flags & sysv::IPC_NOWAIT == 0;
    let queue = msg::find(task, id)?;
    let cuts = flags & MSG_NOERROR != 0;
    let message = queue.receive(task, max, selection, cuts, waits)?;
    let mm = task.mm();
    mm.write_value(address, &message.kind)?;
    if !message.text.is_empty() {
        let text_at = address.checked_add(8).ok_or(Errno::EFAULT)?;
        mm.write_bytes(text_at, &message.text)?;
    }
    Ok(message.text.len() as u64)
}

fn selection(kind: i64, flags: u32) -> Result<Selection> {
    if flags & MSG_COPY != 0 {
        if flags & MSG_EXCEPT != 0 || flags & sysv::IPC_NOWAIT == 0 {
            return Err(Errno::EINVAL);
        }
        let at = usize::try_from(kind).map_err(|_| Errno::ENOMSG)?;
        return Ok(Selection::CopyOf(at));
    }
    Ok(match kind {
        0 => Selection::First,
        kind if kind < 0 => Selection::UpTo(kind.checked_neg().unwrap_or(i64::MAX)),
        kind if flags & MSG_EXCEPT != 0 => Selection::Except(kind),
        kind => Selection::Type(kind),
    })
}

fn msgctl(task: &Task, id: i32, command: i32, address: UserPtr<u8>) -> SyscallResult {
    let address = address.address();
    match command {
        IPC_INFO | MSG_INFO => {
            let (bytes, highest) = msg::info(task, command == MSG_INFO);
            task.mm().write_bytes(address, &bytes)?;
            Ok(highest)
        }
        IPC_STAT => {
            let bytes = msg::find(task, id)?.stat(task, permission::READ)?;
            task.mm().write_bytes(address, &bytes)?;
            Ok(0)
        }
        MSG_STAT | MSG_STAT_ANY => {
            let (id, queue) = ipc::of(task).queues.lock().at(id)?;
            let bytes = queue.stat(task, sysv::stat_permission(command == MSG_STAT_ANY))?;
            task.mm().write_bytes(address, &bytes)?;
            sysv::id(id)
        }
        IPC_SET => {
            let new = sysv::read_permission(task, address)?;
            // `msg_qbytes` of a struct msqid64_ds.
            let at = address.checked_add(88).ok_or(Errno::EFAULT)?;
            let max_bytes: u64 = task.mm().read_value(at)?;
            msg::find(task, id)?.set(task, new.owner, new.mode, max_bytes)?;
            Ok(0)
        }
        IPC_RMID => {
            msg::remove(task, id)?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}
