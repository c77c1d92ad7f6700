//! `helper settings [NAME…]`: lowers limits of `/proc/sys` that belong to the whole system, and goes to each. For a sandbox, whose
//! system is its own: as root, with the capabilities to set them.
//!
//! One line for each: its name, how many there were, and how it ended.

mod sysv;

use std::ffi::CString;

use crate::case::Failure;
use crate::support::creds;
use crate::support::fd::{self, Fd};
use crate::support::file::{TempDir, cstring};
use crate::support::process;
use crate::sys::{SysError, SysResult};

/// What goes to a limit: a name, the settings that it needs, and what is done again and again.
type Row = (
    &'static str,
    &'static [(&'static str, &'static str)],
    Operation,
);

/// Makes one more; what is made is kept.
type Operation = fn() -> Result<Step, Failure>;
type Step = Box<dyn FnMut(usize) -> SysResult>;

/// A user without privilege.
const USER: u32 = 1234;
/// More than that is no limit.
const MANY: usize = 2_000;

const ROWS: &[Row] = &[
    (
        "terminals",
        &[("kernel/pty/reserve", "0"), ("kernel/pty/max", "3")],
        terminals,
    ),
    (
        "epoll-watches",
        &[("fs/epoll/max_user_watches", "5")],
        epoll_watches,
    ),
    ("process-ids", &[("kernel/pid_max", "330")], processes),
    ("threads", &[("kernel/threads-max", "20")], processes),
    (
        "descriptor-limit",
        &[("fs/nr_open", "2000")],
        descriptor_limit,
    ),
    ("mounts", &[("fs/mount-max", "60")], mounts),
    (
        "pipes",
        &[
            ("fs/pipe-user-pages-soft", "0"),
            ("fs/pipe-user-pages-hard", "64"),
        ],
        pipes,
    ),
    (
        "pipe-size",
        &[
            ("fs/pipe-user-pages-soft", "64"),
            ("fs/pipe-user-pages-hard", "0"),
        ],
        pipe_size,
    ),
    (
        "inotify-instances",
        &[("fs/inotify/max_user_instances", "4")],
        inotify_instances,
    ),
    (
        "inotify-watches",
        &[("fs/inotify/max_user_watches", "6")],
        inotify_watches,
    ),
    (
        "inotify-events",
        &[("fs/inotify/max_queued_events", "7")],
        inotify_events,
    ),
    (
        "message-queues",
        &[("fs/mqueue/queues_max", "3")],
        message_queues,
    ),
    ("queue-length", &[("fs/mqueue/msg_max", "20")], queue_length),
    (
        "queue-messages",
        &[("fs/mqueue/msgsize_max", "9000")],
        queue_messages,
    ),
    ("files", &[("fs/file-max", "50")], files),
    ("datagrams", &[("net/unix/max_dgram_qlen", "4")], datagrams),
    ("connections", &[("net/core/somaxconn", "5")], connections),
    (
        "send-buffer",
        &[("net/core/wmem_max", "50000")],
        send_buffer,
    ),
    (
        "ancillary-data",
        &[("net/core/optmem_max", "20480")],
        ancillary_data,
    ),
];

/// The named rows, or all, each in a process of its own.
pub(crate) fn run(names: &[String]) -> Result<String, Failure> {
    let mut lines = Vec::new();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|other| other == name);
    let rows = ROWS.iter().chain(sysv::ROWS);
    for (name, settings, operation) in rows.filter(|(name, ..)| wanted(name)) {
        let before = settings
            .iter()
            .map(|(path, _)| crate::support::proc::read(&format!("/proc/sys/{path}")))
            .collect::<Result<Vec<_>, _>>()?;
        for (path, value) in *settings {
            set(path, value)?;
        }
        let line = in_child(*operation)?;
        for ((path, _), value) in settings.iter().zip(&before) {
            set(path, value.trim())?;
        }
        lines.push(format!("{name}: {line}"));
    }
    Ok(lines.join("\n"))
}

fn set(path: &str, value: &str) -> Result<(), SysError> {
    let path = cstring(&format!("/proc/sys/{path}"));
    fd::open(&path, libc::O_WRONLY, 0)?
        .write(value.as_bytes())
        .map(drop)
}

