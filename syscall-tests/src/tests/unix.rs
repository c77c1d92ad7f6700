//! unix(7) sockets: streams, datagrams, packets and names.

#![expect(
    unsafe_code,
    reason = "reads names back from memory that the kernel wrote"
)]

use crate::case::Outcome;
use crate::support::fd::{self, Fd, socketpair};
use crate::support::file::{self, TempDir};
use crate::support::{process, signal, time};
use crate::sys::{self, SysError, SysResult};

cases!(
    stream_pair_carries_bytes,
    stream_has_no_boundaries,
    datagrams_keep_boundaries,
    truncated_datagram_loses_its_rest,
    seqpacket_keeps_boundaries_and_ends,
    peek_leaves_the_data,
    waitall_waits,
    dontwait_and_nonblocking,
    end_of_stream_and_epipe,
    shutdown_directions,
    reset_with_unread_data,
    listen_connect_accept,
    accept_flags_and_errors,
    backlog_is_limited,
    path_names,
    path_errors,
    abstract_names,
    autobind,
    names_of_both_ends,
    datagram_by_name,
    connected_datagram_filters,
    options,
    buffer_sizes,
    timeouts,
    socketpair_errors,
    socket_errors,
    poll_events,
    fionread_and_outq,
    scatter_and_gather,
    big_transfer_between_processes,
    msg_nosignal,
    zero_length_messages,
    unlinked_socket_keeps_its_connections,
);

/// A socket of the unix family.
pub(super) fn socket(kind: i32) -> Result<Fd, SysError> {
    sys!(SYS_socket, libc::AF_UNIX, kind, 0).map(Fd::own)
}

/// The address of a path, or of an abstract name with a NUL in front, and its length.
fn address(name: &[u8]) -> (libc::sockaddr_un, u32) {
    let mut address = sys::zeroed::<libc::sockaddr_un>();
    address.sun_family = libc::AF_UNIX as u16;
    for (target, byte) in address.sun_path.iter_mut().zip(name) {
        *target = *byte as libc::c_char;
    }
    let terminator = u32::from(name.first().is_some_and(|first| *first != 0));
    (address, 2 + name.len() as u32 + terminator)
}

pub(super) fn bind(socket: &Fd, name: &[u8]) -> SysResult {
    let (address, len) = address(name);
    sys!(SYS_bind, socket, &address, len)
}

pub(super) fn connect(socket: &Fd, name: &[u8]) -> SysResult {
    let (address, len) = address(name);
    sys!(SYS_connect, socket, &address, len)
}

fn send(socket: &Fd, bytes: &[u8], flags: i32) -> SysResult {
    sys!(SYS_sendto, socket, bytes, bytes.len(), flags, 0, 0)
}

fn receive(socket: &Fd, len: usize, flags: i32) -> Result<Vec<u8>, SysError> {
    let mut buffer = vec![0_u8; len];
    let got = sys!(
        SYS_recvfrom,
        socket,
        buffer.as_mut_slice(),
        len,
        flags,
        0,
        0
    )? as usize;
    buffer.truncate(got.min(len));
    Ok(buffer)
}

/// The name that getsockname(2) or getpeername(2) reports.
fn name_of(nr: libc::c_long, socket: &Fd) -> Result<Vec<u8>, SysError> {
    let (mut address, mut len) = (
        sys::zeroed::<libc::sockaddr_un>(),
        size_of::<libc::sockaddr_un>() as u32,
    );
    let args = [
        socket.number() as usize,
        (&raw mut address) as usize,
        (&raw mut len) as usize,
    ];
    sys::call(nr, "getsockname or getpeername", file!(), line!(), &args)?;
    // SAFETY: reads back what the kernel wrote through the address above.
    let (address, len) = unsafe {
        (
            (&raw const address).read_volatile(),
            (&raw const len).read_volatile(),
        )
    };
    let path: Vec<u8> = address.sun_path.iter().map(|byte| *byte as u8).collect();
    Ok(path
        .get(..(len as usize).saturating_sub(2))
        .unwrap_or_default()
        .to_vec())
}

pub(super) fn get_option(socket: &Fd, option: i32) -> Result<i32, SysError> {
    let (mut value, mut len) = (0_i32, 4_u32);
    sys!(
        SYS_getsockopt,
        socket,
        libc::SOL_SOCKET,
        option,
        &mut value,
        &mut len
    )?;
    Ok(value)
}

