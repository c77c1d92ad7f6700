//! seccomp.

use abi::Errno;
use mm::user_ptr::UserPtr;

use crate::error::{Result, SyscallResult};
use crate::kernel::seccomp::filter::Action;
use crate::kernel::seccomp::install::{self, FilterFlags};
use crate::kernel::seccomp::program::{Instruction, MAX_LEN, Program};
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;

calls! {
    317 seccomp(operation: u32, flags: u32 as Hex, address: UserPtr<u8>)
        => partial("listeners (SECCOMP_FILTER_FLAG_NEW_LISTENER)") [
            "limits::seccomp_needs_no_new_privs",
            "seccomp::notification_sizes",
        ];
}

const SET_MODE_STRICT: u32 = 0;
const SET_MODE_FILTER: u32 = 1;
const GET_ACTION_AVAIL: u32 = 2;
const GET_NOTIF_SIZES: u32 = 3;

/// `struct seccomp_notif_sizes`: bytes of `seccomp_notif`, `seccomp_notif_resp` and `seccomp_data`.
const NOTIFICATION_SIZES: [u16; 3] = [80, 24, 64];
/// Where `struct sock_fprog` has its pointer.
const PROGRAM_POINTER_AT: usize = 8;

fn seccomp(task: &Task, operation: u32, flags: u32, address: UserPtr<u8>) -> SyscallResult {
    let (flags, address) = (u64::from(flags), address.address());
    match operation {
        SET_MODE_STRICT => {
            if flags != 0 || address != 0 {
                return Err(Errno::EINVAL.into());
            }
            install::set_strict(task)?;
            Ok(0)
        }
        SET_MODE_FILTER => set_filter(task, flags, address),
        GET_ACTION_AVAIL => {
            if flags != 0 {
                return Err(Errno::EINVAL.into());
            }
            let action: u32 = task.mm().read_value(address)?;
            match Action::exact(action) {
                None | Some(Action::UserNotify) => Err(Errno::EOPNOTSUPP.into()),
                Some(_) => Ok(0),
            }
        }
        GET_NOTIF_SIZES => {
            if flags != 0 {
                return Err(Errno::EINVAL.into());
            }
            task.mm().write_value(address, &NOTIFICATION_SIZES)?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}

/// `PR_SET_SECCOMP`, whose modes are numbered from 1 on.
pub(super) fn from_prctl(task: &Task, mode: u64, address: usize) -> SyscallResult {
    match mode {
        1 => {
            install::set_strict(task)?;
            Ok(0)
        }
        2 => set_filter(task, 0, address),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn set_filter(task: &Task, flags: u64, address: usize) -> SyscallResult {
    let flags = FilterFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    // As on a kernel before listeners (5.0).
    if flags.intersects(FilterFlags::NEW_LISTENER | FilterFlags::WAIT_KILLABLE_RECV) {
        return Err(Errno::EINVAL.into());
    }
    let program = read_program(task, address)?;
    Ok(install::install(task, program, flags)?.into())
}

/// Reads and checks `struct sock_fprog` and what it points to.
fn read_program(task: &Task, address: usize) -> Result<Program> {
    let mm = task.mm();
    let len: u16 = mm.read_value(address)?;
    let pointer: u64 = mm.read_value(address.wrapping_add(PROGRAM_POINTER_AT))?;
    let len = usize::from(len);
    if len == 0 || len > MAX_LEN {
        return Err(Errno::EINVAL);
    }
    install::check_permission(task)?;
    let mut bytes = vec![0; len * 8];
    let pointer = usize::try_from(pointer).map_err(|_| Errno::EFAULT)?;
    mm.read_bytes(pointer, &mut bytes)?;
    let (instructions, _) = bytes.as_chunks::<8>();
    Program::new(
        instructions
            .iter()
            .map(|bytes| Instruction::from_bytes(*bytes))
            .collect(),
    )
}
