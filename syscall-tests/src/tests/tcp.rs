//! tcp(7) sockets on the loopback interface.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::case::Outcome;
use crate::support::fd::{self, Fd, poll_one};
use crate::support::inet::{
    FAMILIES, Family, accept, bind, connect, name, option, peer, port, receive, send, set_option,
    v4, v6,
};
use crate::support::{process, signal, time};

cases!(
    a_connection_carries_bytes,
    names_of_both_ends,
    a_stream_has_no_boundaries,
    shutdown_ends_one_direction,
    shutdown_needs_a_connection,
    close_is_the_end_of_the_stream,
    unread_bytes_reset_the_connection,
    linger_zero_resets_the_connection,
    nobody_listens,
    connect_errors,
    nonblocking_connect,
    nonblocking_connect_that_is_refused,
    accept_waits_for_a_connection,
    accept_errors,
    the_backlog_is_limited,
    a_closed_listener_resets_who_waits,
    bind_errors,
    addresses_are_in_use,
    reuse_of_addresses,
    reuse_of_ports,
    privileged_ports,
    a_port_is_free_again,
    wildcards_take_both_families,
    v6_only_sockets_take_one,
    families_do_not_mix,
    peek_leaves_the_bytes,
    trunc_drops_bytes,
    waitall_fills_the_buffer,
    much_is_carried_between_processes,
    a_full_buffer_is_eagain,
    writing_after_the_end_is_epipe,
    reading_without_a_connection_is_enotconn,
    sending_without_a_connection_is_epipe,
    poll_of_listeners_and_connections,
    poll_of_an_unused_socket,
    queued_bytes_are_counted,
    urgent_bytes,
    cork_holds_short_segments_back,
    options_of_tcp,
    options_of_ip,
    options_that_are_refused,
    tcp_info_shows_the_state,
    sizes_of_buffers,
    socket_errors,
    timeouts_of_accept_and_receive,
    sendfile_to_a_connection,
    disconnected_by_unspec,
    half_closed_connections_still_carry,
    lists_in_proc,
    a_new_namespace_has_no_network,
    interfaces_are_an_administrators,
);

fn a_connection_carries_bytes() -> Outcome {
    for family in FAMILIES {
        let (client, server) = family.pair()?;
        client.write(b"question")?;
        check_eq!(server.read(100)?, b"question");
        server.write(b"answer")?;
        check_eq!(client.read(100)?, b"answer");
        check_eq!(client.stat()?.st_mode & libc::S_IFMT, libc::S_IFSOCK);
    }
    Ok(())
}

fn names_of_both_ends() -> Outcome {
    for family in FAMILIES {
        let fresh = family.socket(libc::SOCK_STREAM)?;
        check_eq!(name(&fresh)?, family.any(0));
        errno_is!(peer(&fresh), ENOTCONN);
        let (client, server) = family.pair()?;
        check_eq!(name(&client)?, peer(&server)?);
        check_eq!(peer(&client)?, name(&server)?);
        let address = name(&client)?;
        check_eq!(address, family.loopback(port(&address)));
        check!(port(&address) != 0 && address != name(&server)?);
    }
    Ok(())
}

fn a_stream_has_no_boundaries() -> Outcome {
    let (client, server) = Family::V4.pair()?;
    for piece in [&b"ab"[..], b"cd", b"ef"] {
        client.write(piece)?;
    }
    check_eq!(receive(&server, 3, libc::MSG_WAITALL)?, b"abc");
    check_eq!(receive(&server, 3, libc::MSG_WAITALL)?, b"def");
    Ok(())
}

fn shutdown_ends_one_direction() -> Outcome {
    signal::set_disposition(libc::SIGPIPE, libc::SIG_IGN)?;
    let (client, server) = Family::V4.pair()?;
    client.write(b"last")?;
    sys!(SYS_shutdown, &client, libc::SHUT_WR)?;
    errno_is!(client.write(b"x"), EPIPE);
    check_eq!(server.read(10)?, b"last");
    check_eq!(server.read(10)?, b"");
    server.write(b"still")?;
    check_eq!(client.read(10)?, b"still");
    sys!(SYS_shutdown, &client, libc::SHUT_RD)?;
    check_eq!(client.read(10)?, b"");
    errno_is!(sys!(SYS_shutdown, &client, 3), EINVAL);
    Ok(())
}

fn shutdown_needs_a_connection() -> Outcome {
    let socket = Family::V4.socket(libc::SOCK_STREAM)?;
    for how in [libc::SHUT_RD, libc::SHUT_WR, libc::SHUT_RDWR] {
        errno_is!(sys!(SYS_shutdown, &socket, how), ENOTCONN);
    }
    Ok(())
}

fn close_is_the_end_of_the_stream() -> Outcome {
    let (client, server) = Family::V4.pair()?;
    client.write(b"bye")?;
    drop(client);
    check_eq!(server.read(10)?, b"bye");
    check_eq!(server.read(10)?, b"");
    check_eq!(server.read(10)?, b"");
    Ok(())
}

