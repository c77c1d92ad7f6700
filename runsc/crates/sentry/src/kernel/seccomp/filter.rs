//! Filters stacked on each other: a task's own, on top of those it was forked with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;

use super::program::{CallData, Program, Verdict};
use crate::error::Result;

/// What a filter may say, the strictest first (`man 2 seccomp`, *Filters*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The process ends.
    KillProcess,
    /// The thread ends.
    KillThread,
    /// SIGSYS.
    Trap,
    /// The call fails with the error in the data.
    Errno,
    /// A listener decides; there is none.
    UserNotify,
    /// The tracer is told.
    Trace,
    /// The call is made and logged.
    Log,
    /// The call is made.
    Allow,
}

impl Action {
    const ORDER: [(u32, Action); 8] = [
        (0x8000_0000, Action::KillProcess),
        (0x0000_0000, Action::KillThread),
        (0x0003_0000, Action::Trap),
        (0x0005_0000, Action::Errno),
        (0x7fc0_0000, Action::UserNotify),
        (0x7ff0_0000, Action::Trace),
        (0x7ffc_0000, Action::Log),
        (0x7fff_0000, Action::Allow),
    ];

    /// The action in a program's value; one that is unknown kills the process.
    #[must_use]
    pub fn of(value: u32) -> Action {
        Action::exact(value & 0xffff_0000).unwrap_or(Action::KillProcess)
    }

    /// The action of this number, none if there is no such.
    #[must_use]
    pub fn exact(number: u32) -> Option<Action> {
        let mut all = Action::ORDER.iter();
        all.find(|(value, _)| *value == number)
            .map(|(_, action)| *action)
    }
}

/// How strict a value is: Linux compares the action as a signed number, so that `KILL_PROCESS` is lowest.
fn rank(value: u32) -> i32 {
    (value & 0xffff_0000).cast_signed()
}

/// `SECCOMP_RET_ALLOW`
pub const ALLOW: u32 = 0x7fff_0000;

/// The most instructions of a whole chain, each filter counting four more (`man 2 seccomp`, ENOMEM).
const MAX_CHAIN: usize = 32_768;
const FILTER_PENALTY: usize = 4;

/// Calls whose outcome is remembered.
const CACHED: usize = 512;
/// In the cache: nothing is known yet; otherwise a value with one of the marks below.
const UNKNOWN: u64 = 0;
const CONSTANT: u64 = 1 << 32;
const DEPENDS: u64 = 2 << 32;

/// One filter and those below it.
pub struct Filter {
    program: Program,
    below: Option<Arc<Filter>>,
    /// `SECCOMP_FILTER_FLAG_LOG`
    logs: bool,
    /// For each call of the native architecture what the whole chain says of it, if that depends on
    /// nothing else.
    cache: Box<[AtomicU64]>,
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Filter({} instructions)", self.program.len())
    }
}

impl Filter {
    /// Puts `program` on top of `below`; ENOMEM if the chain would be too long.
    pub fn stack(program: Program, below: Option<Arc<Filter>>, logs: bool) -> Result<Arc<Filter>> {
        let filter = Filter {
            program,
            below,
            logs,
            cache: (0..CACHED).map(|_| AtomicU64::new(UNKNOWN)).collect(),
        };
        let lengths = filter
            .chain()
            .skip(1)
            .map(|filter| filter.program.len() + FILTER_PENALTY);
        if filter.program.len() + lengths.sum::<usize>() > MAX_CHAIN {
            return Err(Errno::ENOMEM);
        }
        Ok(Arc::new(filter))
    }

    /// This filter and those below it.
    pub fn chain(&self) -> impl Iterator<Item = &Filter> {
        std::iter::successors(Some(self), |filter| filter.below.as_deref())
    }

    /// Whether `other` is this filter or one of those below it.
    #[must_use]
    pub fn contains(&self, other: &Arc<Filter>) -> bool {
        self.chain()
            .any(|filter| std::ptr::eq(filter, Arc::as_ptr(other)))
    }

    /// Whether actions other than `ALLOW` are to be logged.
    #[must_use]
    pub fn logs(&self) -> bool {
        self.logs
    }

    /// What the chain says of a call: the strictest action, the one installed last among equals.
    #[must_use]
    pub fn evaluate(&self, data: &CallData) -> u32 {
        let native = data.arch == super::AUDIT_ARCH_X86_64;
        let slot = usize::try_from(data.number)
            .ok()
            .filter(|_| native)
            .and_then(|number| self.cache.get(number));
        let known = slot.map_or(DEPENDS, |slot| slot.load(Ordering::Relaxed));
        if known & CONSTANT != 0 {
            return u32::try_from(known & 0xffff_ffff).unwrap_or(0);
        }
        let verdict = self.run_all(data);
        if known == UNKNOWN
            && let Some(slot) = slot
        {
            let mark = if verdict.is_constant {
                CONSTANT | u64::from(verdict.value)
            } else {
                DEPENDS
            };
            slot.store(mark, Ordering::Relaxed);
        }
        verdict.value
    }

    fn run_all(&self, data: &CallData) -> Verdict {
        let mut result = Verdict {
            value: ALLOW,
            is_constant: true,
        };
        for filter in self.chain() {
            let verdict = filter.program.run(data);
            result.is_constant &= verdict.is_constant;
            if rank(verdict.value) < rank(result.value) {
                result.value = verdict.value;
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::super::program::Instruction;
    use super::*;

    fn constant(value: u32) -> Program {
        let ret = Instruction {
            code: 6,
            jt: 0,
            jf: 0,
            k: value,
        };
        Program::new(vec![ret]).unwrap()
    }

    fn call(number: u32) -> CallData {
        CallData {
            number,
            arch: super::super::AUDIT_ARCH_X86_64,
            instruction_pointer: 0,
            arguments: [0; 6],
        }
    }

    #[test]
    fn the_strictest_action_wins_and_the_newest_data() {
        let values = [0x7fff_0000, 0x0005_0001, 0x0005_0002, 0x7ffc_0000];
        let mut top = None;
        for value in values {
            top = Some(Filter::stack(constant(value), top, false).unwrap());
        }
        let top = top.unwrap();
        assert_eq!(top.evaluate(&call(3)), 0x0005_0002);
        assert_eq!(top.evaluate(&call(3)), 0x0005_0002, "from the cache");
        let killer = Filter::stack(constant(0x8000_0000), Some(top.clone()), false).unwrap();
        assert_eq!(Action::of(killer.evaluate(&call(3))), Action::KillProcess);
        assert!(killer.contains(&top));
        assert!(!top.contains(&killer));
    }

    #[test]
    fn an_unknown_action_kills() {
        assert_eq!(Action::of(0x1234_0000), Action::KillProcess);
        assert_eq!(Action::of(0x0005_000d), Action::Errno);
    }
}
