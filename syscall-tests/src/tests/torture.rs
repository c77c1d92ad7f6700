//! Many threads, many signals, mappings that change under running threads, and code that changes: what a platform must
//! bear, and never show another kernel's or another time's memory.

#![expect(
    unsafe_code,
    reason = "reads memory that may vanish, and runs code that it writes"
)]

use std::arch::asm;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use crate::case::Outcome;
use crate::support::fd::{self, Fd};
use crate::support::map::{self, ANON, Map, PAGE, RW};
use crate::support::process;
use crate::support::signal;
use crate::support::time;
use crate::sys;

cases!(
    two_hundred_threads_make_calls,
    spinning_thread_takes_signals,
    unmapped_page_is_gone_at_once,
    page_made_read_only_stays_as_it_is,
    dropped_page_is_zero_at_once,
    code_that_changes_itself,
    code_made_by_several_threads,
    code_mapped_twice,
    code_of_another_mapping_at_the_same_address,
);

const RX: i32 = libc::PROT_READ | libc::PROT_EXEC;
const RWX: i32 = RW | libc::PROT_EXEC;

fn two_hundred_threads_make_calls() -> Outcome {
    let pid = process::getpid();
    let go = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..200)
        .map(|_| {
            let go = Arc::clone(&go);
            thread::Builder::new().stack_size(64 << 10).spawn(move || {
                while !go.load(Ordering::SeqCst) {
                    let _ = sys!(SYS_sched_yield);
                }
                (0..50).all(|_| process::getpid() == pid)
            })
        })
        .collect::<Result<_, _>>()?;
    go.store(true, Ordering::SeqCst);
    for thread in threads {
        check_eq!(thread.join().ok(), Some(true));
    }
    Ok(())
}

static TAKEN: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_signo: i32, _info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    TAKEN.fetch_add(1, Ordering::SeqCst);
    // SAFETY: the register is named as clobbered, and restored by the kernel where the signal came.
    unsafe { asm!("pxor xmm7, xmm7", out("xmm7") _) };
}

/// Ten thousand signals a second to a thread that computes: none shows in its registers, each is taken or merged.
fn spinning_thread_takes_signals() -> Outcome {
    signal::handle(libc::SIGUSR1, count, libc::SA_RESTART)?;
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = std::sync::mpsc::channel();
    let spinning = {
        let stop = Arc::clone(&stop);
        thread::spawn(move || {
            let _ = sender.send(process::gettid());
            while !stop.load(Ordering::Relaxed) {
                let (sum, bits): (u64, u64);
                // SAFETY: adds in a register and keeps a pattern in another, both named.
                unsafe {
                    asm!(
                        "movq xmm7, {pattern}", "xor {sum}, {sum}", "mov {left}, 100000",
                        "2: add {sum}, {left}", "dec {left}", "jnz 2b", "movq {bits}, xmm7",
                        pattern = in(reg) 0x1234_5678_9abc_def0_u64, sum = out(reg) sum, left = out(reg) _,
                        bits = out(reg) bits, out("xmm7") _,
                    );
                }
                if (sum, bits) != (100_000 * 100_001 / 2, 0x1234_5678_9abc_def0) {
                    return Some((sum, bits));
                }
            }
            None
        })
    };
    let tid = receiver.recv().unwrap_or_default();
    let (pid, start) = (process::getpid(), time::monotonic_ns());
    let mut sent = 0;
    while time::monotonic_ns() < start + 500 * time::MS {
        sys!(SYS_tgkill, pid, tid, libc::SIGUSR1)?;
        sent += 1;
        let next = start + i64::from(sent) * 100_000;
        while time::monotonic_ns() < next {
            std::hint::spin_loop();
        }
    }
    // The last one is taken while the thread goes on, without a call of its own.
    let before = TAKEN.load(Ordering::SeqCst);
    check!(time::wait_until(|| sys!(
        SYS_tgkill,
        pid,
        tid,
        libc::SIGUSR1
    )
    .is_ok()
        && TAKEN.load(Ordering::SeqCst) > before));
    stop.store(true, Ordering::Relaxed);
    check_eq!(spinning.join().ok(), Some(None));
    check!(before > 0, "no signal of {sent}");
    Ok(())
}

