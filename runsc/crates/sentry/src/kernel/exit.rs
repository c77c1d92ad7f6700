//! The end of tasks and thread groups: `exit(2)`, `exit_group(2)`, fatal signals, reaping.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mm::AddressSpace;

use crate::kernel::futex;
use crate::kernel::pids::PidNamespace;
use crate::kernel::ptrace::{
    self,
    attach::{self, Release},
};
use crate::kernel::signal::info::{Detail, SignalInfo, code};
use crate::kernel::signal::{Signal, state};
use crate::kernel::task::{RunState, Task};
use crate::kernel::thread_group::{ExitStatus, ThreadGroup};
use crate::kernel::wait_queue::Events;
use crate::strace;

/// `exit(2)`: this thread ends once its call returns.
pub fn end_task(task: &Task, code: u8) {
    end_task_with(task, ExitStatus::Exited(code));
}

/// This thread ends with `status` once its call returns; the others go on.
pub(crate) fn end_task_with(task: &Task, status: ExitStatus) {
    task.exit_status.lock().get_or_insert(status);
    task.exit_requested.store(true, Ordering::Release);
}

/// Ends every thread of the group; the first status counts.
pub fn end_group(group: &ThreadGroup, status: ExitStatus) {
    let tasks = {
        let mut links = group.links.lock();
        links.exiting.get_or_insert(status);
        links.tasks.clone()
    };
    for task in tasks {
        request_exit(&task);
    }
}

fn request_exit(task: &Task) {
    task.exit_requested.store(true, Ordering::Release);
    task.kick();
}

/// Ends the other threads of the task's group (`execve`).
pub(crate) fn end_siblings(task: &Task) {
    for sibling in task.group().tasks() {
        if !std::ptr::eq(&raw const *sibling, &raw const *task) {
            request_exit(&sibling);
        }
    }
}

/// Ends every thread group that uses the task's address space, whose stub is gone.
pub(crate) fn end_space(task: &Task) {
    let mm = task.mm();
    let killed = ExitStatus::Killed {
        signal: Signal::SIGKILL,
        core: false,
    };
    for (_, group) in task.kernel().root_pid_ns().groups() {
        if group.tasks().iter().any(|task| uses(task, &mm)) {
            end_group(&group, killed);
        }
    }
}

/// Whether `task` runs in the address space `mm`.
fn uses(task: &Task, mm: &Arc<AddressSpace>) -> bool {
    task.mm_if_alive()
        .is_some_and(|theirs| Arc::ptr_eq(&theirs, mm))
}

/// A child that could not be published: nothing of it was ever seen.
pub(crate) fn abandon(child: &Arc<Task>) {
    let _tree = child.kernel().task_set.lock();
    let group = child.group();
    let mut links = group.links.lock();
    let before = links.tasks.len();
    links.tasks.retain(|task| !Arc::ptr_eq(task, child));
    // Perhaps it never got as far as being counted.
    links.live -= before - links.tasks.len();
    let parent = if links.live == 0 {
        links.parent.take()
    } else {
        None
    };
    drop(links);
    if let Some(parent) = parent {
        parent
            .links
            .lock()
            .children
            .retain(|other| !Arc::ptr_eq(other, group));
    }
    child.release_numbers();
    release_resources(child);
}

/// The end of a task, on its own host thread: gives back what it holds and tells who cares.
pub(crate) fn finish(task: &Arc<Task>) {
    strace::exited(task);
    task.leave_signals();
    futex::exit_robust(task);
    clear_child_tid(task);
    let last = {
        let mut links = task.group().links.lock();
        links.finishing += 1;
        links.finishing == links.live
    };
    if last {
        note_resident(task);
        // A tracee that waits for this tracer before it exits would be waited for in vain.
        release_tracees(task);
        last_thread_of_init(task);
    }
    release_resources(task);
    release_tracees(task);
    let exited = leave_group(task);
    tell_tracer_of_thread(task);
    if let Some(group) = exited {
        finish_group(task, &group);
    }
    // Retires the platform's side on the thread that owns it.
    drop(task.context.lock().take());
}

/// The most that the process's memory ever was counts for those who wait for it.
fn note_resident(task: &Task) {
    let resident = task.mm().statistics().peak_resident as u64;
    let mut links = task.group().links.lock();
    links.usage.max_resident = links.usage.max_resident.max(resident);
}

