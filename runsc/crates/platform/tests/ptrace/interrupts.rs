//! Interrupting runs.

use crate::guest::{self, Guest};
use platform::Exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

#[test]
fn a_spinning_thread_is_interrupted() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::SPIN);
    let mut context = guest.context(&platform);
    let interrupter = context.interrupter();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        interrupter.interrupt();
    });
    let mut state = guest::start();
    assert_eq!(guest::run(&mut context, &mut state), Exit::Interrupted);
    assert_eq!(state.rip, guest::start().rip);
    thread.join().unwrap();
}

#[test]
fn an_interruption_between_runs_is_kept_and_reported_once() {
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::SYSCALL_LOOP);
    let mut context = guest.context(&platform);
    let mut state = guest::start();
    context.interrupter().interrupt();
    context.interrupter().interrupt();
    assert_eq!(guest::run(&mut context, &mut state), Exit::Interrupted);
    assert_eq!(state, guest::start());
    assert_eq!(guest::run(&mut context, &mut state), Exit::Syscall);
}

/// Every call's number is one more than the last: none may be lost or seen twice, and every
/// interruption ends in at least one report.
#[test]
fn racing_interruptions_lose_no_call_and_no_interruption() {
    const CALLS: u64 = 4_000;
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::SYSCALL_LOOP);
    let mut context = guest.context(&platform);
    let interrupter = context.interrupter();
    let (done, reported) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let (stop, seen) = (Arc::clone(&done), Arc::clone(&reported));
    let thread = std::thread::spawn(move || {
        let mut sent = 0u64;
        while !stop.load(Ordering::SeqCst) {
            let before = seen.load(Ordering::SeqCst);
            interrupter.interrupt();
            sent += 1;
            while seen.load(Ordering::SeqCst) == before && !stop.load(Ordering::SeqCst) {
                std::hint::spin_loop();
            }
        }
        sent
    });
    let mut state = guest::start();
    let mut calls = 0;
    while calls < CALLS || reported.load(Ordering::SeqCst) < 100 {
        match guest::run(&mut context, &mut state) {
            Exit::Syscall => {
                assert_eq!(state.orig_rax, calls);
                calls += 1;
                state.rax = calls;
            }
            Exit::Interrupted => {
                reported.fetch_add(1, Ordering::SeqCst);
            }
            other => panic!("{other:?}"),
        }
    }
    done.store(true, Ordering::SeqCst);
    let sent = thread.join().unwrap();
    let reported = reported.load(Ordering::SeqCst);
    assert!(sent - reported <= 1, "{sent} sent, {reported} reported");
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
    let (sender, receiver) = std::sync::mpsc::channel();
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
