//! eventfd(2), `timerfd_create(2)`, signalfd(2), inotify(7).

use crate::case::Outcome;
use crate::support::fd::{self, Fd};
use crate::support::file::TempDir;
use crate::support::{process, signal, time};
use crate::sys::{self, SysError};

cases!(
    counter_adds_and_clears,
    semaphore_counts_down,
    overflow_is_eagain_or_blocks,
    eventfd_errors,
    eventfd_wakes_pollers,
    timer_expires_once,
    timer_repeats,
    timer_absolute_and_past,
    timer_disarm_and_query,
    timerfd_errors,
    timer_read_blocks,
    signalfd_reads_pending_signals,
    signalfd_polls_and_blocks,
    signalfd_changes_its_mask,
    signalfd_errors,
    inotify_reports_changes,
    inotify_errors,
);

fn eventfd(start: u32, flags: i32) -> Result<Fd, SysError> {
    sys!(SYS_eventfd2, start, flags).map(Fd::own)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map(u64::from_ne_bytes).unwrap_or(u64::MAX)
}

fn counter_adds_and_clears() -> Outcome {
    let event = eventfd(3, libc::EFD_NONBLOCK)?;
    event.write(&5_u64.to_ne_bytes())?;
    check_eq!(number(&event.read(8)?), 8);
    errno_is!(event.read(8), EAGAIN);
    check_eq!(event.write(&0_u64.to_ne_bytes())?, 8);
    errno_is!(event.read(8), EAGAIN);
    event.write(&1_u64.to_ne_bytes())?;
    check_eq!(event.read(100)?.len(), 8);
    Ok(())
}

fn semaphore_counts_down() -> Outcome {
    let event = eventfd(2, libc::EFD_NONBLOCK | libc::EFD_SEMAPHORE)?;
    check_eq!(number(&event.read(8)?), 1);
    check_eq!(number(&event.read(8)?), 1);
    errno_is!(event.read(8), EAGAIN);
    Ok(())
}

fn overflow_is_eagain_or_blocks() -> Outcome {
    let event = eventfd(0, libc::EFD_NONBLOCK)?;
    errno_is!(event.write(&u64::MAX.to_ne_bytes()), EINVAL);
    event.write(&(u64::MAX - 1).to_ne_bytes())?;
    check_eq!(
        fd::poll_one(&event, libc::POLLIN | libc::POLLOUT, 0)?,
        libc::POLLIN
    );
    errno_is!(event.write(&1_u64.to_ne_bytes()), EAGAIN);
    check_eq!(number(&event.read(8)?), u64::MAX - 1);
    check_eq!(
        fd::poll_one(&event, libc::POLLIN | libc::POLLOUT, 0)?,
        libc::POLLOUT
    );
    Ok(())
}

fn eventfd_errors() -> Outcome {
    errno_is!(eventfd(0, 0x100), EINVAL);
    let event = eventfd(1, 0)?;
    errno_is!(event.read(7), EINVAL);
    errno_is!(event.write(b"1234567"), EINVAL);
    errno_is!(event.pread(8, 0), ESPIPE);
    let link = std::fs::read_link(format!("/proc/self/fd/{}", event.number()))?;
    check_eq!(link.to_string_lossy(), "anon_inode:[eventfd]");
    Ok(())
}

fn eventfd_wakes_pollers() -> Outcome {
    let event = eventfd(0, 0)?;
    let mut child = process::fork(|| {
        time::sleep_ms(40);
        i32::from(event.write(&7_u64.to_ne_bytes()).is_err())
    })?;
    check_eq!(fd::poll_one(&event, libc::POLLIN, 5000)?, libc::POLLIN);
    check_eq!(number(&event.read(8)?), 7);
    child.wait()?;
    let mut child = process::fork(|| {
        time::sleep_ms(40);
        i32::from(event.write(&9_u64.to_ne_bytes()).is_err())
    })?;
    check_eq!(number(&event.read(8)?), 9);
    child.wait()?;
    Ok(())
}

fn timerfd(clock: i32, flags: i32) -> Result<Fd, SysError> {
    sys!(SYS_timerfd_create, clock, flags).map(Fd::own)
}

