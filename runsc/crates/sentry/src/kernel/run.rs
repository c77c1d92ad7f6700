//! The run loop of a task's host thread: application code, its system calls and faults, its signals, its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use abi::Errno;
use mm::address_space::FaultSignal;
use platform::{Exception, Exit, Fault, Space};

use crate::error::{Restart, SysError, SyscallResult};
use crate::kernel::exit;
use crate::kernel::limits::Resource;
use crate::kernel::oom;
use crate::kernel::ptrace::{Event, Mode};
use crate::kernel::seccomp::enforce::{self, Ruling};
use crate::kernel::signal::state::{self, Flow};
use crate::kernel::signal::{Signal, SignalInfo};
use crate::kernel::task::Task;
use crate::kernel::thread_group::ExitStatus;
use crate::strace;
use crate::syscalls::{SyscallArgs, table};

/// The flag that makes the processor trap after one instruction.
const TRAP_FLAG: u64 = 0x100;
/// `si_code` of a step over a system call, and the vector of steps.
const TRAP_BRKPT: i32 = 1;
const DEBUG_VECTOR: u64 = 1;

/// `orig_rax` outside a system call.
const NO_CALL: u64 = u64::MAX;

/// Runs `task` on the calling host thread until it exits. `space` is where its context is already.
pub(crate) fn run(task: &Arc<Task>, space: Option<Arc<Space>>) {
    let mut space = space;
    let mut interrupted = None;
    while let Flow::Continue = before_return(task, interrupted.take()) {
        if !follow_exec(task, &mut space) {
            exit::end_group(task.group(), killed());
            continue;
        }
        interrupted = step(task);
    }
    let status = task.group().exit_status_or(*task.exit_status.lock());
    task.trap_for_event(Event::Exit, status.wait_status().into());
    exit::finish(task);
}

fn killed() -> ExitStatus {
    ExitStatus::Killed {
        signal: Signal::SIGKILL,
        core: false,
    }
}

/// Deals with exit and signals before application code runs.
fn before_return(task: &Arc<Task>, interrupted: Option<Restart>) -> Flow {
    loop {
        task.wait_while_frozen();
        if task.is_exiting() {
            return Flow::Exit(killed());
        }
        if interrupted.is_none() && !task.is_interrupted() {
            return Flow::Continue;
        }
        let mut context = task
            .context
            .lock()
            .take()
            .expect("the context is in its slot while the task is in the kernel");
        let flow = task.handle_signals(&mut context, interrupted);
        *task.context.lock() = Some(context);
        match flow {
            Flow::Continue if task.is_exiting() => {}
            Flow::Continue => return Flow::Continue,
            Flow::Exit(status) => {
                exit::end_group(task.group(), status);
                return flow;
            }
        }
    }
}

/// After `execve`, moves the context to the new address space. Returns false if the host can't.
fn follow_exec(task: &Task, space: &mut Option<Arc<Space>>) -> bool {
    let current = task.mm().space().clone();
    if space
        .as_ref()
        .is_some_and(|space| Arc::ptr_eq(&current, space))
    {
        return true;
    }
    let moved = task.with_context(|context| {
        context.reset_extended();
        context.switch_to(&current)
    });
    *space = Some(current);
    moved.is_ok()
}

/// Runs application code up to its next exit and answers that. Returns how an interrupted call ends.
fn step(task: &Arc<Task>) -> Option<Restart> {
    let clock = task.kernel().clock();
    let mut registers = *task.registers.lock();
    let mut context = task
        .context
        .lock()
        .take()
        .expect("the context is in its slot while the task is in the kernel");
    let steps = task.trace_mode() == Mode::Step && registers.eflags & TRAP_FLAG == 0;
    if steps {
        registers.eflags |= TRAP_FLAG;
    }
    // Hardly ever set: a look costs less than an exchange on the way into every run.
    if task.affinity_changed.load(Ordering::Acquire)
        && task.affinity_changed.swap(false, Ordering::AcqRel)
    {
        context.run_on(&task.own.lock().affinity);
    }
    task.cpu.enter_user(clock.monotonic_ns());
    let exit = context.run(&mut registers);
    task.cpu.enter_system(clock.monotonic_ns());
    if steps {
        registers.eflags &= !TRAP_FLAG;
    }
    *task.context.lock() = Some(context);
    if !matches!(exit, Ok(Exit::Syscall)) {
        registers.orig_rax = NO_CALL;
    }
    *task.registers.lock() = registers;
    match exit {
        Ok(Exit::Syscall) => answer(task, &registers),
        Ok(Exit::Fault(fault)) => {
            serve_fault(task, &fault, &registers);
            None
        }
        Ok(Exit::Exception(exception)) => {
            raise(task, &exception);
            None
        }
        Ok(Exit::Interrupted) => None,
        Ok(Exit::MappingFailed) => {
            task.mm().start_over();
            None
        }
        Ok(Exit::SpaceLost) | Err(_) => {
            tracing::warn!(
                tid = task.tid(),
                "a stub process is gone: killing the tasks in it"
            );
            exit::end_space(task);
            None
        }
    }
}

