//! The system as a whole: uname, sysinfo, getrandom, membarrier, personality.

use std::sync::atomic::Ordering;

use abi::Errno;
use mm::user_ptr::UserPtr;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::error::SyscallResult;
use crate::kernel::task::Task;
use crate::kernel::version;
use crate::syscalls::args::{Fd, UserPath, UserText};
use crate::syscalls::declare::calls;
use crate::vfs::io::Sink;

calls! {
    63 uname(buffer: UserPtr<NewUtsname> as Out(system::utsname))
        => full ["limits::names_of_the_machine", "procfs::version_and_kernel_settings"];
    99 sysinfo(buffer: UserPtr<Sysinfo> as Out(system::sysinfo)) => full ["procfs::memory_of_the_machine"];
    318 getrandom(buffer: UserPtr<u8> as Filled, count: usize, flags: u32 as Flags(process::GETRANDOM))
        => full ["dup::random_devices"];
    324 membarrier(command: i32 as OneOf(process::MEMBARRIER), flags: u32 as Hex, cpu: i32)
        => partial("rseq commands") ["madvise::membarrier_and_caches"];
    135 personality(wanted: u32 as Flags(process::PERSONALITY))
        => partial("the execution domains change nothing") [
            "procfs::auxv_and_personality",
            "limits::personality_is_kept",
        ];
    334 rseq(area: UserPtr<u8>, size: u32, flags: u32 as Flags(process::RSEQ), signature: u64)
        => refused(ENOSYS, "the Sentry does not see when the host preempts a task");
    425 io_uring_setup(entries: u32, parameters: UserPtr<u8>) => refused(ENOSYS, "not there yet");
    321 bpf(command: i32, attributes: UserPtr<u8>, size: u32)
        => refused(EPERM, "programs for the kernel are not run");
    298 perf_event_open(attributes: UserPtr<u8>, pid: i32, cpu: i32, group_fd: Fd, flags: u64)
        => refused(ENODEV, "there are no counters to read");
    175 init_module(image: UserPtr<u8>, len: usize, parameters: UserText)
        => refused(EPERM, "there are no modules");
    313 finit_module(fd: Fd, parameters: UserText, flags: u32) => refused(EPERM, "there are no modules");
    176 delete_module(name: UserText, flags: u32) => refused(EPERM, "there are no modules");
    246 kexec_load(entry: u64, count: usize, segments: UserPtr<u8>, flags: u64)
        => refused(EPERM, "there is nothing to boot");
    172 iopl(level: i32) => refused(EPERM, "there are no ports");
    173 ioperm(start: u64, count: usize, allowed: i32) => refused(EPERM, "there are no ports");
    167 swapon(path: UserPath, flags: u32) => refused(EPERM, "there is no swap");
    168 swapoff(path: UserPath) => refused(EPERM, "there is no swap");
    154 modify_ldt(function: i32, descriptor: UserPtr<u8> as Buffer(2), size: usize)
        => refused(ENOSYS, "as a kernel without CONFIG_MODIFY_LDT_SYSCALL");
    323 userfaultfd(flags: u32 as Flags(file::OPEN))
        => refused(ENOSYS, "as a kernel without CONFIG_USERFAULTFD");
}

/// `struct new_utsname`
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct NewUtsname {
    fields: [[u8; 65]; 6],
}

fn uname(task: &Task, buffer: UserPtr<NewUtsname>) -> SyscallResult {
    let names = task.namespaces().uts.names.lock().clone();
    let fields: [&[u8]; 6] = [
        version::SYSTEM.as_bytes(),
        &names.host,
        version::RELEASE.as_bytes(),
        version::VERSION.as_bytes(),
        version::MACHINE.as_bytes(),
        &names.domain,
    ];
    let mut uts = NewUtsname::new_zeroed();
    for (field, value) in uts.fields.iter_mut().zip(fields) {
        let len = value.len().min(64);
        field[..len].copy_from_slice(&value[..len]);
    }
    buffer.write(&task.mm(), &uts)?;
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

fn sysinfo(task: &Task, buffer: UserPtr<Sysinfo>) -> SyscallResult {
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
    buffer.write(&task.mm(), &info)?;
    Ok(0)
}

const GRND_NONBLOCK: u32 = 1;
const GRND_RANDOM: u32 = 2;
const GRND_INSECURE: u32 = 4;

fn getrandom(task: &Task, buffer: UserPtr<u8>, count: usize, flags: u32) -> SyscallResult {
    let contradictory = flags & (GRND_INSECURE | GRND_RANDOM) == GRND_INSECURE | GRND_RANDOM;
    if flags & !(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) != 0 || contradictory {
        return Err(Errno::EINVAL.into());
    }
    let mm = task.mm();
    let mut sink = Sink::User(mm::user_io::UserIo::single(&mm, buffer.address(), count));
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
        rustix::rand::getrandom(&mut *chunk, rustix::rand::GetRandomFlags::empty())
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
fn membarrier(task: &Task, command: i32, flags: u32, _cpu: i32) -> SyscallResult {
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

fn personality(task: &Task, wanted: u32) -> SyscallResult {
    let mut own = task.own.lock();
    let old = own.personality;
    if wanted != u32::MAX {
        own.personality = wanted;
    }
    Ok(old.into())
}
