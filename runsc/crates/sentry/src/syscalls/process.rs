//! clone, fork, execve, exit, wait.

use abi::Errno;
use abi::raw::general as nr;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::error::{Result, SysError, SyscallResult};
use crate::kernel::clone::{CloneFlags, CloneRequest, clone as clone_task};
use crate::kernel::exec;
use crate::kernel::exit as ending;
use crate::kernel::signal::Signal;
use crate::kernel::task::Task;
use crate::kernel::thread_group::ExitStatus;
use crate::kernel::wait::{self, ChildState, Report, WaitOptions, Which};
use crate::loader::arguments;
use crate::mm::user_ptr::UserPtr;
use crate::syscalls::resource_usage;
use crate::syscalls::{Call, SyscallArgs};
use crate::vfs::walk::WalkFlags;

pub(super) const CALLS: &[Call] = &[
    Call::partial(nr::__NR_clone, "clone", clone, "user and time namespaces"),
    Call::partial(
        nr::__NR_clone3,
        "clone3",
        clone3,
        "user and time namespaces, cgroup descriptors, chosen ids",
    ),
    Call::full(nr::__NR_fork, "fork", fork),
    Call::full(nr::__NR_vfork, "vfork", vfork),
    Call::full(nr::__NR_execve, "execve", execve),
    Call::full(nr::__NR_execveat, "execveat", execveat),
    Call::full(nr::__NR_exit, "exit", exit),
    Call::full(nr::__NR_exit_group, "exit_group", exit_group),
    Call::full(nr::__NR_wait4, "wait4", wait4),
    Call::full(nr::__NR_waitid, "waitid", waitid),
];

const EXIT_SIGNAL: u64 = 0xff;

fn clone(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let flags = args.u64(0) & 0xffff_ffff;
    let request = CloneRequest {
        flags: CloneFlags::from_bits_retain(flags & !EXIT_SIGNAL),
        stack: args.u64(1),
        parent_tid: args.usize(2),
        child_tid: args.usize(3),
        tls: args.u64(4),
        exit_signal: u8::try_from(flags & EXIT_SIGNAL).unwrap_or(0),
        pidfd: args.usize(2),
    };
    // Both would be stored at the same address (man 2 clone, ERRORS).
    if request
        .flags
        .contains(CloneFlags::PIDFD | CloneFlags::PARENT_SETTID)
    {
        return Err(Errno::EINVAL.into());
    }
    Ok(clone_task(task, &request)?)
}

fn fork(task: &Task, _args: &SyscallArgs) -> SyscallResult {
    Ok(clone_task(task, &plain(CloneFlags::empty()))?)
}

fn vfork(task: &Task, _args: &SyscallArgs) -> SyscallResult {
    Ok(clone_task(
        task,
        &plain(CloneFlags::VFORK | CloneFlags::VM),
    )?)
}

fn plain(flags: CloneFlags) -> CloneRequest {
    let exit_signal = Signal::SIGCHLD.number();
    CloneRequest {
        flags,
        stack: 0,
        tls: 0,
        exit_signal,
        parent_tid: 0,
        child_tid: 0,
        pidfd: 0,
    }
}

/// `struct clone_args`, version 3.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// The size of version 1 (`CLONE_ARGS_SIZE_VER0`).
const CLONE_ARGS_MIN: usize = 64;

fn clone3(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let given = read_clone_args(task, args.usize(0), args.usize(1))?;
    let bad_signal = given.exit_signal > EXIT_SIGNAL;
    let bad_stack = (given.stack == 0) != (given.stack_size == 0);
    let unsupported =
        given.flags & (CloneFlags::DETACHED.bits() | EXIT_SIGNAL) != 0 || given.set_tid_size != 0;
    let unknown = given.flags & !CloneFlags::all().bits() != 0;
    let exits_silently = given.flags & (CloneFlags::THREAD | CloneFlags::PARENT).bits() != 0
        && given.exit_signal != 0;
    if bad_signal || bad_stack || unsupported || unknown || exits_silently {
        return Err(Errno::EINVAL.into());
    }
    let address = |value: u64| usize::try_from(value).map_err(|_| Errno::EFAULT);
    let request = CloneRequest {
        flags: CloneFlags::from_bits_retain(given.flags),
        stack: given.stack.wrapping_add(given.stack_size),
        tls: given.tls,
        exit_signal: u8::try_from(given.exit_signal).unwrap_or(0),
        parent_tid: address(given.parent_tid)?,
        child_tid: address(given.child_tid)?,
        pidfd: address(given.pidfd)?,
    };
    Ok(clone_task(task, &request)?)
}

