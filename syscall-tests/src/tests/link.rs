//! link(2), unlink(2), rename(2), mkdir(2), rmdir(2), mknod(2).

use crate::case::Outcome;
use crate::support::fd;
use crate::support::file::{self, TempDir};
use crate::support::{creds, process};

cases!(
    hard_link_shares_the_inode,
    link_errors,
    linkat_follows_only_when_asked,
    unlinked_open_file_lives_on,
    unlink_errors,
    unlinkat_removes_directories_when_asked,
    rmdir_errors,
    mkdir_errors_and_modes,
    set_group_id_directory_is_inherited,
    link_counts_of_directories,
    rename_replaces_a_file,
    rename_of_links_to_one_inode_does_nothing,
    rename_of_directories,
    rename_errors,
    rename_into_its_own_descendant_is_einval,
    rename_noreplace,
    rename_exchange,
    rename_flags_are_checked,
    rename_moves_an_open_directory,
    mknod_kinds,
    mknod_of_a_device_needs_the_capability,
    ctime_changes_with_links,
);

fn hard_link_shares_the_inode() -> Outcome {
    let dir = TempDir::new()?;
    let (first, second) = (dir.file("a", b"x")?, dir.join("b"));
    sys!(SYS_link, &first, &second)?;
    let (a, b) = (file::stat(&first)?, file::stat(&second)?);
    check_eq!((a.st_dev, a.st_ino, a.st_nlink), (b.st_dev, b.st_ino, 2));
    fd::open(&second, libc::O_WRONLY, 0)?.write(b"y")?;
    check_eq!(file::contents(&first)?, b"y");
    sys!(SYS_unlink, &first)?;
    check_eq!(file::stat(&second)?.st_nlink, 1);
    Ok(())
}

fn link_errors() -> Outcome {
    let dir = TempDir::new()?;
    let (path, sub) = (dir.file("f", b"")?, dir.dir("d")?);
    errno_is!(sys!(SYS_link, &dir.join("none"), &dir.join("x")), ENOENT);
    errno_is!(sys!(SYS_link, &path, &sub), EEXIST);
    errno_is!(sys!(SYS_link, &path, &path), EEXIST);
    errno_is!(sys!(SYS_link, &sub, &dir.join("x")), EPERM);
    errno_is!(sys!(SYS_link, &path, &dir.join("none/x")), ENOENT);
    errno_is!(sys!(SYS_link, &path, c"/dev/shm/st-x"), EXDEV);
    errno_is!(
        sys!(
            SYS_linkat,
            libc::AT_FDCWD,
            &path,
            libc::AT_FDCWD,
            &dir.join("x"),
            0x4000
        ),
        EINVAL
    );
    Ok(())
}

fn linkat_follows_only_when_asked() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    let link = dir.join("link");
    sys!(SYS_symlink, c"f", &link)?;
    let kind = |name: &str, flags: i32| {
        let target = dir.join(name);
        sys!(
            SYS_linkat,
            libc::AT_FDCWD,
            &link,
            libc::AT_FDCWD,
            &target,
            flags
        )?;
        file::lstat(&target)
    };
    check_eq!(kind("a", 0)?.st_mode & libc::S_IFMT, libc::S_IFLNK);
    check_eq!(
        kind("b", libc::AT_SYMLINK_FOLLOW)?.st_ino,
        file::stat(&path)?.st_ino
    );
    Ok(())
}

fn unlinked_open_file_lives_on() -> Outcome {
    let dir = TempDir::new()?;
    let opened = dir.open_file("f", b"hello")?;
    sys!(SYS_unlink, &dir.join("f"))?;
    check_eq!(opened.stat()?.st_nlink, 0);
    opened.pwrite(b"J", 0)?;
    check_eq!(opened.read(10)?, b"Jello");
    let link = std::fs::read_link(format!("/proc/self/fd/{}", opened.number()))?;
    check_eq!(
        link.to_string_lossy(),
        format!("{}/f (deleted)", dir.path())
    );
    // A new file of that name is another file.
    check!(dir.open_file("f", b"")?.stat()?.st_size == 0);
    check_eq!(opened.stat()?.st_size, 5);
    Ok(())
}

