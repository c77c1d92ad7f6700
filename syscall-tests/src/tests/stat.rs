//! stat(2) and relatives, chmod(2), chown(2), access(2), utimensat(2), statfs(2), and permission checks.

use crate::case::Outcome;
use crate::support::creds;
use crate::support::fd;
use crate::support::file::{self, TempDir};
use crate::support::process::in_child;
use crate::support::time;
use crate::sys::{self, SysError, SysResult};

cases!(
    fields_of_a_regular_file,
    fields_of_other_kinds,
    blocks_and_sizes,
    fstatat_flags,
    fstat_of_an_empty_path,
    standard_output_belongs_to_the_user,
    block_sizes_of_the_kernels_own_files,
    statx_fields,
    statx_tells_the_birth_to_who_asks,
    statx_errors,
    chmod_and_its_bits,
    chmod_errors,
    fchmodat2_flags,
    chown_and_minus_one,
    chown_clears_set_id_bits,
    chown_errors,
    write_clears_set_id_bits,
    lchown_changes_the_link,
    access_uses_the_real_id,
    access_table,
    access_errors,
    permission_classes_are_exclusive,
    sticky_directory_protects,
    directory_permissions_for_names,
    root_may_do_nearly_all,
    override_capability_is_what_counts,
    utimensat_sets_times,
    utimensat_special_values,
    utimensat_permissions,
    times_change_as_they_should,
    utime_and_utimes,
    statfs_of_tmp_and_proc,
    umask_is_kept,
    inode_numbers_are_unique,
    set_group_id_is_dropped_for_strangers,
);

fn times(stat: &libc::stat) -> [(i64, i64); 3] {
    [
        (stat.st_atime, stat.st_atime_nsec),
        (stat.st_mtime, stat.st_mtime_nsec),
        (stat.st_ctime, stat.st_ctime_nsec),
    ]
}

fn fields_of_a_regular_file() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"hello")?;
    let (by_path, by_fd) = (
        file::stat(&path)?,
        fd::open(&path, libc::O_RDONLY, 0)?.stat()?,
    );
    check_eq!(
        (by_path.st_mode, by_path.st_nlink, by_path.st_size),
        (libc::S_IFREG | 0o644, 1, 5)
    );
    check_eq!(
        (i64::from(by_path.st_uid), i64::from(by_path.st_gid)),
        (sys!(SYS_geteuid)?, sys!(SYS_getegid)?)
    );
    check_eq!(
        (by_path.st_dev, by_path.st_ino),
        (by_fd.st_dev, by_fd.st_ino)
    );
    check!(by_path.st_ino != 0 && by_path.st_blksize >= 512);
    let now = time::clock_ns(libc::CLOCK_REALTIME) / 1_000_000_000;
    check!(
        times(&by_path)
            .iter()
            .all(|(seconds, _)| (now - 5..=now + 1).contains(seconds))
    );
    Ok(())
}

fn fields_of_other_kinds() -> Outcome {
    let dir = TempDir::new()?;
    let sub = dir.dir("d")?;
    check_eq!(file::stat(&sub)?.st_mode, libc::S_IFDIR | 0o755);
    let link = dir.join("link");
    sys!(SYS_symlink, c"target", &link)?;
    let stat = file::lstat(&link)?;
    check_eq!((stat.st_mode, stat.st_size), (libc::S_IFLNK | 0o777, 6));
    let null = file::stat(c"/dev/null")?;
    check_eq!(
        (null.st_mode & libc::S_IFMT, null.st_rdev),
        (libc::S_IFCHR, libc::makedev(1, 3))
    );
    errno_is!(file::stat(&link), ENOENT);
    errno_is!(file::stat(c""), ENOENT);
    errno_is!(sys!(SYS_stat, 8, 8), EFAULT);
    errno_is!(sys!(SYS_stat, c"/", 8), EFAULT);
    Ok(())
}

fn blocks_and_sizes() -> Outcome {
    let file = TempDir::new()?.open_file("f", &[1; 10_000])?;
    sys!(SYS_fsync, &file)?;
    let stat = file.stat()?;
    check!(
        (20..=128).contains(&stat.st_blocks),
        "{} blocks",
        stat.st_blocks
    );
    file.truncate(1 << 30)?;
    check!(file.stat()?.st_blocks <= 128);
    check_eq!(file.stat()?.st_size, 1 << 30);
    Ok(())
}

