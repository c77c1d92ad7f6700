//! One line of a list.

/// A call that is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its number on x86-64.
    pub number: i64,
    /// With which arguments.
    pub rule: Rule,
    /// Why.
    pub reason: &'static str,
}

/// With which arguments a call is allowed.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// Any.
    Always,
    /// When all of one of these groups hold.
    AnyOf(&'static [&'static [Argument]]),
}

/// A condition on one argument.
#[derive(Clone, Copy, Debug)]
pub enum Argument {
    /// Argument `.0` (from 0) equals `.1` in its lower 32 bits.
    Is(u8, u32),
    /// Of argument `.0`, the bits in `.1` equal `.2`.
    Masked(u8, u64, u64),
}

/// A call that fails with an errno instead of ending the process.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// Its number on x86-64.
    pub number: i64,
    /// What the caller sees.
    pub errno: i32,
    /// Who tries it.
    pub reason: &'static str,
}

/// An entry without conditions.
pub(crate) const fn allow(number: i64, reason: &'static str) -> Entry {
    Entry {
        number,
        rule: Rule::Always,
        reason,
    }
}

/// An entry with conditions.
pub(crate) const fn when(
    number: i64,
    groups: &'static [&'static [Argument]],
    reason: &'static str,
) -> Entry {
    Entry {
        number,
        rule: Rule::AnyOf(groups),
        reason,
    }
}

/// Argument `index` equals this constant of a C header.
pub(crate) const fn is(index: u8, value: i32) -> Argument {
    Argument::Is(index, value.cast_unsigned())
}

/// No `PROT_EXEC` in the third argument: mmap and mprotect.
pub(crate) const NOT_EXECUTABLE: &[&[Argument]] = &[&[Argument::Masked(2, 4, 0)]];

/// A thread of this process, no namespaces: clone.
pub(crate) const NEW_THREAD: &[&[Argument]] = &[&[Argument::Masked(
    0,
    THREAD_FLAGS | NAMESPACE_FLAGS,
    THREAD_FLAGS,
)]];

/// `CLONE_VM | CLONE_SIGHAND | CLONE_THREAD`
const THREAD_FLAGS: u64 = 0x100 | 0x800 | 0x1_0000;
/// `CLONE_NEW*`
const NAMESPACE_FLAGS: u64 = 0x7e02_0000 | 0x80;

/// `AT_EMPTY_PATH` in argument 2: statx of a descriptor.
pub(crate) const EMPTY_PATH_IN_2: &[&[Argument]] = &[&[Argument::Masked(2, 0x1000, 0x1000)]];

/// `FUTEX_WAIT`, `FUTEX_WAKE`, `FUTEX_WAIT_BITSET`, whatever their flags: futex. Rust, `parking_lot` and glibc use no
/// other for locks that are neither robust nor of priority inheritance.
pub(crate) const WAIT_OR_WAKE: &[&[Argument]] = &[
    &[Argument::Masked(1, FUTEX_COMMAND, 0)],
    &[Argument::Masked(1, FUTEX_COMMAND, 1)],
    &[Argument::Masked(1, FUTEX_COMMAND, 9)],
];

/// `FUTEX_CMD_MASK`, in 32 bits
const FUTEX_COMMAND: u64 = 0xffff_fe7f;

/// `MADV_GUARD_INSTALL`, Linux 6.13
pub(crate) const MADV_GUARD_INSTALL: i32 = 102;