fn unread_bytes_reset_the_connection() -> Outcome {
    let (client, server) = Family::V4.pair()?;
    client.write(b"never read")?;
    check!(fd::wait_readable(&server, 1000)?);
    drop(server);
    check!(poll_one(&client, libc::POLLIN, 1000)? & libc::POLLERR != 0);
    errno_is!(client.read(1), ECONNRESET);
    check_eq!(client.read(1)?, b"");
    Ok(())
}

fn linger_zero_resets_the_connection() -> Outcome {
    let (client, server) = Family::V4.pair()?;
    let linger = [1_i32, 0];
    sys!(
        SYS_setsockopt,
        &client,
        libc::SOL_SOCKET,
        libc::SO_LINGER,
        &linger,
        8
    )?;
    drop(client);
    check!(fd::wait_readable(&server, 1000)?);
    errno_is!(server.read(1), ECONNRESET);
    Ok(())
}

/// A port of the loopback address on which nobody listens.
fn unused_port(family: Family) -> Result<u16, crate::case::Failure> {
    let socket = family.bound(libc::SOCK_STREAM)?;
    Ok(port(&name(&socket)?))
}

fn nobody_listens() -> Outcome {
    for family in FAMILIES {
        let client = family.socket(libc::SOCK_STREAM)?;
        let address = family.loopback(unused_port(family)?);
        errno_is!(connect(&client, &address), ECONNREFUSED);
        // The error was reported; the socket can be used again.
        check_eq!(option(&client, libc::SOL_SOCKET, libc::SO_ERROR)?, 0);
        let listener = family.listener()?;
        connect(&client, &name(&listener)?)?;
    }
    Ok(())
}

fn connect_errors() -> Outcome {
    let listener = Family::V4.listener()?;
    let address = name(&listener)?;
    let client = Family::V4.socket(libc::SOCK_STREAM)?;
    errno_is!(sys!(SYS_connect, &client, address.as_slice(), 8), EINVAL);
    errno_is!(sys!(SYS_connect, &client, address.as_slice(), 1), EINVAL);
    errno_is!(connect(&client, &Family::V6.loopback(1)), EAFNOSUPPORT);
    connect(&client, &address)?;
    errno_is!(connect(&client, &address), EISCONN);
    errno_is!(connect(&listener, &address), EISCONN);
    let v6 = Family::V6.socket(libc::SOCK_STREAM)?;
    errno_is!(
        sys!(SYS_connect, &v6, v6_loopback(1).as_slice(), 20),
        EINVAL
    );
    Ok(())
}

fn v6_loopback(port: u16) -> Vec<u8> {
    v6(Ipv6Addr::LOCALHOST, port)
}

fn nonblocking_connect() -> Outcome {
    let listener = Family::V4.listener()?;
    let client = Family::V4.socket(libc::SOCK_STREAM | libc::SOCK_NONBLOCK)?;
    errno_is!(connect(&client, &name(&listener)?), EINPROGRESS);
    check_eq!(poll_one(&client, libc::POLLOUT, 1000)?, libc::POLLOUT);
    check_eq!(option(&client, libc::SOL_SOCKET, libc::SO_ERROR)?, 0);
    // The first call after that is told of the success.
    connect(&client, &name(&listener)?)?;
    errno_is!(connect(&client, &name(&listener)?), EISCONN);
    Ok(())
}

fn nonblocking_connect_that_is_refused() -> Outcome {
    let client = Family::V4.socket(libc::SOCK_STREAM | libc::SOCK_NONBLOCK)?;
    let address = Family::V4.loopback(unused_port(Family::V4)?);
    match connect(&client, &address) {
        Err(error) if error.errno == libc::EINPROGRESS => {
            let events = poll_one(&client, libc::POLLOUT, 1000)?;
            check!(events & libc::POLLERR != 0, "{events:#x}");
            let error = option(&client, libc::SOL_SOCKET, libc::SO_ERROR)?;
            check_eq!(error, libc::ECONNREFUSED);
            check_eq!(option(&client, libc::SOL_SOCKET, libc::SO_ERROR)?, 0);
        }
        Err(error) if error.errno == libc::ECONNREFUSED => {}
        other => fail!("{other:?}"),
    }
    Ok(())
}

fn accept_waits_for_a_connection() -> Outcome {
    let listener = Family::V4.listener()?;
    let address = name(&listener)?;
    let mut child = process::fork(|| {
        time::sleep_ms(30);
        let client = Family::V4.socket(libc::SOCK_STREAM);
        let connected = client.and_then(|client| {
            connect(&client, &address)?;
            client.write(b"here")
        });
        i32::from(connected.is_err())
    })?;
    let server = accept(&listener)?;
    check_eq!(server.read(10)?, b"here");
    check_eq!(child.wait()?.code(), Some(0));
    Ok(())
}

