//! Stack frames of handlers, as `arch/x86/kernel/signal_64.c` documents them by its structures: extended
//! state on top (64-byte aligned), below it the `rt_sigframe` so that the handler finds the stack as after
//! a call.

use abi::Errno;
use abi::signal::{
    FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC2, FPX_SW_BYTES_AT, FXSAVE_LEN, FpxSwBytes, RtSigFrame,
    SaFlags, SigContext, UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS, UContext,
};
use mm::AddressSpace;
use platform::{Context, ThreadState};
use zerocopy::{FromBytes, IntoBytes};

use crate::error::Result;
use crate::kernel::signal::alt_stack::AltStack;
use crate::kernel::signal::state::Trap;
use crate::kernel::signal::{Action, Signal, SignalInfo, SignalSet};
use crate::kernel::task::Task;

/// Below the stack pointer, leaf functions keep data (the x86-64 ABI's red zone).
const RED_ZONE_LEN: u64 = 128;
/// The selectors of 64-bit application code and data.
const USER_CS: u64 = 0x33;
const USER_SS: u64 = 0x2b;
/// The flags that a frame may set: AC, RF, OF, DF, TF, SF, ZF, AF, PF, CF.
const RESTORABLE_FLAGS: u64 = 0x5_0dd5;
/// The flags that a handler starts without: DF, RF, TF.
const CLEARED_FLAGS: u64 = 0x1_0500;
/// Always set, and interrupts on.
const FIXED_FLAGS: u64 = 0x202;
/// The smallest XSAVE image: FXSAVE's part and the header.
const XSAVE_MIN_LEN: usize = FXSAVE_LEN + 64;
/// Where an XSAVE image tells its components.
const XSTATE_BV_AT: usize = FXSAVE_LEN;

/// Extended registers that a frame held.
#[derive(Clone, Debug)]
pub enum SavedExtended {
    /// None: the initial state.
    Initial,
    /// FXSAVE's part.
    Legacy(Box<[u8; FXSAVE_LEN]>),
    /// An XSAVE image, perhaps shorter than the platform's.
    Full(Vec<u8>),
}

/// Builds the frame of a handler and points `registers` at it. `mask` is what the handler's return brings
/// back. EFAULT: the stack can't hold it; `registers` are untouched then.
pub fn build(
    task: &Task,
    context: &mut Context,
    registers: &mut ThreadState,
    action: &Action,
    info: &SignalInfo,
    mask: SignalSet,
) -> Result<()> {
    let crate::kernel::signal::Handler::At(handler) = action.handler else {
        return Err(Errno::EINVAL);
    };
    if !action.flags.contains(SaFlags::RESTORER) {
        // What Linux does to those who bypass their C library.
        return Err(Errno::EFAULT);
    }
    let (alt_stack, trap) = {
        let own = task.signals.lock();
        (own.alt_stack, own.trap)
    };
    let extended = extended_image(context)?;
    let place = Place::find(registers, action, &alt_stack, extended.len())?;
    let mm = task.mm();
    mm.write_bytes(place.extended, &extended)?;
    let frame = RtSigFrame {
        pretcode: action.restorer,
        uc: UContext {
            flags: UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
            link: 0,
            stack: alt_stack.to_frame(),
            mcontext: save(registers, &trap, mask, place.extended),
            sigmask: mask.0,
        },
        info: info.to_bytes(),
    };
    mm.write_bytes(place.frame, frame.as_bytes())?;
    if alt_stack.disarms() {
        task.signals.lock().alt_stack = AltStack::default();
    }
    enter(registers, handler, info.signal, place.frame);
    // The handler computes as a new program does; what was interrupted is in the frame.
    context.reset_extended();
    Ok(())
}

/// The XSAVE image with the marks that tell its size, and the second magic behind it.
fn extended_image(context: &mut Context) -> Result<Vec<u8>> {
    let state = context.extended()?;
    let features = state.layout().features;
    let mut image = state.as_bytes().to_vec();
    let len = u32::try_from(image.len()).map_err(|_| Errno::EFAULT)?;
    let marks = FpxSwBytes {
        magic1: FP_XSTATE_MAGIC1,
        extended_size: len + 4,
        xfeatures: features,
        xstate_size: len,
        padding: [0; 7],
    };
    let at = FPX_SW_BYTES_AT..FPX_SW_BYTES_AT + size_of::<FpxSwBytes>();
    let place = image.get_mut(at).ok_or(Errno::EFAULT)?;
    place.copy_from_slice(marks.as_bytes());
    image.extend_from_slice(&FP_XSTATE_MAGIC2.to_ne_bytes());
    Ok(image)
}