/// Answers a system call and stores its result.
fn answer(task: &Arc<Task>, registers: &platform::ThreadState) -> Option<Restart> {
    let mut args = SyscallArgs::of(registers);
    if task.trace_mode() == Mode::Syscall {
        task.registers.lock().rax = i64::from(-Errno::ENOSYS.raw()).cast_unsigned();
        task.trap_at_entry();
        if task.is_exiting() {
            return None;
        }
        // The tracer may have changed the call.
        args = SyscallArgs::of(&task.registers.lock());
    }
    strace::enter(task, &args);
    let result = if task.is_traced() && args.number.cast_signed() < 0 {
        // No call: the tracer has said what it gives.
        Ok(task.registers.lock().rax)
    } else if task.has_seccomp() {
        filtered(task, args)
    } else {
        table::dispatch(task, &args)
    };
    strace::exit(task, &args, &result);
    oom::look_after_kernel_memory(task);
    let restart = match result {
        Ok(value) => {
            task.io.count(args.number, value);
            store(task, value)
        }
        Err(SysError::Errno(errno)) => store(task, i64::from(-errno.raw()).cast_unsigned()),
        Err(SysError::NoReturn) => None,
        Err(SysError::Restart(restart)) => Some(restart),
    };
    if task.is_traced() {
        after_traced_call(task, restart)
    } else {
        if restart.is_none() {
            task.registers.lock().orig_rax = NO_CALL;
        }
        restart
    }
}

fn store(task: &Task, value: u64) -> Option<Restart> {
    task.registers.lock().rax = value;
    None
}

/// What a tracer sees of the end of a call.
fn after_traced_call(task: &Task, restart: Option<Restart>) -> Option<Restart> {
    let mut restart = restart;
    if task.is_exiting() {
        return None;
    }
    match task.trace_mode() {
        Mode::Run => {}
        Mode::Syscall => task.trap_at_exit(&mut restart),
        Mode::Step if restart.is_none() => {
            let address = task.registers.lock().rip;
            state::force_fault(
                task,
                SignalInfo::fault(Signal::SIGTRAP, TRAP_BRKPT, address),
                DEBUG_VECTOR,
                0,
            );
        }
        Mode::Step => {}
    }
    if restart.is_none() {
        task.registers.lock().orig_rax = NO_CALL;
    }
    restart
}

/// Answers a call of a task that has filters.
fn filtered(task: &Task, args: SyscallArgs) -> SyscallResult {
    match enforce::rule(task, &args) {
        Ruling::Make => table::dispatch(task, &args),
        Ruling::Skip(result) => result,
        Ruling::AskTracer(datum) => ask_tracer(task, datum),
    }
}

/// The tracer decides, perhaps by changing the call, which is then filtered again.
fn ask_tracer(task: &Task, datum: u16) -> SyscallResult {
    if !task.trap_for_event(Event::Seccomp, datum.into()) {
        return Err(Errno::ENOSYS.into());
    }
    if task.is_exiting() {
        return Err(SysError::NoReturn);
    }
    let registers = *task.registers.lock();
    let args = SyscallArgs::of(&registers);
    if args.number.cast_signed() < 0 {
        return Ok(registers.rax);
    }
    match enforce::rule(task, &args) {
        Ruling::Make | Ruling::AskTracer(_) => table::dispatch(task, &args),
        Ruling::Skip(result) => result,
    }
}

/// Maps what a fault asks for, or raises the signal that Linux would.
fn serve_fault(task: &Arc<Task>, fault: &Fault, registers: &platform::ThreadState) {
    task.faults.fetch_add(1, Ordering::Relaxed);
    if crate::kernel::vsyscall::answer(task, fault) {
        return;
    }
    let stack = task.group().limits().get(Resource::Stack).soft;
    if let Err(FaultSignal {
        signal,
        code,
        address,
        error_code,
    }) = task
        .mm()
        .handle_fault(fault, registers.rip, registers.rsp, stack)
        && let Some(signal) = Signal::new(u64::from(signal))
    {
        state::force_fault(
            task,
            SignalInfo::fault(signal, code, address),
            14,
            error_code,
        );
    }
}

fn raise(task: &Task, exception: &Exception) {
    if let Some(signal) = Signal::new(u64::from(exception.signal)) {
        let info = SignalInfo::fault(signal, exception.code, exception.address);
        state::force_fault(
            task,
            info,
            u64::from(exception.vector),
            exception.error_code,
        );
    }
}
