//! System V shared memory: `man 2 shmget`, `man 2 shmop`, `man 2 shmctl`.

use abi::Errno;
use mm::user_ptr::UserPtr;

use super::mmap;
use super::sysv::{self, IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT};
use crate::error::SyscallResult;
use crate::kernel::ipc::shm::{self, Attach};
use crate::kernel::ipc::{self, permission};
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;

calls! {
    29 shmget(key: i32 as Hex, size: usize, flags: u32 as Hex)
        => partial("SHM_HUGETLB is EINVAL") ["user_limits::locked_shared_memory_is_counted_by_user"];
    30 shmat(id: i32, address: UserPtr<u8>, flags: u32 as Hex) => full [
            "sysv::segments_live_until_the_last_leaves",
            "sysv::segments_are_shared",
        ];
    67 shmdt(address: UserPtr<u8>) => full [
            "sysv::segments_live_until_the_last_leaves",
            "sysv::segments_are_shared",
        ];
    31 shmctl(id: i32, command: i32, address: UserPtr<u8>)
        => full [
            "sysv::segments_live_until_the_last_leaves",
            "user_limits::locked_shared_memory_is_counted_by_user",
        ];
}

const SHM_HUGETLB: u32 = 0o4000;
const SHM_RDONLY: u32 = 0o10_000;
const SHM_RND: u32 = 0o20_000;
const SHM_REMAP: u32 = 0o40_000;
const SHM_EXEC: u32 = 0o100_000;
const SHM_LOCK: i32 = 11;
const SHM_UNLOCK: i32 = 12;
const SHM_STAT: i32 = 13;
const SHM_INFO: i32 = 14;
const SHM_STAT_ANY: i32 = 15;

fn shmget(task: &Task, key: i32, size: usize, flags: u32) -> SyscallResult {
    if flags & SHM_HUGETLB != 0 {
        return Err(Errno::EINVAL.into());
    }
    sysv::id(shm::get(task, key, size, flags)?)
}

fn shmat(task: &Task, id: i32, address: UserPtr<u8>, flags: u32) -> SyscallResult {
    let how = Attach {
        address: address.address(),
        rounds: flags & SHM_RND != 0,
        replaces: flags & SHM_REMAP != 0,
        writes: flags & SHM_RDONLY == 0,
        executes: flags & SHM_EXEC != 0,
    };
    let address = shm::attach(task, id, how, &mmap::limits(task))?;
    Ok(address as u64)
}

fn shmdt(task: &Task, address: UserPtr<u8>) -> SyscallResult {
    shm::detach(task, address.address())?;
    Ok(0)
}

fn shmctl(task: &Task, id: i32, command: i32, address: UserPtr<u8>) -> SyscallResult {
    let address = address.address();
    let mm = task.mm();
    match command {
        IPC_INFO => {
            let (_, highest) = shm::used_info(task);
            mm.write_bytes(address, &shm::limits_info(task))?;
            Ok(highest)
        }
        SHM_INFO => {
            let (bytes, highest) = shm::used_info(task);
            mm.write_bytes(address, &bytes)?;
            Ok(highest)
        }
        IPC_STAT => {
            let bytes = shm::find(task, id)?.stat(task, permission::READ)?;
            mm.write_bytes(address, &bytes)?;
            Ok(0)
        }
        SHM_STAT | SHM_STAT_ANY => {
            let (id, segment) = ipc::of(task).segments.lock().at(id)?;
            let bytes = segment.stat(task, sysv::stat_permission(command == SHM_STAT_ANY))?;
            mm.write_bytes(address, &bytes)?;
            sysv::id(id)
        }
        IPC_SET => {
            let new = sysv::read_permission(task, address)?;
            shm::find(task, id)?.set(task, new.owner, new.mode)?;
            Ok(0)
        }
        IPC_RMID => {
            shm::remove(task, id)?;
            Ok(0)
        }
        SHM_LOCK | SHM_UNLOCK => {
            shm::find(task, id)?.set_locked(task, command == SHM_LOCK)?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}
