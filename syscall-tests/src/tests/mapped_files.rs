//! What the ids of a user namespace mean for files: owners of its tmpfs, new files, capabilities of files (`man 7
//! user_namespaces`, `man 7 capabilities`, *Namespaced file capabilities*).

use std::ffi::{CStr, CString};

use super::execve::{capture, copy_program, exec};
use super::namespace::{map_own, unprivileged};
use crate::case::{Failure, Outcome};
use crate::support::file::{self, TempDir};
use crate::support::process::in_child;
use crate::support::{creds, fd, proc};
use crate::sys::SysResult;

cases! {
    tmpfs_owners_are_the_namespaces,
    files_need_ids_of_the_file_system,
    capabilities_are_read_as_the_reader_names_root,
    capabilities_are_of_the_root_that_set_them,
    capabilities_of_bad_form_are_einval,
    capabilities_are_for_the_namespaces_of_their_root,
}

/// A directory that the user 1000 has, and can go to.
fn directory() -> Result<TempDir, Failure> {
    creds::require(creds::CAP_CHOWN)?;
    let dir = TempDir::new()?;
    sys!(SYS_chmod, &file::cstring(dir.path()), 0o755)?;
    sys!(SYS_chown, &file::cstring(dir.path()), 1000, 1000)?;
    Ok(dir)
}

/// Becomes the user 1000, privileged in a new user namespace and a mount namespace of that.
fn enter_namespaces() -> Outcome {
    unprivileged()?;
    sys!(SYS_unshare, libc::CLONE_NEWUSER | libc::CLONE_NEWNS)?;
    Ok(())
}

fn mount_tmpfs(target: &CStr, options: &CStr) -> SysResult {
    sys!(SYS_mount, c"none", target, c"tmpfs", 0, options)
}

fn tmpfs_owners_are_the_namespaces() -> Outcome {
    let dir = directory()?;
    let target = dir.dir("m")?;
    in_child(|| {
        enter_namespaces()?;
        map_own(1000)?;
        for options in [c"", c"uid=0,gid=0", c"mode=700,uid=0"] {
            mount_tmpfs(&target, options)?;
            let stat = file::stat(&target)?;
            check_eq!((options, stat.st_uid, stat.st_gid), (options, 0, 0));
            let mounts = proc::read("/proc/self/mounts")?;
            check!(mounts.contains(",uid=1000,gid=1000"), "{mounts}");
            sys!(SYS_umount2, &target, 0)?;
        }
        for options in [c"uid=5", c"gid=1000", c"uid=-1"] {
            errno_is!(mount_tmpfs(&target, options), EINVAL);
        }
        Ok(())
    })
}

/// Makes a file of each kind in a directory.
fn makers() -> [fn(&CStr) -> SysResult; 4] {
    [
        |path| sys!(SYS_mkdir, path, 0o755),
        |path| sys!(SYS_symlink, c"x", path),
        |path| sys!(SYS_mknod, path, libc::S_IFIFO | 0o600, 0),
        |path| fd::open(path, libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY, 0o600).map(|_| 0),
    ]
}

fn files_need_ids_of_the_file_system() -> Outcome {
    let dir = directory()?;
    let target = file::cstring(&format!("{}/m", dir.path()));
    in_child(|| {
        enter_namespaces()?;
        // The ids have no names here, but the file system is another namespace's, which has some.
        for make in makers() {
            make(&target)?;
            sys!(SYS_unlink, &target).or_else(|_| sys!(SYS_rmdir, &target))?;
        }
        sys!(SYS_mkdir, &target, 0o755)?;
        mount_tmpfs(&target, c"")?;
        for make in makers() {
            errno_is!(make(&dir.join("m/x")), EOVERFLOW);
        }
        errno_is!(
            sys!(SYS_open, &target, libc::O_TMPFILE | libc::O_RDWR, 0o600),
            EOVERFLOW
        );
        map_own(1000)?;
        for make in makers() {
            make(&dir.join("m/x"))?;
            sys!(SYS_unlink, &dir.join("m/x")).or_else(|_| sys!(SYS_rmdir, &dir.join("m/x")))?;
        }
        Ok(())
    })
}

const NAME: &CStr = c"security.capability";
const KILL: u32 = 1 << creds::CAP_KILL;
const VERSION_2: u32 = 0x0200_0000;
const VERSION_3: u32 = 0x0300_0000;
const EFFECTIVE: u32 = 1;

fn set(path: &CStr, words: &[u32]) -> SysResult {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    sys!(SYS_setxattr, path, NAME, bytes.as_slice(), bytes.len(), 0)
}

fn set_2(path: &CStr) -> SysResult {
    set(path, &[VERSION_2 | EFFECTIVE, KILL, 0, 0, 0])
}

fn set_3(path: &CStr, root: u32) -> SysResult {
    set(path, &[VERSION_3 | EFFECTIVE, KILL, 0, 0, 0, root])
}

fn get(path: &CStr) -> Result<Vec<u32>, crate::sys::SysError> {
    let mut value = [0_u32; 8];
    let len = sys!(SYS_getxattr, path, NAME, &mut value, 32)?;
    // The length alone is the same.
    let alone = sys!(SYS_getxattr, path, NAME, 0, 0)?;
    Ok(if alone == len {
        value[..len as usize / 4].to_vec()
    } else {
        Vec::new()
    })
}

