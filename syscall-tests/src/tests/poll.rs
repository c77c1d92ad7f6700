//! poll(2), ppoll(2), select(2), pselect6(2), epoll(7).

use crate::case::Outcome;
use crate::support::fd::{self, Fd};
use crate::support::file::TempDir;
use crate::support::{process, signal, time};
use crate::sys::{SysError, SysResult};

cases!(
    poll_reports_each_descriptor,
    poll_of_a_closed_descriptor_is_nval,
    poll_timeout,
    poll_is_woken,
    poll_errors,
    regular_files_are_always_ready,
    ppoll_swaps_the_mask,
    select_reports_ready_sets,
    select_errors,
    select_writes_the_rest_of_the_timeout,
    pselect_swaps_the_mask,
    epoll_level_triggered,
    epoll_edge_triggered,
    epoll_oneshot,
    epoll_control_errors,
    epoll_wait_errors,
    epoll_refuses_regular_files,
    epoll_forgets_closed_files,
    epoll_keeps_a_duplicated_file,
    epoll_always_reports_error_and_hangup,
    epoll_modification_rearms,
    epoll_returns_at_most_so_many_and_rotates,
    epoll_nested,
    epoll_loops_are_refused,
    epoll_exclusive_wakes_one,
    epoll_pwait_swaps_the_mask,
    epoll_pwait2_has_nanoseconds,
    epoll_add_while_waiting,
    epoll_shared_by_threads,
    edge_for_each_write,
    epoll_reports_its_targets_in_proc,
);

fn pollfd(fd: &Fd, events: i16) -> libc::pollfd {
    libc::pollfd {
        fd: fd.number(),
        events,
        revents: 0x55,
    }
}

fn poll_reports_each_descriptor() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    let (empty, _other) = fd::pipe(0)?;
    writer.write(b"x")?;
    let ignored = libc::pollfd {
        fd: -1,
        events: libc::POLLIN,
        revents: 0x55,
    };
    let mut set = [
        pollfd(&reader, libc::POLLIN),
        pollfd(&empty, libc::POLLIN),
        pollfd(&writer, libc::POLLOUT),
        ignored,
    ];
    check_eq!(sys!(SYS_poll, &mut set, 4, 1000)?, 2);
    check_eq!(
        set.map(|entry| entry.revents),
        [libc::POLLIN, 0, libc::POLLOUT, 0]
    );
    Ok(())
}

fn poll_of_a_closed_descriptor_is_nval() -> Outcome {
    let mut set = [libc::pollfd {
        fd: 800,
        events: 0,
        revents: 0,
    }];
    check_eq!(sys!(SYS_poll, &mut set, 1, 1000)?, 1);
    check_eq!(set[0].revents, libc::POLLNVAL);
    Ok(())
}

fn poll_timeout() -> Outcome {
    let (reader, _writer) = fd::pipe(0)?;
    let start = time::monotonic_ns();
    check_eq!(fd::poll_one(&reader, libc::POLLIN, 50)?, 0);
    let spent = (time::monotonic_ns() - start) / time::MS;
    check!(
        (50..50 + time::LATE / time::MS).contains(&spent),
        "{spent} ms"
    );
    check_eq!(sys!(SYS_poll, 0, 0, 10)?, 0);
    Ok(())
}

fn poll_is_woken() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    let mut child = process::fork(|| {
        time::sleep_ms(50);
        let _ = writer.write(b"x");
        0
    })?;
    check_eq!(fd::poll_one(&reader, libc::POLLIN, 5000)?, libc::POLLIN);
    child.wait()?;
    reader.read(1)?;
    let mut child = process::fork(|| {
        time::sleep_ms(50);
        0
    })?;
    drop(writer);
    check_eq!(fd::poll_one(&reader, 0, 5000)?, libc::POLLHUP);
    child.wait()?;
    Ok(())
}

