//! truncate(2), fallocate(2), `SEEK_DATA` and `SEEK_HOLE`, fsync(2), and tmpfs as a store.

use crate::case::Outcome;
use crate::support::fd::{self, Fd};
use crate::support::file::{self, TempDir};
use crate::support::map::{Map, PAGE, RW};
use crate::support::{creds, process};
use crate::sys::SysResult;

cases!(
    truncate_cuts_and_extends,
    truncated_bytes_come_back_as_zero,
    truncate_errors,
    fallocate_extends,
    fallocate_keep_size,
    punch_hole_zeroes,
    punched_hole_is_seen_through_mappings,
    zero_range_zeroes,
    fallocate_errors,
    holes_and_data,
    seek_hole_errors,
    sparse_file_of_a_tebibyte,
    sync_calls,
    whole_file_systems_are_synced,
    fadvise_and_readahead,
    write_beyond_the_largest_offset,
    concurrent_appends,
);

fn fallocate(file: &Fd, mode: i32, offset: i64, len: i64) -> SysResult {
    sys!(SYS_fallocate, file, mode, offset, len)
}

/// A file on a tmpfs, which has every mode that is tested here.
fn shm_file(bytes: &[u8]) -> Result<Fd, crate::case::Failure> {
    let path = file::cstring(&format!("/dev/shm/st-{}", process::getpid()));
    let opened = fd::open(&path, libc::O_CREAT | libc::O_RDWR | libc::O_TRUNC, 0o600)?;
    sys!(SYS_unlink, &path)?;
    opened.pwrite(bytes, 0)?;
    Ok(opened)
}

fn truncate_cuts_and_extends() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"0123456789")?;
    sys!(SYS_truncate, &path, 4)?;
    check_eq!(file::contents(&path)?, b"0123");
    sys!(SYS_truncate, &path, 7)?;
    check_eq!(file::contents(&path)?, b"0123\0\0\0");
    let opened = fd::open(&path, libc::O_RDWR, 0)?;
    opened.seek(6, libc::SEEK_SET)?;
    opened.truncate(2)?;
    // The offset stays.
    check_eq!(opened.seek(0, libc::SEEK_CUR)?, 6);
    check_eq!(opened.read(5)?, b"");
    Ok(())
}

fn truncated_bytes_come_back_as_zero() -> Outcome {
    let opened = TempDir::new()?.open_file("f", &[7; 3 * PAGE])?;
    let memory = Map::new(3 * PAGE, RW, libc::MAP_SHARED, &opened, 0)?;
    check_eq!(memory.get(2 * PAGE), 7);
    opened.truncate(100)?;
    opened.truncate(3 * PAGE as i64)?;
    check_eq!(
        (memory.get(99), memory.get(100), memory.get(2 * PAGE)),
        (7, 0, 0)
    );
    check_eq!(opened.pread(3, 99)?, [7, 0, 0]);
    Ok(())
}

fn truncate_errors() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"x")?;
    errno_is!(sys!(SYS_truncate, &path, -1), EINVAL);
    errno_is!(sys!(SYS_truncate, &dir.join("none"), 0), ENOENT);
    errno_is!(sys!(SYS_truncate, &dir.join(""), 0), EISDIR);
    errno_is!(sys!(SYS_ftruncate, 800, 0), EBADF);
    let opened = fd::open(&path, libc::O_RDWR, 0)?;
    errno_is!(opened.truncate(-1), EINVAL);
    process::in_child(|| {
        creds::become_user(1000, 1000)?;
        errno_is!(sys!(SYS_truncate, &path, 0), EACCES);
        Ok(())
    })
}

fn fallocate_extends() -> Outcome {
    let opened = TempDir::new()?.open_file("f", b"hello")?;
    fallocate(&opened, 0, 3, 10_000)?;
    check_eq!(opened.stat()?.st_size, 10_003);
    check_eq!(opened.pread(8, 0)?, b"hello\0\0\0");
    check!(opened.stat()?.st_blocks >= 19);
    fallocate(&opened, 0, 0, 10)?;
    check_eq!(opened.stat()?.st_size, 10_003);
    Ok(())
}