fn fstatat(base: i32, path: &std::ffi::CStr, flags: i32) -> Result<libc::stat, SysError> {
    let mut stat = sys::zeroed::<libc::stat>();
    sys!(SYS_newfstatat, base, path, &mut stat, flags)?;
    Ok(stat)
}

fn fstatat_flags() -> Outcome {
    let dir = TempDir::new()?;
    dir.file("f", b"hello")?;
    sys!(SYS_symlink, c"f", &dir.join("link"))?;
    let base = dir.open()?;
    check_eq!(fstatat(base.number(), c"link", 0)?.st_size, 5);
    check_eq!(
        fstatat(base.number(), c"link", libc::AT_SYMLINK_NOFOLLOW)?.st_size,
        1
    );
    errno_is!(fstatat(base.number(), c"f", 0x4000_0000), EINVAL);
    errno_is!(fstatat(800, c"f", 0), EBADF);
    errno_is!(fstatat(dir.open_file("f", b"")?.number(), c"f", 0), ENOTDIR);
    Ok(())
}

fn fstat_of_an_empty_path() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"hello")?;
    check_eq!(fstatat(file.number(), c"", libc::AT_EMPTY_PATH)?.st_size, 5);
    errno_is!(fstatat(file.number(), c"", 0), ENOENT);
    check_eq!(
        fstatat(libc::AT_FDCWD, c"", libc::AT_EMPTY_PATH)?.st_mode & libc::S_IFMT,
        libc::S_IFDIR
    );
    let (reader, _writer) = fd::pipe(0)?;
    check_eq!(
        fstatat(reader.number(), c"", libc::AT_EMPTY_PATH)?.st_mode & libc::S_IFMT,
        libc::S_IFIFO
    );
    Ok(())
}

fn statx(path: &std::ffi::CStr, flags: i32, mask: u32) -> Result<libc::statx, SysError> {
    let mut stat = sys::zeroed::<libc::statx>();
    sys!(SYS_statx, libc::AT_FDCWD, path, flags, mask, &mut stat)?;
    Ok(stat)
}

/// As far as it is a pipe, which whoever started the program made for it.
fn standard_output_belongs_to_the_user() -> Outcome {
    let output = fd::Fd::own(sys!(SYS_dup, 1)?).stat()?;
    if output.st_mode & libc::S_IFMT != libc::S_IFIFO {
        skip!("standard output is no pipe");
    }
    let (uid, gid) = (sys!(SYS_geteuid)?, sys!(SYS_getegid)?);
    check_eq!(
        (i64::from(output.st_uid), i64::from(output.st_gid)),
        (uid, gid)
    );
    if uid != 0 {
        skip!("only root may give files away");
    }
    // One without the other, and back.
    for (to, seen) in [
        ((u32::MAX, 7), (uid, 7)),
        ((8, u32::MAX), (8, 7)),
        ((0, 0), (0, 0)),
    ] {
        sys!(SYS_fchown, 1, to.0, to.1)?;
        let output = fd::Fd::own(sys!(SYS_dup, 1)?).stat()?;
        check_eq!((i64::from(output.st_uid), i64::from(output.st_gid)), seen);
    }
    Ok(())
}

fn statx_fields() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"hello")?;
    let (new, old) = (
        statx(&path, 0, libc::STATX_BASIC_STATS)?,
        file::stat(&path)?,
    );
    check_eq!(
        new.stx_mask & libc::STATX_BASIC_STATS,
        libc::STATX_BASIC_STATS
    );
    check_eq!(
        (u32::from(new.stx_mode), new.stx_ino, new.stx_size),
        (old.st_mode, old.st_ino, 5)
    );
    check_eq!(
        (u64::from(new.stx_nlink), new.stx_uid, new.stx_blocks as i64),
        (old.st_nlink, old.st_uid, old.st_blocks)
    );
    check_eq!(
        (new.stx_mtime.tv_sec, i64::from(new.stx_mtime.tv_nsec)),
        (old.st_mtime, old.st_mtime_nsec)
    );
    check_eq!(
        libc::makedev(new.stx_dev_major, new.stx_dev_minor),
        old.st_dev
    );
    statx(&path, libc::AT_STATX_DONT_SYNC, libc::STATX_SIZE)?;
    let null = statx(c"/dev/null", 0, libc::STATX_BASIC_STATS)?;
    check_eq!((null.stx_rdev_major, null.stx_rdev_minor), (1, 3));
    Ok(())
}

