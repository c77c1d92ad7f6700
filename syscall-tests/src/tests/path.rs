//! Path resolution: `path_resolution(7)`, symlink(7).

use crate::case::Outcome;
use crate::support::fd;
use crate::support::file::{self, TempDir};
use crate::support::{creds, process};

cases!(
    file_as_directory_is_enotdir,
    trailing_slash_wants_a_directory,
    dots_and_slashes_collapse,
    dotdot_of_the_root_is_the_root,
    component_of_256_bytes_is_enametoolong,
    path_of_4096_bytes_is_enametoolong,
    symlink_loop_is_eloop,
    forty_symlinks_are_allowed,
    symlinks_are_relative_to_their_directory,
    empty_symlink_target_is_refused,
    dotdot_leaves_the_symlinks_target,
    search_permission_is_needed,
    chdir_and_getcwd,
    getcwd_errors,
    chdir_into_a_file_is_enotdir,
    fchdir_moves_too,
    removed_working_directory,
    readlink_cuts_silently,
    readlink_errors,
    chroot_hides_the_rest,
    chroot_needs_the_capability,
    non_utf8_names_are_kept,
);

fn file_as_directory_is_enotdir() -> Outcome {
    let dir = TempDir::new()?;
    dir.file("f", b"")?;
    errno_is!(file::stat(&dir.join("f/x")), ENOTDIR);
    errno_is!(file::stat(&dir.join("f/..")), ENOTDIR);
    errno_is!(
        fd::open(&dir.join("f/x"), libc::O_CREAT | libc::O_RDWR, 0o600),
        ENOTDIR
    );
    errno_is!(sys!(SYS_unlink, &dir.join("f/x")), ENOTDIR);
    errno_is!(sys!(SYS_mkdir, &dir.join("f/x"), 0o700), ENOTDIR);
    Ok(())
}

fn trailing_slash_wants_a_directory() -> Outcome {
    let dir = TempDir::new()?;
    dir.file("f", b"")?;
    dir.dir("d")?;
    sys!(SYS_symlink, c"d", &dir.join("link"))?;
    errno_is!(file::stat(&dir.join("f/")), ENOTDIR);
    errno_is!(sys!(SYS_unlink, &dir.join("f/")), ENOTDIR);
    check_eq!(
        file::lstat(&dir.join("link/"))?.st_mode & libc::S_IFMT,
        libc::S_IFDIR
    );
    errno_is!(sys!(SYS_rmdir, &dir.join("link/")), ENOTDIR);
    sys!(SYS_mkdir, &dir.join("new/"), 0o700)?;
    sys!(SYS_rmdir, &dir.join("new///"))?;
    errno_is!(sys!(SYS_rename, &dir.join("f"), &dir.join("g/")), ENOTDIR);
    Ok(())
}

fn dots_and_slashes_collapse() -> Outcome {
    let dir = TempDir::new()?;
    dir.dir("d")?;
    let inode = file::stat(&dir.file("d/f", b"")?)?.st_ino;
    for name in ["./d//f", "d/./f", "d/../d/f", "..//././", ".//d/.//f"] {
        if name.ends_with('f') {
            check_eq!(file::stat(&dir.join(name))?.st_ino, inode);
        }
    }
    Ok(())
}

fn dotdot_of_the_root_is_the_root() -> Outcome {
    let root = file::stat(c"/")?;
    let above = file::stat(c"/../../..")?;
    check_eq!((above.st_dev, above.st_ino), (root.st_dev, root.st_ino));
    Ok(())
}

fn component_of_256_bytes_is_enametoolong() -> Outcome {
    let dir = TempDir::new()?;
    dir.file(&"n".repeat(255), b"")?;
    errno_is!(file::stat(&dir.join(&"n".repeat(256))), ENAMETOOLONG);
    errno_is!(
        fd::open(
            &dir.join(&"n".repeat(256)),
            libc::O_CREAT | libc::O_RDWR,
            0o600
        ),
        ENAMETOOLONG
    );
    errno_is!(
        sys!(SYS_mkdir, &dir.join(&"n".repeat(256)), 0o700),
        ENAMETOOLONG
    );
    Ok(())
}

fn path_of_4096_bytes_is_enametoolong() -> Outcome {
    let dir = TempDir::new()?;
    let fill = |len: usize| {
        file::cstring(&format!(
            "{}{}",
            "/".repeat(len - dir.path().len()),
            dir.path()
        ))
    };
    check_eq!(
        file::stat(&fill(4095))?.st_mode & libc::S_IFMT,
        libc::S_IFDIR
    );
    errno_is!(file::stat(&fill(4096)), ENAMETOOLONG);
    errno_is!(
        sys!(SYS_symlink, &fill(4096), &dir.join("link")),
        ENAMETOOLONG
    );
    Ok(())
}

