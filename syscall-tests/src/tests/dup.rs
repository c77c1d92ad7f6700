//! dup(2), fcntl(2), `close_range(2)`, ioctl(2) on plain files, devices, getdents64(2), xattr(7).

use crate::case::Outcome;
use crate::support::fd::{self, Fd};
use crate::support::file::{self, TempDir};
use crate::support::{creds, process};
use crate::sys::{SysError, SysResult};

cases!(
    dup_takes_the_lowest_number,
    dup2_replaces,
    dup3_flags,
    dup_errors,
    dupfd_starts_at_its_argument,
    status_flags_belong_to_the_open_file,
    setfl_ignores_the_access_mode,
    fcntl_errors,
    close_range_closes,
    close_range_cloexec,
    close_range_unshares,
    file_lease_and_owner,
    ioctl_errors,
    fionbio_and_fioclex,
    null_and_zero_devices,
    full_device,
    random_devices,
    getdents_lists_everything,
    getdents_small_buffer,
    getdents_of_a_changing_directory,
    getdents_seeks,
    getdents_errors,
    large_directory,
    user_attributes,
    attribute_flags,
    attribute_errors,
    trusted_and_system_attributes,
    label_that_nobody_set_is_enodata,
);

fn dup_takes_the_lowest_number() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"")?;
    let (one, two) = (
        Fd::own(sys!(SYS_dup, &file)?),
        Fd::own(sys!(SYS_dup, &file)?),
    );
    check_eq!(
        (one.number(), two.number()),
        (file.number() + 1, file.number() + 2)
    );
    drop(one);
    check_eq!(Fd::own(sys!(SYS_dup, &file)?).number(), file.number() + 1);
    // Close-on-exec is not copied.
    sys!(SYS_fcntl, &file, libc::F_SETFD, libc::FD_CLOEXEC)?;
    check_eq!(
        sys!(SYS_fcntl, &Fd::own(sys!(SYS_dup, &file)?), libc::F_GETFD)?,
        0
    );
    Ok(())
}

fn dup2_replaces() -> Outcome {
    let dir = TempDir::new()?;
    let (one, two) = (dir.open_file("a", b"one")?, dir.open_file("b", b"two")?);
    check_eq!(sys!(SYS_dup2, &one, &two)?, i64::from(two.number()));
    check_eq!(two.read(5)?, b"one");
    check_eq!(sys!(SYS_dup2, &one, &one)?, i64::from(one.number()));
    check_eq!(sys!(SYS_dup2, &one, 333)?, 333);
    sys!(SYS_close, 333)?;
    Ok(())
}

fn dup3_flags() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"")?;
    sys!(SYS_dup3, &file, 333, libc::O_CLOEXEC)?;
    check_eq!(sys!(SYS_fcntl, 333, libc::F_GETFD)?, 1);
    errno_is!(sys!(SYS_dup3, &file, &file, 0), EINVAL);
    errno_is!(sys!(SYS_dup3, &file, 334, libc::O_NONBLOCK), EINVAL);
    Ok(())
}

fn dup_errors() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"")?;
    errno_is!(sys!(SYS_dup, 800), EBADF);
    errno_is!(sys!(SYS_dup2, 800, 5), EBADF);
    errno_is!(sys!(SYS_dup2, 800, 800), EBADF);
    errno_is!(sys!(SYS_dup2, &file, -1), EBADF);
    errno_is!(sys!(SYS_dup2, &file, 1 << 30), EBADF);
    Ok(())
}

fn dupfd_starts_at_its_argument() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"")?;
    let one = Fd::own(sys!(SYS_fcntl, &file, libc::F_DUPFD, 300)?);
    let two = Fd::own(sys!(SYS_fcntl, &file, libc::F_DUPFD_CLOEXEC, 300)?);
    check_eq!((one.number(), two.number()), (300, 301));
    check_eq!(
        (
            sys!(SYS_fcntl, &one, libc::F_GETFD)?,
            sys!(SYS_fcntl, &two, libc::F_GETFD)?
        ),
        (0, 1)
    );
    errno_is!(sys!(SYS_fcntl, &file, libc::F_DUPFD, -1), EINVAL);
    Ok(())
}

