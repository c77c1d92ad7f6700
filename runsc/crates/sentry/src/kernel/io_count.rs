//! Bytes and calls that `/proc/[pid]/io` tells of (`man 5 proc_pid_io`).

use std::sync::atomic::{AtomicU64, Ordering};

use abi::raw::general as nr;

/// Counters of one task or, for those that are gone, of its group.
#[derive(Debug, Default)]
pub(crate) struct IoCount {
    read_bytes: AtomicU64,
    written_bytes: AtomicU64,
    reads: AtomicU64,
    writes: AtomicU64,
}

/// Which way the bytes of a call go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    In,
    Out,
    Both,
}

fn way(number: u64) -> Option<Way> {
    match u32::try_from(number).ok()? {
        nr::__NR_read | nr::__NR_pread64 | nr::__NR_readv | nr::__NR_preadv | nr::__NR_preadv2 => {
            Some(Way::In)
        }
        nr::__NR_write
        | nr::__NR_pwrite64
        | nr::__NR_writev
        | nr::__NR_pwritev
        | nr::__NR_pwritev2 => Some(Way::Out),
        nr::__NR_sendfile | nr::__NR_copy_file_range => Some(Way::Both),
        _ => None,
    }
}

impl IoCount {
    /// Counts a call that has succeeded with `bytes`.
    pub(crate) fn count(&self, number: u64, bytes: u64) {
        let Some(way) = way(number) else {
            return;
        };
        if way != Way::Out {
            self.read_bytes.fetch_add(bytes, Ordering::Relaxed);
            self.reads.fetch_add(1, Ordering::Relaxed);
        }
        if way != Way::In {
            self.written_bytes.fetch_add(bytes, Ordering::Relaxed);
            self.writes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Bytes read and written, calls that read and wrote.
    pub(crate) fn values(&self) -> [u64; 4] {
        [
            &self.read_bytes,
            &self.written_bytes,
            &self.reads,
            &self.writes,
        ]
        .map(|counter| counter.load(Ordering::Relaxed))
    }

    /// Adds those of a task that is gone.
    pub(crate) fn add(&self, other: &IoCount) {
        let [read_bytes, written_bytes, reads, writes] = other.values();
        self.read_bytes.fetch_add(read_bytes, Ordering::Relaxed);
        self.written_bytes
            .fetch_add(written_bytes, Ordering::Relaxed);
        self.reads.fetch_add(reads, Ordering::Relaxed);
        self.writes.fetch_add(writes, Ordering::Relaxed);
    }
}
