//! POSIX message queues (`man 7 mq_overview`).

use std::ffi::CStr;

use crate::case::{Failure, Outcome};
use crate::support::fd::{self, Fd};
use crate::support::{process, signal};

cases! {
    priorities_come_first,
    limits_of_messages,
    opening_rules,
    full_and_empty_queues,
    time_outs,
    attributes_are_shown_and_set,
    notification_comes_once,
    queues_are_polled,
    waiting_receiver_gets_the_message,
    unlinked_queues_live_on,
    descriptors_are_files,
    queues_are_files_of_a_file_system,
}

const RDWR: i32 = libc::O_RDWR | libc::O_CREAT;

fn open(name: &CStr, flags: i32, attributes: Option<[i64; 8]>) -> Result<Fd, crate::sys::SysError> {
    match attributes {
        Some(attributes) => sys!(SYS_mq_open, name, flags, 0o600, &attributes),
        None => sys!(SYS_mq_open, name, flags, 0o600, 0),
    }
    .map(Fd::own)
}

/// A queue of two messages of 16 bytes without a name any more.
fn small(flags: i32) -> Result<Fd, Failure> {
    let name = crate::support::file::cstring(&format!("small-{}", process::getpid()));
    let queue = open(
        &name,
        RDWR | libc::O_EXCL | flags,
        Some([0, 2, 16, 0, 0, 0, 0, 0]),
    )?;
    sys!(SYS_mq_unlink, &name)?;
    Ok(queue)
}

fn send(queue: &Fd, text: &[u8], priority: u32) -> crate::sys::SysResult {
    sys!(SYS_mq_timedsend, queue, text, text.len(), priority, 0)
}

fn receive(queue: &Fd) -> Result<(Vec<u8>, u32), crate::sys::SysError> {
    let mut text = [0_u8; 16];
    let mut priority = 0_u32;
    let len = sys!(SYS_mq_timedreceive, queue, &mut text, 16, &mut priority, 0)?;
    Ok((text[..len as usize].to_vec(), priority))
}

fn priorities_come_first() -> Outcome {
    let queue = small(0)?;
    send(&queue, b"low", 1)?;
    send(&queue, b"high", 9)?;
    check_eq!(receive(&queue)?, (b"high".to_vec(), 9));
    send(&queue, b"later", 1)?;
    check_eq!(receive(&queue)?, (b"low".to_vec(), 1));
    check_eq!(receive(&queue)?, (b"later".to_vec(), 1));
    Ok(())
}

fn limits_of_messages() -> Outcome {
    let queue = small(0)?;
    errno_is!(send(&queue, &[0; 17], 0), EMSGSIZE);
    errno_is!(send(&queue, b"x", 32_768), EINVAL);
    let mut text = [0_u8; 16];
    errno_is!(
        sys!(SYS_mq_timedreceive, &queue, &mut text, 15, 0, 0),
        EMSGSIZE
    );
    errno_is!(sys!(SYS_mq_timedsend, &queue, 8, 4, 0, 0), EFAULT);
    let other = fd::memfd(0)?;
    errno_is!(send(&other, b"x", 0), EBADF);
    Ok(())
}

fn opening_rules() -> Outcome {
    errno_is!(open(c"missing-queue", libc::O_RDWR, None), ENOENT);
    errno_is!(open(c"a/b", RDWR, None), EACCES);
    errno_is!(open(c"zero", RDWR, Some([0, 0, 16, 0, 0, 0, 0, 0])), EINVAL);
    errno_is!(sys!(SYS_mq_unlink, c"missing-queue"), ENOENT);
    let name = crate::support::file::cstring(&format!("rules-{}", process::getpid()));
    let first = open(&name, RDWR, None)?;
    errno_is!(open(&name, RDWR | libc::O_EXCL, None), EEXIST);
    let reader = open(&name, libc::O_RDONLY, None)?;
    errno_is!(send(&reader, b"x", 0), EBADF);
    check_eq!(
        sys!(SYS_fcntl, &reader, libc::F_GETFD)?,
        i64::from(libc::FD_CLOEXEC)
    );
    sys!(SYS_mq_unlink, &name)?;
    drop(first);
    Ok(())
}

fn full_and_empty_queues() -> Outcome {
    let queue = small(libc::O_NONBLOCK)?;
    errno_is!(receive(&queue), EAGAIN);
    send(&queue, b"1", 0)?;
    send(&queue, b"2", 0)?;
    errno_is!(send(&queue, b"3", 0), EAGAIN);
    Ok(())
}

fn time_outs() -> Outcome {
    let queue = small(0)?;
    let mut text = [0_u8; 16];
    let past = [1_i64, 0];
    errno_is!(
        sys!(SYS_mq_timedreceive, &queue, &mut text, 16, 0, &past),
        ETIMEDOUT
    );
    let invalid = [1_i64, 1_000_000_000];
    errno_is!(
        sys!(SYS_mq_timedreceive, &queue, &mut text, 16, 0, &invalid),
        EINVAL
    );
    Ok(())
}