fn arm(
    timer: &Fd,
    flags: i32,
    value_ns: i64,
    interval_ns: i64,
) -> Result<libc::itimerspec, SysError> {
    let new = libc::itimerspec {
        it_interval: time::timespec(interval_ns),
        it_value: time::timespec(value_ns),
    };
    let mut old = sys::zeroed::<libc::itimerspec>();
    sys!(SYS_timerfd_settime, timer, flags, &new, &mut old)?;
    Ok(old)
}

fn timer_expires_once() -> Outcome {
    for clock in [
        libc::CLOCK_MONOTONIC,
        libc::CLOCK_REALTIME,
        libc::CLOCK_BOOTTIME,
    ] {
        let timer = timerfd(clock, libc::TFD_NONBLOCK)?;
        errno_is!(timer.read(8), EAGAIN);
        let start = time::monotonic_ns();
        arm(&timer, 0, 30 * time::MS, 0)?;
        check_eq!(fd::poll_one(&timer, libc::POLLIN, 5000)?, libc::POLLIN);
        check!(time::monotonic_ns() - start >= 30 * time::MS);
        check_eq!(number(&timer.read(8)?), 1);
        errno_is!(timer.read(8), EAGAIN);
    }
    Ok(())
}

fn timer_repeats() -> Outcome {
    let timer = timerfd(libc::CLOCK_MONOTONIC, 0)?;
    let start = time::monotonic_ns();
    arm(&timer, 0, 10 * time::MS, 10 * time::MS)?;
    time::sleep_ms(65);
    let expirations = number(&timer.read(8)?);
    // More than one on a busy machine.
    let more = number(&timer.read(8)?);
    let most = (time::monotonic_ns() - start) / (10 * time::MS);
    check!(
        expirations >= 5 && more >= 1,
        "{expirations} and {more} expirations"
    );
    check!(
        i64::try_from(expirations + more).is_ok_and(|sum| sum <= most),
        "{expirations} and {more} of {most}"
    );
    Ok(())
}

fn timer_absolute_and_past() -> Outcome {
    let timer = timerfd(libc::CLOCK_MONOTONIC, 0)?;
    let start = time::monotonic_ns();
    arm(&timer, libc::TFD_TIMER_ABSTIME, start + 40 * time::MS, 0)?;
    check_eq!(number(&timer.read(8)?), 1);
    check!(time::monotonic_ns() - start >= 40 * time::MS);
    arm(&timer, libc::TFD_TIMER_ABSTIME, 1, 0)?;
    check_eq!(number(&timer.read(8)?), 1);
    Ok(())
}

fn timer_disarm_and_query() -> Outcome {
    let timer = timerfd(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK)?;
    arm(&timer, 0, 5000 * time::MS, 70 * time::MS)?;
    let mut now = sys::zeroed::<libc::itimerspec>();
    sys!(SYS_timerfd_gettime, &timer, &mut now)?;
    check_eq!(time::nanoseconds(&now.it_interval), 70 * time::MS);
    check!((4000 * time::MS..=5000 * time::MS).contains(&time::nanoseconds(&now.it_value)));
    let old = arm(&timer, 0, 0, 0)?;
    check!(time::nanoseconds(&old.it_value) > 4000 * time::MS);
    sys!(SYS_timerfd_gettime, &timer, &mut now)?;
    check_eq!(time::nanoseconds(&now.it_value), 0);
    Ok(())
}

