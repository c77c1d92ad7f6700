//! open(2), openat(2), creat(2): flags, modes and descriptor numbers.

use crate::case::Outcome;
use crate::support::fd::{self, Fd};
use crate::support::file::{self, TempDir};
use crate::support::{proc, process};

cases!(
    lowest_free_number_is_used,
    missing_file_is_enoent,
    excl_refuses_an_existing_file,
    excl_refuses_a_dangling_symlink,
    creat_follows_a_dangling_symlink,
    mode_is_masked,
    fresh_file_is_writable_whatever_its_mode,
    trunc_empties_the_file,
    directory_flag_on_a_file_is_enotdir,
    writing_to_a_directory_is_eisdir,
    creat_on_a_directory_is_eisdir,
    creat_with_directory_is_einval,
    nofollow_on_a_symlink_is_eloop,
    path_nofollow_opens_the_symlink_itself,
    o_path_descriptor_does_little,
    proc_self_fd_reopens,
    cloexec_is_set_atomically,
    append_writes_at_the_end,
    relative_to_a_directory_descriptor,
    relative_to_a_bad_descriptor,
    absolute_path_ignores_the_descriptor,
    bad_path_address_is_efault,
    tmpfile_has_no_name,
    tmpfile_can_be_linked,
    descriptor_limit_is_emfile,
    getfl_reports_the_flags,
    files_that_are_opened_are_large,
    unnamed_file_keeps_its_flags,
    standard_input_tells_how_it_was_opened,
    noatime_needs_ownership,
    openat2_checks_its_argument,
    openat2_resolve_flags,
    write_only_fifo_without_reader_is_enxio,
    executable_in_use_is_etxtbsy,
);

fn lowest_free_number_is_used() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    let (first, second) = (
        fd::open(&path, libc::O_RDONLY, 0)?,
        fd::open(&path, libc::O_RDONLY, 0)?,
    );
    check_eq!(second.number(), first.number() + 1);
    let number = first.number();
    drop(first);
    check_eq!(fd::open(&path, libc::O_RDONLY, 0)?.number(), number);
    Ok(())
}

fn missing_file_is_enoent() -> Outcome {
    let dir = TempDir::new()?;
    errno_is!(fd::open(&dir.join("none"), libc::O_RDONLY, 0), ENOENT);
    errno_is!(
        fd::open(&dir.join("none/f"), libc::O_CREAT | libc::O_RDWR, 0o644),
        ENOENT
    );
    errno_is!(fd::open(c"", libc::O_RDONLY, 0), ENOENT);
    Ok(())
}

fn excl_refuses_an_existing_file() -> Outcome {
    let dir = TempDir::new()?;
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
    errno_is!(fd::open(&dir.file("f", b"")?, flags, 0o644), EEXIST);
    errno_is!(fd::open(&dir.dir("d")?, flags, 0o644), EEXIST);
    for path in [dir.join("."), dir.join("d/..")] {
        errno_is!(fd::open(&path, flags, 0o644), EEXIST);
        errno_is!(fd::open(&path, libc::O_CREAT | libc::O_RDWR, 0o644), EISDIR);
    }
    fd::open(&dir.join("new"), flags, 0o644)?;
    Ok(())
}

fn excl_refuses_a_dangling_symlink() -> Outcome {
    let dir = TempDir::new()?;
    let link = dir.join("link");
    sys!(SYS_symlink, c"nowhere", &link)?;
    errno_is!(
        fd::open(&link, libc::O_CREAT | libc::O_EXCL | libc::O_RDWR, 0o644),
        EEXIST
    );
    Ok(())
}

fn creat_follows_a_dangling_symlink() -> Outcome {
    let dir = TempDir::new()?;
    let link = dir.join("link");
    sys!(SYS_symlink, c"target", &link)?;
    fd::open(&link, libc::O_CREAT | libc::O_RDWR, 0o644)?.write(b"x")?;
    check_eq!(file::contents(&dir.join("target"))?, b"x");
    Ok(())
}

fn mode_is_masked() -> Outcome {
    let dir = TempDir::new()?;
    for (name, mask, mode, expected) in [
        ("a", 0o022, 0o666, 0o644),
        ("b", 0o077, 0o777, 0o700),
        ("c", 0, 0o6777, 0o6777),
        ("d", 0, 0o1000, 0o1000),
    ] {
        sys!(SYS_umask, mask)?;
        let file = fd::open(&dir.join(name), libc::O_CREAT | libc::O_RDWR, mode)?;
        check_eq!(file.stat()?.st_mode, libc::S_IFREG | expected);
    }
    Ok(())
}