pub(super) fn set_option(socket: &Fd, option: i32, value: i32) -> SysResult {
    sys!(SYS_setsockopt, socket, libc::SOL_SOCKET, option, &value, 4)
}

fn stream_pair_carries_bytes() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    left.write(b"to the right")?;
    right.write(b"to the left")?;
    check_eq!(right.read(100)?, b"to the right");
    check_eq!(receive(&left, 100, 0)?, b"to the left");
    check_eq!(left.stat()?.st_mode & libc::S_IFMT, libc::S_IFSOCK);
    Ok(())
}

fn stream_has_no_boundaries() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    for piece in [&b"ab"[..], b"cd", b"ef"] {
        left.write(piece)?;
    }
    check_eq!(right.read(3)?, b"abc");
    check_eq!(right.read(100)?, b"def");
    Ok(())
}

fn datagrams_keep_boundaries() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_DGRAM)?;
    for piece in [&b"one"[..], b"", b"three"] {
        send(&left, piece, 0)?;
    }
    check_eq!(right.read(100)?, b"one");
    check_eq!(right.read(100)?, b"");
    check_eq!(right.read(100)?, b"three");
    Ok(())
}

fn truncated_datagram_loses_its_rest() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_DGRAM)?;
    send(&left, b"0123456789", 0)?;
    send(&left, b"next", 0)?;
    let mut buffer = [0_u8; 4];
    // With MSG_TRUNC the real length is returned.
    check_eq!(
        sys!(SYS_recvfrom, &right, &mut buffer, 4, libc::MSG_TRUNC, 0, 0)?,
        10
    );
    check_eq!(&buffer, b"0123");
    check_eq!(right.read(100)?, b"next");
    Ok(())
}

fn seqpacket_keeps_boundaries_and_ends() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_SEQPACKET)?;
    send(&left, b"first", 0)?;
    send(&left, b"second", 0)?;
    check_eq!(right.read(3)?, b"fir");
    check_eq!(right.read(100)?, b"second");
    drop(left);
    check_eq!(right.read(100)?, b"");
    Ok(())
}

fn peek_leaves_the_data() -> Outcome {
    for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET] {
        let (left, right) = socketpair(kind)?;
        send(&left, b"hello", 0)?;
        check_eq!(receive(&right, 3, libc::MSG_PEEK)?, b"hel");
        check_eq!(receive(&right, 100, libc::MSG_PEEK)?, b"hello");
        check_eq!(receive(&right, 100, 0)?, b"hello");
    }
    Ok(())
}

fn waitall_waits() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    let mut child = process::fork(|| {
        for piece in [&b"ab"[..], b"cd", b"ef"] {
            let _ = left.write(piece);
            time::sleep_ms(20);
        }
        0
    })?;
    check_eq!(receive(&right, 6, libc::MSG_WAITALL)?, b"abcdef");
    child.wait()?;
    Ok(())
}

fn dontwait_and_nonblocking() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    errno_is!(receive(&right, 1, libc::MSG_DONTWAIT), EAGAIN);
    sys!(SYS_fcntl, &right, libc::F_SETFL, libc::O_NONBLOCK)?;
    errno_is!(right.read(1), EAGAIN);
    let mut total = 0_usize;
    while let Ok(sent) = send(&left, &[0; 4096], libc::MSG_DONTWAIT) {
        total += sent as usize;
        check!(total < 100 << 20);
    }
    check!(total >= 65536, "only {total} bytes fit");
    errno_is!(send(&left, &[0; 4096], libc::MSG_DONTWAIT), EAGAIN);
    Ok(())
}

fn end_of_stream_and_epipe() -> Outcome {
    signal::handle(libc::SIGPIPE, signal::record, 0)?;
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    left.write(b"last")?;
    drop(left);
    check_eq!(right.read(10)?, b"last");
    check_eq!(right.read(10)?, b"");
    errno_is!(right.write(b"x"), EPIPE);
    check_eq!(signal::seen_numbers(), [libc::SIGPIPE]);
    let (left, right) = socketpair(libc::SOCK_DGRAM)?;
    drop(left);
    errno_is!(send(&right, b"x", 0), ECONNREFUSED);
    Ok(())
}

