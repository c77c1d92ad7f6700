//! Files, names and what hangs from them.

use crate::case::Failure;
use crate::growth::descriptors::each;
use crate::growth::{Kind, Step};
use crate::support::file::cstring;
use crate::sys::SysResult;

pub(super) const KINDS: &[(&str, Kind)] = &[
    ("tmpfs-files", || {
        in_tmp(|serial| make(&format!("f{serial}")))
    }),
    ("tmpfs-directories", || {
        in_tmp(|serial| sys!(SYS_mkdir, &cstring(&format!("d{serial}")), 0o700))
    }),
    ("tmpfs-contents", || in_tmp(contents)),
    ("symlinks", || in_tmp(symlink)),
    ("xattrs", || in_tmp(xattr)),
    ("hard-links", hard_links),
    ("negative-dentries", || {
        each(|serial| missing(&format!("/none-{serial}")))
    }),
    ("mounts", mounts),
    ("record-locks", record_locks),
    ("flocks", flocks),
    ("leases", leases),
    ("inotify-watches", inotify_watches),
    ("inotify-events", inotify_events),
    ("cgroup-directories", || {
        each(|serial| {
            sys!(
                SYS_mkdir,
                &cstring(&format!("/sys/fs/cgroup/g{serial}")),
                0o700
            )
        })
    }),
];

/// A step that makes something in a directory of the hog's own.
fn in_tmp(make: impl FnMut(u64) -> SysResult + 'static) -> Result<Step, Failure> {
    let dir = cstring("/tmp/growth");
    sys!(SYS_mkdir, &dir, 0o700)?;
    sys!(SYS_chdir, &dir)?;
    each(make)
}

fn open(name: &str) -> SysResult {
    let flags = libc::O_RDWR | libc::O_CREAT;
    sys!(SYS_openat, libc::AT_FDCWD, &cstring(name), flags, 0o600)
}

fn make(name: &str) -> SysResult {
    let fd = open(name)?;
    sys!(SYS_close, fd)
}

fn contents(serial: u64) -> SysResult {
    let fd = open(&format!("f{serial}"))?;
    let bytes = vec![1_u8; 1 << 20];
    let result = sys!(SYS_write, fd, bytes.as_slice(), bytes.len());
    sys!(SYS_close, fd)?;
    result
}

fn symlink(serial: u64) -> SysResult {
    let target = "t".repeat(4000);
    sys!(
        SYS_symlink,
        &cstring(&target),
        &cstring(&format!("l{serial}"))
    )
}

fn xattr(serial: u64) -> SysResult {
    let name = format!("f{serial}");
    make(&name)?;
    let value = vec![1_u8; 60_000];
    let key = cstring("user.growth");
    sys!(
        SYS_setxattr,
        &cstring(&name),
        &key,
        value.as_slice(),
        value.len(),
        0
    )
}

fn hard_links() -> Result<Step, Failure> {
    let step = in_tmp(|serial| sys!(SYS_link, &cstring("one"), &cstring(&format!("h{serial}"))))?;
    make("one")?;
    Ok(step)
}

/// A look for what is not there; that there is nothing is what is wanted.
fn missing(path: &str) -> SysResult {
    match sys!(SYS_access, &cstring(path), libc::F_OK) {
        Err(error) if error.errno == libc::ENOENT => Ok(0),
        other => other,
    }
}

/// Mounts in a user namespace of the hog's own.
fn mounts() -> Result<Step, Failure> {
    super::tasks::own_user_namespace()?;
    sys!(SYS_unshare, libc::CLONE_NEWNS)?;
    let (kind, at) = (cstring("tmpfs"), cstring("/tmp"));
    sys!(SYS_mount, &kind, &at, &kind, 0, 0)?;
    sys!(SYS_chdir, &at)?;
    each(|serial| {
        let (kind, name) = (cstring("tmpfs"), cstring(&format!("/tmp/m{serial}")));
        sys!(SYS_mkdir, &name, 0o700)?;
        sys!(SYS_mount, &kind, &name, &kind, 0, 0)
    })
}

fn record_locks() -> Result<Step, Failure> {
    let fd = open("/tmp/locked")?;
    each(move |serial| {
        let mut lock: libc::flock = crate::sys::zeroed();
        lock.l_type = libc::F_WRLCK as i16;
        lock.l_start = 2 * serial as i64;
        lock.l_len = 1;
        sys!(SYS_fcntl, fd, libc::F_SETLK, &lock)
    })
}

fn flocks() -> Result<Step, Failure> {
    make("/tmp/locked")?;
    each(|_| {
        let fd = open("/tmp/locked")?;
        sys!(SYS_flock, fd, libc::LOCK_SH)
    })
}

fn leases() -> Result<Step, Failure> {
    make("/tmp/leased")?;
    each(|_| {
        let path = cstring("/tmp/leased");
        let fd = sys!(SYS_openat, libc::AT_FDCWD, &path, libc::O_RDONLY)?;
        sys!(SYS_fcntl, fd, libc::F_SETLEASE, libc::F_RDLCK)
    })
}

fn inotify_watches() -> Result<Step, Failure> {
    let set = sys!(SYS_inotify_init1, 0)?;
    in_tmp(move |serial| {
        let name = format!("w{serial}");
        make(&name)?;
        sys!(
            SYS_inotify_add_watch,
            set,
            &cstring(&name),
            libc::IN_ALL_EVENTS
        )
    })
}

/// Events that nobody reads, in all the instances that there may be.
fn inotify_events() -> Result<Step, Failure> {
    let step = in_tmp(|serial| make(&format!("a-name-that-is-long-enough-to-matter-{serial}")))?;
    for _ in 0..128 {
        let set = sys!(SYS_inotify_init1, 0)?;
        sys!(
            SYS_inotify_add_watch,
            set,
            &cstring("."),
            libc::IN_ALL_EVENTS
        )?;
    }
    Ok(step)
}
