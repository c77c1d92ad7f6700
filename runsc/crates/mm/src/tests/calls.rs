//! mmap, munmap, mprotect, mremap, brk, madvise, mlock.

use std::ops::Range;
use std::sync::Arc;

use abi::Errno;
use memory::HostFile;
use platform::Access;

use super::{
    NO_LIMITS, PAGE, RW, anonymous, fault, mapped_access, new_mm, read, request, store_faults,
};
use crate::address_space::{Backing, MapAt, MmLimits};
use crate::mappable::{Extent, Mappable};
use crate::mapping_set::{Invalidate, MappingSet};
use crate::{Advice, RemapRequest};

#[test]
fn fixed_mappings_replace_and_noreplace_refuses() {
    let mm = new_mm();
    let at = mm.map(&anonymous(4 * PAGE, RW), &NO_LIMITS).unwrap();
    mm.write_bytes(at, &[1; 4 * PAGE]).unwrap();
    let fixed = request(MapAt::Fixed(at + PAGE), PAGE, RW, Backing::Anonymous);
    assert_eq!(mm.map(&fixed, &NO_LIMITS), Ok(at + PAGE));
    assert_eq!(read(&mm, at + PAGE, 1), [0]);
    assert_eq!(read(&mm, at + 2 * PAGE, 1), [1]);
    let taken = request(
        MapAt::FixedNoReplace(at + 3 * PAGE),
        2 * PAGE,
        RW,
        Backing::Anonymous,
    );
    assert_eq!(mm.map(&taken, &NO_LIMITS), Err(Errno::EEXIST));
    for (at, error) in [
        (0, Errno::EPERM),
        (1, Errno::EINVAL),
        (1 << 47, Errno::ENOMEM),
    ] {
        assert_eq!(
            mm.map(
                &request(MapAt::Fixed(at), PAGE, RW, Backing::Anonymous),
                &NO_LIMITS
            ),
            Err(error)
        );
    }
    assert_eq!(mm.map(&anonymous(0, RW), &NO_LIMITS), Err(Errno::EINVAL));
    assert_eq!(
        mm.map(&anonymous(usize::MAX, RW), &NO_LIMITS),
        Err(Errno::ENOMEM)
    );
    assert!(
        mm.map(
            &request(MapAt::Low(0), PAGE, RW, Backing::Anonymous),
            &NO_LIMITS
        )
        .unwrap()
            < 1 << 31
    );
}

#[test]
fn limits_are_enforced() {
    let mm = new_mm();
    let limits = MmLimits {
        address_space: 10 * PAGE as u64,
        ..NO_LIMITS
    };
    assert_eq!(
        mm.map(&anonymous(11 * PAGE, Access::READ), &limits),
        Err(Errno::ENOMEM)
    );
    let limits = MmLimits {
        data: 10 * PAGE as u64,
        ..NO_LIMITS
    };
    assert_eq!(
        mm.map(&anonymous(11 * PAGE, RW), &limits),
        Err(Errno::ENOMEM)
    );
    assert!(mm.map(&anonymous(11 * PAGE, Access::READ), &limits).is_ok());
    let limits = MmLimits {
        locked: 2 * PAGE as u64,
        ..NO_LIMITS
    };
    let mut locked = anonymous(3 * PAGE, RW);
    locked.locked = true;
    assert_eq!(mm.map(&locked, &limits), Err(Errno::EAGAIN));
    let at = mm.map(&anonymous(3 * PAGE, RW), &limits).unwrap();
    assert_eq!(mm.lock(at, 3 * PAGE, false, &limits), Err(Errno::ENOMEM));
    mm.lock(at, 2 * PAGE, false, &limits).unwrap();
    assert_eq!(mm.statistics().locked, 2 * PAGE);
    mm.unlock(at + PAGE, 1).unwrap();
    assert_eq!(mm.statistics().locked, PAGE);
}