fn accept_errors() -> Outcome {
    let socket = Family::V4.socket(libc::SOCK_STREAM | libc::SOCK_NONBLOCK)?;
    errno_is!(accept(&socket), EINVAL);
    sys!(SYS_listen, &socket, 1)?;
    errno_is!(accept(&socket), EAGAIN);
    // It has got a port.
    check!(port(&name(&socket)?) != 0);
    let datagrams = Family::V4.socket(libc::SOCK_DGRAM)?;
    errno_is!(accept(&datagrams), EOPNOTSUPP);
    errno_is!(sys!(SYS_listen, &datagrams, 1), EOPNOTSUPP);
    let (client, _server) = Family::V4.pair()?;
    errno_is!(sys!(SYS_listen, &client, 1), EINVAL);
    Ok(())
}

fn the_backlog_is_limited() -> Outcome {
    let listener = Family::V4.bound(libc::SOCK_STREAM)?;
    sys!(SYS_listen, &listener, 1)?;
    let mut connected = 0;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let client = Family::V4.socket(libc::SOCK_STREAM | libc::SOCK_NONBLOCK)?;
        let _ = connect(&client, &name(&listener)?);
        if poll_one(&client, libc::POLLOUT, 50)? != 0 {
            connected += 1;
        }
        clients.push(client);
    }
    // One more than the backlog.
    check_eq!(connected, 2);
    accept(&listener)?;
    accept(&listener)?;
    // The others try again after a second.
    check!(fd::wait_readable(&listener, 5000)?);
    Ok(())
}

fn a_closed_listener_resets_who_waits() -> Outcome {
    let listener = Family::V4.listener()?;
    let client = Family::V4.socket(libc::SOCK_STREAM)?;
    connect(&client, &name(&listener)?)?;
    drop(listener);
    check!(fd::wait_readable(&client, 1000)?);
    errno_is!(client.read(1), ECONNRESET);
    Ok(())
}

fn bind_errors() -> Outcome {
    for family in FAMILIES {
        let socket = family.bound(libc::SOCK_STREAM)?;
        errno_is!(bind(&socket, &family.loopback(0)), EINVAL);
        let fresh = family.socket(libc::SOCK_STREAM)?;
        errno_is!(
            sys!(SYS_bind, &fresh, family.loopback(0).as_slice(), 8),
            EINVAL
        );
    }
    let v4_socket = Family::V4.socket(libc::SOCK_STREAM)?;
    let elsewhere = v4(Ipv4Addr::new(192, 0, 2, 1), 0);
    errno_is!(bind(&v4_socket, &elsewhere), EADDRNOTAVAIL);
    errno_is!(bind(&v4_socket, &Family::V6.loopback(0)), EAFNOSUPPORT);
    // No family is that of IPv4, with no address.
    let mut unspecified = Family::V4.any(0);
    unspecified[..2].fill(0);
    bind(&v4_socket, &unspecified)?;
    // All of 127.0.0.0/8 is this host.
    bind(
        &Family::V4.socket(libc::SOCK_STREAM)?,
        &v4(Ipv4Addr::new(127, 1, 2, 3), 0),
    )?;
    Ok(())
}

fn addresses_are_in_use() -> Outcome {
    for family in FAMILIES {
        let first = family.bound(libc::SOCK_STREAM)?;
        let address = name(&first)?;
        let second = family.socket(libc::SOCK_STREAM)?;
        errno_is!(bind(&second, &address), EADDRINUSE);
        errno_is!(bind(&second, &family.any(port(&address))), EADDRINUSE);
        // A datagram socket has ports of its own.
        bind(&family.socket(libc::SOCK_DGRAM)?, &address)?;
    }
    let first = Family::V4.bound(libc::SOCK_STREAM)?;
    let other = v4(Ipv4Addr::new(127, 0, 0, 2), port(&name(&first)?));
    bind(&Family::V4.socket(libc::SOCK_STREAM)?, &other)?;
    Ok(())
}

fn reusing(reuses: i32) -> Result<Fd, crate::sys::SysError> {
    let socket = Family::V4.socket(libc::SOCK_STREAM)?;
    set_option(&socket, libc::SOL_SOCKET, reuses, 1)?;
    Ok(socket)
}

fn reuse_of_addresses() -> Outcome {
    let first = reusing(libc::SO_REUSEADDR)?;
    bind(&first, &Family::V4.loopback(0))?;
    let address = name(&first)?;
    let second = reusing(libc::SO_REUSEADDR)?;
    bind(&second, &address)?;
    sys!(SYS_listen, &first, 1)?;
    errno_is!(sys!(SYS_listen, &second, 1), EADDRINUSE);
    errno_is!(bind(&reusing(libc::SO_REUSEADDR)?, &address), EADDRINUSE);
    Ok(())
}

fn reuse_of_ports() -> Outcome {
    let first = reusing(libc::SO_REUSEPORT)?;
    bind(&first, &Family::V4.loopback(0))?;
    let address = name(&first)?;
    let second = reusing(libc::SO_REUSEPORT)?;
    bind(&second, &address)?;
    let listeners = [first, second];
    for listener in &listeners {
        sys!(SYS_listen, listener, 64)?;
    }
    errno_is!(
        bind(&Family::V4.socket(libc::SOCK_STREAM)?, &address),
        EADDRINUSE
    );
    // Connections go to either.
    let mut clients = Vec::new();
    for _ in 0..40 {
        let client = Family::V4.socket(libc::SOCK_STREAM)?;
        connect(&client, &address)?;
        clients.push(client);
    }
    for listener in &listeners {
        check!(poll_one(listener, libc::POLLIN, 0)? != 0);
    }
    Ok(())
}