fn in_child(operation: Operation) -> Result<String, Failure> {
    let (reader, writer) = fd::pipe(libc::O_CLOEXEC)?;
    let mut child = process::fork(move || {
        process::new_group();
        let line = match operation() {
            Ok(mut step) => to_the_end(&mut *step),
            Err(failure) => failure.to_string(),
        };
        let _ = writer.write(line.as_bytes());
        let _ = sys!(SYS_kill, 0, libc::SIGKILL);
        0
    })?;
    let line = reader.read(1000)?;
    child.wait()?;
    // The first process of a namespace has those of its children now.
    while sys!(SYS_wait4, -1, 0, 0, 0).is_ok() {}
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn to_the_end(step: &mut dyn FnMut(usize) -> SysResult) -> String {
    for made in 0..MANY {
        if let Err(error) = step(made) {
            return format!("{made}, {}", std::io::Error::from_raw_os_error(error.errno));
        }
    }
    "no end".to_owned()
}

/// Keeps each that is made.
fn each<T: 'static>(mut make: impl FnMut(usize) -> Result<T, SysError> + 'static) -> Step {
    let mut kept = Vec::new();
    Box::new(move |made| {
        kept.push(make(made)?);
        Ok(0)
    })
}

fn terminals() -> Result<Step, Failure> {
    let name = cstring("/dev/ptmx");
    Ok(each(move |_| fd::open(&name, libc::O_RDWR, 0)))
}

fn epoll_watches() -> Result<Step, Failure> {
    let set = Fd::own(sys!(SYS_epoll_create1, 0)?);
    Ok(each(move |_| {
        let (reader, _) = fd::pipe(0)?;
        let event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: 0,
        };
        sys!(
            SYS_epoll_ctl,
            &set,
            libc::EPOLL_CTL_ADD,
            &reader,
            &raw const event
        )?;
        Ok(reader)
    }))
}

/// Less those that there are: the figure depends on them, the end does not.
fn processes() -> Result<Step, Failure> {
    Ok(Box::new(|_| {
        let pid = sys!(SYS_clone, libc::SIGCHLD, 0, 0, 0, 0)?;
        if pid == 0 {
            loop {
                let _ = sys!(SYS_pause);
            }
        }
        Ok(pid)
    }))
}

/// The first that is refused is one more than there may be.
fn descriptor_limit() -> Result<Step, Failure> {
    Ok(Box::new(|made| {
        let most = 1_990 + made as u64;
        sys!(SYS_prlimit64, 0, libc::RLIMIT_NOFILE, &[most, most], 0)
    }))
}

fn mounts() -> Result<Step, Failure> {
    let directory = cstring("/tmp");
    let kind = cstring("tmpfs");
    sys!(SYS_unshare, libc::CLONE_NEWNS)?;
    Ok(Box::new(move |_| {
        sys!(SYS_mount, &kind, &directory, &kind, 0, 0)
    }))
}

fn pipes() -> Result<Step, Failure> {
    creds::become_user(USER, USER)?;
    Ok(each(|_| fd::pipe(0)))
}

fn pipe_size() -> Result<Step, Failure> {
    creds::become_user(USER, USER)?;
    let (reader, writer) = fd::pipe(0)?;
    Ok(Box::new(move |made| {
        let _ = &writer;
        sys!(SYS_fcntl, &reader, libc::F_SETPIPE_SZ, 65_536 << made)
    }))
}

fn inotify_instances() -> Result<Step, Failure> {
    Ok(each(|_| sys!(SYS_inotify_init1, 0).map(Fd::own)))
}

/// Files to watch.
fn watched() -> Result<(TempDir, Vec<CString>), Failure> {
    let directory = TempDir::new()?;
    let files = (0..20).map(|index| directory.file(&format!("f{index}"), b""));
    let files = files.collect::<Result<Vec<_>, _>>()?;
    Ok((directory, files))
}

fn inotify_watches() -> Result<Step, Failure> {
    let set = Fd::own(sys!(SYS_inotify_init1, 0)?);
    let (directory, files) = watched()?;
    Ok(Box::new(move |made| {
        let _ = &directory;
        sys!(SYS_inotify_add_watch, &set, &files[made], libc::IN_MODIFY)
    }))
}

/// How many events are there before the one that says that some were lost, which is shown as its error.
fn inotify_events() -> Result<Step, Failure> {
    let set = Fd::own(sys!(SYS_inotify_init1, libc::IN_NONBLOCK)?);
    let (directory, files) = watched()?;
    for file in &files {
        sys!(SYS_inotify_add_watch, &set, file, libc::IN_MODIFY)?;
    }
    for file in &files {
        fd::open(file, libc::O_WRONLY, 0)?.write(b"x")?;
    }
    drop(directory);
    let events = set.read(1 << 16)?;
    Ok(Box::new(move |made| {
        let mask = events
            .get(made * 16 + 4..made * 16 + 8)
            .map(|mask| u32::from_ne_bytes(mask.try_into().unwrap_or_default()));
        match mask {
            Some(mask) if mask & libc::IN_Q_OVERFLOW == 0 => Ok(0),
            Some(_) => crate::sys::failed("inotify", libc::EOVERFLOW),
            None => crate::sys::failed("inotify", libc::ENODATA),
        }
    }))
}

