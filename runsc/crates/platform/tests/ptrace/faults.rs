//! Page faults, mapping, protecting and unmapping.

use crate::guest::{self, CODE, DATA, Guest, PAGE, refused, unmapped};
use platform::{Access, Exit, Fault, FaultAccess};
use std::os::fd::AsFd;
use std::sync::Arc;

#[test]
fn mapping_after_a_fault_lets_the_access_succeed() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::STORE);
    let mut context = guest.context(&platform);
    let mut state = guest::start();
    assert_eq!(guest::run(&mut context, &mut state), unmapped(DATA));
    assert_eq!(state.rip, guest::start().rip);
    guest.map_data(Access::READ | Access::WRITE);
    assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
    assert_eq!(guest.data_byte(), 42);
}

#[test]
fn protect_takes_writing_away() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::STORE);
    let mut context = guest.context(&platform);
    guest.map_data(Access::READ | Access::WRITE);
    let mut state = guest::start();
    assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
    guest
        .space
        .protect(DATA..DATA + PAGE, Access::READ)
        .unwrap();
    let mut state = guest::start();
    assert_eq!(guest::run(&mut context, &mut state), refused(DATA));
    guest
        .space
        .protect(DATA..DATA + PAGE, Access::READ | Access::WRITE)
        .unwrap();
    assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
}

#[test]
fn code_that_is_not_executable_faults() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::STORE);
    let mut context = guest.context(&platform);
    guest
        .space
        .protect(CODE..CODE + PAGE, Access::READ)
        .unwrap();
    assert_eq!(guest::run(&mut context, &mut guest::start()), refused(CODE));
}

#[test]
fn a_page_behind_the_end_of_its_file_is_a_bus_fault() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::LOAD);
    let mut context = guest.context(&platform);
    guest.map_data(Access::READ);
    rustix::fs::ftruncate(&guest.file, 4096).unwrap();
    let expected = Fault {
        address: DATA,
        access: FaultAccess::Unknown,
        mapped: true,
        bus: true,
    };
    assert_eq!(
        guest::run(&mut context, &mut guest::start()),
        Exit::Fault(expected)
    );
}

#[test]
fn populated_pages_are_there() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::LOAD);
    let mut context = guest.context(&platform);
    let range = DATA..DATA + PAGE;
    guest
        .space
        .map(range, guest.file.as_fd(), 4096, Access::READ, true)
        .unwrap();
    assert_eq!(guest::run(&mut context, &mut guest::start()), Exit::Syscall);
}

#[test]
fn ranges_outside_the_users_are_refused() {
    let platform = guest::platform();
    let space = platform.new_space().unwrap();
    let file = guest::file(&[]);
    let end = platform.limits().user_range.end;
    let ranges = [
        ("empty", PAGE..PAGE),
        ("unaligned", DATA..DATA + 1),
        ("over the end", end - PAGE..end + PAGE),
        ("behind the end", end..end + PAGE),
        ("kernel's", usize::MAX & !(PAGE - 1)..usize::MAX),
    ];
    for (name, range) in ranges {
        let refused = Err(abi::Errno::EINVAL);
        let mapped = space.map(range.clone(), file.as_fd(), 0, Access::READ, false);
        assert_eq!(mapped, refused, "map {name}");
        assert_eq!(space.unmap(range.clone()), refused, "unmap {name}");
        assert_eq!(
            space.protect(range, Access::READ),
            refused,
            "protect {name}"
        );
    }
}

#[test]
fn host_errors_of_mapping_are_reported() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::LOAD);
    // With two in the space nothing is put off.
    let _contexts = [guest.context(&platform), guest.context(&platform)];
    let null = std::fs::File::open("/proc/self/status").unwrap();
    let mapped = guest
        .space
        .map(DATA..DATA + PAGE, null.as_fd(), 0, Access::READ, false);
    assert_eq!(mapped, Err(abi::Errno::ENODEV));
}

#[test]
fn unmap_stops_all_threads_that_use_the_page() {
    const THREADS: usize = 8;
    let platform = guest::platform();
    let guest = Arc::new(Guest::new(&platform, guest::LOAD_LOOP));
    guest.map_data(Access::READ);
    let (sender, receiver) = std::sync::mpsc::channel();
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (platform, guest, sender) =
                (Arc::clone(&platform), Arc::clone(&guest), sender.clone());
            std::thread::spawn(move || {
                let mut context = guest.context(&platform);
                sender.send(()).unwrap();
                guest::run(&mut context, &mut guest::start())
            })
        })
        .collect();
    for _ in 0..THREADS {
        receiver.recv().unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(50));
    guest.space.unmap(DATA..DATA + PAGE).unwrap();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), unmapped(DATA));
    }
}