#[test]
fn the_heap_grows_and_shrinks() {
    let mm = new_mm();
    mm.set_brk(0x60_0000);
    assert_eq!(mm.brk(0, &NO_LIMITS), 0x60_0000);
    assert_eq!(mm.brk(0x60_1234, &NO_LIMITS), 0x60_1234);
    mm.write_bytes(0x60_1000, b"heap").unwrap();
    assert_eq!(mm.brk(0x60_0800, &NO_LIMITS), 0x60_0800);
    assert!(mm.load_u32(0x60_1000).is_err());
    assert_eq!(mm.brk(0x60_2000, &NO_LIMITS), 0x60_2000);
    assert_eq!(read(&mm, 0x60_1000, 4), [0; 4]);
    let limits = MmLimits {
        data: 4 * PAGE as u64,
        ..NO_LIMITS
    };
    assert_eq!(mm.brk(0x60_8000, &limits), 0x60_2000);
}

#[test]
fn protection_changes_are_cut_at_holes() {
    let mm = new_mm();
    let at = mm.map(&anonymous(4 * PAGE, RW), &NO_LIMITS).unwrap();
    mm.unmap(at + 2 * PAGE, PAGE).unwrap();
    assert_eq!(
        mm.protect(at, 4 * PAGE, Access::READ, false),
        Err(Errno::ENOMEM)
    );
    assert_eq!(mapped_access(&mm, at), Some(Access::READ));
    assert_eq!(mapped_access(&mm, at + 3 * PAGE), Some(RW));
    mm.protect(at, 2 * PAGE, Access::empty(), false).unwrap();
    assert_eq!(mapped_access(&mm, at), None);
    mm.protect(at, 2 * PAGE, RW, false).unwrap();
    assert_eq!(store_faults(&mm, at), 1);
    assert_eq!(mm.protect(1, PAGE, RW, false), Err(Errno::EINVAL));
    let mut read_only = anonymous(PAGE, Access::READ);
    read_only.max_access = Access::READ;
    let at = mm.map(&read_only, &NO_LIMITS).unwrap();
    assert_eq!(mm.protect(at, PAGE, RW, false), Err(Errno::EACCES));
}

fn remap(old: usize, old_len: usize, new_len: usize, may_move: bool) -> RemapRequest {
    RemapRequest {
        old,
        old_len,
        new_len,
        may_move,
        fixed: None,
        keep_old: false,
    }
}

#[test]
fn mappings_grow_shrink_and_move_with_their_content() {
    let mm = new_mm();
    let at = mm.map(&anonymous(8 * PAGE, RW), &NO_LIMITS).unwrap();
    mm.write_bytes(at, &[1; 8 * PAGE]).unwrap();
    assert_eq!(
        mm.remap(&remap(at, 8 * PAGE, 4 * PAGE, false), &NO_LIMITS),
        Ok(at)
    );
    assert_eq!(
        mm.remap(&remap(at, 4 * PAGE, 8 * PAGE, false), &NO_LIMITS),
        Ok(at)
    );
    assert_eq!(read(&mm, at + 3 * PAGE, 2 * PAGE)[PAGE - 1..=PAGE], [1, 0]);
    let block = request(
        MapAt::Fixed(at + 8 * PAGE),
        PAGE,
        Access::READ,
        Backing::Anonymous,
    );
    mm.map(&block, &NO_LIMITS).unwrap();
    assert_eq!(
        mm.remap(&remap(at, 8 * PAGE, 16 * PAGE, false), &NO_LIMITS),
        Err(Errno::ENOMEM)
    );
    let moved = mm
        .remap(&remap(at, 8 * PAGE, 16 * PAGE, true), &NO_LIMITS)
        .unwrap();
    assert_ne!(moved, at);
    assert_eq!(read(&mm, moved, 4 * PAGE), [1; 4 * PAGE]);
    assert!(mm.load_u32(at).is_err());
    assert_eq!(mapped_access(&mm, at), None);
    let kept = RemapRequest {
        keep_old: true,
        ..remap(moved, 16 * PAGE, 16 * PAGE, true)
    };
    let again = mm.remap(&kept, &NO_LIMITS).unwrap();
    assert_eq!(
        (read(&mm, moved, 1), read(&mm, again, 1)),
        (vec![0], vec![1])
    );
    assert_eq!(
        mm.remap(&remap(at, PAGE, PAGE, true), &NO_LIMITS),
        Err(Errno::EFAULT)
    );
    assert_eq!(
        mm.remap(&remap(moved, PAGE, 0, true), &NO_LIMITS),
        Err(Errno::EINVAL)
    );
}

