//! mmap(2), munmap(2), mprotect(2), brk(2), and what faults show of them.

use crate::case::Outcome;
use crate::support::fd;
use crate::support::file::TempDir;
use crate::support::map::{self, ANON, Map, PAGE, RW, SHARED_ANON};
use crate::support::process;
use crate::support::{proc, time};
use crate::sys;

cases!(
    anonymous_memory_is_zero,
    errors,
    length_is_rounded_up,
    fixed_replaces,
    fixed_noreplace_refuses,
    zero_page_needs_privilege,
    private_file_mapping_keeps_its_changes,
    shared_file_mapping_writes_through,
    write_and_shared_mapping_agree,
    file_mapping_at_an_offset,
    file_mapping_permissions,
    mapping_outlives_the_descriptor_and_the_name,
    extended_file_is_seen,
    shared_anonymous_memory_over_fork,
    private_memory_is_copied_on_write,
    many_generations_of_copies,
    copy_on_write_of_file_pages,
    munmap_in_the_middle_splits,
    munmap_errors,
    mprotect_changes_access,
    mprotect_splits_and_merges,
    mprotect_errors,
    mprotect_of_a_read_only_shared_file_is_eacces,
    execute_after_mprotect,
    grows_down,
    main_stack_grows,
    stack_limit_is_enforced,
    brk_moves,
    brk_stops_at_its_limit,
    address_space_limit_is_enomem,
    data_limit_is_enomem,
    huge_reservation_is_cheap,
    unbacked_demand_fails_without_harm,
    thread_sees_anothers_mapping,
    threads_race_munmap_and_mprotect,
    threads_race_mapping_and_faults,
    kernel_writes_through_mappings,
    read_into_a_private_file_mapping,
    device_mappings,
    large_pages_flags_are_accepted_or_refused,
);

fn anonymous_memory_is_zero() -> Outcome {
    for flags in [
        ANON,
        SHARED_ANON,
        ANON | libc::MAP_NORESERVE,
        ANON | libc::MAP_POPULATE,
    ] {
        let memory = Map::new(20 * PAGE, RW, flags, -1, 0)?;
        check!(
            (0..20).all(|page| memory.get(page * PAGE) == 0 && memory.get(page * PAGE + 4095) == 0)
        );
        memory.set(5 * PAGE, 9);
        check_eq!(memory.get(5 * PAGE), 9);
    }
    Ok(())
}

fn errors() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"x")?;
    let mmap = |len: usize, prot: i32, flags: i32, fd: i32, offset: i64| {
        sys!(SYS_mmap, 0, len, prot, flags, fd, offset)
    };
    errno_is!(mmap(0, RW, ANON, -1, 0), EINVAL);
    errno_is!(mmap(PAGE, RW, libc::MAP_ANONYMOUS, -1, 0), EINVAL);
    errno_is!(mmap(PAGE, RW, libc::MAP_PRIVATE, -1, 0), EBADF);
    errno_is!(mmap(PAGE, RW, libc::MAP_PRIVATE, file.number(), 1), EINVAL);
    errno_is!(mmap(usize::MAX - 100, RW, ANON, -1, 0), ENOMEM);
    errno_is!(mmap(1 << 47, RW, ANON | libc::MAP_NORESERVE, -1, 0), ENOMEM);
    errno_is!(
        sys!(SYS_mmap, 0x1234, PAGE, RW, ANON | libc::MAP_FIXED, -1, 0),
        EINVAL
    );
    errno_is!(
        sys!(
            SYS_mmap,
            1_u64 << 47,
            PAGE,
            RW,
            ANON | libc::MAP_FIXED,
            -1,
            0
        ),
        ENOMEM
    );
    let (reader, _writer) = fd::pipe(0)?;
    errno_is!(
        mmap(PAGE, libc::PROT_READ, libc::MAP_PRIVATE, reader.number(), 0),
        ENODEV
    );
    let dir = TempDir::new()?;
    errno_is!(
        mmap(
            PAGE,
            libc::PROT_READ,
            libc::MAP_PRIVATE,
            dir.open()?.number(),
            0
        ),
        ENODEV
    );
    errno_is!(
        mmap(
            PAGE,
            RW,
            libc::MAP_SHARED_VALIDATE | libc::MAP_SYNC,
            file.number(),
            0
        ),
        EOPNOTSUPP
    );
    Ok(())
}