fn symlink_loop_is_eloop() -> Outcome {
    let dir = TempDir::new()?;
    sys!(SYS_symlink, c"b", &dir.join("a"))?;
    sys!(SYS_symlink, c"a", &dir.join("b"))?;
    errno_is!(file::stat(&dir.join("a")), ELOOP);
    errno_is!(
        fd::open(&dir.join("a"), libc::O_CREAT | libc::O_RDWR, 0o600),
        ELOOP
    );
    errno_is!(file::stat(&dir.join("a/x")), ELOOP);
    file::lstat(&dir.join("a"))?;
    Ok(())
}

fn forty_symlinks_are_allowed() -> Outcome {
    let dir = TempDir::new()?;
    dir.file("l0", b"x")?;
    for index in 1..=41 {
        sys!(
            SYS_symlink,
            &file::cstring(&format!("l{}", index - 1)),
            &dir.join(&format!("l{index}"))
        )?;
    }
    check_eq!(file::contents(&dir.join("l40"))?, b"x");
    errno_is!(file::stat(&dir.join("l41")), ELOOP);
    Ok(())
}

fn symlinks_are_relative_to_their_directory() -> Outcome {
    let dir = TempDir::new()?;
    dir.dir("d")?;
    dir.file("d/f", b"inner")?;
    dir.file("f", b"outer")?;
    sys!(SYS_symlink, c"f", &dir.join("d/near"))?;
    sys!(SYS_symlink, c"../f", &dir.join("d/up"))?;
    sys!(SYS_symlink, &dir.join("f"), &dir.join("d/abs"))?;
    check_eq!(file::contents(&dir.join("d/near"))?, b"inner");
    check_eq!(file::contents(&dir.join("d/up"))?, b"outer");
    check_eq!(file::contents(&dir.join("d/abs"))?, b"outer");
    check_eq!(file::lstat(&dir.join("d/up"))?.st_size, 4);
    Ok(())
}

fn empty_symlink_target_is_refused() -> Outcome {
    let dir = TempDir::new()?;
    errno_is!(sys!(SYS_symlink, c"", &dir.join("link")), ENOENT);
    errno_is!(sys!(SYS_symlink, c"x", c""), ENOENT);
    errno_is!(sys!(SYS_symlink, c"x", &dir.file("f", b"")?), EEXIST);
    Ok(())
}

fn dotdot_leaves_the_symlinks_target() -> Outcome {
    let dir = TempDir::new()?;
    dir.dir("a")?;
    dir.dir("a/b")?;
    dir.file("a/f", b"deep")?;
    dir.file("f", b"top")?;
    sys!(SYS_symlink, c"a/b", &dir.join("link"))?;
    check_eq!(file::contents(&dir.join("link/../f"))?, b"deep");
    Ok(())
}

fn search_permission_is_needed() -> Outcome {
    let dir = TempDir::new()?;
    dir.dir("d")?;
    dir.file("d/f", b"x")?;
    sys!(SYS_chmod, &dir.join("d"), 0o644)?;
    process::in_child(|| {
        creds::become_user(1000, 1000)?;
        errno_is!(file::stat(&dir.join("d/f")), EACCES);
        errno_is!(file::stat(&dir.join("d/none")), EACCES);
        errno_is!(sys!(SYS_chdir, &dir.join("d")), EACCES);
        fd::open(&dir.join("d"), libc::O_RDONLY, 0)?;
        Ok(())
    })
}

fn cwd() -> Result<String, crate::case::Failure> {
    let mut buffer = [0_u8; 4096];
    let len = sys!(SYS_getcwd, &mut buffer, buffer.len())? as usize;
    check_eq!(buffer.get(len - 1), Some(&0));
    Ok(String::from_utf8_lossy(&buffer[..len - 1]).into_owned())
}

fn chdir_and_getcwd() -> Outcome {
    let dir = TempDir::new()?;
    dir.dir("d")?;
    sys!(SYS_symlink, c"d", &dir.join("link"))?;
    sys!(SYS_chdir, &dir.join("link"))?;
    check_eq!(cwd()?, format!("{}/d", dir.path()));
    sys!(SYS_chdir, c"..")?;
    check_eq!(cwd()?, dir.path());
    sys!(SYS_rename, &dir.join("d"), &dir.join("e"))?;
    sys!(SYS_chdir, c"e")?;
    check_eq!(cwd()?, format!("{}/e", dir.path()));
    sys!(SYS_chdir, c"/")?;
    check_eq!(cwd()?, "/");
    Ok(())
}

fn getcwd_errors() -> Outcome {
    let dir = TempDir::new()?;
    sys!(SYS_chdir, &file::cstring(dir.path()))?;
    let mut buffer = [0_u8; 4096];
    errno_is!(sys!(SYS_getcwd, &mut buffer, 0), ERANGE);
    errno_is!(sys!(SYS_getcwd, &mut buffer, dir.path().len()), ERANGE);
    check_eq!(
        sys!(SYS_getcwd, &mut buffer, dir.path().len() + 1)?,
        dir.path().len() as i64 + 1
    );
    errno_is!(sys!(SYS_getcwd, 8, 4096), EFAULT);
    Ok(())
}