fn value_2() -> Vec<u32> {
    vec![VERSION_2 | EFFECTIVE, KILL, 0, 0, 0]
}

fn value_3(root: u32) -> Vec<u32> {
    vec![VERSION_3 | EFFECTIVE, KILL, 0, 0, 0, root]
}

/// A file of the user 1000, if files can have capabilities here.
fn capable_file(dir: &TempDir) -> Result<CString, Failure> {
    let path = dir.file("f", b"")?;
    sys!(SYS_chown, &path, 1000, 1000)?;
    if set_2(&path).is_err() {
        skip!("file capabilities can't be set");
    }
    Ok(path)
}

fn capabilities_are_read_as_the_reader_names_root() -> Outcome {
    let dir = directory()?;
    let path = capable_file(&dir)?;
    check_eq!(get(&path)?, value_2());
    let inside = |outside: u32, path: &CStr, wanted: Option<Vec<u32>>| {
        in_child(|| {
            enter_namespaces_as(outside)?;
            match &wanted {
                Some(wanted) => check_eq!(&get(path)?, wanted),
                None => errno_is!(get(path), EOVERFLOW),
            }
            Ok(())
        })
    };
    inside(1000, &path, Some(value_2()))?;
    set_3(&path, 0)?;
    check_eq!(get(&path)?, value_2());
    set_3(&path, 1000)?;
    check_eq!(get(&path)?, value_3(1000));
    inside(1000, &path, Some(value_2()))?;
    inside(1001, &path, None)?;
    Ok(())
}

/// Becomes this user, who is root of a new user namespace.
fn enter_namespaces_as(user: u32) -> Outcome {
    creds::become_user(user, user)?;
    sys!(SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0)?;
    sys!(SYS_unshare, libc::CLONE_NEWUSER | libc::CLONE_NEWNS)?;
    map_own(user)
}

fn capabilities_are_of_the_root_that_set_them() -> Outcome {
    let dir = directory()?;
    let path = capable_file(&dir)?;
    let others = dir.file("others", b"")?;
    let by_namespace = |set: fn(&CStr) -> SysResult| {
        in_child(|| {
            enter_namespaces()?;
            map_own(1000)?;
            set(&path)?;
            check_eq!(get(&path)?, value_2());
            errno_is!(set_3(&path, 5), EINVAL);
            errno_is!(set_2(&others), EPERM);
            Ok(())
        })
    };
    by_namespace(set_2)?;
    check_eq!(get(&path)?, value_3(1000));
    sys!(SYS_removexattr, &path, NAME)?;
    by_namespace(|path| set_3(path, 0))?;
    check_eq!(get(&path)?, value_3(1000));
    // Without a name for root there is none to set them.
    in_child(|| {
        enter_namespaces()?;
        errno_is!(set_2(&path), EPERM);
        Ok(())
    })
}

fn capabilities_of_bad_form_are_einval() -> Outcome {
    let dir = directory()?;
    let path = capable_file(&dir)?;
    for words in [
        &[VERSION_2][..],
        &[VERSION_2, 0, 0, 0, 0, 0],
        &[VERSION_3, 0, 0, 0, 0],
        &[VERSION_2 | 2, 0, 0, 0, 0],
        &[0x0100_0000, 0, 0],
        &[0x0400_0000, 0, 0, 0, 0, 0],
    ] {
        errno_is!(set(&path, words), EINVAL);
    }
    set(&path, &[])?;
    errno_is!(get(&path), EINVAL);
    set(&path, &[VERSION_3, 0, 0, 0, 0, 7])?;
    check_eq!(get(&path)?, [VERSION_3, 0, 0, 0, 0, 7]);
    Ok(())
}

/// What a program gets that has lost all capabilities, and root's privileges with them.
fn gained(path: &CStr, enter: impl FnOnce() -> Outcome) -> Result<String, Failure> {
    const NOROOT: u64 = 1;
    capture(|| {
        if let Err(failure) = enter() {
            println!("{failure}");
        }
        sys!(SYS_prctl, libc::PR_SET_SECUREBITS, NOROOT, 0, 0, 0)?;
        creds::capset(creds::Caps {
            effective: 0,
            permitted: 0,
            inheritable: 0,
        })?;
        exec(path, &["helper", "caps"])
    })
}

fn capabilities_are_for_the_namespaces_of_their_root() -> Outcome {
    const GAINED: &str = "20 20 0";
    const NOTHING: &str = "0 0 0";
    let dir = directory()?;
    capable_file(&dir)?;
    creds::require(creds::CAP_SETPCAP)?;
    let path = dir.join("program");
    copy_program(&path)?;
    let inside = || enter_namespaces_as(1000);
    for (set, outside, within) in [
        (set_2 as fn(&CStr) -> SysResult, GAINED, GAINED),
        (|path| set_3(path, 0), GAINED, GAINED),
        (|path| set_3(path, 1000), NOTHING, GAINED),
        (|path| set_3(path, 1001), NOTHING, NOTHING),
    ] {
        set(&path)?;
        check_eq!(gained(&path, || Ok(()))?, outside);
        check_eq!(gained(&path, inside)?, within);
    }
    Ok(())
}
