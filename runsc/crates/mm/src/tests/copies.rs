//! Access to user memory.

use std::os::fd::AsFd;

use abi::Errno;
use platform::Access;

use super::{NO_LIMITS, PAGE, RW, anonymous, new_mm, read};
use crate::AddressSpace;
use crate::address_space::FutexKey;
use crate::user_io::UserIo;

/// Two pages, nothing behind them.
fn two_pages(mm: &AddressSpace) -> usize {
    let at = mm.map(&anonymous(4 * PAGE, RW), &NO_LIMITS).unwrap();
    mm.unmap(at + 2 * PAGE, 2 * PAGE).unwrap();
    at
}

#[test]
fn a_bad_address_is_efault_after_the_bytes_that_fit() {
    let mm = new_mm();
    let at = two_pages(&mm);
    assert_eq!(mm.write_some(at + PAGE, &[7; 2 * PAGE]), PAGE);
    assert_eq!(
        mm.write_bytes(at + PAGE, &[7; 2 * PAGE]),
        Err(Errno::EFAULT)
    );
    assert_eq!(read(&mm, at + PAGE, PAGE), [7; PAGE]);
    assert_eq!(mm.write_bytes(0, b"x"), Err(Errno::EFAULT));
    assert_eq!(mm.write_some(usize::MAX - 2, b"xyzabc"), 0);
}

#[test]
fn strings_end_at_nul_at_the_limit_or_at_the_end_of_memory() {
    let mm = new_mm();
    let at = two_pages(&mm);
    let long = [b'a'; PAGE];
    mm.write_bytes(at + PAGE - 10, &long).unwrap();
    mm.write_bytes(at + 2 * PAGE - 10, b"end\0").unwrap();
    let string = mm.read_string(at + PAGE - 10, 5000).unwrap();
    assert_eq!(string.len(), PAGE + 3);
    assert!(string.ends_with(b"aend"));
    assert_eq!(
        mm.read_string(at + PAGE - 10, 100),
        Err(Errno::ENAMETOOLONG)
    );
    mm.write_bytes(at + 2 * PAGE - 4, b"bbbb").unwrap();
    assert_eq!(mm.read_string(at + 2 * PAGE - 4, 100), Err(Errno::EFAULT));
}

#[test]
fn protection_holds_for_calls_too() {
    let mm = new_mm();
    let at = two_pages(&mm);
    mm.protect(at, PAGE, Access::READ, false).unwrap();
    assert_eq!(mm.write_bytes(at, b"x"), Err(Errno::EFAULT));
    assert_eq!(read(&mm, at, 1), [0]);
    mm.protect(at, PAGE, Access::empty(), false).unwrap();
    assert_eq!(mm.load_u32(at), Err(Errno::EFAULT));
}

#[test]
fn words_are_atomic() {
    let mm = new_mm();
    let at = two_pages(&mm);
    mm.store_u32(at, 5).unwrap();
    assert_eq!(mm.compare_exchange_u32(at, 5, 6), Ok(5));
    assert_eq!(mm.fetch_update_u32(at, |old| old + 1), Ok(6));
    assert_eq!(mm.load_u32(at), Ok(7));
    assert_eq!(mm.load_u32(at + 2), Err(Errno::EFAULT));
    assert_eq!(mm.futex_key(at + 2, true), Err(Errno::EINVAL));
    assert_eq!(
        mm.futex_key(at, false),
        Ok(FutexKey::Private {
            mm: mm.id(),
            address: at
        })
    );
}

#[test]
fn an_iovec_is_walked_in_order() {
    let mm = new_mm();
    let at = two_pages(&mm);
    for (index, (base, len)) in [(at + 100, 3_usize), (at + 50, 0), (at + 200, 4)]
        .into_iter()
        .enumerate()
    {
        mm.write_value(at + index * 16, &[base, len]).unwrap();
    }
    let mut io = UserIo::from_iovec(&mm, at, 3).unwrap();
    assert_eq!(io.remaining(), 7);
    assert_eq!(io.copy_out(b"abcdefghij"), Ok(7));
    assert_eq!(
        (read(&mm, at + 100, 3), read(&mm, at + 200, 4)),
        (b"abc".to_vec(), b"defg".to_vec())
    );
    let mut io = UserIo::from_iovec(&mm, at, 3).unwrap();
    io.truncate(5);
    let mut bytes = [0; 10];
    assert_eq!(io.copy_in(&mut bytes), Ok(5));
    assert_eq!(&bytes[..5], b"abcde");
    assert_eq!(
        UserIo::from_iovec(&mm, at, 1025).map(drop),
        Err(Errno::EINVAL)
    );
    mm.write_value(at + 8, &usize::MAX).unwrap();
    assert_eq!(UserIo::from_iovec(&mm, at, 1).map(drop), Err(Errno::EINVAL));
}

#[test]
fn host_io_reaches_user_memory_up_to_the_bad_address() {
    let mm = new_mm();
    let at = mm.map(&anonymous(1 << 20, RW), &NO_LIMITS).unwrap();
    let file = tempfile::tempfile().unwrap();
    let content: Vec<u8> = (0..600_000_u32)
        .map(|index| u8::try_from(index % 251).unwrap())
        .collect();
    std::os::unix::fs::FileExt::write_all_at(&file, &content, 0).unwrap();
    let mut io = UserIo::single(&mm, at + 123, 1 << 19);
    assert_eq!(io.read_host(file.as_fd(), Some(1000)), Ok(1 << 19));
    assert_eq!(
        read(&mm, at + 123, 1 << 19),
        content[1000..1000 + (1 << 19)]
    );
    mm.unmap(at + 2 * PAGE, PAGE).unwrap();
    let mut io = UserIo::single(&mm, at + PAGE, 4 * PAGE);
    assert_eq!(io.write_host(file.as_fd(), Some(0)), Ok(PAGE));
    let mut io = UserIo::single(&mm, at + 2 * PAGE, PAGE);
    assert_eq!(io.read_host(file.as_fd(), Some(0)), Err(Errno::EFAULT));
}

#[test]
fn bytes_move_between_address_spaces() {
    let (one, other) = (new_mm(), new_mm());
    let (from, to) = (two_pages(&one), two_pages(&other));
    one.write_bytes(from, b"across").unwrap();
    let mut source = UserIo::from_ranges(&one, &[(from, 3), (from + 3, 3)]);
    let mut target = UserIo::single(&other, to + PAGE - 2, 100);
    assert_eq!(source.copy_to(&mut target), Ok(6));
    assert_eq!(read(&other, to + PAGE - 2, 6), b"across");
}

#[test]
fn memory_that_is_unmapped_during_io_is_not_reused() {
    let mm = new_mm();
    let at = two_pages(&mm);
    let range = at..at + PAGE;
    let pinned = mm.pin(&[range], Access::WRITE, 10);
    mm.unmap(at, PAGE).unwrap();
    mm.memory.reclaim();
    pinned.pieces()[0].write(b"late").unwrap();
    let elsewhere = two_pages(&mm);
    assert_eq!(read(&mm, elsewhere, 2 * PAGE), [0; 2 * PAGE]);
}