fn status_flags_belong_to_the_open_file() -> Outcome {
    let (reader, _writer) = fd::pipe(0)?;
    let copy = Fd::own(sys!(SYS_dup, &reader)?);
    sys!(SYS_fcntl, &reader, libc::F_SETFL, libc::O_NONBLOCK)?;
    check_eq!(
        fd::status_flags(&copy)? & libc::O_NONBLOCK,
        libc::O_NONBLOCK
    );
    errno_is!(copy.read(1), EAGAIN);
    sys!(SYS_fcntl, &copy, libc::F_SETFL, 0)?;
    check_eq!(fd::status_flags(&reader)? & libc::O_NONBLOCK, 0);
    Ok(())
}

fn setfl_ignores_the_access_mode() -> Outcome {
    let dir = TempDir::new()?;
    let file = fd::open(&dir.file("f", b"abc")?, libc::O_RDONLY, 0)?;
    sys!(
        SYS_fcntl,
        &file,
        libc::F_SETFL,
        libc::O_RDWR | libc::O_APPEND | libc::O_CREAT
    )?;
    check_eq!(
        fd::status_flags(&file)? & (libc::O_ACCMODE | libc::O_APPEND),
        libc::O_APPEND
    );
    errno_is!(file.write(b"x"), EBADF);
    Ok(())
}

fn fcntl_errors() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"")?;
    errno_is!(sys!(SYS_fcntl, 800, libc::F_GETFD), EBADF);
    errno_is!(sys!(SYS_fcntl, &file, 7777), EINVAL);
    sys!(SYS_fcntl, &file, libc::F_SETFD, -1)?;
    check_eq!(sys!(SYS_fcntl, &file, libc::F_GETFD)?, 1);
    Ok(())
}

fn close_range(first: u32, last: u32, flags: u32) -> SysResult {
    sys!(SYS_close_range, first, last, flags)
}

fn is_open(number: i32) -> bool {
    sys!(SYS_fcntl, number, libc::F_GETFD).is_ok()
}

/// A child with descriptors 200, 202 and 204.
fn with_three(body: impl FnOnce() -> Outcome) -> Outcome {
    let file = TempDir::new()?.open_file("f", b"")?;
    for number in [200, 202, 204] {
        sys!(SYS_dup2, &file, number)?;
    }
    body()
}

fn close_range_closes() -> Outcome {
    with_three(|| {
        close_range(200, 203, 0)?;
        check_eq!([200, 202, 204].map(is_open), [false, false, true]);
        errno_is!(close_range(5, 4, 0), EINVAL);
        errno_is!(close_range(200, 204, 1), EINVAL);
        close_range(500, 600, 0)?;
        Ok(())
    })
}

fn close_range_cloexec() -> Outcome {
    with_three(|| {
        close_range(202, 300, libc::CLOSE_RANGE_CLOEXEC)?;
        let flags =
            [200, 202, 204].map(|number| sys!(SYS_fcntl, number, libc::F_GETFD).unwrap_or(-1));
        check_eq!(flags, [0, 1, 1]);
        Ok(())
    })
}

fn close_range_unshares() -> Outcome {
    with_three(|| {
        let thread = std::thread::spawn(|| {
            close_range(200, 300, libc::CLOSE_RANGE_UNSHARE).is_ok() && !is_open(202)
        });
        check_eq!(thread.join().ok(), Some(true));
        check!(is_open(202));
        Ok(())
    })
}

fn file_lease_and_owner() -> Outcome {
    let (reader, _writer) = fd::pipe(0)?;
    check_eq!(sys!(SYS_fcntl, &reader, libc::F_GETOWN)?, 0);
    sys!(SYS_fcntl, &reader, libc::F_SETOWN, process::getpid())?;
    check_eq!(
        sys!(SYS_fcntl, &reader, libc::F_GETOWN)?,
        i64::from(process::getpid())
    );
    const F_SETSIG: i32 = 10;
    const F_GETSIG: i32 = 11;
    sys!(SYS_fcntl, &reader, F_SETSIG, 40)?;
    check_eq!(sys!(SYS_fcntl, &reader, F_GETSIG)?, 40);
    errno_is!(sys!(SYS_fcntl, &reader, F_SETSIG, 65), EINVAL);
    Ok(())
}