fn statx_tells_the_birth_to_who_asks() -> Outcome {
    let dir = TempDir::new()?;
    for path in [dir.file("f", b"")?.as_c_str(), c"/dev/shm"] {
        let unasked = statx(path, 0, libc::STATX_BASIC_STATS)?;
        check_eq!(
            (
                unasked.stx_mask & libc::STATX_BTIME,
                unasked.stx_btime.tv_sec
            ),
            (0, 0)
        );
        let asked = statx(path, 0, libc::STATX_BTIME)?;
        check_eq!(asked.stx_mask & libc::STATX_BTIME, libc::STATX_BTIME);
        check!(
            asked.stx_btime.tv_sec > 1_600_000_000,
            "{}",
            asked.stx_btime.tv_sec
        );
    }
    // Files of proc are not born.
    let made_up = statx(
        c"/proc/self/stat",
        0,
        libc::STATX_BASIC_STATS | libc::STATX_BTIME,
    )?;
    check_eq!(
        (
            made_up.stx_mask & libc::STATX_BTIME,
            made_up.stx_btime.tv_sec
        ),
        (0, 0)
    );
    Ok(())
}

fn block_sizes_of_the_kernels_own_files() -> Outcome {
    for (path, size) in [
        (c"/proc", 1024),
        (c"/proc/self/stat", 1024),
        (c"/proc/sys/kernel", 1024),
        (c"/proc/self/fd", 1024),
        (c"/sys", 4096),
        (c"/sys/devices/system/cpu/online", 4096),
        (c"/dev/shm", 4096),
        (c"/dev/pts", 1024),
    ] {
        check_eq!((path, file::stat(path)?.st_blksize), (path, size));
    }
    Ok(())
}

fn statx_errors() -> Outcome {
    errno_is!(statx(c"/none", 0, 0), ENOENT);
    errno_is!(statx(c"/", 0x4000_0000, 0), EINVAL);
    errno_is!(statx(c"/", 0, 1 << 31), EINVAL);
    errno_is!(
        statx(
            c"/",
            libc::AT_STATX_FORCE_SYNC | libc::AT_STATX_DONT_SYNC,
            0
        ),
        EINVAL
    );
    errno_is!(statx(c"", 0, 0), ENOENT);
    errno_is!(sys!(SYS_statx, libc::AT_FDCWD, c"/", 0, 0, 8), EFAULT);
    Ok(())
}

fn chmod_and_its_bits() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    for mode in [0, 0o7777, 0o1000, 0o644, 0o4755] {
        sys!(SYS_chmod, &path, mode)?;
        check_eq!(file::stat(&path)?.st_mode, libc::S_IFREG | mode);
    }
    // Bits beyond 07777 are ignored.
    sys!(SYS_chmod, &path, 0o170_600)?;
    check_eq!(file::stat(&path)?.st_mode, libc::S_IFREG | 0o600);
    sys!(SYS_fchmod, &fd::open(&path, libc::O_RDONLY, 0)?, 0o640)?;
    sys!(SYS_fchmodat, &dir.open()?, c"f", 0o641)?;
    check_eq!(file::stat(&path)?.st_mode & 0o7777, 0o641);
    Ok(())
}

fn chmod_errors() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    errno_is!(sys!(SYS_chmod, &dir.join("none"), 0o644), ENOENT);
    errno_is!(sys!(SYS_fchmod, 800, 0o644), EBADF);
    in_child(|| {
        creds::become_user(1000, 1000)?;
        errno_is!(sys!(SYS_chmod, &path, 0o666), EPERM);
        Ok(())
    })
}

