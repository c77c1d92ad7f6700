//! `man 2 set_mempolicy`: memory policies of a machine with one node.

use abi::Errno;
use abi::raw::general as nr;

use crate::error::SyscallResult;
use crate::kernel::task::Task;
use crate::syscalls::{Call, SyscallArgs};

pub(super) const CALLS: &[Call] = &[
    Call::hint(nr::__NR_mbind, "mbind", accept),
    Call::hint(nr::__NR_set_mempolicy, "set_mempolicy", accept),
    Call::partial(
        nr::__NR_get_mempolicy,
        "get_mempolicy",
        get_mempolicy,
        "always the default policy, on node 0",
    ),
];

/// With one node every policy has the same effect.
fn accept(_task: &Task, _args: &SyscallArgs) -> SyscallResult {
    Ok(0)
}

fn get_mempolicy(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let (mode, mask, bits, flags) = (args.usize(0), args.usize(1), args.usize(2), args.u32(4));
    if flags > 7 || mask != 0 && bits == 0 {
        return Err(Errno::EINVAL.into());
    }
    if mode != 0 {
        task.mm().write_value(mode, &0_i32)?;
    }
    if mask != 0 {
        // The allowed nodes, if asked for; the default policy has no nodes of its own.
        let nodes = u64::from(flags & 4 != 0);
        task.mm().write_value(mask, &nodes)?;
    }
    Ok(0)
}
