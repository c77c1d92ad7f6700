//! Making tasks: `clone(2)`, `clone3(2)`, `fork(2)`, `vfork(2)`.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Weak};

use abi::Errno;
use bitflags::bitflags;
use memory::KernelMemory;
use platform::{ExtendedState, Interrupter, Space};

use crate::error::Result;
use crate::kernel::credentials::Capability;
use crate::kernel::limits::{INFINITY, Resource};
use crate::kernel::oom;
use crate::kernel::oom::holdings::AREA_BYTES;
use crate::kernel::pids::PidNumbers;
use crate::kernel::program::Running;
use crate::kernel::ptrace::{Event, attach};
use crate::kernel::run;
use crate::kernel::signal::Signal;
use crate::kernel::task::{Task, TaskParts, VforkDone};
use crate::kernel::thread_group::ThreadGroup;

bitflags! {
    /// Flags of `clone(2)`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct CloneFlags: u64 {
        const VM = 0x100;
        const FS = 0x200;
        const FILES = 0x400;
        const SIGHAND = 0x800;
        const PIDFD = 0x1000;
        const PTRACE = 0x2000;
        const VFORK = 0x4000;
        const PARENT = 0x8000;
        const THREAD = 0x1_0000;
        const NEWNS = 0x2_0000;
        const SYSVSEM = 0x4_0000;
        const SETTLS = 0x8_0000;
        const PARENT_SETTID = 0x10_0000;
        const CHILD_CLEARTID = 0x20_0000;
        const DETACHED = 0x40_0000;
        const UNTRACED = 0x80_0000;
        const CHILD_SETTID = 0x100_0000;
        const NEWCGROUP = 0x200_0000;
        const NEWUTS = 0x400_0000;
        const NEWIPC = 0x800_0000;
        const NEWUSER = 0x1000_0000;
        const NEWPID = 0x2000_0000;
        const NEWNET = 0x4000_0000;
        const IO = 0x8000_0000;
        const CLEAR_SIGHAND = 0x1_0000_0000;
        const INTO_CGROUP = 0x2_0000_0000;
        const NEWTIME = 0x80;
    }
}

/// Namespaces that only `CAP_SYS_ADMIN` may make.
const PRIVILEGED: CloneFlags = CloneFlags::NEWNS
    .union(CloneFlags::NEWCGROUP)
    .union(CloneFlags::NEWUTS)
    .union(CloneFlags::NEWIPC)
    .union(CloneFlags::NEWPID)
    .union(CloneFlags::NEWNET);

/// What `clone(2)` and `clone3(2)` are given.
#[derive(Clone, Copy, Debug)]
pub struct CloneRequest {
    /// Flags.
    pub flags: CloneFlags,
    /// The child's stack pointer, 0 for the parent's.
    pub stack: u64,
    /// The child's FS base, with SETTLS.
    pub tls: u64,
    /// The signal at exit, 0 for none.
    pub exit_signal: u8,
    /// Where the parent's copy of the child's id goes.
    pub parent_tid: usize,
    /// Where the child's copy goes, and what is cleared when it exits.
    pub child_tid: usize,
    /// Where the descriptor that refers to the child goes.
    pub pidfd: usize,
}

/// Makes a task; returns its id as the caller sees it.
pub fn clone(task: &Task, request: &CloneRequest) -> Result<u64> {
    check(task, request)?;
    // Again when the child is published; here before anything is copied for it.
    check_limits(task)?;
    let flags = request.flags;
    let _room = oom::reserve(task, copied_bytes(task, flags))?;
    let mut running = task
        .running()
        .expect("a task in a system call has a program");
    if !flags.contains(CloneFlags::VM) {
        running.mm = running.mm.fork()?;
    } else if !flags.contains(CloneFlags::THREAD) {
        running.mm.set_shared_by_processes();
    }
    let extended = task
        .with_context(|context| context.extended().cloned())
        .map_err(|_| Errno::EAGAIN)?;
    let starter = HostThread::start(task, running.mm.space().clone(), extended)?;
    let vfork = flags
        .contains(CloneFlags::VFORK)
        .then(|| Arc::new(VforkDone::default()));
    let child = build(task, request, running, &vfork, starter.interrupter)?;
    if !flags.contains(CloneFlags::VM) {
        for forked in [&*child, task] {
            let registers = *forked.registers.lock();
            forked.mm().provide_ahead(&registers);
        }
    }
    let (id, event) = match make_known(task, request, &child) {
        Ok(published) => published,
        Err(errno) => {
            crate::kernel::exit::abandon(&child);
            return Err(errno);
        }
    };
    // The thread is waiting for its task; it has no other way to end.
    let seen = task
        .tracer()
        .map_or(0, |tracer| child.tid_in(&tracer.pid_namespace()));
    let _ = starter.go.send(child);
    if let Some(event) = event {
        task.trap_for_event(event, seen.into());
    }
    if let Some(vfork) = vfork {
        // Only a fatal signal ends the wait, and then the answer is not seen.
        let _ = task.wait_unless_exiting(&[vfork.queue()], || vfork.is_done().then_some(()));
        task.trap_for_event(Event::VforkDone, seen.into());
    }
    Ok(u64::from(id))
}