fn fchmodat2_flags() -> Outcome {
    let dir = TempDir::new()?;
    dir.file("f", b"")?;
    sys!(SYS_symlink, c"f", &dir.join("link"))?;
    let base = dir.open()?;
    let chmod = |path: &std::ffi::CStr, mode: u32, flags: i32| {
        sys::call(
            452,
            "SYS_fchmodat2",
            file!(),
            line!(),
            &[
                base.number() as usize,
                path.as_ptr() as usize,
                mode as usize,
                flags as usize,
            ],
        )
    };
    chmod(c"f", 0o600, libc::AT_SYMLINK_NOFOLLOW)?;
    check_eq!(file::stat(&dir.join("f"))?.st_mode & 0o7777, 0o600);
    errno_is!(chmod(c"link", 0o600, libc::AT_SYMLINK_NOFOLLOW), EOPNOTSUPP);
    errno_is!(chmod(c"f", 0o600, 0x4000_0000), EINVAL);
    Ok(())
}

fn chown_and_minus_one() -> Outcome {
    creds::require(creds::CAP_CHOWN)?;
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    let owner = |path: &std::ffi::CStr| file::stat(path).map(|stat| (stat.st_uid, stat.st_gid));
    sys!(SYS_chown, &path, 11, 22)?;
    check_eq!(owner(&path)?, (11, 22));
    sys!(SYS_chown, &path, -1, 33)?;
    check_eq!(owner(&path)?, (11, 33));
    sys!(SYS_fchown, &fd::open(&path, libc::O_RDONLY, 0)?, 44, -1)?;
    check_eq!(owner(&path)?, (44, 33));
    sys!(SYS_fchownat, libc::AT_FDCWD, &path, 5, 6, 0)?;
    check_eq!(owner(&path)?, (5, 6));
    Ok(())
}

fn chown_clears_set_id_bits() -> Outcome {
    creds::require(creds::CAP_CHOWN)?;
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    for (before, after) in [(0o6755, 0o755), (0o2745, 0o2745), (0o4755, 0o755)] {
        sys!(SYS_chown, &path, 0, 0)?;
        sys!(SYS_chmod, &path, before)?;
        sys!(SYS_chown, &path, 1000, 1000)?;
        check_eq!(file::stat(&path)?.st_mode & 0o7777, after);
    }
    // Directories keep theirs.
    let sub = dir.dir("d")?;
    sys!(SYS_chmod, &sub, 0o6755)?;
    sys!(SYS_chown, &sub, 1000, 1000)?;
    check_eq!(file::stat(&sub)?.st_mode & 0o7777, 0o6755);
    Ok(())
}

fn chown_errors() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    errno_is!(sys!(SYS_chown, &dir.join("none"), 0, 0), ENOENT);
    errno_is!(sys!(SYS_fchown, 800, 0, 0), EBADF);
    sys!(SYS_chown, &path, 1000, 1000)?;
    in_child(|| {
        sys!(SYS_setgroups, 1, &[2000_u32])?;
        sys!(SYS_setresgid, 1000, 1000, 1000)?;
        sys!(SYS_setresuid, 1000, 1000, 1000)?;
        // The owner may give it to a group that it is in, not away.
        sys!(SYS_chown, &path, -1, 2000)?;
        sys!(SYS_chown, &path, 1000, 1000)?;
        errno_is!(sys!(SYS_chown, &path, -1, 3000), EPERM);
        errno_is!(sys!(SYS_chown, &path, 2000, -1), EPERM);
        Ok(())
    })?;
    in_child(|| {
        creds::become_user(4000, 1000)?;
        errno_is!(sys!(SYS_chown, &path, -1, 1000), EPERM);
        errno_is!(sys!(SYS_chown, &path, 4000, -1), EPERM);
        Ok(())
    })
}

fn write_clears_set_id_bits() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"abc")?;
    sys!(SYS_chown, &path, 1000, 1000)?;
    let mode = || file::stat(&path).map(|stat| stat.st_mode & 0o7777);
    in_child(|| {
        creds::become_user(1000, 1000)?;
        sys!(SYS_chmod, &path, 0o6775)?;
        let opened = fd::open(&path, libc::O_RDWR, 0)?;
        check_eq!(mode()?, 0o6775);
        opened.write(b"x")?;
        check_eq!(mode()?, 0o775);
        sys!(SYS_chmod, &path, 0o6775)?;
        opened.truncate(1)?;
        check_eq!(mode()?, 0o775);
        Ok(())
    })?;
    // With CAP_FSETID they stay.
    sys!(SYS_chmod, &path, 0o6775)?;
    creds::require(creds::CAP_FSETID)?;
    fd::open(&path, libc::O_RDWR, 0)?.write(b"x")?;
    check_eq!(mode()?, 0o6775);
    Ok(())
}