/// What [`look`] gives where there is no page.
const GONE: u32 = u32::MAX;

/// Goes on behind the two bytes of [`look`]'s or [`count_up`]'s instruction.
extern "C" fn skip(_signo: i32, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a ucontext to a handler with SA_SIGINFO, which lives until the handler returns.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    registers[libc::REG_RIP as usize] += 2;
    registers[libc::REG_RAX as usize] = i64::from(GONE);
}

/// The word at an address, or [`GONE`].
fn look(address: usize) -> u32 {
    let word: u32;
    // SAFETY: the handler skips the load, of two bytes, if it faults.
    unsafe { asm!(".byte 0x8b, 0x06", in("rsi") address, out("eax") word) };
    word
}

/// Adds one to a word, if it can be written.
fn count_up(address: usize) {
    // SAFETY: the handler skips the instruction, of two bytes, if it faults.
    unsafe { asm!(".byte 0xff, 0x06", in("rsi") address, out("rax") _) };
}

/// Runs `body` while two threads run `observer` again and again; fails with what that gives, if anything.
fn while_observed<F>(observer: F, body: impl FnOnce() -> Outcome) -> Outcome
where
    F: Fn() -> Option<String> + Clone + Send + 'static,
{
    signal::handle(libc::SIGSEGV, skip, 0)?;
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (stop, observer) = (Arc::clone(&stop), observer.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    if let Some(what) = observer() {
                        return Some(what);
                    }
                }
                None
            })
        })
        .collect();
    let outcome = body();
    stop.store(true, Ordering::SeqCst);
    for thread in threads {
        match thread.join() {
            Ok(None) => {}
            Ok(Some(what)) => fail!("{what}"),
            Err(_) => fail!("an observer panicked"),
        }
    }
    outcome
}

/// How long the races go on, and how many rounds they have at least.
const RACE_NS: i64 = 400 * time::MS;
const LEAST_ROUNDS: u32 = 20;

fn rounds(mut each: impl FnMut(u32) -> Outcome) -> Outcome {
    let end = time::monotonic_ns() + RACE_NS;
    let mut round = 0;
    while time::monotonic_ns() < end || round < LEAST_ROUNDS {
        round += 1;
        each(round)?;
    }
    Ok(())
}

static ENDED: AtomicU32 = AtomicU32::new(0);

/// A thread that looks at a page while another unmaps it sees SIGSEGV from then on, never what was there.
fn unmapped_page_is_gone_at_once() -> Outcome {
    // A hole of one page between others: nothing else is mapped there, such as the stack of a thread that begins.
    let around = Map::anonymous(3 * PAGE)?;
    let address = around.addr() + PAGE;
    let observer = move || {
        let ended = ENDED.load(Ordering::SeqCst);
        let seen = look(address);
        (seen != GONE && seen != 0 && seen <= ended)
            .then(|| format!("saw {seen} after {ended} was unmapped"))
    };
    while_observed(observer, || {
        rounds(|round| {
            let page = sys!(SYS_mmap, address, PAGE, RW, ANON | libc::MAP_FIXED, -1, 0)?;
            check_eq!(page, address as i64);
            check_eq!(look(address), 0);
            // SAFETY: the page is mapped, and a word of it is an atomic for all.
            unsafe { &*(address as *const AtomicU32) }.store(round, Ordering::SeqCst);
            let _ = sys!(SYS_sched_yield);
            sys!(SYS_munmap, address, PAGE)?;
            ENDED.store(round, Ordering::SeqCst);
            check_eq!(look(address), GONE);
            Ok(())
        })
    })
}

/// Threads that write to a page change nothing once mprotect has returned.
fn page_made_read_only_stays_as_it_is() -> Outcome {
    let page = Map::anonymous(PAGE)?;
    let address = page.addr();
    let observer = move || {
        count_up(address);
        None
    };
    while_observed(observer, || {
        rounds(|_| {
            sys!(SYS_mprotect, address, PAGE, libc::PROT_READ)?;
            let before = look(address);
            for _ in 0..20 {
                let _ = sys!(SYS_sched_yield);
                check_eq!(look(address), before);
            }
            sys!(SYS_mprotect, address, PAGE, RW)?;
            check!(time::wait_until(|| look(address) != before));
            Ok(())
        })
    })
}

