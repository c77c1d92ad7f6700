//! futex(2), `set_robust_list(2)`.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::case::Outcome;
use crate::support::map::Map;
use crate::support::{proc, process, time};
use crate::sys::SysResult;

cases!(
    wait_with_another_value_is_eagain,
    wake_without_waiters_is_zero,
    wait_times_out,
    bitset_timeout_is_absolute,
    wake_wakes_so_many,
    bitset_selects,
    requeue_moves_waiters,
    cmp_requeue_compares,
    wake_op,
    shared_between_processes,
    private_is_per_address_space,
    file_mappings_are_shared_by_their_file,
    errors,
    addresses_that_fault,
    pi_lock_and_unlock,
    pi_lock_blocks_until_unlock,
    pi_errors,
    pi_owner_death_is_passed_on,
    robust_list_marks_a_dead_thread,
    robust_list_of_a_killed_process,
    robust_list_calls,
    ping_pong_between_threads,
    many_waiters_are_all_woken,
    waitv_waits_for_several,
    realtime_clock_flag,
    calls_of_their_own,
);

const PRIVATE: i32 = libc::FUTEX_PRIVATE_FLAG;

fn wait(word: &AtomicU32, value: u32, timeout_ms: i64) -> SysResult {
    let timeout = time::timespec(timeout_ms * time::MS);
    sys!(
        SYS_futex,
        word.as_ptr(),
        libc::FUTEX_WAIT | PRIVATE,
        value,
        &timeout,
        0,
        0
    )
}

fn wake(word: &AtomicU32, count: u32) -> SysResult {
    sys!(
        SYS_futex,
        word.as_ptr(),
        libc::FUTEX_WAKE | PRIVATE,
        count,
        0,
        0,
        0
    )
}

/// Starts threads that make a call each, and waits until all of them sleep.
fn sleepers(
    count: usize,
    call: impl Fn(usize) -> SysResult + Send + Sync + Copy + 'static,
) -> Vec<Sleeper> {
    let started: Vec<Sleeper> = (0..count)
        .map(|index| {
            let (sender, receiver) = std::sync::mpsc::channel();
            let thread = std::thread::spawn(move || {
                let _ = sender.send(process::gettid());
                call(index).map_err(|error| error.errno)
            });
            let tid = receiver.recv().unwrap_or(0);
            Sleeper { thread, tid }
        })
        .collect();
    for sleeper in &started {
        time::wait_until(|| proc::is_asleep(sleeper.tid));
    }
    // The state is set a little before the thread is in the queue.
    time::sleep_ms(20);
    started
}

struct Sleeper {
    thread: std::thread::JoinHandle<Result<i64, i32>>,
    tid: i32,
}

impl Sleeper {
    fn result(self) -> Option<Result<i64, i32>> {
        self.thread.join().ok()
    }
}

fn wait_with_another_value_is_eagain() -> Outcome {
    errno_is!(wait(&AtomicU32::new(1), 2, 1000), EAGAIN);
    Ok(())
}

fn wake_without_waiters_is_zero() -> Outcome {
    check_eq!(wake(&AtomicU32::new(1), 10)?, 0);
    Ok(())
}

fn wait_times_out() -> Outcome {
    let (word, start) = (AtomicU32::new(1), time::monotonic_ns());
    errno_is!(wait(&word, 1, 60), ETIMEDOUT);
    let spent = (time::monotonic_ns() - start) / time::MS;
    check!(
        (60..60 + time::LATE / time::MS).contains(&spent),
        "{spent} ms"
    );
    errno_is!(wait(&word, 1, 0), ETIMEDOUT);
    let bad = libc::timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000_000,
    };
    errno_is!(
        sys!(SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, 1, &bad, 0, 0),
        EINVAL
    );
    let negative = libc::timespec {
        tv_sec: -1,
        tv_nsec: 0,
    };
    errno_is!(
        sys!(
            SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT,
            1,
            &negative,
            0,
            0
        ),
        EINVAL
    );
    Ok(())
}

fn bitset_timeout_is_absolute() -> Outcome {
    let word = AtomicU32::new(1);
    let until = time::timespec(time::monotonic_ns() + 60 * time::MS);
    let start = time::monotonic_ns();
    let bitset = |until: &libc::timespec| {
        sys!(
            SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET | PRIVATE,
            1,
            until,
            0,
            u32::MAX
        )
    };
    errno_is!(bitset(&until), ETIMEDOUT);
    check!(time::monotonic_ns() - start >= 50 * time::MS);
    errno_is!(bitset(&until), ETIMEDOUT);
    Ok(())
}