fn privileged_ports() -> Outcome {
    process::in_child(|| {
        // Nobody's ids have no capability.
        sys!(SYS_setresuid, 65_534, 65_534, 65_534)?;
        let first: u16 = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(1024);
        if first == 0 {
            skip!("every port is for everybody here (net.ipv4.ip_unprivileged_port_start)");
        }
        for family in FAMILIES {
            let socket = family.socket(libc::SOCK_STREAM)?;
            errno_is!(bind(&socket, &family.loopback(first - 1)), EACCES);
            bind(&socket, &family.loopback(0))?;
        }
        Ok(())
    })
}

fn a_port_is_free_again() -> Outcome {
    let listener = Family::V4.listener()?;
    let address = name(&listener)?;
    drop(listener);
    bind(&Family::V4.socket(libc::SOCK_STREAM)?, &address)?;
    Ok(())
}

fn wildcards_take_both_families() -> Outcome {
    let listener = Family::V6.socket(libc::SOCK_STREAM)?;
    bind(&listener, &Family::V6.any(0))?;
    sys!(SYS_listen, &listener, 5)?;
    let number = port(&name(&listener)?);
    let client = Family::V4.socket(libc::SOCK_STREAM)?;
    connect(&client, &Family::V4.loopback(number))?;
    let server = accept(&listener)?;
    let mapped = v6(Ipv4Addr::LOCALHOST.to_ipv6_mapped(), port(&name(&client)?));
    check_eq!(peer(&server)?, mapped);
    let other = Family::V6.socket(libc::SOCK_STREAM)?;
    connect(&other, &v6(Ipv4Addr::LOCALHOST.to_ipv6_mapped(), number))?;
    connect(
        &Family::V6.socket(libc::SOCK_STREAM)?,
        &Family::V6.loopback(number),
    )?;
    errno_is!(
        bind(
            &Family::V4.socket(libc::SOCK_STREAM)?,
            &Family::V4.any(number)
        ),
        EADDRINUSE
    );
    Ok(())
}

fn v6_only_sockets_take_one() -> Outcome {
    let listener = Family::V6.socket(libc::SOCK_STREAM)?;
    set_option(&listener, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
    bind(&listener, &Family::V6.any(0))?;
    sys!(SYS_listen, &listener, 5)?;
    errno_is!(
        set_option(&listener, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0),
        EINVAL
    );
    let number = port(&name(&listener)?);
    let client = Family::V4.socket(libc::SOCK_STREAM)?;
    errno_is!(connect(&client, &Family::V4.loopback(number)), ECONNREFUSED);
    bind(
        &Family::V4.socket(libc::SOCK_STREAM)?,
        &Family::V4.any(number),
    )?;
    Ok(())
}

fn families_do_not_mix() -> Outcome {
    let v4_socket = Family::V4.socket(libc::SOCK_STREAM)?;
    check_eq!(
        option(&v4_socket, libc::SOL_SOCKET, libc::SO_DOMAIN)?,
        libc::AF_INET
    );
    check_eq!(
        option(&v4_socket, libc::SOL_SOCKET, libc::SO_PROTOCOL)?,
        libc::IPPROTO_TCP
    );
    errno_is!(
        option(&v4_socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY),
        EOPNOTSUPP
    );
    Ok(())
}

fn peek_leaves_the_bytes() -> Outcome {
    let (client, server) = Family::V4.pair()?;
    client.write(b"hello")?;
    check_eq!(receive(&server, 3, libc::MSG_PEEK)?, b"hel");
    check_eq!(receive(&server, 100, libc::MSG_PEEK)?, b"hello");
    check_eq!(receive(&server, 100, 0)?, b"hello");
    errno_is!(
        receive(&server, 100, libc::MSG_PEEK | libc::MSG_DONTWAIT),
        EAGAIN
    );
    Ok(())
}

fn trunc_drops_bytes() -> Outcome {
    let (client, server) = Family::V4.pair()?;
    client.write(b"dropped and kept")?;
    check!(fd::wait_readable(&server, 1000)?);
    check_eq!(
        sys!(SYS_recvfrom, &server, 0, 12, libc::MSG_TRUNC, 0, 0)?,
        12
    );
    check_eq!(server.read(100)?, b"kept");
    Ok(())
}

fn waitall_fills_the_buffer() -> Outcome {
    let (client, server) = Family::V4.pair()?;
    let mut child = process::fork(|| {
        for piece in [&b"ab"[..], b"cd", b"ef"] {
            let _ = client.write(piece);
            time::sleep_ms(20);
        }
        0
    })?;
    check_eq!(receive(&server, 6, libc::MSG_WAITALL)?, b"abcdef");
    child.wait()?;
    Ok(())
}

fn much_is_carried_between_processes() -> Outcome {
    const LEN: usize = 20_000_000;
    for family in FAMILIES {
        let (client, server) = family.pair()?;
        let mut child = process::fork(|| {
            let bytes: Vec<u8> = (0..251).cycle().take(LEN).collect();
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                match client.write(rest) {
                    Ok(len) => rest = &rest[len..],
                    Err(_) => return 1,
                }
            }
            0
        })?;
        let mut got = Vec::new();
        while got.len() < LEN {
            let more = server.read(100_000)?;
            check!(!more.is_empty());
            got.extend(more);
        }
        check!(got.iter().copied().eq((0..251).cycle().take(LEN)));
        check_eq!(child.wait()?.code(), Some(0));
    }
    Ok(())
}

