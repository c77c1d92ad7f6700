//! flock(2), POSIX record locks and open file description locks (`fcntl_locking(2)`).

use crate::case::Outcome;
use crate::support::fd::{self, Fd};
use crate::support::file::TempDir;
use crate::support::{process, signal, time};
use crate::sys::{self, SysError, SysResult};

cases!(
    flock_excludes_and_shares,
    flock_belongs_to_the_open_file,
    flock_converts,
    flock_waits,
    flock_errors,
    record_locks_conflict,
    record_locks_split_and_merge,
    record_locks_vanish_on_any_close,
    record_locks_survive_the_close_of_a_path,
    record_lock_is_not_taken_through_a_closed_descriptor,
    record_locks_are_not_inherited,
    record_lock_waits,
    record_lock_deadlock_is_edeadlk,
    record_lock_whence_and_negative_length,
    record_lock_errors,
    getlk_finds_the_blocker,
    open_file_locks_belong_to_the_open_file,
    open_file_locks_conflict_with_record_locks,
    open_file_lock_errors,
    lock_ends_with_its_process,
    locks_are_listed,
);

fn lock(kind: i32, start: i64, len: i64) -> libc::flock {
    let mut lock = sys::zeroed::<libc::flock>();
    lock.l_type = kind as i16;
    lock.l_start = start;
    lock.l_len = len;
    lock
}

fn set(file: &Fd, kind: i32, start: i64, len: i64) -> SysResult {
    sys!(SYS_fcntl, file, libc::F_SETLK, &lock(kind, start, len))
}

fn probe(file: &Fd, kind: i32, start: i64, len: i64) -> Result<libc::flock, SysError> {
    let mut lock = lock(kind, start, len);
    sys!(SYS_fcntl, file, libc::F_GETLK, &mut lock)?;
    Ok(lock)
}

/// Two open files of one name.
fn opened_twice(dir: &TempDir) -> Result<(Fd, Fd), SysError> {
    let path = dir.file("f", b"0123456789")?;
    Ok((
        fd::open(&path, libc::O_RDWR, 0)?,
        fd::open(&path, libc::O_RDWR, 0)?,
    ))
}

fn flock(file: &Fd, operation: i32) -> SysResult {
    sys!(SYS_flock, file, operation)
}

fn flock_excludes_and_shares() -> Outcome {
    let dir = TempDir::new()?;
    let (one, two) = opened_twice(&dir)?;
    flock(&one, libc::LOCK_SH)?;
    flock(&two, libc::LOCK_SH)?;
    errno_is!(flock(&two, libc::LOCK_EX | libc::LOCK_NB), EAGAIN);
    flock(&one, libc::LOCK_UN)?;
    flock(&two, libc::LOCK_EX | libc::LOCK_NB)?;
    errno_is!(flock(&one, libc::LOCK_SH | libc::LOCK_NB), EAGAIN);
    drop(two);
    flock(&one, libc::LOCK_SH | libc::LOCK_NB)?;
    Ok(())
}

fn flock_belongs_to_the_open_file() -> Outcome {
    let dir = TempDir::new()?;
    let (one, two) = opened_twice(&dir)?;
    flock(&one, libc::LOCK_EX)?;
    let copy = Fd::own(sys!(SYS_dup, &one)?);
    flock(&copy, libc::LOCK_EX | libc::LOCK_NB)?;
    drop(one);
    errno_is!(flock(&two, libc::LOCK_EX | libc::LOCK_NB), EAGAIN);
    // A child holds the same open file: it may unlock.
    process::in_child(|| {
        flock(&copy, libc::LOCK_UN)?;
        Ok(())
    })?;
    flock(&two, libc::LOCK_EX | libc::LOCK_NB)?;
    Ok(())
}

fn flock_converts() -> Outcome {
    let dir = TempDir::new()?;
    let (one, two) = opened_twice(&dir)?;
    flock(&one, libc::LOCK_EX)?;
    flock(&one, libc::LOCK_SH)?;
    flock(&two, libc::LOCK_SH | libc::LOCK_NB)?;
    errno_is!(flock(&one, libc::LOCK_EX | libc::LOCK_NB), EAGAIN);
    Ok(())
}