fn length_is_rounded_up() -> Outcome {
    let memory = Map::anonymous(1)?;
    memory.set(4095, 1);
    let seen = proc::area_of(memory.addr())?;
    check!(seen.is_some_and(|area| area.end >= memory.addr() + PAGE));
    sys!(SYS_munmap, &memory, 1)?;
    check_eq!(
        map::status_of_read(memory.addr() + 4095)?.signal(),
        Some(libc::SIGSEGV)
    );
    Ok(())
}

fn fixed_replaces() -> Outcome {
    let memory = Map::anonymous(3 * PAGE)?;
    for page in 0..3 {
        memory.set(page * PAGE, 7);
    }
    sys!(
        SYS_mmap,
        memory.addr() + PAGE,
        PAGE,
        libc::PROT_READ,
        ANON | libc::MAP_FIXED,
        -1,
        0
    )?;
    check_eq!(
        (memory.get(0), memory.get(PAGE), memory.get(2 * PAGE)),
        (7, 0, 7)
    );
    check_eq!(
        map::status_of_write(memory.addr() + PAGE)?.signal(),
        Some(libc::SIGSEGV)
    );
    Ok(())
}

fn fixed_noreplace_refuses() -> Outcome {
    let memory = Map::anonymous(2 * PAGE)?;
    memory.set(PAGE, 3);
    let flags = ANON | libc::MAP_FIXED_NOREPLACE;
    errno_is!(
        sys!(SYS_mmap, memory.addr() + PAGE, PAGE, RW, flags, -1, 0),
        EEXIST
    );
    check_eq!(memory.get(PAGE), 3);
    sys!(SYS_munmap, memory.addr() + PAGE, PAGE)?;
    check_eq!(
        sys!(SYS_mmap, memory.addr() + PAGE, PAGE, RW, flags, -1, 0)? as usize,
        memory.addr() + PAGE
    );
    Ok(())
}

fn zero_page_needs_privilege() -> Outcome {
    process::in_child(|| {
        crate::support::creds::become_user(1000, 1000)?;
        errno_is!(
            sys!(SYS_mmap, 0, PAGE, RW, ANON | libc::MAP_FIXED, -1, 0),
            EPERM
        );
        check!(sys!(SYS_mmap, 0x1000, PAGE, RW, ANON, -1, 0)? >= 0x1_0000);
        Ok(())
    })
}

fn private_file_mapping_keeps_its_changes() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"hello")?;
    let memory = Map::new(PAGE, RW, libc::MAP_PRIVATE, &file, 0)?;
    memory.fill(0, b"J");
    check_eq!(memory.bytes(0, 5), b"Jello");
    check_eq!(file.pread(5, 0)?, b"hello");
    // Changes of the file no longer show in a page that has been written to.
    file.pwrite(b"xy", 1)?;
    check_eq!(memory.bytes(0, 5), b"Jello");
    Ok(())
}

fn shared_file_mapping_writes_through() -> Outcome {
    let dir = TempDir::new()?;
    let file = dir.open_file("f", &[b'.'; 3 * PAGE])?;
    let memory = Map::new(3 * PAGE, RW, libc::MAP_SHARED, &file, 0)?;
    memory.fill(PAGE + 10, b"through");
    sys!(SYS_msync, &memory, 3 * PAGE, libc::MS_SYNC)?;
    check_eq!(file.pread(8, PAGE as i64 + 9)?, b".through");
    check_eq!(
        crate::support::file::contents(&dir.join("f"))?.get(PAGE + 10..PAGE + 17),
        Some(&b"through"[..])
    );
    // Two mappings of one file are the same memory.
    let other = Map::new(PAGE, libc::PROT_READ, libc::MAP_SHARED, &file, PAGE as i64)?;
    memory.set(PAGE, b'!');
    check_eq!(other.get(0), b'!');
    Ok(())
}

