//! madvise(2), mremap(2), msync(2), mincore(2), mlock(2), `memfd_create(2)`, `process_vm_readv(2)`.

use crate::case::Outcome;
use crate::support::fd;
use crate::support::file::TempDir;
use crate::support::map::{self, ANON, Map, PAGE, RW};
use crate::support::{proc, process};
use crate::sys;

cases!(
    dontneed_zeroes_private_memory,
    dontneed_of_locked_memory,
    dontneed_brings_file_pages_back,
    free_keeps_or_zeroes,
    remove_punches_a_hole,
    dontfork_and_wipeonfork,
    madvise_errors,
    populate_touches,
    mremap_grows_in_place,
    mremap_shrinks,
    mremap_moves_the_contents,
    mremap_fixed_replaces,
    mremap_without_maymove_is_enomem,
    mremap_dontunmap,
    mremap_errors,
    mremap_of_a_file_mapping,
    mremap_of_zero_duplicates_shared_memory,
    msync_errors,
    mincore_reports_residency,
    mlock_limits,
    mlockall_and_status,
    memfd_is_a_file_in_memory,
    memfd_seals,
    memfd_write_seal_and_mappings,
    memfd_flags,
    memfd_shared_between_processes,
    process_vm_reads_and_writes,
    membarrier_and_caches,
);

fn dontneed_zeroes_private_memory() -> Outcome {
    let memory = Map::anonymous(4 * PAGE)?;
    for page in 0..4 {
        memory.set(page * PAGE, 5);
    }
    sys!(
        SYS_madvise,
        memory.addr() + PAGE,
        2 * PAGE,
        libc::MADV_DONTNEED
    )?;
    check_eq!(
        [0, 1, 2, 3].map(|page: usize| memory.get(page * PAGE)),
        [5, 0, 0, 5]
    );
    // In a child the parent's copy stays.
    process::in_child(|| {
        sys!(SYS_madvise, &memory, 4 * PAGE, libc::MADV_DONTNEED)?;
        check_eq!(memory.get(0), 0);
        Ok(())
    })?;
    check_eq!(memory.get(0), 5);
    // Shared memory is not changed.
    let shared = Map::shared(PAGE)?;
    shared.set(0, 6);
    sys!(SYS_madvise, &shared, PAGE, libc::MADV_DONTNEED)?;
    check_eq!(shared.get(0), 6);
    Ok(())
}

fn dontneed_of_locked_memory() -> Outcome {
    const DONTNEED_LOCKED: i32 = 24;
    let memory = Map::anonymous(2 * PAGE)?;
    memory.set(0, 5);
    sys!(SYS_mlock, &memory, PAGE)?;
    errno_is!(
        sys!(SYS_madvise, &memory, 2 * PAGE, libc::MADV_DONTNEED),
        EINVAL
    );
    check_eq!(memory.get(0), 5);
    sys!(SYS_madvise, &memory, 2 * PAGE, DONTNEED_LOCKED)?;
    check_eq!(memory.get(0), 0);
    Ok(())
}

fn dontneed_brings_file_pages_back() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"original")?;
    let memory = Map::new(PAGE, RW, libc::MAP_PRIVATE, &file, 0)?;
    memory.fill(0, b"changed!");
    sys!(SYS_madvise, &memory, PAGE, libc::MADV_DONTNEED)?;
    check_eq!(memory.bytes(0, 8), b"original");
    Ok(())
}

fn free_keeps_or_zeroes() -> Outcome {
    let memory = Map::anonymous(4 * PAGE)?;
    memory.set(0, 5);
    sys!(SYS_madvise, &memory, 4 * PAGE, libc::MADV_FREE)?;
    check!([0, 5].contains(&memory.get(0)));
    memory.set(0, 7);
    check_eq!(memory.get(0), 7);
    let shared = Map::shared(PAGE)?;
    errno_is!(sys!(SYS_madvise, &shared, PAGE, libc::MADV_FREE), EINVAL);
    Ok(())
}

fn remove_punches_a_hole() -> Outcome {
    let memory = Map::shared(3 * PAGE)?;
    for page in 0..3 {
        memory.set(page * PAGE, 9);
    }
    sys!(SYS_madvise, memory.addr() + PAGE, PAGE, libc::MADV_REMOVE)?;
    check_eq!(
        [0, 1, 2].map(|page: usize| memory.get(page * PAGE)),
        [9, 0, 9]
    );
    let private = Map::anonymous(PAGE)?;
    errno_is!(sys!(SYS_madvise, &private, PAGE, libc::MADV_REMOVE), EINVAL);
    Ok(())
}

