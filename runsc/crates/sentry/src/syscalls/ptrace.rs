//! ptrace.

use std::sync::Arc;

use abi::Errno;
use abi::signal::SIGINFO_LEN;
use platform::ThreadState;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::error::{Result, SyscallResult};
use crate::kernel::ptrace::control::{self, Stopped};
use crate::kernel::ptrace::{Event, Mode, Options, StopKind, attach};
use crate::kernel::seccomp::AUDIT_ARCH_X86_64;
use crate::kernel::signal::{Signal, SignalInfo, SignalSet};
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;

calls! {
    101 ptrace(request: u64 as Long, pid: i32, address: u64 as Pointer, data: u64 as Pointer)
        => partial("PTRACE_SYSEMU, PTRACE_PEEKSIGINFO, debug registers (hardware breakpoints)") [
            "ptrace::strangers_are_eperm",
            "security::other_user_namespace_is_not_looked_into",
        ];
}

/// Requests (`linux/ptrace.h`, `asm/ptrace-abi.h`).
mod request {
    pub(super) const TRACEME: u64 = 0;
    pub(super) const PEEKTEXT: u64 = 1;
    pub(super) const PEEKDATA: u64 = 2;
    pub(super) const PEEKUSER: u64 = 3;
    pub(super) const POKETEXT: u64 = 4;
    pub(super) const POKEDATA: u64 = 5;
    pub(super) const POKEUSER: u64 = 6;
    pub(super) const CONT: u64 = 7;
    pub(super) const KILL: u64 = 8;
    pub(super) const SINGLESTEP: u64 = 9;
    pub(super) const GETREGS: u64 = 12;
    pub(super) const SETREGS: u64 = 13;
    pub(super) const GETFPREGS: u64 = 14;
    pub(super) const SETFPREGS: u64 = 15;
    pub(super) const ATTACH: u64 = 16;
    pub(super) const DETACH: u64 = 17;
    pub(super) const SYSCALL: u64 = 24;
    pub(super) const SETOPTIONS: u64 = 0x4200;
    pub(super) const GETEVENTMSG: u64 = 0x4201;
    pub(super) const GETSIGINFO: u64 = 0x4202;
    pub(super) const SETSIGINFO: u64 = 0x4203;
    pub(super) const GETREGSET: u64 = 0x4204;
    pub(super) const SETREGSET: u64 = 0x4205;
    pub(super) const SEIZE: u64 = 0x4206;
    pub(super) const INTERRUPT: u64 = 0x4207;
    pub(super) const LISTEN: u64 = 0x4208;
    pub(super) const GETSIGMASK: u64 = 0x420a;
    pub(super) const SETSIGMASK: u64 = 0x420b;
    pub(super) const GET_SYSCALL_INFO: u64 = 0x420e;
}

/// Register sets (`linux/elf.h`).
const NT_PRSTATUS: u64 = 1;
const NT_PRFPREG: u64 = 2;
const NT_X86_XSTATE: u64 = 0x202;

/// Bytes of `struct user`, and where its debug registers are.
const USER_LEN: usize = 912;
const USER_DEBUG_AT: usize = 848;
/// Bytes of an FXSAVE image, and where XSAVE images leave room for the mask of features.
const FXSAVE_LEN: usize = 512;
const FEATURES_AT: usize = 464;

fn ptrace(task: &Task, request: u64, pid: i32, address: u64, data: u64) -> SyscallResult {
    if request == request::TRACEME {
        attach::trace_me(task)?;
        return Ok(0);
    }
    let pid = u32::try_from(pid).map_err(|_| Errno::ESRCH)?;
    let target = task.pid_namespace().task(pid).ok_or(Errno::ESRCH)?;
    match request {
        request::ATTACH => attach::attach(task, &target, None)?,
        request::SEIZE => {
            if address != 0 {
                return Err(Errno::EIO.into());
            }
            let options = options(data).map_err(|_| Errno::EIO)?;
            attach::attach(task, &target, Some(options))?;
        }
        request::KILL => {
            control::tracee(task, &target)?;
            let stopped = control::stopped(task, target);
            if let Ok(stopped) = stopped {
                stopped.resume(Mode::Run, Signal::SIGKILL.number())?;
            }
        }
        request::INTERRUPT => {
            control::tracee(task, &target)?;
            control::interrupt(&target)?;
        }
        _ => {
            let stopped = control::stopped(task, target)?;
            return on_stopped(task, &stopped, request, address, data);
        }
    }
    Ok(0)
}