fn a_full_buffer_is_eagain() -> Outcome {
    let (client, server) = Family::V4.pair()?;
    let mut total = 0_usize;
    while let Ok(sent) = send(&client, &[7; 40_000], libc::MSG_DONTWAIT) {
        total += sent as usize;
        check!(total < 100 << 20);
    }
    errno_is!(send(&client, b"x", libc::MSG_DONTWAIT), EAGAIN);
    check_eq!(poll_one(&client, libc::POLLOUT, 0)?, 0);
    let mut got = 0;
    while got < total {
        got += server.read(1 << 20)?.len();
    }
    check_eq!(poll_one(&client, libc::POLLOUT, 1000)?, libc::POLLOUT);
    Ok(())
}

fn writing_after_the_end_is_epipe() -> Outcome {
    signal::handle(libc::SIGPIPE, signal::record, 0)?;
    let (client, server) = Family::V4.pair()?;
    drop(server);
    // The first write is answered with a reset.
    check!(fd::wait_readable(&client, 1000)?);
    client.write(b"x")?;
    check!(time::wait_until(
        || send(&client, b"y", libc::MSG_NOSIGNAL).is_err()
    ));
    check_eq!(signal::seen_numbers(), []);
    errno_is!(client.write(b"z"), EPIPE);
    check_eq!(signal::seen_numbers(), [libc::SIGPIPE]);
    Ok(())
}

fn reading_without_a_connection_is_enotconn() -> Outcome {
    let socket = Family::V4.socket(libc::SOCK_STREAM)?;
    errno_is!(socket.read(1), ENOTCONN);
    let listener = Family::V4.listener()?;
    errno_is!(listener.read(1), ENOTCONN);
    Ok(())
}

fn sending_without_a_connection_is_epipe() -> Outcome {
    let socket = Family::V4.socket(libc::SOCK_STREAM)?;
    errno_is!(send(&socket, b"x", libc::MSG_NOSIGNAL), EPIPE);
    Ok(())
}

fn poll_of_listeners_and_connections() -> Outcome {
    let events = libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP;
    let listener = Family::V4.listener()?;
    check_eq!(poll_one(&listener, events, 0)?, 0);
    let client = Family::V4.socket(libc::SOCK_STREAM)?;
    connect(&client, &name(&listener)?)?;
    check_eq!(poll_one(&listener, events, 1000)?, libc::POLLIN);
    let server = accept(&listener)?;
    check_eq!(poll_one(&client, events, 0)?, libc::POLLOUT);
    client.write(b"x")?;
    check!(fd::wait_readable(&server, 1000)?);
    check_eq!(poll_one(&server, events, 0)?, libc::POLLIN | libc::POLLOUT);
    sys!(SYS_shutdown, &client, libc::SHUT_WR)?;
    check_eq!(poll_one(&server, libc::POLLRDHUP, 1000)?, libc::POLLRDHUP);
    check_eq!(poll_one(&server, events, 0)?, events);
    server.read(1)?;
    sys!(SYS_shutdown, &server, libc::SHUT_WR)?;
    check!(poll_one(&client, libc::POLLIN, 1000)? & libc::POLLHUP != 0);
    check_eq!(poll_one(&client, events, 0)?, events | libc::POLLHUP);
    Ok(())
}

fn poll_of_an_unused_socket() -> Outcome {
    let socket = Family::V4.socket(libc::SOCK_STREAM)?;
    let events = poll_one(&socket, libc::POLLIN | libc::POLLOUT, 0)?;
    check_eq!(events, libc::POLLOUT | libc::POLLHUP);
    Ok(())
}

fn queued_bytes_are_counted() -> Outcome {
    let (client, server) = Family::V4.pair()?;
    client.write(b"12345")?;
    check!(fd::wait_readable(&server, 1000)?);
    let mut count = 0_i32;
    sys!(SYS_ioctl, &server, libc::FIONREAD, &mut count)?;
    check_eq!(count, 5);
    server.read(2)?;
    sys!(SYS_ioctl, &server, libc::FIONREAD, &mut count)?;
    check_eq!(count, 3);
    check!(time::wait_until(|| {
        let mut count = 1_i32;
        sys!(SYS_ioctl, &client, libc::TIOCOUTQ, &mut count).is_ok() && count == 0
    }));
    let listener = Family::V4.listener()?;
    errno_is!(
        sys!(SYS_ioctl, &listener, libc::FIONREAD, &mut count),
        EINVAL
    );
    Ok(())
}