fn poll_errors() -> Outcome {
    errno_is!(sys!(SYS_poll, 8, 1, 0), EFAULT);
    let limit = libc::rlimit {
        rlim_cur: 10,
        rlim_max: 1000,
    };
    sys!(SYS_prlimit64, 0, libc::RLIMIT_NOFILE, &limit, 0)?;
    let mut set = [libc::pollfd {
        fd: -1,
        events: 0,
        revents: 0,
    }; 20];
    errno_is!(sys!(SYS_poll, &mut set, 11, 0), EINVAL);
    let bad = libc::timespec {
        tv_sec: 0,
        tv_nsec: -1,
    };
    errno_is!(sys!(SYS_ppoll, &mut set, 1, &bad, 0, 8), EINVAL);
    errno_is!(sys!(SYS_ppoll, &mut set, 1, 0, &0_u64, 4), EINVAL);
    Ok(())
}

fn regular_files_are_always_ready() -> Outcome {
    let dir = TempDir::new()?;
    let file = dir.open_file("f", b"")?;
    let events = libc::POLLIN | libc::POLLOUT | libc::POLLPRI;
    check_eq!(
        fd::poll_one(&file, events, 0)?,
        libc::POLLIN | libc::POLLOUT
    );
    check_eq!(fd::poll_one(&dir.open()?, libc::POLLIN, 0)?, libc::POLLIN);
    let null = fd::open(c"/dev/null", libc::O_RDWR, 0)?;
    check_eq!(
        fd::poll_one(&null, libc::POLLIN | libc::POLLOUT, 0)?,
        libc::POLLIN | libc::POLLOUT
    );
    Ok(())
}

fn ppoll_swaps_the_mask() -> Outcome {
    signal::handle(libc::SIGUSR1, signal::record, 0)?;
    signal::block(signal::bit(libc::SIGUSR1))?;
    signal::raise(libc::SIGUSR1)?;
    // Blocked during the call too: times out.
    check_eq!(
        sys!(
            SYS_ppoll,
            0,
            0,
            &time::timespec(20 * time::MS),
            &signal::bit(libc::SIGUSR1),
            8
        )?,
        0
    );
    check_eq!(signal::count(), 0);
    errno_is!(
        sys!(SYS_ppoll, 0, 0, &time::timespec(2000 * time::MS), &0_u64, 8),
        EINTR
    );
    check_eq!(
        (signal::count(), signal::mask()?),
        (1, signal::bit(libc::SIGUSR1))
    );
    Ok(())
}

/// A descriptor set with these members.
fn set_of(descriptors: &[&Fd]) -> [u64; 16] {
    let mut set = [0_u64; 16];
    for descriptor in descriptors {
        let number = descriptor.number() as usize;
        set[number / 64] |= 1 << (number % 64);
    }
    set
}

fn select_reports_ready_sets() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    let (empty, _other) = fd::pipe(0)?;
    writer.write(b"x")?;
    let high = Fd::own(sys!(SYS_fcntl, &reader, libc::F_DUPFD, 300)?);
    let (mut read, mut write) = (set_of(&[&reader, &empty, &high]), set_of(&[&writer]));
    let timeout = libc::timeval {
        tv_sec: 1,
        tv_usec: 0,
    };
    check_eq!(
        sys!(SYS_select, 400, &mut read, &mut write, 0, &timeout)?,
        3
    );
    check_eq!(read[..], set_of(&[&reader, &high])[..]);
    check_eq!(write[..], set_of(&[&writer])[..]);
    // Descriptors at and above the first argument are not looked at.
    let mut read = set_of(&[&high]);
    check_eq!(
        sys!(
            SYS_select,
            300,
            &mut read,
            0,
            0,
            &libc::timeval {
                tv_sec: 0,
                tv_usec: 0
            }
        )?,
        0
    );
    Ok(())
}

