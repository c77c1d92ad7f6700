//! Long operations on memory.

use super::{Endless, areas, for_ever};
use crate::support::fd;
use crate::support::file::cstring;
use crate::support::map::Map;
use crate::support::process;

/// Address space without memory.
const RESERVED: usize = 1 << 40;

fn reserve(len: usize) -> Result<Map, crate::sys::SysError> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    Map::new(len, libc::PROT_READ, flags, -1, 0)
}

pub(super) fn getrandom(begun: &dyn Fn()) -> Endless {
    let mut buffer = vec![0_u8; 64 << 20];
    for_ever(begun, || {
        sys!(SYS_getrandom, buffer.as_mut_slice(), buffer.len(), 0).map(drop)
    })
}

pub(super) fn process_vm_readv(begun: &dyn Fn()) -> Endless {
    let (from, to) = (Map::anonymous(32 << 20)?, Map::anonymous(32 << 20)?);
    let piece = |map: &Map| libc::iovec {
        iov_base: map.addr() as *mut libc::c_void,
        iov_len: 32 << 20,
    };
    let (from, to) = (vec![piece(&from); 32], vec![piece(&to); 32]);
    for_ever(begun, || {
        let pid = process::getpid();
        sys!(
            SYS_process_vm_readv,
            pid,
            to.as_slice(),
            32,
            from.as_slice(),
            32,
            0
        )
        .map(drop)
    })
}

pub(super) fn mprotect(begun: &dyn Fn()) -> Endless {
    let map = areas()?;
    for_ever(begun, || {
        for page in (0..20_000).step_by(2) {
            sys!(
                SYS_mprotect,
                map.addr() + page * 4096,
                4096,
                libc::PROT_NONE
            )?;
        }
        sys!(SYS_mprotect, map.addr(), 20_000 * 4096, libc::PROT_READ)?;
        for page in (0..20_000).step_by(2) {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            sys!(SYS_mprotect, map.addr() + page * 4096, 4096, access)?;
        }
        Ok(())
    })
}

pub(super) fn madvise(begun: &dyn Fn()) -> Endless {
    let map = reserve(RESERVED)?;
    for_ever(begun, || {
        sys!(SYS_madvise, map.addr(), RESERVED, libc::MADV_DONTNEED)?;
        sys!(SYS_msync, map.addr(), RESERVED, libc::MS_SYNC).map(drop)
    })
}

pub(super) fn mincore(begun: &dyn Fn()) -> Endless {
    const LEN: usize = 64 << 30;
    let (map, vector) = (reserve(LEN)?, Map::anonymous(LEN / 4096)?);
    for_ever(begun, || {
        sys!(SYS_mincore, map.addr(), LEN, vector.addr()).map(drop)
    })
}

pub(super) fn populate(begun: &dyn Fn()) -> Endless {
    const LEN: usize = 64 << 20;
    for_ever(begun, || {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        Map::new(LEN, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0).map(drop)
    })
}

pub(super) fn maps(begun: &dyn Fn()) -> Endless {
    let _areas = areas()?;
    let name = cstring("/proc/self/maps");
    for_ever(begun, || {
        fd::open(&name, libc::O_RDONLY, 0)?.read_all().map(drop)
    })
}

pub(super) fn fork(begun: &dyn Fn()) -> Endless {
    let _areas = areas()?;
    for_ever(begun, || {
        let pid = sys!(SYS_clone, libc::SIGCHLD, 0, 0, 0, 0)?;
        if pid == 0 {
            process::exit_now(0);
        }
        sys!(SYS_wait4, pid, 0, 0, 0).map(drop)
    })
}

/// A list of robust futexes that is a ring, which the end of the thread has to walk.
pub(super) fn robust_list(begun: &dyn Fn()) -> Endless {
    let mut head = [0_u64; 3];
    let mut entry = [0_u64; 1];
    entry[0] = entry.as_ptr() as u64;
    head[0] = entry.as_ptr() as u64;
    sys!(SYS_set_robust_list, head.as_slice(), 24)?;
    for_ever(begun, || sys!(SYS_pause).map(drop))
}
