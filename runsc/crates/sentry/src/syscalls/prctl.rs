//! prctl and `arch_prctl`.

use std::sync::atomic::Ordering;

use abi::Errno;
use abi::raw::prctl as pr;

use crate::error::{Result, SyscallResult};
use crate::kernel::credentials::{CAP_LAST, Capability, CapabilitySet, SecureBits};
use crate::kernel::signal::Signal;
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;
use crate::vfs::command::CommandArg;

calls! {
    157 prctl(
        option: u32 as OneOf(process::PRCTL),
        first: CommandArg as After(process::prctl_argument),
        second: CommandArg as After(process::prctl_argument),
        third: CommandArg as After(process::prctl_argument),
        fourth: CommandArg as After(process::prctl_argument),
    )
        => partial("PR_SET_MM, speculation and core scheduling") ["limits::prctl_errors"];
    158 arch_prctl(code: u32 as OneOf(process::ARCH), base: CommandArg as After(process::arch_argument))
        => partial("CPUID faulting, XSTATE permissions, shadow stacks") [
            "clone::thread_local_base_is_set",
            "exception::bases_of_fs_and_gs_survive",
        ];
}

/// The default of `PR_SET_TIMERSLACK`, in nanoseconds.
const DEFAULT_SLACK_NS: u64 = 50_000;
/// `comm` with its NUL (`TASK_COMM_LEN`).
const NAME_LEN: usize = 16;

fn prctl(
    task: &Task,
    option: u32,
    first: CommandArg,
    second: CommandArg,
    third: CommandArg,
    fourth: CommandArg,
) -> SyscallResult {
    let rest = [first, second, third, fourth];
    match option {
        pr::PR_SET_PDEATHSIG => set_parent_death_signal(task, first.0),
        pr::PR_GET_PDEATHSIG => {
            let signal = u32::from(task.own.lock().parent_death_signal);
            write(task, first.address(), signal)
        }
        pr::PR_GET_DUMPABLE => Ok(u64::from(task.mm().dumpable())),
        pr::PR_SET_DUMPABLE => set_dumpable(task, first.0),
        pr::PR_GET_KEEPCAPS => Ok(u64::from(
            task.credentials()
                .secure_bits
                .contains(SecureBits::KEEP_CAPS),
        )),
        pr::PR_SET_KEEPCAPS => set_keep_caps(task, first.0),
        pr::PR_SET_NAME => set_name(task, first.address()),
        pr::PR_GET_NAME => get_name(task, first.address()),
        pr::PR_GET_TIMING => Ok(0),
        // A task in strict mode does not get here.
        pr::PR_GET_SECCOMP => Ok(task.seccomp().mode().into()),
        pr::PR_SET_SECCOMP => super::seccomp::from_prctl(task, first.0, second.address()),
        pr::PR_GET_TSC => write(task, first.address(), pr::PR_TSC_ENABLE),
        pr::PR_CAPBSET_READ => Ok(u64::from(
            task.credentials().bounding.has_number(capability(first.0)?),
        )),
        pr::PR_CAPBSET_DROP => drop_bounding(task, first.0),
        pr::PR_GET_SECUREBITS => Ok(task.credentials().secure_bits.bits().into()),
        pr::PR_SET_SECUREBITS => set_secure_bits(task, first.0),
        pr::PR_SET_TIMERSLACK => {
            let slack = if first.0.cast_signed() <= 0 {
                DEFAULT_SLACK_NS
            } else {
                first.0
            };
            task.own.lock().timer_slack_ns = slack;
            Ok(0)
        }
        pr::PR_GET_TIMERSLACK => Ok(task.own.lock().timer_slack_ns),
        pr::PR_SET_CHILD_SUBREAPER => {
            task.group()
                .subreaper
                .store(first.0 != 0, Ordering::Relaxed);
            Ok(0)
        }
        pr::PR_GET_CHILD_SUBREAPER => write(
            task,
            first.address(),
            u32::from(task.group().subreaper.load(Ordering::Relaxed)),
        ),
        pr::PR_SET_NO_NEW_PRIVS => set_no_new_privs(task, rest),
        pr::PR_GET_NO_NEW_PRIVS => {
            check_unused(&rest)?;
            Ok(u64::from(task.credentials().no_new_privs))
        }
        pr::PR_GET_TID_ADDRESS => {
            let address = task.own.lock().clear_child_tid as u64;
            write(task, first.address(), address)
        }
        pr::PR_CAP_AMBIENT => ambient(task, rest),
        pr::PR_SET_THP_DISABLE => set_thp(task, rest),
        pr::PR_GET_THP_DISABLE => {
            check_unused(&rest)?;
            Ok(u64::from(task.mm().huge_pages_disabled()))
        }
        _ => Err(Errno::EINVAL.into()),
    }
}