fn select_errors() -> Outcome {
    errno_is!(sys!(SYS_select, -1, 0, 0, 0, 0), EINVAL);
    errno_is!(sys!(SYS_select, 10, 8, 0, 0, 0), EFAULT);
    let mut set = [0_u64; 16];
    set[800 / 64] = 1 << (800 % 64);
    errno_is!(sys!(SYS_select, 801, &mut set, 0, 0, 0), EBADF);
    let bad = libc::timeval {
        tv_sec: -1,
        tv_usec: 0,
    };
    errno_is!(sys!(SYS_select, 0, 0, 0, 0, &bad), EINVAL);
    Ok(())
}

fn select_writes_the_rest_of_the_timeout() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    writer.write(b"x")?;
    let mut timeout = libc::timeval {
        tv_sec: 5,
        tv_usec: 0,
    };
    sys!(SYS_select, 100, &mut set_of(&[&reader]), 0, 0, &mut timeout)?;
    check!(
        timeout.tv_sec == 4 && timeout.tv_usec > 500_000,
        "{} s left",
        timeout.tv_sec
    );
    let mut timeout = libc::timeval {
        tv_sec: 0,
        tv_usec: 20_000,
    };
    check_eq!(sys!(SYS_select, 0, 0, 0, 0, &mut timeout)?, 0);
    check_eq!((timeout.tv_sec, timeout.tv_usec), (0, 0));
    Ok(())
}

fn pselect_swaps_the_mask() -> Outcome {
    signal::handle(libc::SIGUSR1, signal::record, 0)?;
    signal::block(signal::bit(libc::SIGUSR1))?;
    signal::raise(libc::SIGUSR1)?;
    let empty_mask = 0_u64;
    let argument = [(&raw const empty_mask) as u64, 8];
    errno_is!(
        sys!(
            SYS_pselect6,
            0,
            0,
            0,
            0,
            &time::timespec(2000 * time::MS),
            &argument
        ),
        EINTR
    );
    check_eq!(
        (signal::count(), signal::mask()?),
        (1, signal::bit(libc::SIGUSR1))
    );
    check_eq!(
        sys!(SYS_pselect6, 0, 0, 0, 0, &time::timespec(10 * time::MS), 0)?,
        0
    );
    Ok(())
}

fn epoll() -> Result<Fd, SysError> {
    sys!(SYS_epoll_create1, libc::EPOLL_CLOEXEC).map(Fd::own)
}

fn control(epoll: &Fd, operation: i32, target: &Fd, events: i32, data: u64) -> SysResult {
    let event = libc::epoll_event {
        events: events as u32,
        u64: data,
    };
    sys!(SYS_epoll_ctl, epoll, operation, target, &event)
}

fn add(epoll: &Fd, target: &Fd, events: i32, data: u64) -> SysResult {
    control(epoll, libc::EPOLL_CTL_ADD, target, events, data)
}

/// The events that are ready, as pairs of data and event bits.
fn wait(epoll: &Fd, timeout_ms: i32) -> Result<Vec<(u64, i32)>, SysError> {
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 16];
    let count = sys!(SYS_epoll_wait, epoll, &mut events, 16, timeout_ms)? as usize;
    Ok(events[..count]
        .iter()
        .map(|event| (event.u64, event.events as i32))
        .collect())
}

fn epoll_level_triggered() -> Outcome {
    let (epoll, (reader, writer)) = (epoll()?, fd::pipe(0)?);
    add(&epoll, &reader, libc::EPOLLIN, 0xdead_beef_0000_0001)?;
    check_eq!(wait(&epoll, 0)?, []);
    writer.write(b"xy")?;
    for _ in 0..3 {
        check_eq!(
            wait(&epoll, 1000)?,
            [(0xdead_beef_0000_0001, libc::EPOLLIN)]
        );
    }
    reader.read(2)?;
    check_eq!(wait(&epoll, 0)?, []);
    Ok(())
}