fn lchown_changes_the_link() -> Outcome {
    creds::require(creds::CAP_CHOWN)?;
    let dir = TempDir::new()?;
    let (path, link) = (dir.file("f", b"")?, dir.join("link"));
    sys!(SYS_symlink, c"f", &link)?;
    sys!(SYS_lchown, &link, 7, 8)?;
    check_eq!(
        (file::lstat(&link)?.st_uid, file::stat(&path)?.st_uid),
        (7, 0)
    );
    sys!(SYS_chown, &link, 9, 9)?;
    check_eq!(
        (file::lstat(&link)?.st_uid, file::stat(&path)?.st_uid),
        (7, 9)
    );
    errno_is!(sys!(SYS_fchownat, libc::AT_FDCWD, &link, 1, 1, 0x8), EINVAL);
    Ok(())
}

fn access_uses_the_real_id() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    sys!(SYS_chmod, &path, 0o600)?;
    in_child(|| {
        sys!(SYS_setresuid, 1000, 0, 0)?;
        errno_is!(sys!(SYS_access, &path, libc::R_OK), EACCES);
        fd::open(&path, libc::O_RDONLY, 0)?;
        sys!(
            SYS_faccessat2,
            libc::AT_FDCWD,
            &path,
            libc::R_OK,
            libc::AT_EACCESS
        )?;
        errno_is!(
            sys!(SYS_faccessat2, libc::AT_FDCWD, &path, libc::R_OK, 0),
            EACCES
        );
        Ok(())
    })
}

fn access_table() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    in_child(|| {
        sys!(SYS_chown, &path, 1000, 2000)?;
        // Owner, group, others, each with every combination of bits.
        for (uid, gid, shift) in [(1000, 3000, 6), (3000, 2000, 3), (3000, 3000, 0)] {
            for bits in 0..8 {
                sys!(SYS_chmod, &path, bits << shift)?;
                in_child(|| {
                    creds::become_user(uid, gid)?;
                    for wanted in 0..8 {
                        let allowed = sys!(SYS_access, &path, wanted).is_ok();
                        check!(
                            allowed == (wanted & !bits == 0),
                            "{uid}:{gid} mode {bits} wanted {wanted}"
                        );
                    }
                    Ok(())
                })?;
            }
        }
        Ok(())
    })
}

fn access_errors() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    errno_is!(sys!(SYS_access, &path, 8), EINVAL);
    errno_is!(sys!(SYS_access, &dir.join("none"), libc::F_OK), ENOENT);
    errno_is!(sys!(SYS_access, &path, libc::X_OK), EACCES);
    sys!(SYS_access, &path, libc::F_OK)?;
    errno_is!(sys!(SYS_faccessat2, libc::AT_FDCWD, &path, 0, 0x8), EINVAL);
    errno_is!(sys!(SYS_faccessat, 800, c"f", 0), EBADF);
    sys!(SYS_symlink, c"nowhere", &dir.join("link"))?;
    errno_is!(
        sys!(SYS_faccessat2, libc::AT_FDCWD, &dir.join("link"), 0, 0),
        ENOENT
    );
    sys!(
        SYS_faccessat2,
        libc::AT_FDCWD,
        &dir.join("link"),
        0,
        libc::AT_SYMLINK_NOFOLLOW
    )?;
    Ok(())
}

/// The owner's bits count for the owner even where others may do more.
fn permission_classes_are_exclusive() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"x")?;
    sys!(SYS_chown, &path, 1000, 1000)?;
    sys!(SYS_chmod, &path, 0o066)?;
    in_child(|| {
        creds::become_user(1000, 2000)?;
        errno_is!(fd::open(&path, libc::O_RDONLY, 0), EACCES);
        Ok(())
    })?;
    in_child(|| {
        creds::become_user(2000, 2000)?;
        fd::open(&path, libc::O_RDWR, 0)?;
        Ok(())
    })
}