fn dontfork_and_wipeonfork() -> Outcome {
    let (hidden, wiped) = (Map::anonymous(PAGE)?, Map::anonymous(PAGE)?);
    hidden.set(0, 1);
    wiped.set(0, 1);
    sys!(SYS_madvise, &hidden, PAGE, libc::MADV_DONTFORK)?;
    sys!(SYS_madvise, &wiped, PAGE, libc::MADV_WIPEONFORK)?;
    check_eq!(
        map::status_of_read(hidden.addr())?.signal(),
        Some(libc::SIGSEGV)
    );
    check_eq!(
        process::status_of(|| i32::from(wiped.get(0)))?.code(),
        Some(0)
    );
    check_eq!((hidden.get(0), wiped.get(0)), (1, 1));
    sys!(SYS_madvise, &hidden, PAGE, libc::MADV_DOFORK)?;
    sys!(SYS_madvise, &wiped, PAGE, libc::MADV_KEEPONFORK)?;
    check_eq!(
        process::status_of(|| i32::from(hidden.get(0) + wiped.get(0)))?.code(),
        Some(2)
    );
    errno_is!(
        sys!(
            SYS_madvise,
            &Map::shared(PAGE)?,
            PAGE,
            libc::MADV_WIPEONFORK
        ),
        EINVAL
    );
    Ok(())
}

fn madvise_errors() -> Outcome {
    let memory = Map::anonymous(3 * PAGE)?;
    errno_is!(
        sys!(SYS_madvise, memory.addr() + 1, PAGE, libc::MADV_NORMAL),
        EINVAL
    );
    errno_is!(sys!(SYS_madvise, &memory, PAGE, 12345), EINVAL);
    check_eq!(sys!(SYS_madvise, &memory, 0, libc::MADV_DONTNEED)?, 0);
    for advice in [
        libc::MADV_NORMAL,
        libc::MADV_RANDOM,
        libc::MADV_SEQUENTIAL,
        libc::MADV_WILLNEED,
        libc::MADV_DONTDUMP,
    ] {
        sys!(SYS_madvise, &memory, 3 * PAGE, advice)?;
    }
    memory.set(2 * PAGE, 1);
    sys!(SYS_munmap, memory.addr() + PAGE, PAGE)?;
    // The hole is reported after the rest has been done.
    errno_is!(
        sys!(SYS_madvise, &memory, 3 * PAGE, libc::MADV_DONTNEED),
        ENOMEM
    );
    check_eq!(memory.get(2 * PAGE), 0);
    Ok(())
}

fn populate_touches() -> Outcome {
    let memory = Map::anonymous(8 * PAGE)?;
    sys!(SYS_madvise, &memory, 8 * PAGE, libc::MADV_POPULATE_WRITE)?;
    let mut residency = [0_u8; 8];
    sys!(SYS_mincore, &memory, 8 * PAGE, &mut residency)?;
    check_eq!(residency.map(|page| page & 1), [1; 8]);
    let none = Map::new(PAGE, libc::PROT_NONE, ANON, -1, 0)?;
    errno_is!(
        sys!(SYS_madvise, &none, PAGE, libc::MADV_POPULATE_READ),
        EINVAL
    );
    Ok(())
}

/// A mapping with free room behind it.
fn with_room(pages: usize, room: usize) -> Result<Map, crate::case::Failure> {
    let place = Map::new((pages + room) * PAGE, RW, ANON, -1, 0)?;
    sys!(SYS_munmap, place.addr() + pages * PAGE, room * PAGE)?;
    let addr = place.forget();
    Ok(Map::own(addr as i64, pages * PAGE))
}

fn mremap_grows_in_place() -> Outcome {
    let memory = with_room(2, 4)?;
    memory.set(PAGE, 3);
    check_eq!(
        sys!(SYS_mremap, &memory, 2 * PAGE, 4 * PAGE, 0)? as usize,
        memory.addr()
    );
    check_eq!((memory.get(PAGE), memory.get(3 * PAGE)), (3, 0));
    memory.set(4 * PAGE - 1, 1);
    sys!(SYS_munmap, memory.addr() + 2 * PAGE, 2 * PAGE)?;
    Ok(())
}