/// Copies a structure whose size the caller knows: shorter ones are padded with zeros, longer ones must be
/// zero behind what is known here (`man 2 clone`, E2BIG).
fn read_clone_args(task: &Task, address: usize, size: usize) -> Result<CloneArgs> {
    if size > abi::PAGE_SIZE {
        return Err(Errno::E2BIG);
    }
    if size < CLONE_ARGS_MIN {
        return Err(Errno::EINVAL);
    }
    let mut bytes = vec![0; size.max(size_of::<CloneArgs>())];
    task.mm().read_bytes(address, &mut bytes[..size])?;
    let (known, rest) = bytes.split_at(size_of::<CloneArgs>());
    if rest.iter().any(|byte| *byte != 0) {
        return Err(Errno::E2BIG);
    }
    CloneArgs::read_from_bytes(known).map_err(|_| Errno::EINVAL)
}

fn execve(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let path = super::read_path(task, args.usize(0))?;
    let (arguments, _room) = arguments::read(task, path.clone(), args.usize(1), args.usize(2))?;
    exec::execute(task, None, &path, WalkFlags::FOLLOW, arguments)
}

fn execveat(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let flags = args.u32(4);
    if flags & !(nr::AT_EMPTY_PATH | nr::AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let path = super::read_path_or_empty(task, args.usize(1))?;
    let mut walk = WalkFlags::empty();
    walk.set(WalkFlags::FOLLOW, flags & nr::AT_SYMLINK_NOFOLLOW == 0);
    walk.set(WalkFlags::EMPTY, flags & nr::AT_EMPTY_PATH != 0);
    let start = super::start_directory(task, args.i32(0), &path)?;
    // The name that AT_EXECFN and scripts get (man 2 execveat, NOTES).
    let filename = match (args.i32(0), path.first()) {
        (nr::AT_FDCWD, _) | (_, Some(b'/')) => path.clone(),
        (fd, None) => format!("/dev/fd/{fd}").into_bytes(),
        (fd, Some(_)) => [format!("/dev/fd/{fd}/").as_bytes(), &path].concat(),
    };
    let (mut arguments, _room) = arguments::read(task, filename, args.usize(2), args.usize(3))?;
    if args.i32(0) != nr::AT_FDCWD && path.first() != Some(&b'/') {
        arguments.inaccessible = task.files().descriptor(args.i32(0))?.close_on_exec;
    }
    exec::execute(task, start.as_ref(), &path, walk, arguments)
}

fn exit(task: &Task, args: &SyscallArgs) -> SyscallResult {
    ending::end_task(task, low_byte(args.u64(0)));
    Err(SysError::NoReturn)
}

fn exit_group(task: &Task, args: &SyscallArgs) -> SyscallResult {
    ending::end_group(task.group(), ExitStatus::Exited(low_byte(args.u64(0))));
    Err(SysError::NoReturn)
}

fn low_byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}

const WAIT4_OPTIONS: WaitOptions = WaitOptions::NOHANG
    .union(WaitOptions::STOPPED)
    .union(WaitOptions::CONTINUED)
    .union(WaitOptions::NOTHREAD)
    .union(WaitOptions::ALL)
    .union(WaitOptions::CLONE);

fn wait4(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let options = WaitOptions::from_bits(args.u32(2)).ok_or(Errno::EINVAL)?;
    if !WAIT4_OPTIONS.contains(options) {
        return Err(Errno::EINVAL.into());
    }
    let own_group = || {
        task.group()
            .process_group()
            .map_or(0, |group| group.numbers.in_namespace(&task.pid_namespace()))
    };
    let which = match args.i32(0) {
        i32::MIN => return Err(Errno::ESRCH.into()),
        -1 => Which::Any,
        0 => Which::ProcessGroup(own_group()),
        pid if pid < 0 => Which::ProcessGroup(pid.unsigned_abs()),
        pid => Which::Process(pid.unsigned_abs()),
    };
    let Some(report) = wait::wait(task, &which, options | WaitOptions::EXITED)? else {
        return Ok(0);
    };
    let mm = task.mm();
    let status: UserPtr<u32> = args.ptr(1);
    if !status.is_null() {
        status.write(&mm, &wait_status(report.state))?;
    }
    resource_usage::write_if_wanted(&mm, args.usize(3), &report.usage)?;
    Ok(u64::from(report.pid))
}

