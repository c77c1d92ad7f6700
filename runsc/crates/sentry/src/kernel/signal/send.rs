//! Sending signals: what `kill(2)`, timers, terminals, exits and faults come down to.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use abi::Errno;

use crate::error::Result;
use crate::kernel::exit;
use crate::kernel::limits::Resource;
use crate::kernel::signal::action::{Action, DefaultAction, Handler, STOPS};
use crate::kernel::signal::info::{Detail, code};
use crate::kernel::signal::queue::{Charge, Entry, TimerSignal};
use crate::kernel::signal::state::{GroupSignals, Trap};
use crate::kernel::signal::{Signal, SignalInfo, SignalSet};
use crate::kernel::task::Task;
use crate::kernel::thread_group::{ExitStatus, ThreadGroup};
use crate::kernel::wait_queue::Events;

/// Who sends, which decides what the init of a namespace is protected from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The kernel itself, or an ancestor of the receiver's pid namespace: SIGKILL and SIGSTOP work on the
    /// namespace's init too.
    Above,
    /// A process of the receiver's own pid namespace.
    Within,
}

/// Sends a thread-directed signal from the kernel.
pub fn send_to_task(task: &Arc<Task>, info: SignalInfo) {
    let outgoing = OutgoingSignal::new(info, Origin::Above);
    // Kernel-made signals that find the queue full are dropped, as Linux does.
    let _ = post(task.group(), Some(task), outgoing);
}

/// Sends a process-directed signal from the kernel.
pub fn send_to_group(group: &Arc<ThreadGroup>, info: SignalInfo) {
    // As above.
    let _ = post(group, None, OutgoingSignal::new(info, Origin::Above));
}

/// A signal that is about to be sent.
#[derive(Debug)]
pub struct OutgoingSignal {
    info: SignalInfo,
    origin: Origin,
    /// Whose queue limit it counts against; none: the kernel's own.
    sender: Option<u32>,
    timer: Option<Arc<TimerSignal>>,
}

impl OutgoingSignal {
    /// A signal that the kernel sends, or that an ancestor namespace does.
    #[must_use]
    pub fn new(info: SignalInfo, origin: Origin) -> OutgoingSignal {
        OutgoingSignal {
            info,
            origin,
            sender: None,
            timer: None,
        }
    }

    /// Sent by a process of user `uid`.
    #[must_use]
    pub fn from_user(mut self, uid: u32) -> OutgoingSignal {
        self.sender = Some(uid);
        self
    }

    /// Sent by a POSIX timer, whose instance is reserved.
    #[must_use]
    pub fn from_timer(mut self, timer: Arc<TimerSignal>) -> OutgoingSignal {
        self.timer = Some(timer);
        self
    }

    fn signal(&self) -> Signal {
        self.info.signal
    }
}

/// What is to be done for a signal once the locks are released.
#[derive(Default)]
struct DeferredWork {
    kick: Vec<Arc<Task>>,
    continued: Option<StopNotice>,
    arrived: bool,
    /// The signal ends the group.
    fatal: Option<ExitStatus>,
}

/// What the parent is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopNotice {
    Stopped(Signal),
    Continued,
}

/// Sends to `group`, or to `task` alone of it. EAGAIN: the queue is full and the signal would lose
/// information that the sender gave.
pub fn post(
    group: &Arc<ThreadGroup>,
    task: Option<&Arc<Task>>,
    outgoing: OutgoingSignal,
) -> Result<()> {
    let tasks = group.tasks();
    let Some(first) = task.or(tasks.first()) else {
        return Ok(());
    };
    let signal = outgoing.signal();
    let action = group.action(signal);
    let leader = group.leader();
    let init = group.is_init();
    let charge = charge(group, &outgoing, first);
    let mut deferred = DeferredWork::default();
    let result = {
        let mut state = group.signals.lock();
        prepare(&mut state, &tasks, signal, &mut deferred);
        let protected = init && !state.killable_init;
        if is_ignored(first, &action, &outgoing, protected) {
            outgoing.timer.iter().for_each(|timer| timer.discard());
            Ok(())
        } else {
            let to = Target {
                leader: leader.as_ref(),
                task,
                tasks: &tasks,
            };
            enqueue(&mut state, &to, &action, outgoing, charge, &mut deferred)
        }
    };
    deferred.carry_out(group);
    result
}

struct Target<'a> {
    leader: Option<&'a Arc<Task>>,
    task: Option<&'a Arc<Task>>,
    tasks: &'a [Arc<Task>],
}

