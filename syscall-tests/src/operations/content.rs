//! Operations on the bytes of a file: read(2), write(2), truncate(2), mmap(2), fallocate(2).

use super::{Given, Operation, Worker, c, done, open, summary};
use crate::support::fd::Fd;
use crate::support::map::{Map, RW};

pub(super) const OPERATIONS: &[(usize, Operation)] = &[
    (10, create),
    (3, create_new),
    (6, pwrite),
    (4, append),
    (7, read),
    (4, truncate),
    (4, map_shared),
    (3, map_private),
    (2, fallocate),
];

fn create(worker: &mut Worker) -> (String, Given) {
    let (path, bytes) = (worker.random.path(), worker.random.bytes());
    let given = open(&path, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC)
        .and_then(|file| file.write(&bytes))
        .map(|count| count.to_string());
    (format!("create {path}, write {}", summary(&bytes)), given)
}

fn create_new(worker: &mut Worker) -> (String, Given) {
    let path = worker.random.path();
    let given = open(&path, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL).map(|_| String::new());
    (format!("create a new {path}"), given)
}

fn pwrite(worker: &mut Worker) -> (String, Given) {
    let (path, bytes, at) = (
        worker.random.file(),
        worker.random.bytes(),
        worker.random.offset(),
    );
    let given = open(&path, libc::O_RDWR)
        .and_then(|file| {
            file.pwrite(&bytes, at)?;
            sync(&file, at)?;
            file.pread(20_000, 0)
        })
        .map(|all| summary(&all));
    (
        format!("write {path} at {at} {}, read it", summary(&bytes)),
        given,
    )
}

/// Now and then.
fn sync(file: &Fd, at: i64) -> Result<i64, crate::sys::SysError> {
    match at % 16 {
        0 => sys!(SYS_fsync, file),
        1 => sys!(SYS_fdatasync, file),
        _ => Ok(0),
    }
}

fn append(worker: &mut Worker) -> (String, Given) {
    let (path, bytes) = (worker.random.file(), worker.random.bytes());
    let given = open(&path, libc::O_WRONLY | libc::O_APPEND)
        .and_then(|file| {
            file.write(&bytes)?;
            file.seek(0, libc::SEEK_CUR)
        })
        .map(|end| format!("ends at {end}"));
    (format!("append to {path} {}", summary(&bytes)), given)
}

fn read(worker: &mut Worker) -> (String, Given) {
    let path = worker.random.existing();
    let given = open(&path, libc::O_RDONLY)
        .and_then(|file| file.read_all())
        .map(|bytes| summary(&bytes));
    (format!("read {path}"), given)
}

fn truncate(worker: &mut Worker) -> (String, Given) {
    let (path, len) = (worker.random.existing(), worker.random.offset());
    let given = done(sys!(SYS_truncate, &c(&path), len));
    (format!("truncate {path} to {len}"), given)
}

/// Changes a byte of the file by a mapping; what the file has then.
fn map_shared(worker: &mut Worker) -> (String, Given) {
    let (path, at) = (worker.random.file(), worker.random.below(20_000));
    let given = mapped(&path, libc::O_RDWR, libc::MAP_SHARED, at);
    (format!("map {path} shared, change {at}"), given)
}

/// Changes a byte of a private mapping, which the file does not have.
fn map_private(worker: &mut Worker) -> (String, Given) {
    let (path, at) = (worker.random.file(), worker.random.below(20_000));
    let given = mapped(&path, libc::O_RDONLY, libc::MAP_PRIVATE, at);
    (format!("map {path} private, change {at}"), given)
}

fn mapped(path: &str, access: i32, kind: i32, at: usize) -> Given {
    let file = open(path, access)?;
    let size = file.stat()?.st_size as usize;
    if size == 0 {
        return Ok("empty".to_owned());
    }
    let map = Map::new(size, RW, kind, &file, 0)?;
    let before = map.bytes(0, size);
    map.set(at % size, before[at % size].wrapping_add(1));
    let (own, read) = (map.bytes(0, size), file.pread(size, 0)?);
    Ok(format!(
        "before {}, mapped {}, read {}",
        summary(&before),
        summary(&own),
        summary(&read)
    ))
}

fn fallocate(worker: &mut Worker) -> (String, Given) {
    let (path, at) = (worker.random.file(), worker.random.offset());
    let len = worker.random.offset() + 1;
    let punch = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    let mode = worker.random.pick(&[0, libc::FALLOC_FL_KEEP_SIZE, punch]);
    let given = open(&path, libc::O_RDWR).and_then(|file| {
        sys!(SYS_fallocate, &file, mode, at, len)?;
        let all = file.read_all()?;
        Ok(summary(&all))
    });
    (
        format!("fallocate {path} mode {mode} from {at} for {len}"),
        given,
    )
}