fn mremap_shrinks() -> Outcome {
    let memory = Map::anonymous(4 * PAGE)?;
    check_eq!(
        sys!(SYS_mremap, &memory, 4 * PAGE, PAGE, 0)? as usize,
        memory.addr()
    );
    memory.set(0, 1);
    check_eq!(
        map::status_of_read(memory.addr() + PAGE)?.signal(),
        Some(libc::SIGSEGV)
    );
    Ok(())
}

fn mremap_moves_the_contents() -> Outcome {
    let memory = Map::anonymous(3 * PAGE)?;
    for page in 0..3 {
        memory.set(page * PAGE, page as u8 + 1);
    }
    // Something behind it, so that it must move.
    let wall = sys!(
        SYS_mmap,
        memory.addr() + 2 * PAGE,
        PAGE,
        RW,
        ANON | libc::MAP_FIXED,
        -1,
        0
    )?;
    let moved = Map::own(
        sys!(
            SYS_mremap,
            &memory,
            2 * PAGE,
            50 * PAGE,
            libc::MREMAP_MAYMOVE
        )?,
        50 * PAGE,
    );
    check!(moved.addr() != memory.addr());
    check_eq!(
        (moved.get(0), moved.get(PAGE), moved.get(49 * PAGE)),
        (1, 2, 0)
    );
    check_eq!(
        map::status_of_read(memory.addr())?.signal(),
        Some(libc::SIGSEGV)
    );
    sys!(SYS_munmap, wall, PAGE)?;
    memory.forget();
    Ok(())
}

fn mremap_fixed_replaces() -> Outcome {
    let (source, target) = (Map::anonymous(PAGE)?, Map::anonymous(3 * PAGE)?);
    source.set(0, 8);
    target.set(PAGE, 1);
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    let place = target.addr() + PAGE;
    check_eq!(
        sys!(SYS_mremap, &source, PAGE, PAGE, flags, place)? as usize,
        place
    );
    check_eq!(target.get(PAGE), 8);
    check_eq!(
        map::status_of_read(source.addr())?.signal(),
        Some(libc::SIGSEGV)
    );
    source.forget();
    errno_is!(
        sys!(SYS_mremap, &target, PAGE, PAGE, libc::MREMAP_FIXED, place),
        EINVAL
    );
    errno_is!(
        sys!(
            SYS_mremap,
            &target,
            2 * PAGE,
            2 * PAGE,
            flags,
            target.addr() + PAGE
        ),
        EINVAL
    );
    errno_is!(
        sys!(SYS_mremap, &target, PAGE, PAGE, flags, place + 1),
        EINVAL
    );
    Ok(())
}

fn mremap_without_maymove_is_enomem() -> Outcome {
    let memory = Map::anonymous(3 * PAGE)?;
    sys!(
        SYS_mprotect,
        memory.addr() + 2 * PAGE,
        PAGE,
        libc::PROT_READ
    )?;
    errno_is!(sys!(SYS_mremap, &memory, 2 * PAGE, 3 * PAGE, 0), ENOMEM);
    Ok(())
}

fn mremap_dontunmap() -> Outcome {
    let memory = Map::anonymous(2 * PAGE)?;
    memory.set(0, 4);
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_DONTUNMAP;
    let moved = Map::own(
        sys!(SYS_mremap, &memory, 2 * PAGE, 2 * PAGE, flags)?,
        2 * PAGE,
    );
    check!(moved.addr() != memory.addr());
    check_eq!((moved.get(0), memory.get(0)), (4, 0));
    errno_is!(sys!(SYS_mremap, &memory, 2 * PAGE, 3 * PAGE, flags), EINVAL);
    Ok(())
}

fn mremap_errors() -> Outcome {
    let memory = Map::anonymous(2 * PAGE)?;
    errno_is!(sys!(SYS_mremap, memory.addr() + 1, PAGE, PAGE, 0), EINVAL);
    errno_is!(sys!(SYS_mremap, &memory, PAGE, 0, 0), EINVAL);
    errno_is!(sys!(SYS_mremap, &memory, PAGE, PAGE, 0x100), EINVAL);
    errno_is!(
        sys!(SYS_mremap, &memory, 0, PAGE, libc::MREMAP_MAYMOVE),
        EINVAL
    );
    let addr = memory.addr();
    drop(memory);
    errno_is!(
        sys!(SYS_mremap, addr, PAGE, 2 * PAGE, libc::MREMAP_MAYMOVE),
        EFAULT
    );
    Ok(())
}

