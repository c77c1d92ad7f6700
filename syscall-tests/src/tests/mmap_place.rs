//! mmap(2): where a mapping goes that is not fixed.

use crate::case::{Failure, Outcome};
use crate::support::map::{self, ANON, Map, PAGE, RW};

cases!(
    hint_is_honoured_if_free,
    hint_below_the_lowest_address_is_raised,
    hint_beyond_the_address_space_is_no_hint,
    hint_within_the_guard_of_a_stack_is_no_hint,
    hint_in_the_low_two_gigabytes,
    large_memory_is_aligned_to_huge_pages,
);

fn hint_is_honoured_if_free() -> Outcome {
    let place = Map::anonymous(4 * PAGE)?;
    let addr = place.addr();
    drop(place);
    check_eq!(
        sys!(SYS_mmap, addr + 10, PAGE, RW, ANON, -1, 0)? as usize,
        addr
    );
    // Taken: somewhere else, and the old one stays.
    map::poke(addr, 5);
    let other = Map::own(sys!(SYS_mmap, addr, PAGE, RW, ANON, -1, 0)?, PAGE);
    check!(other.addr() != addr);
    check_eq!((map::peek(addr), other.get(0)), (5, 0));
    sys!(SYS_munmap, addr, PAGE)?;
    Ok(())
}

/// Where a page with this hint goes; it is gone again.
fn placed(hint: usize, len: usize, flags: i32) -> Result<usize, Failure> {
    Ok(Map::own(
        sys!(
            SYS_mmap,
            hint,
            len,
            RW,
            ANON | libc::MAP_NORESERVE | flags,
            -1,
            0
        )?,
        len,
    )
    .addr())
}

/// The lowest address that can be mapped: `vm.mmap_min_addr`, or what a security module makes of it.
fn lowest_address() -> Result<usize, Failure> {
    placed(PAGE, PAGE, 0)
}

fn hint_below_the_lowest_address_is_raised() -> Outcome {
    let lowest = lowest_address()?;
    check!(lowest <= 1 << 16, "{lowest:#x}");
    let below = [PAGE + 1, lowest - PAGE, lowest - 1].map(|hint| hint.max(PAGE));
    for hint in below.into_iter().chain([lowest, lowest + 1]) {
        check_eq!((hint, placed(hint, PAGE, 0)?), (hint, lowest));
    }
    // Less than a page is none.
    check!(placed(PAGE - 1, PAGE, 0)? > 1 << 32);
    Ok(())
}

fn hint_beyond_the_address_space_is_no_hint() -> Outcome {
    for hint in [
        1 << 47,
        (1 << 47) - PAGE,
        1 << 56,
        1 << 63,
        usize::MAX,
        usize::MAX - PAGE,
    ] {
        let at = placed(hint, PAGE, 0)?;
        check!(
            at < (1 << 47) - PAGE && at > 1 << 32,
            "{hint:#x} gives {at:#x}"
        );
    }
    check!(placed((1 << 47) - 3 * PAGE, 4 * PAGE, 0)? < (1 << 47) - 4 * PAGE);
    Ok(())
}

fn hint_within_the_guard_of_a_stack_is_no_hint() -> Outcome {
    const GUARD: usize = 256 * PAGE;
    let place = Map::anonymous(2 * GUARD)?;
    let (stack, addr) = (place.addr() + 2 * GUARD - PAGE, place.addr());
    drop(place);
    let flags = ANON | libc::MAP_GROWSDOWN | libc::MAP_FIXED_NOREPLACE;
    let stack = Map::own(sys!(SYS_mmap, stack, PAGE, RW, flags, -1, 0)?, PAGE);
    check_eq!(
        placed(stack.addr() - GUARD - PAGE, PAGE, 0)?,
        stack.addr() - GUARD - PAGE
    );
    check!(placed(stack.addr() - GUARD, PAGE, 0)? != stack.addr() - GUARD);
    check!(placed(stack.addr() - PAGE, PAGE, 0)? != stack.addr() - PAGE);
    check_eq!(placed(addr, PAGE, 0)?, addr);
    Ok(())
}

/// `MAP_32BIT` takes a hint too, as long as it is below 2 GiB.
fn hint_in_the_low_two_gigabytes() -> Outcome {
    let low = libc::MAP_32BIT;
    let free = placed(0, 4 * PAGE, low)?;
    check!((0x4000_0000..0x8000_0000).contains(&free), "{free:#x}");
    for hint in [free, 0x5000_0000, lowest_address()?] {
        check_eq!(placed(hint, PAGE, low)?, hint);
    }
    for hint in [0x8000_0000, 0x7fff_f000, 1 << 40, usize::MAX] {
        let at = placed(hint, 2 * PAGE, low)?;
        check!(
            (0x4000_0000..0x7fff_f000).contains(&at),
            "{hint:#x} gives {at:#x}"
        );
    }
    Ok(())
}

/// Private memory without a hint whose length is a multiple of a huge page.
fn large_memory_is_aligned_to_huge_pages() -> Outcome {
    const HUGE: usize = 2 << 20;
    let _small = Map::anonymous(PAGE)?;
    let areas = [
        Map::anonymous(HUGE)?,
        Map::anonymous(3 * HUGE)?,
        Map::anonymous(HUGE)?,
    ];
    for area in &areas {
        check_eq!(area.addr() % HUGE, 0);
    }
    // They leave nothing free between each other.
    check_eq!(areas[1].addr() + 3 * HUGE, areas[0].addr());
    check_eq!(areas[2].addr() + HUGE, areas[1].addr());
    Ok(())
}
