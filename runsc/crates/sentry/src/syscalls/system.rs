//! The system as a whole: uname, sysinfo, getrandom, membarrier, personality.

use std::sync::atomic::Ordering;

use abi::Errno;
use abi::raw::general as nr;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::error::SyscallResult;
use crate::kernel::task::Task;
use crate::syscalls::{Call, SyscallArgs};
use crate::vfs::io::Sink;

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_uname, "uname", uname),
    Call::full(nr::__NR_sysinfo, "sysinfo", sysinfo),
    Call::full(nr::__NR_getrandom, "getrandom", getrandom),
    Call::partial(
        nr::__NR_membarrier,
        "membarrier",
        membarrier,
        "rseq commands",
    ),
    Call::partial(
        nr::__NR_personality,
        "personality",
        personality,
        "the execution domains change nothing",
    ),
    Call::refused(
        nr::__NR_rseq,
        "rseq",
        Errno::ENOSYS,
        "the Sentry does not see when the host preempts a task",
    ),
    Call::refused(
        nr::__NR_io_uring_setup,
        "io_uring_setup",
        Errno::ENOSYS,
        "not there yet",
    ),
    Call::refused(
        nr::__NR_bpf,
        "bpf",
        Errno::EPERM,
        "programs for the kernel are not run",
    ),
    Call::refused(
        nr::__NR_perf_event_open,
        "perf_event_open",
        Errno::ENODEV,
        "there are no counters to read",
    ),
    Call::refused(
        nr::__NR_init_module,
        "init_module",
        Errno::EPERM,
        "there are no modules",
    ),
    Call::refused(
        nr::__NR_finit_module,
        "finit_module",
        Errno::EPERM,
        "there are no modules",
    ),
    Call::refused(
        nr::__NR_delete_module,
        "delete_module",
        Errno::EPERM,
        "there are no modules",
    ),
    Call::refused(
        nr::__NR_kexec_load,
        "kexec_load",
        Errno::EPERM,
        "there is nothing to boot",
    ),
    Call::refused(nr::__NR_iopl, "iopl", Errno::EPERM, "there are no ports"),
    Call::refused(
        nr::__NR_ioperm,
        "ioperm",
        Errno::EPERM,
        "there are no ports",
    ),
    Call::refused(nr::__NR_swapon, "swapon", Errno::EPERM, "there is no swap"),
    Call::refused(
        nr::__NR_swapoff,
        "swapoff",
        Errno::EPERM,
        "there is no swap",
    ),
    Call::refused(
        nr::__NR_modify_ldt,
        "modify_ldt",
        Errno::ENOSYS,
        "as a kernel without CONFIG_MODIFY_LDT_SYSCALL",
    ),
    Call::refused(
        nr::__NR_userfaultfd,
        "userfaultfd",
        Errno::ENOSYS,
        "as a kernel without CONFIG_USERFAULTFD",
    ),
];

/// The release that `uname(2)` reports: a current long-term one.
pub(crate) const RELEASE: &str = "6.12.0";
/// The version line: how the application can tell which kernel it runs on.
pub(crate) const VERSION: &str = "#1 SMP PREEMPT_DYNAMIC runsc";

/// `struct new_utsname`
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct NewUtsname {
    fields: [[u8; 65]; 6],
}

fn uname(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let names = task.namespaces().uts.names.lock().clone();
    let fields: [&[u8]; 6] = [
        b"Linux",
        &names.host,
        RELEASE.as_bytes(),
        VERSION.as_bytes(),
        b"x86_64",
        &names.domain,
    ];
    let mut uts = NewUtsname::new_zeroed();
    for (field, value) in uts.fields.iter_mut().zip(fields) {
        let len = value.len().min(64);
        field[..len].copy_from_slice(&value[..len]);
    }
    args.ptr(0).write(&task.mm(), &uts)?;
    Ok(0)
}

/// `struct sysinfo`
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct Sysinfo {
    uptime: i64,
    loads: [u64; 3],
    total_ram: u64,
    free_ram: u64,
    shared_ram: u64,
    buffer_ram: u64,
    total_swap: u64,
    free_swap: u64,
    procs: u16,
    pad: [u16; 3],
    total_high: u64,
    free_high: u64,
    mem_unit: u32,
    pad2: u32,
}

