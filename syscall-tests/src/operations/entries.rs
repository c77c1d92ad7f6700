//! Operations on names: rename(2), link(2), unlink(2), symlink(2), mkdir(2), rmdir(2), getdents64(2).

use super::{Given, Operation, Worker, c, done, open, tree};
use crate::support::file;

pub(super) const OPERATIONS: &[(usize, Operation)] = &[
    (8, rename),
    (5, link),
    (5, unlink),
    (2, symlink),
    (2, readlink),
    (8, mkdir),
    (2, rmdir),
    (4, list),
    (1, remove_tree),
    (1, move_while_inside),
];

fn rename(worker: &mut Worker) -> (String, Given) {
    let (from, to) = (worker.random.existing(), worker.random.path());
    let flags = worker
        .random
        .pick(&[0, 0, 0, libc::RENAME_NOREPLACE, libc::RENAME_EXCHANGE]);
    let at = libc::AT_FDCWD;
    let given = done(sys!(SYS_renameat2, at, &c(&from), at, &c(&to), flags));
    (format!("rename {from} to {to} flags {flags}"), given)
}

fn link(worker: &mut Worker) -> (String, Given) {
    let (from, to) = (worker.random.existing(), worker.random.path());
    let given = done(sys!(SYS_link, &c(&from), &c(&to)));
    (format!("link {from} to {to}"), given)
}

fn unlink(worker: &mut Worker) -> (String, Given) {
    let path = worker.random.existing();
    let given = done(sys!(SYS_unlink, &c(&path)));
    (format!("unlink {path}"), given)
}

/// The target lies beside the link or below: never in another process's directory.
fn symlink(worker: &mut Worker) -> (String, Given) {
    let (target, path) = (worker.random.path(), worker.random.path());
    let given = done(sys!(SYS_symlink, &c(&target), &c(&path)));
    (format!("symlink {path} to {target}"), given)
}

fn readlink(worker: &mut Worker) -> (String, Given) {
    let path = worker.random.existing();
    let mut buffer = [0_u8; 200];
    let given = sys!(SYS_readlink, &c(&path), &mut buffer, buffer.len()).map(|len| {
        String::from_utf8_lossy(buffer.get(..len as usize).unwrap_or_default()).into_owned()
    });
    (format!("readlink {path}"), given)
}

fn mkdir(worker: &mut Worker) -> (String, Given) {
    let path = match worker.random.one_in(4) {
        true => worker.random.path(),
        false => worker.random.directory(),
    };
    let given = done(sys!(SYS_mkdir, &c(&path), 0o777));
    (format!("mkdir {path}"), given)
}

fn rmdir(worker: &mut Worker) -> (String, Given) {
    let path = worker.random.existing();
    let given = done(sys!(SYS_rmdir, &c(&path)));
    (format!("rmdir {path}"), given)
}

fn list(worker: &mut Worker) -> (String, Given) {
    let path = worker.random.directory();
    let given = open(&path, libc::O_RDONLY | libc::O_DIRECTORY)
        .and_then(|dir| tree::names(&dir))
        .map(|names| tree::text(&names));
    (format!("list {path}"), given)
}

/// What grows without end by directories that are moved into directories goes by this.
fn remove_tree(worker: &mut Worker) -> (String, Given) {
    let path = worker.random.existing();
    let given = open(&path, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW)
        .and_then(|dir| tree::empty(&dir))
        .map(|count| format!("{count} entries"));
    (format!("empty {path}"), given)
}

/// Moves a directory while it is the current one, which is still used then.
fn move_while_inside(worker: &mut Worker) -> (String, Given) {
    let (from, to) = (worker.random.directory(), worker.random.path());
    let what = format!("move {from} to {to} while in it");
    if let Err(error) = sys!(SYS_chdir, &c(&from)) {
        return (what, Err(error));
    }
    let root = &worker.root;
    let moved = sys!(SYS_renameat, root, &c(&from), root, &c(&to)).map_or_else(|e| e.errno, |_| 0);
    let made = sys!(SYS_mkdir, c"n0", 0o777).map_or_else(|e| e.errno, |_| 0);
    let here = file::lstat(c".").map(|stat| format!("mode {:o}", stat.st_mode));
    let listed = open(".", libc::O_RDONLY)
        .and_then(|dir| tree::names(&dir))
        .map(|names| tree::text(&names));
    let given = sys!(SYS_fchdir, root).and_then(|_| {
        let (here, listed) = (here?, listed?);
        Ok(format!("moved {moved}, mkdir {made}, {here}, {listed}"))
    });
    (what, given)
}
