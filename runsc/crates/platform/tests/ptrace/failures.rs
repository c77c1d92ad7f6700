//! Mapping calls that were put off and then fail.

use crate::guest::{self, DATA, Guest, PAGE, unmapped};
use crate::put_off::{load_from, map_page};
use platform::{Access, Exit};
use std::os::fd::{AsFd, OwnedFd};

#[test]
fn a_failure_keeps_the_application_from_running_until_all_is_unmapped() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::LOAD);
    let mut context = guest.context(&platform);
    let unmappable = OwnedFd::from(std::fs::File::open("/proc/self/status").unwrap());
    map_page(&guest.space, 0, &unmappable, Access::READ);
    map_page(&guest.space, 1, &guest.file, Access::READ);
    let mut state = load_from(1);
    for _ in 0..2 {
        assert_eq!(guest::run(&mut context, &mut state), Exit::MappingFailed);
        assert_eq!(state, load_from(1));
    }
    guest.space.unmap(platform.limits().user_range).unwrap();
    let exit = guest::run(&mut context, &mut state);
    assert_eq!(exit, unmapped(guest::CODE));
    let again = guest.space.map(
        DATA..DATA + PAGE,
        unmappable.as_fd(),
        0,
        Access::READ,
        false,
    );
    assert_eq!(again, Err(abi::Errno::ENODEV));
    let access = Access::READ | Access::EXECUTE;
    let code = guest::CODE..guest::CODE + PAGE;
    guest
        .space
        .map(code, guest.file.as_fd(), 0, access, false)
        .unwrap();
    assert_eq!(guest::run(&mut context, &mut state), unmapped(DATA + PAGE));
}

#[test]
fn a_group_is_made_together_when_it_is_closed() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::LOAD);
    let mut context = guest.context(&platform);
    let (entered, entry) = std::sync::mpsc::channel();
    let (leave, leaving) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let (platform, guest) = (&platform, &guest);
        scope.spawn(move || {
            let _other = guest.context(platform);
            entered.send(()).unwrap();
            leaving.recv().unwrap_err();
        });
        entry.recv().unwrap();
        let group = guest.space.group();
        for index in 0..100 {
            map_page(&guest.space, index, &guest.file, Access::READ);
        }
        group.close().unwrap();
        for index in 0..100 {
            assert_eq!(
                guest::run(&mut context, &mut load_from(index)),
                Exit::Syscall
            );
        }

        let group = guest.space.group();
        let unmappable = OwnedFd::from(std::fs::File::open("/proc/self/status").unwrap());
        map_page(&guest.space, 0, &unmappable, Access::READ);
        assert_eq!(group.close(), Err(abi::Errno::EAGAIN));
        let exit = guest::run(&mut context, &mut load_from(1));
        assert_eq!(exit, Exit::MappingFailed);
        drop(leave);
    });
}
