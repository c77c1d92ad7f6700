//! Operations on what belongs to a file besides its bytes: chmod(2), chown(2), stat(2), xattr(7).

use super::{Given, Operation, Worker, c, done, summary, tree};
use crate::support::file;

pub(super) const OPERATIONS: &[(usize, Operation)] = &[
    (4, chmod),
    (2, chown),
    (5, lstat),
    (2, stat),
    (3, set_xattr),
    (3, get_xattr),
    (2, list_xattrs),
    (1, remove_xattr),
];

const XATTRS: [&str; 3] = ["user.a", "user.b", "user.long.name"];

fn chmod(worker: &mut Worker) -> (String, Given) {
    let (path, mode) = (worker.random.existing(), worker.random.below(0o10000));
    let given = done(sys!(SYS_chmod, &c(&path), mode));
    (format!("chmod {path} {mode:o}"), given)
}

fn chown(worker: &mut Worker) -> (String, Given) {
    let path = worker.random.existing();
    let (uid, gid) = (worker.random.below(4), worker.random.below(4));
    let given = done(sys!(SYS_lchown, &c(&path), uid, gid));
    (format!("lchown {path} {uid}:{gid}"), given)
}

fn lstat(worker: &mut Worker) -> (String, Given) {
    let path = worker.random.existing();
    let given = file::lstat(&c(&path)).map(|stat| tree::status(&stat));
    (format!("lstat {path}"), given)
}

fn stat(worker: &mut Worker) -> (String, Given) {
    let path = worker.random.existing();
    let given = file::stat(&c(&path)).map(|stat| tree::status(&stat));
    (format!("stat {path}"), given)
}

fn set_xattr(worker: &mut Worker) -> (String, Given) {
    let (path, name) = (worker.random.file(), worker.random.pick(&XATTRS));
    let len = worker.random.below(60);
    let value = vec![worker.random.below(256) as u8; len];
    let flags = worker
        .random
        .pick(&[0, 0, libc::XATTR_CREATE, libc::XATTR_REPLACE]);
    let given = done(sys!(
        SYS_lsetxattr,
        &c(&path),
        &c(name),
        value.as_slice(),
        len,
        flags
    ));
    let what = format!("set {name} of {path} to {} flags {flags}", summary(&value));
    (what, given)
}

fn get_xattr(worker: &mut Worker) -> (String, Given) {
    let (path, name) = (worker.random.file(), worker.random.pick(&XATTRS));
    let mut value = [0_u8; 100];
    let len = sys!(SYS_lgetxattr, &c(&path), &c(name), &mut value, value.len());
    let given = len.map(|len| summary(value.get(..len as usize).unwrap_or_default()));
    (format!("get {name} of {path}"), given)
}

fn list_xattrs(worker: &mut Worker) -> (String, Given) {
    let path = worker.random.file();
    let mut list = [0_u8; 1000];
    let given = sys!(SYS_llistxattr, &c(&path), &mut list, list.len()).map(|len| {
        let list = list.get(..len as usize).unwrap_or_default();
        let mut names: Vec<_> = list.split(|byte| *byte == 0).collect();
        names.sort_unstable();
        String::from_utf8_lossy(&names.join(&b' ')).into_owned()
    });
    (format!("list attributes of {path}"), given)
}

fn remove_xattr(worker: &mut Worker) -> (String, Given) {
    let (path, name) = (worker.random.file(), worker.random.pick(&XATTRS));
    let given = done(sys!(SYS_lremovexattr, &c(&path), &c(name)));
    (format!("remove {name} of {path}"), given)
}
