//! clone(2), clone3(2), fork(2), vfork(2), threads.

#![expect(
    unsafe_code,
    reason = "children that share memory run on stacks made here"
)]

use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use crate::case::Outcome;
use crate::support::fd;
use crate::support::file::TempDir;
use crate::support::map::Map;
use crate::support::process::{self, Child};
use crate::support::time;
use crate::sys;

cases!(
    fork_copies_memory,
    fork_copies_descriptors,
    fork_clears_pending_signals,
    fork_clears_timers_and_locks,
    vfork_suspends_the_parent_until_exit,
    vfork_itself_makes_a_process,
    vfork_suspends_the_parent_until_exec,
    clone_vm_shares_memory,
    clone_files_shares_descriptors,
    clone_fs_shares_the_directory,
    clone_sighand_shares_handlers,
    clone_parent_makes_a_sibling,
    init_of_a_namespace_has_no_siblings,
    namespace_of_children_is_chosen_once,
    no_threads_in_the_namespace_of_children,
    namespace_whose_first_process_fails_is_dead,
    clone_flag_combinations_are_checked,
    clone_stores_the_thread_ids,
    clone_pidfd,
    clone3_exit_signal_and_pidfd,
    clone3_checks_its_argument,
    child_cleartid_wakes_a_waiter,
    thread_ids_differ_and_the_process_id_is_one,
    thread_local_base_is_set,
    one_of_eight_threads_exits,
    many_threads_come_and_go,
    two_hundred_processes,
    process_limit_is_eagain,
    process_limit_counts_threads_and_spares_the_others,
    clone_that_fails_spares_the_caller,
    clone_that_fails_leaves_no_descriptor,
    unshare_files,
    set_tid_address_returns_the_tid,
    exit_signal_is_sent,
);

fn fork_copies_memory() -> Outcome {
    let memory = Map::anonymous(8192)?;
    memory.set(0, 1);
    process::in_child(|| {
        check_eq!(memory.get(0), 1);
        memory.set(0, 2);
        memory.set(4096, 3);
        Ok(())
    })?;
    check_eq!((memory.get(0), memory.get(4096)), (1, 0));
    Ok(())
}

fn fork_copies_descriptors() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    let mut child = process::fork(move || {
        let _ = writer.write(b"x");
        0
    })?;
    check_eq!(child.wait()?.code(), Some(0));
    // The parent's copy was dropped with the closure that the child ran: only the parent's reader is left.
    check_eq!(reader.read(5)?, b"x");
    check_eq!(reader.read(5)?, b"");
    Ok(())
}

fn fork_clears_pending_signals() -> Outcome {
    use crate::support::signal;
    signal::block(signal::bit(libc::SIGUSR1))?;
    signal::raise(libc::SIGUSR1)?;
    process::in_child(|| {
        check_eq!(signal::pending()?, 0);
        check_eq!(
            signal::mask()? & signal::bit(libc::SIGUSR1),
            signal::bit(libc::SIGUSR1)
        );
        Ok(())
    })?;
    check_eq!(signal::pending()?, signal::bit(libc::SIGUSR1));
    Ok(())
}

fn fork_clears_timers_and_locks() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"x")?;
    let mut lock = sys::zeroed::<libc::flock>();
    lock.l_type = libc::F_WRLCK as i16;
    sys!(SYS_fcntl, &file, libc::F_SETLK, &lock)?;
    sys!(SYS_alarm, 100)?;
    process::in_child(|| {
        check_eq!(sys!(SYS_alarm, 0)?, 0);
        let mut probe = lock;
        sys!(SYS_fcntl, &file, libc::F_GETLK, &mut probe)?;
        check_eq!(i32::from(probe.l_type), libc::F_WRLCK);
        check_eq!(i64::from(probe.l_pid), sys!(SYS_getppid)?);
        Ok(())
    })?;
    check_eq!(sys!(SYS_alarm, 0)?, 100);
    Ok(())
}

/// Runs `child` with memory shared, as vfork(2): the parent sleeps until it has exited or executed.
fn vfork(child: impl FnOnce()) -> Result<Child, crate::case::Failure> {
    let stack = Map::anonymous(256 * 1024)?;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    clone_on_stack(flags, &stack, 256 * 1024, move || {
        child();
        0
    })
}

