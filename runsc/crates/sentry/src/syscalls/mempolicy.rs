//! `man 2 set_mempolicy`: memory policies of a machine with one node.

use abi::Errno;
use mm::user_ptr::UserPtr;

use crate::error::SyscallResult;
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;

calls! {
    237 mbind(
        address: UserPtr<u8>,
        len: usize,
        policy: u32 as OneOf(memory::POLICY),
        nodes: UserPtr<u8>,
        max_node: usize,
        flags: u32 as Flags(memory::POLICY_MOVE),
    )
        => hint;
    238 set_mempolicy(policy: u32 as OneOf(memory::POLICY), nodes: UserPtr<u8>, max_node: usize)
        => hint;
    239 get_mempolicy(
        mode: UserPtr<i32> as Out(id::int),
        mask: UserPtr<u64>,
        bits: usize,
        address: UserPtr<u8>,
        flags: u32 as Flags(memory::POLICY_GET),
    )
        => partial("always the default policy, on node 0");
}

/// With one node every policy has the same effect.
fn mbind(
    _task: &Task,
    _address: UserPtr<u8>,
    _len: usize,
    _policy: u32,
    _nodes: UserPtr<u8>,
    _max_node: usize,
    _flags: u32,
) -> SyscallResult {
    Ok(0)
}

/// As [`mbind`].
fn set_mempolicy(
    _task: &Task,
    _policy: u32,
    _nodes: UserPtr<u8>,
    _max_node: usize,
) -> SyscallResult {
    Ok(0)
}

fn get_mempolicy(
    task: &Task,
    mode: UserPtr<i32>,
    mask: UserPtr<u64>,
    bits: usize,
    _address: UserPtr<u8>,
    flags: u32,
) -> SyscallResult {
    if flags > 7 || !mask.is_null() && bits == 0 {
        return Err(Errno::EINVAL.into());
    }
    if !mode.is_null() {
        mode.write(&task.mm(), &0)?;
    }
    if !mask.is_null() {
        // The allowed nodes, if asked for; the default policy has no nodes of its own.
        let nodes = u64::from(flags & 4 != 0);
        mask.write(&task.mm(), &nodes)?;
    }
    Ok(0)
}