/// Where the parts of a frame go.
struct Place {
    extended: usize,
    frame: usize,
}

impl Place {
    fn find(
        registers: &ThreadState,
        action: &Action,
        alt_stack: &AltStack,
        extended_len: usize,
    ) -> Result<Place> {
        let mut sp = registers.rsp;
        let switches = action.flags.contains(SaFlags::ONSTACK) && alt_stack.is_usable_from(sp);
        let on_alt_stack = switches || alt_stack.is_in_use(sp);
        if switches {
            sp = alt_stack.top();
        } else {
            sp = sp.wrapping_sub(RED_ZONE_LEN);
        }
        let extended = sp.wrapping_sub(extended_len as u64) & !63;
        // As after a call: 8 below a multiple of 16.
        let frame = (extended.wrapping_sub(size_of::<RtSigFrame>() as u64) & !15).wrapping_sub(8);
        if on_alt_stack && !alt_stack.contains(frame) {
            return Err(Errno::EFAULT);
        }
        Ok(Place {
            extended: address(extended)?,
            frame: address(frame)?,
        })
    }
}

fn address(value: u64) -> Result<usize> {
    usize::try_from(value).map_err(|_| Errno::EFAULT)
}

/// The low half of a segment register, which is all of it.
fn selector(value: u64) -> u16 {
    u16::try_from(value & 0xffff).unwrap_or(0)
}

fn save(registers: &ThreadState, trap: &Trap, mask: SignalSet, extended: usize) -> SigContext {
    SigContext {
        r8: registers.r8,
        r9: registers.r9,
        r10: registers.r10,
        r11: registers.r11,
        r12: registers.r12,
        r13: registers.r13,
        r14: registers.r14,
        r15: registers.r15,
        rdi: registers.rdi,
        rsi: registers.rsi,
        rbp: registers.rbp,
        rbx: registers.rbx,
        rdx: registers.rdx,
        rax: registers.rax,
        rcx: registers.rcx,
        rsp: registers.rsp,
        rip: registers.rip,
        eflags: registers.eflags,
        cs: selector(registers.cs),
        gs: 0,
        fs: 0,
        ss: selector(registers.ss),
        err: trap.error_code,
        trapno: trap.vector,
        oldmask: mask.0,
        cr2: trap.address,
        fpstate: extended as u64,
        reserved: [0; 8],
    }
}

fn enter(registers: &mut ThreadState, handler: u64, signal: Signal, frame: usize) {
    let frame = frame as u64;
    registers.rip = handler;
    registers.rsp = frame;
    registers.rdi = u64::from(signal.number());
    registers.rsi = frame + std::mem::offset_of!(RtSigFrame, info) as u64;
    registers.rdx = frame + std::mem::offset_of!(RtSigFrame, uc) as u64;
    registers.rax = 0;
    registers.cs = USER_CS;
    registers.ss = USER_SS;
    registers.eflags &= !CLEARED_FLAGS;
    registers.orig_rax = u64::MAX;
}

impl Task {
    /// `rt_sigreturn(2)`: takes registers, mask and alternate stack from the frame that the stack pointer
    /// is behind. A frame that can't be read or makes no sense is SIGSEGV.
    pub fn return_from_handler(&self) {
        let mut registers = *self.registers.lock();
        let base = registers.rsp.wrapping_sub(8);
        let restored = self.read_frame(base);
        self.own.lock().restart_block = None;
        let Ok((frame, extended)) = restored else {
            self.bad_frame(Signal::SIGUSR1);
            return;
        };
        let context = &frame.uc.mcontext;
        if u64::from(context.cs) | 3 != USER_CS {
            // 32-bit code segments are not offered here.
            self.bad_frame(Signal::SIGUSR1);
            return;
        }
        restore(&mut registers, context);
        *self.registers.lock() = registers;
        self.signals.lock().extended = Some(extended);
        // Linux ignores a bad stack here too.
        let _ = self
            .signals
            .lock()
            .alt_stack
            .set(&frame.uc.stack, registers.rsp, 0);
        // Makes the run loop load the extended registers.
        self.set_signal_mask(SignalSet(frame.uc.sigmask));
    }