fn mremap_of_a_file_mapping() -> Outcome {
    let mut bytes = vec![1_u8; PAGE];
    bytes.extend([2; PAGE]);
    let file = TempDir::new()?.open_file("f", &bytes)?;
    let memory = Map::new(PAGE, RW, libc::MAP_SHARED, &file, 0)?;
    let addr = memory.forget();
    let grown = Map::own(
        sys!(SYS_mremap, addr, PAGE, 2 * PAGE, libc::MREMAP_MAYMOVE)?,
        2 * PAGE,
    );
    check_eq!((grown.get(0), grown.get(PAGE)), (1, 2));
    grown.set(PAGE, 3);
    check_eq!(file.pread(1, PAGE as i64)?, [3]);
    Ok(())
}

fn mremap_of_zero_duplicates_shared_memory() -> Outcome {
    let memory = Map::shared(PAGE)?;
    memory.set(0, 1);
    let copy = Map::own(
        sys!(SYS_mremap, &memory, 0, PAGE, libc::MREMAP_MAYMOVE)?,
        PAGE,
    );
    copy.set(0, 2);
    check_eq!(memory.get(0), 2);
    Ok(())
}

fn msync_errors() -> Outcome {
    let memory = Map::anonymous(3 * PAGE)?;
    errno_is!(
        sys!(SYS_msync, memory.addr() + 1, PAGE, libc::MS_SYNC),
        EINVAL
    );
    errno_is!(
        sys!(SYS_msync, &memory, PAGE, libc::MS_SYNC | libc::MS_ASYNC),
        EINVAL
    );
    errno_is!(sys!(SYS_msync, &memory, PAGE, 0x80), EINVAL);
    sys!(SYS_msync, &memory, 3 * PAGE, libc::MS_ASYNC)?;
    sys!(SYS_msync, &memory, 0, libc::MS_SYNC)?;
    sys!(SYS_munmap, memory.addr() + PAGE, PAGE)?;
    errno_is!(sys!(SYS_msync, &memory, 3 * PAGE, libc::MS_SYNC), ENOMEM);
    Ok(())
}

fn mincore_reports_residency() -> Outcome {
    let memory = Map::anonymous(4 * PAGE)?;
    memory.set(PAGE, 1);
    let mut residency = [0xff_u8; 4];
    sys!(SYS_mincore, &memory, 4 * PAGE, &mut residency)?;
    check_eq!(residency[1] & 1, 1);
    errno_is!(
        sys!(SYS_mincore, memory.addr() + 1, PAGE, &mut residency),
        EINVAL
    );
    errno_is!(sys!(SYS_mincore, &memory, PAGE, 8), EFAULT);
    sys!(SYS_munmap, memory.addr() + 2 * PAGE, PAGE)?;
    errno_is!(sys!(SYS_mincore, &memory, 4 * PAGE, &mut residency), ENOMEM);
    Ok(())
}

fn mlock_limits() -> Outcome {
    let memory = Map::anonymous(16 * PAGE)?;
    process::in_child(|| {
        crate::support::creds::become_user(1000, 1000)?;
        let limit = libc::rlimit {
            rlim_cur: 8 * PAGE as u64,
            rlim_max: 8 * PAGE as u64,
        };
        sys!(SYS_prlimit64, 0, libc::RLIMIT_MEMLOCK, &limit, 0)?;
        sys!(SYS_mlock, &memory, 4 * PAGE)?;
        errno_is!(sys!(SYS_mlock, &memory, 16 * PAGE), ENOMEM);
        errno_is!(
            Map::new(16 * PAGE, RW, ANON | libc::MAP_LOCKED, -1, 0),
            EAGAIN
        );
        sys!(SYS_munlock, &memory, 4 * PAGE)?;
        let none = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        sys!(SYS_prlimit64, 0, libc::RLIMIT_MEMLOCK, &none, 0)?;
        errno_is!(sys!(SYS_mlock, &memory, PAGE), EPERM);
        errno_is!(sys!(SYS_mlockall, libc::MCL_CURRENT), EPERM);
        Ok(())
    })
}