impl DeferredWork {
    fn carry_out(self, group: &Arc<ThreadGroup>) {
        if let Some(status) = self.fatal {
            exit::end_group(group, status);
        }
        self.kick.iter().for_each(|task| task.kick());
        if self.arrived {
            let arrivals = group.signals.lock().arrivals.clone();
            arrivals.wake(Events::IN | Events::RDNORM);
        }
        if let Some(notice) = self.continued {
            super::stop::notify_parent(group, notice);
        }
    }
}

/// Counts the signal against its sender's limit. Standard signals of the kernel are always queued.
fn charge(group: &ThreadGroup, outgoing: &OutgoingSignal, receiver: &Task) -> ChargeResult {
    if outgoing.timer.is_some() || (outgoing.sender.is_none() && !outgoing.signal().is_real_time())
    {
        return ChargeResult::Free;
    }
    let limit = group.limits().get(Resource::PendingSignals).soft;
    // Linux counts against the user who receives.
    let uid = receiver.credentials().uid;
    let kernel = group.kernel();
    let charge = kernel.queued_signals.charge(uid, limit);
    charge.map_or(ChargeResult::Full, ChargeResult::Charged)
}

enum ChargeResult {
    Free,
    Charged(Charge),
    Full,
}

/// SIGCONT and the stopping signals take each other out of the queues, and SIGCONT ends a stop, whatever
/// the receiver does about them (`man 7 signal`, *Execution of stop signals*).
fn prepare(
    state: &mut GroupSignals,
    tasks: &[Arc<Task>],
    signal: Signal,
    deferred: &mut DeferredWork,
) {
    if STOPS.has(signal) {
        flush(state, tasks, SignalSet::EMPTY.with(Signal::SIGCONT));
    } else if signal == Signal::SIGCONT {
        flush(state, tasks, STOPS);
        deferred.continued = state.stop.resume();
        tasks.iter().for_each(|task| task.note_continuation());
        deferred.kick.extend(tasks.iter().cloned());
    }
}

/// Drops the signals in `set` from the queues of the group and of its tasks.
pub(super) fn flush(state: &mut GroupSignals, tasks: &[Arc<Task>], set: SignalSet) {
    state.pending.flush(set);
    for task in tasks {
        task.signals.lock().pending.flush(set);
    }
}

fn is_ignored(
    receiver: &Task,
    action: &Action,
    outgoing: &OutgoingSignal,
    protected: bool,
) -> bool {
    let signal = outgoing.signal();
    if receiver.signals.lock().mask.has(signal) {
        // Its disposition may have changed when it is unblocked.
        return false;
    }
    // A tracer sees even those.
    if receiver.is_traced() && signal != Signal::SIGKILL {
        return false;
    }
    let unstoppable = SignalSet::UNBLOCKABLE.has(signal) && outgoing.origin == Origin::Above;
    if protected && action.handler == Handler::Default && !unstoppable {
        return true;
    }
    action.ignores(signal)
}

fn enqueue(
    state: &mut GroupSignals,
    to: &Target<'_>,
    action: &Action,
    outgoing: OutgoingSignal,
    charge: ChargeResult,
    deferred: &mut DeferredWork,
) -> Result<()> {
    let signal = outgoing.signal();
    let exiting = to.task.is_some_and(|task| task.signals.lock().exiting);
    if exiting {
        return Ok(());
    }
    let from_user = outgoing.info.code == code::SI_USER;
    {
        let mut own = to.task.map(|task| task.signals.lock());
        let queue = own
            .as_deref_mut()
            .map_or(&mut state.pending, |own| &mut own.pending);
        if !queue.accepts(signal) {
            return Ok(());
        }
        match charge {
            ChargeResult::Free => queue.push(Entry::new(outgoing.info, None, outgoing.timer)),
            ChargeResult::Charged(charge) => {
                queue.push(Entry::new(outgoing.info, Some(charge), outgoing.timer));
            }
            ChargeResult::Full if signal.is_real_time() && !from_user => return Err(Errno::EAGAIN),
            ChargeResult::Full => queue.push_bare(signal),
        }
    }
    deferred.arrived = true;
    choose(state, to, action, signal, deferred);
    Ok(())
}

/// Finds a task that is to handle the signal now, or all of them if it is fatal.
fn choose(
    state: &mut GroupSignals,
    to: &Target<'_>,
    action: &Action,
    signal: Signal,
    deferred: &mut DeferredWork,
) {
    let wants = |task: &&Arc<Task>| {
        let own = task.signals.lock();
        !own.exiting && own.wanted().has(signal) && (signal == Signal::SIGKILL || !own.stopped)
    };
    let chosen = match to.task {
        Some(task) => Some(task).filter(wants),
        None => {
            let idle =
                |task: &&Arc<Task>| wants(task) && !task.signal_pending.load(Ordering::Acquire);
            to.leader
                .filter(wants)
                .or_else(|| to.tasks.iter().find(idle))
                .or_else(|| to.tasks.iter().find(wants))
        }
    };
    let Some(chosen) = chosen else {
        return;
    };
    let waited_for = chosen.signals.lock().waiting_for.has(signal);
    let dumps_core = signal.default_action() == DefaultAction::Core;
    let for_tracer = chosen.is_traced() && signal != Signal::SIGKILL;
    if action.is_fatal(signal) && !waited_for && !dumps_core && !for_tracer {
        state.stop.kill();
        deferred.fatal = Some(ExitStatus::Killed {
            signal,
            core: false,
        });
    } else {
        chosen.signal_pending.store(true, Ordering::Release);
        deferred.kick.push(chosen.clone());
    }
}

