//! The rows, in the order in which they are measured.

use std::io;
use std::path::PathBuf;

use crate::timing::Timer;
use crate::{busy, call, file, memory, pipe, process};

/// What a row measures with.
#[derive(Debug)]
pub(crate) struct Place {
    /// A directory on tmpfs that may be written.
    pub(crate) scratch: PathBuf,
    /// The root file system's directory.
    pub(crate) root: PathBuf,
    /// How long to measure.
    pub(crate) timer: Timer,
}

/// Measures a row, in nanoseconds for one operation, of each batch.
type Row = fn(&Place) -> io::Result<Vec<f64>>;

/// All rows by the names that the driver knows them by.
pub(crate) const ALL: [(&str, Row); 16] = [
    ("empty", call::empty),
    ("clock_gettime", call::clock_gettime),
    ("read", file::read),
    ("write", file::write),
    ("open", file::open_scratch),
    ("stat", file::stat_scratch),
    ("open_root", file::open_root),
    ("stat_root", file::stat_root),
    ("mmap", memory::map_touch_unmap),
    ("pipe", pipe::ping_pong),
    ("fork", process::fork_wait),
    ("exec", process::fork_exec_wait),
    ("thread", process::thread_create_join),
    ("touch", memory::first_touch),
    ("fork_large", memory::fork_with_much_resident),
    ("busy", busy::eight_threads),
];
