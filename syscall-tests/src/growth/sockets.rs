//! Sockets, what waits in them, and files under way.

use crate::case::Failure;
use crate::growth::descriptors::{each, fill, full_pipe};
use crate::growth::{Kind, Step};
use crate::sys::{self, SysError, SysResult};

pub(super) const KINDS: &[(&str, Kind)] = &[
    ("unix-stream-queues", || queues(libc::SOCK_STREAM)),
    ("unix-dgram-queues", || queues(libc::SOCK_DGRAM)),
    ("unix-seqpacket-queues", || queues(libc::SOCK_SEQPACKET)),
    ("rights-in-flight", rights),
    ("backlogs", backlogs),
    ("abstract-names", || each(abstract_name)),
    ("netlink-sockets", || {
        each(|_| sys!(SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW, 0))
    }),
];

fn pair(kind: i32) -> Result<[i32; 2], SysError> {
    let mut ends = [0_i32; 2];
    let kind = kind | libc::SOCK_NONBLOCK;
    sys!(SYS_socketpair, libc::AF_UNIX, kind, 0, &mut ends)?;
    Ok(ends)
}

fn queues(kind: i32) -> Result<Step, Failure> {
    let bytes = vec![1_u8; 16_384];
    Ok(Box::new(move || {
        let ends = pair(kind)?;
        let most = 1 << 30;
        sys!(
            SYS_setsockopt,
            ends[0],
            libc::SOL_SOCKET,
            libc::SO_SNDBUF,
            &most,
            4
        )?;
        Ok(fill(ends[0], &bytes))
    }))
}

/// Full pipes that only messages refer to.
fn rights() -> Result<Step, Failure> {
    let bytes = vec![1_u8; 65_536];
    let mut carrier = pair(libc::SOCK_DGRAM)?;
    Ok(Box::new(move || {
        let pipe = full_pipe(&bytes)?;
        let sent = send_files(carrier[0], pipe).or_else(|error| {
            // The queue is full: another one.
            if error.errno != libc::EAGAIN {
                return Err(error);
            }
            carrier = pair(libc::SOCK_DGRAM)?;
            send_files(carrier[0], pipe)
        });
        for end in pipe {
            sys!(SYS_close, end)?;
        }
        sent.map(|_| 1)
    }))
}

fn send_files(socket: i32, files: [i32; 2]) -> SysResult {
    let byte = [b'x'];
    let mut piece = libc::iovec {
        iov_base: byte.as_ptr().cast_mut().cast(),
        iov_len: 1,
    };
    // A header of length, level and type; the descriptors.
    let mut control = [24_u64, 0, 0];
    control[1] = (libc::SCM_RIGHTS as u64) << 32 | libc::SOL_SOCKET as u64;
    control[2] = (files[1] as u64) << 32 | files[0] as u64;
    let mut message: libc::msghdr = sys::zeroed();
    message.msg_iov = &raw mut piece;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = 24;
    sys!(SYS_sendmsg, socket, &message, libc::MSG_DONTWAIT)
}

fn address(name: &str) -> libc::sockaddr_un {
    let mut address: libc::sockaddr_un = sys::zeroed();
    address.sun_family = libc::AF_UNIX as u16;
    for (to, from) in address.sun_path.iter_mut().skip(1).zip(name.bytes()) {
        *to = from as i8;
    }
    address
}

fn abstract_name(serial: u64) -> SysResult {
    let socket = sys!(SYS_socket, libc::AF_UNIX, libc::SOCK_DGRAM, 0)?;
    let address = address(&format!("growth-{serial}"));
    sys!(SYS_bind, socket, &address, size_of_val(&address))
}

/// Listeners with as many connections that wait as they take, each with bytes in it.
fn backlogs() -> Result<Step, Failure> {
    let mut serial = 0;
    let bytes = vec![1_u8; 4096];
    let mut listener: Option<libc::sockaddr_un> = None;
    Ok(Box::new(move || {
        let at = match listener {
            Some(at) => at,
            None => {
                serial += 1;
                let at = address(&format!("growth-{serial}"));
                let kind = libc::SOCK_STREAM;
                let socket = sys!(SYS_socket, libc::AF_UNIX, kind, 0)?;
                sys!(SYS_bind, socket, &at, size_of_val(&at))?;
                sys!(SYS_listen, socket, 1 << 20)?;
                at
            }
        };
        listener = Some(at);
        let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK;
        let socket = sys!(SYS_socket, libc::AF_UNIX, kind, 0)?;
        if sys!(SYS_connect, socket, &at, size_of_val(&at)).is_err() {
            listener = None;
        } else {
            fill(socket as i32, &bytes);
        }
        // What was sent waits with the connection.
        sys!(SYS_close, socket).map(|_| 1)
    }))
}
