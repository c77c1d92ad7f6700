//! The vsyscall page (`man 7 vdso`, *x86-64*): three calls at fixed addresses of the upper half, which old
//! static programs still jump to. The page is not there; the jump faults and is answered here.

use std::sync::Arc;

use abi::raw::general;
use platform::Fault;

use crate::kernel::task::Task;
use crate::syscalls::{SyscallArgs, table};

/// Where the page is.
const PAGE: usize = 0xffff_ffff_ff60_0000;

/// Answers a jump to one of the three entries as if `syscall; ret` stood there. Returns false if the fault
/// is something else.
pub(crate) fn emulate(task: &Arc<Task>, fault: &Fault) -> bool {
    let mut registers = *task.registers.lock();
    if registers.rip != fault.address as u64 {
        return false;
    }
    let number = match fault.address.wrapping_sub(PAGE) {
        0 => general::__NR_gettimeofday,
        0x400 => general::__NR_time,
        0x800 => general::__NR_getcpu,
        _ => return false,
    };
    let Ok(stack) = usize::try_from(registers.rsp) else {
        return false;
    };
    let Ok(caller) = task.mm().read_value::<u64>(stack) else {
        return false;
    };
    let args = SyscallArgs {
        number: u64::from(number),
        raw: [registers.rdi, registers.rsi, registers.rdx, 0, 0, 0],
    };
    // A pointer that can't be written is SIGSEGV at the address, as for any fault: not answered here.
    let Ok(value) = table::dispatch(task, &args) else {
        return false;
    };
    registers.rax = value;
    registers.rip = caller;
    registers.rsp = registers.rsp.wrapping_add(8);
    *task.registers.lock() = registers;
    true
}