fn wake_wakes_so_many() -> Outcome {
    static WORD: AtomicU32 = AtomicU32::new(0);
    let threads = sleepers(5, |_| wait(&WORD, 0, 5000));
    check_eq!(wake(&WORD, 2)?, 2);
    check_eq!(wake(&WORD, 100)?, 3);
    for thread in threads {
        check_eq!(thread.result(), Some(Ok(0)));
    }
    Ok(())
}

fn bitset_selects() -> Outcome {
    static WORD: AtomicU32 = AtomicU32::new(0);
    let waiting = |index: usize| {
        let until = time::timespec(time::monotonic_ns() + 5000 * time::MS);
        sys!(
            SYS_futex,
            WORD.as_ptr(),
            libc::FUTEX_WAIT_BITSET | PRIVATE,
            0,
            &until,
            0,
            1_u32 << index
        )
    };
    let threads = sleepers(3, waiting);
    let wake_bits = |bits: u32| {
        sys!(
            SYS_futex,
            WORD.as_ptr(),
            libc::FUTEX_WAKE_BITSET | PRIVATE,
            10,
            0,
            0,
            bits
        )
    };
    check_eq!(wake_bits(0x8)?, 0);
    check_eq!(wake_bits(0x2)?, 1);
    check_eq!(wake_bits(0xf)?, 2);
    errno_is!(wake_bits(0), EINVAL);
    errno_is!(
        sys!(
            SYS_futex,
            WORD.as_ptr(),
            libc::FUTEX_WAIT_BITSET | PRIVATE,
            0,
            0,
            0,
            0
        ),
        EINVAL
    );
    for thread in threads {
        check_eq!(thread.result(), Some(Ok(0)));
    }
    Ok(())
}

fn requeue_moves_waiters() -> Outcome {
    static FROM: AtomicU32 = AtomicU32::new(0);
    static TO: AtomicU32 = AtomicU32::new(0);
    let threads = sleepers(4, |_| wait(&FROM, 0, 5000));
    let moved = sys!(
        SYS_futex,
        FROM.as_ptr(),
        libc::FUTEX_REQUEUE | PRIVATE,
        1,
        2,
        TO.as_ptr(),
        0
    )?;
    check_eq!(moved, 3);
    check_eq!(wake(&FROM, 10)?, 1);
    check_eq!(wake(&TO, 10)?, 2);
    for thread in threads {
        check_eq!(thread.result(), Some(Ok(0)));
    }
    Ok(())
}

fn cmp_requeue_compares() -> Outcome {
    static FROM: AtomicU32 = AtomicU32::new(7);
    static TO: AtomicU32 = AtomicU32::new(0);
    let requeue = |value: u32| {
        sys!(
            SYS_futex,
            FROM.as_ptr(),
            libc::FUTEX_CMP_REQUEUE | PRIVATE,
            0,
            10,
            TO.as_ptr(),
            value
        )
    };
    errno_is!(requeue(8), EAGAIN);
    let threads = sleepers(2, |_| wait(&FROM, 7, 5000));
    check_eq!(requeue(7)?, 2);
    check_eq!(wake(&TO, 10)?, 2);
    for thread in threads {
        check_eq!(thread.result(), Some(Ok(0)));
    }
    errno_is!(
        sys!(
            SYS_futex,
            FROM.as_ptr(),
            libc::FUTEX_CMP_REQUEUE,
            -1,
            0,
            TO.as_ptr(),
            7
        ),
        EINVAL
    );
    Ok(())
}

/// `FUTEX_WAKE_OP`: changes the second word and wakes its waiters if the old value compares.
fn wake_op() -> Outcome {
    static FIRST: AtomicU32 = AtomicU32::new(0);
    static SECOND: AtomicU32 = AtomicU32::new(5);
    let operation =
        |op: u32, operand: u32, cmp: u32, value: u32| op << 28 | cmp << 24 | operand << 12 | value;
    let run = |encoded: u32| {
        sys!(
            SYS_futex,
            FIRST.as_ptr(),
            libc::FUTEX_WAKE_OP | PRIVATE,
            1,
            1,
            SECOND.as_ptr(),
            encoded
        )
    };
    // set, add, or, andn, xor with "equal" comparisons.
    for (op, operand, start, result) in [
        (0, 9, 5, 9),
        (1, 3, 5, 8),
        (2, 8, 5, 13),
        (3, 1, 5, 4),
        (4, 6, 5, 3),
    ] {
        SECOND.store(start, Ordering::SeqCst);
        check_eq!(run(operation(op, operand, 0, 5))?, 0);
        check_eq!(SECOND.load(Ordering::SeqCst), result);
    }
    SECOND.store(5, Ordering::SeqCst);
    let threads = sleepers(1, |_| wait(&SECOND, 5, 5000));
    // The old value is not less than 5: nobody is woken on the second word.
    check_eq!(run(operation(0, 5, 2, 5))?, 0);
    check_eq!(run(operation(0, 5, 0, 5))?, 1);
    for thread in threads {
        check_eq!(thread.result(), Some(Ok(0)));
    }
    errno_is!(run(operation(5, 0, 0, 0)), ENOSYS);
    Ok(())
}