fn flock_waits() -> Outcome {
    let dir = TempDir::new()?;
    let (one, two) = opened_twice(&dir)?;
    flock(&one, libc::LOCK_EX)?;
    let mut child = process::fork(|| {
        time::sleep_ms(60);
        i32::from(flock(&one, libc::LOCK_UN).is_err())
    })?;
    let start = time::monotonic_ns();
    flock(&two, libc::LOCK_EX)?;
    check!(time::monotonic_ns() - start >= 40 * time::MS);
    check_eq!(child.wait()?.code(), Some(0));
    Ok(())
}

fn flock_errors() -> Outcome {
    let dir = TempDir::new()?;
    let (one, _) = opened_twice(&dir)?;
    errno_is!(flock(&one, 0), EINVAL);
    errno_is!(flock(&one, libc::LOCK_EX | libc::LOCK_SH), EINVAL);
    errno_is!(sys!(SYS_flock, 800, libc::LOCK_EX), EBADF);
    errno_is!(
        flock(&fd::open(&dir.join("f"), libc::O_PATH, 0)?, libc::LOCK_EX),
        EBADF
    );
    // A read-only descriptor will do, and a directory.
    flock(&fd::open(&dir.join("f"), libc::O_RDONLY, 0)?, libc::LOCK_EX)?;
    flock(&dir.open()?, libc::LOCK_EX)?;
    Ok(())
}

fn record_locks_conflict() -> Outcome {
    let dir = TempDir::new()?;
    let (one, two) = opened_twice(&dir)?;
    set(&one, libc::F_WRLCK, 2, 3)?;
    set(&one, libc::F_RDLCK, 6, 2)?;
    // Within a process nothing conflicts.
    set(&two, libc::F_WRLCK, 2, 3)?;
    process::in_child(|| {
        errno_is!(set(&two, libc::F_RDLCK, 0, 3), EAGAIN);
        errno_is!(set(&two, libc::F_WRLCK, 4, 1), EAGAIN);
        set(&two, libc::F_WRLCK, 0, 2)?;
        set(&two, libc::F_WRLCK, 5, 1)?;
        set(&two, libc::F_RDLCK, 6, 2)?;
        errno_is!(set(&two, libc::F_WRLCK, 7, 1), EAGAIN);
        // Length zero: to the end of the file and beyond.
        errno_is!(set(&two, libc::F_WRLCK, 3, 0), EAGAIN);
        set(&two, libc::F_WRLCK, 8, 0)?;
        Ok(())
    })
}

fn record_locks_split_and_merge() -> Outcome {
    let dir = TempDir::new()?;
    let (one, _two) = opened_twice(&dir)?;
    set(&one, libc::F_WRLCK, 0, 10)?;
    set(&one, libc::F_UNLCK, 4, 2)?;
    set(&one, libc::F_RDLCK, 8, 2)?;
    process::in_child(|| {
        let at = |start| {
            probe(&one, libc::F_WRLCK, start, 1)
                .map(|lock| (i32::from(lock.l_type), lock.l_start, lock.l_len))
        };
        check_eq!(at(0)?, (libc::F_WRLCK, 0, 4));
        check_eq!(at(4)?.0, libc::F_UNLCK);
        check_eq!(at(6)?, (libc::F_WRLCK, 6, 2));
        check_eq!(at(8)?, (libc::F_RDLCK, 8, 2));
        Ok(())
    })?;
    set(&one, libc::F_WRLCK, 0, 10)?;
    process::in_child(|| {
        let found = probe(&one, libc::F_RDLCK, 5, 1)?;
        check_eq!((found.l_start, found.l_len), (0, 10));
        Ok(())
    })
}

