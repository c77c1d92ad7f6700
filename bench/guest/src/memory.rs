//! Memory: three pages mapped, touched and unmapped.

#![expect(unsafe_code, reason = "mappings")]

use std::io;

use crate::call::check;
use crate::rows::Place;

const PAGE: usize = 4096;
const NR_PAGES: usize = 3;

/// `mmap` of three anonymous pages, a write to each, `munmap`.
pub(crate) fn map_touch_unmap(place: &Place) -> io::Result<f64> {
    place.timer.measure(|| {
        let len = NR_PAGES * PAGE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice.
        let addr = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if addr == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        for page in 0..NR_PAGES {
            // SAFETY: inside the mapping, which is writable and which nothing else knows of.
            unsafe { addr.cast::<u8>().add(page * PAGE).write_volatile(1) };
        }
        // SAFETY: exactly the mapping made above, no longer used.
        let result = unsafe { libc::munmap(addr, len) };
        check(result.into()).map(drop)
    })
}