fn write_and_shared_mapping_agree() -> Outcome {
    let file = TempDir::new()?.open_file("f", &[0; PAGE])?;
    let (shared, private) = (
        Map::new(PAGE, RW, libc::MAP_SHARED, &file, 0)?,
        Map::new(PAGE, RW, libc::MAP_PRIVATE, &file, 0)?,
    );
    check_eq!((shared.get(0), private.get(0)), (0, 0));
    file.pwrite(b"abc", 0)?;
    check_eq!(shared.bytes(0, 3), b"abc");
    check_eq!(private.bytes(0, 3), b"abc");
    shared.set(1, b'X');
    check_eq!(file.pread(3, 0)?, b"aXc");
    check_eq!(private.get(1), b'X');
    Ok(())
}

fn file_mapping_at_an_offset() -> Outcome {
    let mut bytes = vec![0_u8; 5 * PAGE];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = (index / PAGE) as u8 + 1;
    }
    let file = TempDir::new()?.open_file("f", &bytes)?;
    let memory = Map::new(
        2 * PAGE,
        libc::PROT_READ,
        libc::MAP_PRIVATE,
        &file,
        3 * PAGE as i64,
    )?;
    check_eq!(
        (memory.get(0), memory.get(PAGE), memory.get(2 * PAGE - 1)),
        (4, 5, 5)
    );
    let area = proc::area_of(memory.addr())?;
    check!(area.is_some_and(|area| area.offset == 3 * PAGE as u64
        && area.inode != 0
        && area.perms == "r--p"));
    Ok(())
}

fn file_mapping_permissions() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"x")?;
    let (read, write) = (
        fd::open(&path, libc::O_RDONLY, 0)?,
        fd::open(&path, libc::O_WRONLY, 0)?,
    );
    errno_is!(Map::new(PAGE, RW, libc::MAP_SHARED, &read, 0), EACCES);
    errno_is!(
        Map::new(PAGE, libc::PROT_READ, libc::MAP_SHARED, &write, 0),
        EACCES
    );
    errno_is!(
        Map::new(PAGE, libc::PROT_READ, libc::MAP_PRIVATE, &write, 0),
        EACCES
    );
    Map::new(PAGE, RW, libc::MAP_PRIVATE, &read, 0)?;
    Map::new(PAGE, libc::PROT_READ, libc::MAP_SHARED, &read, 0)?;
    errno_is!(
        Map::new(
            PAGE,
            libc::PROT_READ,
            libc::MAP_PRIVATE,
            &fd::open(&path, libc::O_PATH, 0)?,
            0
        ),
        EBADF
    );
    Ok(())
}

fn mapping_outlives_the_descriptor_and_the_name() -> Outcome {
    let dir = TempDir::new()?;
    let file = dir.open_file("f", b"still here")?;
    let memory = Map::new(PAGE, RW, libc::MAP_SHARED, &file, 0)?;
    drop(file);
    sys!(SYS_unlink, &dir.join("f"))?;
    check_eq!(memory.bytes(0, 10), b"still here");
    memory.set(0, b'S');
    check_eq!(memory.get(0), b'S');
    let area = proc::area_of(memory.addr())?;
    check!(area.is_some_and(|area| area.name == format!("{}/f (deleted)", dir.path())));
    Ok(())
}

fn extended_file_is_seen() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"")?;
    let memory = Map::new(2 * PAGE, RW, libc::MAP_SHARED, &file, 0)?;
    check_eq!(
        map::status_of_read(memory.addr())?.signal(),
        Some(libc::SIGBUS)
    );
    file.truncate(PAGE as i64 + 1)?;
    file.pwrite(b"z", PAGE as i64)?;
    check_eq!((memory.get(0), memory.get(PAGE)), (0, b'z'));
    Ok(())
}

fn shared_anonymous_memory_over_fork() -> Outcome {
    let memory = Map::shared(3 * PAGE)?;
    process::in_child(|| {
        memory.set(2 * PAGE, 42);
        memory.set(0, 1);
        Ok(())
    })?;
    check_eq!(
        (memory.get(0), memory.get(PAGE), memory.get(2 * PAGE)),
        (1, 0, 42)
    );
    Ok(())
}

