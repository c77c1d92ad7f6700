//! clone, fork, execve, exit, wait.

use abi::Errno;
use abi::raw::general as nr;
use mm::user_ptr::UserPtr;
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
use crate::syscalls::args::{DirFd, UserPath};
use crate::syscalls::at;
use crate::syscalls::declare::calls;
use crate::syscalls::resource_usage::{self, Rusage};
use crate::vfs::walk::WalkFlags;

calls! {
    56 clone(
        flags: u64 as Before(clone::clone_stack),
        stack: u64 as Before(clone::clone_flags),
        parent_tid: UserPtr<u8> as Before(clone::clone_parent_tid),
        child_tid: UserPtr<u8> as Before(clone::clone_tls),
        tls: u64 as Before(clone::clone_child_tid),
    )
        => partial("user and time namespaces") [
            "clone::clone_flag_combinations_are_checked",
            "clone::clone_stores_the_thread_ids",
        ];
    435 clone3(clone_args: UserPtr<u8> as Before(process::clone_args), size: usize)
        => partial("user and time namespaces, cgroup descriptors, chosen ids") [
            "clone::clone3_checks_its_argument",
            "clone::clone3_exit_signal_and_pidfd",
        ];
    57 fork() => full ["forms::old_fork_makes_a_process"];
    58 vfork() => full ["clone::vfork_itself_makes_a_process"];
    59 execve(
        path: UserPath,
        argv: UserPtr<usize> as In(process::arguments),
        envp: UserPtr<usize> as In(process::environment),
    )
        => full ["execve::bad_pointers_are_efault", "execve::argument_list_of_gibibytes_is_e2big"];
    322 execveat(
        dirfd: DirFd,
        path: UserPath,
        argv: UserPtr<usize> as In(process::arguments),
        envp: UserPtr<usize> as In(process::environment),
        flags: u32 as Flags(file::AT),
    )
        => full ["execve::execveat_errors", "execve::execveat_of_a_script_names_the_descriptor"];
    60 exit(status: u64 as Int)
        => full ["seccomp::strict_mode_allows_exit", "wait::exit_of_the_leader_leaves_threads"];
    231 exit_group(status: u64 as Int) => full ["wait::exit_group_ends_all_threads"];
    61 wait4(
        pid: i32,
        status: UserPtr<u32> as Out(process::wait_status),
        options: u32 as Flags(process::WAIT4),
        usage: UserPtr<Rusage> as Out(process::waited_usage),
    )
        => full ["eintr::wait4_is_eintr_and_restarts", "eintr::epoll_wait_continues_not_after_stop"];
    247 waitid(
        which: u32 as OneOf(process::WAIT_ID),
        id: i32,
        info: UserPtr<u8> as Out(siginfo::siginfo),
        options: u32 as Flags(process::WAIT),
        usage: UserPtr<Rusage> as Out(process::rusage),
    )
        => full ["wait::waitid_nohang_without_event_clears_pid"];
}

const EXIT_SIGNAL: u64 = 0xff;