/// clone(2) through the C library, on a stack of one's own; the stack and what `body` borrows must outlive the child.
fn clone_on_stack<F: FnOnce() -> i32>(
    flags: i32,
    stack: &Map,
    stack_len: usize,
    body: F,
) -> Result<Child, crate::case::Failure> {
    extern "C" fn start<F: FnOnce() -> i32>(argument: *mut libc::c_void) -> libc::c_int {
        // SAFETY: the argument is the box made below, taken once.
        let body = unsafe { Box::from_raw(argument.cast::<F>()) };
        let code = (*body)();
        process::exit_now(code)
    }
    let argument = Box::into_raw(Box::new(body));
    let top = (stack.addr() + stack_len) as *mut libc::c_void;
    // SAFETY: the stack is a mapping of that length, aligned; the child leaves by `_exit`.
    let pid = unsafe { libc::clone(start::<F>, top, flags, argument.cast()) };
    if pid < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(Child::adopt(i64::from(pid)))
}

fn vfork_suspends_the_parent_until_exit() -> Outcome {
    let done = AtomicI32::new(0);
    let mut child = vfork(|| {
        time::sleep_ms(100);
        done.store(1, Ordering::SeqCst);
        process::exit_now(6);
    })?;
    check_eq!(done.load(Ordering::SeqCst), 1);
    check_eq!(child.wait()?.code(), Some(6));
    Ok(())
}

/// Without a stack of its own the child may not return from anything: it lives in a few instructions.
fn vfork_itself_makes_a_process() -> Outcome {
    let pid: i64;
    // SAFETY: the child ends before the parent goes on, and writes nothing but its registers.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov edi, 7",
            "mov eax, {exit}",
            "syscall",
            "2:",
            exit = const libc::SYS_exit,
            inlateout("rax") libc::SYS_vfork => pid,
            out("rcx") _,
            out("r11") _,
            out("rdi") _,
        );
    }
    check!(pid > 0, "vfork gave {pid}");
    check_eq!(Child::adopt(pid).wait()?.code(), Some(7));
    Ok(())
}

fn vfork_suspends_the_parent_until_exec() -> Outcome {
    let program = super::execve::program()?;
    let name = program.as_ptr() as usize;
    let args = [
        name,
        c"helper".as_ptr() as usize,
        c"sleep".as_ptr() as usize,
        0,
    ];
    let start = time::monotonic_ns();
    let child = vfork(|| {
        let _ = sys!(SYS_execve, &program, &args, 0);
        process::exit_now(200);
    })?;
    // The new program sleeps for ten seconds; the parent goes on at once.
    check!(time::monotonic_ns() - start < 5000 * time::MS);
    // The memory is exchanged, which ends the wait, a little before the arguments are in place.
    let path = format!("/proc/{}/cmdline", child.pid);
    let is_there =
        || std::fs::read_to_string(&path).is_ok_and(|line| line.ends_with("helper\0sleep\0"));
    check!(time::wait_until(is_there));
    Ok(())
}

fn clone_vm_shares_memory() -> Outcome {
    let stack = Map::anonymous(256 * 1024)?;
    let shared = AtomicU32::new(0);
    let mut child = clone_on_stack(libc::CLONE_VM | libc::SIGCHLD, &stack, 256 * 1024, || {
        shared.store(77, Ordering::SeqCst);
        0
    })?;
    check_eq!(child.wait()?.code(), Some(0));
    check_eq!(shared.load(Ordering::SeqCst), 77);
    Ok(())
}

/// A child made by the raw call, with a copy of memory; it runs `body` and exits.
fn clone_copy(flags: i32, body: impl FnOnce() -> i32) -> Result<Child, crate::case::Failure> {
    let pid = sys!(SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0)?;
    if pid == 0 {
        process::exit_now(body());
    }
    Ok(Child::adopt(pid))
}

fn clone_files_shares_descriptors() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"")?;
    clone_copy(libc::CLONE_FILES, || {
        i32::from(sys!(SYS_dup2, &file, 77).is_err())
    })?
    .wait()?;
    sys!(SYS_fcntl, 77, libc::F_GETFD)?;
    clone_copy(0, || i32::from(sys!(SYS_dup2, &file, 78).is_err()))?.wait()?;
    errno_is!(sys!(SYS_fcntl, 78, libc::F_GETFD), EBADF);
    Ok(())
}