fn shutdown_directions() -> Outcome {
    signal::set_disposition(libc::SIGPIPE, libc::SIG_IGN)?;
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    left.write(b"x")?;
    sys!(SYS_shutdown, &left, libc::SHUT_WR)?;
    errno_is!(left.write(b"y"), EPIPE);
    check_eq!(
        (right.read(5)?, right.read(5)?),
        (b"x".to_vec(), Vec::new())
    );
    right.write(b"back")?;
    check_eq!(left.read(5)?, b"back");
    sys!(SYS_shutdown, &left, libc::SHUT_RD)?;
    check_eq!(left.read(5)?, b"");
    errno_is!(right.write(b"z"), EPIPE);
    errno_is!(sys!(SYS_shutdown, &left, 3), EINVAL);
    Ok(())
}

/// Closing an end with data that nobody read resets the connection.
fn reset_with_unread_data() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    right.write(b"never read")?;
    drop(left);
    errno_is!(right.read(1), ECONNRESET);
    check_eq!(right.read(1)?, b"");
    Ok(())
}

fn listen_connect_accept() -> Outcome {
    let dir = TempDir::new()?;
    let name = dir.join("s");
    let server = socket(libc::SOCK_STREAM)?;
    bind(&server, name.as_bytes())?;
    errno_is!(
        connect(&socket(libc::SOCK_STREAM)?, name.as_bytes()),
        ECONNREFUSED
    );
    sys!(SYS_listen, &server, 5)?;
    let client = socket(libc::SOCK_STREAM)?;
    connect(&client, name.as_bytes())?;
    client.write(b"before accept")?;
    let (mut peer, mut len) = (sys::zeroed::<libc::sockaddr_un>(), 110_u32);
    let accepted = Fd::own(sys!(SYS_accept, &server, &mut peer, &mut len)?);
    // The client has no name.
    check_eq!(len, 2);
    check_eq!(accepted.read(100)?, b"before accept");
    accepted.write(b"answer")?;
    check_eq!(client.read(100)?, b"answer");
    errno_is!(connect(&client, name.as_bytes()), EISCONN);
    Ok(())
}

fn accept_flags_and_errors() -> Outcome {
    let server = socket(libc::SOCK_STREAM | libc::SOCK_NONBLOCK)?;
    errno_is!(sys!(SYS_accept, &server, 0, 0), EINVAL);
    let name = b"\0st-accept";
    bind(&server, name)?;
    sys!(SYS_listen, &server, 5)?;
    errno_is!(sys!(SYS_accept, &server, 0, 0), EAGAIN);
    let client = socket(libc::SOCK_STREAM)?;
    connect(&client, name)?;
    let accepted = Fd::own(sys!(
        SYS_accept4,
        &server,
        0,
        0,
        libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC
    )?);
    check_eq!(
        fd::status_flags(&accepted)? & libc::O_NONBLOCK,
        libc::O_NONBLOCK
    );
    check_eq!(sys!(SYS_fcntl, &accepted, libc::F_GETFD)?, 1);
    errno_is!(sys!(SYS_accept4, &server, 0, 0, 1), EINVAL);
    errno_is!(sys!(SYS_accept, &client, 0, 0), EINVAL);
    let (reader, _writer) = fd::pipe(0)?;
    errno_is!(sys!(SYS_accept, &reader, 0, 0), ENOTSOCK);
    errno_is!(
        sys!(SYS_accept, &socketpair(libc::SOCK_DGRAM)?.0, 0, 0),
        EOPNOTSUPP
    );
    errno_is!(
        sys!(SYS_listen, &socketpair(libc::SOCK_DGRAM)?.0, 0),
        EOPNOTSUPP
    );
    errno_is!(sys!(SYS_listen, &socket(libc::SOCK_STREAM)?, 0), EINVAL);
    Ok(())
}

fn backlog_is_limited() -> Outcome {
    let server = socket(libc::SOCK_STREAM)?;
    bind(&server, b"\0st-backlog")?;
    sys!(SYS_listen, &server, 1)?;
    let mut clients = Vec::new();
    let errno = loop {
        let client = socket(libc::SOCK_STREAM | libc::SOCK_NONBLOCK)?;
        match connect(&client, b"\0st-backlog") {
            Ok(_) => clients.push(client),
            Err(error) => break error.errno,
        }
        check!(clients.len() < 10);
    };
    check_eq!((errno, clients.len()), (libc::EAGAIN, 2));
    Ok(())
}