fn chdir_into_a_file_is_enotdir() -> Outcome {
    let dir = TempDir::new()?;
    errno_is!(sys!(SYS_chdir, &dir.file("f", b"")?), ENOTDIR);
    errno_is!(sys!(SYS_chdir, &dir.join("none")), ENOENT);
    errno_is!(sys!(SYS_fchdir, &dir.open_file("f", b"")?), ENOTDIR);
    errno_is!(sys!(SYS_fchdir, 800), EBADF);
    Ok(())
}

fn fchdir_moves_too() -> Outcome {
    let dir = TempDir::new()?;
    sys!(SYS_fchdir, &dir.open()?)?;
    check_eq!(cwd()?, dir.path());
    sys!(SYS_fchdir, &fd::open(c"/", libc::O_PATH, 0)?)?;
    check_eq!(cwd()?, "/");
    Ok(())
}

fn removed_working_directory() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.dir("d")?;
    sys!(SYS_chdir, &path)?;
    sys!(SYS_rmdir, &path)?;
    let mut buffer = [0_u8; 4096];
    errno_is!(sys!(SYS_getcwd, &mut buffer, 4096), ENOENT);
    errno_is!(fd::open(c"f", libc::O_CREAT | libc::O_RDWR, 0o600), ENOENT);
    errno_is!(sys!(SYS_mkdir, c"d", 0o700), ENOENT);
    check_eq!(file::stat(c".")?.st_nlink, 0);
    sys!(SYS_chdir, c"..")?;
    check_eq!(cwd()?, dir.path());
    Ok(())
}

fn readlink_cuts_silently() -> Outcome {
    let dir = TempDir::new()?;
    let link = dir.join("link");
    sys!(SYS_symlink, c"0123456789", &link)?;
    let mut buffer = [b'-'; 20];
    check_eq!(sys!(SYS_readlink, &link, &mut buffer, 4)?, 4);
    check_eq!(&buffer[..6], b"0123--");
    check_eq!(sys!(SYS_readlink, &link, &mut buffer, 20)?, 10);
    check_eq!(buffer[10], b'-');
    Ok(())
}

fn readlink_errors() -> Outcome {
    let dir = TempDir::new()?;
    let link = dir.join("link");
    sys!(SYS_symlink, c"x", &link)?;
    let mut buffer = [0_u8; 20];
    errno_is!(
        sys!(SYS_readlink, &dir.file("f", b"")?, &mut buffer, 20),
        EINVAL
    );
    errno_is!(sys!(SYS_readlink, &link, &mut buffer, 0), EINVAL);
    errno_is!(sys!(SYS_readlink, &link, &mut buffer, -1), EINVAL);
    errno_is!(
        sys!(SYS_readlink, &dir.join("none"), &mut buffer, 20),
        ENOENT
    );
    errno_is!(sys!(SYS_readlink, &link, 8, 20), EFAULT);
    Ok(())
}

fn chroot_hides_the_rest() -> Outcome {
    creds::require(creds::CAP_SYS_CHROOT)?;
    let dir = TempDir::new()?;
    dir.dir("root")?;
    dir.file("root/f", b"inside")?;
    dir.file("f", b"outside")?;
    sys!(SYS_symlink, c"/f", &dir.join("root/link"))?;
    process::in_child(|| {
        sys!(SYS_chroot, &dir.join("root"))?;
        sys!(SYS_chdir, c"/")?;
        check_eq!(cwd()?, "/");
        check_eq!(file::contents(c"/f")?, b"inside");
        check_eq!(file::contents(c"../../f")?, b"inside");
        check_eq!(file::contents(c"/link")?, b"inside");
        errno_is!(file::stat(c"/tmp"), ENOENT);
        Ok(())
    })?;
    // Another process is not affected.
    check_eq!(file::contents(&dir.join("f"))?, b"outside");
    process::in_child(|| {
        sys!(SYS_chdir, &file::cstring(dir.path()))?;
        sys!(SYS_chroot, c"root")?;
        // A working directory outside the root is marked, and can still be used.
        check_eq!(cwd()?, format!("(unreachable){}", dir.path()));
        check_eq!(file::contents(c"f")?, b"outside");
        Ok(())
    })
}

fn chroot_needs_the_capability() -> Outcome {
    creds::require(creds::CAP_SYS_CHROOT)?;
    errno_is!(sys!(SYS_chroot, c"/none"), ENOENT);
    creds::drop_effective(creds::CAP_SYS_CHROOT)?;
    errno_is!(sys!(SYS_chroot, c"/"), EPERM);
    Ok(())
}

fn non_utf8_names_are_kept() -> Outcome {
    let dir = TempDir::new()?;
    sys!(SYS_chdir, &file::cstring(dir.path()))?;
    let name = c"\xff\xfe \n\t\x01";
    fd::open(name, libc::O_CREAT | libc::O_RDWR, 0o600)?.write(b"x")?;
    check_eq!(file::contents(name)?, b"x");
    let names: Vec<_> = std::fs::read_dir(".")?
        .filter_map(Result::ok)
        .map(|entry| entry.file_name())
        .collect();
    check_eq!(names.len(), 1);
    check_eq!(names[0].as_encoded_bytes(), name.to_bytes());
    Ok(())
}