/// The rule that surprises: closing any descriptor of the file drops the process's locks.
fn record_locks_vanish_on_any_close() -> Outcome {
    let dir = TempDir::new()?;
    let (one, two) = opened_twice(&dir)?;
    set(&one, libc::F_WRLCK, 0, 0)?;
    drop(two);
    process::in_child(|| {
        check_eq!(
            i32::from(probe(&one, libc::F_WRLCK, 0, 0)?.l_type),
            libc::F_UNLCK
        );
        Ok(())
    })
}

/// But for a descriptor of `O_PATH`, which is none of the file's contents.
fn record_locks_survive_the_close_of_a_path() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"0123456789")?;
    let one = fd::open(&path, libc::O_RDWR, 0)?;
    set(&one, libc::F_WRLCK, 0, 0)?;
    drop(fd::open(&path, libc::O_PATH, 0)?);
    process::in_child(|| {
        check_eq!(
            i32::from(probe(&one, libc::F_WRLCK, 0, 0)?.l_type),
            libc::F_WRLCK
        );
        Ok(())
    })
}

/// A thread waits for a lock while another closes the descriptor: nothing would ever take the lock away.
fn record_lock_is_not_taken_through_a_closed_descriptor() -> Outcome {
    let dir = TempDir::new()?;
    let (one, two) = opened_twice(&dir)?;
    set_open_file_lock(&two, libc::F_WRLCK, 0, 0)?;
    let (reader, writer) = fd::pipe(0)?;
    let mut child = process::fork(|| {
        let number = one.number();
        let _ = sys!(SYS_close, &two);
        let (tid_reader, tid_writer) = fd::pipe(0).expect("a pipe");
        let waiter = std::thread::spawn(move || {
            let _ = tid_writer.write(&process::gettid().to_ne_bytes());
            sys!(
                SYS_fcntl,
                number,
                libc::F_SETLKW,
                &lock(libc::F_WRLCK, 0, 0)
            )
        });
        let tid = tid_reader
            .read(4)
            .ok()
            .and_then(|bytes| Some(i32::from_ne_bytes(bytes.try_into().ok()?)));
        let slept =
            tid.is_some_and(|tid| time::wait_until(|| crate::support::proc::is_asleep(tid)));
        let closed = sys!(SYS_close, number).is_ok();
        let _ = writer.write(b"c");
        let refused = matches!(waiter.join(), Ok(Err(error)) if error.errno == libc::EBADF);
        i32::from(!(slept && closed && refused))
    })?;
    reader.read(1)?;
    set_open_file_lock(&two, libc::F_UNLCK, 0, 0)?;
    check_eq!(child.wait()?.code(), Some(0));
    // Neither does it outlive its process.
    set(&one, libc::F_WRLCK, 0, 0)?;
    Ok(())
}

fn record_locks_are_not_inherited() -> Outcome {
    let dir = TempDir::new()?;
    let (one, _two) = opened_twice(&dir)?;
    set(&one, libc::F_WRLCK, 0, 5)?;
    process::in_child(|| {
        errno_is!(set(&one, libc::F_WRLCK, 0, 5), EAGAIN);
        // Closing in the child does not touch the parent's.
        sys!(SYS_close, &one)?;
        Ok(())
    })?;
    process::in_child(|| {
        errno_is!(set(&one, libc::F_WRLCK, 0, 5), EAGAIN);
        Ok(())
    })
}

fn record_lock_waits() -> Outcome {
    let dir = TempDir::new()?;
    let (one, _two) = opened_twice(&dir)?;
    let (reader, writer) = fd::pipe(0)?;
    let mut child = process::fork(|| {
        let locked = set(&one, libc::F_WRLCK, 0, 5).is_ok();
        let _ = writer.write(b"r");
        time::sleep_ms(60);
        i32::from(!locked)
    })?;
    reader.read(1)?;
    let start = time::monotonic_ns();
    sys!(SYS_fcntl, &one, libc::F_SETLKW, &lock(libc::F_RDLCK, 4, 1))?;
    check!(time::monotonic_ns() - start >= 40 * time::MS);
    check_eq!(child.wait()?.code(), Some(0));
    Ok(())
}