fn shared_between_processes() -> Outcome {
    let memory = Map::shared(4096)?;
    let mut child = process::fork(|| {
        let timeout = time::timespec(5000 * time::MS);
        let waited = sys!(SYS_futex, &memory, libc::FUTEX_WAIT, 0, &timeout, 0, 0);
        i32::from(waited.is_ok())
    })?;
    check!(time::wait_until(|| sys!(
        SYS_futex,
        &memory,
        libc::FUTEX_WAKE,
        1,
        0,
        0,
        0
    )
    .is_ok_and(|woken| woken == 1)));
    check_eq!(child.wait()?.code(), Some(1));
    Ok(())
}

fn private_is_per_address_space() -> Outcome {
    let memory = Map::anonymous(4096)?;
    memory.set(0, 0);
    let mut child = process::fork(|| {
        let timeout = time::timespec(150 * time::MS);
        // The same address in another address space: copied memory is not shared.
        let waited = sys!(SYS_futex, &memory, libc::FUTEX_WAIT, 0, &timeout, 0, 0);
        waited.err().map_or(0, |error| error.errno)
    })?;
    check!(time::wait_until(|| proc::is_asleep(child.pid)));
    time::sleep_ms(20);
    check_eq!(sys!(SYS_futex, &memory, libc::FUTEX_WAKE, 1, 0, 0, 0)?, 0);
    check_eq!(child.wait()?.code(), Some(libc::ETIMEDOUT));
    Ok(())
}

fn file_mappings_are_shared_by_their_file() -> Outcome {
    let file = crate::support::fd::memfd(0)?;
    file.truncate(8192)?;
    let flags = libc::MAP_SHARED;
    let (one, two) = (
        Map::new(8192, 3, flags, &file, 0)?,
        Map::new(4096, 3, flags, &file, 4096)?,
    );
    let address = one.addr() + 4096 + 16;
    let threads = std::thread::spawn(move || {
        let timeout = time::timespec(5000 * time::MS);
        sys!(SYS_futex, address, libc::FUTEX_WAIT, 0, &timeout, 0, 0).map_err(|error| error.errno)
    });
    let woken = || {
        sys!(SYS_futex, two.addr() + 16, libc::FUTEX_WAKE, 1, 0, 0, 0).is_ok_and(|woken| woken == 1)
    };
    check!(time::wait_until(woken));
    check_eq!(threads.join().ok(), Some(Ok(0)));
    Ok(())
}

fn errors() -> Outcome {
    let words = [0_u32; 2];
    let addr = words.as_ptr() as usize;
    errno_is!(
        sys!(SYS_futex, addr + 1, libc::FUTEX_WAIT, 0, 0, 0, 0),
        EINVAL
    );
    errno_is!(
        sys!(SYS_futex, addr + 2, libc::FUTEX_WAKE, 1, 0, 0, 0),
        EINVAL
    );
    errno_is!(sys!(SYS_futex, addr, 77, 0, 0, 0, 0), ENOSYS);
    errno_is!(
        sys!(
            SYS_futex,
            addr,
            libc::FUTEX_WAKE | libc::FUTEX_CLOCK_REALTIME,
            1,
            0,
            0,
            0
        ),
        ENOSYS
    );
    errno_is!(sys!(SYS_futex, addr, libc::FUTEX_WAIT, 0, 8, 0, 0), EFAULT);
    Ok(())
}