fn sticky_directory_protects() -> Outcome {
    let dir = TempDir::new()?;
    let sub = dir.dir("d")?;
    sys!(SYS_chmod, &sub, 0o1777)?;
    for (name, owner) in [("d/mine", 1000), ("d/theirs", 2000)] {
        sys!(SYS_chown, &dir.file(name, b"")?, owner, owner)?;
    }
    in_child(|| {
        creds::become_user(1000, 1000)?;
        errno_is!(sys!(SYS_unlink, &dir.join("d/theirs")), EPERM);
        errno_is!(
            sys!(SYS_rename, &dir.join("d/theirs"), &dir.join("d/x")),
            EPERM
        );
        errno_is!(
            sys!(SYS_rename, &dir.join("d/mine"), &dir.join("d/theirs")),
            EPERM
        );
        sys!(SYS_rename, &dir.join("d/mine"), &dir.join("d/moved"))?;
        sys!(SYS_unlink, &dir.join("d/moved"))?;
        Ok(())
    })?;
    // The directory's owner may.
    sys!(SYS_chown, &sub, 3000, 3000)?;
    in_child(|| {
        creds::become_user(3000, 3000)?;
        sys!(SYS_unlink, &dir.join("d/theirs"))?;
        Ok(())
    })
}

fn directory_permissions_for_names() -> Outcome {
    let dir = TempDir::new()?;
    let sub = dir.dir("d")?;
    dir.file("d/f", b"")?;
    sys!(SYS_chmod, &dir.join("d/f"), 0o666)?;
    in_child(|| {
        creds::become_user(1000, 1000)?;
        errno_is!(
            fd::open(&dir.join("d/new"), libc::O_CREAT | libc::O_RDWR, 0o600),
            EACCES
        );
        errno_is!(sys!(SYS_unlink, &dir.join("d/f")), EACCES);
        errno_is!(sys!(SYS_mkdir, &dir.join("d/sub"), 0o700), EACCES);
        errno_is!(sys!(SYS_link, &dir.join("d/f"), &dir.join("d/g")), EACCES);
        errno_is!(sys!(SYS_rename, &dir.join("d/f"), &dir.join("f")), EACCES);
        fd::open(&dir.join("d/f"), libc::O_RDWR, 0)?;
        Ok(())
    })?;
    // Search without read: names are usable but not listed.
    sys!(SYS_chmod, &sub, 0o711)?;
    in_child(|| {
        creds::become_user(1000, 1000)?;
        errno_is!(fd::open(&sub, libc::O_RDONLY, 0), EACCES);
        fd::open(&dir.join("d/f"), libc::O_RDWR, 0)?;
        Ok(())
    })
}

fn root_may_do_nearly_all() -> Outcome {
    creds::require(creds::CAP_DAC_OVERRIDE)?;
    let dir = TempDir::new()?;
    let path = dir.file("f", b"x")?;
    sys!(SYS_chown, &path, 1000, 1000)?;
    sys!(SYS_chmod, &path, 0)?;
    fd::open(&path, libc::O_RDWR, 0)?;
    errno_is!(sys!(SYS_access, &path, libc::X_OK), EACCES);
    sys!(SYS_chmod, &path, 0o001)?;
    sys!(SYS_access, &path, libc::X_OK)?;
    Ok(())
}

fn override_capability_is_what_counts() -> Outcome {
    creds::require(creds::CAP_DAC_OVERRIDE)?;
    const CAP_DAC_READ_SEARCH: u32 = 2;
    let dir = TempDir::new()?;
    let path = dir.file("f", b"x")?;
    sys!(SYS_chown, &path, 1000, 1000)?;
    sys!(SYS_chmod, &path, 0)?;
    in_child(|| {
        creds::drop_effective(creds::CAP_DAC_OVERRIDE)?;
        creds::drop_effective(CAP_DAC_READ_SEARCH)?;
        errno_is!(fd::open(&path, libc::O_RDONLY, 0), EACCES);
        sys!(SYS_chmod, &path, 0o007)?;
        fd::open(&path, libc::O_RDWR, 0)?;
        creds::drop_effective(creds::CAP_FOWNER)?;
        errno_is!(sys!(SYS_chmod, &path, 0o777), EPERM);
        Ok(())
    })
}