fn urgent_bytes() -> Outcome {
    let (client, server) = Family::V4.pair()?;
    errno_is!(receive(&server, 1, libc::MSG_OOB), EINVAL);
    client.write(b"ab")?;
    send(&client, b"!", libc::MSG_OOB)?;
    check!(poll_one(&server, libc::POLLPRI, 1000)? & libc::POLLPRI != 0);
    check_eq!(receive(&server, 10, libc::MSG_OOB)?, b"!");
    check_eq!(server.read(10)?, b"ab");
    client.write(b"cd")?;
    check_eq!(server.read(10)?, b"cd");
    Ok(())
}

fn cork_holds_short_segments_back() -> Outcome {
    let (client, server) = Family::V4.pair()?;
    set_option(&client, libc::IPPROTO_TCP, libc::TCP_CORK, 1)?;
    client.write(b"held")?;
    check!(!fd::wait_readable(&server, 50)?);
    set_option(&client, libc::IPPROTO_TCP, libc::TCP_CORK, 0)?;
    check!(fd::wait_readable(&server, 1000)?);
    check_eq!(server.read(10)?, b"held");
    send(&client, b"and ", libc::MSG_MORE)?;
    check!(!fd::wait_readable(&server, 50)?);
    client.write(b"more")?;
    check_eq!(receive(&server, 8, libc::MSG_WAITALL)?, b"and more");
    Ok(())
}

fn options_of_tcp() -> Outcome {
    let socket = Family::V4.socket(libc::SOCK_STREAM)?;
    for (name, first, set) in [
        (libc::TCP_NODELAY, 0, 1),
        (libc::TCP_CORK, 0, 1),
        (libc::TCP_KEEPIDLE, 7200, 60),
        (libc::TCP_KEEPINTVL, 75, 5),
        (libc::TCP_KEEPCNT, 9, 3),
        (libc::TCP_SYNCNT, 6, 2),
        (libc::TCP_USER_TIMEOUT, 0, 30_000),
        (libc::TCP_MAXSEG, 536, 1000),
    ] {
        check_eq!(
            (name, option(&socket, libc::IPPROTO_TCP, name)?),
            (name, first)
        );
        set_option(&socket, libc::IPPROTO_TCP, name, set)?;
        if name != libc::TCP_MAXSEG {
            check_eq!(
                (name, option(&socket, libc::IPPROTO_TCP, name)?),
                (name, set)
            );
        }
    }
    let mut text = [0_u8; 16];
    let mut len = 16_u32;
    sys!(
        SYS_getsockopt,
        &socket,
        libc::IPPROTO_TCP,
        libc::TCP_CONGESTION,
        &mut text,
        &mut len
    )?;
    check!(text.starts_with(b"cubic\0") || text.starts_with(b"reno\0") || text.starts_with(b"bbr"));
    let reno = *b"reno";
    sys!(
        SYS_setsockopt,
        &socket,
        libc::IPPROTO_TCP,
        libc::TCP_CONGESTION,
        &reno,
        4
    )?;
    sys!(
        SYS_getsockopt,
        &socket,
        libc::IPPROTO_TCP,
        libc::TCP_CONGESTION,
        &mut text,
        &mut len
    )?;
    check!(text.starts_with(b"reno\0"));
    let unknown = *b"nono";
    errno_is!(
        sys!(
            SYS_setsockopt,
            &socket,
            libc::IPPROTO_TCP,
            libc::TCP_CONGESTION,
            &unknown,
            4
        ),
        ENOENT
    );
    Ok(())
}

fn options_of_ip() -> Outcome {
    let socket = Family::V4.socket(libc::SOCK_STREAM)?;
    for (name, first, set) in [
        (libc::IP_TOS, 0, 0x10),
        (libc::IP_TTL, 64, 5),
        (libc::IP_MTU_DISCOVER, 1, 2),
        (libc::IP_RECVERR, 0, 1),
    ] {
        check_eq!(
            (name, option(&socket, libc::IPPROTO_IP, name)?),
            (name, first)
        );
        set_option(&socket, libc::IPPROTO_IP, name, set)?;
        check_eq!(
            (name, option(&socket, libc::IPPROTO_IP, name)?),
            (name, set)
        );
    }
    let v6 = Family::V6.socket(libc::SOCK_STREAM)?;
    for (name, first, set) in [
        (libc::IPV6_UNICAST_HOPS, 64, 5),
        (libc::IPV6_TCLASS, 0, 8),
        (libc::IPV6_RECVERR, 0, 1),
    ] {
        check_eq!(
            (name, option(&v6, libc::IPPROTO_IPV6, name)?),
            (name, first)
        );
        set_option(&v6, libc::IPPROTO_IPV6, name, set)?;
        check_eq!((name, option(&v6, libc::IPPROTO_IPV6, name)?), (name, set));
    }
    Ok(())
}