fn private_memory_is_copied_on_write() -> Outcome {
    let memory = Map::anonymous(64 * PAGE)?;
    for page in 0..64 {
        memory.set(page * PAGE, page as u8);
    }
    let (ready, tell) = fd::pipe(0)?;
    let (go, signal) = fd::pipe(0)?;
    let mut child = process::fork(|| {
        for page in 0..32 {
            memory.set(page * PAGE, 200);
        }
        let _ = tell.write(b"r");
        let _ = go.read(1);
        i32::from((32..64).all(|page| memory.get(page * PAGE) == page as u8))
    })?;
    ready.read(1)?;
    check!((0..64).all(|page| memory.get(page * PAGE) == page as u8));
    for page in 32..64 {
        memory.set(page * PAGE, 100);
    }
    signal.write(b"g")?;
    check_eq!(child.wait()?.code(), Some(1));
    check!((0..32).all(|page| memory.get(page * PAGE) == page as u8));
    Ok(())
}

fn many_generations_of_copies() -> Outcome {
    let memory = Map::anonymous(8 * PAGE)?;
    fn generation(memory: &Map, depth: u8) -> Outcome {
        memory.set(usize::from(depth % 8) * PAGE, depth);
        if depth < 20 {
            process::in_child(|| generation(memory, depth + 1))?;
        }
        check_eq!(memory.get(usize::from(depth % 8) * PAGE), depth);
        Ok(())
    }
    generation(&memory, 1)
}

fn copy_on_write_of_file_pages() -> Outcome {
    let file = TempDir::new()?.open_file("f", &[1; 4 * PAGE])?;
    let memory = Map::new(4 * PAGE, RW, libc::MAP_PRIVATE, &file, 0)?;
    memory.set(0, 2);
    process::in_child(|| {
        check_eq!((memory.get(0), memory.get(PAGE)), (2, 1));
        memory.set(0, 3);
        memory.set(PAGE, 3);
        Ok(())
    })?;
    check_eq!((memory.get(0), memory.get(PAGE)), (2, 1));
    check_eq!(file.pread(1, 0)?, [1]);
    Ok(())
}

fn munmap_in_the_middle_splits() -> Outcome {
    let memory = Map::anonymous(5 * PAGE)?;
    memory.set(0, 1);
    memory.set(4 * PAGE, 5);
    sys!(SYS_munmap, memory.addr() + PAGE, 3 * PAGE)?;
    check_eq!((memory.get(0), memory.get(4 * PAGE)), (1, 5));
    for page in 1..4 {
        check_eq!(
            map::status_of_read(memory.addr() + page * PAGE)?.signal(),
            Some(libc::SIGSEGV)
        );
    }
    // Holes in the range are no error.
    sys!(SYS_munmap, &memory, 5 * PAGE)?;
    sys!(SYS_munmap, &memory, 5 * PAGE)?;
    Ok(())
}

fn munmap_errors() -> Outcome {
    let memory = Map::anonymous(PAGE)?;
    errno_is!(sys!(SYS_munmap, memory.addr() + 1, PAGE), EINVAL);
    errno_is!(sys!(SYS_munmap, &memory, 0), EINVAL);
    errno_is!(sys!(SYS_munmap, &memory, usize::MAX), EINVAL);
    errno_is!(sys!(SYS_munmap, 1_u64 << 47, PAGE), EINVAL);
    Ok(())
}

fn mprotect_changes_access() -> Outcome {
    let memory = Map::anonymous(3 * PAGE)?;
    memory.set(PAGE, 8);
    sys!(SYS_mprotect, memory.addr() + PAGE, PAGE, libc::PROT_READ)?;
    check_eq!(memory.get(PAGE), 8);
    check_eq!(
        map::status_of_write(memory.addr() + PAGE)?.signal(),
        Some(libc::SIGSEGV)
    );
    sys!(SYS_mprotect, memory.addr() + PAGE, PAGE, libc::PROT_NONE)?;
    check_eq!(
        map::status_of_read(memory.addr() + PAGE)?.signal(),
        Some(libc::SIGSEGV)
    );
    memory.set(0, 1);
    memory.set(2 * PAGE, 1);
    sys!(SYS_mprotect, &memory, 3 * PAGE, RW)?;
    check_eq!(memory.get(PAGE), 8);
    memory.set(PAGE, 9);
    Ok(())
}

