//! System V shared memory: `man 2 shmget`, `man 2 shmop`, `man 2 shmctl`.

use abi::Errno;
use abi::raw::general as nr;

use super::mmap;
use super::sysv::{self, IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT};
use crate::error::SyscallResult;
use crate::kernel::ipc::shm::{self, Attach};
use crate::kernel::ipc::{self, permission};
use crate::kernel::task::Task;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::Call;

pub(super) const CALLS: &[Call] = &[
    Call::partial(nr::__NR_shmget, "shmget", shmget, "SHM_HUGETLB is EINVAL"),
    Call::full(nr::__NR_shmat, "shmat", shmat),
    Call::full(nr::__NR_shmdt, "shmdt", shmdt),
    Call::full(nr::__NR_shmctl, "shmctl", shmctl),
];

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

fn shmget(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let flags = args.u32(2);
    if flags & SHM_HUGETLB != 0 {
        return Err(Errno::EINVAL.into());
    }
    sysv::id(shm::get(task, args.i32(0), args.usize(1), flags)?)
}

fn shmat(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let flags = args.u32(2);
    let how = Attach {
        address: args.usize(1),
        rounds: flags & SHM_RND != 0,
        replaces: flags & SHM_REMAP != 0,
        writes: flags & SHM_RDONLY == 0,
        executes: flags & SHM_EXEC != 0,
    };
    let address = shm::attach(task, args.i32(0), how, &mmap::limits(task))?;
    Ok(address as u64)
}

fn shmdt(task: &Task, args: &SyscallArgs) -> SyscallResult {
    shm::detach(task, args.usize(0))?;
    Ok(0)
}

fn shmctl(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (id, command, address) = (args.i32(0), args.i32(1), args.usize(2));
    let mm = task.mm();
    match command {
        IPC_INFO => {
            let (_, highest) = shm::used_info(task);
            mm.write_bytes(address, &shm::limits_info())?;
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