fn utimensat(path: &std::ffi::CStr, atime: (i64, i64), mtime: (i64, i64)) -> SysResult {
    let spec = |time: (i64, i64)| libc::timespec {
        tv_sec: time.0,
        tv_nsec: time.1,
    };
    sys!(
        SYS_utimensat,
        libc::AT_FDCWD,
        path,
        &[spec(atime), spec(mtime)],
        0
    )
}

fn utimensat_sets_times() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    utimensat(
        &path,
        (1_000_000_000, 123_456_789),
        (1_500_000_000, 987_654_321),
    )?;
    let [atime, mtime, ctime] = times(&file::stat(&path)?);
    check_eq!(
        (atime, mtime),
        ((1_000_000_000, 123_456_789), (1_500_000_000, 987_654_321))
    );
    check!(ctime.0 > 1_600_000_000);
    // Before 1970, and beyond 2038.
    utimensat(&path, (-1000, 0), (5_000_000_000, 0))?;
    check_eq!(
        times(&file::stat(&path)?)[..2],
        [(-1000, 0), (5_000_000_000, 0)]
    );
    Ok(())
}

fn utimensat_special_values() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    utimensat(&path, (1000, 0), (2000, 0))?;
    utimensat(&path, (9, libc::UTIME_OMIT), (9, libc::UTIME_NOW))?;
    let [atime, mtime, _] = times(&file::stat(&path)?);
    check!(atime == (1000, 0) && mtime.0 > 1_600_000_000);
    errno_is!(utimensat(&path, (0, 1_000_000_000), (0, 0)), EINVAL);
    errno_is!(utimensat(&path, (0, -5), (0, 0)), EINVAL);
    // Nothing to do: even a missing file is fine for two times UTIME_OMIT... but not for others.
    errno_is!(utimensat(&dir.join("none"), (0, 0), (0, 0)), ENOENT);
    sys!(SYS_utimensat, libc::AT_FDCWD, &path, 0, 0)?;
    check!(times(&file::stat(&path)?)[0].0 > 1_600_000_000);
    // By descriptor, and the link itself.
    let spec = [time::timespec(3_000_000_000), time::timespec(4_000_000_000)];
    sys!(
        SYS_utimensat,
        &fd::open(&path, libc::O_RDONLY, 0)?,
        0,
        &spec,
        0
    )?;
    check_eq!(times(&file::stat(&path)?)[..2], [(3, 0), (4, 0)]);
    sys!(SYS_symlink, c"f", &dir.join("link"))?;
    let spec = [time::timespec(7_000_000_000), time::timespec(7_000_000_000)];
    sys!(
        SYS_utimensat,
        libc::AT_FDCWD,
        &dir.join("link"),
        &spec,
        libc::AT_SYMLINK_NOFOLLOW
    )?;
    check_eq!(
        (
            file::lstat(&dir.join("link"))?.st_mtime,
            file::stat(&path)?.st_mtime
        ),
        (7, 4)
    );
    Ok(())
}

fn utimensat_permissions() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    sys!(SYS_chmod, &path, 0o666)?;
    in_child(|| {
        creds::become_user(1000, 1000)?;
        // Writers may set the current time, only owners another.
        sys!(SYS_utimensat, libc::AT_FDCWD, &path, 0, 0)?;
        errno_is!(utimensat(&path, (1, 0), (1, 0)), EPERM);
        Ok(())
    })?;
    sys!(SYS_chmod, &path, 0o644)?;
    in_child(|| {
        creds::become_user(1000, 1000)?;
        errno_is!(sys!(SYS_utimensat, libc::AT_FDCWD, &path, 0, 0), EACCES);
        Ok(())
    })
}