fn record_lock_deadlock_is_edeadlk() -> Outcome {
    let dir = TempDir::new()?;
    let (one, _two) = opened_twice(&dir)?;
    set(&one, libc::F_WRLCK, 0, 1)?;
    let (reader, writer) = fd::pipe(0)?;
    let mut child = process::fork(|| {
        let locked = set(&one, libc::F_WRLCK, 1, 1).is_ok();
        let _ = writer.write(b"r");
        // Waits for the parent.
        let waited = sys!(SYS_fcntl, &one, libc::F_SETLKW, &lock(libc::F_WRLCK, 0, 1));
        i32::from(!locked || waited.is_err())
    })?;
    reader.read(1)?;
    check!(time::wait_until(|| crate::support::proc::is_asleep(
        child.pid
    )));
    time::sleep_ms(20);
    errno_is!(
        sys!(SYS_fcntl, &one, libc::F_SETLKW, &lock(libc::F_WRLCK, 1, 1)),
        EDEADLK
    );
    set(&one, libc::F_UNLCK, 0, 0)?;
    check_eq!(child.wait()?.code(), Some(0));
    Ok(())
}

fn record_lock_whence_and_negative_length() -> Outcome {
    let dir = TempDir::new()?;
    let (one, _two) = opened_twice(&dir)?;
    one.seek(4, libc::SEEK_SET)?;
    let mut relative = lock(libc::F_WRLCK, 1, 2);
    relative.l_whence = libc::SEEK_CUR as i16;
    sys!(SYS_fcntl, &one, libc::F_SETLK, &relative)?;
    let mut backwards = lock(libc::F_WRLCK, 0, -1);
    backwards.l_whence = libc::SEEK_END as i16;
    sys!(SYS_fcntl, &one, libc::F_SETLK, &backwards)?;
    process::in_child(|| {
        let found = probe(&one, libc::F_WRLCK, 0, 8)?;
        check_eq!((found.l_start, found.l_len, found.l_whence), (5, 2, 0));
        let found = probe(&one, libc::F_WRLCK, 8, 0)?;
        check_eq!((found.l_start, found.l_len), (9, 1));
        Ok(())
    })
}

fn record_lock_errors() -> Outcome {
    let dir = TempDir::new()?;
    let (one, _two) = opened_twice(&dir)?;
    errno_is!(set(&one, 77, 0, 1), EINVAL);
    errno_is!(set(&one, libc::F_WRLCK, -1, 1), EINVAL);
    errno_is!(set(&one, libc::F_WRLCK, 5, -6), EINVAL);
    errno_is!(set(&one, libc::F_WRLCK, i64::MAX, 2), EOVERFLOW);
    errno_is!(sys!(SYS_fcntl, &one, libc::F_SETLK, 8), EFAULT);
    errno_is!(probe(&one, libc::F_UNLCK, 0, 1), EINVAL);
    let read_only = fd::open(&dir.join("f"), libc::O_RDONLY, 0)?;
    errno_is!(set(&read_only, libc::F_WRLCK, 0, 1), EBADF);
    set(&read_only, libc::F_RDLCK, 0, 1)?;
    let write_only = fd::open(&dir.join("f"), libc::O_WRONLY, 0)?;
    errno_is!(set(&write_only, libc::F_RDLCK, 0, 1), EBADF);
    Ok(())
}

fn getlk_finds_the_blocker() -> Outcome {
    let dir = TempDir::new()?;
    let (one, _two) = opened_twice(&dir)?;
    set(&one, libc::F_RDLCK, 3, 4)?;
    let parent = process::getpid();
    process::in_child(|| {
        let found = probe(&one, libc::F_WRLCK, 0, 0)?;
        check_eq!(
            (
                i32::from(found.l_type),
                found.l_start,
                found.l_len,
                found.l_pid
            ),
            (libc::F_RDLCK, 3, 4, parent)
        );
        check_eq!(
            i32::from(probe(&one, libc::F_RDLCK, 0, 0)?.l_type),
            libc::F_UNLCK
        );
        check_eq!(
            i32::from(probe(&one, libc::F_WRLCK, 0, 3)?.l_type),
            libc::F_UNLCK
        );
        Ok(())
    })
}

