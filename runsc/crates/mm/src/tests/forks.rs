//! Copy-on-write after fork.

use platform::Access;

use super::{NO_LIMITS, PAGE, RW, anonymous, mapped_access, new_mm, read, store_faults};
use crate::Advice;
use crate::vma::VmaFlags;

#[test]
fn stores_after_fork_stay_apart() {
    let parent = new_mm();
    let at = parent.map(&anonymous(20 * PAGE, RW), &NO_LIMITS).unwrap();
    parent.write_bytes(at, &[1; 20 * PAGE]).unwrap();
    let child = parent.fork().unwrap();
    assert_eq!(mapped_access(&parent, at), Some(Access::READ));
    assert_eq!(read(&child, at, 20 * PAGE), [1; 20 * PAGE]);
    child.write_bytes(at + PAGE, &[2; 10]).unwrap();
    parent.write_bytes(at + 2 * PAGE, &[3; 10]).unwrap();
    assert_eq!(read(&parent, at + PAGE, 10), [1; 10]);
    assert_eq!(read(&child, at + 2 * PAGE, 10), [1; 10]);
    assert_eq!(
        read(&child, at + PAGE, 11),
        [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1]
    );
    assert_eq!(store_faults(&parent, at + 19 * PAGE), 1);
}

#[test]
fn the_last_owner_stores_without_a_copy() {
    let parent = new_mm();
    let at = parent.map(&anonymous(20 * PAGE, RW), &NO_LIMITS).unwrap();
    parent.write_bytes(at, &[1; 20 * PAGE]).unwrap();
    let child = parent.fork().unwrap();
    child.release();
    drop(child);
    let before = parent.memory.usage().anonymous;
    assert_eq!(store_faults(&parent, at), 1);
    assert_eq!(store_faults(&parent, at + 19 * PAGE), 0);
    assert_eq!(parent.memory.usage().anonymous, before);
}

#[test]
fn pinned_pages_are_copied_at_once() {
    let parent = new_mm();
    let at = parent.map(&anonymous(4 * PAGE, RW), &NO_LIMITS).unwrap();
    let range = at + PAGE..at + 2 * PAGE;
    let pinned = parent.pin(&[range], Access::WRITE, 10);
    let child = parent.fork().unwrap();
    pinned.pieces()[0].write(b"io").unwrap();
    assert_eq!(read(&parent, at + PAGE, 2), b"io");
    assert_eq!(read(&child, at + PAGE, 2), [0, 0]);
    assert_eq!(mapped_access(&parent, at + PAGE), Some(RW));
    child.write_bytes(at + PAGE, b"mine").unwrap();
    assert_eq!(read(&parent, at + PAGE, 4), b"io\0\0");
}

#[test]
fn advice_keeps_areas_from_children() {
    let parent = new_mm();
    let at = parent.map(&anonymous(4 * PAGE, RW), &NO_LIMITS).unwrap();
    parent.write_bytes(at, &[1; 4 * PAGE]).unwrap();
    let set = |set| Advice::Flags {
        set,
        clear: VmaFlags::empty(),
    };
    parent.advise(at, PAGE, set(VmaFlags::DONT_FORK)).unwrap();
    parent
        .advise(at + PAGE, PAGE, set(VmaFlags::WIPE_ON_FORK))
        .unwrap();
    let child = parent.fork().unwrap();
    assert!(child.load_u32(at).is_err());
    assert_eq!(read(&child, at + PAGE, 1), [0]);
    assert_eq!(read(&child, at + 2 * PAGE, 1), [1]);
}

#[test]
fn everything_is_given_back() {
    let parent = new_mm();
    let at = parent.map(&anonymous(4 << 20, RW), &NO_LIMITS).unwrap();
    parent.write_bytes(at, &vec![1; 4 << 20]).unwrap();
    for _ in 0..5 {
        let child = parent.fork().unwrap();
        child.write_bytes(at + 100, &vec![2; 1 << 20]).unwrap();
        parent
            .write_bytes(at + (1 << 19), &vec![3; 1 << 20])
            .unwrap();
        child.release();
    }
    parent.release();
    parent.memory.reclaim();
    assert_eq!(parent.memory.usage().total(), 0);
}
