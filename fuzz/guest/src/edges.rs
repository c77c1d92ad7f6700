//! Numbers at the edges of what they mean.

use crate::grammar::Word;

const MAX: i64 = i64::MAX;
const MIN: i64 = i64::MIN;
const INT_MAX: i64 = 0x7fff_ffff;
const INT_MIN: i64 = -0x8000_0000;
/// A second in ns.
const SECOND: i64 = 1_000_000_000;
/// The end of the mapped file of [`crate::arena`].
const EOF: i64 = 10 * 4096 + 100;
/// The last page of offsets.
const LAST: i64 = i64::MAX & !4095;

/// The numbers of a kind; those that are likely stand there twice.
pub(crate) fn of(word: Word) -> &'static [i64] {
    match word {
        Word::Len => &[
            0,
            1,
            2,
            4,
            8,
            16,
            24,
            64,
            100,
            255,
            512,
            4095,
            4096,
            4097,
            8192,
            65536,
            1 << 20,
            1 << 24,
            -1,
        ],
        Word::Count => &[0, 1, 1, 1, 2, 2, 3, 4, 5, 8, 64, 1024, 1025, -1],
        Word::Off => &[
            0,
            0,
            1,
            100,
            4095,
            4096,
            4097,
            EOF,
            65536,
            1 << 20,
            1 << 23,
            1 << 31,
            MAX,
            -1,
            -4096,
        ],
        Word::PageOff => &[0, 0, 4096, 8192, 40960, 65536, 1 << 32, LAST, -4096],
        Word::Pages => &[
            1,
            4096,
            4096,
            8192,
            16384,
            65536,
            1 << 18,
            1 << 21,
            100,
            1 << 24,
            0,
            1 << 47,
            -1,
        ],
        Word::Int => &[
            0, 1, 2, 3, 4, 7, 16, 31, 32, 63, 64, 100, 255, 256, 1000, 4096, 65535, INT_MAX,
            INT_MIN, -1, -2,
        ],
        Word::Uid => &[0, 0, 1, 1000, 1000, 5, 65534, 65536, -1],
        Word::Mode => &[
            0, 0o400, 0o600, 0o644, 0o700, 0o755, 0o777, 0o1777, 0o2755, 0o4755, 0o7777, 0o177_777,
        ],
        other => of_time_or_id(other),
    }
}

fn of_time_or_id(word: Word) -> &'static [i64] {
    match word {
        Word::Small => &[0, 0, 0, 0, 0, 1, -1],
        Word::Nsec => &[
            0,
            1,
            1000,
            100_000,
            1_000_000,
            5_000_000,
            SECOND - 1,
            SECOND,
            -1,
        ],
        Word::Usec => &[0, 1, 1000, 5000, 999_999, 1_000_000, -1],
        Word::Time => &[0, 1, SECOND, 1 << 31, 1 << 32, 1 << 40, -1, MAX, MIN],
        Word::Timer => &[0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 100, -1],
        Word::Id => &[0, 0, 0, 1, 1, 2, 3, 4, 32768, 32769, 65536, -1],
        Word::Key => &[0, 1, 2, 3, 4, 5, -1],
        Word::Limit => &[0, 1, 16, 64, 100, 4096, 65536, 1 << 20, 1 << 26, -1, -2],
        Word::Dev => &[0x103, 0x105, 0x107, 0x109, 0x500, 0x502, 0x8801, 0, -1],
        _ => &[0],
    }
}