fn path_names() -> Outcome {
    let dir = TempDir::new()?;
    sys!(SYS_umask, 0o027)?;
    let name = dir.join("s");
    let server = socket(libc::SOCK_DGRAM)?;
    bind(&server, name.as_bytes())?;
    check_eq!(file::stat(&name)?.st_mode, libc::S_IFSOCK | 0o750);
    errno_is!(
        bind(&socket(libc::SOCK_DGRAM)?, name.as_bytes()),
        EADDRINUSE
    );
    errno_is!(bind(&server, dir.join("other").as_bytes()), EINVAL);
    drop(server);
    // The name outlives the socket.
    errno_is!(
        bind(&socket(libc::SOCK_DGRAM)?, name.as_bytes()),
        EADDRINUSE
    );
    errno_is!(
        connect(&socket(libc::SOCK_DGRAM)?, name.as_bytes()),
        ECONNREFUSED
    );
    sys!(SYS_unlink, &name)?;
    bind(&socket(libc::SOCK_DGRAM)?, name.as_bytes())?;
    Ok(())
}

fn path_errors() -> Outcome {
    let dir = TempDir::new()?;
    let regular = dir.file("f", b"")?;
    let client = socket(libc::SOCK_STREAM)?;
    errno_is!(connect(&client, dir.join("none").as_bytes()), ENOENT);
    errno_is!(connect(&client, regular.as_bytes()), ECONNREFUSED);
    errno_is!(bind(&client, dir.join("none/s").as_bytes()), ENOENT);
    errno_is!(bind(&client, dir.join("f/s").as_bytes()), ENOTDIR);
    let (mut wrong, len) = address(b"/tmp/x");
    wrong.sun_family = libc::AF_INET as u16;
    errno_is!(sys!(SYS_bind, &client, &wrong, len), EINVAL);
    errno_is!(sys!(SYS_connect, &client, &wrong, len), EINVAL);
    errno_is!(sys!(SYS_bind, &client, &wrong, 111), EINVAL);
    errno_is!(sys!(SYS_bind, &client, &wrong, 1), EINVAL);
    let server = socket(libc::SOCK_STREAM)?;
    let name = dir.join("s");
    bind(&server, name.as_bytes())?;
    sys!(SYS_listen, &server, 1)?;
    errno_is!(
        connect(&socket(libc::SOCK_DGRAM)?, name.as_bytes()),
        EPROTOTYPE
    );
    sys!(SYS_chmod, &name, 0o600)?;
    process::in_child(|| {
        crate::support::creds::become_user(1000, 1000)?;
        errno_is!(
            connect(&socket(libc::SOCK_STREAM)?, name.as_bytes()),
            EACCES
        );
        Ok(())
    })
}

fn abstract_names() -> Outcome {
    let name = b"\0st-abstract\0with a NUL";
    let server = socket(libc::SOCK_DGRAM)?;
    bind(&server, name)?;
    errno_is!(bind(&socket(libc::SOCK_DGRAM)?, name), EADDRINUSE);
    let client = socket(libc::SOCK_DGRAM)?;
    connect(&client, name)?;
    send(&client, b"x", 0)?;
    check_eq!(server.read(5)?, b"x");
    errno_is!(connect(&client, b"\0st-abstract"), ECONNREFUSED);
    check_eq!(name_of(libc::SYS_getsockname, &server)?, name);
    drop(server);
    bind(&socket(libc::SOCK_DGRAM)?, name)?;
    Ok(())
}

fn autobind() -> Outcome {
    let socket = socket(libc::SOCK_DGRAM)?;
    let (address, _) = address(b"");
    sys!(SYS_bind, &socket, &address, 2)?;
    let name = name_of(libc::SYS_getsockname, &socket)?;
    check!(
        name.len() == 6 && name[0] == 0 && name[1..].iter().all(u8::is_ascii_hexdigit),
        "{name:?}"
    );
    Ok(())
}

fn names_of_both_ends() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    check_eq!(name_of(libc::SYS_getsockname, &left)?, b"");
    check_eq!(name_of(libc::SYS_getpeername, &right)?, b"");
    let server = socket(libc::SOCK_STREAM)?;
    errno_is!(name_of(libc::SYS_getpeername, &server), ENOTCONN);
    bind(&server, b"\0st-names")?;
    sys!(SYS_listen, &server, 1)?;
    let client = socket(libc::SOCK_STREAM)?;
    bind(&client, b"\0st-client")?;
    connect(&client, b"\0st-names")?;
    check_eq!(name_of(libc::SYS_getpeername, &client)?, b"\0st-names");
    let accepted = Fd::own(sys!(SYS_accept, &server, 0, 0)?);
    check_eq!(name_of(libc::SYS_getpeername, &accepted)?, b"\0st-client");
    check_eq!(name_of(libc::SYS_getsockname, &accepted)?, b"\0st-names");
    Ok(())
}