fn clone_fs_shares_the_directory() -> Outcome {
    let dir = TempDir::new()?;
    sys!(SYS_umask, 0o022)?;
    clone_copy(libc::CLONE_FS, || {
        let moved = sys!(SYS_chdir, &crate::support::file::cstring(dir.path()));
        let _ = sys!(SYS_umask, 0o077);
        i32::from(moved.is_err())
    })?
    .wait()?;
    check_eq!(std::env::current_dir()?.to_string_lossy(), dir.path());
    check_eq!(sys!(SYS_umask, 0)?, 0o077);
    clone_copy(0, || i32::from(sys!(SYS_chdir, c"/").is_err()))?.wait()?;
    check_eq!(std::env::current_dir()?.to_string_lossy(), dir.path());
    Ok(())
}

fn clone_sighand_shares_handlers() -> Outcome {
    use crate::support::signal;
    let stack = Map::anonymous(256 * 1024)?;
    let flags = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::SIGCHLD;
    let mut child = clone_on_stack(flags, &stack, 256 * 1024, || {
        i32::from(signal::handle(libc::SIGUSR1, signal::record, 0).is_err())
    })?;
    check_eq!(child.wait()?.code(), Some(0));
    signal::raise(libc::SIGUSR1)?;
    check_eq!(signal::count(), 1);
    Ok(())
}

fn clone_parent_makes_a_sibling() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    let expected = sys!(SYS_getpid)?;
    process::status_of(|| {
        let sibling = clone_copy(libc::CLONE_PARENT, || {
            let _ = writer.write(&sys!(SYS_getppid).unwrap_or(0).to_ne_bytes());
            14
        });
        if let Ok(sibling) = sibling {
            sibling.forget();
        }
        0
    })?;
    check_eq!(reader.read(8)?, expected.to_ne_bytes());
    let mut status = 0_i32;
    sys!(SYS_wait4, -1, &mut status, 0, 0)?;
    check_eq!(process::Status(status).code(), Some(14));
    Ok(())
}

fn init_of_a_namespace_has_no_siblings() -> Outcome {
    process::in_child(|| {
        sys!(SYS_unshare, libc::CLONE_NEWPID)?;
        let mut init = process::fork(|| {
            let flags = libc::CLONE_PARENT | libc::SIGCHLD;
            let refused = sys!(SYS_clone, flags, 0, 0, 0, 0);
            i32::from(refused.is_err_and(|error| error.errno == libc::EINVAL))
        })?;
        check_eq!(init.wait()?.code(), Some(1));
        Ok(())
    })
}

fn namespace_of_children_is_chosen_once() -> Outcome {
    process::in_child(|| {
        sys!(SYS_unshare, libc::CLONE_NEWPID)?;
        errno_is!(sys!(SYS_unshare, libc::CLONE_NEWPID), EINVAL);
        let flags = libc::CLONE_NEWPID | libc::SIGCHLD;
        errno_is!(sys!(SYS_clone, flags, 0, 0, 0, 0), EINVAL);
        Ok(())
    })
}

fn no_threads_in_the_namespace_of_children() -> Outcome {
    process::in_child(|| {
        sys!(SYS_unshare, libc::CLONE_NEWPID)?;
        let flags = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
        errno_is!(sys!(SYS_clone, flags, 0, 0, 0, 0), EINVAL);
        Ok(())
    })
}

/// A namespace never gets an init other than its first process, be it one that could not be made.
fn namespace_whose_first_process_fails_is_dead() -> Outcome {
    process::in_child(|| {
        sys!(SYS_unshare, libc::CLONE_NEWPID)?;
        let flags = libc::CLONE_PIDFD | libc::SIGCHLD;
        errno_is!(sys!(SYS_clone, flags, 0, 8, 0, 0), EFAULT);
        errno_is!(sys!(SYS_clone, libc::SIGCHLD, 0, 0, 0, 0), ENOMEM);
        Ok(())
    })
}