fn unlink_errors() -> Outcome {
    let dir = TempDir::new()?;
    errno_is!(sys!(SYS_unlink, &dir.dir("d")?), EISDIR);
    errno_is!(sys!(SYS_unlink, &dir.join("none")), ENOENT);
    errno_is!(sys!(SYS_unlink, c""), ENOENT);
    errno_is!(
        sys!(SYS_unlinkat, libc::AT_FDCWD, &dir.file("f", b"")?, 1),
        EINVAL
    );
    errno_is!(sys!(SYS_unlink, &dir.join("d/.")), EISDIR);
    Ok(())
}

fn unlinkat_removes_directories_when_asked() -> Outcome {
    let dir = TempDir::new()?;
    let base = dir.open()?;
    dir.dir("d")?;
    dir.file("f", b"")?;
    errno_is!(sys!(SYS_unlinkat, &base, c"f", libc::AT_REMOVEDIR), ENOTDIR);
    errno_is!(sys!(SYS_unlinkat, &base, c"d", 0), EISDIR);
    sys!(SYS_unlinkat, &base, c"d", libc::AT_REMOVEDIR)?;
    sys!(SYS_unlinkat, &base, c"f", 0)?;
    Ok(())
}

fn rmdir_errors() -> Outcome {
    let dir = TempDir::new()?;
    let sub = dir.dir("d")?;
    dir.dir("d/e")?;
    errno_is!(sys!(SYS_rmdir, &sub), ENOTEMPTY);
    errno_is!(sys!(SYS_rmdir, &dir.join("d/e/.")), EINVAL);
    errno_is!(sys!(SYS_rmdir, &dir.join("d/e/..")), ENOTEMPTY);
    errno_is!(sys!(SYS_rmdir, &dir.file("f", b"")?), ENOTDIR);
    errno_is!(sys!(SYS_rmdir, &dir.join("none")), ENOENT);
    errno_is!(sys!(SYS_rmdir, c"/"), EBUSY);
    sys!(SYS_symlink, c"d", &dir.join("link"))?;
    errno_is!(sys!(SYS_rmdir, &dir.join("link")), ENOTDIR);
    Ok(())
}

fn mkdir_errors_and_modes() -> Outcome {
    let dir = TempDir::new()?;
    sys!(SYS_umask, 0o027)?;
    errno_is!(sys!(SYS_mkdir, &dir.file("f", b"")?, 0o777), EEXIST);
    errno_is!(sys!(SYS_mkdir, c"/", 0o777), EEXIST);
    errno_is!(sys!(SYS_mkdir, &dir.join("a/b"), 0o777), ENOENT);
    sys!(SYS_symlink, c"nowhere", &dir.join("link"))?;
    errno_is!(sys!(SYS_mkdir, &dir.join("link"), 0o777), EEXIST);
    for (name, mode, expected) in [
        ("p", 0o777, 0o750),
        ("s", 0o1777, 0o1750),
        ("g", 0o6777, 0o750),
    ] {
        let path = dir.join(name);
        sys!(SYS_mkdir, &path, mode)?;
        check_eq!(file::stat(&path)?.st_mode, libc::S_IFDIR | expected);
    }
    Ok(())
}

fn set_group_id_directory_is_inherited() -> Outcome {
    creds::require(creds::CAP_CHOWN)?;
    let dir = TempDir::new()?;
    let sub = dir.dir("d")?;
    sys!(SYS_chown, &sub, 0, 777)?;
    sys!(SYS_chmod, &sub, 0o2777)?;
    check_eq!(file::stat(&dir.file("d/f", b"")?)?.st_gid, 777);
    let inner = file::stat(&dir.dir("d/e")?)?;
    check_eq!((inner.st_gid, inner.st_mode & 0o7777), (777, 0o2755));
    Ok(())
}

fn link_counts_of_directories() -> Outcome {
    let dir = TempDir::new()?;
    let sub = dir.dir("d")?;
    check_eq!(file::stat(&sub)?.st_nlink, 2);
    let inner = dir.dir("d/e")?;
    check_eq!(file::stat(&sub)?.st_nlink, 3);
    sys!(SYS_rename, &inner, &dir.join("e"))?;
    check_eq!(file::stat(&sub)?.st_nlink, 2);
    sys!(SYS_rmdir, &dir.join("e"))?;
    check_eq!(file::stat(&file::cstring(dir.path()))?.st_nlink, 3);
    Ok(())
}