fn fallocate_keep_size() -> Outcome {
    let opened = TempDir::new()?.open_file("f", b"hello")?;
    fallocate(&opened, libc::FALLOC_FL_KEEP_SIZE, 0, 100_000)?;
    check_eq!(opened.stat()?.st_size, 5);
    check!(opened.stat()?.st_blocks >= 190);
    Ok(())
}

fn punch_hole_zeroes() -> Outcome {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    let opened = shm_file(&[7; 4 * PAGE])?;
    let before = opened.stat()?.st_blocks;
    // Parts of pages are zeroed, whole pages given back.
    fallocate(&opened, mode, 100, 2 * PAGE as i64)?;
    check_eq!(opened.stat()?.st_size, 4 * PAGE as i64);
    check_eq!(opened.pread(2, 99)?, [7, 0]);
    check_eq!(opened.pread(2, 2 * PAGE as i64 + 99)?, [0, 7]);
    check!(opened.stat()?.st_blocks < before);
    // Beyond the end nothing happens.
    fallocate(&opened, mode, 100 * PAGE as i64, PAGE as i64)?;
    check_eq!(opened.stat()?.st_size, 4 * PAGE as i64);
    Ok(())
}

fn punched_hole_is_seen_through_mappings() -> Outcome {
    let opened = shm_file(&[7; 2 * PAGE])?;
    let memory = Map::new(2 * PAGE, RW, libc::MAP_SHARED, &opened, 0)?;
    check_eq!((memory.get(0), memory.get(PAGE)), (7, 7));
    fallocate(
        &opened,
        libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
        0,
        PAGE as i64,
    )?;
    check_eq!((memory.get(0), memory.get(PAGE)), (0, 7));
    memory.set(1, 3);
    check_eq!(opened.pread(3, 0)?, [0, 3, 0]);
    Ok(())
}

fn zero_range_zeroes() -> Outcome {
    let opened = TempDir::new()?.open_file("f", b"0123456789")?;
    match fallocate(&opened, libc::FALLOC_FL_ZERO_RANGE, 2, 3) {
        Ok(_) => check_eq!(opened.pread(20, 0)?, b"01\0\0\x0056789"),
        // tmpfs has no such mode.
        Err(error) => check_eq!(error.errno, libc::EOPNOTSUPP),
    }
    Ok(())
}

fn fallocate_errors() -> Outcome {
    let dir = TempDir::new()?;
    let opened = dir.open_file("f", b"x")?;
    errno_is!(fallocate(&opened, 0, -1, 10), EINVAL);
    errno_is!(fallocate(&opened, 0, 0, 0), EINVAL);
    errno_is!(fallocate(&opened, 0, 0, -1), EINVAL);
    errno_is!(
        fallocate(&opened, libc::FALLOC_FL_PUNCH_HOLE, 0, 10),
        EOPNOTSUPP
    );
    errno_is!(fallocate(&opened, 0x4000, 0, 10), EOPNOTSUPP);
    errno_is!(fallocate(&opened, 0, i64::MAX - 10, 100), EFBIG);
    let read_only = fd::open(&dir.join("f"), libc::O_RDONLY, 0)?;
    errno_is!(fallocate(&read_only, 0, 0, 10), EBADF);
    let (_reader, writer) = fd::pipe(0)?;
    errno_is!(fallocate(&writer, 0, 0, 10), ESPIPE);
    errno_is!(sys!(SYS_fallocate, 800, 0, 0, 10), EBADF);
    Ok(())
}

fn holes_and_data() -> Outcome {
    let opened = shm_file(b"")?;
    let page = PAGE as i64;
    opened.truncate(10 * page)?;
    opened.pwrite(&[1; PAGE], 2 * page)?;
    opened.pwrite(&[1; PAGE], 5 * page)?;
    for (whence, offset, expected) in [
        (libc::SEEK_DATA, 0, 2 * page),
        (libc::SEEK_HOLE, 0, 0),
        (libc::SEEK_HOLE, 2 * page + 5, 3 * page),
        (libc::SEEK_DATA, 2 * page + 5, 2 * page + 5),
        (libc::SEEK_DATA, 3 * page, 5 * page),
        (libc::SEEK_HOLE, 5 * page, 6 * page),
    ] {
        check_eq!(opened.seek(offset, whence)?, expected);
    }
    errno_is!(opened.seek(6 * page, libc::SEEK_DATA), ENXIO);
    check_eq!(opened.seek(0, libc::SEEK_CUR)?, 6 * page);
    Ok(())
}

