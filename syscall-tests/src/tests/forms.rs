//! Older and newer forms of calls, which do what their better known relatives do.

use crate::case::Outcome;
use crate::support::fd::{self, Fd};
use crate::support::file::{self, TempDir};
use crate::support::map::{self, Map};
use crate::support::process::{self, Child};

cases!(
    names_relative_to_a_directory,
    times_relative_to_a_directory,
    old_directory_entries_end_with_their_type,
    old_calls_make_descriptors,
    positioned_vectors_leave_the_offset,
    old_fork_makes_a_process,
    protection_with_the_default_key,
    attributes_of_links_and_descriptors,
);

fn names_relative_to_a_directory() -> Outcome {
    let dir = TempDir::new()?;
    let at = dir.open()?;
    sys!(SYS_mkdirat, &at, c"d", 0o700)?;
    errno_is!(sys!(SYS_mkdirat, &at, c"d", 0o700), EEXIST);
    check_eq!(
        file::stat(&dir.join("d"))?.st_mode & libc::S_IFMT,
        libc::S_IFDIR
    );
    sys!(SYS_symlinkat, c"d", &at, c"link")?;
    check_eq!(
        file::lstat(&dir.join("link"))?.st_mode & libc::S_IFMT,
        libc::S_IFLNK
    );
    sys!(SYS_mknodat, &at, c"fifo", libc::S_IFIFO | 0o600, 0)?;
    check_eq!(
        file::stat(&dir.join("fifo"))?.st_mode & libc::S_IFMT,
        libc::S_IFIFO
    );
    sys!(SYS_renameat, &at, c"fifo", &at, c"link/moved")?;
    check_eq!(
        file::stat(&dir.join("d/moved"))?.st_mode & libc::S_IFMT,
        libc::S_IFIFO
    );
    errno_is!(sys!(SYS_renameat, &at, c"fifo", &at, c"other"), ENOENT);
    let no_directory = dir.open_file("f", b"")?;
    errno_is!(sys!(SYS_mkdirat, &no_directory, c"x", 0o700), ENOTDIR);
    errno_is!(sys!(SYS_symlinkat, c"x", -1, c"x"), EBADF);
    Ok(())
}

fn times_relative_to_a_directory() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    let times = [1_i64, 500_000, 2, 250_000];
    sys!(SYS_futimesat, &dir.open()?, c"f", &times)?;
    let stat = file::stat(&path)?;
    check_eq!((stat.st_atime, stat.st_atime_nsec), (1, 500_000_000));
    check_eq!((stat.st_mtime, stat.st_mtime_nsec), (2, 250_000_000));
    errno_is!(
        sys!(
            SYS_futimesat,
            libc::AT_FDCWD,
            &path,
            &[1_i64, 1_000_000, 2, 0]
        ),
        EINVAL
    );
    Ok(())
}

/// `struct linux_dirent`: number, offset, length, name, and the type in the last byte.
fn old_directory_entries_end_with_their_type() -> Outcome {
    let dir = TempDir::new()?;
    dir.file("file", b"")?;
    let mut buffer = [0_u8; 512];
    let len = sys!(SYS_getdents, &dir.open()?, &mut buffer, 512)? as usize;
    let mut rest = &buffer[..len];
    let mut found = Vec::new();
    while let [
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        low,
        high,
        ..,
    ] = rest
    {
        let (entry, next) = rest.split_at(usize::from(u16::from_le_bytes([*low, *high])));
        let name: Vec<u8> = entry[18..]
            .iter()
            .copied()
            .take_while(|byte| *byte != 0)
            .collect();
        found.push((name, entry.last().copied()));
        rest = next;
    }
    found.sort();
    let expected = [
        (&b"."[..], libc::DT_DIR),
        (b"..", libc::DT_DIR),
        (b"file", libc::DT_REG),
    ];
    check_eq!(
        found,
        expected.map(|(name, kind)| (name.to_vec(), Some(kind)))
    );
    errno_is!(sys!(SYS_getdents, &dir.open()?, &mut buffer, 10), EINVAL);
    Ok(())
}