fn ioctl_errors() -> Outcome {
    let dir = TempDir::new()?;
    let file = dir.open_file("f", b"hello")?;
    let mut buffer = [0_u8; 64];
    errno_is!(sys!(SYS_ioctl, 800, libc::TCGETS, &mut buffer), EBADF);
    errno_is!(sys!(SYS_ioctl, &file, libc::TCGETS, &mut buffer), ENOTTY);
    errno_is!(
        sys!(SYS_ioctl, &file, libc::TIOCGWINSZ, &mut buffer),
        ENOTTY
    );
    errno_is!(sys!(SYS_ioctl, &file, 0x1234_5678, 0), ENOTTY);
    let mut count = 0_i32;
    sys!(SYS_ioctl, &file, libc::FIONREAD, &mut count)?;
    check_eq!(count, 5);
    file.read(2)?;
    sys!(SYS_ioctl, &file, libc::FIONREAD, &mut count)?;
    check_eq!(count, 3);
    errno_is!(
        sys!(SYS_ioctl, &dir.open()?, libc::TCGETS, &mut buffer),
        ENOTTY
    );
    Ok(())
}

fn fionbio_and_fioclex() -> Outcome {
    let (reader, _writer) = fd::pipe(0)?;
    sys!(SYS_ioctl, &reader, libc::FIONBIO, &1_i32)?;
    errno_is!(reader.read(1), EAGAIN);
    sys!(SYS_ioctl, &reader, libc::FIONBIO, &0_i32)?;
    check_eq!(fd::status_flags(&reader)? & libc::O_NONBLOCK, 0);
    sys!(SYS_ioctl, &reader, libc::FIOCLEX)?;
    check_eq!(sys!(SYS_fcntl, &reader, libc::F_GETFD)?, 1);
    sys!(SYS_ioctl, &reader, libc::FIONCLEX)?;
    check_eq!(sys!(SYS_fcntl, &reader, libc::F_GETFD)?, 0);
    Ok(())
}

fn null_and_zero_devices() -> Outcome {
    let null = fd::open(c"/dev/null", libc::O_RDWR, 0)?;
    check_eq!(
        (null.read(10)?, null.write(&[1; 1000])?),
        (Vec::new(), 1000)
    );
    check_eq!(null.seek(100, libc::SEEK_SET)?, 0);
    let zero = fd::open(c"/dev/zero", libc::O_RDWR, 0)?;
    check_eq!(
        (zero.read(10)?, zero.write(&[1; 1000])?),
        (vec![0; 10], 1000)
    );
    // Truncation is a matter of the name only: nothing happens to a device.
    fd::open(
        c"/dev/null",
        libc::O_WRONLY | libc::O_TRUNC | libc::O_CREAT,
        0o600,
    )?;
    errno_is!(null.truncate(0), EINVAL);
    Ok(())
}

fn full_device() -> Outcome {
    let full = fd::open(c"/dev/full", libc::O_RDWR, 0)?;
    errno_is!(full.write(b"x"), ENOSPC);
    check_eq!(full.read(3)?, [0; 3]);
    Ok(())
}

fn random_devices() -> Outcome {
    for path in [c"/dev/urandom", c"/dev/random"] {
        let device = fd::open(path, libc::O_RDONLY, 0)?;
        let (one, two) = (device.read(32)?, device.read(32)?);
        check!(one.len() == 32 && one != two);
    }
    let mut buffer = [0_u8; 300];
    check_eq!(sys!(SYS_getrandom, &mut buffer, 300, 0)?, 300);
    check!(buffer.iter().filter(|byte| **byte == 0).count() < 30);
    check_eq!(
        sys!(
            SYS_getrandom,
            &mut buffer,
            16,
            libc::GRND_NONBLOCK | libc::GRND_RANDOM
        )?,
        16
    );
    errno_is!(sys!(SYS_getrandom, &mut buffer, 16, 0x100), EINVAL);
    errno_is!(
        sys!(
            SYS_getrandom,
            &mut buffer,
            16,
            libc::GRND_INSECURE | libc::GRND_RANDOM
        ),
        EINVAL
    );
    errno_is!(sys!(SYS_getrandom, 8, 16, 0), EFAULT);
    Ok(())
}

