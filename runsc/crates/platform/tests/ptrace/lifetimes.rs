//! Threads and processes that come, go and are killed.

use crate::guest::{self, DATA, Guest};
use platform::{Access, Exit};
use std::sync::{Arc, Barrier};
use std::time::Duration;

#[test]
fn one_of_eight_threads_ends_and_seven_go_on() {
    const THREADS: usize = 8;
    let platform = guest::platform();
    let guest = Arc::new(Guest::new(&platform, guest::SYSCALL_LOOP));
    let ended = Arc::new(Barrier::new(THREADS));
    let threads: Vec<_> = (0..THREADS)
        .map(|index| {
            let (platform, guest, ended) = (
                Arc::clone(&platform),
                Arc::clone(&guest),
                Arc::clone(&ended),
            );
            std::thread::spawn(move || {
                let mut context = guest.context(&platform);
                let mut state = guest::start();
                assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
                if index == 0 {
                    drop(context);
                    // The tracer itself has to be gone too, before the others go on.
                    std::thread::spawn(move || {
                        std::thread::sleep(Duration::from_millis(20));
                        ended.wait();
                    });
                    return;
                }
                ended.wait();
                for _ in 0..100 {
                    assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn many_contexts_and_spaces_come_and_go() {
    let platform = guest::platform();
    for _ in 0..200 {
        let guest = Guest::new(&platform, guest::SYSCALL_LOOP);
        let mut context = guest.context(&platform);
        assert_eq!(guest::run(&mut context, &mut guest::start()), Exit::Syscall);
    }
}

#[test]
fn two_hundred_contexts_at_once() {
    let platform = guest::platform();
    let guest = Arc::new(Guest::new(&platform, guest::SYSCALL_LOOP));
    let all = Arc::new(Barrier::new(200));
    let threads: Vec<_> = (0..200)
        .map(|_| {
            let (platform, guest, all) =
                (Arc::clone(&platform), Arc::clone(&guest), Arc::clone(&all));
            std::thread::spawn(move || {
                let mut context = guest.context(&platform);
                let mut state = guest::start();
                all.wait();
                for _ in 0..20 {
                    assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_recycled_space_is_empty() {
    let platform = guest::platform();
    let first = Guest::new(&platform, guest::LOAD);
    first.map_data(Access::READ);
    let pid = first.space.host_pid();
    drop(first);
    let second = Guest::new(&platform, guest::LOAD);
    assert_eq!(second.space.host_pid(), pid);
    let mut context = second.context(&platform);
    let exit = guest::run(&mut context, &mut guest::start());
    assert!(
        matches!(exit, Exit::Fault(fault) if fault.address == DATA),
        "{exit:?}"
    );
}

#[test]
fn a_context_is_refused_on_another_thread() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::SYSCALL_LOOP);
    let mut context = guest.context(&platform);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(context.run(&mut guest::start()), Err(abi::Errno::EPERM));
        });
    });
    assert_eq!(guest::run(&mut context, &mut guest::start()), Exit::Syscall);
}