fn mprotect_splits_and_merges() -> Outcome {
    let place = Map::new(7 * PAGE, libc::PROT_NONE, ANON, -1, 0)?;
    let start = place.addr() + PAGE;
    let areas = || -> Result<Vec<String>, crate::case::Failure> {
        let inside = |area: &proc::Area| area.start >= start && area.start < start + 5 * PAGE;
        Ok(proc::maps()?
            .into_iter()
            .filter(inside)
            .map(|area| area.perms)
            .collect())
    };
    sys!(SYS_mprotect, start, 5 * PAGE, RW)?;
    check_eq!(areas()?, ["rw-p"]);
    sys!(SYS_mprotect, start + PAGE, PAGE, libc::PROT_READ)?;
    check_eq!(areas()?, ["rw-p", "r--p", "rw-p"]);
    sys!(SYS_mprotect, start + PAGE, PAGE, RW)?;
    check_eq!(areas()?, ["rw-p"]);
    Ok(())
}

fn mprotect_errors() -> Outcome {
    let memory = Map::anonymous(2 * PAGE)?;
    errno_is!(sys!(SYS_mprotect, memory.addr() + 1, PAGE, RW), EINVAL);
    errno_is!(sys!(SYS_mprotect, &memory, PAGE, 0x4000_0000), EINVAL);
    check_eq!(sys!(SYS_mprotect, &memory, 0, RW)?, 0);
    sys!(SYS_munmap, memory.addr() + PAGE, PAGE)?;
    // What lies before the hole is changed.
    errno_is!(
        sys!(SYS_mprotect, &memory, 2 * PAGE, libc::PROT_READ),
        ENOMEM
    );
    check_eq!(
        map::status_of_write(memory.addr())?.signal(),
        Some(libc::SIGSEGV)
    );
    Ok(())
}

fn mprotect_of_a_read_only_shared_file_is_eacces() -> Outcome {
    let dir = TempDir::new()?;
    let file = fd::open(&dir.file("f", b"x")?, libc::O_RDONLY, 0)?;
    let shared = Map::new(PAGE, libc::PROT_READ, libc::MAP_SHARED, &file, 0)?;
    errno_is!(sys!(SYS_mprotect, &shared, PAGE, RW), EACCES);
    let private = Map::new(PAGE, libc::PROT_READ, libc::MAP_PRIVATE, &file, 0)?;
    sys!(SYS_mprotect, &private, PAGE, RW)?;
    private.set(0, b'y');
    Ok(())
}

fn execute_after_mprotect() -> Outcome {
    let memory = Map::anonymous(PAGE)?;
    // mov eax, 42; ret
    memory.fill(0, &[0xb8, 42, 0, 0, 0, 0xc3]);
    sys!(
        SYS_mprotect,
        &memory,
        PAGE,
        libc::PROT_READ | libc::PROT_EXEC
    )?;
    check_eq!(map::execute(memory.addr()), 42);
    // Changing code through a writable mapping, as just-in-time compilers do.
    for value in 0..20_u8 {
        sys!(SYS_mprotect, &memory, PAGE, RW)?;
        memory.set(1, value);
        sys!(
            SYS_mprotect,
            &memory,
            PAGE,
            libc::PROT_READ | libc::PROT_EXEC
        )?;
        check_eq!(map::execute(memory.addr()), u64::from(value));
    }
    Ok(())
}

fn grows_down() -> Outcome {
    let place = Map::new(600 * PAGE, libc::PROT_NONE, ANON, -1, 0)?;
    let top = place.addr() + 599 * PAGE;
    drop(place);
    let flags = ANON | libc::MAP_GROWSDOWN | libc::MAP_FIXED;
    sys!(SYS_mmap, top - PAGE, PAGE, RW, flags, -1, 0)?;
    for page in 1..=20 {
        map::poke(top - page * PAGE, page as u8);
    }
    let area = proc::area_of(top - 1)?;
    check!(
        area.is_some_and(|area| area.start == top - 20 * PAGE),
        "{:?}",
        proc::area_of(top - 1)?
    );
    sys!(SYS_munmap, top - 20 * PAGE, 20 * PAGE)?;
    Ok(())
}