fn addresses_that_fault() -> Outcome {
    errno_is!(sys!(SYS_futex, 0, libc::FUTEX_WAIT, 0, 0, 0, 0), EFAULT);
    errno_is!(sys!(SYS_futex, 0, libc::FUTEX_WAKE, 1, 0, 0, 0), EFAULT);
    errno_is!(
        sys!(SYS_futex, -4096_i64, libc::FUTEX_WAIT | PRIVATE, 0, 0, 0, 0),
        EFAULT
    );
    // A private wake does not look at the memory.
    check_eq!(
        sys!(SYS_futex, 4096, libc::FUTEX_WAKE | PRIVATE, 1, 0, 0, 0)?,
        0
    );
    let none = Map::new(4096, libc::PROT_NONE, crate::support::map::ANON, -1, 0)?;
    errno_is!(sys!(SYS_futex, &none, libc::FUTEX_WAIT, 0, 0, 0, 0), EFAULT);
    let read_only = Map::new(4096, libc::PROT_READ, crate::support::map::ANON, -1, 0)?;
    errno_is!(
        sys!(
            SYS_futex,
            &read_only,
            libc::FUTEX_WAIT | PRIVATE,
            1,
            0,
            0,
            0
        ),
        EAGAIN
    );
    Ok(())
}

fn pi(word: &AtomicU32, operation: i32) -> SysResult {
    sys!(SYS_futex, word.as_ptr(), operation | PRIVATE, 0, 0, 0, 0)
}

fn pi_lock_and_unlock() -> Outcome {
    let (word, tid) = (AtomicU32::new(0), process::gettid() as u32);
    pi(&word, libc::FUTEX_LOCK_PI)?;
    check_eq!(word.load(Ordering::SeqCst), tid);
    errno_is!(pi(&word, libc::FUTEX_LOCK_PI), EDEADLK);
    errno_is!(pi(&word, libc::FUTEX_TRYLOCK_PI), EDEADLK);
    pi(&word, libc::FUTEX_UNLOCK_PI)?;
    check_eq!(word.load(Ordering::SeqCst), 0);
    errno_is!(pi(&word, libc::FUTEX_UNLOCK_PI), EPERM);
    Ok(())
}

fn pi_lock_blocks_until_unlock() -> Outcome {
    static WORD: AtomicU32 = AtomicU32::new(0);
    pi(&WORD, libc::FUTEX_LOCK_PI)?;
    let threads = sleepers(3, |_| {
        pi(&WORD, libc::FUTEX_LOCK_PI)?;
        let owner = WORD.load(Ordering::SeqCst) & 0x3fff_ffff;
        pi(&WORD, libc::FUTEX_UNLOCK_PI)?;
        Ok(i64::from(owner == process::gettid() as u32))
    });
    check_eq!(
        WORD.load(Ordering::SeqCst),
        process::gettid() as u32 | libc::FUTEX_WAITERS
    );
    let busy =
        std::thread::spawn(|| pi(&WORD, libc::FUTEX_TRYLOCK_PI).map_err(|error| error.errno))
            .join();
    check_eq!(busy.ok(), Some(Err(libc::EAGAIN)));
    pi(&WORD, libc::FUTEX_UNLOCK_PI)?;
    for thread in threads {
        check_eq!(thread.result(), Some(Ok(1)));
    }
    Ok(())
}

fn pi_errors() -> Outcome {
    // An owner that does not exist.
    errno_is!(pi(&AtomicU32::new(0x3fff_fff0), libc::FUTEX_LOCK_PI), ESRCH);
    // The timeout is absolute, on the real-time clock.
    static WORD: AtomicU32 = AtomicU32::new(0);
    let owner = sleepers(1, |_| {
        pi(&WORD, libc::FUTEX_LOCK_PI)?;
        time::sleep_ms(100);
        pi(&WORD, libc::FUTEX_UNLOCK_PI)
    });
    let past = time::timespec(1);
    let timed = sys!(
        SYS_futex,
        WORD.as_ptr(),
        libc::FUTEX_LOCK_PI | PRIVATE,
        0,
        &past,
        0,
        0
    );
    errno_is!(timed, ETIMEDOUT);
    for thread in owner {
        check_eq!(thread.result(), Some(Ok(0)));
    }
    Ok(())
}

fn pi_owner_death_is_passed_on() -> Outcome {
    static WORD: AtomicU32 = AtomicU32::new(0);
    let owner = std::thread::spawn(|| {
        let _ = pi(&WORD, libc::FUTEX_LOCK_PI);
        // The list entry makes the kernel look at the word when the thread ends.
        let _ = register_robust(&WORD, true);
        time::sleep_ms(100);
    });
    check!(time::wait_until(|| WORD.load(Ordering::SeqCst) != 0));
    let waited = pi(&WORD, libc::FUTEX_LOCK_PI);
    check!(owner.join().is_ok());
    check_eq!(waited?, 0);
    let value = WORD.load(Ordering::SeqCst);
    check_eq!(value & libc::FUTEX_OWNER_DIED, libc::FUTEX_OWNER_DIED);
    check_eq!(value & 0x3fff_ffff, process::gettid() as u32);
    Ok(())
}

