//! Threads and processes that come, go and are killed.

use crate::guest::{self, DATA, Guest, PAGE};
use platform::{Access, Exit, PtraceConfig};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

fn kill(pid: i32) {
    let pid = host::rustix::process::Pid::from_raw(pid).unwrap();
    host::rustix::process::kill_process(pid, host::rustix::process::Signal::KILL).unwrap();
}

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
fn a_killed_stub_is_a_lost_space_and_the_others_live() {
    let platform = guest::platform();
    let (victim, other) = (
        Guest::new(&platform, guest::SYSCALL_LOOP),
        Guest::new(&platform, guest::SYSCALL_LOOP),
    );
    let mut context = victim.context(&platform);
    let mut state = guest::start();
    assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
    kill(victim.space.host_pid().unwrap());
    let before = state;
    assert_eq!(guest::run(&mut context, &mut state), Exit::SpaceLost);
    assert_eq!(state, before);
    assert_eq!(guest::run(&mut context, &mut state), Exit::SpaceLost);
    assert_eq!(context.extended().err(), Some(abi::Errno::ESRCH));
    assert_eq!(
        victim.space.unmap(DATA..DATA + PAGE),
        Err(abi::Errno::ESRCH)
    );

    let mut context = other.context(&platform);
    assert_eq!(guest::run(&mut context, &mut guest::start()), Exit::Syscall);
}

#[test]
fn a_stub_killed_while_it_runs_ends_all_runs() {
    let platform = guest::platform();
    let guest = Arc::new(Guest::new(&platform, guest::SPIN));
    let (sender, receiver) = mpsc::channel();
    let threads: Vec<_> = (0..4)
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
    for _ in 0..4 {
        receiver.recv().unwrap();
    }
    std::thread::sleep(Duration::from_millis(20));
    kill(guest.space.host_pid().unwrap());
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Exit::SpaceLost);
    }
}

#[test]
fn a_stub_without_contexts_that_is_killed_is_noticed() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::SPIN);
    kill(guest.space.host_pid().unwrap());
    assert_eq!(guest.space.unmap(DATA..DATA + PAGE), Err(abi::Errno::ESRCH));
    let mut context = platform.new_context();
    assert_eq!(context.switch_to(&guest.space), Err(abi::Errno::ESRCH));
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
fn a_platform_takes_its_stubs_along() {
    let platform = platform::Platform::ptrace(PtraceConfig::default()).unwrap();
    let guest = Guest::new(&platform, guest::LOAD);
    let pid = guest.space.host_pid().unwrap();
    drop(guest);
    drop(platform);
    let gone = |_: &i32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
    let tries = 0..200;
    assert!(tries.into_iter().any(|try_nr| {
        std::thread::sleep(Duration::from_millis(10));
        gone(&try_nr)
    }));
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

/// Whatever is under way (a run, a mapping call on one's own thread or on the helper, a thread that
/// enters), it ends, and the space is reported lost.
#[test]
fn a_stub_killed_at_any_moment_ends_what_is_under_way() {
    let platform = guest::platform();
    for round in 0..60u64 {
        let guest = Guest::new(&platform, guest::SYSCALL_LOOP);
        let pid = guest.space.host_pid().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| run_and_map_until_lost(&platform, &guest));
            }
            scope.spawn(|| while guest.space.unmap(DATA..DATA + PAGE).is_ok() {});
            std::thread::sleep(Duration::from_micros(100 + 97 * round));
            kill(pid);
        });
    }
}

fn run_and_map_until_lost(platform: &platform::Platform, guest: &Guest) {
    loop {
        let mut context = platform.new_context();
        if let Err(error) = context.switch_to(&guest.space) {
            assert_eq!(error, abi::Errno::ESRCH);
            return;
        }
        let mut state = guest::start();
        for _ in 0..10 {
            match guest::run(&mut context, &mut state) {
                Exit::Syscall => {}
                Exit::SpaceLost => return,
                other => panic!("{other:?}"),
            }
            let mapped = guest.space.unmap(DATA..DATA + PAGE);
            assert!(
                matches!(mapped, Ok(()) | Err(abi::Errno::ESRCH)),
                "{mapped:?}"
            );
        }
    }
}