fn sysinfo(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let kernel = task.kernel();
    let total = kernel.total_memory();
    let used = kernel.memory().usage().total();
    let info = Sysinfo {
        uptime: i64::try_from(kernel.clock().monotonic_ns() / crate::time::NANOS_PER_SEC)
            .unwrap_or(i64::MAX),
        total_ram: total,
        free_ram: total.saturating_sub(used),
        procs: u16::try_from(kernel.root_pid_ns().tasks().len()).unwrap_or(u16::MAX),
        mem_unit: 1,
        ..Sysinfo::new_zeroed()
    };
    args.ptr(0).write(&task.mm(), &info)?;
    Ok(0)
}

const GRND_NONBLOCK: u32 = 1;
const GRND_RANDOM: u32 = 2;
const GRND_INSECURE: u32 = 4;

fn getrandom(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let flags = args.u32(2);
    let contradictory = flags & (GRND_INSECURE | GRND_RANDOM) == GRND_INSECURE | GRND_RANDOM;
    if flags & !(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) != 0 || contradictory {
        return Err(Errno::EINVAL.into());
    }
    let mm = task.mm();
    let mut sink = Sink::User(crate::mm::user_io::UserIo::single(
        &mm,
        args.usize(0),
        args.usize(1),
    ));
    let done = fill_random(task, &mut sink)?;
    Ok(done as u64)
}

/// Fills `sink` with random bytes from the host, up to an interruption after the first 256
/// (`man 2 getrandom`, *Interruption by a signal handler*).
pub(crate) fn fill_random(task: &Task, sink: &mut Sink<'_>) -> crate::Result<usize> {
    let mut done = 0;
    let mut bytes = [0; 4096];
    while sink.remaining() > 0 {
        let chunk = &mut bytes[..sink.remaining().min(4096)];
        host::rustix::rand::getrandom(&mut *chunk, host::rustix::rand::GetRandomFlags::empty())
            .map_err(host::errno)?;
        match sink.write(chunk) {
            Ok(len) => done += len,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
        if task.is_interrupted() {
            break;
        }
    }
    Ok(done)
}

const MEMBARRIER_QUERY: i32 = 0;
/// GLOBAL, `GLOBAL_EXPEDITED` and `PRIVATE_EXPEDITED` with their registrations, `SYNC_CORE` ones as well.
/// `GLOBAL_EXPEDITED`, `PRIVATE_EXPEDITED` and `PRIVATE_EXPEDITED_SYNC_CORE`: the registrations.
const MEMBARRIER_REGISTRATIONS: i32 = 4 | 16 | 64;
/// The commands on the threads of one process.
const MEMBARRIER_PRIVATE: i32 = 8 | 32;
/// All of them.
const MEMBARRIER_SUPPORTED: i32 = 1 | 2 | 4 | 8 | 16 | 32 | 64;

/// Every task of another host thread makes a full barrier whenever the host switches it; where the host's
/// own call works it is used, so that running tasks make one too.
fn membarrier(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (command, flags) = (args.i32(0), args.u32(1));
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    match command {
        MEMBARRIER_QUERY => Ok(u64::from(MEMBARRIER_SUPPORTED.unsigned_abs())),
        command if command & MEMBARRIER_REGISTRATIONS != 0 && command.count_ones() == 1 => {
            task.group()
                .membarrier
                .fetch_or(command.unsigned_abs(), Ordering::Relaxed);
            Ok(0)
        }
        command if command.count_ones() == 1 && command & MEMBARRIER_SUPPORTED != 0 => {
            // The private commands need their registration, which is the next bit.
            let registration = command.unsigned_abs() << 1;
            let registered = task.group().membarrier.load(Ordering::Relaxed) & registration != 0;
            if command & MEMBARRIER_PRIVATE != 0 && !registered {
                return Err(Errno::EPERM.into());
            }
            host::barrier::all_threads()?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}

fn personality(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let wanted = args.u32(0);
    let mut own = task.own.lock();
    let old = own.personality;
    if wanted != u32::MAX {
        own.personality = wanted;
    }
    Ok(old.into())
}
