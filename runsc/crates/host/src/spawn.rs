//! Spawns this program again as another role, in namespaces of its own.
//!
//! The child is made by a bare `clone`, since namespaces must exist before its first instruction,
//! and waits until the parent has written its id maps. Between clone and exec it makes only system
//! calls on data prepared before: it never allocates.

#![expect(
    unsafe_code,
    reason = "clone, and the calls of the child before execve, have no safe form"
)]

use std::ffi::{CString, OsStr};
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, PoisonError};

use bitflags::bitflags;
use rustix::process::{Pid, PidfdFlags, WaitOptions, WaitStatus};

use crate::{Errno, Result, errno};

bitflags! {
    /// Kinds of namespace (`man 7 namespaces`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct Namespaces: i32 {
        /// Users and capabilities.
        const USER = libc::CLONE_NEWUSER;
        /// Process ids.
        const PID = libc::CLONE_NEWPID;
        /// Mounts.
        const MOUNT = libc::CLONE_NEWNS;
        /// System V IPC and message queues.
        const IPC = libc::CLONE_NEWIPC;
        /// Host and domain name.
        const UTS = libc::CLONE_NEWUTS;
        /// The network.
        const NETWORK = libc::CLONE_NEWNET;
        /// The view of the control groups.
        const CGROUP = libc::CLONE_NEWCGROUP;
    }
}

/// One range of ids that a user namespace maps (`man 7 user_namespaces`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// First id inside.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// A program to be started: this one, with other arguments.
#[derive(Debug)]
pub struct Spawn {
    args: Vec<CString>,
    env: Vec<CString>,
    donated: Vec<OwnedFd>,
    stdio: [Option<OwnedFd>; 3],
    namespaces: Namespaces,
    uid_map: Vec<IdRange>,
    gid_map: Vec<IdRange>,
    keep_capabilities: bool,
    cgroups: Vec<OwnedFd>,
}

/// First descriptor number that a child is given beyond its standard ones.
pub const FIRST_DONATED: RawFd = 3;

/// A child that was spawned.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    pidfd: OwnedFd,
}

/// Everything the child touches between clone and execve.
struct Prepared {
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    /// Sources of descriptors 0, 1, 2, 3, …; all numbers beyond the targets.
    sources: Vec<RawFd>,
    go: RawFd,
    keep_capabilities: bool,
    /// Makes a namespace of the control groups, once it is in those that it is to see as the root.
    unshare_cgroup: bool,
}

impl Spawn {
    /// A child with these arguments, the first being the program's name.
    #[must_use]
    pub fn new<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Spawn {
        Spawn {
            args: args.into_iter().map(|a| c_string(a.as_ref())).collect(),
            env: Vec::new(),
            donated: Vec::new(),
            stdio: [None, None, None],
            namespaces: Namespaces::empty(),
            uid_map: Vec::new(),
            gid_map: Vec::new(),
            keep_capabilities: false,
            cgroups: Vec::new(),
        }
    }

    /// Adds a variable to the child's environment, which is empty otherwise.
    pub fn env(&mut self, name: &str, value: &OsStr) -> &mut Spawn {
        let mut pair = name.as_bytes().to_vec();
        pair.push(b'=');
        pair.extend_from_slice(value.as_bytes());
        self.env.push(c_string(OsStr::from_bytes(&pair)));
        self
    }

    /// Gives the child a descriptor; returns its number there.
    pub fn donate(&mut self, fd: OwnedFd) -> RawFd {
        self.donated.push(fd);
        FIRST_DONATED + RawFd::try_from(self.donated.len() - 1).unwrap_or(RawFd::MAX)
    }

    /// Sets standard descriptor 0, 1 or 2; those not set are `/dev/null`.
    pub fn stdio(&mut self, number: usize, fd: OwnedFd) -> &mut Spawn {
        if let Some(slot) = self.stdio.get_mut(number) {
            *slot = Some(fd);
        }
        self
    }

    /// The namespaces that the child does not share with this process.
    pub fn namespaces(&mut self, namespaces: Namespaces) -> &mut Spawn {
        self.namespaces = namespaces;
        self
    }

    /// The ids of the child's own user namespace.
    pub fn map_ids(&mut self, uids: Vec<IdRange>, gids: Vec<IdRange>) -> &mut Spawn {
        self.uid_map = uids;
        self.gid_map = gids;
        self
    }

