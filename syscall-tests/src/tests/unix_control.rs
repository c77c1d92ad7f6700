//! unix(7): what travels beside the data: descriptors and credentials.

#![expect(unsafe_code, reason = "walks control messages")]

use super::unix::{bind, connect, get_option, set_option, socket};
use crate::case::Outcome;
use crate::support::fd::{self, Fd, socketpair};
use crate::support::file::TempDir;
use crate::support::process;
use crate::sys::{self, SysError, SysResult};

cases!(
    truncation_is_flagged,
    descriptors_are_passed,
    descriptors_beyond_the_buffer_are_closed,
    cloexec_of_received_descriptors,
    credentials_are_passed,
    credentials_cannot_be_forged,
    peer_credentials,
    passcred_adds_credentials,
    descriptors_stop_at_message_boundaries,
    sendmmsg_and_recvmmsg,
    descriptor_in_flight_outlives_its_sender,
);

/// A message header with buffers that it points to.
struct Message {
    header: libc::msghdr,
    _data: Vec<u8>,
    _piece: Box<libc::iovec>,
    control: Vec<u64>,
}

impl Message {
    /// Room for `data_len` bytes and so many bytes of control messages.
    fn new(data_len: usize, control_len: usize) -> Self {
        Self::with(
            vec![0; data_len],
            vec![0; control_len.div_ceil(8)],
            control_len,
        )
    }

    fn with(mut data: Vec<u8>, mut control: Vec<u64>, control_len: usize) -> Self {
        let mut piece = Box::new(libc::iovec {
            iov_base: data.as_mut_ptr().cast(),
            iov_len: data.len(),
        });
        let mut header = sys::zeroed::<libc::msghdr>();
        header.msg_iov = &raw mut *piece;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = control_len;
        Self {
            header,
            _data: data,
            _piece: piece,
            control,
        }
    }

    /// Data with one control message of the socket level.
    fn with_control(data: &[u8], kind: i32, words: &[i32]) -> Self {
        let len = 16 + words.len() * 4;
        let mut control = vec![len as u64, libc::SOL_SOCKET as u64 | (kind as u64) << 32];
        for pair in words.chunks(2) {
            let high = pair.get(1).copied().unwrap_or(0);
            control.push(u64::from(pair[0] as u32) | u64::from(high as u32) << 32);
        }
        Self::with(data.to_vec(), control, len)
    }

    fn send(&mut self, socket: &Fd) -> SysResult {
        sys!(SYS_sendmsg, socket, &mut self.header, 0)
    }

    fn receive(&mut self, socket: &Fd, flags: i32) -> SysResult {
        sys!(SYS_recvmsg, socket, &mut self.header, flags)
    }

    fn flags(&self) -> i32 {
        // SAFETY: reads back what the kernel wrote.
        unsafe { (&raw const self.header.msg_flags).read_volatile() }
    }

    /// Kind and words of the first control message.
    fn control(&self) -> Option<(i32, Vec<i32>)> {
        // SAFETY: the length was written by the kernel; the words lie in `self.control`, which it wrote too.
        unsafe {
            if (&raw const self.header.msg_controllen).read_volatile() < 16 {
                return None;
            }
            let words = self.control.as_ptr().cast::<i32>();
            let len = words.cast::<u64>().read_volatile() as usize;
            let count = (len - 16) / 4;
            let values = (0..count)
                .map(|index| words.add(4 + index).read_volatile())
                .collect();
            Some((words.add(3).read_volatile(), values))
        }
    }
}

/// Sends descriptors beside the data.
fn send_descriptors(socket: &Fd, data: &[u8], descriptors: &[i32]) -> SysResult {
    Message::with_control(data, libc::SCM_RIGHTS, descriptors).send(socket)
}

/// Receives data and the descriptors beside it.
fn receive_descriptors(
    socket: &Fd,
    room: usize,
    flags: i32,
) -> Result<(i64, Vec<Fd>, i32), SysError> {
    let mut message = Message::new(100, if room == 0 { 0 } else { 16 + room * 4 });
    let len = message.receive(socket, flags)?;
    let descriptors = match message.control() {
        Some((libc::SCM_RIGHTS, numbers)) => numbers
            .into_iter()
            .map(|number| Fd::own(i64::from(number)))
            .collect(),
        _ => Vec::new(),
    };
    Ok((len, descriptors, message.flags()))
}