    fn read_frame(&self, base: u64) -> Result<(RtSigFrame, SavedExtended)> {
        let mm = self.mm();
        let mut bytes = [0; size_of::<RtSigFrame>()];
        mm.read_bytes(address(base)?, &mut bytes)?;
        let frame = RtSigFrame::read_from_bytes(&bytes).map_err(|_| Errno::EFAULT)?;
        let extended = read_extended(&mm, frame.uc.mcontext.fpstate)?;
        Ok((frame, extended))
    }
}

fn restore(registers: &mut ThreadState, context: &SigContext) {
    let old = *registers;
    *registers = ThreadState {
        r15: context.r15,
        r14: context.r14,
        r13: context.r13,
        r12: context.r12,
        rbp: context.rbp,
        rbx: context.rbx,
        r11: context.r11,
        r10: context.r10,
        r9: context.r9,
        r8: context.r8,
        rax: context.rax,
        rcx: context.rcx,
        rdx: context.rdx,
        rsi: context.rsi,
        rdi: context.rdi,
        orig_rax: u64::MAX,
        rip: context.rip,
        cs: USER_CS,
        eflags: old.eflags & !RESTORABLE_FLAGS | context.eflags & RESTORABLE_FLAGS | FIXED_FLAGS,
        rsp: context.rsp,
        ss: USER_SS,
        ..old
    };
}

fn read_extended(mm: &AddressSpace, at: u64) -> Result<SavedExtended> {
    if at == 0 {
        return Ok(SavedExtended::Initial);
    }
    let at = address(at)?;
    let mut legacy = Box::new([0; FXSAVE_LEN]);
    mm.read_bytes(at, legacy.as_mut_slice())?;
    let marks_at = FPX_SW_BYTES_AT..FPX_SW_BYTES_AT + size_of::<FpxSwBytes>();
    let marks = FpxSwBytes::read_from_bytes(&legacy[marks_at]).map_err(|_| Errno::EFAULT)?;
    let len = usize::try_from(marks.xstate_size).map_err(|_| Errno::EFAULT)?;
    if !has_xsave_image(mm, at, &marks, len)? {
        return Ok(SavedExtended::Legacy(legacy));
    }
    let mut image = vec![0; len];
    mm.read_bytes(at, &mut image)?;
    let present = u64_at(&image, XSTATE_BV_AT) & marks.xfeatures;
    image[XSTATE_BV_AT..XSTATE_BV_AT + 8].copy_from_slice(&present.to_ne_bytes());
    Ok(SavedExtended::Full(image))
}

/// Whether the marks say that an XSAVE image is there: both magics, and sizes that agree. Images larger
/// than any processor's are not believed.
fn has_xsave_image(mm: &AddressSpace, at: usize, marks: &FpxSwBytes, len: usize) -> Result<bool> {
    const LARGEST: usize = 64 << 10;
    if marks.magic1 != FP_XSTATE_MAGIC1
        || !(XSAVE_MIN_LEN..=LARGEST).contains(&len)
        || marks.xstate_size > marks.extended_size
    {
        return Ok(false);
    }
    let mut magic2 = [0; 4];
    let end = at.checked_add(len).ok_or(Errno::EFAULT)?;
    mm.read_bytes(end, &mut magic2)?;
    Ok(u32::from_ne_bytes(magic2) == FP_XSTATE_MAGIC2)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    u64::from_ne_bytes(word.copied().unwrap_or_default())
}

/// Loads what a frame held; an image that the processor would refuse is EINVAL.
pub(super) fn load(context: &mut Context, saved: &SavedExtended) -> Result<()> {
    match saved {
        SavedExtended::Initial => context.reset_extended(),
        SavedExtended::Legacy(image) => context.extended()?.set_legacy(image)?,
        SavedExtended::Full(image) => {
            let state = context.extended()?;
            let mut full = image.clone();
            if full.len() > state.layout().len_bytes {
                return Err(Errno::EINVAL);
            }
            full.resize(state.layout().len_bytes, 0);
            state.set(&full)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};

    use super::*;

    proptest! {
        #[test]
        fn a_frame_gives_no_privilege(bytes in vec(any::<u8>(), size_of::<SigContext>())) {
            let context = SigContext::read_from_bytes(&bytes).unwrap();
            let mut registers = ThreadState::default();
            restore(&mut registers, &context);
            assert_eq!((registers.cs, registers.ss), (USER_CS, USER_SS));
            assert_eq!(registers.eflags & !RESTORABLE_FLAGS, FIXED_FLAGS & !RESTORABLE_FLAGS);
            assert_eq!(registers.rip, context.rip);
        }
    }
}