fn epoll_edge_triggered() -> Outcome {
    let (epoll, (reader, writer)) = (epoll()?, fd::pipe(0)?);
    writer.write(b"x")?;
    add(&epoll, &reader, libc::EPOLLIN | libc::EPOLLET, 1)?;
    // Readiness at the time of adding counts as an edge.
    check_eq!(wait(&epoll, 1000)?, [(1, libc::EPOLLIN)]);
    check_eq!(wait(&epoll, 0)?, []);
    writer.write(b"y")?;
    check_eq!(wait(&epoll, 1000)?, [(1, libc::EPOLLIN)]);
    reader.read(1)?;
    check_eq!(wait(&epoll, 0)?, []);
    Ok(())
}

fn edge_for_each_write() -> Outcome {
    let (epoll, (left, right)) = (epoll()?, fd::socketpair(libc::SOCK_STREAM)?);
    add(
        &epoll,
        &left,
        libc::EPOLLIN | libc::EPOLLET | libc::EPOLLRDHUP,
        1,
    )?;
    for _ in 0..3 {
        right.write(b"x")?;
        check_eq!(wait(&epoll, 1000)?, [(1, libc::EPOLLIN)]);
    }
    sys!(SYS_shutdown, &right, libc::SHUT_WR)?;
    check_eq!(wait(&epoll, 1000)?, [(1, libc::EPOLLIN | libc::EPOLLRDHUP)]);
    Ok(())
}

fn epoll_oneshot() -> Outcome {
    let (epoll, (reader, writer)) = (epoll()?, fd::pipe(0)?);
    add(&epoll, &reader, libc::EPOLLIN | libc::EPOLLONESHOT, 1)?;
    writer.write(b"x")?;
    check_eq!(wait(&epoll, 1000)?, [(1, libc::EPOLLIN)]);
    writer.write(b"y")?;
    check_eq!(wait(&epoll, 0)?, []);
    control(
        &epoll,
        libc::EPOLL_CTL_MOD,
        &reader,
        libc::EPOLLIN | libc::EPOLLONESHOT,
        2,
    )?;
    check_eq!(wait(&epoll, 1000)?, [(2, libc::EPOLLIN)]);
    Ok(())
}

fn epoll_control_errors() -> Outcome {
    let (epoll, (reader, _writer)) = (epoll()?, fd::pipe(0)?);
    add(&epoll, &reader, libc::EPOLLIN, 1)?;
    errno_is!(add(&epoll, &reader, libc::EPOLLIN, 1), EEXIST);
    let (other, _end) = fd::pipe(0)?;
    errno_is!(
        control(&epoll, libc::EPOLL_CTL_MOD, &other, libc::EPOLLIN, 1),
        ENOENT
    );
    errno_is!(control(&epoll, libc::EPOLL_CTL_DEL, &other, 0, 0), ENOENT);
    errno_is!(control(&epoll, 9, &reader, 0, 0), EINVAL);
    errno_is!(add(&epoll, &epoll, libc::EPOLLIN, 1), EINVAL);
    errno_is!(add(&reader, &other, libc::EPOLLIN, 1), EINVAL);
    errno_is!(
        sys!(SYS_epoll_ctl, &epoll, libc::EPOLL_CTL_ADD, 800, &[0_u32; 3]),
        EBADF
    );
    errno_is!(
        sys!(
            SYS_epoll_ctl,
            800,
            libc::EPOLL_CTL_ADD,
            &reader,
            &[0_u32; 3]
        ),
        EBADF
    );
    errno_is!(
        sys!(SYS_epoll_ctl, &epoll, libc::EPOLL_CTL_ADD, &other, 8),
        EFAULT
    );
    // Deleting needs no event.
    sys!(SYS_epoll_ctl, &epoll, libc::EPOLL_CTL_DEL, &reader, 0)?;
    errno_is!(sys!(SYS_epoll_create, 0), EINVAL);
    errno_is!(sys!(SYS_epoll_create1, 1), EINVAL);
    Ok(())
}