    /// Lets the program keep, through ambient sets, the capabilities that a new user namespace
    /// gives, although its user is not 0 there.
    pub fn keep_capabilities(&mut self) -> &mut Spawn {
        self.keep_capabilities = true;
        self
    }

    /// The `cgroup.procs` files of the control groups that the child is in from its first
    /// instruction on, and everything that it starts.
    pub fn cgroups(&mut self, procs: Vec<OwnedFd>) -> &mut Spawn {
        self.cgroups = procs;
        self
    }

    /// Starts the child. Its descriptors here are closed when this returns.
    ///
    /// # Errors
    /// Those of `pipe`, `open`, `clone`, of joining control groups and of writing the id maps.
    pub fn spawn(self) -> Result<Child> {
        let null = rustix::fs::open(
            "/dev/null",
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )
        .map_err(errno)?;
        let (go_read, go_write) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(errno)?;
        let targets =
            FIRST_DONATED + RawFd::try_from(self.donated.len()).map_err(|_| Errno::EMFILE)?;
        let beyond = |fd: RawFd| duplicate_above(fd, targets);
        let mut held = Vec::new();
        for slot in &self.stdio {
            held.push(beyond(slot.as_ref().unwrap_or(&null).as_raw_fd())?);
        }
        for fd in &self.donated {
            held.push(beyond(fd.as_raw_fd())?);
        }
        let go = beyond(go_read.as_raw_fd())?;
        let prepared = Prepared {
            argv: null_terminated(&self.args),
            envp: null_terminated(&self.env),
            sources: held.iter().map(AsRawFd::as_raw_fd).collect(),
            go: go.as_raw_fd(),
            keep_capabilities: self.keep_capabilities,
            unshare_cgroup: self.namespaces.contains(Namespaces::CGROUP),
        };
        let pid = clone_child(self.namespaces - Namespaces::CGROUP, &prepared)?;
        drop((held, go, go_read));
        let pidfd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(error) => {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                return Err(errno(error));
            }
        };
        let child = Child { pid, pidfd };
        let mut set_up = join_cgroups(pid, &self.cgroups);
        if self.namespaces.contains(Namespaces::USER) {
            set_up = set_up.and_then(|()| write_maps(pid, &self.uid_map, &self.gid_map));
        }
        if let Err(error) = set_up {
            child.kill();
            let _ = child.wait();
            return Err(error);
        }
        rustix::io::write(&go_write, &[1]).map_err(errno)?;
        Ok(child)
    }
}

impl Child {
    /// Its process id in this process's namespace.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_pid()
    }

    /// A descriptor that becomes readable when the child has ended.
    #[must_use]
    pub fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// Sends SIGKILL; a child that has ended already is no error.
    pub fn kill(&self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, rustix::process::Signal::KILL);
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// `ECHILD` when it was waited for already.
    pub fn wait(&self) -> Result<WaitStatus> {
        loop {
            match rustix::process::waitpid(Some(self.pid), WaitOptions::empty()) {
                Ok(Some((_, status))) => return Ok(status),
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(errno(error)),
            }
        }
    }

    /// Its wait status if it has ended.
    ///
    /// # Errors
    /// `ECHILD` when it was waited for already.
    pub fn try_wait(&self) -> Result<Option<WaitStatus>> {
        rustix::process::waitpid(Some(self.pid), WaitOptions::NOHANG)
            .map(|ended| ended.map(|(_, status)| status))
            .map_err(errno)
    }
}

/// Takes ownership of a descriptor that the parent donated, and marks it close-on-exec.
///
/// # Errors
/// `EBADF` when there is none of that number that nobody has taken.
pub fn take_donated(number: RawFd) -> Result<OwnedFd> {
    /// Held from the look at the mark until it is set, so that a descriptor is taken once.
    static TAKING: Mutex<()> = Mutex::new(());
    if number < FIRST_DONATED {
        return Err(Errno::EBADF);
    }
    let _taking = TAKING.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: F_GETFD on an integer touches no memory; a bad number is EBADF.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 || flags & libc::FD_CLOEXEC != 0 {
        return Err(Errno::EBADF);
    }
    // SAFETY: F_SETFD on an integer touches no memory.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(last_errno());
    }
    // SAFETY: 1. The descriptor is open. 2. Nobody in this process owns it: whatever the process opens is close-on-exec
    // from its beginning, as is a donated descriptor from the moment that it is taken, and this one was not.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Lets a descriptor that the parent donated stay open for the life of the process; `None` when there is
/// none of that number.
#[must_use]
pub fn keep_donated(number: RawFd) -> Option<RawFd> {
    take_donated(number).ok().map(IntoRawFd::into_raw_fd)
}

