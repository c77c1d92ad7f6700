//! Files: 4 KiB read and written on tmpfs, and names opened and looked up on tmpfs and on the root file system.

#![expect(unsafe_code, reason = "stat without the standard library's statx")]

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::call::check;
use crate::rows::Place;

const BLOCK: usize = 4096;

/// `pread` of the first 4 KiB of a file on tmpfs.
pub(crate) fn read(place: &Place) -> io::Result<Vec<f64>> {
    let file = File::open(scratch(place)?)?;
    let mut block = [0; BLOCK];
    place.timer.measure(|| whole(file.read_at(&mut block, 0)?))
}

/// `pwrite` of the first 4 KiB of a file on tmpfs.
pub(crate) fn write(place: &Place) -> io::Result<Vec<f64>> {
    let file = File::options().write(true).open(scratch(place)?)?;
    let block = [7; BLOCK];
    place.timer.measure(|| whole(file.write_at(&block, 0)?))
}

/// `open` and `close` of a file on tmpfs.
pub(crate) fn open_scratch(place: &Place) -> io::Result<Vec<f64>> {
    open(place, &scratch(place)?)
}

/// `open` and `close` of a file on the root file system.
pub(crate) fn open_root(place: &Place) -> io::Result<Vec<f64>> {
    open(place, &place.root.join("etc/hosts"))
}

/// `stat` of a file on tmpfs.
pub(crate) fn stat_scratch(place: &Place) -> io::Result<Vec<f64>> {
    stat(place, &scratch(place)?)
}

/// `stat` of a file on the root file system.
pub(crate) fn stat_root(place: &Place) -> io::Result<Vec<f64>> {
    stat(place, &place.root.join("etc/hosts"))
}

fn open(place: &Place, path: &Path) -> io::Result<Vec<f64>> {
    place.timer.measure(|| File::open(path).map(drop))
}

fn stat(place: &Place, path: &Path) -> io::Result<Vec<f64>> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut found = MaybeUninit::<libc::stat>::uninit();
    place.timer.measure(|| {
        // SAFETY: the path is a C string, and the structure is ours to write.
        let result = unsafe { libc::stat(path.as_ptr(), found.as_mut_ptr()) };
        check(result.into()).map(drop)
    })
}

/// A file of 4 KiB on tmpfs.
fn scratch(place: &Place) -> io::Result<PathBuf> {
    let path = place.scratch.join("bench-file");
    fs::write(&path, [7; BLOCK])?;
    Ok(path)
}

fn whole(len: usize) -> io::Result<()> {
    if len != BLOCK {
        return Err(io::Error::other("a part of the block only"));
    }
    Ok(())
}