fn epoll_wait_errors() -> Outcome {
    let epoll = epoll()?;
    let (reader, writer) = fd::pipe(0)?;
    let mut events = [libc::epoll_event { events: 0, u64: 0 }];
    errno_is!(sys!(SYS_epoll_wait, &epoll, &mut events, 0, 0), EINVAL);
    errno_is!(sys!(SYS_epoll_wait, &epoll, &mut events, -1, 0), EINVAL);
    errno_is!(
        sys!(SYS_epoll_wait, &epoll, &mut events, i32::MAX, 0),
        EINVAL
    );
    errno_is!(sys!(SYS_epoll_wait, 800, &mut events, 1, 0), EBADF);
    errno_is!(sys!(SYS_epoll_wait, &reader, &mut events, 1, 0), EINVAL);
    writer.write(b"x")?;
    add(&epoll, &reader, libc::EPOLLIN, 1)?;
    errno_is!(sys!(SYS_epoll_wait, &epoll, 8, 1, 0), EFAULT);
    let start = time::monotonic_ns();
    reader.read(1)?;
    check_eq!(wait(&epoll, 50)?, []);
    check!(time::monotonic_ns() - start >= 50 * time::MS);
    Ok(())
}

fn epoll_refuses_regular_files() -> Outcome {
    let (dir, epoll) = (TempDir::new()?, epoll()?);
    errno_is!(
        add(&epoll, &dir.open_file("f", b"")?, libc::EPOLLIN, 1),
        EPERM
    );
    errno_is!(add(&epoll, &dir.open()?, libc::EPOLLIN, 1), EPERM);
    Ok(())
}

fn epoll_forgets_closed_files() -> Outcome {
    let (epoll, (reader, writer)) = (epoll()?, fd::pipe(0)?);
    add(&epoll, &reader, libc::EPOLLIN, 1)?;
    writer.write(b"x")?;
    let number = reader.number();
    drop(reader);
    check_eq!(wait(&epoll, 0)?, []);
    // The number can be used for another file.
    let (again, other) = fd::pipe(0)?;
    check_eq!(again.number(), number);
    add(&epoll, &again, libc::EPOLLIN, 2)?;
    other.write(b"y")?;
    check_eq!(wait(&epoll, 0)?, [(2, libc::EPOLLIN)]);
    Ok(())
}

/// epoll(7), question 6: as long as a duplicate is open, events go on, under the old registration.
fn epoll_keeps_a_duplicated_file() -> Outcome {
    let (epoll, (reader, writer)) = (epoll()?, fd::pipe(0)?);
    add(&epoll, &reader, libc::EPOLLIN, 1)?;
    let copy = Fd::own(sys!(SYS_dup, &reader)?);
    // The same open file under another number may be added as well.
    add(&epoll, &copy, libc::EPOLLIN, 2)?;
    drop(reader);
    writer.write(b"x")?;
    let mut ready = wait(&epoll, 0)?;
    ready.sort_unstable();
    check_eq!(ready, [(1, libc::EPOLLIN), (2, libc::EPOLLIN)]);
    drop(copy);
    check_eq!(wait(&epoll, 0)?, []);
    Ok(())
}

fn epoll_always_reports_error_and_hangup() -> Outcome {
    let (epoll, (reader, writer)) = (epoll()?, fd::pipe(0)?);
    add(&epoll, &reader, 0, 1)?;
    add(&epoll, &writer, 0, 2)?;
    check_eq!(wait(&epoll, 0)?, []);
    let copy = Fd::own(sys!(SYS_dup, &writer)?);
    drop(reader);
    check_eq!(wait(&epoll, 1000)?, [(2, libc::EPOLLERR)]);
    drop(copy);
    Ok(())
}

fn epoll_modification_rearms() -> Outcome {
    let (epoll, (reader, writer)) = (epoll()?, fd::pipe(0)?);
    writer.write(b"x")?;
    add(&epoll, &reader, libc::EPOLLIN | libc::EPOLLET, 1)?;
    check_eq!(wait(&epoll, 0)?.len(), 1);
    check_eq!(wait(&epoll, 0)?.len(), 0);
    control(
        &epoll,
        libc::EPOLL_CTL_MOD,
        &reader,
        libc::EPOLLIN | libc::EPOLLET,
        1,
    )?;
    check_eq!(wait(&epoll, 0)?.len(), 1);
    // Interest in nothing leaves only errors.
    control(&epoll, libc::EPOLL_CTL_MOD, &reader, 0, 1)?;
    check_eq!(wait(&epoll, 0)?.len(), 0);
    Ok(())
}