fn main_stack_grows() -> Outcome {
    fn deep(level: usize) -> usize {
        let local = std::hint::black_box([level as u8; 8192]);
        if level == 0 {
            0
        } else {
            deep(level - 1) + usize::from(local[100] == level as u8)
        }
    }
    check_eq!(deep(300), 300);
    Ok(())
}

fn stack_limit_is_enforced() -> Outcome {
    let status = process::status_of(|| {
        let limit = libc::rlimit {
            rlim_cur: 256 << 10,
            rlim_max: 256 << 10,
        };
        let _ = sys!(SYS_prlimit64, 0, libc::RLIMIT_STACK, &limit, 0);
        let here = 0_u8;
        let address = std::ptr::from_ref(&here) as usize;
        for page in 0..200 {
            map::poke(address - 8192 - page * PAGE, 0);
        }
        0
    })?;
    check_eq!(status.signal(), Some(libc::SIGSEGV));
    Ok(())
}

fn brk_moves() -> Outcome {
    let start = sys!(SYS_brk, 0)? as usize;
    let end = start.next_multiple_of(PAGE) + 4 * PAGE;
    check_eq!(sys!(SYS_brk, end)? as usize, end);
    map::poke(end - 1, 77);
    check_eq!(map::peek(end - PAGE), 0);
    check_eq!(sys!(SYS_brk, end - 2 * PAGE)? as usize, end - 2 * PAGE);
    check_eq!(map::status_of_read(end - 1)?.signal(), Some(libc::SIGSEGV));
    check_eq!(sys!(SYS_brk, end)? as usize, end);
    check_eq!(map::peek(end - 1), 0);
    // Below the start nothing happens, and the old value is returned.
    check_eq!(sys!(SYS_brk, 4096)? as usize, end);
    let area = proc::area_of(end - 1)?;
    check!(area.is_some_and(|area| area.name == "[heap]" && area.perms == "rw-p"));
    Ok(())
}

fn brk_stops_at_its_limit() -> Outcome {
    let start = sys!(SYS_brk, 0)? as usize;
    let limit = libc::rlimit {
        rlim_cur: 1 << 20,
        rlim_max: libc::RLIM_INFINITY,
    };
    sys!(SYS_prlimit64, 0, libc::RLIMIT_DATA, &limit, 0)?;
    check_eq!(sys!(SYS_brk, start + (64 << 20))? as usize, start);
    check_eq!(sys!(SYS_brk, start + (1 << 46))? as usize, start);
    Ok(())
}

fn address_space_limit_is_enomem() -> Outcome {
    let used = proc::field("/proc/self/status", "VmSize")?;
    let kib: u64 = used
        .split(' ')
        .next()
        .and_then(|size| size.parse().ok())
        .unwrap_or(0);
    check!(kib > 0);
    let limit = libc::rlimit {
        rlim_cur: (kib << 10) + (16 << 20),
        rlim_max: libc::RLIM_INFINITY,
    };
    sys!(SYS_prlimit64, 0, libc::RLIMIT_AS, &limit, 0)?;
    errno_is!(Map::anonymous(32 << 20), ENOMEM);
    Map::anonymous(4 << 20)?;
    Ok(())
}

fn data_limit_is_enomem() -> Outcome {
    let limit = libc::rlimit {
        rlim_cur: 16 << 20,
        rlim_max: libc::RLIM_INFINITY,
    };
    sys!(SYS_prlimit64, 0, libc::RLIMIT_DATA, &limit, 0)?;
    errno_is!(Map::anonymous(64 << 20), ENOMEM);
    // Only private writable memory counts.
    Map::new(64 << 20, libc::PROT_READ, ANON, -1, 0)?;
    Map::shared(64 << 20)?;
    Ok(())
}