fn times_change_as_they_should() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"hello")?;
    let opened = fd::open(&path, libc::O_RDWR, 0)?;
    let changed = |action: &dyn Fn() -> SysResult| -> Result<[bool; 2], SysError> {
        let before = times(&file::stat(&path)?);
        time::sleep_ms(15);
        action()?;
        let after = times(&file::stat(&path)?);
        Ok([before[1] != after[1], before[2] != after[2]])
    };
    check_eq!(
        changed(&|| opened.write(b"x").map(|done| done as i64))?,
        [true, true]
    );
    check_eq!(
        changed(&|| sys!(SYS_fchmod, &opened, 0o600))?,
        [false, true]
    );
    check_eq!(changed(&|| opened.truncate(2).map(|()| 0))?, [true, true]);
    check_eq!(changed(&|| sys!(SYS_rename, &path, &path))?, [false, false]);
    check_eq!(changed(&|| opened.pread(1, 0).map(|_| 0))?, [false, false]);
    let before = file::stat(&file::cstring(dir.path()))?;
    time::sleep_ms(15);
    dir.file("new", b"")?;
    let after = file::stat(&file::cstring(dir.path()))?;
    check!(times(&after)[1] > times(&before)[1]);
    Ok(())
}

fn utime_and_utimes() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    sys!(SYS_utime, &path, &[11_i64, 22])?;
    check_eq!(times(&file::stat(&path)?)[..2], [(11, 0), (22, 0)]);
    let time = |tv_sec, tv_usec| libc::timeval { tv_sec, tv_usec };
    sys!(SYS_utimes, &path, &[time(1, 500_000), time(2, 250_000)])?;
    check_eq!(
        times(&file::stat(&path)?)[..2],
        [(1, 500_000_000), (2, 250_000_000)]
    );
    errno_is!(
        sys!(SYS_utimes, &path, &[time(1, 1_000_000), time(2, 0)]),
        EINVAL
    );
    sys!(SYS_utime, &path, 0)?;
    check!(file::stat(&path)?.st_mtime > 1_600_000_000);
    Ok(())
}

fn statfs_of_tmp_and_proc() -> Outcome {
    let dir = TempDir::new()?;
    let mut stat = sys::zeroed::<libc::statfs>();
    sys!(SYS_statfs, &file::cstring(dir.path()), &mut stat)?;
    check!(stat.f_bsize > 0 && stat.f_namelen == 255 && stat.f_bfree <= stat.f_blocks);
    sys!(SYS_statfs, c"/proc/self/stat", &mut stat)?;
    check_eq!(stat.f_type, libc::PROC_SUPER_MAGIC);
    sys!(SYS_statfs, c"/dev/shm", &mut stat)?;
    check_eq!(stat.f_type, libc::TMPFS_MAGIC);
    sys!(SYS_fstatfs, &dir.open()?, &mut stat)?;
    errno_is!(sys!(SYS_fstatfs, 800, &mut stat), EBADF);
    errno_is!(sys!(SYS_statfs, &dir.join("none"), &mut stat), ENOENT);
    let (reader, _writer) = fd::pipe(0)?;
    sys!(SYS_fstatfs, &reader, &mut stat)?;
    check_eq!(stat.f_type, 0x5049_5045);
    Ok(())
}

fn umask_is_kept() -> Outcome {
    sys!(SYS_umask, 0o123)?;
    check_eq!(sys!(SYS_umask, 0o77777)?, 0o123);
    check_eq!(sys!(SYS_umask, 0o022)?, 0o777);
    check_eq!(
        crate::support::proc::field("/proc/self/status", "Umask")?,
        "0022"
    );
    Ok(())
}

fn inode_numbers_are_unique() -> Outcome {
    let dir = TempDir::new()?;
    let mut numbers = std::collections::BTreeSet::new();
    for index in 0..50 {
        numbers.insert(file::stat(&dir.file(&format!("f{index}"), b"")?)?.st_ino);
    }
    check_eq!(numbers.len(), 50);
    Ok(())
}

/// chmod(2): without `CAP_FSETID`, a file of a foreign group can't be set-group-ID.
fn set_group_id_is_dropped_for_strangers() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    sys!(SYS_chown, &path, 1000, 5000)?;
    in_child(|| {
        creds::become_user(1000, 1000)?;
        sys!(SYS_chmod, &path, 0o2755)?;
        check_eq!(file::stat(&path)?.st_mode & 0o7777, 0o755);
        Ok(())
    })
}