fn fresh_file_is_writable_whatever_its_mode() -> Outcome {
    let dir = TempDir::new()?;
    process::in_child(|| {
        crate::support::creds::become_user(1000, 1000)?;
        let path = dir.join("f");
        let file = fd::open(&path, libc::O_CREAT | libc::O_RDWR, 0)?;
        check_eq!(file.write(b"x")?, 1);
        errno_is!(fd::open(&path, libc::O_RDWR, 0), EACCES);
        Ok(())
    })
}

fn trunc_empties_the_file() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"hello")?;
    let reader = fd::open(&path, libc::O_RDONLY, 0)?;
    let writer = fd::open(&path, libc::O_WRONLY | libc::O_TRUNC, 0)?;
    check_eq!(reader.stat()?.st_size, 0);
    writer.write(b"x")?;
    check_eq!(reader.read(10)?, b"x");
    Ok(())
}

fn directory_flag_on_a_file_is_enotdir() -> Outcome {
    let dir = TempDir::new()?;
    errno_is!(
        fd::open(&dir.file("f", b"")?, libc::O_RDONLY | libc::O_DIRECTORY, 0),
        ENOTDIR
    );
    Ok(())
}

fn writing_to_a_directory_is_eisdir() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.dir("d")?;
    errno_is!(fd::open(&path, libc::O_WRONLY, 0), EISDIR);
    errno_is!(fd::open(&path, libc::O_RDWR | libc::O_DIRECTORY, 0), EISDIR);
    errno_is!(fd::open(&path, libc::O_RDONLY | libc::O_TRUNC, 0), EISDIR);
    fd::open(&path, libc::O_RDONLY, 0)?;
    Ok(())
}

fn creat_on_a_directory_is_eisdir() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.dir("d")?;
    errno_is!(
        fd::open(&path, libc::O_CREAT | libc::O_RDONLY, 0o644),
        EISDIR
    );
    errno_is!(
        fd::open(&dir.join("new/"), libc::O_CREAT | libc::O_RDWR, 0o644),
        EISDIR
    );
    errno_is!(sys!(SYS_creat, &path, 0o644), EISDIR);
    Ok(())
}

/// Since Linux 6.4 the combination is refused.
fn creat_with_directory_is_einval() -> Outcome {
    let dir = TempDir::new()?;
    errno_is!(
        fd::open(&dir.join("x"), libc::O_CREAT | libc::O_DIRECTORY, 0o755),
        EINVAL
    );
    errno_is!(file::lstat(&dir.join("x")), ENOENT);
    Ok(())
}

fn nofollow_on_a_symlink_is_eloop() -> Outcome {
    let dir = TempDir::new()?;
    dir.dir("d")?;
    dir.file("d/f", b"x")?;
    let link = dir.join("link");
    sys!(SYS_symlink, c"d", &link)?;
    errno_is!(fd::open(&link, libc::O_RDONLY | libc::O_NOFOLLOW, 0), ELOOP);
    errno_is!(
        fd::open(
            &link,
            libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_DIRECTORY,
            0
        ),
        ENOTDIR
    );
    fd::open(&dir.join("link/f"), libc::O_RDONLY | libc::O_NOFOLLOW, 0)?;
    Ok(())
}

fn path_nofollow_opens_the_symlink_itself() -> Outcome {
    let dir = TempDir::new()?;
    let link = dir.join("link");
    sys!(SYS_symlink, c"nowhere", &link)?;
    let opened = fd::open(&link, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
    check_eq!(opened.stat()?.st_mode & libc::S_IFMT, libc::S_IFLNK);
    let mut target = [0_u8; 20];
    check_eq!(sys!(SYS_readlinkat, &opened, c"", &mut target, 20)?, 7);
    check_eq!(&target[..7], b"nowhere");
    Ok(())
}

fn o_path_descriptor_does_little() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"hello")?;
    let opened = fd::open(&path, libc::O_PATH, 0)?;
    errno_is!(opened.read(1), EBADF);
    errno_is!(opened.write(b"x"), EBADF);
    errno_is!(sys!(SYS_fchmod, &opened, 0o600), EBADF);
    errno_is!(opened.truncate(0), EBADF);
    errno_is!(sys!(SYS_ioctl, &opened, libc::FIONREAD, 0), EBADF);
    check_eq!(opened.stat()?.st_size, 5);
    check_eq!(fd::status_flags(&opened)? & libc::O_PATH, libc::O_PATH);
    Fd::own(sys!(SYS_dup, &opened)?);
    Ok(())
}

