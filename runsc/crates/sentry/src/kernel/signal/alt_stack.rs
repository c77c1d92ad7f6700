//! Alternate signal stacks (`man 2 sigaltstack`).

use abi::Errno;
use abi::signal::{MIN_STACK_LEN, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK, StackT};

use crate::error::Result;
use crate::kernel::task::Task;

/// An alternate stack; none if its size is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AltStack {
    sp: u64,
    size: u64,
    auto_disarm: bool,
}

impl AltStack {
    /// The highest address.
    #[must_use]
    pub fn top(&self) -> u64 {
        self.sp.wrapping_add(self.size)
    }

    /// Whether there is one that a handler may be put on: not one in use.
    #[must_use]
    pub fn is_usable_from(&self, sp: u64) -> bool {
        self.size != 0 && !self.is_in_use(sp)
    }

    /// Whether `sp` lies on it.
    #[must_use]
    pub fn contains(&self, sp: u64) -> bool {
        sp > self.sp && sp - self.sp <= self.size
    }

    /// Whether the task runs on it. One that disarms itself never counts as in use.
    #[must_use]
    pub fn is_in_use(&self, sp: u64) -> bool {
        !self.auto_disarm && self.contains(sp)
    }

    /// Whether it goes once a handler runs on it.
    #[must_use]
    pub fn disarms(&self) -> bool {
        self.auto_disarm
    }

    /// As the application reads it while its stack pointer is `sp`.
    #[must_use]
    pub fn to_user(self, sp: u64) -> StackT {
        let mode = if self.size == 0 {
            SS_DISABLE
        } else if self.is_in_use(sp) {
            SS_ONSTACK
        } else {
            0
        };
        StackT {
            sp: self.sp,
            flags: mode | if self.auto_disarm { SS_AUTODISARM } else { 0 },
            pad: 0,
            size: self.size,
        }
    }

    /// What a frame saves, to be set again by `rt_sigreturn`.
    #[must_use]
    pub fn to_frame(self) -> StackT {
        let disabled = if self.size == 0 { SS_DISABLE } else { 0 };
        StackT {
            flags: disabled | if self.auto_disarm { SS_AUTODISARM } else { 0 },
            ..self.to_user(0)
        }
    }

    /// Sets it as the application asks, from a stack pointer of `sp`. EPERM while it is in use, EINVAL for
    /// other modes, ENOMEM below `min_len` bytes.
    pub fn set(&mut self, new: &StackT, sp: u64, min_len: u64) -> Result<()> {
        if self.size != 0 && self.is_in_use(sp) {
            return Err(Errno::EPERM);
        }
        let auto_disarm = new.flags & SS_AUTODISARM != 0;
        *self = match new.flags & !SS_AUTODISARM {
            SS_DISABLE => AltStack {
                auto_disarm,
                ..AltStack::default()
            },
            0 | SS_ONSTACK if new.size < min_len => return Err(Errno::ENOMEM),
            0 | SS_ONSTACK => AltStack {
                sp: new.sp,
                size: new.size,
                auto_disarm,
            },
            _ => return Err(Errno::EINVAL),
        };
        Ok(())
    }
}

impl Task {
    /// The alternate stack as `sigaltstack(2)` shows it.
    #[must_use]
    pub fn alt_stack(&self) -> StackT {
        let sp = self.registers.lock().rsp;
        self.signals.lock().alt_stack.to_user(sp)
    }

    /// Changes the alternate stack: EPERM, EINVAL, ENOMEM.
    pub fn set_alt_stack(&self, new: &StackT) -> Result<()> {
        let sp = self.registers.lock().rsp;
        self.signals.lock().alt_stack.set(new, sp, MIN_STACK_LEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STACK: StackT = StackT {
        sp: 0x1000,
        flags: 0,
        pad: 0,
        size: 0x4000,
    };

    #[test]
    fn in_use_is_eperm_unless_it_disarms_itself() {
        let mut stack = AltStack::default();
        assert_eq!(stack.set(&STACK, 0x9000, MIN_STACK_LEN), Ok(()));
        assert_eq!(stack.set(&STACK, 0x2000, MIN_STACK_LEN), Err(Errno::EPERM));
        assert_eq!(stack.to_user(0x2000).flags, SS_ONSTACK);
        let disarming = StackT {
            flags: SS_AUTODISARM,
            ..STACK
        };
        assert_eq!(stack.set(&disarming, 0x9000, MIN_STACK_LEN), Ok(()));
        assert!(stack.is_usable_from(0x2000));
        assert_eq!(stack.set(&STACK, 0x2000, MIN_STACK_LEN), Ok(()));
    }

    #[test]
    fn bad_modes_and_sizes() {
        let mut stack = AltStack::default();
        let small = StackT { size: 100, ..STACK };
        assert_eq!(stack.set(&small, 0, MIN_STACK_LEN), Err(Errno::ENOMEM));
        let odd = StackT { flags: 4, ..STACK };
        assert_eq!(stack.set(&odd, 0, MIN_STACK_LEN), Err(Errno::EINVAL));
        assert_eq!(stack.to_user(0).flags, SS_DISABLE);
    }
}