fn clone_flag_combinations_are_checked() -> Outcome {
    for flags in [
        libc::CLONE_SIGHAND,
        libc::CLONE_THREAD,
        libc::CLONE_THREAD | libc::CLONE_SIGHAND,
        libc::CLONE_NEWNS | libc::CLONE_FS,
        libc::CLONE_PIDFD | libc::CLONE_PARENT_SETTID,
    ] {
        errno_is!(sys!(SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0), EINVAL);
    }
    Ok(())
}

fn clone_stores_the_thread_ids() -> Outcome {
    let (mut parent_tid, mut child_tid) = (0_i32, 0_i32);
    let flags = libc::CLONE_PARENT_SETTID | libc::CLONE_CHILD_SETTID | libc::SIGCHLD;
    let pid = sys!(SYS_clone, flags, 0, &mut parent_tid, &mut child_tid, 0)?;
    if pid == 0 {
        // SAFETY: reads a local whose address the kernel has written through.
        let stored = unsafe { (&raw const child_tid).read_volatile() };
        process::exit_now(i32::from(stored != process::getpid()));
    }
    check_eq!(Child::adopt(pid).wait()?.code(), Some(0));
    // SAFETY: as above.
    let (parent, child) = unsafe {
        (
            (&raw const parent_tid).read_volatile(),
            (&raw const child_tid).read_volatile(),
        )
    };
    check_eq!((i64::from(parent), child), (pid, 0));
    Ok(())
}

fn clone_pidfd() -> Outcome {
    let mut number = -1_i32;
    let pid = sys!(
        SYS_clone,
        libc::CLONE_PIDFD | libc::SIGCHLD,
        0,
        &mut number,
        0,
        0
    )?;
    if pid == 0 {
        let _ = sys!(SYS_pause);
        process::exit_now(0);
    }
    let mut child = Child::adopt(pid);
    // SAFETY: reads a local whose address the kernel has written through.
    let pidfd = fd::Fd::own(i64::from(unsafe { (&raw const number).read_volatile() }));
    check_eq!(fd::poll_one(&pidfd, libc::POLLIN, 0)?, 0);
    check_eq!(
        sys!(SYS_fcntl, &pidfd, libc::F_GETFD)?,
        i64::from(libc::FD_CLOEXEC)
    );
    sys!(SYS_pidfd_send_signal, &pidfd, libc::SIGTERM, 0, 0)?;
    check_eq!(fd::poll_one(&pidfd, libc::POLLIN, 5000)?, libc::POLLIN);
    check_eq!(child.wait()?.signal(), Some(libc::SIGTERM));
    Ok(())
}

fn clone3_exit_signal_and_pidfd() -> Outcome {
    let mut number = -1_i32;
    let mut args = sys::zeroed::<libc::clone_args>();
    args.flags = libc::CLONE_PIDFD as u64;
    args.pidfd = (&raw mut number) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    let pid = sys!(SYS_clone3, &args, size_of::<libc::clone_args>())?;
    if pid == 0 {
        process::exit_now(12);
    }
    check_eq!(Child::adopt(pid).wait()?.code(), Some(12));
    // SAFETY: reads a local whose address the kernel has written through.
    let number = unsafe { (&raw const number).read_volatile() };
    check!(number > 2);
    sys!(SYS_close, number)?;
    Ok(())
}

fn clone3_checks_its_argument() -> Outcome {
    let good = sys::zeroed::<[u64; 11]>();
    let with = |index: usize, value: u64| {
        let mut words = good;
        words[index] = value;
        words
    };
    errno_is!(sys!(SYS_clone3, &good, 63), EINVAL);
    errno_is!(sys!(SYS_clone3, &good, 5000), E2BIG);
    errno_is!(sys!(SYS_clone3, 8, 88), EFAULT);
    // The exit signal has a field of its own; a stack without a size; a size without a stack; an unknown flag.
    errno_is!(sys!(SYS_clone3, &with(0, libc::SIGCHLD as u64), 88), EINVAL);
    errno_is!(sys!(SYS_clone3, &with(5, 0x10_0000), 88), EINVAL);
    errno_is!(sys!(SYS_clone3, &with(6, 4096), 88), EINVAL);
    errno_is!(sys!(SYS_clone3, &with(0, 1 << 60), 88), EINVAL);
    errno_is!(sys!(SYS_clone3, &with(4, 100), 88), EINVAL);
    // Bytes beyond the known structure must be zero.
    let mut long = sys::zeroed::<[u64; 13]>();
    long[12] = 1;
    errno_is!(sys!(SYS_clone3, &long, 104), E2BIG);
    Ok(())
}