fn rename_replaces_a_file() -> Outcome {
    let dir = TempDir::new()?;
    let (from, to) = (dir.file("a", b"new")?, dir.file("b", b"old")?);
    let old = fd::open(&to, libc::O_RDONLY, 0)?;
    sys!(SYS_rename, &from, &to)?;
    check_eq!(file::contents(&to)?, b"new");
    check_eq!(old.read(5)?, b"old");
    check_eq!(old.stat()?.st_nlink, 0);
    errno_is!(file::stat(&from), ENOENT);
    Ok(())
}

fn rename_of_links_to_one_inode_does_nothing() -> Outcome {
    let dir = TempDir::new()?;
    let (a, b) = (dir.file("a", b"")?, dir.join("b"));
    sys!(SYS_link, &a, &b)?;
    sys!(SYS_rename, &a, &b)?;
    check_eq!(file::stat(&a)?.st_nlink, 2);
    sys!(SYS_rename, &a, &a)?;
    file::stat(&a)?;
    Ok(())
}

fn rename_of_directories() -> Outcome {
    let dir = TempDir::new()?;
    let (from, to) = (dir.dir("a")?, dir.dir("b")?);
    dir.file("a/f", b"x")?;
    sys!(SYS_rename, &from, &to)?;
    check_eq!(file::contents(&dir.join("b/f"))?, b"x");
    errno_is!(file::stat(&from), ENOENT);
    dir.dir("c")?;
    dir.file("c/g", b"")?;
    errno_is!(sys!(SYS_rename, &to, &dir.join("c")), ENOTEMPTY);
    sys!(SYS_rename, &dir.join("c"), &dir.join("b/c"))?;
    let (parent, up) = (file::stat(&to)?, file::stat(&dir.join("b/c/.."))?);
    check_eq!(parent.st_ino, up.st_ino);
    Ok(())
}

fn rename_errors() -> Outcome {
    let dir = TempDir::new()?;
    let (path, sub) = (dir.file("f", b"")?, dir.dir("d")?);
    errno_is!(sys!(SYS_rename, &path, &sub), EISDIR);
    errno_is!(sys!(SYS_rename, &sub, &path), ENOTDIR);
    errno_is!(sys!(SYS_rename, &dir.join("none"), &path), ENOENT);
    errno_is!(sys!(SYS_rename, &path, &dir.join("none/x")), ENOENT);
    errno_is!(sys!(SYS_rename, &dir.join("f/x"), &path), ENOTDIR);
    errno_is!(sys!(SYS_rename, &path, c"/dev/shm/st-x"), EXDEV);
    errno_is!(sys!(SYS_rename, &dir.join("d/."), &dir.join("x")), EBUSY);
    errno_is!(sys!(SYS_rename, &path, &dir.join("d/..")), EBUSY);
    errno_is!(
        sys!(SYS_rename, &dir.join("d/."), &dir.join("none/x")),
        ENOENT
    );
    errno_is!(
        sys!(SYS_rename, &dir.join("d/."), &dir.join("f/x")),
        ENOTDIR
    );
    Ok(())
}

fn rename_into_its_own_descendant_is_einval() -> Outcome {
    let dir = TempDir::new()?;
    let top = dir.dir("a")?;
    dir.dir("a/b")?;
    errno_is!(sys!(SYS_rename, &top, &dir.join("a/b/c")), EINVAL);
    errno_is!(sys!(SYS_rename, &top, &dir.join("a/c")), EINVAL);
    errno_is!(sys!(SYS_rename, &dir.join("a/b"), &top), ENOTEMPTY);
    Ok(())
}

fn rename2(from: &std::ffi::CStr, to: &std::ffi::CStr, flags: u32) -> crate::sys::SysResult {
    sys!(
        SYS_renameat2,
        libc::AT_FDCWD,
        from,
        libc::AT_FDCWD,
        to,
        flags
    )
}

fn rename_noreplace() -> Outcome {
    let dir = TempDir::new()?;
    let (a, b) = (dir.file("a", b"a")?, dir.file("b", b"b")?);
    errno_is!(rename2(&a, &b, libc::RENAME_NOREPLACE), EEXIST);
    check_eq!(file::contents(&b)?, b"b");
    rename2(&a, &dir.join("c"), libc::RENAME_NOREPLACE)?;
    check_eq!(file::contents(&dir.join("c"))?, b"a");
    sys!(SYS_symlink, c"nowhere", &dir.join("link"))?;
    errno_is!(
        rename2(&b, &dir.join("link"), libc::RENAME_NOREPLACE),
        EEXIST
    );
    Ok(())
}