/// What `MADV_DONTNEED` has dropped does not come back.
fn dropped_page_is_zero_at_once() -> Outcome {
    let page = Map::anonymous(PAGE)?;
    let address = page.addr();
    let observer = move || {
        let ended = ENDED.load(Ordering::SeqCst);
        let seen = look(address);
        (seen != 0 && seen <= ended).then(|| format!("saw {seen} after {ended} was dropped"))
    };
    while_observed(observer, || {
        rounds(|round| {
            page.atomic(0).store(round, Ordering::SeqCst);
            let _ = sys!(SYS_sched_yield);
            sys!(SYS_madvise, address, PAGE, libc::MADV_DONTNEED)?;
            ENDED.store(round, Ordering::SeqCst);
            check_eq!(look(address), 0);
            Ok(())
        })
    })
}

/// `mov eax, VALUE; ret`.
fn returning(value: u32) -> [u8; 6] {
    let [a, b, c, d] = value.to_le_bytes();
    [0xb8, a, b, c, d, 0xc3]
}

fn code_that_changes_itself() -> Outcome {
    let page = Map::new(PAGE, RWX, ANON, -1, 0)?;
    for round in 0..10_000 {
        page.fill(100, &returning(round));
        check_eq!(map::execute(page.addr() + 100), u64::from(round));
    }
    // Code that writes the next instruction: mov byte ptr [rip + 1], 7; mov eax, 1; ret
    for _ in 0..100 {
        page.fill(0, &[0xc6, 0x05, 1, 0, 0, 0, 7, 0xb8, 1, 0, 0, 0, 0xc3]);
        check_eq!(map::execute(page.addr()), 7);
    }
    Ok(())
}

/// Each of eight threads writes code, makes it executable, runs it, makes it writable again, as a compiler at run time.
fn code_made_by_several_threads() -> Outcome {
    let pages = Map::anonymous(8 * PAGE)?;
    let base = pages.addr();
    let threads: Vec<_> = (0..8_u32)
        .map(|thread| {
            let own = base + thread as usize * PAGE;
            thread::spawn(move || -> Result<bool, sys::SysError> {
                for round in 0..50 {
                    let value = thread << 16 | round;
                    sys!(SYS_mprotect, own, PAGE, RW)?;
                    for (offset, byte) in returning(value).into_iter().enumerate() {
                        map::poke(own + offset, byte);
                    }
                    sys!(SYS_mprotect, own, PAGE, RX)?;
                    if map::execute(own) != u64::from(value) {
                        return Ok(false);
                    }
                }
                Ok(true)
            })
        })
        .collect();
    for thread in threads {
        match thread.join() {
            Ok(result) => check!(result?, "stale code ran"),
            Err(_) => fail!("a thread panicked"),
        }
    }
    Ok(())
}

/// One page of a memfd, writable at one address and executable at another: what is written is what runs, in all threads.
fn code_mapped_twice() -> Outcome {
    let file: Fd = fd::memfd(0)?;
    file.truncate(PAGE as i64)?;
    let writable = Map::new(PAGE, RW, libc::MAP_SHARED, &file, 0)?;
    let executable = Map::new(PAGE, RX, libc::MAP_SHARED, &file, 0)?;
    let code = executable.addr();
    for round in 0..50 {
        writable.fill(0, &returning(round));
        check_eq!(map::execute(code), u64::from(round));
        if round % 10 == 0 {
            let others: Vec<_> = (0..4)
                .map(|_| thread::spawn(move || map::execute(code)))
                .collect();
            for other in others {
                check_eq!(other.join().ok(), Some(u64::from(round)));
            }
        }
    }
    Ok(())
}

/// The address of code that is called again and again gets other pages each time.
fn code_of_another_mapping_at_the_same_address() -> Outcome {
    let place = Map::anonymous(PAGE)?;
    for round in 0..100 {
        let page = Map::anonymous(PAGE)?;
        page.fill(0, &returning(round));
        sys!(SYS_mprotect, page.addr(), PAGE, RX)?;
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        let moved = sys!(SYS_mremap, page.addr(), PAGE, PAGE, flags, place.addr())?;
        page.forget();
        check_eq!(moved, place.addr() as i64);
        check_eq!(map::execute(place.addr()), u64::from(round));
    }
    Ok(())
}
