//! Tests of the memory file on the host.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::{Errno, FrameRange, Kind, MemoryFile, Placement, Shortage, install_fault_handler, io};

const PAGE: u64 = 4096;

fn file(limit: Option<u64>) -> std::sync::Arc<MemoryFile> {
    install_fault_handler().unwrap();
    MemoryFile::new(limit).unwrap()
}

#[test]
fn frames_are_zero_after_reuse() {
    let file = file(None);
    for _ in 0..3 {
        let range = file
            .allocate(16 * PAGE, Kind::Anonymous, Placement::Packed)
            .unwrap();
        let mut bytes = vec![1; 16 * 4096];
        assert_eq!(file.view(range).read(&mut bytes), Ok(16 * 4096));
        assert!(bytes.iter().all(|&byte| byte == 0));
        file.view(range).write(&[7; 16 * 4096]).unwrap();
        file.release(range);
        file.reclaim();
    }
}

#[test]
fn freed_frames_go_back_to_the_host_within_a_second() {
    let file = file(None);
    let range = file
        .allocate(256 * PAGE, Kind::Shared, Placement::Packed)
        .unwrap();
    file.view(range).write(&[1; 256 * 4096]).unwrap();
    assert_eq!(file.resident().unwrap(), 256 * PAGE);
    file.release(range);
    let start = Instant::now();
    while file.resident().unwrap() > 0 {
        assert!(start.elapsed() < Duration::from_secs(1));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(file.usage().total(), 0);
}

#[test]
fn a_pin_keeps_frames_but_does_not_share_them() {
    let file = file(None);
    let range = file
        .allocate(4 * PAGE, Kind::Anonymous, Placement::Packed)
        .unwrap();
    file.view(range).write(&[9; 4096]).unwrap();
    file.pin(range.slice(0, PAGE));
    assert_eq!(file.sharing(range), (false, 4 * PAGE));
    assert_eq!(file.pinned(range), (true, PAGE));
    file.release(range);
    file.reclaim();
    assert_eq!(file.usage().total(), PAGE);
    let mut byte = [0];
    file.view(range).read(&mut byte).unwrap();
    assert_eq!(byte, [9]);
    file.unpin(range.slice(0, PAGE));
    file.reclaim();
    assert_eq!(file.usage().total(), 0);
}

#[test]
fn sharing_is_answered_per_run() {
    let file = file(None);
    let range = file
        .allocate(8 * PAGE, Kind::Anonymous, Placement::Packed)
        .unwrap();
    file.retain(range.slice(2 * PAGE, 5 * PAGE));
    assert_eq!(file.sharing(range), (false, 2 * PAGE));
    assert_eq!(
        file.sharing(range.slice(2 * PAGE, 8 * PAGE)),
        (true, 3 * PAGE)
    );
}

#[test]
fn the_limit_is_enomem_and_counts_what_the_host_gave() {
    let file = file(Some(64 * PAGE));
    let range = file
        .allocate(64 * PAGE, Kind::Anonymous, Placement::Packed)
        .unwrap();
    // Nothing is touched yet: more may be handed out.
    assert!(
        file.allocate(PAGE, Kind::Anonymous, Placement::Packed)
            .is_ok()
    );
    file.view(range).zero().unwrap();
    assert_eq!(
        file.allocate(PAGE, Kind::Anonymous, Placement::Packed),
        Err(Errno::ENOMEM)
    );
}

#[test]
fn room_is_made_on_demand() {
    let file = file(Some(4 * PAGE));
    let allocate = || file.allocate(4 * PAGE, Kind::Cache, Placement::Packed);
    let shortage = Shortage {
        space: 7,
        bytes: 4 * PAGE,
    };
    assert!(!file.make_room(shortage), "nobody to ask");
    let range = allocate().unwrap();
    file.view(range).zero().unwrap();
    assert_eq!(allocate(), Err(Errno::ENOMEM));
    assert_eq!(file.failures(), 1);
    let weak = std::sync::Arc::downgrade(&file);
    file.set_make_room(std::sync::Arc::new(move |asked| {
        weak.upgrade().unwrap().release(range);
        asked == shortage
    }));
    assert!(!file.has_room(PAGE));
    assert!(file.make_room(shortage));
    assert!(file.has_room(4 * PAGE));
    assert!(allocate().is_ok());
    assert_eq!(file.peak(), 4 * PAGE);
}

#[test]
fn host_io_goes_straight_into_pieces() {
    let memory = file(None);
    let range = memory
        .allocate(2 * PAGE, Kind::Anonymous, Placement::Packed)
        .unwrap();
    let source = tempfile::tempfile().unwrap();
    std::os::unix::fs::FileExt::write_all_at(&source, b"hello, world", 0).unwrap();
    let view = memory.view(range);
    let pieces = [view.slice(4, 5), view.slice(5000, 100)];
    assert_eq!(
        io::read(source.as_fd(), &pieces, io::Position::At(0)),
        Ok(12)
    );
    let mut bytes = [0; 7];
    view.slice(5000, 7).read(&mut bytes).unwrap();
    assert_eq!(&bytes, b", world");
    assert_eq!(
        io::write(source.as_fd(), &pieces[..1], io::Position::At(100)),
        Ok(5)
    );
}

#[test]
fn words_are_atomic_and_strings_are_found() {
    let memory = file(None);
    let range = memory
        .allocate(PAGE, Kind::Anonymous, Placement::Packed)
        .unwrap();
    let view = memory.view(range);
    view.store_u32(5).unwrap();
    assert_eq!(view.compare_exchange_u32(5, 6), Ok(5));
    assert_eq!(view.compare_exchange_u32(5, 7), Ok(6));
    assert_eq!(view.fetch_update_u32(|old| old | 8), Ok(6));
    assert_eq!(view.load_u32(), Ok(14));
    view.store_u64(u64::MAX).unwrap();
    assert_eq!(view.compare_exchange_u64(u64::MAX, 3), Ok(u64::MAX));
    assert_eq!(view.load_u64(), Ok(3));
    assert!(view.slice(2, 8).load_u32().is_err());
    view.write(b"path\0").unwrap();
    assert_eq!(view.find_nul(), Ok(Some(4)));
    assert_eq!(view.slice(0, 4).find_nul(), Ok(None));
    assert_eq!(view.slice(0, 0).find_nul(), Ok(None));
}

#[test]
fn a_view_outside_the_file_is_empty() {
    let memory = file(None);
    let outside = FrameRange::new(1 << 62, (1 << 62) + PAGE).unwrap();
    assert!(memory.view(outside).is_empty());
}
