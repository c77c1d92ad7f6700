//! The vsyscall page (`man 7 vdso`, *x86-64*): three calls at fixed addresses of the upper half, which old
//! static programs still jump to. The page is not there; the jump faults and is answered here.

use std::sync::Arc;

use abi::Errno;
use abi::PAGE_SIZE;
use abi::raw::general;
use platform::Fault;

use crate::error::{SysError, SyscallResult};
use crate::kernel::ptrace::Event;
use crate::kernel::seccomp::enforce::{self, Ruling};
use crate::kernel::signal::state;
use crate::kernel::signal::{Signal, SignalInfo, send};
use crate::kernel::task::Task;
use crate::syscalls::{SyscallArgs, table};

/// Where the page is.
const PAGE: usize = 0xffff_ffff_ff60_0000;

/// Answers a jump to one of the three entries as if `syscall; ret` stood there, and any other jump into the
/// page, or one with a pointer or stack that is none, with SIGSEGV, which names no address. Returns false if
/// the fault is something else.
pub(crate) fn answer(task: &Arc<Task>, fault: &Fault) -> bool {
    let is_jump = task.registers.lock().rip == fault.address as u64;
    if !is_jump || fault.address & !(PAGE_SIZE - 1) != PAGE {
        return false;
    }
    if emulate(task, fault.address - PAGE).is_none() {
        state::force_fault(task, SignalInfo::kernel(Signal::SIGSEGV), 0, 0);
    }
    true
}

/// Performs the call of the entry at an offset, and returns from it.
fn emulate(task: &Arc<Task>, offset: usize) -> Option<()> {
    let registers = *task.registers.lock();
    let number = match offset {
        0 => general::__NR_gettimeofday,
        0x400 => general::__NR_time,
        0x800 => general::__NR_getcpu,
        _ => return None,
    };
    let stack = usize::try_from(registers.rsp).ok()?;
    let caller = task.mm().read_value::<u64>(stack).ok()?;
    let args = SyscallArgs {
        number: u64::from(number),
        raw: [registers.rdi, registers.rsi, registers.rdx, 0, 0, 0],
    };
    let result = if task.has_seccomp() {
        match filtered(task, &args) {
            Filtered::Make => table::dispatch(task, &args).ok()?,
            Filtered::Skip => task.registers.lock().rax,
            Filtered::Ends => return Some(()),
        }
    } else {
        table::dispatch(task, &args).ok()?
    };
    let mut after = task.registers.lock();
    after.rax = result;
    after.orig_rax = u64::MAX;
    after.rip = caller;
    after.rsp = registers.rsp.wrapping_add(8);
    Some(())
}

/// What becomes of a call that filters were asked about.
enum Filtered {
    /// It is made.
    Make,
    /// It is not made; the result is in the registers.
    Skip,
    /// The task ends.
    Ends,
}

/// Asks the filters, which see the call as one at the entry's address; nobody may make another call of it.
fn filtered(task: &Task, args: &SyscallArgs) -> Filtered {
    let entry = {
        let mut registers = task.registers.lock();
        registers.orig_rax = args.number;
        registers.rax = i64::from(-Errno::ENOSYS.raw()).cast_unsigned();
        registers.rip
    };
    let mut ruling = enforce::rule(task, args);
    if let Ruling::AskTracer(datum) = ruling {
        let asked = task.trap_for_event(Event::Seccomp, datum.into());
        let registers = *task.registers.lock();
        if asked && registers.orig_rax.cast_signed() >= 0 {
            if registers.orig_rax != args.number || registers.rip != entry {
                send::force_fatal(task, Signal::SIGSYS);
                return Filtered::Ends;
            }
            ruling = match enforce::rule(task, args) {
                Ruling::AskTracer(_) => Ruling::Make,
                other => other,
            };
        } else if asked {
            return Filtered::Skip;
        }
    }
    if task.is_exiting() {
        return Filtered::Ends;
    }
    match ruling {
        Ruling::Make => Filtered::Make,
        Ruling::Skip(result) => skipped(task, result),
        Ruling::AskTracer(_) => skipped(task, Err(Errno::ENOSYS.into())),
    }
}

/// A call that was not made returns like one that was; after SIGSYS the registers are those of before.
fn skipped(task: &Task, result: SyscallResult) -> Filtered {
    let value = match result {
        Ok(value) => value,
        Err(SysError::Errno(errno)) => i64::from(-errno.raw()).cast_unsigned(),
        Err(_) => return Filtered::Skip,
    };
    task.registers.lock().rax = value;
    Filtered::Skip
}
