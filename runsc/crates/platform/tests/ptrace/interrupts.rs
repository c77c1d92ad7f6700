//! Interrupting runs.

use crate::guest::{self, DATA, Guest, PAGE};
use platform::{Access, Exit};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

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
    // An emulated machine is interrupted before it gets anywhere, nearly always.
    const MOST_INTERRUPTIONS: u64 = 20_000;
    const FEWEST: u64 = 100;
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
    let goes_on = |calls, reported| {
        calls < FEWEST || reported < FEWEST || (calls < CALLS && reported < MOST_INTERRUPTIONS)
    };
    while goes_on(calls, reported.load(Ordering::SeqCst)) {
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

/// Mapping calls that were put off are performed when the application is to run: an interruption that comes
/// then, earlier or later, ends the run all the same.
#[test]
fn an_interruption_amid_mapping_calls_that_were_put_off_ends_the_run() {
    let (done, finished) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        interrupt_amid_mapping_calls(300);
        done.send(()).unwrap();
    });
    let limit = Duration::from_secs(120);
    match finished.recv_timeout(limit) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("an interruption was lost"),
        _ => thread.join().unwrap(),
    }
}

fn interrupt_amid_mapping_calls(nr_runs: u32) {
    const PAGES: usize = 24;
    let platform = guest::platform();
    let guest = Guest::new(&platform, guest::SPIN);
    let mut context = guest.context(&platform);
    let (go, runs) = mpsc::sync_channel::<Duration>(0);
    let interrupter = context.interrupter();
    let thread = std::thread::spawn(move || {
        for delay in runs {
            let begun = Instant::now();
            while begun.elapsed() < delay {
                std::hint::spin_loop();
            }
            interrupter.interrupt();
        }
    });
    for run in 0..nr_runs {
        for index in 0..PAGES {
            let at = DATA + index * PAGE;
            guest
                .space
                .map(at..at + PAGE, guest.file.as_fd(), 4096, Access::READ, false)
                .unwrap();
        }
        go.send(Duration::from_micros(u64::from(run % 100) * 4))
            .unwrap();
        let mut state = guest::start();
        assert_eq!(guest::run(&mut context, &mut state), Exit::Interrupted);
    }
    drop(go);
    thread.join().unwrap();
}