/// `set_tid_address(2)`: zero at the address and a futex wake-up, if others still use the memory.
fn clear_child_tid(task: &Arc<Task>) {
    let address = std::mem::take(&mut task.own.lock().clear_child_tid);
    if address == 0 {
        return;
    }
    let mm = task.mm();
    // Linux leaves the word alone when nobody else could see it change (`mm_release`). Siblings share the
    // memory; only the last thread has to look for others that do (CLONE_VM without CLONE_THREAD), if there ever
    // was one.
    let has_siblings = task.group().links.lock().live > 1;
    let shared = has_siblings
        || mm.is_shared_by_processes()
            && task
                .kernel()
                .root_pid_ns()
                .tasks()
                .iter()
                .any(|(_, other)| !Arc::ptr_eq(other, task) && uses(other, &mm));
    if shared && mm.store_u32(address, 0).is_ok() {
        futex::wake_address(task, address, 1);
    }
}

/// Gives back address space, files and file system context.
fn release_resources(task: &Task) {
    let running = task.running.lock().take();
    drop(running);
    finish_vfork(task);
    let files = std::mem::take(&mut *task.files.lock());
    crate::vfs::fd_table::release(task, files);
    task.fs.lock().leave();
}

/// The task no longer uses the memory that it shares with the parent of its `vfork(2)`.
pub(crate) fn finish_vfork(task: &Task) {
    if let Some(vfork) = task.vfork_done.lock().take() {
        vfork.finish();
    }
}

/// Takes the task out of its group. Returns the group if that was its last thread.
fn leave_group(task: &Arc<Task>) -> Option<Arc<ThreadGroup>> {
    let _tree = task.kernel().task_set.lock();
    let group = task.group().clone();
    let is_leader = task.is_leader();
    let mut links = group.links.lock();
    let (user_ns, system_ns) = task.cpu_time();
    links.usage.user_ns += user_ns;
    links.usage.system_ns += system_ns;
    links.usage.minor_faults += task.faults.load(Ordering::Relaxed);
    if !is_leader {
        group.io.add(&task.io);
    }
    links.live -= 1;
    links.finishing -= 1;
    // Since Linux 5.19 the last thread to leave decides, if nothing ended the whole group.
    links.last_status = *task.exit_status.lock();
    if is_leader {
        *task.state.lock() = RunState::Zombie;
    } else {
        *task.state.lock() = RunState::Dead;
        links.tasks.retain(|other| !Arc::ptr_eq(other, task));
        task.release_numbers();
    }
    let last = links.live == 0;
    drop(links);
    group.child_events.wake(Events::IN);
    last.then_some(group)
}

/// A thread that is traced and no leader has gone: its tracer may wait for it.
fn tell_tracer_of_thread(task: &Arc<Task>) {
    if task.is_leader() {
        return;
    }
    let Some(tracer) = task.tracer() else {
        return;
    };
    let status = {
        let links = task.group().links.lock();
        let own = *task.exit_status.lock();
        links.exiting.or(own).unwrap_or(ExitStatus::Exited(0))
    };
    let _tree = task.kernel().task_set.lock();
    tell_tracer(task, &tracer, status);
}

/// Notes for the tracer's waits how `task` ended, and wakes them; a tracer that ignores its children forgets.
/// Whether the tracer is to wait for it. The task set must be locked.
fn tell_tracer(task: &Arc<Task>, tracer: &Arc<Task>, status: ExitStatus) -> bool {
    let discards = state::discards_children(tracer.group());
    if discards {
        attach::forget(tracer, task);
    }
    let recorded = !discards && attach::record_end(task, tracer, status);
    let (code, value) = exit_code(status);
    ptrace::stop::notify(task, tracer, code, value);
    recorded
}

/// The task traces nobody any more.
fn release_tracees(task: &Arc<Task>) {
    let released = {
        let _tree = task.kernel().task_set.lock();
        attach::release_all(task)
    };
    for (tracee, what) in released {
        match what {
            Release::Kill => attach::kill(&tracee),
            Release::Ended => tell_parent_of_released(&tracee),
        }
    }
}