fn options_that_are_refused() -> Outcome {
    let socket = Family::V4.socket(libc::SOCK_STREAM)?;
    for (level, name, value) in [
        (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, 0),
        (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, 32_768),
        (libc::IPPROTO_TCP, libc::TCP_KEEPCNT, 128),
        (libc::IPPROTO_TCP, libc::TCP_SYNCNT, 0),
        (libc::IPPROTO_TCP, libc::TCP_MAXSEG, 5),
        (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, -1),
        (libc::IPPROTO_IP, libc::IP_TTL, 256),
        (libc::IPPROTO_IP, libc::IP_TTL, 0),
    ] {
        let outcome = set_option(&socket, level, name, value);
        let errno = outcome.map_err(|error| error.errno);
        check_eq!((name, value, errno), (name, value, Err(libc::EINVAL)));
    }
    let short = 1_u8;
    errno_is!(
        sys!(
            SYS_setsockopt,
            &socket,
            libc::IPPROTO_TCP,
            libc::TCP_NODELAY,
            &short,
            1
        ),
        EINVAL
    );
    errno_is!(set_option(&socket, libc::IPPROTO_TCP, 999, 1), ENOPROTOOPT);
    errno_is!(option(&socket, libc::IPPROTO_TCP, 999), ENOPROTOOPT);
    Ok(())
}

fn tcp_info_shows_the_state() -> Outcome {
    let state = |socket: &Fd| {
        let (mut bytes, mut len) = ([0_u8; 104], 104_u32);
        sys!(
            SYS_getsockopt,
            socket,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            &mut bytes,
            &mut len
        )?;
        Ok::<_, crate::sys::SysError>((bytes[0], len))
    };
    let socket = Family::V4.socket(libc::SOCK_STREAM)?;
    check_eq!(state(&socket)?, (7, 104));
    check_eq!(state(&Family::V4.listener()?)?.0, 10);
    let (client, server) = Family::V4.pair()?;
    check_eq!(state(&client)?.0, 1);
    sys!(SYS_shutdown, &client, libc::SHUT_WR)?;
    check!(fd::wait_readable(&server, 1000)?);
    check_eq!(state(&server)?.0, 8);
    check!(time::wait_until(|| {
        state(&client).is_ok_and(|(state, _)| state == 5)
    }));
    drop(server);
    check!(time::wait_until(|| {
        state(&client).is_ok_and(|(state, _)| state == 7)
    }));
    Ok(())
}

fn sizes_of_buffers() -> Outcome {
    let socket = Family::V4.socket(libc::SOCK_STREAM)?;
    check_eq!(option(&socket, libc::SOL_SOCKET, libc::SO_SNDBUF)?, 16_384);
    check_eq!(option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF)?, 131_072);
    set_option(&socket, libc::SOL_SOCKET, libc::SO_SNDBUF, 10_000)?;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, 10_000)?;
    check_eq!(option(&socket, libc::SOL_SOCKET, libc::SO_SNDBUF)?, 20_000);
    check_eq!(option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF)?, 20_000);
    Ok(())
}

fn socket_errors() -> Outcome {
    const SOCK_DCCP: i32 = 6;
    let make = |kind, protocol| sys!(SYS_socket, libc::AF_INET, kind, protocol).map(Fd::own);
    make(libc::SOCK_STREAM, libc::IPPROTO_TCP)?;
    make(libc::SOCK_DGRAM, libc::IPPROTO_UDP)?;
    errno_is!(make(libc::SOCK_STREAM, libc::IPPROTO_UDP), EPROTONOSUPPORT);
    errno_is!(make(libc::SOCK_DGRAM, libc::IPPROTO_TCP), EPROTONOSUPPORT);
    errno_is!(make(SOCK_DCCP, 0), ESOCKTNOSUPPORT);
    process::in_child(|| {
        sys!(SYS_setresuid, 65_534, 65_534, 65_534)?;
        errno_is!(make(libc::SOCK_RAW, libc::IPPROTO_TCP), EPERM);
        Ok(())
    })
}

fn timeouts_of_accept_and_receive() -> Outcome {
    let (client, _server) = Family::V4.pair()?;
    let listener = Family::V4.listener()?;
    let time = [0_i64, 30_000];
    for socket in [&client, &listener] {
        sys!(
            SYS_setsockopt,
            socket,
            libc::SOL_SOCKET,
            libc::SO_RCVTIMEO,
            &time,
            16
        )?;
    }
    errno_is!(client.read(1), EAGAIN);
    errno_is!(accept(&listener), EAGAIN);
    Ok(())
}

fn sendfile_to_a_connection() -> Outcome {
    let file = fd::memfd(0)?;
    let bytes: Vec<u8> = (0..200).cycle().take(300_000).collect();
    file.write(&bytes)?;
    let (client, server) = Family::V4.pair()?;
    let mut child = process::fork(|| {
        let mut offset = 0_i64;
        while offset < 300_000 {
            if sys!(SYS_sendfile, &client, &file, &mut offset, 300_000).is_err() {
                return 1;
            }
        }
        0
    })?;
    let mut got = Vec::new();
    while got.len() < bytes.len() {
        got.extend(server.read(1 << 16)?);
    }
    check!(got == bytes);
    check_eq!(child.wait()?.code(), Some(0));
    Ok(())
}

