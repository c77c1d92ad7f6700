//! Memory: three pages mapped, touched and unmapped.

#![expect(unsafe_code, reason = "mappings")]

use std::io;

use crate::call::check;
use crate::process;
use crate::rows::Place;

const PAGE: usize = 4096;
const NR_PAGES: usize = 3;

/// What is touched for the first time.
const LARGE: usize = 64 << 20;
/// What is resident in a process that forks.
const RESIDENT: usize = 256 << 20;

/// Anonymous memory, unmapped when dropped.
struct Mapping {
    addr: *mut libc::c_void,
    len: usize,
}

impl Mapping {
    fn new(len: usize) -> io::Result<Mapping> {
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
        Ok(Mapping { addr, len })
    }

    /// Writes to every page, upwards.
    fn touch(&self) {
        for at in (0..self.len).step_by(PAGE) {
            // SAFETY: inside the mapping, which is writable and which nothing else knows of.
            unsafe { self.addr.cast::<u8>().add(at).write_volatile(1) };
        }
    }

    fn unmap(self) -> io::Result<()> {
        // SAFETY: exactly the mapping made in `new`, no longer used.
        let result = unsafe { libc::munmap(self.addr, self.len) };
        check(result.into()).map(drop)
    }
}

/// `mmap` of three anonymous pages, a write to each, `munmap`.
pub(crate) fn map_touch_unmap(place: &Place) -> io::Result<Vec<f64>> {
    map_touch(place, NR_PAGES * PAGE)
}

/// The same with 64 MiB.
pub(crate) fn first_touch(place: &Place) -> io::Result<Vec<f64>> {
    map_touch(place, LARGE)
}

fn map_touch(place: &Place, len: usize) -> io::Result<Vec<f64>> {
    place.timer.measure(|| {
        let mapping = Mapping::new(len)?;
        mapping.touch();
        mapping.unmap()
    })
}

/// `fork` with 256 MiB of private memory, of which the child writes to one page, and `wait`.
pub(crate) fn fork_with_much_resident(place: &Place) -> io::Result<Vec<f64>> {
    let mapping = Mapping::new(RESIDENT)?;
    mapping.touch();
    let measured = place.timer.measure(|| match process::fork()? {
        Some(child) => process::wait(child),
        None => {
            // SAFETY: inside the mapping; the child's copy is its own.
            unsafe { mapping.addr.cast::<u8>().write_volatile(2) };
            process::exit(0)
        }
    });
    mapping.unmap()?;
    measured
}
