//! Operations on descriptors that stay open over many others, also of files that have lost their name.

use super::{Given, MOST_HELD, Operation, Worker, done, open, summary, tree};
use crate::support::fd::Fd;
use crate::sys::SysError;

pub(super) const OPERATIONS: &[(usize, Operation)] = &[
    (8, hold),
    (2, release),
    (5, read),
    (4, pread),
    (5, write),
    (4, pwrite),
    (4, status),
    (2, change),
    (1, sync),
    (2, list),
];

const FLAGS: [i32; 8] = [
    libc::O_RDONLY,
    libc::O_RDONLY,
    libc::O_RDWR,
    libc::O_RDWR | libc::O_CREAT,
    libc::O_WRONLY | libc::O_APPEND,
    libc::O_RDWR | libc::O_APPEND,
    libc::O_RDONLY | libc::O_DIRECTORY,
    libc::O_RDWR | libc::O_TRUNC | libc::O_NOFOLLOW,
];

/// The place of a descriptor that was opened here takes the place of the one that was there.
fn hold(worker: &mut Worker) -> (String, Given) {
    let (slot, path) = (worker.random.below(MOST_HELD), worker.random.existing());
    let flags = worker.random.pick(&FLAGS);
    let given = open(&path, flags).map(|file| {
        worker.held[slot] = Some(file);
        String::new()
    });
    (format!("{slot} holds {path} flags {flags:o}"), given)
}

fn release(worker: &mut Worker) -> (String, Given) {
    let slot = worker.random.below(MOST_HELD);
    worker.held[slot] = None;
    (format!("release {slot}"), Ok(String::new()))
}

/// Acts on a descriptor that is held, if some tries find one.
fn on_one(worker: &mut Worker, what: &str, act: impl FnOnce(&Fd) -> Given) -> (String, Given) {
    let mut slot = worker.random.below(MOST_HELD);
    for _ in 0..MOST_HELD {
        if worker.held[slot].is_some() {
            break;
        }
        slot = (slot + 1) % MOST_HELD;
    }
    let given = worker.held[slot]
        .as_ref()
        .map_or_else(|| Ok("none is held".to_owned()), act);
    (format!("{what} {slot}"), given)
}

fn read(worker: &mut Worker) -> (String, Given) {
    let len = worker.random.below(6000);
    on_one(worker, "read of", |file| {
        // The error depends on where the file system has the end of a directory.
        if file.stat()?.st_mode & libc::S_IFMT == libc::S_IFDIR {
            return Ok("a directory".to_owned());
        }
        file.read(len).map(|bytes| summary(&bytes))
    })
}

fn pread(worker: &mut Worker) -> (String, Given) {
    let at = worker.random.offset();
    on_one(worker, "pread of", |file| {
        file.pread(20_000, at).map(|bytes| summary(&bytes))
    })
}

fn write(worker: &mut Worker) -> (String, Given) {
    let bytes = worker.random.bytes();
    on_one(worker, "write to", |file| {
        let count = file.write(&bytes)?;
        let end = file.seek(0, libc::SEEK_CUR)?;
        Ok(format!("{count}, at {end}"))
    })
}

fn pwrite(worker: &mut Worker) -> (String, Given) {
    let (bytes, at) = (worker.random.bytes(), worker.random.offset());
    on_one(worker, "pwrite to", |file| {
        file.pwrite(&bytes, at).map(|count| count.to_string())
    })
}

fn status(worker: &mut Worker) -> (String, Given) {
    on_one(worker, "fstat of", |file| {
        file.stat().map(|stat| tree::status(&stat))
    })
}

fn change(worker: &mut Worker) -> (String, Given) {
    let (mode, len) = (worker.random.below(0o10000), worker.random.offset());
    let act: fn(&Fd, usize, i64) -> Result<i64, SysError> = match worker.random.one_in(2) {
        true => |file, mode, _| sys!(SYS_fchmod, file, mode),
        false => |file, _, len| sys!(SYS_ftruncate, file, len),
    };
    on_one(worker, "fchmod or ftruncate of", |file| {
        done(act(file, mode, len))
    })
}

fn sync(worker: &mut Worker) -> (String, Given) {
    on_one(worker, "fsync of", |file| done(sys!(SYS_fsync, file)))
}

fn list(worker: &mut Worker) -> (String, Given) {
    on_one(worker, "list", |dir| {
        sys!(SYS_lseek, dir, 0, libc::SEEK_SET)?;
        tree::names(dir).map(|names| tree::text(&names))
    })
}