/// Registers a robust list with this one word; the memory of the list is never freed.
fn register_robust(word: &AtomicU32, pi: bool) -> SysResult {
    // head: first entry, distance from an entry to its word, entry being locked; entry: next.
    let list: &'static mut [usize; 4] = Box::leak(Box::new([0; 4]));
    let head = list.as_ptr() as usize;
    let entry = head + 24;
    list[0] = entry | usize::from(pi);
    list[1] = (word.as_ptr() as usize).wrapping_sub(entry);
    list[3] = head;
    sys!(SYS_set_robust_list, head, 24)
}

fn robust_list_marks_a_dead_thread() -> Outcome {
    static WORD: AtomicU32 = AtomicU32::new(0);
    static OTHER: AtomicU32 = AtomicU32::new(1234);
    let threads = sleepers(1, |_| {
        WORD.store(
            process::gettid() as u32 | libc::FUTEX_WAITERS,
            Ordering::SeqCst,
        );
        register_robust(&WORD, false)?;
        time::sleep_ms(100);
        Ok(0)
    });
    check!(time::wait_until(|| WORD.load(Ordering::SeqCst) != 0));
    let value = WORD.load(Ordering::SeqCst);
    // The kernel wakes as for a futex that processes share.
    let timeout = time::timespec(5000 * time::MS);
    check_eq!(
        sys!(
            SYS_futex,
            WORD.as_ptr(),
            libc::FUTEX_WAIT,
            value,
            &timeout,
            0,
            0
        )?,
        0
    );
    for thread in threads {
        thread.result();
    }
    check_eq!(
        WORD.load(Ordering::SeqCst),
        libc::FUTEX_OWNER_DIED | libc::FUTEX_WAITERS
    );
    // A word that another thread owns is left alone.
    let _ = std::thread::spawn(|| register_robust(&OTHER, false).is_ok()).join();
    check_eq!(OTHER.load(Ordering::SeqCst), 1234);
    Ok(())
}

fn robust_list_of_a_killed_process() -> Outcome {
    let memory = Map::shared(4096)?;
    let mut child = process::fork(|| {
        memory
            .atomic(0)
            .store(process::gettid() as u32, Ordering::SeqCst);
        let _ = register_robust(memory.atomic(0), false);
        memory.atomic(4).store(1, Ordering::SeqCst);
        let _ = sys!(SYS_pause);
        0
    })?;
    check!(time::wait_until(
        || memory.atomic(4).load(Ordering::SeqCst) == 1
    ));
    child.kill(libc::SIGKILL)?;
    child.wait()?;
    check_eq!(
        memory.atomic(0).load(Ordering::SeqCst),
        libc::FUTEX_OWNER_DIED
    );
    Ok(())
}

fn robust_list_calls() -> Outcome {
    errno_is!(sys!(SYS_set_robust_list, 0, 23), EINVAL);
    sys!(SYS_set_robust_list, 0x1234_5678, 24)?;
    let (mut head, mut len) = (0_usize, 0_usize);
    sys!(SYS_get_robust_list, 0, &mut head, &mut len)?;
    sys!(SYS_set_robust_list, 0, 24)?;
    check_eq!((head, len), (0x1234_5678, 24));
    errno_is!(
        sys!(SYS_get_robust_list, 4_000_000, &mut head, &mut len),
        ESRCH
    );
    Ok(())
}

fn ping_pong_between_threads() -> Outcome {
    static TURN: AtomicU32 = AtomicU32::new(0);
    fn play(own: u32, rounds: u32) {
        for _ in 0..rounds {
            while TURN.load(Ordering::SeqCst) != own {
                let _ = wait(&TURN, 1 - own, 1000);
            }
            TURN.store(1 - own, Ordering::SeqCst);
            let _ = wake(&TURN, 1);
        }
    }
    let other = std::thread::spawn(|| play(1, 2000));
    play(0, 2000);
    check!(other.join().is_ok());
    Ok(())
}