fn clone(
    task: &Task,
    flags: u64,
    stack: u64,
    parent_tid: UserPtr<u8>,
    child_tid: UserPtr<u8>,
    tls: u64,
) -> SyscallResult {
    let flags = flags & 0xffff_ffff;
    let request = CloneRequest {
        flags: CloneFlags::from_bits_retain(flags & !EXIT_SIGNAL),
        stack,
        parent_tid: parent_tid.address(),
        child_tid: child_tid.address(),
        tls,
        exit_signal: u8::try_from(flags & EXIT_SIGNAL).unwrap_or(0),
        pidfd: parent_tid.address(),
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

fn fork(task: &Task) -> SyscallResult {
    Ok(clone_task(task, &plain(CloneFlags::empty()))?)
}

fn vfork(task: &Task) -> SyscallResult {
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

fn clone3(task: &Task, clone_args: UserPtr<u8>, size: usize) -> SyscallResult {
    let given = read_clone_args(task, clone_args.address(), size)?;
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

fn execve(
    task: &Task,
    path: UserPath,
    argv: UserPtr<usize>,
    envp: UserPtr<usize>,
) -> SyscallResult {
    let path = path.read(task)?;
    if path.is_empty() {
        return Err(Errno::ENOENT.into());
    }
    let (arguments, _room) = arguments::read(task, path.clone(), argv.address(), envp.address())?;
    exec::execute(task, None, &path, WalkFlags::FOLLOW, arguments)
}

fn execveat(
    task: &Task,
    dirfd: DirFd,
    path: UserPath,
    argv: UserPtr<usize>,
    envp: UserPtr<usize>,
    flags: u32,
) -> SyscallResult {
    if flags & !(nr::AT_EMPTY_PATH | nr::AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let path = path.read(task)?;
    let mut walk = WalkFlags::empty();
    walk.set(WalkFlags::FOLLOW, flags & nr::AT_SYMLINK_NOFOLLOW == 0);
    walk.set(WalkFlags::EMPTY, flags & nr::AT_EMPTY_PATH != 0);
    let start = at::start(task, dirfd, &path)?;
    // The name that AT_EXECFN and scripts get (man 2 execveat, NOTES).
    let filename = match (dirfd, path.first()) {
        (DirFd::CWD, _) | (_, Some(b'/')) => path.clone(),
        (fd, None) => format!("/dev/fd/{}", fd.0).into_bytes(),
        (fd, Some(_)) => [format!("/dev/fd/{}/", fd.0).as_bytes(), &path].concat(),
    };
    let (mut arguments, _room) = arguments::read(task, filename, argv.address(), envp.address())?;
    if dirfd != DirFd::CWD && path.first() != Some(&b'/') {
        arguments.inaccessible = task.files().descriptor(dirfd)?.close_on_exec;
    }
    exec::execute(task, start.as_ref(), &path, walk, arguments)
}

fn exit(task: &Task, status: u64) -> SyscallResult {
    ending::end_task(task, low_byte(status));
    Err(SysError::NoReturn)
}

fn exit_group(task: &Task, status: u64) -> SyscallResult {
    ending::end_group(task.group(), ExitStatus::Exited(low_byte(status)));
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

fn wait4(
    task: &Task,
    pid: i32,
    status: UserPtr<u32>,
    options: u32,
    usage: UserPtr<Rusage>,
) -> SyscallResult {
    let options = WaitOptions::from_bits(options).ok_or(Errno::EINVAL)?;
    if !WAIT4_OPTIONS.contains(options) {
        return Err(Errno::EINVAL.into());
    }
    let own_group = || {
        task.group()
            .process_group()
            .map_or(0, |group| group.numbers.in_namespace(&task.pid_namespace()))
    };
    let which = match pid {
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
    if !status.is_null() {
        status.write(&mm, &wait_status(report.state))?;
    }
    resource_usage::write_if_wanted(&mm, usage, &report.usage)?;
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

fn waitid(
    task: &Task,
    which: u32,
    id: i32,
    info: UserPtr<u8>,
    options: u32,
    usage: UserPtr<Rusage>,
) -> SyscallResult {
    let options = WaitOptions::from_bits(options).ok_or(Errno::EINVAL)?;
    let awaited = WaitOptions::EXITED | WaitOptions::STOPPED | WaitOptions::CONTINUED;
    if !WAITID_OPTIONS.contains(options) || !options.intersects(awaited) {
        return Err(Errno::EINVAL.into());
    }
    let mut options = options;
    let which = which_of_waitid(task, (which, id), &mut options)?;
    let report = wait::wait(task, &which, options)?;
    let mm = task.mm();
    if !info.is_null() {
        mm.write_value(
            info.address(),
            &report.map_or_else(WaitInfo::new_zeroed, WaitInfo::from),
        )?;
    }
    if let Some(report) = report {
        resource_usage::write_if_wanted(&mm, usage, &report.usage)?;
    }
    Ok(0)
}

fn which_of_waitid(
    task: &Task,
    (which, id): (u32, i32),
    options: &mut WaitOptions,
) -> Result<Which> {
    Ok(match which {
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
