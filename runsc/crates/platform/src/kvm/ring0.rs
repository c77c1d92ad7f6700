//! Ring 0: a page of `hlt`, the tables that lead there, and a page per vCPU.
//!
//! An interrupt gate's target tells the vector; `LSTAR`'s target is one more. No instruction here
//! but `hlt` is ever executed, and a vCPU that has executed it is never run from there.

use super::layout::{PAGE, RING0, RING0_AT, RING0_LEN};
use super::region::Region;
use super::slots::{Slot, Slots};
use super::tables::{Entry, leading_to};
use crate::{Access, Result};
use abi::Errno;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Segment selectors: ring 0's, and Linux's for 64-bit programs.
pub(super) const CODE_SELECTOR: u16 = 0x10;
pub(super) const TASK_SELECTOR: u16 = 0x38;
/// Limits of the descriptor tables.
pub(super) const GDT_LIMIT: u16 = 9 * 8 - 1;
pub(super) const IDT_LIMIT: u16 = 256 * 16 - 1;
/// Limit of a task-state segment without an I/O bitmap.
pub(super) const TASK_LIMIT: u32 = 103;

/// Bytes between the targets of two vectors.
const STRIDE: u64 = 16;
/// How many vectors have a gate: exceptions. None else can occur.
const NR_VECTORS: u64 = 32;
/// The vectors that a program may raise with an instruction of its own: `int3`, `into`.
const USER_VECTORS: [u64; 2] = [3, 4];

// Pages of the area.
const CODE_PAGE: u64 = 0;
const IDT_PAGE: u64 = 1;
const GDT_PAGE: u64 = 2;
const UPPER_PAGE: u64 = 3;
const MIDDLE_PAGE: u64 = 4;
const LEAF_PAGE: u64 = 5;
const FIRST_VCPU_PAGE: u64 = 6;
/// How many vCPUs have a page: what is left of the leaf table.
pub(super) const MOST_VCPUS: usize = 500;

/// Bytes of an exception frame with an error code, in words.
const FRAME_WORDS: usize = 6;
/// Where in a task-state segment the stacks of ring 0, and of the interrupt stack table, are; and
/// the I/O bitmap's place.
const TSS_RSP0: u64 = 4;
const TSS_IST1: u64 = 36;
const TSS_IOMAP: u64 = 102;

/// The area.
#[derive(Debug)]
pub(super) struct Ring0 {
    slot: Slot,
}

/// What `LSTAR` is.
pub(super) const SYSCALL_ENTRY: u64 = RING0 + NR_VECTORS * STRIDE;

/// What a `hlt` in ring 0 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// By `syscall`.
    Syscall,
    /// By an exception of this vector.
    Vector(u8),
}

/// What the processor leaves on the stack for an exception.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frame {
    pub(super) error_code: u64,
    pub(super) rip: u64,
    pub(super) rflags: u64,
    pub(super) rsp: u64,
}

impl Ring0 {
    /// Makes the area.
    ///
    /// # Errors
    /// The host's.
    pub(super) fn new(slots: &Arc<Slots>) -> Result<Ring0> {
        let len = usize::try_from(RING0_LEN).map_err(|_| Errno::ENOMEM)?;
        let slot = slots.add(RING0_AT, Region::anonymous(len)?)?;
        let ring0 = Ring0 { slot };
        ring0.fill()?;
        Ok(ring0)
    }

    /// The guest-physical table that maps the upper half's last 512 GiB.
    pub(super) fn upper_table() -> u64 {
        RING0_AT + UPPER_PAGE * PAGE
    }

    pub(super) fn idt() -> u64 {
        RING0 + IDT_PAGE * PAGE
    }

    pub(super) fn gdt() -> u64 {
        RING0 + GDT_PAGE * PAGE
    }

    /// Where a vCPU's task-state segment is.
    pub(super) fn task_segment(vcpu: usize) -> u64 {
        RING0 + vcpu_page(vcpu)
    }

    /// Which way into ring 0 a vCPU that has halted there took.
    pub(super) fn entered(rip: u64) -> Option<Entered> {
        let target = rip.checked_sub(RING0 + 1)?;
        match target / STRIDE {
            _ if !target.is_multiple_of(STRIDE) => None,
            NR_VECTORS => Some(Entered::Syscall),
            vector if vector < NR_VECTORS => u8::try_from(vector).ok().map(Entered::Vector),
            _ => None,
        }
    }

    /// The exception frame at a vCPU's stack pointer.
    pub(super) fn frame(&self, vcpu: usize, rsp: u64, has_error_code: bool) -> Option<Frame> {
        let page = vcpu_page(vcpu);
        let at = rsp.checked_sub(RING0)?;
        let mut words = [0; FRAME_WORDS];
        let skip = usize::from(!has_error_code);
        let len = (FRAME_WORDS - skip) as u64 * 8;
        if at < page || at.checked_add(len)? > page + PAGE {
            return None;
        }
        for (index, word) in words.iter_mut().skip(skip).enumerate() {
            let place = usize::try_from(at).ok()?.checked_add(index * 8)?;
            *word = self.slot.region().word(place)?.load(Ordering::Relaxed);
        }
        let [error_code, rip, _cs, rflags, rsp, _ss] = words;
        Some(Frame {
            error_code,
            rip,
            rflags,
            rsp,
        })
    }

