//! Tests of windows on files that the host truncates.

use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use super::{HostFile, WINDOW, WindowAccess, WindowCache};
use crate::{Errno, Faulted, install_fault_handler};

fn host_file(len: u64) -> (std::fs::File, std::sync::Arc<HostFile>) {
    install_fault_handler().unwrap();
    let file = tempfile::tempfile().unwrap();
    file.set_len(len).unwrap();
    let fd: OwnedFd = file.try_clone().unwrap().into();
    (file, HostFile::new(fd))
}

#[test]
fn a_truncated_file_faults_after_the_bytes_that_are_left() {
    let (file, host_file) = host_file(3 * 4096);
    file.write_all_at(&[5; 3 * 4096], 0).unwrap();
    let cache = WindowCache::new(4);
    let pin = cache
        .pin(&host_file, 4096, 2 * 4096, WindowAccess::ReadWrite)
        .unwrap();
    let mut bytes = [0; 8192];
    assert_eq!(pin.bytes().read(&mut bytes), Ok(8192));
    assert!(bytes.iter().all(|&byte| byte == 5));
    file.set_len(8192).unwrap();
    assert_eq!(pin.bytes().read(&mut bytes), Err(Faulted { done: 4096 }));
    assert_eq!(pin.bytes().write(&bytes), Err(Faulted { done: 4096 }));
    assert_eq!(pin.bytes().zero(), Err(Faulted { done: 4096 }));
    file.write_all_at(&[5; 4096], 4096).unwrap();
    assert_eq!(pin.bytes().find_nul(), Err(Faulted { done: 4096 }));
    let gone = pin.bytes().slice(4096, 4096);
    assert_eq!(gone.load_u32(), Err(Faulted { done: 0 }));
    assert_eq!(gone.store_u64(1), Err(Faulted { done: 0 }));
    assert_eq!(gone.compare_exchange_u32(0, 1), Err(Faulted { done: 0 }));
    assert_eq!(gone.compare_exchange_u64(0, 1), Err(Faulted { done: 0 }));
}

#[test]
fn a_read_only_window_faults_on_stores() {
    let (_file, host_file) = host_file(4096);
    let cache = WindowCache::new(4);
    let pin = cache.pin(&host_file, 0, 4096, WindowAccess::Read).unwrap();
    assert_eq!(pin.bytes().write(&[1]), Err(Faulted { done: 0 }));
    assert_eq!(pin.bytes().load_u32(), Ok(0));
}

#[test]
fn windows_end_at_their_boundary_and_are_reused() {
    let (file, host_file) = host_file(WINDOW + 4096);
    file.write_all_at(b"x", WINDOW).unwrap();
    let cache = WindowCache::new(4);
    let first = cache
        .pin(&host_file, WINDOW - 4096, 8192, WindowAccess::Read)
        .unwrap();
    assert_eq!(first.bytes().len(), 4096);
    let second = cache
        .pin(&host_file, WINDOW, 8192, WindowAccess::Read)
        .unwrap();
    let again = cache
        .pin(&host_file, WINDOW, 1, WindowAccess::Read)
        .unwrap();
    assert_eq!(second.bytes().address(), again.bytes().address());
    let mut byte = [0];
    again.bytes().read(&mut byte).unwrap();
    assert_eq!(&byte, b"x");
}

#[test]
fn many_windows_drop_the_oldest_but_not_pinned_ones() {
    let (_file, host_file) = host_file(64 * WINDOW);
    let cache = WindowCache::new(8);
    let pinned = cache
        .pin(&host_file, 0, 4096, WindowAccess::ReadWrite)
        .unwrap();
    for index in 1..64 {
        cache
            .pin(&host_file, index * WINDOW, 4096, WindowAccess::ReadWrite)
            .unwrap();
    }
    assert!(cache.windows.lock().by_key.len() <= 8);
    pinned.bytes().store_u32(3).unwrap();
    cache.forget(&host_file);
    assert!(cache.windows.lock().by_key.is_empty());
    assert_eq!(pinned.bytes().load_u32(), Ok(3));
}

#[test]
fn a_descriptor_without_write_permission_is_eacces() {
    let path = tempfile::NamedTempFile::new().unwrap();
    let fd: OwnedFd = std::fs::File::open(path.path()).unwrap().into();
    let outcome = WindowCache::new(1).pin(&HostFile::new(fd), 0, 1, WindowAccess::ReadWrite);
    assert_eq!(outcome.map(drop), Err(Errno::EACCES));
}