fn timerfd_errors() -> Outcome {
    errno_is!(timerfd(77, 0), EINVAL);
    errno_is!(timerfd(libc::CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
    errno_is!(timerfd(libc::CLOCK_MONOTONIC, 1), EINVAL);
    let timer = timerfd(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK)?;
    let bad = libc::itimerspec {
        it_interval: time::timespec(0),
        it_value: libc::timespec {
            tv_sec: 0,
            tv_nsec: 1_000_000_000,
        },
    };
    errno_is!(sys!(SYS_timerfd_settime, &timer, 0, &bad, 0), EINVAL);
    errno_is!(sys!(SYS_timerfd_settime, &timer, 8, &bad, 0), EINVAL);
    errno_is!(sys!(SYS_timerfd_settime, &timer, 0, 8, 0), EFAULT);
    errno_is!(timer.read(7), EINVAL);
    errno_is!(timer.write(&[0; 8]), EINVAL);
    let (reader, _writer) = fd::pipe(0)?;
    errno_is!(arm(&reader, 0, 0, 0), EINVAL);
    Ok(())
}

fn timer_read_blocks() -> Outcome {
    let timer = timerfd(libc::CLOCK_MONOTONIC, 0)?;
    let start = time::monotonic_ns();
    arm(&timer, 0, 50 * time::MS, 0)?;
    check_eq!(number(&timer.read(8)?), 1);
    let spent = (time::monotonic_ns() - start) / time::MS;
    check!(
        (50..50 + time::LATE / time::MS).contains(&spent),
        "{spent} ms"
    );
    Ok(())
}

fn signalfd(old: i32, mask: u64, flags: i32) -> Result<Fd, SysError> {
    sys!(SYS_signalfd4, old, &mask, 8, flags).map(Fd::own)
}

fn read_signal(file: &Fd) -> Result<libc::signalfd_siginfo, SysError> {
    let mut info = sys::zeroed::<libc::signalfd_siginfo>();
    sys!(
        SYS_read,
        file,
        &mut info,
        size_of::<libc::signalfd_siginfo>()
    )?;
    Ok(info)
}

fn signalfd_reads_pending_signals() -> Outcome {
    let mask = signal::bit(libc::SIGUSR1) | signal::bit(40);
    signal::block(mask)?;
    let file = signalfd(-1, mask, libc::SFD_NONBLOCK)?;
    errno_is!(read_signal(&file), EAGAIN);
    signal::queue(process::getpid(), 40, 1234)?;
    sys!(SYS_kill, process::getpid(), libc::SIGUSR1)?;
    let info = read_signal(&file)?;
    check_eq!(
        (info.ssi_signo, info.ssi_code, info.ssi_pid),
        (
            libc::SIGUSR1 as u32,
            libc::SI_USER,
            process::getpid() as u32
        )
    );
    let info = read_signal(&file)?;
    check_eq!(
        (info.ssi_signo, info.ssi_code, info.ssi_ptr),
        (40, libc::SI_QUEUE, 1234)
    );
    check_eq!(signal::pending()?, 0);
    // Several at once.
    for value in 0..3 {
        signal::queue(process::getpid(), 40, value)?;
    }
    check_eq!(file.read(1000)?.len(), 384);
    errno_is!(file.read(127), EINVAL);
    Ok(())
}

fn signalfd_polls_and_blocks() -> Outcome {
    signal::block(signal::bit(libc::SIGCHLD))?;
    let file = signalfd(-1, signal::bit(libc::SIGCHLD), 0)?;
    check_eq!(fd::poll_one(&file, libc::POLLIN, 0)?, 0);
    let mut child = process::fork(|| {
        time::sleep_ms(30);
        5
    })?;
    check_eq!(fd::poll_one(&file, libc::POLLIN, 5000)?, libc::POLLIN);
    let info = read_signal(&file)?;
    check_eq!(
        (info.ssi_code, info.ssi_pid, info.ssi_status),
        (libc::CLD_EXITED, child.pid as u32, 5)
    );
    child.wait()?;
    let mut child = process::fork(|| {
        time::sleep_ms(30);
        6
    })?;
    check_eq!(read_signal(&file)?.ssi_status, 6);
    child.wait()?;
    Ok(())
}

fn signalfd_changes_its_mask() -> Outcome {
    signal::block(signal::bit(libc::SIGUSR1) | signal::bit(libc::SIGUSR2))?;
    let file = signalfd(-1, signal::bit(libc::SIGUSR1), libc::SFD_NONBLOCK)?;
    signal::raise(libc::SIGUSR2)?;
    errno_is!(read_signal(&file), EAGAIN);
    let mask = signal::bit(libc::SIGUSR2);
    check_eq!(
        sys!(SYS_signalfd4, &file, &mask, 8, 0)?,
        i64::from(file.number())
    );
    check_eq!(read_signal(&file)?.ssi_signo, libc::SIGUSR2 as u32);
    Ok(())
}

fn signalfd_errors() -> Outcome {
    errno_is!(signalfd(-1, 0, 0x1), EINVAL);
    errno_is!(signalfd(800, 0, 0), EBADF);
    let (reader, _writer) = fd::pipe(0)?;
    errno_is!(signalfd(reader.number(), 0, 0), EINVAL);
    errno_is!(sys!(SYS_signalfd4, -1, &0_u64, 4, 0), EINVAL);
    errno_is!(sys!(SYS_signalfd4, -1, 8, 8, 0), EFAULT);
    Ok(())
}

/// The masks and names of the events that can be read.
fn inotify_events(file: &Fd) -> Result<Vec<(u32, String)>, SysError> {
    let bytes = file.read(4096)?;
    let (mut rest, mut events) = (bytes.as_slice(), Vec::new());
    while let Some((header, tail)) = rest.split_at_checked(16) {
        let word = |index: usize| {
            u32::from_ne_bytes(header[index..index + 4].try_into().unwrap_or_default())
        };
        let (name, tail) = tail.split_at_checked(word(12) as usize).unwrap_or_default();
        let text = String::from_utf8_lossy(name)
            .trim_end_matches('\0')
            .to_owned();
        events.push((word(4), text));
        rest = tail;
    }
    Ok(events)
}

fn inotify_reports_changes() -> Outcome {
    let dir = TempDir::new()?;
    let watch = Fd::own(sys!(SYS_inotify_init1, libc::IN_NONBLOCK)?);
    let path = crate::support::file::cstring(dir.path());
    let mask =
        libc::IN_CREATE | libc::IN_DELETE | libc::IN_MOVE | libc::IN_MODIFY | libc::IN_CLOSE_WRITE;
    let id = sys!(SYS_inotify_add_watch, &watch, &path, mask)?;
    check_eq!(id, 1);
    errno_is!(watch.read(4096), EAGAIN);
    dir.file("f", b"x")?;
    let name = |mask: u32, text: &str| (mask, text.to_owned());
    check_eq!(
        inotify_events(&watch)?,
        [
            name(libc::IN_CREATE, "f"),
            name(libc::IN_MODIFY, "f"),
            name(libc::IN_CLOSE_WRITE, "f")
        ]
    );
    sys!(SYS_rename, &dir.join("f"), &dir.join("g"))?;
    sys!(SYS_unlink, &dir.join("g"))?;
    sys!(SYS_mkdir, &dir.join("d"), 0o700)?;
    check_eq!(
        inotify_events(&watch)?,
        [
            name(libc::IN_MOVED_FROM, "f"),
            name(libc::IN_MOVED_TO, "g"),
            name(libc::IN_DELETE, "g"),
            name(libc::IN_CREATE | libc::IN_ISDIR, "d"),
        ]
    );
    sys!(SYS_inotify_rm_watch, &watch, id)?;
    check_eq!(inotify_events(&watch)?, [name(libc::IN_IGNORED, "")]);
    Ok(())
}

fn inotify_errors() -> Outcome {
    let dir = TempDir::new()?;
    let watch = Fd::own(sys!(SYS_inotify_init1, 0)?);
    errno_is!(sys!(SYS_inotify_init1, 1), EINVAL);
    errno_is!(
        sys!(
            SYS_inotify_add_watch,
            &watch,
            &dir.join("none"),
            libc::IN_CREATE
        ),
        ENOENT
    );
    errno_is!(
        sys!(SYS_inotify_add_watch, &watch, &dir.join(""), 0),
        EINVAL
    );
    errno_is!(
        sys!(SYS_inotify_add_watch, 800, &dir.join(""), libc::IN_CREATE),
        EBADF
    );
    errno_is!(sys!(SYS_inotify_rm_watch, &watch, 55), EINVAL);
    let (reader, _writer) = fd::pipe(0)?;
    errno_is!(
        sys!(
            SYS_inotify_add_watch,
            &reader,
            &dir.join(""),
            libc::IN_CREATE
        ),
        EINVAL
    );
    Ok(())
}
