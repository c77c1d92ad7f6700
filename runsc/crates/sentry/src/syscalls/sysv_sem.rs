//! System V semaphores: `man 2 semget`, `man 2 semop`, `man 2 semctl`.

use abi::Errno;
use abi::time::Timespec;
use mm::user_ptr::UserPtr;
use zerocopy::IntoBytes;

use super::sysv::{self, IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT};
use super::timeout;
use crate::error::{Result, SyscallResult};
use crate::kernel::ipc::limits;
use crate::kernel::ipc::sem::{self, Operation};
use crate::kernel::ipc::{self, permission};
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;
use crate::time::Deadline;
use crate::vfs::command::CommandArg;

calls! {
    64 semget(key: i32 as Hex, count: i32, flags: u32 as Hex) => full ["sysv::semaphore_errors"];
    65 semop(id: i32, operations: UserPtr<u8>, count: u32 as Size) => full [
            "sysv::semaphores_change_together_or_not_at_all",
            "sysv::semaphore_errors",
        ];
    220 semtimedop(id: i32, operations: UserPtr<u8>, count: u32 as Size, time: UserPtr<Timespec>)
        => partial("SEM_UNDO is per process; CLONE_SYSVSEM shares it only between threads") [
            "sysv::semaphore_time_outs_end",
        ];
    66 semctl(id: i32, number: i32, command: i32, argument: CommandArg as Hex) => full [
            "sysv::semaphores_change_together_or_not_at_all",
            "sysv::semaphore_errors",
        ];
}

const SEM_UNDO: u16 = 0x1000;
const GETPID: i32 = 11;
const GETVAL: i32 = 12;
const GETALL: i32 = 13;
const GETNCNT: i32 = 14;
const GETZCNT: i32 = 15;
const SETVAL: i32 = 16;
const SETALL: i32 = 17;
const SEM_STAT: i32 = 18;
const SEM_INFO: i32 = 19;
const SEM_STAT_ANY: i32 = 20;

fn semget(task: &Task, key: i32, count: i32, flags: u32) -> SyscallResult {
    sysv::id(sem::get(task, key, count, flags)?)
}

fn semop(task: &Task, id: i32, operations: UserPtr<u8>, count: u32) -> SyscallResult {
    operate(task, id, (operations, count), None)
}

fn semtimedop(
    task: &Task,
    id: i32,
    operations: UserPtr<u8>,
    count: u32,
    time: UserPtr<Timespec>,
) -> SyscallResult {
    let deadline = timeout::read(task, time)?;
    operate(task, id, (operations, count), deadline)
}

fn operate(
    task: &Task,
    id: i32,
    (operations, count): (UserPtr<u8>, u32),
    deadline: Option<Deadline>,
) -> SyscallResult {
    let operations = read_operations(task, operations.address(), count)?;
    sem::find(task, id)?.operate(task, &operations, deadline)?;
    Ok(0)
}

/// An array of `struct sembuf`: number, change, flags; EINVAL, E2BIG.
fn read_operations(task: &Task, address: usize, count: u32) -> Result<Vec<Operation>> {
    let count = usize::try_from(count).map_err(|_| Errno::E2BIG)?;
    if count == 0 {
        return Err(Errno::EINVAL);
    }
    if count > limits::semaphore_operations(task) {
        return Err(Errno::E2BIG);
    }
    let mut raw = vec![[0u16; 3]; count];
    task.mm().read_bytes(address, raw.as_mut_bytes())?;
    let nowait = u16::try_from(sysv::IPC_NOWAIT).unwrap_or(0);
    let operations = raw.iter().map(|[number, change, flags]| Operation {
        number: *number,
        change: change.cast_signed(),
        nowait: flags & nowait != 0,
        undo: flags & SEM_UNDO != 0,
    });
    Ok(operations.collect())
}

fn semctl(task: &Task, id: i32, number: i32, command: i32, argument: CommandArg) -> SyscallResult {
    let address = argument.address();
    if id < 0 {
        return Err(Errno::EINVAL.into());
    }
    let mm = task.mm();
    match command {
        IPC_INFO | SEM_INFO => {
            let (bytes, highest) = sem::info(task, command == SEM_INFO);
            mm.write_bytes(address, &bytes)?;
            Ok(highest)
        }
        IPC_STAT => {
            let bytes = sem::find(task, id)?.stat(task, permission::READ)?;
            mm.write_bytes(address, &bytes)?;
            Ok(0)
        }
        SEM_STAT | SEM_STAT_ANY => {
            let (id, set) = ipc::of(task).semaphores.lock().at(id)?;
            let bytes = set.stat(task, sysv::stat_permission(command == SEM_STAT_ANY))?;
            mm.write_bytes(address, &bytes)?;
            sysv::id(id)
        }
        IPC_SET => {
            let new = sysv::read_permission(task, address)?;
            sem::find(task, id)?.set(task, new.owner, new.mode)?;
            Ok(0)
        }
        IPC_RMID => {
            sem::remove(task, id)?;
            Ok(0)
        }
        SETVAL => {
            // The argument is a union passed by value: an int in its low half.
            sem::find(task, id)?.set_value(task, number, argument.int())?;
            Ok(0)
        }
        SETALL => {
            let set = sem::find(task, id)?;
            let mut values = vec![0u16; set.len()];
            mm.read_bytes(address, values.as_mut_bytes())?;
            set.set_values(task, &values)?;
            Ok(0)
        }
        GETALL => {
            let values = sem::find(task, id)?.values(task)?;
            mm.write_bytes(address, values.as_bytes())?;
            Ok(0)
        }
        _ => get(task, id, number, command),
    }
}

fn get(task: &Task, id: i32, number: i32, command: i32) -> SyscallResult {
    let set = match command {
        GETVAL | GETPID | GETNCNT | GETZCNT => sem::find(task, id)?,
        _ => return Err(Errno::EINVAL.into()),
    };
    Ok(u64::from(match command {
        GETVAL => set.value(task, number)?.unsigned_abs(),
        GETPID => set.last_pid(task, number)?,
        _ => set.waiting(task, number, command == GETZCNT)?,
    }))
}