fn child_cleartid_wakes_a_waiter() -> Outcome {
    let word = Map::shared(4096)?;
    word.atomic(0).store(1, Ordering::SeqCst);
    let flags = libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD;
    let pid = sys!(SYS_clone, flags, 0, 0, &word, 0)?;
    if pid == 0 {
        time::sleep_ms(50);
        process::exit_now(0);
    }
    // Only a thread whose memory others share clears the word.
    Child::adopt(pid).wait()?;
    check_eq!(word.atomic(0).load(Ordering::SeqCst), 1);
    let stack = Map::anonymous(256 * 1024)?;
    let tid = AtomicI32::new(1);
    let address = tid.as_ptr() as usize;
    let mut child = clone_on_stack(
        libc::CLONE_VM | libc::SIGCHLD,
        &stack,
        256 * 1024,
        move || {
            let _ = sys!(SYS_set_tid_address, address);
            time::sleep_ms(50);
            0
        },
    )?;
    let timeout = time::timespec(5000 * time::MS);
    while tid.load(Ordering::SeqCst) != 0 {
        match sys!(SYS_futex, address, libc::FUTEX_WAIT, 1, &timeout, 0, 0) {
            Ok(_) => {}
            Err(error) => check_eq!(error.errno, libc::EAGAIN),
        }
    }
    child.wait()?;
    Ok(())
}

fn thread_ids_differ_and_the_process_id_is_one() -> Outcome {
    let (pid, tid) = (process::getpid(), process::gettid());
    check_eq!(pid, tid);
    let Ok(other) = std::thread::spawn(|| (process::getpid(), process::gettid())).join() else {
        fail!("the thread panicked")
    };
    check_eq!(other.0, pid);
    check!(other.1 != tid);
    Ok(())
}

fn thread_local_base_is_set() -> Outcome {
    const ARCH_SET_GS: i32 = 0x1001;
    const ARCH_GET_FS: i32 = 0x1003;
    const ARCH_GET_GS: i32 = 0x1004;
    let mut base = 0_u64;
    sys!(SYS_arch_prctl, ARCH_GET_FS, &mut base)?;
    check!(base != 0);
    sys!(SYS_arch_prctl, ARCH_SET_GS, 0x1234_5000_u64)?;
    process::in_child(|| {
        let mut base = 0_u64;
        sys!(SYS_arch_prctl, ARCH_GET_GS, &mut base)?;
        check_eq!(base, 0x1234_5000);
        Ok(())
    })?;
    errno_is!(sys!(SYS_arch_prctl, ARCH_SET_GS, 1_u64 << 63), EPERM);
    errno_is!(sys!(SYS_arch_prctl, 0x9999, 0), EINVAL);
    Ok(())
}