fn rename_exchange() -> Outcome {
    let dir = TempDir::new()?;
    let (a, b) = (dir.file("a", b"a")?, dir.file("b", b"b")?);
    rename2(&a, &b, libc::RENAME_EXCHANGE)?;
    check_eq!(file::contents(&a)?, b"b");
    check_eq!(file::contents(&b)?, b"a");
    let sub = dir.dir("d")?;
    dir.file("d/f", b"inner")?;
    rename2(&a, &sub, libc::RENAME_EXCHANGE)?;
    check_eq!(file::contents(&dir.join("a/f"))?, b"inner");
    check_eq!(file::contents(&sub)?, b"b");
    errno_is!(
        rename2(&b, &dir.join("none"), libc::RENAME_EXCHANGE),
        ENOENT
    );
    Ok(())
}

fn rename_flags_are_checked() -> Outcome {
    let dir = TempDir::new()?;
    let (a, b) = (dir.file("a", b"a")?, dir.file("b", b"b")?);
    errno_is!(
        rename2(&a, &b, libc::RENAME_NOREPLACE | libc::RENAME_EXCHANGE),
        EINVAL
    );
    errno_is!(
        rename2(&a, &b, libc::RENAME_WHITEOUT | libc::RENAME_EXCHANGE),
        EINVAL
    );
    errno_is!(rename2(&a, &b, 0x100), EINVAL);
    Ok(())
}

fn rename_moves_an_open_directory() -> Outcome {
    let dir = TempDir::new()?;
    dir.dir("d")?;
    let base = fd::open(&dir.join("d"), libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    sys!(SYS_rename, &dir.join("d"), &dir.join("e"))?;
    fd::Fd::own(sys!(
        SYS_openat,
        &base,
        c"f",
        libc::O_CREAT | libc::O_RDWR,
        0o600
    )?);
    file::stat(&dir.join("e/f"))?;
    Ok(())
}

fn mknod_kinds() -> Outcome {
    let dir = TempDir::new()?;
    sys!(SYS_umask, 0o022)?;
    for (name, kind) in [
        ("r", libc::S_IFREG),
        ("p", libc::S_IFIFO),
        ("s", libc::S_IFSOCK),
    ] {
        let path = dir.join(name);
        sys!(SYS_mknod, &path, kind | 0o666, 0)?;
        check_eq!(file::stat(&path)?.st_mode, kind | 0o644);
        errno_is!(sys!(SYS_mknod, &path, kind | 0o666, 0), EEXIST);
    }
    // No type means a regular file.
    sys!(SYS_mknod, &dir.join("z"), 0o666, 0)?;
    check_eq!(file::stat(&dir.join("z"))?.st_mode, libc::S_IFREG | 0o644);
    errno_is!(
        sys!(SYS_mknod, &dir.join("d"), libc::S_IFDIR | 0o777, 0),
        EPERM
    );
    errno_is!(
        sys!(SYS_mknod, &dir.join("l"), libc::S_IFLNK | 0o777, 0),
        EINVAL
    );
    errno_is!(fd::open(&dir.join("s"), libc::O_RDONLY, 0), ENXIO);
    Ok(())
}

fn mknod_of_a_device_needs_the_capability() -> Outcome {
    creds::require(creds::CAP_MKNOD)?;
    let dir = TempDir::new()?;
    process::in_child(|| {
        creds::drop_effective(creds::CAP_MKNOD)?;
        errno_is!(
            sys!(
                SYS_mknod,
                &dir.join("null"),
                libc::S_IFCHR | 0o666,
                libc::makedev(1, 3)
            ),
            EPERM
        );
        sys!(SYS_mknod, &dir.join("fifo"), libc::S_IFIFO | 0o666, 0)?;
        Ok(())
    })
}

fn ctime_changes_with_links() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"")?;
    let before = file::stat(&path)?;
    crate::support::time::sleep_ms(20);
    sys!(SYS_link, &path, &dir.join("g"))?;
    let after = file::stat(&path)?;
    check!((after.st_ctime, after.st_ctime_nsec) > (before.st_ctime, before.st_ctime_nsec));
    check_eq!(
        (after.st_mtime, after.st_mtime_nsec),
        (before.st_mtime, before.st_mtime_nsec)
    );
    Ok(())
}