fn mlockall_and_status() -> Outcome {
    let memory = Map::anonymous(8 * PAGE)?;
    sys!(SYS_mlock, &memory, 8 * PAGE)?;
    check_eq!(proc::field("/proc/self/status", "VmLck")?, "32 kB");
    let mut residency = [0_u8; 8];
    sys!(SYS_mincore, &memory, 8 * PAGE, &mut residency)?;
    check_eq!(residency.map(|page| page & 1), [1; 8]);
    sys!(SYS_munlockall)?;
    check_eq!(proc::field("/proc/self/status", "VmLck")?, "0 kB");
    errno_is!(sys!(SYS_mlockall, 0), EINVAL);
    errno_is!(sys!(SYS_mlockall, 8), EINVAL);
    errno_is!(sys!(SYS_mlock2, &memory, PAGE, 2), EINVAL);
    let addr = memory.addr();
    drop(memory);
    errno_is!(sys!(SYS_mlock, addr, PAGE), ENOMEM);
    Ok(())
}

fn memfd_is_a_file_in_memory() -> Outcome {
    let file = fd::memfd(0)?;
    file.write(b"hello")?;
    check_eq!(file.pread(10, 0)?, b"hello");
    check_eq!(file.stat()?.st_mode & libc::S_IFMT, libc::S_IFREG);
    check_eq!(file.stat()?.st_nlink, 0);
    let link = std::fs::read_link(format!("/proc/self/fd/{}", file.number()))?;
    check_eq!(link.to_string_lossy(), "/memfd:test (deleted)");
    let memory = Map::new(PAGE, RW, libc::MAP_SHARED, &file, 0)?;
    memory.set(0, b'J');
    check_eq!(file.pread(10, 0)?, b"Jello");
    file.truncate(0)?;
    check_eq!(file.stat()?.st_size, 0);
    Ok(())
}

fn seals(file: &fd::Fd) -> Result<i32, sys::SysError> {
    sys!(SYS_fcntl, file, libc::F_GET_SEALS).map(|seals| seals as i32)
}

fn memfd_seals() -> Outcome {
    let file = fd::memfd(libc::MFD_ALLOW_SEALING)?;
    file.write(b"0123456789")?;
    check_eq!(seals(&file)?, 0);
    sys!(SYS_fcntl, &file, libc::F_ADD_SEALS, libc::F_SEAL_SHRINK)?;
    errno_is!(file.truncate(5), EPERM);
    file.truncate(20)?;
    sys!(SYS_fcntl, &file, libc::F_ADD_SEALS, libc::F_SEAL_GROW)?;
    errno_is!(file.truncate(21), EPERM);
    check_eq!(file.pwrite(b"abcdef", 14)?, 6);
    errno_is!(file.pwrite(b"x", 20), EPERM);
    sys!(
        SYS_fcntl,
        &file,
        libc::F_ADD_SEALS,
        libc::F_SEAL_WRITE | libc::F_SEAL_SEAL
    )?;
    errno_is!(file.pwrite(b"x", 0), EPERM);
    errno_is!(
        sys!(
            SYS_fallocate,
            &file,
            libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
            0,
            4096
        ),
        EPERM
    );
    errno_is!(
        sys!(SYS_fcntl, &file, libc::F_ADD_SEALS, libc::F_SEAL_GROW),
        EPERM
    );
    check_eq!(
        seals(&file)?,
        libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE | libc::F_SEAL_SEAL
    );
    let plain = fd::memfd(0)?;
    check_eq!(seals(&plain)?, libc::F_SEAL_SEAL);
    errno_is!(
        sys!(SYS_fcntl, &plain, libc::F_ADD_SEALS, libc::F_SEAL_WRITE),
        EPERM
    );
    errno_is!(
        sys!(
            SYS_fcntl,
            &fd::memfd(libc::MFD_ALLOW_SEALING)?,
            libc::F_ADD_SEALS,
            0x8000
        ),
        EINVAL
    );
    let (reader, _writer) = fd::pipe(0)?;
    errno_is!(seals(&reader), EINVAL);
    Ok(())
}