/// A fault of the task itself: delivered even if blocked or ignored (then the default action kills).
/// Called on the task's own thread; [`Task::handle_signals`] delivers it.
pub fn force(task: &Task, info: SignalInfo) {
    let signal = info.signal;
    let shared = task.group().shared_dispositions();
    let mut state = task.group().signals.lock();
    let mut own = task.signals.lock();
    let mut dispositions = shared.lock();
    let blocked = own.mask.has(signal);
    let action = dispositions.get(signal);
    if blocked || action.handler == Handler::Ignore {
        dispositions.set(
            signal,
            Action {
                handler: Handler::Default,
                ..action
            },
        );
        own.mask = own.mask.without(signal);
    }
    if dispositions.get(signal).handler == Handler::Default {
        state.killable_init = true;
    }
    if own.pending.accepts(signal) {
        own.pending.push(Entry::new(info, None, None));
    }
    task.signal_pending.store(true, Ordering::Release);
}

/// As [`force`], with what the signal frame tells of the processor's exception: vector and error code.
pub fn force_fault(task: &Task, info: SignalInfo, vector: u64, error_code: u64) {
    let address = match info.detail {
        Detail::Fault { address } => address,
        _ => 0,
    };
    task.signals.lock().trap = Trap {
        vector,
        error_code,
        address,
    };
    force(task, info);
}

/// Kills the task's group with `signal` at once, whatever it does about it: a stack that can't hold the
/// frame of a SIGSEGV.
pub fn force_fatal(task: &Task, signal: Signal) {
    let core = task.group().dumps_core() && signal.default_action() == DefaultAction::Core;
    task.group().signals.lock().stop.kill();
    exit::end_group(task.group(), ExitStatus::Killed { signal, core });
}

impl Task {
    /// The task takes no more signals, and others take over what was meant for the group: to be called when
    /// it exits, before it leaves its group's list.
    pub fn leave_signals(&self) {
        let group = self.group().clone();
        let (left, is_stopping) = {
            let state = group.signals.lock();
            let mut own = self.signals.lock();
            own.exiting = true;
            own.pending.flush(SignalSet(u64::MAX));
            let unblocked = SignalSet(!own.mask.0);
            (
                state.pending.set().and(unblocked),
                state.stop.is_under_way(),
            )
        };
        // From here on nothing is meant for this task. Of thousands that exit at once few have something to leave.
        if left.is_empty() && !is_stopping {
            return;
        }
        let tasks = group.tasks();
        let mut deferred = DeferredWork::default();
        {
            let mut state = group.signals.lock();
            pass_on(&tasks, self, left, &mut deferred);
            deferred.continued = state.stop.complete_if_all(&tasks);
        }
        deferred.carry_out(&group);
    }
}

impl Task {
    /// Whether the task is exiting ([`Task::leave_signals`]).
    #[must_use]
    pub fn has_left_signals(&self) -> bool {
        self.signals.lock().exiting
    }
}

/// Makes other tasks look at `signals`, which `from` will not take.
fn pass_on(tasks: &[Arc<Task>], from: &Task, signals: SignalSet, deferred: &mut DeferredWork) {
    let mut left = signals;
    for task in tasks
        .iter()
        .filter(|task| !std::ptr::eq(task.as_ref(), from))
    {
        if left.is_empty() {
            return;
        }
        let own = task.signals.lock();
        let takes = left.and(own.wanted());
        if own.exiting || takes.is_empty() {
            continue;
        }
        left = left.minus(takes);
        task.signal_pending.store(true, Ordering::Release);
        deferred.kick.push(task.clone());
    }
}

/// As [`pass_on`], for a task that has just blocked `signals`.
pub(super) fn retarget(task: &Task, signals: SignalSet) {
    let tasks = task.group().tasks();
    let mut deferred = DeferredWork::default();
    let state = task.group().signals.lock();
    pass_on(
        &tasks,
        task,
        state.pending.set().and(signals),
        &mut deferred,
    );
    drop(state);
    deferred.carry_out(task.group());
}