/// An entry: inode, type, name.
type Entry = (u64, u8, String);

/// The entries that one call returns.
fn getdents(dir: &Fd, len: usize) -> Result<Vec<Entry>, SysError> {
    let mut buffer = vec![0_u8; len];
    let got = sys!(SYS_getdents64, dir, buffer.as_mut_slice(), len)? as usize;
    let (mut rest, mut entries) = (buffer.get(..got).unwrap_or_default(), Vec::new());
    while rest.len() >= 19 {
        let record = usize::from(u16::from_ne_bytes([rest[16], rest[17]]));
        let inode = u64::from_ne_bytes(rest[..8].try_into().unwrap_or_default());
        let name: Vec<u8> = rest[19..record]
            .iter()
            .copied()
            .take_while(|byte| *byte != 0)
            .collect();
        entries.push((inode, rest[18], String::from_utf8_lossy(&name).into_owned()));
        rest = &rest[record..];
    }
    Ok(entries)
}

fn all_entries(dir: &Fd, len: usize) -> Result<Vec<Entry>, SysError> {
    let mut all = Vec::new();
    loop {
        let some = getdents(dir, len)?;
        if some.is_empty() {
            return Ok(all);
        }
        all.extend(some);
    }
}

fn names(dir: &Fd, len: usize) -> Result<Vec<String>, SysError> {
    let mut names: Vec<String> = all_entries(dir, len)?
        .into_iter()
        .map(|(_, _, name)| name)
        .collect();
    names.sort();
    Ok(names)
}

fn getdents_lists_everything() -> Outcome {
    let dir = TempDir::new()?;
    let inode = file::stat(&dir.file("file", b"")?)?.st_ino;
    dir.dir("dir")?;
    sys!(SYS_symlink, c"x", &dir.join("link"))?;
    sys!(SYS_mknod, &dir.join("fifo"), libc::S_IFIFO | 0o600, 0)?;
    let mut entries = all_entries(&dir.open()?, 4096)?;
    entries.sort_by(|one, two| one.2.cmp(&two.2));
    let kinds: Vec<(u8, &str)> = entries
        .iter()
        .map(|(_, kind, name)| (*kind, name.as_str()))
        .collect();
    let expected = [
        (libc::DT_DIR, "."),
        (libc::DT_DIR, ".."),
        (libc::DT_DIR, "dir"),
        (libc::DT_FIFO, "fifo"),
        (libc::DT_REG, "file"),
        (libc::DT_LNK, "link"),
    ];
    check_eq!(kinds, expected);
    check_eq!(entries[4].0, inode);
    check_eq!(entries[0].0, file::stat(&file::cstring(dir.path()))?.st_ino);
    Ok(())
}

fn getdents_small_buffer() -> Outcome {
    let dir = TempDir::new()?;
    for index in 0..30 {
        dir.file(&format!("file-number-{index}"), b"")?;
    }
    check_eq!(names(&dir.open()?, 64)?.len(), 32);
    errno_is!(getdents(&dir.open()?, 10), EINVAL);
    Ok(())
}

fn getdents_of_a_changing_directory() -> Outcome {
    let dir = TempDir::new()?;
    for index in 0..200 {
        dir.file(&format!("f{index:03}"), b"")?;
    }
    let opened = dir.open()?;
    let mut seen = std::collections::BTreeMap::<String, u32>::new();
    let mut removed = 0;
    loop {
        let some = getdents(&opened, 300)?;
        if some.is_empty() {
            break;
        }
        for (_, _, name) in some {
            if name.starts_with('f') && removed < 100 {
                sys!(SYS_unlink, &dir.join(&name))?;
                removed += 1;
            }
            *seen.entry(name).or_default() += 1;
        }
    }
    // Every name that was there all the time is seen exactly once.
    check_eq!(seen.len(), 202);
    check!(seen.values().all(|count| *count == 1));
    Ok(())
}