/// What the kernel's tables take that the child gets copies of: descriptors, and areas of memory.
fn copied_bytes(task: &Task, flags: CloneFlags) -> u64 {
    let files = if flags.contains(CloneFlags::FILES) {
        0
    } else {
        task.files().bytes()
    };
    let areas = if flags.contains(CloneFlags::VM) {
        0
    } else {
        task.mm().nr_areas() as u64 * AREA_BYTES
    };
    files + areas
}

fn check(task: &Task, request: &CloneRequest) -> Result<()> {
    let flags = request.flags;
    let has = |wanted: CloneFlags| flags.contains(wanted);
    let contradictory = has(CloneFlags::SIGHAND) && !has(CloneFlags::VM)
        || has(CloneFlags::THREAD) && !has(CloneFlags::SIGHAND)
        || has(CloneFlags::CLEAR_SIGHAND) && has(CloneFlags::SIGHAND)
        || has(CloneFlags::NEWNS) && has(CloneFlags::FS)
        || has(CloneFlags::NEWUSER) && has(CloneFlags::FS)
        || has(CloneFlags::NEWIPC) && has(CloneFlags::SYSVSEM)
        || flags.intersects(CloneFlags::NEWPID | CloneFlags::NEWUSER)
            && flags.intersects(CloneFlags::THREAD | CloneFlags::PARENT);
    if contradictory {
        return Err(Errno::EINVAL);
    }
    // Linux without CONFIG_TIME_NS answers the same.
    if has(CloneFlags::NEWTIME) {
        return Err(Errno::EINVAL);
    }
    // A thread has its number where its group has (`man 2 clone`).
    let is_apart = !Arc::ptr_eq(&task.child_pid_ns.lock(), &task.pid_namespace());
    if has(CloneFlags::THREAD) && is_apart {
        return Err(Errno::EINVAL);
    }
    let is_init = task.group().parent().is_none() || task.group().pid() == 1;
    if has(CloneFlags::PARENT) && is_init {
        return Err(Errno::EINVAL);
    }
    let privileged = has(CloneFlags::NEWUSER) || task.credentials().has_own(Capability::SysAdmin);
    if flags.intersects(PRIVILEGED) && !privileged {
        return Err(Errno::EPERM);
    }
    if request.exit_signal != 0 && Signal::new(u64::from(request.exit_signal)).is_none() {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// A host thread with a context in the child's space, waiting for its task. The context stays there, whatever
/// becomes of the task: no other thread could let go of it.
struct HostThread {
    interrupter: Interrupter,
    go: SyncSender<Arc<Task>>,
}

/// Where a new context begins, and with which processor state; none: nowhere until its first program is loaded.
type Start = Option<(Arc<Space>, ExtendedState)>;

/// What a new host thread reports: what interrupts its context, which is ready.
type Ready = Result<Interrupter>;

impl HostThread {
    /// Starts a thread whose context is in `space` with the processor state `extended`; EAGAIN.
    fn start(task: &Task, space: Arc<Space>, extended: ExtendedState) -> Result<HostThread> {
        let platform = task.kernel().platform().clone();
        let memory = task.kernel().memory().kernel();
        HostThread::spawn(platform, memory, Some((space, extended)))
    }

    fn spawn(
        platform: Arc<platform::Platform>,
        memory: KernelMemory,
        start: Start,
    ) -> Result<HostThread> {
        let (ready_sender, ready) = sync_channel(1);
        let (go, go_receiver) = sync_channel(1);
        std::thread::Builder::new()
            .name("task".to_owned())
            .stack_size(STACK_SIZE)
            .spawn(move || {
                let held = memory.hold(TASK_BYTES);
                host_thread(&platform, start, &ready_sender, &go_receiver);
                drop(held);
                memory.settle();
            })
            .map_err(|_| Errno::EAGAIN)?;
        let interrupter = ready.recv().map_err(|_| Errno::EAGAIN)??;
        Ok(HostThread { interrupter, go })
    }
}

/// Bytes of host stack for a task's kernel code.
const STACK_SIZE: usize = 1 << 20;
/// What of it a task touches, with the host's own stacks for its threads and the platform's for its context: about.
pub(crate) const TASK_BYTES: u32 = 96 << 10;

fn host_thread(
    platform: &platform::Platform,
    start: Start,
    ready: &SyncSender<Ready>,
    go: &Receiver<Arc<Task>>,
) {
    let mut context = Box::new(platform.new_context());
    let space = start.as_ref().map(|(space, _)| space.clone());
    let prepared = start.map_or(Ok(()), |(space, extended)| {
        context.switch_to(&space)?;
        *context.extended()? = extended;
        Ok(())
    });
    let report = prepared
        .map(|()| context.interrupter())
        .map_err(|_: Errno| Errno::EAGAIN);
    if ready.send(report).is_err() {
        return;
    }
    // An error: the clone failed after all.
    if let Ok(task) = go.recv() {
        *task.context.lock() = Some(context);
        task.host_thread.get_or_init(std::thread::current);
        run::run(&task, space);
    }
}

/// Puts the child together from the parent's parts.
fn build(
    task: &Task,
    request: &CloneRequest,
    running: Running,
    vfork: &Option<Arc<VforkDone>>,
    interrupter: Interrupter,
) -> Result<Arc<Task>> {
    let flags = request.flags;
    let group = if flags.contains(CloneFlags::THREAD) {
        task.group().clone()
    } else {
        let group = ThreadGroup::fork(task, flags, request.exit_signal);
        crate::kernel::timers::cpu_limit::watch(&group);
        group
    };
    let mut registers = *task.registers.lock();
    registers.rax = 0;
    registers.orig_rax = u64::MAX;
    if request.stack != 0 {
        registers.rsp = request.stack;
    }
    if flags.contains(CloneFlags::SETTLS) {
        registers.fs_base = request.tls;
    }
    let mut own = task.own.lock().clone();
    own.clear_child_tid = if flags.contains(CloneFlags::CHILD_CLEARTID) {
        request.child_tid
    } else {
        0
    };
    own.robust_list = 0;
    own.parent_death_signal = 0;
    own.restart_block = None;
    let signals = task
        .signals
        .lock()
        .fork(flags.contains(CloneFlags::VM) && !flags.contains(CloneFlags::VFORK));
    let parts = TaskParts {
        registers,
        running: Some(running),
        fs: if flags.contains(CloneFlags::FS) {
            task.fs().share(&group)?
        } else {
            task.fs().fork().used_by(&group)
        },
        files: if flags.contains(CloneFlags::FILES) {
            task.files()
        } else {
            Arc::new(task.files().fork())
        },
        credentials: task.credentials(),
        namespaces: task.namespaces(),
        child_pid_ns: task.child_pid_ns.lock().clone(),
        signals,
        interrupter,
        vfork_done: vfork.clone(),
        own,
    };
    Ok(Task::new(group, parts))
}

/// Gives the child its namespaces, its descriptor, its numbers and its place in the tree. After an error it is
/// to be abandoned: nobody has seen it.
fn make_known(
    task: &Task,
    request: &CloneRequest,
    child: &Arc<Task>,
) -> Result<(u32, Option<Event>)> {
    crate::kernel::namespaces::unshare(child, request.flags)?;
    if request.flags.contains(CloneFlags::NEWPID) {
        new_pid_namespace(task, child)?;
    }
    let pidfd = open_pidfd(task, request, child)
        .inspect_err(|_| child.child_pid_ns.lock().first_process_failed())?;
    let published = publish(task, request, child);
    match (&published, pidfd) {
        (Ok(_), _) => write_ids(task, request, child),
        (Err(_), Some(pidfd)) => close_pidfd(task, pidfd),
        (Err(_), None) => {}
    }
    published
}

/// What `holder` makes is to be in a new pid namespace within that of `maker`, which may be the same; the user namespace
/// of `holder` owns it. EINVAL if its children were to be in another one already (`man 7 pid_namespaces`), whose number 1
/// would not be its init; ENOSPC.
pub(crate) fn new_pid_namespace(maker: &Task, holder: &Task) -> Result<()> {
    let user_ns = holder.credentials().user_ns.clone();
    let ino = holder.kernel().namespace_ids.allocate();
    let active = maker.pid_namespace();
    let mut slot = holder.child_pid_ns.lock();
    if !Arc::ptr_eq(&slot, &active) {
        return Err(Errno::EINVAL);
    }
    *slot = active.nested(ino, user_ns)?;
    Ok(())
}

/// Whether one more task is within the limits; EAGAIN.
fn check_limits(task: &Task) -> Result<()> {
    check_process_limit(task)?;
    task.kernel().cgroups.check_fork(task.group())
}

/// `RLIMIT_NPROC`: how many tasks the real user may have (`man 2 getrlimit`); EAGAIN.
fn check_process_limit(task: &Task) -> Result<()> {
    let limit = task.group().limits().get(Resource::Processes).soft;
    let credentials = task.credentials();
    let exempt = credentials.uid == 0
        || credentials.has(Capability::SysResource)
        || credentials.has(Capability::SysAdmin);
    if limit == INFINITY || exempt {
        return Ok(());
    }
    if task.kernel().tasks_of_users.of(credentials.uid).get() >= limit {
        Err(Errno::EAGAIN)
    } else {
        Ok(())
    }
}

/// The event that a tracer of `task` is to hear of, if it asked for it.
fn trace_event(task: &Task, request: &CloneRequest) -> Option<Event> {
    let event = if request.flags.contains(CloneFlags::UNTRACED) {
        return None;
    } else if request.flags.contains(CloneFlags::VFORK) {
        Event::Vfork
    } else if request.exit_signal == Signal::SIGCHLD.number() {
        Event::Fork
    } else {
        Event::Clone
    };
    task.traces(event).then_some(event)
}

/// Gives the child its numbers and its place in the tree. From here on others see it. Also returns what a
/// tracer is to hear.
fn publish(task: &Task, request: &CloneRequest, child: &Arc<Task>) -> Result<(u32, Option<Event>)> {
    let _tree = task.kernel().task_set.lock();
    check_limits(task)?;
    if task.is_exiting() {
        return Err(Errno::EAGAIN);
    }
    let namespace = child.child_pid_ns.lock().clone();
    let numbers = PidNumbers::allocate(&namespace, child)?;
    child.set_numbers(numbers);
    // Here and not in `build`: another thread may have synchronised its filters since.
    child.set_seccomp(task.seccomp());
    let group = child.group();
    if request.flags.contains(CloneFlags::THREAD) {
        group.add_thread(child);
    } else {
        let parent = if request.flags.contains(CloneFlags::PARENT) {
            task.group().parent()
        } else {
            Some(task.group().clone())
        };
        let maker = task.pid_namespace().task(task.tid());
        group.set_maker(maker.map_or_else(Weak::new, |maker| Arc::downgrade(&maker)));
        group.adopt_leader(child, parent, task.group().process_group());
        task.kernel().cgroups.inherit(task.group(), group);
    }
    task.kernel().cgroups.add_task(group);
    let event = trace_event(task, request);
    if event.is_some() || task.is_traced() && request.flags.contains(CloneFlags::PTRACE) {
        attach::inherit(task, child);
    }
    Ok((child.tid_in(&task.pid_namespace()), event))
}

/// With `CLONE_PIDFD`, opens the descriptor that refers to the child and stores its number; EMFILE, EFAULT.
fn open_pidfd(task: &Task, request: &CloneRequest, child: &Task) -> Result<Option<i32>> {
    if !request.flags.contains(CloneFlags::PIDFD) {
        return Ok(None);
    }
    let fd = crate::fs::pidfd::open(task, child.group(), crate::vfs::file::OpenFlags::empty())?;
    if let Err(errno) = task.mm().write_value(request.pidfd, &fd) {
        close_pidfd(task, fd);
        return Err(errno);
    }
    Ok(Some(fd))
}

/// Takes back the descriptor of a child that is not to be.
fn close_pidfd(task: &Task, fd: i32) {
    let files = task.files();
    // Another thread may have closed it.
    if let Ok(descriptor) = files.remove(fd) {
        let _ = files.ended(task, descriptor);
    }
}

/// Stores the child's id where the flags say. As on Linux, an address that can't be written is the caller's loss,
/// not a failure.
fn write_ids(task: &Task, request: &CloneRequest, child: &Task) {
    if request.flags.contains(CloneFlags::PARENT_SETTID) {
        let id = child.tid_in(&task.pid_namespace());
        let _ = task.mm().write_value(request.parent_tid, &id);
    }
    if request.flags.contains(CloneFlags::CHILD_SETTID) {
        let _ = child.mm().write_value(request.child_tid, &child.tid());
    }
}

/// A host thread for the first task of a process that comes from outside. Its context is in no space yet.
pub(crate) fn first_thread(
    kernel: &crate::kernel::Kernel,
) -> Result<(Interrupter, SyncSender<Arc<Task>>)> {
    let thread = HostThread::spawn(kernel.platform().clone(), kernel.memory().kernel(), None)?;
    Ok((thread.interrupter, thread.go))
}