fn one_of_eight_threads_exits() -> Outcome {
    static STEPS: AtomicU32 = AtomicU32::new(0);
    let mut threads = Vec::new();
    for index in 0..8 {
        threads.push(std::thread::spawn(move || {
            if index == 3 {
                return;
            }
            for _ in 0..50 {
                time::sleep_ms(1);
                STEPS.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    for thread in threads {
        check!(thread.join().is_ok());
    }
    check_eq!(STEPS.load(Ordering::SeqCst), 350);
    Ok(())
}

fn many_threads_come_and_go() -> Outcome {
    static SUM: AtomicU32 = AtomicU32::new(0);
    for _ in 0..10 {
        let threads: Vec<_> = (0..20)
            .map(|index| std::thread::spawn(move || SUM.fetch_add(index, Ordering::SeqCst)))
            .collect();
        for thread in threads {
            check!(thread.join().is_ok());
        }
    }
    check_eq!(SUM.load(Ordering::SeqCst), 1900);
    Ok(())
}

fn two_hundred_processes() -> Outcome {
    let mut children = Vec::new();
    for index in 0..200 {
        children.push(process::fork(move || index % 251)?);
    }
    for (index, mut child) in children.into_iter().enumerate() {
        check_eq!(child.wait()?.code(), Some(index as i32 % 251));
    }
    Ok(())
}

fn process_limit_is_eagain() -> Outcome {
    process::in_child(|| {
        crate::support::creds::become_nobody_else()?;
        let limit = libc::rlimit {
            rlim_cur: 2,
            rlim_max: 2,
        };
        sys!(SYS_prlimit64, 0, libc::RLIMIT_NPROC, &limit, 0)?;
        let _first = process::fork_sleeper()?;
        errno_is!(sys!(SYS_clone, libc::SIGCHLD, 0, 0, 0, 0), EAGAIN);
        Ok(())
    })
}

/// A thread that can't be made is EAGAIN for its maker and nothing for the threads beside it.
fn process_limit_counts_threads_and_spares_the_others() -> Outcome {
    process::in_child(|| {
        crate::support::creds::become_user(54_323, 54_323)?;
        let limit = libc::rlimit {
            rlim_cur: 3,
            rlim_max: 3,
        };
        sys!(SYS_prlimit64, 0, libc::RLIMIT_NPROC, &limit, 0)?;
        let (reader, writer) = fd::pipe(0)?;
        let other = std::thread::spawn(move || reader.read(1).is_ok_and(|bytes| bytes == b"x"));
        let _child = process::fork_sleeper()?;
        for _ in 0..20 {
            let refused = std::thread::Builder::new().spawn(|| ());
            check_eq!(
                refused.err().and_then(|error| error.raw_os_error()),
                Some(libc::EAGAIN)
            );
        }
        writer.write(b"x")?;
        check!(other.join().is_ok_and(|woken| woken));
        Ok(())
    })
}

/// With memory shared and not, a pointer to the pidfd that can't be written is EFAULT, and nothing was made.
fn clone_that_fails_spares_the_caller() -> Outcome {
    process::in_child(|| {
        let stack = Map::anonymous(1 << 16)?;
        let thread = libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SIGHAND;
        for flags in [0, thread] {
            let flags = flags | libc::CLONE_PIDFD | libc::SIGCHLD;
            for _ in 0..20 {
                errno_is!(
                    sys!(SYS_clone, flags, stack.addr() + (1 << 16), 16, 0, 0),
                    EFAULT
                );
            }
        }
        errno_is!(sys!(SYS_wait4, -1, 0, libc::__WALL, 0), ECHILD);
        Ok(())
    })
}

fn clone_that_fails_leaves_no_descriptor() -> Outcome {
    process::in_child(|| {
        let before = sys!(SYS_dup, 2)?;
        sys!(SYS_close, before)?;
        errno_is!(
            sys!(SYS_clone, libc::CLONE_PIDFD | libc::SIGCHLD, 0, 16, 0, 0),
            EFAULT
        );
        check_eq!(sys!(SYS_dup, 2)?, before);
        Ok(())
    })
}

fn unshare_files() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    let number = reader.number();
    let thread = std::thread::spawn(move || {
        let unshared = sys!(SYS_unshare, libc::CLONE_FILES).is_ok();
        let closed = sys!(SYS_close, number).is_ok();
        unshared && closed
    });
    check!(thread.join().is_ok_and(|done| done));
    writer.write(b"x")?;
    check_eq!(reader.read(1)?, b"x");
    errno_is!(sys!(SYS_unshare, 0x1), EINVAL);
    Ok(())
}

fn set_tid_address_returns_the_tid() -> Outcome {
    check_eq!(sys!(SYS_set_tid_address, 0)?, i64::from(process::gettid()));
    Ok(())
}

fn exit_signal_is_sent() -> Outcome {
    use crate::support::signal;
    signal::block(signal::bit(libc::SIGUSR2))?;
    let pid = sys!(SYS_clone, libc::SIGUSR2, 0, 0, 0, 0)?;
    if pid == 0 {
        process::exit_now(3);
    }
    let info = signal::wait_for(signal::bit(libc::SIGUSR2), 5000)?;
    check_eq!(
        (info.si_code, signal::sender(&info).0),
        (libc::CLD_EXITED, pid as i32)
    );
    sys!(SYS_wait4, pid, 0, libc::__WALL, 0)?;
    Ok(())
}
