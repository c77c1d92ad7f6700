//! Transparent huge pages: `MADV_HUGEPAGE`, and `PR_SET_THP_DISABLE` of prctl(2). What is in memory must not depend on
//! whether the host has huge pages to give.

use crate::case::Outcome;
use crate::support::map::{Map, PAGE};
use crate::support::{proc, process};
use crate::sys::SysResult;

cases!(
    advised_area_holds_what_is_written,
    advised_area_is_torn_apart,
    disabling_is_seen_and_inherited,
    unused_arguments_are_einval,
);

const HUGE: usize = 2 << 20;
const STEP: usize = 16 * PAGE;

fn advised(len: usize) -> Result<Map, crate::case::Failure> {
    let memory = Map::anonymous(len)?;
    sys!(SYS_madvise, &memory, len, libc::MADV_HUGEPAGE)?;
    Ok(memory)
}

/// What is written to a place: never zero.
fn value_of(offset: usize) -> u8 {
    (offset / STEP % 251) as u8 + 1
}

fn fill(memory: &Map, len: usize) {
    for offset in (0..len).step_by(STEP) {
        memory.set(offset, value_of(offset));
    }
}

fn advised_area_holds_what_is_written() -> Outcome {
    let len = 4 * HUGE;
    let memory = advised(len)?;
    // From the middle, so that the first block is one that has neighbours.
    memory.set(len / 2 + 5, 7);
    check_eq!(memory.get(len / 2), 0);
    fill(&memory, len);
    process::in_child(|| {
        for offset in (0..len).step_by(STEP) {
            check_eq!(memory.get(offset), value_of(offset));
            memory.set(offset + 1, 1);
        }
        Ok(())
    })?;
    for offset in (0..len).step_by(STEP) {
        check_eq!(memory.get(offset), value_of(offset));
        check_eq!(memory.get(offset + 1), 0);
    }
    Ok(())
}

fn advised_area_is_torn_apart() -> Outcome {
    let len = 4 * HUGE;
    let memory = advised(len)?;
    fill(&memory, len);
    let start = memory.addr();
    // A part of a block goes, comes back, is protected, and moves.
    sys!(SYS_madvise, start + HUGE, 8 * STEP, libc::MADV_DONTNEED)?;
    sys!(SYS_mprotect, start + 2 * HUGE, STEP, libc::PROT_READ)?;
    sys!(SYS_munmap, start + 3 * HUGE, STEP)?;
    for offset in (0..3 * HUGE).step_by(STEP) {
        let gone = (HUGE..HUGE + 8 * STEP).contains(&offset);
        let expected = if gone { 0 } else { value_of(offset) };
        check_eq!(memory.get(offset), expected);
    }
    check_eq!(memory.get(3 * HUGE + STEP), value_of(3 * HUGE + STEP));
    memory.set(HUGE, 9);
    check_eq!((memory.get(HUGE), memory.get(HUGE + STEP)), (9, 0));
    let moved = sys!(
        SYS_mremap,
        start,
        HUGE,
        HUGE,
        libc::MREMAP_MAYMOVE | libc::MREMAP_DONTUNMAP,
        0
    )?;
    let moved = Map::own(moved, HUGE);
    check_eq!((moved.get(STEP), memory.get(STEP)), (value_of(STEP), 0));
    Ok(())
}

fn disabled() -> SysResult {
    sys!(SYS_prctl, libc::PR_GET_THP_DISABLE, 0, 0, 0, 0)
}

fn set_disabled(disabled: u64) -> SysResult {
    sys!(SYS_prctl, libc::PR_SET_THP_DISABLE, disabled, 0, 0, 0)
}

fn disabling_is_seen_and_inherited() -> Outcome {
    process::in_child(|| {
        set_disabled(0)?;
        check_eq!(proc::field("/proc/self/status", "THP_enabled")?, "1");
        set_disabled(1)?;
        check_eq!(disabled()?, 1);
        check_eq!(proc::field("/proc/self/status", "THP_enabled")?, "0");
        let output = super::execve::helper(&["thp"], || Ok(()))?;
        check_eq!(output, "1");
        set_disabled(0)?;
        check_eq!(super::execve::helper(&["thp"], || Ok(()))?, "0");
        Ok(())
    })
}

fn unused_arguments_are_einval() -> Outcome {
    errno_is!(
        sys!(SYS_prctl, libc::PR_SET_THP_DISABLE, 0, 0, 0, 1),
        EINVAL
    );
    errno_is!(
        sys!(SYS_prctl, libc::PR_GET_THP_DISABLE, 1, 0, 0, 0),
        EINVAL
    );
    errno_is!(
        sys!(SYS_prctl, libc::PR_GET_THP_DISABLE, 0, 0, 0, 1),
        EINVAL
    );
    Ok(())
}