fn set_open_file_lock(file: &Fd, kind: i32, start: i64, len: i64) -> SysResult {
    sys!(SYS_fcntl, file, libc::F_OFD_SETLK, &lock(kind, start, len))
}

fn open_file_locks_belong_to_the_open_file() -> Outcome {
    let dir = TempDir::new()?;
    let (one, two) = opened_twice(&dir)?;
    set_open_file_lock(&one, libc::F_WRLCK, 0, 5)?;
    errno_is!(set_open_file_lock(&two, libc::F_WRLCK, 4, 2), EAGAIN);
    set_open_file_lock(&two, libc::F_WRLCK, 5, 2)?;
    let copy = Fd::own(sys!(SYS_dup, &one)?);
    drop(one);
    errno_is!(set_open_file_lock(&two, libc::F_RDLCK, 0, 1), EAGAIN);
    process::in_child(|| {
        set_open_file_lock(&copy, libc::F_UNLCK, 0, 0)?;
        Ok(())
    })?;
    set_open_file_lock(&two, libc::F_RDLCK, 0, 1)?;
    Ok(())
}

fn open_file_locks_conflict_with_record_locks() -> Outcome {
    let dir = TempDir::new()?;
    let (one, two) = opened_twice(&dir)?;
    set_open_file_lock(&one, libc::F_WRLCK, 0, 5)?;
    errno_is!(set(&two, libc::F_RDLCK, 0, 1), EAGAIN);
    check_eq!(probe(&two, libc::F_RDLCK, 0, 1)?.l_pid, -1);
    Ok(())
}

fn open_file_lock_errors() -> Outcome {
    let dir = TempDir::new()?;
    let (one, _two) = opened_twice(&dir)?;
    let mut bad = lock(libc::F_WRLCK, 0, 1);
    bad.l_pid = 1;
    errno_is!(sys!(SYS_fcntl, &one, libc::F_OFD_SETLK, &bad), EINVAL);
    errno_is!(sys!(SYS_fcntl, &one, libc::F_OFD_GETLK, &bad), EINVAL);
    errno_is!(
        sys!(
            SYS_fcntl,
            800,
            libc::F_OFD_SETLK,
            &lock(libc::F_WRLCK, 0, 1)
        ),
        EBADF
    );
    Ok(())
}

fn lock_ends_with_its_process() -> Outcome {
    let dir = TempDir::new()?;
    let (one, _two) = opened_twice(&dir)?;
    let (reader, writer) = fd::pipe(0)?;
    let mut child = process::fork(|| {
        let _ = signal::set_disposition(libc::SIGTERM, libc::SIG_DFL);
        let _ = set(&one, libc::F_WRLCK, 0, 0);
        let _ = writer.write(b"r");
        let _ = sys!(SYS_pause);
        0
    })?;
    reader.read(1)?;
    errno_is!(set(&one, libc::F_WRLCK, 0, 0), EAGAIN);
    child.kill(libc::SIGKILL)?;
    child.wait()?;
    set(&one, libc::F_WRLCK, 0, 0)?;
    Ok(())
}

fn locks_are_listed() -> Outcome {
    let dir = TempDir::new()?;
    let (one, _two) = opened_twice(&dir)?;
    set(&one, libc::F_WRLCK, 3, 4)?;
    let wanted = format!("ADVISORY  WRITE {} ", process::getpid());
    let text = crate::support::proc::read("/proc/locks")?;
    let inode = format!(":{} 3 6", one.stat()?.st_ino);
    check!(
        text.lines()
            .any(|line| line.contains("POSIX") && line.contains(&wanted) && line.ends_with(&inode)),
        "{text}"
    );
    Ok(())
}