fn attributes_are_shown_and_set() -> Outcome {
    let queue = small(0)?;
    send(&queue, b"1", 0)?;
    let mut attributes = [0_i64; 8];
    sys!(SYS_mq_getsetattr, &queue, 0, &mut attributes)?;
    check_eq!(attributes[..4], [0, 2, 16, 1]);
    let new = [i64::from(libc::O_NONBLOCK), 0, 0, 0, 0, 0, 0, 0];
    sys!(SYS_mq_getsetattr, &queue, &new, &mut attributes)?;
    check_eq!(attributes[0], 0);
    receive(&queue)?;
    errno_is!(receive(&queue), EAGAIN);
    errno_is!(sys!(SYS_mq_getsetattr, &queue, &[1_i64; 8], 0), EINVAL);
    Ok(())
}

fn notification_comes_once() -> Outcome {
    process::in_child(|| {
        let queue = small(0)?;
        signal::block(signal::bit(libc::SIGUSR1))?;
        let event = [77_u64, libc::SIGUSR1 as u64, 0, 0, 0, 0, 0, 0];
        sys!(SYS_mq_notify, &queue, &event)?;
        errno_is!(sys!(SYS_mq_notify, &queue, &event), EBUSY);
        send(&queue, b"1", 0)?;
        let info = signal::wait_for(signal::bit(libc::SIGUSR1), 1000)?;
        check_eq!(info.si_code, -3);
        check_eq!(signal::sender(&info).2 & 0xffff_ffff, 77);
        receive(&queue)?;
        send(&queue, b"2", 0)?;
        check_eq!(signal::pending()?, 0);
        sys!(SYS_mq_notify, &queue, &event)?;
        sys!(SYS_mq_notify, &queue, 0)?;
        Ok(())
    })
}

fn queues_are_polled() -> Outcome {
    let queue = small(0)?;
    check_eq!(
        fd::poll_one(&queue, libc::POLLIN | libc::POLLOUT, 0)?,
        libc::POLLOUT
    );
    send(&queue, b"1", 0)?;
    send(&queue, b"2", 0)?;
    check_eq!(
        fd::poll_one(&queue, libc::POLLIN | libc::POLLOUT, 0)?,
        libc::POLLIN
    );
    Ok(())
}

fn waiting_receiver_gets_the_message() -> Outcome {
    let queue = small(0)?;
    let mut child =
        process::fork(|| i32::from(receive(&queue).is_ok_and(|(text, _)| text == b"hello")))?;
    check!(crate::support::time::wait_until(|| {
        crate::support::proc::is_asleep(child.pid)
    }));
    send(&queue, b"hello", 0)?;
    check_eq!(child.wait()?.code(), Some(1));
    Ok(())
}

fn unlinked_queues_live_on() -> Outcome {
    let queue = small(0)?;
    send(&queue, b"x", 0)?;
    check_eq!(receive(&queue)?.0, b"x");
    Ok(())
}

fn descriptors_are_files() -> Outcome {
    let name = format!("file-{}", process::getpid());
    let queue = open(&crate::support::file::cstring(&name), RDWR, None)?;
    let link = std::fs::read_link(format!("/proc/self/fd/{}", queue.number()))?;
    check_eq!(link.to_string_lossy(), format!("/{name}"));
    let stat = queue.stat()?;
    check_eq!((stat.st_mode, stat.st_size), (libc::S_IFREG | 0o600, 80));
    sys!(SYS_fchmod, &queue, 0o640)?;
    sys!(SYS_mq_unlink, &crate::support::file::cstring(&name))?;
    check_eq!(queue.stat()?.st_mode, libc::S_IFREG | 0o640);
    Ok(())
}

fn queues_are_files_of_a_file_system() -> Outcome {
    process::in_child(|| {
        sys!(SYS_unshare, libc::CLONE_NEWIPC | libc::CLONE_NEWNS)?;
        sys!(
            SYS_mount,
            c"none",
            c"/",
            0,
            libc::MS_REC | libc::MS_PRIVATE,
            0
        )?;
        let directory = crate::support::file::TempDir::new()?;
        let at = crate::support::file::cstring(directory.path());
        sys!(SYS_mount, c"mqueue", &at, c"mqueue", 0, 0)?;
        let queue = open(c"one", RDWR, Some([0, 2, 16, 0, 0, 0, 0, 0]))?;
        send(&queue, b"hello", 3)?;
        let path = |name: &str| format!("{}/{name}", directory.path());
        let text = std::fs::read_to_string(path("one"))?;
        check_eq!(
            text,
            "QSIZE:5          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n"
        );
        std::fs::write(path("two"), "")?;
        let mut attributes = [0_i64; 8];
        let two = open(c"two", libc::O_RDWR, None)?;
        sys!(SYS_mq_getsetattr, &two, 0, &mut attributes)?;
        check_eq!(attributes[..4], [0, 10, 8192, 0]);
        let mut names: Vec<_> = std::fs::read_dir(directory.path())?
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        names.sort();
        check_eq!(names, ["one", "two"]);
        std::fs::remove_file(path("one"))?;
        errno_is!(open(c"one", libc::O_RDWR, None), ENOENT);
        check_eq!(receive(&queue)?, (b"hello".to_vec(), 3));
        errno_is!(
            sys!(
                SYS_mkdir,
                &crate::support::file::cstring(&path("three")),
                0o700
            ),
            EPERM
        );
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(directory.path())?);
        check_eq!(mode, libc::S_IFDIR | 0o1777);
        sys!(SYS_umount2, &at, 0)?;
        Ok(())
    })
}