fn wait_status(state: ChildState) -> u32 {
    match state {
        ChildState::Ended(status) => status.wait_status(),
        ChildState::Stopped(signal) => u32::from(signal.number()) << 8 | 0x7f,
        ChildState::Trapped { code, .. } => code << 8 | 0x7f,
        ChildState::Continued => 0xffff,
    }
}

const WAITID_OPTIONS: WaitOptions = WAIT4_OPTIONS
    .union(WaitOptions::EXITED)
    .union(WaitOptions::NOWAIT);

const P_ALL: u32 = 0;
const P_PID: u32 = 1;
const P_PGID: u32 = 2;
const P_PIDFD: u32 = 3;

fn waitid(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let options = WaitOptions::from_bits(args.u32(3)).ok_or(Errno::EINVAL)?;
    let awaited = WaitOptions::EXITED | WaitOptions::STOPPED | WaitOptions::CONTINUED;
    if !WAITID_OPTIONS.contains(options) || !options.intersects(awaited) {
        return Err(Errno::EINVAL.into());
    }
    let mut options = options;
    let which = which_of_waitid(task, args, &mut options)?;
    let report = wait::wait(task, &which, options)?;
    let mm = task.mm();
    if args.usize(2) != 0 {
        mm.write_value(
            args.usize(2),
            &report.map_or_else(WaitInfo::new_zeroed, WaitInfo::from),
        )?;
    }
    if let Some(report) = report {
        resource_usage::write_if_wanted(&mm, args.usize(4), &report.usage)?;
    }
    Ok(0)
}

fn which_of_waitid(task: &Task, args: &SyscallArgs, options: &mut WaitOptions) -> Result<Which> {
    let id = args.i32(1);
    Ok(match args.u32(0) {
        P_ALL => Which::Any,
        P_PID if id > 0 => Which::Process(id.unsigned_abs()),
        P_PGID if id > 0 => Which::ProcessGroup(id.unsigned_abs()),
        P_PGID if id == 0 => {
            let group = task.group().process_group();
            Which::ProcessGroup(
                group.map_or(0, |group| group.numbers.in_namespace(&task.pid_namespace())),
            )
        }
        P_PIDFD if id >= 0 => {
            let open = task.files().get(id)?;
            // A non-blocking pidfd never waits (man 2 waitid, EAGAIN).
            if open.is_nonblocking() {
                *options |= WaitOptions::NOHANG;
            }
            Which::Group(crate::fs::pidfd::group_of(&open)?.clone())
        }
        _ => return Err(Errno::EINVAL),
    })
}

/// The part of `siginfo_t` that `waitid(2)` fills in.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct WaitInfo {
    signo: i32,
    errno: i32,
    code: i32,
    pad: i32,
    pid: u32,
    uid: u32,
    status: i32,
    pad2: i32,
    rest: [u64; 12],
}

impl From<Report> for WaitInfo {
    fn from(report: Report) -> WaitInfo {
        use crate::kernel::signal::info::code;
        let (code, status) = match report.state {
            ChildState::Ended(ExitStatus::Exited(status)) => (code::CLD_EXITED, u32::from(status)),
            ChildState::Ended(ExitStatus::Killed { signal, core: true }) => {
                (code::CLD_DUMPED, u32::from(signal.number()))
            }
            ChildState::Ended(ExitStatus::Killed {
                signal,
                core: false,
            }) => (code::CLD_KILLED, u32::from(signal.number())),
            ChildState::Stopped(signal) => (code::CLD_STOPPED, u32::from(signal.number())),
            ChildState::Continued => (code::CLD_CONTINUED, u32::from(Signal::SIGCONT.number())),
            ChildState::Trapped {
                code: status,
                group,
            } => {
                let code = if group {
                    code::CLD_STOPPED
                } else {
                    code::CLD_TRAPPED
                };
                (code, status)
            }
        };
        WaitInfo {
            signo: i32::from(Signal::SIGCHLD.number()),
            code,
            pid: report.pid,
            uid: report.uid,
            status: status.cast_signed(),
            ..WaitInfo::new_zeroed()
        }
    }
}