#[test]
fn advice_discards_private_memory() {
    let mm = new_mm();
    let at = mm.map(&anonymous(4 * PAGE, RW), &NO_LIMITS).unwrap();
    mm.write_bytes(at, &[1; 4 * PAGE]).unwrap();
    mm.advise(at + PAGE, PAGE, Advice::DontNeed).unwrap();
    assert_eq!(read(&mm, at + PAGE, 1), [0]);
    assert_eq!(mm.residency(at, 4 * PAGE), Ok(vec![1; 4]));
    mm.advise(at, 4 * PAGE, Advice::Free).unwrap();
    assert_eq!(mm.residency(at, 4 * PAGE), Ok(vec![0; 4]));
    mm.advise(at, 4 * PAGE, Advice::Populate(Access::WRITE))
        .unwrap();
    assert_eq!(store_faults(&mm, at + 3 * PAGE), 0);
    mm.unmap(at + PAGE, PAGE).unwrap();
    assert_eq!(mm.advise(at, 4 * PAGE, Advice::Hint), Err(Errno::ENOMEM));
    assert_eq!(mm.advise(at + 1, PAGE, Advice::Hint), Err(Errno::EINVAL));
}

#[derive(Debug)]
struct TestFile {
    host: Arc<HostFile>,
    file: std::fs::File,
    mappings: MappingSet,
}

impl TestFile {
    fn new(content: &[u8]) -> Arc<TestFile> {
        let file = tempfile::tempfile().unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, content, 0).unwrap();
        let host = HostFile::new(file.try_clone().unwrap().into());
        Arc::new(TestFile {
            host,
            file,
            mappings: MappingSet::default(),
        })
    }
}

impl Mappable for TestFile {
    fn extent(&self, offsets: Range<u64>, _access: Access) -> crate::Result<(Extent, u64)> {
        let end = self
            .file
            .metadata()
            .unwrap()
            .len()
            .next_multiple_of(PAGE as u64)
            .min(offsets.end);
        let len = end
            .checked_sub(offsets.start)
            .filter(|&len| len > 0)
            .ok_or(Errno::EFAULT)?;
        Ok((Extent::Host(Arc::clone(&self.host), offsets.start), len))
    }

    fn mappings(&self) -> Option<&MappingSet> {
        Some(&self.mappings)
    }

    fn id(&self) -> u64 {
        1
    }
}

fn mapping_of(
    file: &Arc<TestFile>,
    len: usize,
    access: Access,
    private: bool,
) -> crate::address_space::MapRequest {
    let mut request = anonymous(len, access);
    request.private = private;
    request.backing = Backing::File {
        mappable: Arc::clone(file) as Arc<dyn Mappable>,
        offset: 0,
        open: None,
    };
    request
}

#[test]
fn private_file_pages_are_copied_when_stored_to() {
    let file = TestFile::new(&[5; 3 * PAGE - 100]);
    let mm = new_mm();
    let at = mm
        .map(&mapping_of(&file, 4 * PAGE, RW, true), &NO_LIMITS)
        .unwrap();
    assert_eq!(read(&mm, at, 10), [5; 10]);
    mm.write_bytes(at + PAGE, b"mine").unwrap();
    assert_eq!(read(&mm, at + PAGE, 6), [b'm', b'i', b'n', b'e', 5, 5]);
    let mut byte = [0];
    std::os::unix::fs::FileExt::read_exact_at(&file.file, &mut byte, PAGE as u64).unwrap();
    assert_eq!(byte, [5]);
    // The last page ends in zeroes, behind it is SIGBUS.
    assert_eq!(read(&mm, at + 3 * PAGE - 101, 2), [5, 0]);
    let signal = fault(&mm, at + 3 * PAGE).unwrap_err();
    assert_eq!((signal.signal, signal.code), (7, 2));
    assert_eq!(mm.read_some(at + 2 * PAGE, &mut [0; 2 * PAGE]), PAGE);
}

