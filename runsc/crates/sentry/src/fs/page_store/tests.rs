use std::io::Write;
use std::os::fd::AsFd;
use std::sync::Arc;

use abi::Errno;
use memory::MemoryFile;
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

use super::{PAGE, PageStore, Quota};
use crate::vfs::io::{Sink, Source};

fn memory() -> Arc<MemoryFile> {
    memory::install_fault_handler().unwrap();
    MemoryFile::new(Some(64 << 20)).unwrap()
}

fn store(memory: &Arc<MemoryFile>) -> PageStore {
    PageStore::new(memory.clone(), Quota::new(None))
}

fn read(store: &PageStore, offset: u64, len: usize) -> Vec<u8> {
    let mut buffer = vec![0xaa; len];
    let done = store.read(&mut Sink::Kernel(&mut buffer), offset).unwrap();
    buffer.truncate(done);
    buffer
}

fn write(store: &PageStore, bytes: &[u8], offset: u64) {
    assert_eq!(
        store.write(&mut Source::Kernel(bytes), offset),
        Ok(bytes.len())
    );
}

#[test]
fn holes_read_as_zero_and_are_found() {
    let memory = memory();
    let store = store(&memory);
    write(&store, b"far", 10 * PAGE);
    assert_eq!(store.size(), 10 * PAGE + 3);
    assert_eq!(store.allocated(), PAGE);
    assert_eq!(read(&store, 10 * PAGE - 2, 10), b"\0\0far");
    assert_eq!(store.seek_data(0), Ok(10 * PAGE));
    assert_eq!(store.seek_hole(0), Ok(0));
    assert_eq!(store.seek_hole(10 * PAGE), Ok(10 * PAGE + 3));
    assert_eq!(store.seek_data(11 * PAGE), Err(Errno::ENXIO));
    assert_eq!(read(&store, 11 * PAGE, 1), b"");
}

#[test]
fn what_is_cut_off_is_gone() {
    let memory = memory();
    let store = store(&memory);
    write(&store, &[7; 9000], 0);
    store.resize(100).unwrap();
    store.resize(9000).unwrap();
    let bytes = read(&store, 0, 9000);
    assert!(bytes[..100].iter().all(|byte| *byte == 7));
    assert!(bytes[100..].iter().all(|byte| *byte == 0));
    drop(store);
    assert_eq!(memory.usage().shared, 0);
}

#[test]
fn a_quota_is_enospc() {
    let memory = memory();
    let quota = Quota::new(Some(2 * PAGE));
    let store = PageStore::new(memory, quota.clone());
    assert_eq!(store.write(&mut Source::Kernel(&[1; 8192]), 0), Ok(8192));
    assert_eq!(
        store.write(&mut Source::Kernel(b"x"), 8192),
        Err(Errno::ENOSPC)
    );
    store.punch(0..PAGE);
    assert_eq!(quota.used(), PAGE);
    assert_eq!(store.write(&mut Source::Kernel(b"x"), 8192), Ok(1));
    assert_eq!(quota.set_limit(Some(PAGE)), Err(Errno::EINVAL));
}

#[test]
fn extents_end_with_the_file() {
    let memory = memory();
    let store = store(&memory);
    store.resize(PAGE + 1).unwrap();
    let (extent, len) = store.extent(0..10 * PAGE).unwrap();
    assert_eq!(len, 2 * PAGE);
    assert_eq!(store.extent(2 * PAGE..3 * PAGE).unwrap_err(), Errno::EFAULT);
    let mm::mappable::Extent::Memory(frames) = extent else {
        panic!("frames of the memory file")
    };
    memory.view(frames).write(b"mapped").unwrap();
    assert_eq!(read(&store, 0, 6), b"mapped");
    memory.release(frames);
}

#[test]
fn host_files_are_copied_with_their_holes() {
    let memory = memory();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[3; 5000]).unwrap();
    file.set_len(5 << 20).unwrap();
    let store = store(&memory);
    store.fill_from_host(file.as_fd(), (5 << 20) - 1).unwrap();
    assert_eq!(store.size(), (5 << 20) - 1);
    assert!(store.allocated() <= 2 << 20, "{}", store.allocated());
    assert_eq!(read(&store, 4990, 20), [[3; 10], [0; 10]].concat());
    let cut = self::store(&memory);
    cut.fill_from_host(file.as_fd(), 10).unwrap();
    cut.resize(20).unwrap();
    assert_eq!(read(&cut, 0, 20), [[3; 10], [0; 10]].concat());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_a_vector(steps in proptest::collection::vec((0..4u8, 0..60_000u64, 0..20_000usize, any::<u8>()), 1..40)) {
        let memory = memory();
        let quota = Quota::new(None);
        let store = PageStore::new(memory.clone(), quota.clone());
        let mut model: Vec<u8> = Vec::new();
        for (action, offset, len, byte) in steps {
            let start = usize::try_from(offset).unwrap();
            let end = start + len;
            match action {
                0 if len > 0 => {
                    write(&store, &vec![byte; len], offset);
                    model.resize(model.len().max(end), 0);
                    model[start..end].fill(byte);
                }
                1 => {
                    store.resize(offset).unwrap();
                    model.resize(start, 0);
                }
                2 => {
                    store.punch(offset..end as u64);
                    let end = end.min(model.len());
                    if start < end {
                        model[start..end].fill(0);
                    }
                }
                _ => store.reserve(offset..end as u64).unwrap(),
            }
            prop_assert_eq!(store.size(), model.len() as u64);
            prop_assert_eq!(read(&store, 0, model.len() + 10), model.clone());
            prop_assert_eq!(quota.used(), store.allocated());
            prop_assert_eq!(memory.usage().shared, store.allocated());
        }
    }
}