fn write<T: zerocopy::IntoBytes + zerocopy::Immutable>(
    task: &Task,
    address: usize,
    value: T,
) -> SyscallResult {
    task.mm().write_value(address, &value)?;
    Ok(0)
}

/// Unused arguments must be zero (`man 2 prctl`, EINVAL).
fn check_unused(unused: &[CommandArg]) -> Result<()> {
    if unused.iter().any(|argument| argument.0 != 0) {
        Err(Errno::EINVAL)
    } else {
        Ok(())
    }
}

fn set_parent_death_signal(task: &Task, signal: u64) -> SyscallResult {
    let number = match signal {
        0 => 0,
        other => Signal::new(other).ok_or(Errno::EINVAL)?.number(),
    };
    task.own.lock().parent_death_signal = number;
    Ok(0)
}

fn set_dumpable(task: &Task, value: u64) -> SyscallResult {
    match value {
        0 => task.mm().set_dumpable(false),
        1 => task.mm().set_dumpable(true),
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}

fn set_keep_caps(task: &Task, value: u64) -> SyscallResult {
    let old = task.credentials();
    if value > 1 {
        return Err(Errno::EINVAL.into());
    }
    if old.secure_bits.contains(SecureBits::KEEP_CAPS_LOCKED) {
        return Err(Errno::EPERM.into());
    }
    let mut new = (*old).clone();
    new.secure_bits.set(SecureBits::KEEP_CAPS, value == 1);
    task.set_credentials(new);
    Ok(0)
}

fn set_name(task: &Task, address: usize) -> SyscallResult {
    let mut name = Vec::with_capacity(NAME_LEN);
    let mm = task.mm();
    for n in 0..NAME_LEN - 1 {
        let byte: u8 = mm.read_value(address.wrapping_add(n))?;
        if byte == 0 {
            break;
        }
        name.push(byte);
    }
    task.own.lock().name = name;
    Ok(0)
}

fn get_name(task: &Task, address: usize) -> SyscallResult {
    let mut bytes = [0; NAME_LEN];
    let name = task.own.lock().name.clone();
    bytes[..name.len()].copy_from_slice(&name);
    task.mm().write_bytes(address, &bytes)?;
    Ok(0)
}

fn capability(number: u64) -> Result<u8> {
    u8::try_from(number)
        .ok()
        .filter(|number| *number <= CAP_LAST)
        .ok_or(Errno::EINVAL)
}

fn drop_bounding(task: &Task, number: u64) -> SyscallResult {
    let number = capability(number)?;
    let old = task.credentials();
    if !old.has_own(Capability::Setpcap) {
        return Err(Errno::EPERM.into());
    }
    let mut new = (*old).clone();
    new.bounding.0 &= !(1 << number);
    task.set_credentials(new);
    Ok(0)
}

/// Locked bits stay as they are, locks stay locked, `CAP_SETPCAP` is needed (`man 7 capabilities`).
fn set_secure_bits(task: &Task, value: u64) -> SyscallResult {
    let new_bits = u32::try_from(value)
        .ok()
        .and_then(SecureBits::from_bits)
        .ok_or(Errno::EPERM)?;
    let old = task.credentials();
    let locks = SecureBits::NOROOT_LOCKED
        | SecureBits::NO_SETUID_FIXUP_LOCKED
        | SecureBits::KEEP_CAPS_LOCKED
        | SecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    let locked = (old.secure_bits & locks).bits() >> 1;
    let changes_locked = (old.secure_bits.bits() ^ new_bits.bits()) & locked != 0;
    let unlocks = !new_bits.contains(old.secure_bits & locks);
    if changes_locked || unlocks || !old.has_own(Capability::Setpcap) {
        return Err(Errno::EPERM.into());
    }
    let mut new = (*old).clone();
    new.secure_bits = new_bits;
    task.set_credentials(new);
    Ok(0)
}

fn set_no_new_privs(task: &Task, rest: [CommandArg; 4]) -> SyscallResult {
    if rest[0].0 != 1 {
        return Err(Errno::EINVAL.into());
    }
    check_unused(&rest[1..])?;
    let mut new = (*task.credentials()).clone();
    new.no_new_privs = true;
    task.set_credentials(new);
    Ok(0)
}

fn ambient(task: &Task, rest: [CommandArg; 4]) -> SyscallResult {
    let old = task.credentials();
    check_unused(&rest[2..])?;
    let operation = rest[0].unsigned();
    if operation == pr::PR_CAP_AMBIENT_CLEAR_ALL {
        check_unused(&rest[1..])?;
        let mut new = (*old).clone();
        new.ambient = CapabilitySet::EMPTY;
        task.set_credentials(new);
        return Ok(0);
    }
    let number = capability(rest[1].0)?;
    let mut new = (*old).clone();
    match operation {
        pr::PR_CAP_AMBIENT_IS_SET => return Ok(u64::from(old.ambient.has_number(number))),
        pr::PR_CAP_AMBIENT_LOWER => new.ambient.0 &= !(1 << number),
        pr::PR_CAP_AMBIENT_RAISE => {
            let held = old.permitted.has_number(number) && old.inheritable.has_number(number);
            if !held || old.secure_bits.contains(SecureBits::NO_CAP_AMBIENT_RAISE) {
                return Err(Errno::EPERM.into());
            }
            new.ambient.0 |= 1 << number;
        }
        _ => return Err(Errno::EINVAL.into()),
    }
    task.set_credentials(new);
    Ok(0)
}

fn set_thp(task: &Task, rest: [CommandArg; 4]) -> SyscallResult {
    check_unused(&rest[1..])?;
    task.mm().disable_huge_pages(rest[0].0 != 0);
    Ok(0)
}

const ARCH_SET_GS: u32 = 0x1001;
const ARCH_SET_FS: u32 = 0x1002;
const ARCH_GET_FS: u32 = 0x1003;
const ARCH_GET_GS: u32 = 0x1004;
const ARCH_GET_CPUID: u32 = 0x1011;

fn arch_prctl(task: &Task, code: u32, base: CommandArg) -> SyscallResult {
    match code {
        ARCH_SET_FS | ARCH_SET_GS
            if base.0 >= task.kernel().platform().limits().user_range.end as u64 =>
        {
            return Err(Errno::EPERM.into());
        }
        ARCH_SET_FS => task.registers.lock().fs_base = base.0,
        ARCH_SET_GS => task.registers.lock().gs_base = base.0,
        ARCH_GET_FS => {
            let present = task.registers.lock().fs_base;
            return write(task, base.address(), present);
        }
        ARCH_GET_GS => {
            let present = task.registers.lock().gs_base;
            return write(task, base.address(), present);
        }
        // CPUID does not fault.
        ARCH_GET_CPUID => return Ok(1),
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}