fn descriptors_are_passed() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"shared offset")?;
    for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET] {
        let (left, right) = socketpair(kind)?;
        file.seek(0, libc::SEEK_SET)?;
        send_descriptors(&left, b"d", &[file.number(), file.number()])?;
        let (len, received, _) = receive_descriptors(&right, 2, 0)?;
        check_eq!((len, received.len()), (1, 2));
        check!(received[0].number() != file.number());
        check_eq!(received[0].read(7)?, b"shared ");
        check_eq!(file.read(10)?, b"offset");
    }
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    errno_is!(send_descriptors(&left, b"d", &[800]), EBADF);
    errno_is!(
        send_descriptors(&left, b"d", &vec![file.number(); 254]),
        EINVAL
    );
    send_descriptors(&left, b"d", &vec![file.number(); 253])?;
    check_eq!(receive_descriptors(&right, 253, 0)?.1.len(), 253);
    Ok(())
}

fn descriptors_beyond_the_buffer_are_closed() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    let (reader, writer) = fd::pipe(0)?;
    send_descriptors(
        &left,
        b"d",
        &[writer.number(), writer.number(), writer.number()],
    )?;
    drop(writer);
    let (_, received, flags) = receive_descriptors(&right, 1, 0)?;
    check_eq!(
        (received.len(), flags & libc::MSG_CTRUNC),
        (1, libc::MSG_CTRUNC)
    );
    drop(received);
    check_eq!(reader.read(1)?, b"");
    // Without any room, and with a plain read, they are lost as well.
    let (reader, writer) = fd::pipe(0)?;
    send_descriptors(&left, b"d", &[writer.number()])?;
    drop(writer);
    check_eq!(right.read(10)?, b"d");
    check_eq!(reader.read(1)?, b"");
    Ok(())
}

fn cloexec_of_received_descriptors() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    for (flags, expected) in [(0, 0), (libc::MSG_CMSG_CLOEXEC, 1)] {
        send_descriptors(&left, b"d", &[left.number()])?;
        let (_, received, _) = receive_descriptors(&right, 1, flags)?;
        check_eq!(sys!(SYS_fcntl, &received[0], libc::F_GETFD)?, expected);
    }
    Ok(())
}

fn credentials_are_passed() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_DGRAM)?;
    set_option(&right, libc::SO_PASSCRED, 1)?;
    let own = [
        process::getpid(),
        sys!(SYS_getuid)? as i32,
        sys!(SYS_getgid)? as i32,
    ];
    Message::with_control(b"c", libc::SCM_CREDENTIALS, &own).send(&left)?;
    let mut message = Message::new(10, 28);
    message.receive(&right, 0)?;
    check_eq!(
        message.control(),
        Some((libc::SCM_CREDENTIALS, own.to_vec()))
    );
    Ok(())
}

fn credentials_cannot_be_forged() -> Outcome {
    process::in_child(|| {
        crate::support::creds::become_user(1000, 1000)?;
        let (left, _right) = socketpair(libc::SOCK_DGRAM)?;
        let pid = process::getpid();
        for forged in [[1, 1000, 1000], [pid, 0, 1000], [pid, 1000, 0]] {
            errno_is!(
                Message::with_control(b"c", libc::SCM_CREDENTIALS, &forged).send(&left),
                EPERM
            );
        }
        Message::with_control(b"c", libc::SCM_CREDENTIALS, &[pid, 1000, 1000]).send(&left)?;
        Ok(())
    })
}

fn peer_credentials() -> Outcome {
    let peer = |socket: &Fd| -> Result<libc::ucred, SysError> {
        let (mut peer, mut len) = (sys::zeroed::<libc::ucred>(), 12_u32);
        sys!(
            SYS_getsockopt,
            socket,
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            &mut peer,
            &mut len
        )?;
        Ok(peer)
    };
    let (left, _right) = socketpair(libc::SOCK_STREAM)?;
    check_eq!(
        (peer(&left)?.pid, i64::from(peer(&left)?.uid)),
        (process::getpid(), sys!(SYS_getuid)?)
    );
    let server = socket(libc::SOCK_STREAM)?;
    bind(&server, b"\0st-peercred")?;
    sys!(SYS_listen, &server, 1)?;
    let mut child = process::fork(|| {
        let Ok(client) = socket(libc::SOCK_STREAM) else {
            return 1;
        };
        let changed = sys!(SYS_setresuid, 4321, 4321, 4321).is_ok();
        let connected = connect(&client, b"\0st-peercred").is_ok();
        let _ = client.read(1);
        i32::from(!changed || !connected)
    })?;
    let accepted = Fd::own(sys!(SYS_accept, &server, 0, 0)?);
    check_eq!(
        (peer(&accepted)?.pid, peer(&accepted)?.uid),
        (child.pid, 4321)
    );
    accepted.write(b"x")?;
    check_eq!(child.wait()?.code(), Some(0));
    Ok(())
}