fn options(data: u64) -> Result<Options> {
    let bits = u32::try_from(data).map_err(|_| Errno::EINVAL)?;
    Options::from_bits(bits).ok_or(Errno::EINVAL)
}

fn address_of(value: u64) -> Result<usize> {
    usize::try_from(value).map_err(|_| Errno::EIO)
}

fn on_stopped(
    task: &Task,
    stopped: &Stopped,
    request: u64,
    address: u64,
    data: u64,
) -> SyscallResult {
    let pointer = address_of(data)?;
    match request {
        request::CONT => resume(stopped, Mode::Run, data)?,
        request::SYSCALL => resume(stopped, Mode::Syscall, data)?,
        request::SINGLESTEP => resume(stopped, Mode::Step, data)?,
        request::DETACH => stopped.detach(task, signal(data)?)?,
        request::LISTEN => stopped.listen()?,
        request::SETOPTIONS => stopped.set_options(options(data)?)?,
        request::GETEVENTMSG => task.mm().write_value(pointer, &stopped.message()?)?,
        request::GETSIGINFO => {
            let info = stopped.info()?;
            task.mm().write_bytes(pointer, &info.to_bytes())?;
        }
        request::SETSIGINFO => set_info(task, stopped, pointer)?,
        request::GETSIGMASK => {
            check_mask_size(address)?;
            let mask = stopped.task().signal_mask();
            task.mm().write_value(pointer, &mask.0)?;
        }
        request::SETSIGMASK => {
            check_mask_size(address)?;
            let mask: u64 = task.mm().read_value(pointer)?;
            let mask = SignalSet(mask).minus(SignalSet::UNBLOCKABLE);
            stopped.task().set_mask_from_tracer(mask);
        }
        request::GET_SYSCALL_INFO => return syscall_info(task, stopped, address, pointer),
        _ => return on_state(task, stopped, request, address, data),
    }
    Ok(0)
}

/// Requests for memory and registers.
fn on_state(
    task: &Task,
    stopped: &Stopped,
    request: u64,
    address: u64,
    data: u64,
) -> SyscallResult {
    let pointer = address_of(data)?;
    let at = address_of(address)?;
    match request {
        request::PEEKTEXT | request::PEEKDATA => peek(task, stopped, at, pointer)?,
        request::POKETEXT | request::POKEDATA => poke(stopped, at, data)?,
        request::PEEKUSER => {
            let word = peek_user(stopped, at)?;
            task.mm().write_value(pointer, &word)?;
        }
        request::POKEUSER => poke_user(stopped, at, data)?,
        request::GETREGS => task
            .mm()
            .write_bytes(pointer, stopped.registers().as_bytes())?,
        request::SETREGS => {
            let mut registers = stopped.registers();
            task.mm().read_bytes(pointer, registers.as_mut_bytes())?;
            stopped.set_registers(registers)?;
        }
        request::GETFPREGS => {
            let extended = stopped.extended()?;
            let image = extended.as_bytes().get(..FXSAVE_LEN).ok_or(Errno::EIO)?;
            task.mm().write_bytes(pointer, image)?;
        }
        request::SETFPREGS => {
            let mut image = [0; FXSAVE_LEN];
            task.mm().read_bytes(pointer, &mut image)?;
            set_legacy(stopped, &image)?;
        }
        request::GETREGSET => get_set(task, stopped, address, pointer)?,
        request::SETREGSET => set_set(task, stopped, address, pointer)?,
        _ => return Err(Errno::EIO.into()),
    }
    Ok(0)
}