fn datagram_by_name() -> Outcome {
    let (server, client) = (socket(libc::SOCK_DGRAM)?, socket(libc::SOCK_DGRAM)?);
    bind(&server, b"\0st-server")?;
    bind(&client, b"\0st-dgram-client")?;
    errno_is!(send(&client, b"x", 0), ENOTCONN);
    let (target, len) = address(b"\0st-server");
    check_eq!(sys!(SYS_sendto, &client, b"hello", 5, 0, &target, len)?, 5);
    let (mut source, mut source_len) = (sys::zeroed::<libc::sockaddr_un>(), 110_u32);
    let mut buffer = [0_u8; 10];
    check_eq!(
        sys!(
            SYS_recvfrom,
            &server,
            &mut buffer,
            10,
            0,
            &mut source,
            &mut source_len
        )?,
        5
    );
    check_eq!(source_len, 2 + 16);
    check_eq!(
        sys!(SYS_sendto, &server, b"back", 4, 0, &source, source_len)?,
        4
    );
    check_eq!(client.read(10)?, b"back");
    let (missing, len) = address(b"\0st-nobody");
    errno_is!(
        sys!(SYS_sendto, &client, b"x", 1, 0, &missing, len),
        ECONNREFUSED
    );
    Ok(())
}

/// A connected datagram socket takes messages from its peer alone.
fn connected_datagram_filters() -> Outcome {
    let (one, two, three) = (
        socket(libc::SOCK_DGRAM)?,
        socket(libc::SOCK_DGRAM)?,
        socket(libc::SOCK_DGRAM)?,
    );
    bind(&one, b"\0st-one")?;
    bind(&two, b"\0st-two")?;
    connect(&one, b"\0st-two")?;
    errno_is!(connect(&three, b"\0st-one"), EPERM);
    let (target, len) = address(b"\0st-one");
    errno_is!(sys!(SYS_sendto, &three, b"x", 1, 0, &target, len), EPERM);
    check_eq!(sys!(SYS_sendto, &two, b"y", 1, 0, &target, len)?, 1);
    check_eq!(one.read(5)?, b"y");
    // Connecting to AF_UNSPEC dissolves it.
    sys!(SYS_connect, &one, &[0_u16; 8], 16)?;
    errno_is!(send(&one, b"x", 0), ENOTCONN);
    Ok(())
}

fn options() -> Outcome {
    for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET] {
        let socket = socket(kind)?;
        check_eq!(get_option(&socket, libc::SO_TYPE)?, kind);
        check_eq!(get_option(&socket, libc::SO_DOMAIN)?, libc::AF_UNIX);
        check_eq!(get_option(&socket, libc::SO_PROTOCOL)?, 0);
        check_eq!(get_option(&socket, libc::SO_ERROR)?, 0);
        check_eq!(get_option(&socket, libc::SO_ACCEPTCONN)?, 0);
        errno_is!(set_option(&socket, libc::SO_TYPE, 1), ENOPROTOOPT);
        errno_is!(get_option(&socket, 9999), ENOPROTOOPT);
    }
    let server = socket(libc::SOCK_STREAM)?;
    bind(&server, b"\0st-options")?;
    sys!(SYS_listen, &server, 1)?;
    check_eq!(get_option(&server, libc::SO_ACCEPTCONN)?, 1);
    errno_is!(
        sys!(SYS_setsockopt, &server, libc::IPPROTO_TCP, 1, &1_i32, 4),
        EOPNOTSUPP
    );
    Ok(())
}

fn buffer_sizes() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    check!(get_option(&left, libc::SO_SNDBUF)? >= 65536);
    set_option(&left, libc::SO_SNDBUF, 8192)?;
    // The kernel doubles the value.
    check_eq!(get_option(&left, libc::SO_SNDBUF)?, 16384);
    sys!(SYS_fcntl, &left, libc::F_SETFL, libc::O_NONBLOCK)?;
    let mut total = 0;
    while let Ok(sent) = left.write(&[0; 1024]) {
        total += sent;
    }
    check!((1024..65536).contains(&total), "{total} bytes fit");
    right.read(1024)?;
    let (left, _right) = socketpair(libc::SOCK_DGRAM)?;
    set_option(&left, libc::SO_SNDBUF, 8192)?;
    errno_is!(send(&left, &vec![0; 100_000], 0), EMSGSIZE);
    Ok(())
}