fn getdents_seeks() -> Outcome {
    let dir = TempDir::new()?;
    dir.file("a", b"")?;
    let opened = dir.open()?;
    check_eq!(names(&opened, 4096)?, [".", "..", "a"]);
    check_eq!(getdents(&opened, 4096)?.len(), 0);
    dir.file("b", b"")?;
    opened.seek(0, libc::SEEK_SET)?;
    check_eq!(names(&opened, 4096)?, [".", "..", "a", "b"]);
    Ok(())
}

fn getdents_errors() -> Outcome {
    let dir = TempDir::new()?;
    errno_is!(getdents(&dir.open_file("f", b"")?, 4096), ENOTDIR);
    errno_is!(sys!(SYS_getdents64, 800, 0, 0), EBADF);
    errno_is!(sys!(SYS_getdents64, &dir.open()?, 8, 4096), EFAULT);
    let sub = dir.dir("d")?;
    let opened = fd::open(&sub, libc::O_RDONLY, 0)?;
    sys!(SYS_rmdir, &sub)?;
    errno_is!(getdents(&opened, 4096), ENOENT);
    Ok(())
}

fn large_directory() -> Outcome {
    let dir = TempDir::new()?;
    for index in 0..3000 {
        drop(fd::open(
            &dir.join(&format!("{index}")),
            libc::O_CREAT | libc::O_WRONLY,
            0o600,
        )?);
    }
    let all = names(&dir.open()?, 32768)?;
    check_eq!(all.len(), 3002);
    for index in 0..3000 {
        sys!(SYS_unlink, &dir.join(&format!("{index}")))?;
    }
    check_eq!(names(&dir.open()?, 4096)?.len(), 2);
    Ok(())
}

fn set_attribute(
    path: &std::ffi::CStr,
    name: &std::ffi::CStr,
    value: &[u8],
    flags: i32,
) -> SysResult {
    sys!(SYS_setxattr, path, name, value, value.len(), flags)
}

fn attribute(path: &std::ffi::CStr, name: &std::ffi::CStr) -> Result<Vec<u8>, SysError> {
    let mut buffer = vec![0_u8; 1000];
    let len = sys!(SYS_getxattr, path, name, buffer.as_mut_slice(), 1000)? as usize;
    buffer.truncate(len);
    Ok(buffer)
}

/// A file on a file system with user attributes; skips the test where there is none.
fn file_with_attributes(dir: &TempDir) -> Result<std::ffi::CString, crate::case::Failure> {
    let path = dir.file("f", b"")?;
    match set_attribute(&path, c"user.probe", b"", 0) {
        Err(error) if error.errno == libc::EOPNOTSUPP => skip!("no user attributes in /tmp"),
        _ => sys!(SYS_removexattr, &path, c"user.probe")?,
    };
    Ok(path)
}

/// Of the program's own file; where labels are set, it has one.
fn label_that_nobody_set_is_enodata() -> Outcome {
    match attribute(c"/proc/self/exe", c"security.selinux") {
        Err(error) if error.errno != libc::ENODATA => fail!("expected ENODATA, got: {error}"),
        _ => Ok(()),
    }
}