/// `mq_open(2)` of a new queue of this size.
fn queue(name: &CString, size: Option<[i64; 8]>) -> SysResult {
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
    let size = size.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    sys!(SYS_mq_open, name, flags, 0o600, size)
}

fn message_queues() -> Result<Step, Failure> {
    creds::become_user(USER, USER)?;
    Ok(Box::new(|made| {
        queue(&cstring(&format!("settings-{made}")), None)
    }))
}

/// A queue that is gone again.
fn passing_queue(messages: i64, message_len: i64) -> SysResult {
    let name = cstring("settings-passing");
    let number = queue(&name, Some([0, messages, message_len, 0, 0, 0, 0, 0]))?;
    sys!(SYS_mq_unlink, &name)?;
    sys!(SYS_close, number)
}

fn queue_length() -> Result<Step, Failure> {
    creds::become_user(USER, USER)?;
    Ok(Box::new(|made| passing_queue(15 + made as i64, 64)))
}

fn queue_messages() -> Result<Step, Failure> {
    creds::become_user(USER, USER)?;
    Ok(Box::new(|made| passing_queue(2, 8_995 + made as i64)))
}

/// As for processes, the figure depends on who else has files.
fn files() -> Result<Step, Failure> {
    let name = cstring("/dev/null");
    creds::become_user(USER, USER)?;
    Ok(each(move |_| fd::open(&name, libc::O_RDONLY, 0)))
}

fn address(name: &str) -> Vec<u8> {
    [
        &(libc::AF_UNIX as u16).to_ne_bytes(),
        &b"\0"[..],
        name.as_bytes(),
    ]
    .concat()
}

fn socket(kind: i32) -> Result<Fd, SysError> {
    sys!(SYS_socket, libc::AF_UNIX, kind | libc::SOCK_NONBLOCK, 0).map(Fd::own)
}

fn datagrams() -> Result<Step, Failure> {
    let (receiver, sender) = (socket(libc::SOCK_DGRAM)?, socket(libc::SOCK_DGRAM)?);
    let address = address("settings-datagrams");
    sys!(SYS_bind, &receiver, address.as_slice(), address.len())?;
    let byte = [1_u8];
    Ok(Box::new(move |_| {
        let _ = &receiver;
        sys!(
            SYS_sendto,
            &sender,
            byte.as_slice(),
            1,
            0,
            address.as_slice(),
            address.len()
        )
    }))
}

fn connections() -> Result<Step, Failure> {
    let listener = socket(libc::SOCK_STREAM)?;
    let address = address("settings-connections");
    sys!(SYS_bind, &listener, address.as_slice(), address.len())?;
    sys!(SYS_listen, &listener, 1_000)?;
    Ok(each(move |_| {
        let _ = &listener;
        let client = socket(libc::SOCK_STREAM)?;
        sys!(SYS_connect, &client, address.as_slice(), address.len())?;
        Ok(client)
    }))
}

/// What is asked for grows until half of what is given is less: shown as an error.
fn send_buffer() -> Result<Step, Failure> {
    let socket = socket(libc::SOCK_DGRAM)?;
    Ok(Box::new(move |made| {
        let asked = (made as i32 + 1) * 10_000;
        sys!(
            SYS_setsockopt,
            &socket,
            libc::SOL_SOCKET,
            libc::SO_SNDBUF,
            &asked,
            4
        )?;
        let (mut given, mut len) = (0_i32, 4_u32);
        sys!(
            SYS_getsockopt,
            &socket,
            libc::SOL_SOCKET,
            libc::SO_SNDBUF,
            &mut given,
            &mut len
        )?;
        if given == 2 * asked {
            Ok(0)
        } else {
            crate::sys::failed("setsockopt", libc::E2BIG)
        }
    }))
}

/// More and more of it, of a kind that nobody reads.
fn ancillary_data() -> Result<Step, Failure> {
    let (one, other) = fd::socketpair(libc::SOCK_DGRAM)?;
    Ok(Box::new(move |made| {
        let _ = &other;
        let len = (made + 1) * 4_096;
        let mut control = vec![0_u8; len];
        control[..8].copy_from_slice(&(len as u64).to_ne_bytes());
        let mut byte = [1_u8];
        let mut piece = libc::iovec {
            iov_base: byte.as_mut_ptr().cast(),
            iov_len: 1,
        };
        let mut message = crate::sys::zeroed::<libc::msghdr>();
        message.msg_iov = &raw mut piece;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = len;
        sys!(SYS_sendmsg, &one, &message, 0)
    }))
}