fn proc_self_fd_reopens() -> Outcome {
    let dir = TempDir::new()?;
    let opened = fd::open(&dir.file("f", b"hello")?, libc::O_PATH, 0)?;
    sys!(SYS_unlink, &dir.join("f"))?;
    let again = fd::open(
        &file::cstring(&format!("/proc/self/fd/{}", opened.number())),
        libc::O_RDWR,
        0,
    )?;
    check_eq!(again.read(10)?, b"hello");
    Ok(())
}

fn cloexec_is_set_atomically() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    for (flags, expected) in [(0, 0), (libc::O_CLOEXEC, i64::from(libc::FD_CLOEXEC))] {
        let opened = fd::open(&path, libc::O_RDONLY | flags, 0)?;
        check_eq!(sys!(SYS_fcntl, &opened, libc::F_GETFD)?, expected);
    }
    Ok(())
}

fn append_writes_at_the_end() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"one")?;
    let (first, second) = (
        fd::open(&path, libc::O_WRONLY | libc::O_APPEND, 0)?,
        fd::open(&path, libc::O_WRONLY | libc::O_APPEND, 0)?,
    );
    first.write(b"two")?;
    second.write(b"three")?;
    first.seek(0, libc::SEEK_SET)?;
    first.write(b"four")?;
    check_eq!(file::contents(&path)?, b"onetwothreefour");
    Ok(())
}

fn relative_to_a_directory_descriptor() -> Outcome {
    let dir = TempDir::new()?;
    dir.file("f", b"x")?;
    let base = dir.open()?;
    check_eq!(
        Fd::own(sys!(SYS_openat, &base, c"f", libc::O_RDONLY)?).read(5)?,
        b"x"
    );
    let base = fd::open(&file::cstring(dir.path()), libc::O_PATH, 0)?;
    check_eq!(
        Fd::own(sys!(SYS_openat, &base, c"./f", libc::O_RDONLY)?).read(5)?,
        b"x"
    );
    Ok(())
}

fn relative_to_a_bad_descriptor() -> Outcome {
    let dir = TempDir::new()?;
    let opened = dir.open_file("f", b"")?;
    errno_is!(sys!(SYS_openat, 800, c"f", libc::O_RDONLY), EBADF);
    errno_is!(sys!(SYS_openat, -5, c"f", libc::O_RDONLY), EBADF);
    errno_is!(sys!(SYS_openat, &opened, c"f", libc::O_RDONLY), ENOTDIR);
    Ok(())
}

fn absolute_path_ignores_the_descriptor() -> Outcome {
    let dir = TempDir::new()?;
    Fd::own(sys!(SYS_openat, 800, &dir.file("f", b"")?, libc::O_RDONLY)?);
    Ok(())
}

fn bad_path_address_is_efault() -> Outcome {
    errno_is!(sys!(SYS_openat, libc::AT_FDCWD, 8, libc::O_RDONLY), EFAULT);
    errno_is!(sys!(SYS_open, 0, libc::O_RDONLY), EFAULT);
    Ok(())
}

fn tmpfile_has_no_name() -> Outcome {
    let dir = TempDir::new()?;
    let flags = libc::O_TMPFILE | libc::O_RDWR;
    let opened = fd::open(&file::cstring(dir.path()), flags, 0o600)?;
    check_eq!(opened.stat()?.st_nlink, 0);
    opened.write(b"x")?;
    check_eq!(opened.pread(5, 0)?, b"x");
    errno_is!(
        fd::open(
            &file::cstring(dir.path()),
            libc::O_TMPFILE | libc::O_RDONLY,
            0o600
        ),
        EINVAL
    );
    Ok(())
}

fn tmpfile_can_be_linked() -> Outcome {
    let dir = TempDir::new()?;
    let opened = fd::open(
        &file::cstring(dir.path()),
        libc::O_TMPFILE | libc::O_RDWR,
        0o600,
    )?;
    opened.write(b"x")?;
    let source = file::cstring(&format!("/proc/self/fd/{}", opened.number()));
    let target = dir.join("named");
    sys!(
        SYS_linkat,
        libc::AT_FDCWD,
        &source,
        libc::AT_FDCWD,
        &target,
        libc::AT_SYMLINK_FOLLOW
    )?;
    check_eq!(file::contents(&target)?, b"x");
    check_eq!(opened.stat()?.st_nlink, 1);
    Ok(())
}