fn disconnected_by_unspec() -> Outcome {
    let (client, server) = Family::V4.pair()?;
    let mut unspecified = Family::V4.any(0);
    unspecified[..2].fill(0);
    connect(&client, &unspecified)?;
    errno_is!(peer(&client), ENOTCONN);
    check!(fd::wait_readable(&server, 1000)?);
    errno_is!(server.read(1), ECONNRESET);
    // It can connect again.
    connect(&client, &name(&Family::V4.listener()?)?).err();
    Ok(())
}

fn half_closed_connections_still_carry() -> Outcome {
    let (client, server) = Family::V6.pair()?;
    sys!(SYS_shutdown, &client, libc::SHUT_WR)?;
    check_eq!(server.read(1)?, b"");
    for _ in 0..100 {
        server.write(&[1; 1000])?;
    }
    drop(server);
    let mut got = 0;
    loop {
        match client.read(4096)?.len() {
            0 => break,
            len => got += len,
        }
    }
    check_eq!(got, 100_000);
    Ok(())
}

/// The lines of a list in /proc/net about a local port.
fn listed(list: &str, number: u16) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/net/{list}")).unwrap_or_default();
    let port = format!(":{number:04X}");
    let is_about = |line: &&str| {
        let local = line.split_whitespace().nth(1);
        local.is_some_and(|local| local.ends_with(&port))
    };
    text.lines().filter(is_about).map(str::to_owned).collect()
}

fn lists_in_proc() -> Outcome {
    for (family, list, ip) in [
        (Family::V4, "tcp", "0100007F"),
        (Family::V6, "tcp6", "00000000000000000000000001000000"),
    ] {
        let listener = family.listener()?;
        let number = port(&name(&listener)?);
        let lines = listed(list, number);
        check_eq!(lines.len(), 1);
        let fields: Vec<&str> = lines[0].split_whitespace().collect();
        check_eq!(fields[1], format!("{ip}:{number:04X}"));
        check_eq!(fields[3], "0A");
        check_eq!(fields[9], listener.stat()?.st_ino.to_string());
        let client = family.socket(libc::SOCK_STREAM)?;
        connect(&client, &name(&listener)?)?;
        let server = accept(&listener)?;
        client.write(b"12345")?;
        check!(fd::wait_readable(&server, 1000)?);
        let states: Vec<String> = listed(list, number)
            .iter()
            .filter_map(|line| line.split_whitespace().nth(3).map(str::to_owned))
            .collect();
        check!(states.contains(&"01".to_owned()), "{states:?}");
        let queues = listed(list, number);
        check!(
            queues
                .iter()
                .any(|line| line.contains(" 00000000:00000005 ")),
            "{queues:?}"
        );
    }
    let datagrams = Family::V4.bound(libc::SOCK_DGRAM)?;
    check_eq!(listed("udp", port(&name(&datagrams)?)).len(), 1);
    Ok(())
}

/// A new network namespace has a loopback interface that is down.
fn a_new_namespace_has_no_network() -> Outcome {
    process::in_child(|| {
        if sys!(SYS_unshare, libc::CLONE_NEWUSER | libc::CLONE_NEWNET).is_err() {
            skip!("no user namespace can be made here");
        }
        let socket = Family::V4.socket(libc::SOCK_STREAM)?;
        errno_is!(connect(&socket, &Family::V4.loopback(9)), ENETUNREACH);
        errno_is!(
            bind(
                &Family::V6.socket(libc::SOCK_STREAM)?,
                &Family::V6.loopback(0)
            ),
            EADDRNOTAVAIL
        );
        let mut request = [0_u8; 40];
        request[..2].copy_from_slice(b"lo");
        sys!(SYS_ioctl, &socket, libc::SIOCGIFFLAGS, &mut request)?;
        check_eq!(request[16] & 0x49, 8);
        request[16] |= 1;
        sys!(SYS_ioctl, &socket, libc::SIOCSIFFLAGS, &mut request)?;
        sys!(SYS_ioctl, &socket, libc::SIOCGIFFLAGS, &mut request)?;
        check_eq!(request[16] & 0x49, 0x49);
        errno_is!(connect(&socket, &Family::V4.loopback(9)), ECONNREFUSED);
        let (client, server) = Family::V6.pair()?;
        client.write(b"up")?;
        check_eq!(server.read(5)?, b"up");
        request[..3].copy_from_slice(b"no\0");
        errno_is!(
            sys!(SYS_ioctl, &socket, libc::SIOCSIFFLAGS, &mut request),
            ENODEV
        );
        Ok(())
    })
}

/// Interfaces are switched by who may administer the network.
fn interfaces_are_an_administrators() -> Outcome {
    process::in_child(|| {
        sys!(SYS_setresuid, 65_534, 65_534, 65_534)?;
        let socket = Family::V4.socket(libc::SOCK_STREAM)?;
        let mut request = [0_u8; 40];
        request[..2].copy_from_slice(b"lo");
        sys!(SYS_ioctl, &socket, libc::SIOCGIFFLAGS, &mut request)?;
        errno_is!(
            sys!(SYS_ioctl, &socket, libc::SIOCSIFFLAGS, &mut request),
            EPERM
        );
        Ok(())
    })
}