fn huge_reservation_is_cheap() -> Outcome {
    if std::fs::read("/proc/sys/vm/overcommit_memory")? == b"2\n" {
        skip!("vm.overcommit_memory is 2: reservations count against a limit");
    }
    let len = 1_usize << 40;
    let memory = Map::new(len, libc::PROT_NONE, ANON | libc::MAP_NORESERVE, -1, 0)?;
    sys!(SYS_mprotect, memory.addr() + (len / 2), PAGE, RW)?;
    memory.set(len / 2, 1);
    let sparse = Map::new(64 << 30, RW, ANON | libc::MAP_NORESERVE, -1, 0)?;
    for gib in 0..64 {
        sparse.set(gib << 30, 1);
    }
    Ok(())
}

/// More than any machine has: ENOMEM at the call, or never backed; not a dead system.
fn unbacked_demand_fails_without_harm() -> Outcome {
    // 32 TiB: there is room for one of them where mappings grow upwards (an unlimited stack).
    if let Err(error) = Map::new(1 << 45, RW, ANON, -1, 0) {
        check_eq!(error.errno, libc::ENOMEM);
    }
    if std::fs::read("/proc/sys/vm/overcommit_memory")? == b"0\n" {
        // Shared memory is counted as well, but not what is only reserved.
        errno_is!(
            Map::new(1 << 45, RW, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0),
            ENOMEM
        );
        Map::new(1 << 45, RW, ANON | libc::MAP_NORESERVE, -1, 0)?;
        Map::new(1 << 45, libc::PROT_READ, ANON, -1, 0)?;
    }
    let memory = Map::anonymous(1 << 20)?;
    memory.set(0, 1);
    Ok(())
}

fn thread_sees_anothers_mapping() -> Outcome {
    let Ok(mapped) = std::thread::spawn(|| {
        Map::anonymous(PAGE).map(|memory| {
            memory.set(0, 99);
            memory.forget()
        })
    })
    .join() else {
        fail!("the thread panicked")
    };
    check_eq!(map::peek(mapped?), 99);
    Ok(())
}

/// No thread ever reads a wrong byte: what is mapped holds its pattern, the rest faults in a child.
fn threads_race_munmap_and_mprotect() -> Outcome {
    let memory = Map::anonymous(64 * PAGE)?;
    let base = memory.addr();
    let end = time::monotonic_ns() + 300 * time::MS;
    let threads: Vec<_> = (0..8)
        .map(|thread: usize| {
            std::thread::spawn(move || {
                let (own, mut rounds) = (base + thread * 8 * PAGE, 0_u32);
                while rounds == 0 || time::monotonic_ns() < end {
                    let fixed = ANON | libc::MAP_FIXED;
                    let mapped = sys!(SYS_mmap, own, 8 * PAGE, RW, fixed, -1, 0).is_ok();
                    if !mapped || (0..8).any(|page| map::peek(own + page * PAGE) != 0) {
                        return None;
                    }
                    (0..8).for_each(|page| map::poke(own + page * PAGE, thread as u8 + 1));
                    let _ = sys!(SYS_mprotect, own, 4 * PAGE, libc::PROT_READ);
                    if (0..8).any(|page| map::peek(own + page * PAGE) != thread as u8 + 1) {
                        return None;
                    }
                    let _ = sys!(SYS_munmap, own + 2 * PAGE, PAGE);
                    rounds += 1;
                }
                Some(rounds)
            })
        })
        .collect();
    for thread in threads {
        check!(thread.join().ok().flatten().is_some(), "a wrong byte");
    }
    Ok(())
}

fn threads_race_mapping_and_faults() -> Outcome {
    let memory = Map::anonymous(256 * PAGE)?;
    let base = memory.addr();
    let end = time::monotonic_ns() + 200 * time::MS;
    let dropper = std::thread::spawn(move || {
        while time::monotonic_ns() < end {
            let _ = sys!(SYS_madvise, base, 256 * PAGE, libc::MADV_DONTNEED);
        }
    });
    let writers: Vec<_> = (0..4)
        .map(|thread: usize| {
            std::thread::spawn(move || {
                while time::monotonic_ns() < end {
                    for page in 0..256 {
                        let addr = base + page * PAGE + thread;
                        map::poke(addr, thread as u8 + 1);
                        let seen = map::peek(addr);
                        // Dropped in between, or still there.
                        if seen != 0 && seen != thread as u8 + 1 {
                            return false;
                        }
                    }
                }
                true
            })
        })
        .collect();
    for writer in writers {
        check_eq!(writer.join().ok(), Some(true));
    }
    check!(dropper.join().is_ok());
    Ok(())
}