fn old_calls_make_descriptors() -> Outcome {
    let mut ends = [0_i32; 2];
    sys!(SYS_pipe, &mut ends)?;
    let (reader, writer) = (Fd::own(ends[0].into()), Fd::own(ends[1].into()));
    writer.write(b"through")?;
    check_eq!(reader.read(10)?, b"through");
    let event = Fd::own(sys!(SYS_eventfd, 4)?);
    check_eq!(event.read(8)?, 4_u64.to_ne_bytes());
    let mask = 1_u64 << (libc::SIGUSR1 - 1);
    let signals = Fd::own(sys!(SYS_signalfd, -1, &mask, 8)?);
    errno_is!(sys!(SYS_signalfd, -1, &mask, 4), EINVAL);
    let watches = Fd::own(sys!(SYS_inotify_init)?);
    for new in [&reader, &writer, &event, &signals, &watches] {
        check_eq!(sys!(SYS_fcntl, new, libc::F_GETFD, 0)?, 0);
        check_eq!(fd::status_flags(new)? & libc::O_NONBLOCK, 0);
    }
    Ok(())
}

fn positioned_vectors_leave_the_offset() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"0123456789")?;
    let (mut one, mut two) = ([0_u8; 2], [0_u8; 3]);
    let pieces = [one.as_mut_ptr() as u64, 2, two.as_mut_ptr() as u64, 3];
    check_eq!(sys!(SYS_preadv, &file, &pieces, 2, 4)?, 5);
    check_eq!((&one, &two), (b"45", b"678"));
    check_eq!(sys!(SYS_pwritev, &file, &pieces, 2, 0)?, 5);
    check_eq!(file.seek(0, libc::SEEK_CUR)?, 0);
    check_eq!(file.read(10)?, b"4567856789");
    errno_is!(sys!(SYS_preadv, &file, &pieces, 2, -1), EINVAL);
    errno_is!(sys!(SYS_pwritev, &file, &pieces, 1025, 0), EINVAL);
    let (reader, _writer) = fd::pipe(0)?;
    errno_is!(sys!(SYS_preadv, &reader, &pieces, 2, 0), ESPIPE);
    Ok(())
}

fn old_fork_makes_a_process() -> Outcome {
    let parent = process::getpid();
    let pid = sys!(SYS_fork)?;
    if pid == 0 {
        let is_child = sys!(SYS_getppid)? == i64::from(parent);
        process::exit_now(if is_child { 7 } else { 1 });
    }
    check_eq!(Child::adopt(pid).wait()?.code(), Some(7));
    Ok(())
}

fn protection_with_the_default_key() -> Outcome {
    let map = Map::anonymous(4096)?;
    sys!(SYS_pkey_mprotect, map.addr(), 4096, libc::PROT_READ, -1)?;
    check_eq!(
        map::status_of_write(map.addr())?.signal(),
        Some(libc::SIGSEGV)
    );
    sys!(
        SYS_pkey_mprotect,
        map.addr(),
        4096,
        libc::PROT_READ | libc::PROT_WRITE,
        -1
    )?;
    map.set(0, 1);
    errno_is!(
        sys!(SYS_pkey_mprotect, map.addr(), 4096, libc::PROT_READ, 15),
        EINVAL
    );
    Ok(())
}

fn attributes_of_links_and_descriptors() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    match sys!(SYS_lsetxattr, &path, c"user.one", b"1st", 3, 0) {
        Err(error) if error.errno == libc::EOPNOTSUPP => skip!("no user attributes in /tmp"),
        other => check_eq!(other?, 0),
    }
    let opened = fd::open(&path, libc::O_RDWR, 0)?;
    let mut value = [0_u8; 8];
    check_eq!(sys!(SYS_lgetxattr, &path, c"user.one", &mut value, 8)?, 3);
    check_eq!(sys!(SYS_fgetxattr, &opened, c"user.one", &mut value, 8)?, 3);
    check_eq!(value, *b"1st\0\0\0\0\0");
    errno_is!(
        sys!(SYS_fgetxattr, &opened, c"user.one", &mut value, 2),
        ERANGE
    );
    let listed = sys!(SYS_llistxattr, &path, 0, 0)?;
    check_eq!(sys!(SYS_flistxattr, &opened, 0, 0)?, listed);
    sys!(SYS_fsetxattr, &opened, c"user.two", b"", 0, 0)?;
    sys!(SYS_fremovexattr, &opened, c"user.one")?;
    errno_is!(sys!(SYS_fremovexattr, &opened, c"user.one"), ENODATA);
    sys!(SYS_lremovexattr, &path, c"user.two")?;
    errno_is!(
        sys!(SYS_lgetxattr, &path, c"user.two", &mut value, 8),
        ENODATA
    );
    let link = dir.join("link");
    sys!(SYS_symlink, &path, &link)?;
    // A symbolic link has no attributes of users (`man 7 xattr`).
    errno_is!(sys!(SYS_lsetxattr, &link, c"user.one", b"x", 1, 0), EPERM);
    errno_is!(sys!(SYS_lremovexattr, &link, c"user.one"), EPERM);
    Ok(())
}