fn memfd_write_seal_and_mappings() -> Outcome {
    let file = fd::memfd(libc::MFD_ALLOW_SEALING)?;
    file.truncate(PAGE as i64)?;
    let writable = Map::new(PAGE, RW, libc::MAP_SHARED, &file, 0)?;
    errno_is!(
        sys!(SYS_fcntl, &file, libc::F_ADD_SEALS, libc::F_SEAL_WRITE),
        EBUSY
    );
    sys!(
        SYS_fcntl,
        &file,
        libc::F_ADD_SEALS,
        libc::F_SEAL_FUTURE_WRITE
    )?;
    writable.set(0, 1);
    errno_is!(Map::new(PAGE, RW, libc::MAP_SHARED, &file, 0), EPERM);
    errno_is!(file.pwrite(b"x", 0), EPERM);
    drop(writable);
    sys!(SYS_fcntl, &file, libc::F_ADD_SEALS, libc::F_SEAL_WRITE)?;
    check_eq!(
        Map::new(PAGE, libc::PROT_READ, libc::MAP_SHARED, &file, 0)?.get(0),
        1
    );
    Map::new(PAGE, RW, libc::MAP_PRIVATE, &file, 0)?.set(0, 2);
    Ok(())
}

fn memfd_flags() -> Outcome {
    errno_is!(fd::memfd(0x8000), EINVAL);
    let long = crate::support::file::cstring(&"n".repeat(250));
    errno_is!(sys!(SYS_memfd_create, &long, 0), EINVAL);
    errno_is!(sys!(SYS_memfd_create, 8, 0), EFAULT);
    let closing = fd::memfd(libc::MFD_CLOEXEC)?;
    check_eq!(
        sys!(SYS_fcntl, &closing, libc::F_GETFD)?,
        i64::from(libc::FD_CLOEXEC)
    );
    Ok(())
}

fn memfd_shared_between_processes() -> Outcome {
    let file = fd::memfd(0)?;
    file.truncate(PAGE as i64)?;
    process::in_child(|| {
        let memory = Map::new(PAGE, RW, libc::MAP_SHARED, &file, 0)?;
        memory.fill(10, b"from the child");
        Ok(())
    })?;
    check_eq!(file.pread(14, 10)?, b"from the child");
    Ok(())
}

fn process_vm_reads_and_writes() -> Outcome {
    let memory = Map::anonymous(PAGE)?;
    memory.fill(0, b"parent");
    let mut child = process::fork_sleeper()?;
    let mut buffer = *b"......";
    let local = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: 6,
    };
    let remote = libc::iovec {
        iov_base: memory.addr() as *mut libc::c_void,
        iov_len: 6,
    };
    check_eq!(
        sys!(SYS_process_vm_readv, child.pid, &local, 1, &remote, 1, 0)?,
        6
    );
    check_eq!(&buffer, b"parent");
    buffer.copy_from_slice(b"inject");
    check_eq!(
        sys!(SYS_process_vm_writev, child.pid, &local, 1, &remote, 1, 0)?,
        6
    );
    buffer.copy_from_slice(b"......");
    sys!(SYS_process_vm_readv, child.pid, &local, 1, &remote, 1, 0)?;
    check_eq!(&buffer, b"inject");
    check_eq!(memory.bytes(0, 6), b"parent");
    let bad = libc::iovec {
        iov_base: 8 as *mut libc::c_void,
        iov_len: 6,
    };
    errno_is!(
        sys!(SYS_process_vm_readv, child.pid, &local, 1, &bad, 1, 0),
        EFAULT
    );
    errno_is!(
        sys!(SYS_process_vm_readv, 4_000_000, &local, 1, &remote, 1, 0),
        ESRCH
    );
    errno_is!(
        sys!(SYS_process_vm_readv, child.pid, &local, 1, &remote, 1, 1),
        EINVAL
    );
    child.kill(libc::SIGKILL)?;
    child.wait()?;
    Ok(())
}

fn membarrier_and_caches() -> Outcome {
    const QUERY: i32 = 0;
    const GLOBAL: i32 = 1;
    const PRIVATE_EXPEDITED: i32 = 8;
    const REGISTER_PRIVATE_EXPEDITED: i32 = 16;
    let commands = sys!(SYS_membarrier, QUERY, 0, 0)? as i32;
    check!(
        commands & GLOBAL != 0 && commands & PRIVATE_EXPEDITED != 0,
        "{commands:#x}"
    );
    errno_is!(sys!(SYS_membarrier, PRIVATE_EXPEDITED, 0, 0), EPERM);
    sys!(SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0)?;
    sys!(SYS_membarrier, PRIVATE_EXPEDITED, 0, 0)?;
    sys!(SYS_membarrier, GLOBAL, 0, 0)?;
    errno_is!(sys!(SYS_membarrier, 1 << 20, 0, 0), EINVAL);
    errno_is!(sys!(SYS_membarrier, QUERY, 1, 0), EINVAL);
    Ok(())
}
