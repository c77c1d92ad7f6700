//! Where a new mapping goes.

use std::ops::Range;

use abi::Errno;
use memory::HUGE_PAGE;

use super::address_space::{Backing, MapAt, MapRequest};
use super::areas::{Areas, PAGE, page_down};
use crate::Result;

/// Addresses below can't be mapped (`vm.mmap_min_addr`).
const LOWEST: usize = 64 << 10;
/// Where `MAP_32BIT` looks: below 2 GiB, and above the first GiB as in Linux.
const LOW: Range<usize> = 0x4000_0000..0x8000_0000;

/// Where a mapping of `len` bytes, a multiple of pages, goes.
pub(crate) fn place(areas: &Areas, request: &MapRequest, len: usize) -> Result<usize> {
    match request.at {
        MapAt::Fixed(start) => fixed(areas, start, len),
        MapAt::FixedNoReplace(start) => {
            let start = fixed(areas, start, len)?;
            if !areas.vmas.is_free(start..start + len) {
                return Err(Errno::EEXIST);
            }
            Ok(start)
        }
        MapAt::Low(hint) => {
            at_hint(areas, hint, len, LOW.end).map_or_else(|| areas.find_low_gap(len, LOW), Ok)
        }
        MapAt::Hint(hint) if page_down(hint) == 0 => anywhere(areas, request, len),
        MapAt::Hint(hint) => at_hint(areas, hint, len, areas.bounds.end)
            .map_or_else(|| areas.find_gap(len, PAGE), Ok),
    }
}

fn fixed(areas: &Areas, start: usize, len: usize) -> Result<usize> {
    if !start.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    if start
        .checked_add(len)
        .is_none_or(|end| end > areas.bounds.end)
    {
        return Err(Errno::ENOMEM);
    }
    if start < LOWEST.max(areas.bounds.start) {
        return Err(Errno::EPERM);
    }
    Ok(start)
}

/// The hint's page, raised to the lowest one, if there is room up to `limit`. What is less than a page is no hint.
fn at_hint(areas: &Areas, hint: usize, len: usize, limit: usize) -> Option<usize> {
    let start = match page_down(hint) {
        0 => return None,
        page => page.max(LOWEST),
    };
    let end = start.checked_add(len).filter(|end| *end <= limit)?;
    areas.is_usable(&(start..end)).then_some(start)
}

/// Without a hint. Private memory that consists of whole huge pages starts at a multiple of them, if there is room
/// for one more (`__thp_get_unmapped_area` of Linux).
fn anywhere(areas: &Areas, request: &MapRequest, len: usize) -> Result<usize> {
    let huge = usize::try_from(HUGE_PAGE).map_err(|_| Errno::ENOMEM)?;
    let private = request.private && matches!(request.backing, Backing::Anonymous);
    if private
        && len.is_multiple_of(huge)
        && let Some(padded) = len.checked_add(huge)
        && let Ok(start) = areas.find_gap(padded, PAGE)
    {
        return Ok((start + huge) & !(huge - 1));
    }
    areas.find_gap(len, PAGE)
}