fn timeouts() -> Outcome {
    let (left, _right) = socketpair(libc::SOCK_STREAM)?;
    let timeout = libc::timeval {
        tv_sec: 0,
        tv_usec: 50_000,
    };
    sys!(
        SYS_setsockopt,
        &left,
        libc::SOL_SOCKET,
        libc::SO_RCVTIMEO,
        &timeout,
        16
    )?;
    sys!(
        SYS_setsockopt,
        &left,
        libc::SOL_SOCKET,
        libc::SO_SNDTIMEO,
        &timeout,
        16
    )?;
    let start = time::monotonic_ns();
    errno_is!(left.read(1), EAGAIN);
    check!((40 * time::MS..time::LATE).contains(&(time::monotonic_ns() - start)));
    let start = time::monotonic_ns();
    let error = loop {
        if let Err(error) = left.write(&[0; 65536]) {
            break error;
        }
    };
    check_eq!(error.errno, libc::EAGAIN);
    check!(time::monotonic_ns() - start >= 40 * time::MS);
    Ok(())
}

fn socketpair_errors() -> Outcome {
    let mut ends = [0_i32; 2];
    errno_is!(
        sys!(SYS_socketpair, libc::AF_UNIX, 77, 0, &mut ends),
        EINVAL
    );
    errno_is!(
        sys!(
            SYS_socketpair,
            libc::AF_UNIX,
            libc::SOCK_STREAM,
            99,
            &mut ends
        ),
        EPROTONOSUPPORT
    );
    errno_is!(
        sys!(
            SYS_socketpair,
            libc::AF_INET,
            libc::SOCK_STREAM,
            0,
            &mut ends
        ),
        EOPNOTSUPP
    );
    errno_is!(
        sys!(SYS_socketpair, libc::AF_UNIX, libc::SOCK_STREAM, 0, 8),
        EFAULT
    );
    sys!(
        SYS_socketpair,
        libc::AF_UNIX,
        libc::SOCK_STREAM | libc::SOCK_CLOEXEC,
        0,
        &mut ends
    )?;
    check_eq!(sys!(SYS_fcntl, ends[0], libc::F_GETFD)?, 1);
    Ok(())
}

fn socket_errors() -> Outcome {
    errno_is!(sys!(SYS_socket, 99, libc::SOCK_STREAM, 0), EAFNOSUPPORT);
    errno_is!(sys!(SYS_socket, libc::AF_UNIX, 99, 0), EINVAL);
    errno_is!(
        sys!(SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 99),
        EPROTONOSUPPORT
    );
    let (reader, _writer) = fd::pipe(0)?;
    errno_is!(send(&reader, b"x", 0), ENOTSOCK);
    errno_is!(get_option(&reader, libc::SO_TYPE), ENOTSOCK);
    errno_is!(sys!(SYS_sendto, 800, 0, 0, 0, 0, 0), EBADF);
    errno_is!(
        send(&socket(libc::SOCK_STREAM)?, b"x", libc::MSG_NOSIGNAL),
        ENOTCONN
    );
    errno_is!(receive(&socket(libc::SOCK_STREAM)?, 1, 0), EINVAL);
    errno_is!(socket(libc::SOCK_STREAM)?.pread(1, 0), ESPIPE);
    errno_is!(
        send(&socketpair(libc::SOCK_DGRAM)?.0, b"x", libc::MSG_OOB),
        EOPNOTSUPP
    );
    Ok(())
}

fn poll_events() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    let events = libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP;
    check_eq!(fd::poll_one(&left, events, 0)?, libc::POLLOUT);
    right.write(b"x")?;
    check_eq!(
        fd::poll_one(&left, events, 0)?,
        libc::POLLIN | libc::POLLOUT
    );
    sys!(SYS_shutdown, &right, libc::SHUT_WR)?;
    check_eq!(
        fd::poll_one(&left, events, 0)?,
        libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP
    );
    drop(right);
    check_eq!(
        fd::poll_one(&left, events, 0)?,
        libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP | libc::POLLHUP
    );
    let server = socket(libc::SOCK_STREAM)?;
    check_eq!(
        fd::poll_one(&server, events, 0)?,
        libc::POLLOUT | libc::POLLHUP
    );
    bind(&server, b"\0st-poll")?;
    sys!(SYS_listen, &server, 1)?;
    check_eq!(fd::poll_one(&server, events, 0)?, 0);
    let client = socket(libc::SOCK_STREAM)?;
    connect(&client, b"\0st-poll")?;
    check_eq!(fd::poll_one(&server, events, 0)?, libc::POLLIN);
    Ok(())
}