fn many_waiters_are_all_woken() -> Outcome {
    static WORD: AtomicU32 = AtomicU32::new(0);
    let threads = sleepers(60, |_| {
        while WORD.load(Ordering::SeqCst) == 0 {
            match wait(&WORD, 0, 5000) {
                Err(error) if error.errno != libc::EAGAIN => return Err(error),
                _ => {}
            }
        }
        Ok(0)
    });
    WORD.store(1, Ordering::SeqCst);
    wake(&WORD, u32::MAX >> 1)?;
    for thread in threads {
        check_eq!(thread.result(), Some(Ok(0)));
    }
    Ok(())
}

fn waitv_waits_for_several() -> Outcome {
    const SIZE_U32_PRIVATE: u64 = 2 | 128;
    static WORDS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    // Value, address, then flags and a reserved half.
    let waiters = || {
        let [one, two] = [&WORDS[0], &WORDS[1]].map(|word| word.as_ptr() as u64);
        [[0, one, SIZE_U32_PRIVATE], [0, two, SIZE_U32_PRIVATE]]
    };
    let threads = sleepers(1, move |_| sys!(SYS_futex_waitv, &waiters(), 2, 0, 0, 0));
    check_eq!(wake(&WORDS[1], 1)?, 1);
    for thread in threads {
        check_eq!(thread.result(), Some(Ok(1)));
    }
    WORDS[0].store(3, Ordering::SeqCst);
    errno_is!(sys!(SYS_futex_waitv, &waiters(), 2, 0, 0, 0), EAGAIN);
    errno_is!(sys!(SYS_futex_waitv, &waiters(), 0, 0, 0, 0), EINVAL);
    errno_is!(sys!(SYS_futex_waitv, &waiters(), 129, 0, 0, 0), EINVAL);
    Ok(())
}

fn realtime_clock_flag() -> Outcome {
    let word = AtomicU32::new(0);
    let until = time::timespec(time::clock_ns(libc::CLOCK_REALTIME) + 40 * time::MS);
    let operation = libc::FUTEX_WAIT_BITSET | libc::FUTEX_CLOCK_REALTIME | PRIVATE;
    let start = time::monotonic_ns();
    errno_is!(
        sys!(SYS_futex, word.as_ptr(), operation, 0, &until, 0, u32::MAX),
        ETIMEDOUT
    );
    check!((30 * time::MS..time::LATE).contains(&(time::monotonic_ns() - start)));
    Ok(())
}

/// `futex_wake`, `futex_wait` and `futex_requeue`, whose numbers the C library's crate does not know.
const WAKE: libc::c_long = 454;
const WAIT: libc::c_long = 455;
const REQUEUE: libc::c_long = 456;

fn calls_of_their_own() -> Outcome {
    /// `FUTEX2_SIZE_U32 | FUTEX2_PRIVATE`
    const FLAGS: usize = 2 | 128;
    const ANY: usize = 0xffff_ffff;
    let call =
        |number, name, args: &[usize]| crate::sys::call(number, name, file!(), line!(), args);
    let word = AtomicU32::new(3);
    let at = std::ptr::from_ref(&word) as usize;
    let wait = |value: usize, flags: usize, timeout: usize| {
        call(
            WAIT,
            "futex_wait",
            &[
                at,
                value,
                ANY,
                flags,
                timeout,
                libc::CLOCK_MONOTONIC as usize,
            ],
        )
    };
    match wait(4, FLAGS, 0) {
        Err(error) if error.errno == libc::ENOSYS => skip!("no futex_wait"),
        other => errno_is!(other, EAGAIN),
    }
    let past = [0_i64, 1];
    errno_is!(wait(3, FLAGS, past.as_ptr() as usize), ETIMEDOUT);
    errno_is!(wait(3, 1, 0), EINVAL);
    check_eq!(call(WAKE, "futex_wake", &[at, ANY, 1, FLAGS])?, 0);
    errno_is!(call(WAKE, "futex_wake", &[at, 0, 1, FLAGS]), EINVAL);
    let other = AtomicU32::new(0);
    let waiter =
        |value: u64, word: &AtomicU32| [value, std::ptr::from_ref(word) as u64, FLAGS as u64];
    let both = [waiter(3, &word), waiter(0, &other)].concat();
    let pair = both.as_ptr() as usize;
    check_eq!(call(REQUEUE, "futex_requeue", &[pair, 0, 1, 1])?, 0);
    word.store(5, Ordering::SeqCst);
    errno_is!(call(REQUEUE, "futex_requeue", &[pair, 0, 1, 1]), EAGAIN);
    errno_is!(call(REQUEUE, "futex_requeue", &[pair, 1, 1, 1]), EINVAL);
    Ok(())
}
