//! Address spaces.

use crate::case::Failure;
use crate::growth::descriptors::each;
use crate::growth::{Kind, Step};
use crate::support::map::{self, Map};

pub(super) const KINDS: &[(&str, Kind)] = &[
    ("anonymous-memory", anonymous),
    ("page-tables", page_tables),
    ("areas", areas),
];

fn anonymous() -> Result<Step, Failure> {
    each(|_| {
        let address = Map::anonymous(1 << 20)?.forget();
        for at in (0..1 << 20).step_by(4096) {
            map::poke(address + at, 1);
        }
        Ok(1)
    })
}

/// One page in every two mebibytes.
fn page_tables() -> Result<Step, Failure> {
    const LEN: usize = 2 << 20;
    let flags = map::ANON | libc::MAP_NORESERVE;
    each(move |_| {
        let address = sys!(SYS_mmap, 0, 64 * LEN, map::RW, flags, -1, 0)? as usize;
        for at in (0..64 * LEN).step_by(LEN) {
            map::poke(address + at, 1);
        }
        Ok(64)
    })
}

/// Every other page of a child's has another protection; children, since each may only have so many.
fn areas() -> Result<Step, Failure> {
    super::tasks::each_child(|| {
        const PAGES: usize = 60_000;
        let Ok(area) = Map::anonymous(PAGES * map::PAGE) else {
            return;
        };
        let address = area.forget();
        for page in (0..PAGES).step_by(2) {
            let _ = sys!(
                SYS_mprotect,
                address + page * map::PAGE,
                map::PAGE,
                libc::PROT_NONE
            );
        }
    })
}