fn descriptor_limit_is_emfile() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"")?;
    let limit = libc::rlimit {
        rlim_cur: 20,
        rlim_max: 900,
    };
    sys!(SYS_prlimit64, 0, libc::RLIMIT_NOFILE, &limit, 0)?;
    let mut copies = Vec::new();
    let error = loop {
        match sys!(SYS_dup, &file) {
            Ok(copy) => copies.push(Fd::own(copy)),
            Err(error) => break error,
        }
        check!(copies.len() < 30);
    };
    check_eq!(error.errno, libc::EMFILE);
    check_eq!(copies.last().map(Fd::number), Some(19));
    errno_is!(fd::pipe(0), EMFILE);
    errno_is!(sys!(SYS_fcntl, &file, libc::F_DUPFD, 20), EINVAL);
    errno_is!(sys!(SYS_dup2, &file, 20), EBADF);
    Ok(())
}

fn getfl_reports_the_flags() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    for flags in [
        libc::O_RDONLY,
        libc::O_WRONLY,
        libc::O_RDWR | libc::O_APPEND,
        libc::O_RDWR | libc::O_NONBLOCK,
    ] {
        let opened = fd::open(
            &path,
            flags | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC,
            0,
        )?;
        // O_LARGEFILE is always set on a 64-bit kernel; creation flags are not kept.
        check_eq!(fd::status_flags(&opened)?, flags | 0o100_000);
    }
    Ok(())
}

const O_LARGEFILE: i32 = 0o100_000;

/// What a call of open makes is a large file, what other calls make is none.
fn files_that_are_opened_are_large() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    let large = |fd: &Fd| fd::status_flags(fd).map(|flags| flags & O_LARGEFILE != 0);
    let how = [0_u64; 3];
    for opened in [
        Fd::own(sys!(SYS_creat, &path, 0o600)?),
        Fd::own(sys!(SYS_open, &path, libc::O_RDONLY, 0)?),
        Fd::own(sys!(SYS_openat2, libc::AT_FDCWD, &path, &how, 24)?),
        Fd::own(sys!(SYS_memfd_create, c"memory", 0)?),
        dir.open()?,
        fd::open(c"/dev/null", libc::O_RDWR, 0)?,
        fd::open(c"/proc/self/stat", libc::O_RDONLY, 0)?,
        fd::open(c"/proc/self/ns/pid", libc::O_RDONLY, 0)?,
    ] {
        check!(
            large(&opened)?,
            "{opened:?} is {:#o}",
            fd::status_flags(&opened)?
        );
        let info = proc::field(&format!("/proc/self/fdinfo/{}", opened.number()), "flags")?;
        check_eq!(
            i32::from_str_radix(&info, 8).unwrap_or(0) & O_LARGEFILE,
            O_LARGEFILE
        );
    }
    let ((reader, _writer), (socket, _peer)) = (fd::pipe(0)?, fd::socketpair(libc::SOCK_STREAM)?);
    for made in [
        reader,
        socket,
        fd::open(&path, libc::O_PATH, 0)?,
        Fd::own(sys!(SYS_eventfd2, 0, 0)?),
        Fd::own(sys!(SYS_epoll_create1, 0)?),
        Fd::own(sys!(SYS_timerfd_create, libc::CLOCK_MONOTONIC, 0)?),
        Fd::own(sys!(SYS_signalfd4, -1, &0_u64, 8, 0)?),
        Fd::own(sys!(SYS_inotify_init1, 0)?),
        Fd::own(sys!(SYS_pidfd_open, process::getpid(), 0)?),
    ] {
        check!(
            !large(&made)?,
            "{made:?} is {:#o}",
            fd::status_flags(&made)?
        );
    }
    Ok(())
}

fn unnamed_file_keeps_its_flags() -> Outcome {
    let dir = TempDir::new()?;
    let flags = libc::O_TMPFILE | libc::O_RDWR;
    let unnamed = fd::open(&file::cstring(dir.path()), flags, 0o600)?;
    check_eq!(fd::status_flags(&unnamed)?, flags | O_LARGEFILE);
    Ok(())
}

