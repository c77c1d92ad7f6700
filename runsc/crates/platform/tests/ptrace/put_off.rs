//! Mapping calls that are put off until the application runs.

use crate::guest::{self, DATA, Guest, PAGE, refused, unmapped};
use platform::{Access, Exit, Space};
use std::os::fd::{AsFd, OwnedFd};

pub(crate) fn map_page(space: &Space, index: usize, file: &OwnedFd, access: Access) {
    let at = DATA + index * PAGE;
    space
        .map(at..at + PAGE, file.as_fd(), 4096, access, false)
        .unwrap();
}

pub(crate) fn load_from(index: usize) -> platform::ThreadState {
    let rdi = u64::try_from(DATA + index * PAGE).unwrap();
    platform::ThreadState {
        rdi,
        ..guest::start()
    }
}

#[test]
fn many_calls_are_performed_in_order() {
    const PAGES: usize = 150;
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::STORE);
    let mut context = guest.context(&platform);
    for index in 0..PAGES {
        map_page(
            &guest.space,
            index,
            &guest.file,
            Access::READ | Access::WRITE,
        );
    }
    for index in 0..PAGES {
        let at = DATA + index * PAGE;
        match index % 3 {
            0 => guest.space.protect(at..at + PAGE, Access::READ).unwrap(),
            1 => guest.space.unmap(at..at + PAGE).unwrap(),
            _ => {}
        }
    }
    for index in 0..PAGES {
        let at = DATA + index * PAGE;
        let expected = match index % 3 {
            0 => refused(at),
            1 => unmapped(at),
            _ => Exit::Syscall,
        };
        assert_eq!(
            guest::run(&mut context, &mut load_from(index)),
            expected,
            "{index}"
        );
    }
}

#[test]
fn groups_within_groups_take_effect_with_the_outermost() {
    const PAGES: usize = 24;
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::STORE);
    let mut context = guest.context(&platform);
    let access = Access::READ | Access::WRITE;
    for index in 0..PAGES {
        let at = DATA + index * PAGE;
        guest
            .space
            .map(at..at + PAGE, guest.file.as_fd(), 4096, access, true)
            .unwrap();
        let exit = guest::run(&mut context, &mut load_from(index));
        assert_eq!(exit, Exit::Syscall);
    }
    let outer = guest.space.group();
    for index in 0..PAGES {
        let at = DATA + index * PAGE;
        let inner = guest.space.group();
        match index % 3 {
            0 => guest.space.protect(at..at + PAGE, Access::READ).unwrap(),
            1 => guest.space.unmap(at..at + PAGE).unwrap(),
            _ => {}
        }
        inner.close().unwrap();
    }
    outer.close().unwrap();
    for index in 0..PAGES {
        let at = DATA + index * PAGE;
        let expected = match index % 3 {
            0 => refused(at),
            1 => unmapped(at),
            _ => Exit::Syscall,
        };
        let exit = guest::run(&mut context, &mut load_from(index));
        assert_eq!(exit, expected, "{index}");
    }
}

#[test]
fn a_file_may_be_closed_before_its_mapping_is_performed() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::LOAD);
    let mut context = guest.context(&platform);
    for index in 0..4 {
        let file = guest::file(&[]);
        map_page(&guest.space, index, &file, Access::READ);
    }
    for index in 0..4 {
        assert_eq!(
            guest::run(&mut context, &mut load_from(index)),
            Exit::Syscall
        );
    }
}

#[test]
fn another_threads_call_comes_after_those_put_off() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::LOAD);
    let mut context = guest.context(&platform);
    map_page(&guest.space, 0, &guest.file, Access::READ);
    map_page(&guest.space, 1, &guest.file, Access::READ);
    std::thread::scope(|scope| {
        scope.spawn(|| guest.space.unmap(DATA..DATA + PAGE).unwrap());
    });
    assert_eq!(guest::run(&mut context, &mut load_from(0)), unmapped(DATA));
    assert_eq!(guest::run(&mut context, &mut load_from(1)), Exit::Syscall);
}

#[test]
fn another_context_sees_what_was_put_off() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::LOAD);
    let _context = guest.context(&platform);
    map_page(&guest.space, 0, &guest.file, Access::READ);
    map_page(&guest.space, 1, &guest.file, Access::READ);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut context = guest.context(&platform);
            assert_eq!(guest::run(&mut context, &mut load_from(1)), Exit::Syscall);
        });
    });
}

#[test]
fn calls_put_off_are_not_left_for_the_next_owner_of_a_stub() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::LOAD);
    let context = guest.context(&platform);
    let pid = guest.space.host_pid();
    map_page(&guest.space, 0, &guest.file, Access::READ);
    drop(context);
    drop(guest);
    let guest = Guest::new(&platform, guest::LOAD);
    assert_eq!(guest.space.host_pid(), pid);
    let mut context = guest.context(&platform);
    assert_eq!(guest::run(&mut context, &mut load_from(0)), unmapped(DATA));
}