/// A process that ended under another tracer than its parent is now its parent's to wait for.
pub(crate) fn tell_parent_of_released(leader: &Arc<Task>) {
    let group = leader.group();
    if !leader.is_leader() || !group.is_zombie() {
        return;
    }
    let _tree = leader.kernel().task_set.lock();
    tell_parent(group);
}

/// How the group ended, for its parent.
pub(crate) fn status_of(group: &ThreadGroup) -> ExitStatus {
    let links = group.links.lock();
    links
        .exiting
        .or(links.last_status)
        .unwrap_or(ExitStatus::Exited(0))
}

/// The last thread of a group is gone: children find new parents, the parent is told.
fn finish_group(task: &Arc<Task>, group: &Arc<ThreadGroup>) {
    crate::kernel::timers::release(group);
    crate::kernel::ipc::release(task, group);
    crate::kernel::job_control::group_exited(group);
    let status = status_of(group);
    tracing::debug!(pid = group.pid(), ?status, "a thread group exited");
    become_zombie(group, status);
    group.exit_event.wake(Events::IN);
}

/// The group is there to be waited for. In one step with that, its children find new parents, who traces it is told,
/// else its parent; and it is reaped, if nobody is to wait for it: a wait in between would see what was ignored.
fn become_zombie(group: &Arc<ThreadGroup>, status: ExitStatus) {
    let _tree = group.kernel().task_set.lock();
    group.links.lock().zombie = true;
    adopt_children(group);
    // Before it can be reaped: an init whose last process is gone ends the sandbox.
    group.report_exit(status);
    let tracer = attach::foreign_tracer(group).zip(group.leader());
    if !tracer.is_some_and(|(tracer, leader)| tell_tracer(&leader, &tracer, status)) {
        tell_parent(group);
    }
}

/// Tells the parent of a zombie, or reaps the zombie if that is not to wait for it. The task set must be locked.
fn tell_parent(group: &Arc<ThreadGroup>) {
    if group
        .parent()
        .is_none_or(|parent| notify_parent(group, &parent))
    {
        reap_locked(group);
    }
}

/// Gives the children of an exiting group to the nearest living subreaper, else to the namespace's init.
fn adopt_children(group: &Arc<ThreadGroup>) {
    let children = std::mem::take(&mut group.links.lock().children);
    if children.is_empty() {
        return;
    }
    let adopter = find_adopter(group);
    for child in children {
        child.links.lock().parent.clone_from(&adopter);
        send_parent_death_signals(&child);
        let Some(adopter) = &adopter else {
            // An init ends after everything else in its namespace.
            debug_assert!(child.is_zombie(), "an orphan finds no parent");
            if child.is_zombie() {
                reap_locked(&child);
            }
            continue;
        };
        adopter.links.lock().children.push(child.clone());
        if child.is_zombie() && notify_parent(&child, adopter) {
            reap_locked(&child);
        }
    }
}

fn find_adopter(group: &Arc<ThreadGroup>) -> Option<Arc<ThreadGroup>> {
    let namespace = group.leader()?.pid_namespace();
    let mut current = group.parent();
    while let Some(candidate) = current {
        if !candidate
            .leader()
            .is_some_and(|leader| Arc::ptr_eq(&leader.pid_namespace(), &namespace))
        {
            break;
        }
        if candidate.subreaper.load(Ordering::Relaxed) && !candidate.is_zombie() {
            return Some(candidate);
        }
        current = candidate.parent();
    }
    let init = namespace.group(1)?;
    (!Arc::ptr_eq(&init, group) && !init.is_zombie()).then_some(init)
}

fn send_parent_death_signals(child: &Arc<ThreadGroup>) {
    for task in child.tasks() {
        let signal = task.own.lock().parent_death_signal;
        if let Some(signal) = Signal::new(u64::from(signal)) {
            state::send_to_task(&task, SignalInfo::kernel(signal));
        }
    }
}