fn epoll_returns_at_most_so_many_and_rotates() -> Outcome {
    let epoll = epoll()?;
    let mut ends = Vec::new();
    for index in 0..6 {
        let (reader, writer) = fd::pipe(0)?;
        writer.write(b"x")?;
        add(&epoll, &reader, libc::EPOLLIN, index)?;
        ends.push((reader, writer));
    }
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 2];
        check_eq!(sys!(SYS_epoll_wait, &epoll, &mut events, 2, 0)?, 2);
        seen.extend(events.iter().map(|event| event.u64));
    }
    check_eq!(seen.len(), 6);
    Ok(())
}

fn epoll_nested() -> Outcome {
    let (inner, outer, (reader, writer)) = (epoll()?, epoll()?, fd::pipe(0)?);
    add(&inner, &reader, libc::EPOLLIN, 1)?;
    add(&outer, &inner, libc::EPOLLIN, 2)?;
    check_eq!(wait(&outer, 0)?, []);
    check_eq!(fd::poll_one(&outer, libc::POLLIN, 0)?, 0);
    writer.write(b"x")?;
    check_eq!(wait(&outer, 1000)?, [(2, libc::EPOLLIN)]);
    check_eq!(fd::poll_one(&outer, libc::POLLIN, 0)?, libc::POLLIN);
    check_eq!(wait(&inner, 0)?, [(1, libc::EPOLLIN)]);
    reader.read(1)?;
    check_eq!(wait(&outer, 0)?, []);
    Ok(())
}

fn epoll_loops_are_refused() -> Outcome {
    let (one, two) = (epoll()?, epoll()?);
    add(&one, &two, libc::EPOLLIN, 1)?;
    errno_is!(add(&two, &one, libc::EPOLLIN, 1), ELOOP);
    // At most five levels.
    let mut chain = vec![epoll()?];
    let error = loop {
        let next = epoll()?;
        match add(&next, &chain[chain.len() - 1], libc::EPOLLIN, 1) {
            Ok(_) => chain.push(next),
            Err(error) => break error,
        }
        check!(chain.len() < 20);
    };
    check_eq!((error.errno, chain.len()), (libc::ELOOP, 5));
    Ok(())
}

fn epoll_exclusive_wakes_one() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    let (one, two) = (epoll()?, epoll()?);
    let exclusive = libc::EPOLLEXCLUSIVE | libc::EPOLLIN;
    add(&one, &reader, exclusive, 1)?;
    add(&two, &reader, exclusive, 2)?;
    errno_is!(
        control(&one, libc::EPOLL_CTL_MOD, &reader, libc::EPOLLIN, 1),
        EINVAL
    );
    errno_is!(add(&one, &two, exclusive, 1), EINVAL);
    errno_is!(
        add(
            &one,
            &writer,
            libc::EPOLLEXCLUSIVE | libc::EPOLLIN | libc::EPOLLONESHOT,
            1
        ),
        EINVAL
    );
    let threads = [one, two].map(|epoll| {
        std::thread::spawn(move || wait(&epoll, 300).map_or(0, |events| events.len()))
    });
    time::sleep_ms(60);
    writer.write(b"x")?;
    let woken: usize = threads
        .into_iter()
        .map(|thread| thread.join().unwrap_or(0))
        .sum();
    check!(woken >= 1, "nobody was woken");
    Ok(())
}