fn c_string(text: &OsStr) -> CString {
    let bytes: Vec<u8> = text
        .as_bytes()
        .iter()
        .copied()
        .take_while(|b| *b != 0)
        .collect();
    CString::new(bytes).unwrap_or_default()
}

fn null_terminated(strings: &[CString]) -> Vec<*const libc::c_char> {
    let mut pointers: Vec<_> = strings.iter().map(|s| s.as_ptr()).collect();
    pointers.push(std::ptr::null());
    pointers
}

fn last_errno() -> Errno {
    Errno::from_raw(
        std::io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EIO),
    )
}

fn duplicate_above(fd: RawFd, lowest: RawFd) -> Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC on an integer touches no memory.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, lowest) };
    if copy < 0 {
        return Err(last_errno());
    }
    // SAFETY: the kernel has just made this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

fn clone_child(namespaces: Namespaces, prepared: &Prepared) -> Result<Pid> {
    let flags = libc::c_long::from(namespaces.bits() | libc::SIGCHLD);
    // SAFETY: a clone without CLONE_VM and with a null stack is a fork: the child runs on a copy of
    // this stack. The child calls only `run_child`, which does not return, allocate or lock.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    if pid == 0 {
        run_child(prepared);
    }
    i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(last_errno)
}

/// The child's side: waits for the parent, arranges descriptors, becomes the program.
fn run_child(prepared: &Prepared) -> ! {
    let mut byte = 0u8;
    // SAFETY: every call below works on integers or on memory that `prepared` owns: `byte` is one
    // writable byte, `argv` and `envp` are null-terminated arrays of C strings that outlive execve.
    unsafe {
        if libc::read(prepared.go, (&raw mut byte).cast(), 1) != 1 {
            libc::_exit(128);
        }
        if prepared.unshare_cgroup && libc::unshare(libc::CLONE_NEWCGROUP) < 0 {
            libc::_exit(128);
        }
        libc::setsid();
        let mut target: RawFd = 0;
        for source in &prepared.sources {
            if libc::dup2(*source, target) < 0 {
                libc::_exit(128);
            }
            target += 1;
        }
        libc::syscall(
            libc::SYS_close_range,
            target,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        for signal in [
            libc::SIGPIPE,
            libc::SIGINT,
            libc::SIGTERM,
            libc::SIGHUP,
            libc::SIGQUIT,
        ] {
            libc::signal(signal, libc::SIG_DFL);
        }
        if prepared.keep_capabilities {
            raise_ambient();
        }
        libc::execve(
            c"/proc/self/exe".as_ptr(),
            prepared.argv.as_ptr(),
            prepared.envp.as_ptr(),
        );
        libc::_exit(128);
    }
}

/// Makes every permitted capability inheritable and ambient.
fn raise_ambient() {
    let Ok(mut sets) = rustix::thread::capabilities(None) else {
        return;
    };
    sets.inheritable = sets.permitted;
    if rustix::thread::set_capabilities(None, sets).is_err() {
        return;
    }
    for capability in 0..=63_i32 {
        // SAFETY: PR_CAP_AMBIENT takes integers; an unknown capability is EINVAL.
        unsafe {
            libc::prctl(
                libc::PR_CAP_AMBIENT,
                libc::PR_CAP_AMBIENT_RAISE,
                capability,
                0,
                0,
            );
        }
    }
}

fn join_cgroups(pid: Pid, procs: &[OwnedFd]) -> Result<()> {
    let text = pid.as_raw_pid().to_string();
    procs.iter().try_for_each(|file| {
        rustix::io::write(file, text.as_bytes())
            .map(drop)
            .map_err(errno)
    })
}

fn write_maps(pid: Pid, uids: &[IdRange], gids: &[IdRange]) -> Result<()> {
    let directory = format!("/proc/{}", pid.as_raw_pid());
    let text = |ranges: &[IdRange]| -> String {
        ranges
            .iter()
            .map(|r| format!("{} {} {}\n", r.inside, r.outside, r.count))
            .collect()
    };
    let write = |file: &str, text: String| {
        fs::write(format!("{directory}/{file}"), text)
            .map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO)))
    };
    write("uid_map", text(uids))?;
    if write("gid_map", text(gids)).is_err() {
        // Without privilege, groups can only be mapped once setgroups(2) is given up.
        write("setgroups", "deny".to_owned())?;
        write("gid_map", text(gids))?;
    }
    Ok(())
}
