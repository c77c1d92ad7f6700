//! What an operation acts on: random numbers, and random paths out of a hundred.

use crate::support::file;

use super::c;

/// Numbers that a seed determines (`SplitMix64`).
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub(super) fn one_in(&mut self, parts: usize) -> bool {
        self.below(parts) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// Some bytes, two pages and a bit at most.
    pub(super) fn bytes(&mut self) -> Vec<u8> {
        let len = self.pick(&[1, 10, 100, 1000, 4096, 9000]);
        let (len, mut word) = (self.below(len) + 1, self.next());
        let mut next = || {
            word = word.rotate_left(9).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (word >> 56) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    /// An offset in a file; few are beyond four pages.
    pub(super) fn offset(&mut self) -> i64 {
        let end = self.pick(&[1, 100, 5000, 16_384, 16_384, 150_000]);
        self.below(end) as i64
    }

    /// A directory, which may be gone: the process's own, one in that, or one in one of these.
    pub(super) fn directory(&mut self) -> String {
        let outer = self.below(4);
        match self.below(7) {
            0 => ".".to_owned(),
            1 | 2 => format!("d{outer}"),
            _ => format!("d{outer}/s{}", self.below(2)),
        }
    }

    /// Any path: of a file most of the time, which may not be there.
    pub(super) fn path(&mut self) -> String {
        let directory = self.directory();
        match (self.below(6), directory.as_str()) {
            (0, _) => directory,
            (_, ".") => format!("n{}", self.below(8)),
            _ => format!("{directory}/n{}", self.below(8)),
        }
    }

    /// A path that is there, if a few tries find one.
    pub(super) fn existing(&mut self) -> String {
        self.path_with(|_| true)
    }

    /// The path of a regular file, if a few tries find one.
    pub(super) fn file(&mut self) -> String {
        self.path_with(|mode| mode & libc::S_IFMT == libc::S_IFREG)
    }

    fn path_with(&mut self, is_right: fn(u32) -> bool) -> String {
        for _ in 0..12 {
            let path = self.path();
            if file::lstat(&c(&path)).is_ok_and(|stat| is_right(stat.st_mode)) {
                return path;
            }
        }
        self.path()
    }
}