/// Once the receiver wants credentials, the kernel adds them to every message.
fn passcred_adds_credentials() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    set_option(&right, libc::SO_PASSCRED, 1)?;
    check_eq!(get_option(&right, libc::SO_PASSCRED)?, 1);
    left.write(b"x")?;
    let mut message = Message::new(10, 28);
    message.receive(&right, 0)?;
    let expected = vec![
        process::getpid(),
        sys!(SYS_getuid)? as i32,
        sys!(SYS_getgid)? as i32,
    ];
    check_eq!(message.control(), Some((libc::SCM_CREDENTIALS, expected)));
    Ok(())
}

/// unix(7): descriptors are a barrier in a stream; one receive gets those of one send.
fn descriptors_stop_at_message_boundaries() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    left.write(b"plain")?;
    send_descriptors(&left, b"one", &[left.number()])?;
    send_descriptors(&left, b"two", &[left.number()])?;
    let (len, received, _) = receive_descriptors(&right, 4, 0)?;
    let first = (len, received.len());
    let (len, received, _) = receive_descriptors(&right, 4, 0)?;
    let second = (len, received.len());
    // The data before a message with descriptors may come together with it.
    check!(
        (first, second) == ((8, 1), (3, 1)) || (first, second) == ((5, 0), (3, 1)),
        "{first:?} {second:?}"
    );
    Ok(())
}

fn truncation_is_flagged() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_DGRAM)?;
    left.write(b"0123456789")?;
    let mut message = Message::new(4, 0);
    check_eq!(message.receive(&right, 0)?, 4);
    check_eq!(message.flags() & libc::MSG_TRUNC, libc::MSG_TRUNC);
    Ok(())
}

fn sendmmsg_and_recvmmsg() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_DGRAM)?;
    let headers = |messages: &mut [Message]| -> Vec<libc::mmsghdr> {
        messages
            .iter()
            .map(|message| libc::mmsghdr {
                msg_hdr: message.header,
                msg_len: 0,
            })
            .collect()
    };
    let mut out =
        [&b"one"[..], b"two", b"three"].map(|text| Message::with(text.to_vec(), Vec::new(), 0));
    let mut list = headers(&mut out);
    check_eq!(sys!(SYS_sendmmsg, &left, list.as_mut_slice(), 3, 0)?, 3);
    check_eq!(
        list.iter().map(|entry| entry.msg_len).collect::<Vec<_>>(),
        [3, 3, 5]
    );
    let mut into = [0; 5].map(|_: i32| Message::new(10, 0));
    let mut list = headers(&mut into);
    check_eq!(
        sys!(
            SYS_recvmmsg,
            &right,
            list.as_mut_slice(),
            5,
            libc::MSG_DONTWAIT,
            0
        )?,
        3
    );
    check_eq!(
        list.iter().map(|entry| entry.msg_len).collect::<Vec<_>>(),
        [3, 3, 5, 0, 0]
    );
    Ok(())
}

fn descriptor_in_flight_outlives_its_sender() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    process::in_child(|| {
        let (reader, writer) = fd::pipe(0)?;
        writer.write(b"in flight")?;
        send_descriptors(&left, b"d", &[reader.number()])?;
        Ok(())
    })?;
    let (_, received, _) = receive_descriptors(&right, 1, 0)?;
    check_eq!(received[0].read(100)?, b"in flight");
    // A pair that is sent through itself and closed: no leak that could be seen, no crash.
    let (one, two) = socketpair(libc::SOCK_STREAM)?;
    send_descriptors(&one, b"d", &[one.number(), two.number()])?;
    Ok(())
}
