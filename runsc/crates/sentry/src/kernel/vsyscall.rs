//! The vsyscall page (`man 7 vdso`, *x86-64*): three calls at fixed addresses of the upper half, which old
//! static programs still jump to. The page is not there; the jump faults and is answered here.

use std::sync::Arc;

use abi::PAGE_SIZE;
use abi::raw::general;
use platform::Fault;

use crate::kernel::signal::state;
use crate::kernel::signal::{Signal, SignalInfo};
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
    let mut registers = *task.registers.lock();
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
    registers.rax = table::dispatch(task, &args).ok()?;
    registers.rip = caller;
    registers.rsp = registers.rsp.wrapping_add(8);
    *task.registers.lock() = registers;
    Some(())
}