/// Tells `parent` that the zombie `group` is there to be waited for. Returns whether it is to be reaped at
/// once, since the parent said that it will not wait (`man 2 wait`, NOTES).
pub(crate) fn notify_parent(group: &Arc<ThreadGroup>, parent: &Arc<ThreadGroup>) -> bool {
    let signal = Signal::new(u64::from(group.exit_signal.load(Ordering::Relaxed)));
    let discards = signal == Some(Signal::SIGCHLD) && state::discards_children(parent);
    if let Some(signal) = signal {
        state::send_to_group(parent, child_info(group, parent, signal));
    }
    parent.child_events.wake(Events::IN);
    discards
}

/// `si_code` and `si_status` of an end.
fn exit_code(status: ExitStatus) -> (i32, i32) {
    match status {
        ExitStatus::Exited(status) => (code::CLD_EXITED, i32::from(status)),
        ExitStatus::Killed { signal, core: true } => (code::CLD_DUMPED, i32::from(signal.number())),
        ExitStatus::Killed {
            signal,
            core: false,
        } => (code::CLD_KILLED, i32::from(signal.number())),
    }
}

/// `siginfo_t` of an exit as the parent sees it.
fn child_info(group: &ThreadGroup, parent: &ThreadGroup, signal: Signal) -> SignalInfo {
    let (code, status) = exit_code(status_of(group));
    let usage = group.usage();
    let namespace = parent.leader().map(|leader| leader.pid_namespace());
    let pid = namespace.map_or(0, |namespace| group.pid_in(&namespace));
    let uid = group.leader().map_or(0, |leader| leader.credentials().uid);
    let ticks = |ns: u64| ns / (crate::time::NANOS_PER_SEC / 100);
    let detail = Detail::Child {
        pid,
        uid,
        status,
        utime: ticks(usage.user_ns),
        stime: ticks(usage.system_ns),
    };
    SignalInfo {
        signal,
        errno: 0,
        code,
        detail,
    }
}

/// Takes a zombie out of the tree and frees its numbers. The task set must be locked.
pub(crate) fn reap_locked(group: &Arc<ThreadGroup>) {
    group.join(None);
    let (parent, leader) = {
        let mut links = group.links.lock();
        debug_assert!(links.children.is_empty(), "it has no children left");
        links.tasks.clear();
        // Its thread may still be on its way out, but has no number any more.
        let leader = std::mem::take(&mut links.leader);
        (links.parent.take(), leader.upgrade())
    };
    if let Some(leader) = leader {
        if let Some(tracer) = leader.tracer() {
            attach::forget(&tracer, &leader);
        }
        *leader.state.lock() = RunState::Dead;
        leader.release_numbers();
    }
    if let Some(parent) = parent {
        let mut usage = group.usage();
        usage.add(&group.links.lock().children_usage);
        let mut links = parent.links.lock();
        links.children.retain(|child| !Arc::ptr_eq(child, group));
        links.children_usage.add(&usage);
    }
}

/// The init of a pid namespace goes last: everything else in the namespace is killed and reaped first
/// (`man 7 pid_namespaces`).
fn last_thread_of_init(task: &Arc<Task>) {
    let namespace = task.pid_namespace();
    if task.group().pid() != 1 {
        return;
    }
    namespace.set_dead();
    let killed = ExitStatus::Killed {
        signal: Signal::SIGKILL,
        core: false,
    };
    for group in others_in(&namespace, task.group()) {
        end_group(&group, killed);
    }
    // What ends below becomes a child of this group; it waits for nobody, so reap it here.
    let queue = &task.group().child_events;
    task.wait_regardless(&[queue], || {
        reap_children(task.group());
        // In this order: a thread of its own that leaves in between wakes it again.
        let (nr_tasks, _) = namespace.task_count();
        (nr_tasks <= task.group().tasks().len()).then_some(())
    });
}

fn others_in(namespace: &Arc<PidNamespace>, init: &Arc<ThreadGroup>) -> Vec<Arc<ThreadGroup>> {
    // One that is about to be published is there, or will find the namespace dead.
    let _tree = init.kernel().task_set.lock();
    namespace
        .groups()
        .into_iter()
        .map(|(_, group)| group)
        .filter(|group| !Arc::ptr_eq(group, init))
        .collect()
}

fn reap_children(group: &Arc<ThreadGroup>) {
    let _tree = group.kernel().task_set.lock();
    let children = group.links.lock().children.clone();
    children
        .iter()
        .filter(|child| child.is_zombie())
        .for_each(reap_locked);
}