fn user_attributes() -> Outcome {
    let dir = TempDir::new()?;
    let path = file_with_attributes(&dir)?;
    set_attribute(&path, c"user.one", b"first", 0)?;
    set_attribute(&path, c"user.two", b"", 0)?;
    check_eq!(attribute(&path, c"user.one")?, b"first");
    check_eq!(attribute(&path, c"user.two")?, b"");
    let mut list = [0_u8; 100];
    let len = sys!(SYS_listxattr, &path, &mut list, 100)? as usize;
    let mut names: Vec<&[u8]> = list[..len]
        .split(|byte| *byte == 0)
        .filter(|name| name.starts_with(b"user."))
        .collect();
    names.sort_unstable();
    check_eq!(names, [&b"user.one"[..], b"user.two"]);
    check_eq!(sys!(SYS_listxattr, &path, 0, 0)? as usize, len);
    sys!(SYS_removexattr, &path, c"user.one")?;
    errno_is!(attribute(&path, c"user.one"), ENODATA);
    let opened = fd::open(&path, libc::O_RDWR, 0)?;
    sys!(SYS_fsetxattr, &opened, c"user.fd", b"x", 1, 0)?;
    check_eq!(attribute(&path, c"user.fd")?, b"x");
    Ok(())
}

fn attribute_flags() -> Outcome {
    let dir = TempDir::new()?;
    let path = file_with_attributes(&dir)?;
    errno_is!(
        set_attribute(&path, c"user.a", b"x", libc::XATTR_REPLACE),
        ENODATA
    );
    set_attribute(&path, c"user.a", b"x", libc::XATTR_CREATE)?;
    errno_is!(
        set_attribute(&path, c"user.a", b"y", libc::XATTR_CREATE),
        EEXIST
    );
    set_attribute(&path, c"user.a", b"long value", libc::XATTR_REPLACE)?;
    let mut short = [0_u8; 4];
    errno_is!(sys!(SYS_getxattr, &path, c"user.a", &mut short, 4), ERANGE);
    check_eq!(sys!(SYS_getxattr, &path, c"user.a", 0, 0)?, 10);
    errno_is!(sys!(SYS_listxattr, &path, &mut short, 4), ERANGE);
    errno_is!(set_attribute(&path, c"user.a", b"", 4), EINVAL);
    Ok(())
}

fn attribute_errors() -> Outcome {
    let dir = TempDir::new()?;
    let path = file_with_attributes(&dir)?;
    errno_is!(attribute(&path, c"user.none"), ENODATA);
    errno_is!(attribute(&dir.join("none"), c"user.a"), ENOENT);
    errno_is!(set_attribute(&path, c"bogus.a", b"x", 0), EOPNOTSUPP);
    errno_is!(set_attribute(&path, c"plain", b"x", 0), EOPNOTSUPP);
    errno_is!(set_attribute(&path, c"", b"x", 0), ERANGE);
    errno_is!(
        set_attribute(
            &path,
            &file::cstring(&format!("user.{}", "n".repeat(251))),
            b"x",
            0
        ),
        ERANGE
    );
    errno_is!(sys!(SYS_setxattr, &path, c"user.a", b"x", 65537, 0), E2BIG);
    // User attributes are for files and directories.
    sys!(SYS_symlink, c"f", &dir.join("link"))?;
    errno_is!(
        sys!(SYS_lsetxattr, &dir.join("link"), c"user.a", b"x", 1, 0),
        EPERM
    );
    sys!(SYS_mknod, &dir.join("fifo"), libc::S_IFIFO | 0o600, 0)?;
    errno_is!(set_attribute(&dir.join("fifo"), c"user.a", b"x", 0), EPERM);
    errno_is!(sys!(SYS_removexattr, &path, c"user.none"), ENODATA);
    Ok(())
}

fn trusted_and_system_attributes() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    process::in_child(|| {
        creds::become_user(1000, 1000)?;
        errno_is!(set_attribute(&path, c"trusted.a", b"x", 0), EPERM);
        match set_attribute(&path, c"user.a", b"x", 0) {
            Err(error) => check!(
                [libc::EACCES, libc::EOPNOTSUPP].contains(&error.errno),
                "{error}"
            ),
            Ok(_) => fail!("a stranger may set attributes"),
        }
        match attribute(&path, c"trusted.a") {
            Err(error) => check!(
                [libc::ENODATA, libc::EOPNOTSUPP].contains(&error.errno),
                "{error}"
            ),
            Ok(_) => fail!("a trusted attribute is there"),
        }
        Ok(())
    })
}