fn seek_hole_errors() -> Outcome {
    let opened = TempDir::new()?.open_file("f", b"hello")?;
    // The end of the file counts as a hole.
    check_eq!(opened.seek(0, libc::SEEK_HOLE)?, 5);
    check_eq!(opened.seek(2, libc::SEEK_DATA)?, 2);
    errno_is!(opened.seek(5, libc::SEEK_HOLE), ENXIO);
    errno_is!(opened.seek(5, libc::SEEK_DATA), ENXIO);
    errno_is!(opened.seek(-1, libc::SEEK_DATA), ENXIO);
    Ok(())
}

fn sparse_file_of_a_tebibyte() -> Outcome {
    let opened = shm_file(b"start")?;
    let end = 1_i64 << 40;
    opened.pwrite(b"end", end)?;
    check_eq!(opened.stat()?.st_size, end + 3);
    check!(opened.stat()?.st_blocks <= 64);
    check_eq!(opened.pread(3, end)?, b"end");
    check_eq!(opened.pread(10, end / 2)?, [0; 10]);
    Ok(())
}

fn sync_calls() -> Outcome {
    let dir = TempDir::new()?;
    let opened = dir.open_file("f", b"x")?;
    sys!(SYS_fsync, &opened)?;
    sys!(SYS_fdatasync, &opened)?;
    sys!(SYS_fsync, &dir.open()?)?;
    sys!(
        SYS_sync_file_range,
        &opened,
        0,
        1,
        libc::SYNC_FILE_RANGE_WRITE
    )?;
    sys!(SYS_syncfs, &opened)?;
    errno_is!(sys!(SYS_fsync, 800), EBADF);
    errno_is!(sys!(SYS_syncfs, 800), EBADF);
    Ok(())
}

/// Of the root too, which is the host's files in a container.
fn whole_file_systems_are_synced() -> Outcome {
    for path in [c"/", c"/tmp"] {
        sys!(SYS_syncfs, &fd::open(path, libc::O_RDONLY, 0)?)?;
        errno_is!(sys!(SYS_syncfs, &fd::open(path, libc::O_PATH, 0)?), EBADF);
    }
    sys!(SYS_sync)?;
    Ok(())
}

fn fadvise_and_readahead() -> Outcome {
    let opened = TempDir::new()?.open_file("f", b"x")?;
    for advice in 0..6 {
        sys!(SYS_fadvise64, &opened, 0, 100, advice)?;
    }
    errno_is!(sys!(SYS_fadvise64, &opened, 0, 100, 77), EINVAL);
    errno_is!(sys!(SYS_fadvise64, &fd::pipe(0)?.0, 0, 100, 0), ESPIPE);
    errno_is!(sys!(SYS_fadvise64, 800, 0, 100, 0), EBADF);
    Ok(())
}

fn write_beyond_the_largest_offset() -> Outcome {
    let opened = shm_file(b"")?;
    match opened.pwrite(b"xx", i64::MAX - 1) {
        Ok(done) => fail!("{done} bytes were written at the end of the world"),
        Err(error) => check!(
            [libc::EFBIG, libc::EINVAL, libc::EOVERFLOW].contains(&error.errno),
            "{error}"
        ),
    }
    check!(
        opened
            .seek(i64::MAX, libc::SEEK_CUR)
            .and_then(|_| opened.seek(1, libc::SEEK_CUR))
            .is_err()
    );
    Ok(())
}

fn concurrent_appends() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    let mut children = Vec::new();
    for letter in b"abcd" {
        children.push(process::fork(|| {
            let Ok(opened) = fd::open(&path, libc::O_WRONLY | libc::O_APPEND, 0) else {
                return 1;
            };
            i32::from((0..100).any(|_| opened.write(&[*letter; 37]).is_err()))
        })?);
    }
    for mut child in children {
        check_eq!(child.wait()?.code(), Some(0));
    }
    let all = file::contents(&path)?;
    check_eq!(all.len(), 4 * 100 * 37);
    check!(
        all.chunks(37)
            .all(|line| line.iter().all(|byte| *byte == line[0])),
        "lines are mixed"
    );
    Ok(())
}