fn fionread_and_outq() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    left.write(&[0; 500])?;
    let mut count = 0_i32;
    sys!(SYS_ioctl, &right, libc::FIONREAD, &mut count)?;
    check_eq!(count, 500);
    sys!(SYS_ioctl, &left, libc::TIOCOUTQ, &mut count)?;
    check!(count > 0);
    right.read(500)?;
    sys!(SYS_ioctl, &left, libc::TIOCOUTQ, &mut count)?;
    check_eq!(count, 0);
    errno_is!(
        sys!(SYS_ioctl, &left, libc::TCGETS, &mut [0_u8; 60]),
        ENOTTY
    );
    Ok(())
}

fn scatter_and_gather() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_SEQPACKET)?;
    let (mut one, mut two) = (*b"hello ", *b"world");
    let pieces = [
        libc::iovec {
            iov_base: one.as_mut_ptr().cast(),
            iov_len: 6,
        },
        libc::iovec {
            iov_base: two.as_mut_ptr().cast(),
            iov_len: 5,
        },
    ];
    check_eq!(sys!(SYS_writev, &left, &pieces, 2)?, 11);
    check_eq!(right.read(100)?, b"hello world");
    send(&left, b"WORLD HELLO", 0)?;
    check_eq!(sys!(SYS_readv, &right, &pieces, 2)?, 11);
    check_eq!((&one, &two), (b"WORLD ", b"HELLO"));
    Ok(())
}

fn big_transfer_between_processes() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    const SIZE: usize = 8 << 20;
    let mut child = process::fork(|| {
        let bytes: Vec<u8> = (0..SIZE).map(|index| (index / 1000) as u8).collect();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match left.write(rest) {
                Ok(sent) => rest = &rest[sent..],
                Err(_) => return 1,
            }
        }
        0
    })?;
    drop(left);
    let (mut total, mut good) = (0, true);
    loop {
        let piece = right.read(100_000)?;
        if piece.is_empty() {
            break;
        }
        good &= piece
            .iter()
            .enumerate()
            .all(|(index, byte)| *byte == ((total + index) / 1000) as u8);
        total += piece.len();
    }
    check_eq!((total, good, child.wait()?.code()), (SIZE, true, Some(0)));
    Ok(())
}

fn msg_nosignal() -> Outcome {
    signal::handle(libc::SIGPIPE, signal::record, 0)?;
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    drop(right);
    errno_is!(send(&left, b"x", libc::MSG_NOSIGNAL), EPIPE);
    check_eq!(signal::count(), 0);
    Ok(())
}

fn zero_length_messages() -> Outcome {
    let (left, right) = socketpair(libc::SOCK_STREAM)?;
    check_eq!(left.write(b"")?, 0);
    errno_is!(receive(&right, 1, libc::MSG_DONTWAIT), EAGAIN);
    left.write(b"x")?;
    check_eq!(right.read(0)?, b"");
    check_eq!(right.read(1)?, b"x");
    Ok(())
}

fn unlinked_socket_keeps_its_connections() -> Outcome {
    let dir = TempDir::new()?;
    let (name, server, client) = (
        dir.join("s"),
        socket(libc::SOCK_STREAM)?,
        socket(libc::SOCK_STREAM)?,
    );
    bind(&server, name.as_bytes())?;
    sys!(SYS_listen, &server, 1)?;
    connect(&client, name.as_bytes())?;
    // A renamed socket is found under its new name, and not at all once it is unlinked.
    sys!(SYS_rename, &name, &dir.join("t"))?;
    connect(&socket(libc::SOCK_STREAM)?, dir.join("t").as_bytes())?;
    sys!(SYS_unlink, &dir.join("t"))?;
    errno_is!(
        connect(&socket(libc::SOCK_STREAM)?, dir.join("t").as_bytes()),
        ENOENT
    );
    let accepted = Fd::own(sys!(SYS_accept, &server, 0, 0)?);
    client.write(b"x")?;
    check_eq!(accepted.read(5)?, b"x");
    Ok(())
}