/// A call that stores its result in untouched, copied or shared memory.
fn kernel_writes_through_mappings() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"0123456789")?;
    for flags in [ANON, SHARED_ANON] {
        let memory = Map::new(4 * PAGE, RW, flags, -1, 0)?;
        check_eq!(
            sys!(SYS_pread64, &file, memory.addr() + PAGE - 5, 10, 0)?,
            10
        );
        check_eq!(memory.bytes(PAGE - 5, 10), b"0123456789");
    }
    let memory = Map::anonymous(2 * PAGE)?;
    memory.set(0, 1);
    memory.set(PAGE, 1);
    process::in_child(|| {
        sys!(SYS_pread64, &file, memory.addr(), 10, 0)?;
        check_eq!(memory.bytes(0, 3), b"012");
        Ok(())
    })?;
    check_eq!(memory.get(0), 1);
    sys!(SYS_mprotect, &memory, PAGE, libc::PROT_READ)?;
    errno_is!(sys!(SYS_pread64, &file, &memory, 10, 0), EFAULT);
    errno_is!(sys!(SYS_pread64, &file, proc_text(), 10, 0), EFAULT);
    Ok(())
}

/// An address in this program's code.
fn proc_text() -> usize {
    kernel_writes_through_mappings as fn() -> Outcome as usize
}

fn read_into_a_private_file_mapping() -> Outcome {
    let dir = TempDir::new()?;
    let file = dir.open_file("f", b"original")?;
    let other = dir.open_file("g", b"replaced")?;
    let memory = Map::new(PAGE, RW, libc::MAP_PRIVATE, &file, 0)?;
    sys!(SYS_pread64, &other, &memory, 8, 0)?;
    check_eq!(memory.bytes(0, 8), b"replaced");
    check_eq!(file.pread(8, 0)?, b"original");
    // A file read into a shared mapping of itself.
    let shared = Map::new(PAGE, RW, libc::MAP_SHARED, &file, 0)?;
    sys!(SYS_pread64, &file, shared.addr() + 4, 4, 0)?;
    check_eq!(file.pread(8, 0)?, b"origorig");
    Ok(())
}

fn device_mappings() -> Outcome {
    let zero = fd::open(c"/dev/zero", libc::O_RDWR, 0)?;
    let private = Map::new(2 * PAGE, RW, libc::MAP_PRIVATE, &zero, 0)?;
    private.set(PAGE, 4);
    check_eq!((private.get(0), private.get(PAGE)), (0, 4));
    let shared = Map::new(PAGE, RW, libc::MAP_SHARED, &zero, 0)?;
    process::in_child(|| {
        shared.set(0, 6);
        Ok(())
    })?;
    check_eq!(shared.get(0), 6);
    let null = fd::open(c"/dev/null", libc::O_RDWR, 0)?;
    errno_is!(Map::new(PAGE, RW, libc::MAP_PRIVATE, &null, 0), ENODEV);
    Ok(())
}

fn large_pages_flags_are_accepted_or_refused() -> Outcome {
    let memory = Map::new(4 << 20, RW, ANON, -1, 0)?;
    match sys!(SYS_madvise, &memory, 4 << 20, libc::MADV_HUGEPAGE) {
        Ok(_) => {}
        Err(error) => check_eq!(error.errno, libc::EINVAL),
    }
    memory.set(3 << 20, 1);
    match Map::new(2 << 20, RW, ANON | libc::MAP_HUGETLB, -1, 0) {
        Ok(huge) => huge.set(0, 1),
        Err(error) => check_eq!(error.errno, libc::ENOMEM),
    }
    let mut usage = sys::zeroed::<libc::rusage>();
    sys!(SYS_getrusage, libc::RUSAGE_SELF, &mut usage)?;
    check!(usage.ru_minflt > 0);
    Ok(())
}