/// As far as it is the null device, which whoever started the program opened.
fn standard_input_tells_how_it_was_opened() -> Outcome {
    let input = Fd::own(sys!(SYS_dup, 0)?);
    if input.stat()?.st_rdev != libc::makedev(1, 3) {
        skip!("standard input is not the null device");
    }
    check_eq!(fd::status_flags(&input)? & O_LARGEFILE, O_LARGEFILE);
    Ok(())
}

fn noatime_needs_ownership() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    fd::open(&path, libc::O_RDONLY | libc::O_NOATIME, 0)?;
    process::in_child(|| {
        crate::support::creds::become_user(1000, 1000)?;
        errno_is!(fd::open(&path, libc::O_RDONLY | libc::O_NOATIME, 0), EPERM);
        Ok(())
    })
}

fn openat2_checks_its_argument() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    let cwd = libc::AT_FDCWD;
    let rdonly = libc::O_RDONLY as u64;
    Fd::own(sys!(SYS_openat2, cwd, &path, &[rdonly, 0, 0], 24)?);
    errno_is!(sys!(SYS_openat2, cwd, &path, &[rdonly, 0, 0], 16), EINVAL);
    errno_is!(
        sys!(SYS_openat2, cwd, &path, &[1_u64 << 40, 0, 0], 24),
        EINVAL
    );
    errno_is!(
        sys!(SYS_openat2, cwd, &path, &[rdonly, 0o644, 0], 24),
        EINVAL
    );
    errno_is!(
        sys!(SYS_openat2, cwd, &path, &[rdonly, 0, 1 << 30], 24),
        EINVAL
    );
    Fd::own(sys!(SYS_openat2, cwd, &path, &[rdonly, 0, 0, 0], 32)?);
    errno_is!(sys!(SYS_openat2, cwd, &path, &[rdonly, 0, 0, 1], 32), E2BIG);
    Ok(())
}

fn openat2_resolve_flags() -> Outcome {
    const NO_SYMLINKS: u64 = 4;
    const BENEATH: u64 = 8;
    const IN_ROOT: u64 = 16;
    let dir = TempDir::new()?;
    dir.file("f", b"x")?;
    dir.dir("d")?;
    sys!(SYS_symlink, c"f", &dir.join("link"))?;
    sys!(SYS_symlink, c"/f", &dir.join("abs"))?;
    let base = dir.open()?;
    let open = |path: &std::ffi::CStr, resolve: u64| {
        sys!(SYS_openat2, &base, path, &[0, 0, resolve], 24).map(Fd::own)
    };
    errno_is!(open(c"link", NO_SYMLINKS), ELOOP);
    open(c"link", BENEATH)?;
    open(c"d/../f", BENEATH)?;
    errno_is!(open(c"../f", BENEATH), EXDEV);
    errno_is!(open(c"abs", BENEATH), EXDEV);
    errno_is!(open(c"/tmp", BENEATH), EXDEV);
    check_eq!(open(c"abs", IN_ROOT)?.read(5)?, b"x");
    check_eq!(open(c"../../f", IN_ROOT)?.read(5)?, b"x");
    Ok(())
}

fn write_only_fifo_without_reader_is_enxio() -> Outcome {
    let dir = TempDir::new()?;
    let fifo = dir.join("fifo");
    sys!(SYS_mknod, &fifo, libc::S_IFIFO | 0o600, 0)?;
    errno_is!(fd::open(&fifo, libc::O_WRONLY | libc::O_NONBLOCK, 0), ENXIO);
    let reader = fd::open(&fifo, libc::O_RDONLY | libc::O_NONBLOCK, 0)?;
    let writer = fd::open(&fifo, libc::O_WRONLY | libc::O_NONBLOCK, 0)?;
    writer.write(b"x")?;
    check_eq!(reader.read(5)?, b"x");
    Ok(())
}

fn executable_in_use_is_etxtbsy() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.join("program");
    super::execve::copy_program(&path)?;
    let mut child = super::execve::spawn(&path, &["helper", "sleep"])?;
    let name = |pid: i32| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    let started = crate::support::time::wait_until(|| {
        name(child.pid).is_some_and(|exe| exe.as_os_str().as_encoded_bytes() == path.as_bytes())
    });
    check!(started, "the program did not start");
    errno_is!(fd::open(&path, libc::O_WRONLY, 0), ETXTBSY);
    errno_is!(sys!(SYS_truncate, &path, 0), ETXTBSY);
    child.kill(libc::SIGKILL)?;
    child.wait()?;
    fd::open(&path, libc::O_WRONLY, 0)?;
    Ok(())
}