fn signal(data: u64) -> Result<u8> {
    match data {
        0 => Ok(0),
        number => Ok(Signal::new(number).ok_or(Errno::EIO)?.number()),
    }
}

fn resume(stopped: &Stopped, mode: Mode, data: u64) -> Result<()> {
    stopped.resume(mode, signal(data)?)
}

fn check_mask_size(size: u64) -> Result<()> {
    if size == 8 {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

fn set_info(task: &Task, stopped: &Stopped, pointer: usize) -> Result<()> {
    let mut bytes = [0; SIGINFO_LEN];
    task.mm().read_bytes(pointer, &mut bytes)?;
    let number = i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let signal = u64::try_from(number)
        .ok()
        .and_then(Signal::new)
        .ok_or(Errno::EINVAL)?;
    stopped.set_info(SignalInfo::from_bytes(signal, &bytes))
}

fn memory(stopped: &Stopped) -> Result<Arc<mm::AddressSpace>> {
    stopped.task().mm_if_alive().ok_or(Errno::ESRCH)
}

fn peek(task: &Task, stopped: &Stopped, at: usize, pointer: usize) -> Result<()> {
    let mut word = [0; 8];
    match memory(stopped)?.read_forced(at, &mut word) {
        Ok(8) => task.mm().write_bytes(pointer, &word),
        _ => Err(Errno::EIO),
    }
}

fn poke(stopped: &Stopped, at: usize, word: u64) -> Result<()> {
    match memory(stopped)?.write_forced(at, &word.to_ne_bytes()) {
        Ok(8) => Ok(()),
        _ => Err(Errno::EIO),
    }
}

/// A word of `struct user`: the registers; all else reads as zero.
fn peek_user(stopped: &Stopped, at: usize) -> Result<u64> {
    if !at.is_multiple_of(8) || at >= USER_LEN {
        return Err(Errno::EIO);
    }
    let registers = stopped.registers();
    let word = registers
        .as_bytes()
        .get(at..at + 8)
        .and_then(|bytes| bytes.try_into().ok());
    Ok(word.map_or(0, u64::from_ne_bytes))
}

fn poke_user(stopped: &Stopped, at: usize, value: u64) -> Result<()> {
    if !at.is_multiple_of(8) || at >= USER_LEN {
        return Err(Errno::EIO);
    }
    let mut registers = stopped.registers();
    if let Some(word) = registers.as_mut_bytes().get_mut(at..at + 8) {
        word.copy_from_slice(&value.to_ne_bytes());
        return stopped.set_registers(registers);
    }
    // Debug registers can be cleared; a hardware breakpoint can't be had.
    if at >= USER_DEBUG_AT && value == 0 {
        Ok(())
    } else {
        Err(Errno::EIO)
    }
}

fn set_legacy(stopped: &Stopped, image: &[u8; FXSAVE_LEN]) -> Result<()> {
    let mut extended = stopped.extended()?;
    // What is beyond x87 and SSE stays.
    let mut whole = extended.as_bytes().to_vec();
    whole[..FEATURES_AT].copy_from_slice(&image[..FEATURES_AT]);
    if let Some(present) = whole.get_mut(FXSAVE_LEN) {
        *present |= 3;
    }
    extended.set(&whole)?;
    stopped.set_extended(extended)
}

/// The bytes of a register set.
fn register_set(stopped: &Stopped, kind: u64) -> Result<Vec<u8>> {
    match kind {
        NT_PRSTATUS => Ok(stopped.registers().as_bytes().to_vec()),
        NT_PRFPREG => {
            let extended = stopped.extended()?;
            let image = extended.as_bytes().get(..FXSAVE_LEN).ok_or(Errno::EIO)?;
            Ok(image.to_vec())
        }
        NT_X86_XSTATE => {
            let extended = stopped.extended()?;
            let mut image = extended.as_bytes().to_vec();
            // Debuggers learn here which components there are.
            if let Some(features) = image.get_mut(FEATURES_AT..FEATURES_AT + 8) {
                features.copy_from_slice(&extended.layout().features.to_ne_bytes());
            }
            Ok(image)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// `struct iovec` of the tracer.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Buffer {
    base: u64,
    len: u64,
}

fn get_set(task: &Task, stopped: &Stopped, kind: u64, pointer: usize) -> Result<()> {
    let mut buffer: Buffer = task.mm().read_value(pointer)?;
    let bytes = register_set(stopped, kind)?;
    let len = bytes.len().min(usize::try_from(buffer.len).unwrap_or(0));
    let base = usize::try_from(buffer.base).map_err(|_| Errno::EFAULT)?;
    task.mm().write_bytes(base, &bytes[..len])?;
    buffer.len = len as u64;
    task.mm().write_value(pointer, &buffer)
}

fn set_set(task: &Task, stopped: &Stopped, kind: u64, pointer: usize) -> Result<()> {
    let buffer: Buffer = task.mm().read_value(pointer)?;
    let mut bytes = register_set(stopped, kind)?;
    let len = bytes.len().min(usize::try_from(buffer.len).unwrap_or(0));
    let base = usize::try_from(buffer.base).map_err(|_| Errno::EFAULT)?;
    task.mm().read_bytes(base, &mut bytes[..len])?;
    match kind {
        NT_PRSTATUS => {
            let registers = ThreadState::read_from_bytes(&bytes).map_err(|_| Errno::EINVAL)?;
            stopped.set_registers(registers)?;
        }
        NT_PRFPREG => {
            let image = bytes.first_chunk().ok_or(Errno::EINVAL)?;
            set_legacy(stopped, image)?;
        }
        _ => {
            if len < bytes.len() {
                return Err(Errno::EFAULT);
            }
            let mut extended = stopped.extended()?;
            // The bytes for software are not the processor's.
            bytes[FEATURES_AT..FXSAVE_LEN].fill(0);
            extended.set(&bytes)?;
            stopped.set_extended(extended)?;
        }
    }
    Ok(())
}

/// `struct ptrace_syscall_info`, in the longest of its forms.
#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C)]
struct SyscallInfo {
    op: u8,
    pad: [u8; 3],
    arch: u32,
    instruction_pointer: u64,
    stack_pointer: u64,
    detail: [u64; 8],
}

const INFO_HEAD_LEN: usize = 24;
const INFO_ENTRY_LEN: usize = INFO_HEAD_LEN + 7 * 8;
const INFO_EXIT_LEN: usize = INFO_HEAD_LEN + 8 + 1;
const INFO_SECCOMP_LEN: usize = INFO_ENTRY_LEN + 4;

fn syscall_info(task: &Task, stopped: &Stopped, size: u64, pointer: usize) -> SyscallResult {
    let registers = stopped.registers();
    let call = crate::syscalls::SyscallArgs::of(&registers);
    let [a, b, c, d, e, f] = call.raw;
    let mut detail = [call.number, a, b, c, d, e, f, 0];
    let (op, len) = match stopped.stop()?.kind {
        StopKind::SyscallEntry => (1, INFO_ENTRY_LEN),
        StopKind::SyscallExit => {
            let is_error = (-4095..0).contains(&registers.rax.cast_signed());
            detail[0] = registers.rax;
            detail[1] = u64::from(is_error);
            (2, INFO_EXIT_LEN)
        }
        StopKind::Event(Event::Seccomp) => {
            detail[7] = stopped.message()?;
            (3, INFO_SECCOMP_LEN)
        }
        StopKind::Event(_) | StopKind::Signal | StopKind::Group => (0, INFO_HEAD_LEN),
    };
    let info = SyscallInfo {
        op,
        pad: [0; 3],
        arch: AUDIT_ARCH_X86_64,
        instruction_pointer: registers.rip,
        stack_pointer: registers.rsp,
        detail,
    };
    let given = len.min(usize::try_from(size).unwrap_or(usize::MAX));
    task.mm().write_bytes(pointer, &info.as_bytes()[..given])?;
    Ok(len as u64)
}