fn epoll_pwait_swaps_the_mask() -> Outcome {
    let epoll = epoll()?;
    signal::handle(libc::SIGUSR1, signal::record, 0)?;
    signal::block(signal::bit(libc::SIGUSR1))?;
    signal::raise(libc::SIGUSR1)?;
    let mut events = [libc::epoll_event { events: 0, u64: 0 }];
    check_eq!(
        sys!(
            SYS_epoll_pwait,
            &epoll,
            &mut events,
            1,
            20,
            &signal::bit(libc::SIGUSR1),
            8
        )?,
        0
    );
    errno_is!(
        sys!(SYS_epoll_pwait, &epoll, &mut events, 1, 2000, &0_u64, 8),
        EINTR
    );
    check_eq!(
        (signal::count(), signal::mask()?),
        (1, signal::bit(libc::SIGUSR1))
    );
    errno_is!(
        sys!(SYS_epoll_pwait, &epoll, &mut events, 1, 0, &0_u64, 4),
        EINVAL
    );
    Ok(())
}

fn epoll_pwait2_has_nanoseconds() -> Outcome {
    let epoll = epoll()?;
    let mut events = [libc::epoll_event { events: 0, u64: 0 }];
    let start = time::monotonic_ns();
    check_eq!(
        sys!(
            SYS_epoll_pwait2,
            &epoll,
            &mut events,
            1,
            &time::timespec(300_000),
            0,
            8
        )?,
        0
    );
    let spent = time::monotonic_ns() - start;
    check!(
        (300_000..300_000 + time::LATE).contains(&spent),
        "{spent} ns"
    );
    let bad = libc::timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000_000,
    };
    errno_is!(
        sys!(SYS_epoll_pwait2, &epoll, &mut events, 1, &bad, 0, 8),
        EINVAL
    );
    Ok(())
}

fn epoll_add_while_waiting() -> Outcome {
    let (epoll, (reader, writer)) = (epoll()?, fd::pipe(0)?);
    let number = epoll.number();
    let thread = std::thread::spawn(move || {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }];
        sys!(SYS_epoll_wait, number, &mut events, 1, 5000)
            .map(|count| (count, events[0].u64))
            .unwrap_or((0, 0))
    });
    time::sleep_ms(40);
    writer.write(b"x")?;
    add(&epoll, &reader, libc::EPOLLIN, 9)?;
    check_eq!(thread.join().ok(), Some((1, 9)));
    Ok(())
}

fn epoll_shared_by_threads() -> Outcome {
    let (epoll, (reader, writer)) = (epoll()?, fd::pipe(libc::O_NONBLOCK)?);
    add(&epoll, &reader, libc::EPOLLIN | libc::EPOLLET, 1)?;
    let (epoll_number, reader_number) = (epoll.number(), reader.number());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                let (mut events, mut got) = ([libc::epoll_event { events: 0, u64: 0 }], 0);
                while sys!(SYS_epoll_wait, epoll_number, &mut events, 1, 200)
                    .is_ok_and(|count| count == 1)
                {
                    let mut byte = 0_u8;
                    while sys!(SYS_read, reader_number, &mut byte, 1).is_ok_and(|count| count == 1)
                    {
                        got += 1;
                    }
                }
                got
            })
        })
        .collect();
    for _ in 0..300 {
        writer.write(b"x")?;
    }
    let total: i32 = threads
        .into_iter()
        .map(|thread| thread.join().unwrap_or(0))
        .sum();
    check_eq!(total, 300);
    Ok(())
}

fn epoll_reports_its_targets_in_proc() -> Outcome {
    let (epoll, (reader, _writer)) = (epoll()?, fd::pipe(0)?);
    add(&epoll, &reader, libc::EPOLLIN, 0xabc)?;
    let text = crate::support::proc::read(&format!("/proc/self/fdinfo/{}", epoll.number()))?;
    let line = text
        .lines()
        .find(|line| line.starts_with("tfd:"))
        .unwrap_or_default()
        .to_owned();
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    check!(
        fields.get(1) == Some(&reader.number().to_string().as_str()) && line.contains("abc"),
        "{text}"
    );
    Ok(())
}
