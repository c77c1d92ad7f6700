//! What only stub processes have: host pids, signals from outside, a killer, an image of their own.

use crate::guest::{self, DATA, Guest, PAGE};
use platform::{Exit, PtraceConfig, ThreadState};
use std::sync::{Arc, mpsc};
use std::time::Duration;

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
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
    let mut context = platform.new_context();
    assert_eq!(context.switch_to(&guest.space), Err(abi::Errno::ESRCH));
    assert_eq!(guest.space.unmap(DATA..DATA + PAGE), Err(abi::Errno::ESRCH));
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

/// Finds the stub's own code: executable pages behind the user's range.
#[test]
fn the_stubs_own_syscall_instruction_is_caught_too() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::SYSCALL_LOOP);
    let mut context = guest.context(&platform);
    let stub = platform.limits().user_range.end;
    let mut tried = 0;
    for offset in 0..256 {
        // munmap of everything, wherever this lands.
        let mut state = ThreadState {
            rax: 11,
            rdi: 0,
            rsi: 1 << 46,
            ..guest::at(stub + offset)
        };
        if guest::run(&mut context, &mut state) == Exit::Syscall {
            tried += 1;
        }
    }
    assert!(tried > 3, "{tried}");
    assert_eq!(guest::run(&mut context, &mut guest::start()), Exit::Syscall);
}

#[test]
fn nothing_of_the_hosts_image_is_mapped() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::SYSCALL_LOOP);
    let pid = guest.space.host_pid().unwrap();
    let mut context = guest.context(&platform);
    assert_eq!(guest::run(&mut context, &mut guest::start()), Exit::Syscall);
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let starts: Vec<_> = maps
        .lines()
        .map(|line| line.split('-').next().unwrap())
        .collect();
    // The guest's, the stub's code, and an empty page for the command line that the host shows.
    let end = platform.limits().user_range.end;
    let title = format!("{:x}", end + 2 * abi::PAGE_SIZE);
    let title_line = maps.lines().find(|line| line.starts_with(&title));
    assert!(
        title_line.is_some_and(|line| line.contains(" r--p 00000000 00:00 0 ")),
        "{maps}"
    );
    let mut expected = vec!["00400000".to_owned(), format!("{end:x}"), title];
    if maps.contains("[vsyscall]") {
        expected.push("ffffffffff600000".to_owned());
    }
    assert_eq!(starts, expected, "{maps}");
}

#[test]
fn a_stub_is_stripped() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::SYSCALL_LOOP);
    let pid = guest.space.host_pid().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in [
        "Name:\trunsc-stub",
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "SigBlk:\t0000000000000000",
        "SigCgt:\t0000000000000000",
    ] {
        assert!(
            status.lines().any(|found| found == line),
            "{line} not in {status}"
        );
    }
}

#[test]
fn signals_from_outside_are_not_taken_for_faults() {
    use rustix::process::{Pid, Signal, kill_process};
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::SPIN);
    let mut context = guest.context(&platform);
    let pid = Pid::from_raw(guest.space.host_pid().unwrap()).unwrap();
    let interrupter = context.interrupter();
    let thread = std::thread::spawn(move || {
        for signal in [Signal::URG, Signal::WINCH, Signal::CHILD] {
            std::thread::sleep(Duration::from_millis(5));
            kill_process(pid, signal).unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
        interrupter.interrupt();
    });
    assert_eq!(
        guest::run(&mut context, &mut guest::start()),
        Exit::Interrupted
    );
    thread.join().unwrap();
}

/// How many threads of the stub may run on more than one processor.
fn unbound_threads(pid: i32) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let unbound = |task: std::io::Result<std::fs::DirEntry>| {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let allowed = status
            .lines()
            .find(|line| line.starts_with("Cpus_allowed_list:"));
        allowed.is_some_and(|list| list.contains(['-', ',']))
    };
    tasks.filter_map(|task| unbound(task).then_some(())).count()
}

#[test]
fn threads_that_run_for_long_may_use_all_processors() {
    const THREADS: usize = 4;
    if std::thread::available_parallelism().unwrap().get() < 2 {
        return;
    }
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::SPIN);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let (platform, guest, sender) = (&platform, &guest, sender.clone());
            scope.spawn(move || {
                let mut context = guest.context(platform);
                sender.send(context.interrupter()).unwrap();
                guest::run(&mut context, &mut guest::start())
            });
        }
        let interrupters: Vec<_> = receiver.iter().take(THREADS).collect();
        let pid = guest.space.host_pid().unwrap();
        let all = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            unbound_threads(pid) >= THREADS
        });
        interrupters
            .iter()
            .for_each(platform::Interrupter::interrupt);
        assert!(all, "{} of {THREADS} are unbound", unbound_threads(pid));
    });
}