    fn fill(&self) -> Result<()> {
        for word in 0..PAGE / 8 {
            self.put(CODE_PAGE * PAGE + word * 8, u64::from_ne_bytes([0xf4; 8]))?;
        }
        for vector in 0..NR_VECTORS {
            let [low, high] = gate(vector);
            self.put(IDT_PAGE * PAGE + vector * 16, low)?;
            self.put(IDT_PAGE * PAGE + vector * 16 + 8, high)?;
        }
        for (index, descriptor) in descriptors() {
            self.put(GDT_PAGE * PAGE + index * 8, descriptor)?;
        }
        for vcpu in 0..MOST_VCPUS {
            self.fill_task(vcpu)?;
        }
        self.fill_tables()
    }

    fn fill_task(&self, vcpu: usize) -> Result<()> {
        let page = vcpu_page(vcpu);
        let stack = RING0 + page + PAGE;
        let (low, high) = (stack & 0xffff_ffff, stack >> 32);
        self.put(page + TSS_RSP0 - 4, low << 32)?;
        self.put(page + TSS_RSP0 + 4, high)?;
        self.put(page + TSS_IST1 - 4, low << 32)?;
        self.put(page + TSS_IST1 + 4, high)?;
        // Beyond the limit: no port is the application's.
        self.put(page + TSS_IOMAP - 6, u64::from(TASK_LIMIT + 1) << 48)
    }

    fn fill_tables(&self) -> Result<()> {
        let table = |page: u64| leading_to(RING0_AT + page * PAGE);
        // The last but one of 512 GiB / 1 GiB: what RING0's bits are.
        let index = |shift: u64| RING0 >> shift & 511;
        self.put(UPPER_PAGE * PAGE + index(30) * 8, table(MIDDLE_PAGE))?;
        self.put(MIDDLE_PAGE * PAGE + index(21) * 8, table(LEAF_PAGE))?;
        let map = |page: u64, access| {
            let entry = Entry::ring0(RING0_AT + page * PAGE, access);
            self.put(LEAF_PAGE * PAGE + page * 8, entry.bits())
        };
        map(CODE_PAGE, Access::READ | Access::EXECUTE)?;
        map(IDT_PAGE, Access::READ)?;
        map(GDT_PAGE, Access::READ)?;
        for vcpu in 0..MOST_VCPUS {
            map(vcpu_page(vcpu) / PAGE, Access::READ | Access::WRITE)?;
        }
        Ok(())
    }

    fn put(&self, at: u64, value: u64) -> Result<()> {
        let at = usize::try_from(at).map_err(|_| Errno::EINVAL)?;
        let word = self.slot.region().word(at).ok_or(Errno::EINVAL)?;
        word.store(value, Ordering::Relaxed);
        Ok(())
    }
}

fn vcpu_page(vcpu: usize) -> u64 {
    (FIRST_VCPU_PAGE + vcpu.min(MOST_VCPUS - 1) as u64) * PAGE
}

/// An interrupt gate to a vector's `hlt`, on the vCPU's stack.
fn gate(vector: u64) -> [u64; 2] {
    const INTERRUPT_GATE: u64 = 0x8e00;
    const USER: u64 = 3 << 13;
    const STACK: u64 = 1;
    let target = RING0 + vector * STRIDE;
    let kind = if USER_VECTORS.contains(&vector) {
        INTERRUPT_GATE | USER
    } else {
        INTERRUPT_GATE
    };
    let low = target & 0xffff
        | u64::from(CODE_SELECTOR) << 16
        | (kind | STACK) << 32
        | (target >> 16 & 0xffff) << 48;
    [low, target >> 32]
}

/// The global descriptors by index: ring 0's code and data, the application's data and code.
fn descriptors() -> [(u64, u64); 4] {
    [
        (2, 0x00af_9b00_0000_ffff),
        (3, 0x00cf_9300_0000_ffff),
        (5, 0x00cf_f300_0000_ffff),
        (6, 0x00af_fb00_0000_ffff),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_in_is_told_by_where_it_halted() {
        assert_eq!(Ring0::entered(SYSCALL_ENTRY + 1), Some(Entered::Syscall));
        assert_eq!(Ring0::entered(RING0 + 1), Some(Entered::Vector(0)));
        assert_eq!(
            Ring0::entered(RING0 + 14 * STRIDE + 1),
            Some(Entered::Vector(14))
        );
        for rip in [0, RING0, RING0 + 2, SYSCALL_ENTRY + STRIDE + 1, u64::MAX] {
            assert_eq!(Ring0::entered(rip), None, "{rip:x}");
        }
    }

    #[test]
    fn all_vcpus_fit_in_the_area() {
        assert!(vcpu_page(MOST_VCPUS) + PAGE <= 512 * PAGE);
    }
}