#[test]
fn shared_file_pages_reach_the_file() {
    let file = TestFile::new(&[5; 3 * PAGE]);
    let mm = new_mm();
    let at = mm
        .map(&mapping_of(&file, 3 * PAGE, RW, false), &NO_LIMITS)
        .unwrap();
    mm.write_bytes(at + PAGE, b"ours").unwrap();
    let mut bytes = [0; 4];
    std::os::unix::fs::FileExt::read_exact_at(&file.file, &mut bytes, PAGE as u64).unwrap();
    assert_eq!(&bytes, b"ours");
    assert_eq!(store_faults(&mm, at), 0);
}

#[test]
fn truncation_takes_pages_and_copies_away() {
    let file = TestFile::new(&[5; 3 * PAGE]);
    let (mm, other) = (new_mm(), new_mm());
    let at = mm
        .map(&mapping_of(&file, 3 * PAGE, RW, true), &NO_LIMITS)
        .unwrap();
    let there = other
        .map(
            &mapping_of(&file, 3 * PAGE, Access::READ, false),
            &NO_LIMITS,
        )
        .unwrap();
    mm.write_bytes(at + 2 * PAGE, b"copy").unwrap();
    assert_eq!(read(&other, there + 2 * PAGE, 1), [5]);
    assert!(file.mappings.is_mapped());
    file.file.set_len(PAGE as u64).unwrap();
    file.mappings
        .invalidate(PAGE as u64..1 << 40, Invalidate::CopiesToo);
    assert_eq!(fault(&mm, at + 2 * PAGE).unwrap_err().signal, 7);
    assert_eq!(mm.read_some(at, &mut [0; 3 * PAGE]), PAGE);
    assert_eq!(other.read_some(there, &mut [0; 3 * PAGE]), PAGE);
    mm.release();
    other.unmap(there, 3 * PAGE).unwrap();
    assert!(!file.mappings.is_mapped());
}

#[test]
fn a_file_truncated_behind_our_back_is_efault() {
    let file = TestFile::new(&[5; 3 * PAGE]);
    let mm = new_mm();
    let at = mm
        .map(&mapping_of(&file, 3 * PAGE, RW, false), &NO_LIMITS)
        .unwrap();
    mm.write_bytes(at, &[1; 3 * PAGE]).unwrap();
    file.file.set_len(PAGE as u64).unwrap();
    assert_eq!(mm.write_some(at, &[2; 3 * PAGE]), PAGE);
    assert_eq!(mm.load_u32(at + PAGE), Err(Errno::EFAULT));
}

#[test]
fn debuggers_read_and_write_past_the_protection() {
    let mm = new_mm();
    let at = mm
        .map(&anonymous(2 * PAGE, Access::empty()), &NO_LIMITS)
        .unwrap();
    assert_eq!(mm.write_forced(at + PAGE - 2, b"trap"), Ok(4));
    let mut bytes = [0; 4];
    assert_eq!(mm.read_forced(at + PAGE - 2, &mut bytes), Ok(4));
    assert_eq!(&bytes, b"trap");
    assert_eq!(mapped_access(&mm, at), None);
    assert!(mm.load_u32(at).is_err());
    let file = TestFile::new(&[5; PAGE]);
    let mut text = mapping_of(&file, PAGE, Access::READ | Access::EXECUTE, true);
    let at = mm.map(&text, &NO_LIMITS).unwrap();
    assert_eq!(mm.write_forced(at, &[0xcc]), Ok(1));
    assert_eq!(read(&mm, at, 2), [0xcc, 5]);
    assert_eq!(mapped_access(&mm, at), Some(Access::READ | Access::EXECUTE));
    text.private = false;
    let at = mm.map(&text, &NO_LIMITS).unwrap();
    assert_eq!(mm.write_forced(at, &[0xcc]), Err(Errno::EFAULT));
    assert_eq!(mm.read_forced(at - PAGE, &mut bytes), Err(Errno::EFAULT));
}
