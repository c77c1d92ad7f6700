//! udp(7) sockets on the loopback interface.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::case::Outcome;
use crate::support::fd::{self, Fd, poll_one};
use crate::support::inet::{
    FAMILIES, Family, bind, connect, name, option, peer, port, receive, receive_from, send,
    send_to, set_option, v4, v6,
};
use crate::support::process;

cases!(
    datagrams_keep_boundaries,
    a_datagram_names_its_sender,
    a_sender_gets_a_port,
    truncation_loses_the_rest,
    empty_datagrams,
    peek_leaves_the_datagram,
    connected_sockets_hear_one_peer,
    connecting_again_and_dissolving,
    nobody_listens,
    send_errors,
    the_longest_datagram,
    addresses_are_in_use,
    reuse_of_ports_shares_datagrams,
    wildcards_take_both_families,
    mapped_addresses,
    a_full_queue_drops,
    nonblocking_and_timeouts,
    more_gathers_a_datagram,
    shutdown_of_datagrams,
    poll_of_datagrams,
    readable_bytes_are_those_of_the_next,
    many_messages_at_once,
    binding_to_a_network_address,
    options,
    names_change_with_connect,
    not_a_listener,
);

const DGRAM: i32 = libc::SOCK_DGRAM;

fn datagrams_keep_boundaries() -> Outcome {
    for family in FAMILIES {
        let receiver = family.bound(DGRAM)?;
        let sender = family.socket(DGRAM)?;
        for bytes in [&b"one"[..], b"two", b"three"] {
            check_eq!(
                send_to(&sender, bytes, &name(&receiver)?)?,
                bytes.len() as i64
            );
        }
        check_eq!(receive(&receiver, 100, 0)?, b"one");
        check_eq!(receiver.read(100)?, b"two");
        check_eq!(receive(&receiver, 100, 0)?, b"three");
    }
    Ok(())
}

fn a_datagram_names_its_sender() -> Outcome {
    for family in FAMILIES {
        let (one, two) = (family.bound(DGRAM)?, family.bound(DGRAM)?);
        send_to(&one, b"hello", &name(&two)?)?;
        let (bytes, from) = receive_from(&two, 100, 0)?;
        check_eq!(bytes, b"hello");
        check_eq!(from, name(&one)?);
        send_to(&two, b"back", &from)?;
        check_eq!(one.read(100)?, b"back");
    }
    Ok(())
}

fn a_sender_gets_a_port() -> Outcome {
    let (receiver, sender) = (Family::V4.bound(DGRAM)?, Family::V4.socket(DGRAM)?);
    check_eq!(port(&name(&sender)?), 0);
    send_to(&sender, b"x", &name(&receiver)?)?;
    let own = name(&sender)?;
    check!(port(&own) != 0);
    check_eq!(own, Family::V4.any(port(&own)));
    let (_, from) = receive_from(&receiver, 1, 0)?;
    check_eq!(from, Family::V4.loopback(port(&own)));
    Ok(())
}

fn pair(family: Family) -> Result<(Fd, Fd), crate::sys::SysError> {
    let (one, two) = (family.bound(DGRAM)?, family.bound(DGRAM)?);
    connect(&one, &name(&two)?)?;
    connect(&two, &name(&one)?)?;
    Ok((one, two))
}

fn truncation_loses_the_rest() -> Outcome {
    let (one, two) = pair(Family::V4)?;
    send(&one, b"0123456789", 0)?;
    send(&one, b"next", 0)?;
    let mut buffer = [0_u8; 4];
    check_eq!(
        sys!(SYS_recvfrom, &two, &mut buffer, 4, libc::MSG_TRUNC, 0, 0)?,
        10
    );
    check_eq!(&buffer, b"0123");
    check_eq!(two.read(100)?, b"next");
    Ok(())
}

fn empty_datagrams() -> Outcome {
    let (one, two) = pair(Family::V4)?;
    check_eq!(send(&one, b"", 0)?, 0);
    send(&one, b"after", 0)?;
    check_eq!(two.read(10)?, b"");
    check_eq!(two.read(10)?, b"after");
    Ok(())
}

fn peek_leaves_the_datagram() -> Outcome {
    let (one, two) = pair(Family::V4)?;
    send(&one, b"hello", 0)?;
    check_eq!(receive(&two, 2, libc::MSG_PEEK)?, b"he");
    check_eq!(receive(&two, 100, libc::MSG_PEEK)?, b"hello");
    check_eq!(receive(&two, 100, 0)?, b"hello");
    errno_is!(receive(&two, 100, libc::MSG_DONTWAIT), EAGAIN);
    Ok(())
}

fn connected_sockets_hear_one_peer() -> Outcome {
    let (one, two) = (Family::V4.bound(DGRAM)?, Family::V4.bound(DGRAM)?);
    let stranger = Family::V4.bound(DGRAM)?;
    connect(&one, &name(&two)?)?;
    check_eq!(peer(&one)?, name(&two)?);
    send_to(&stranger, b"unheard", &name(&one)?)?;
    send_to(&two, b"heard", &name(&one)?)?;
    check_eq!(one.read(100)?, b"heard");
    // A destination may still be named.
    send_to(&one, b"elsewhere", &name(&stranger)?)?;
    check_eq!(stranger.read(100)?, b"elsewhere");
    Ok(())
}

fn connecting_again_and_dissolving() -> Outcome {
    let (one, two, three) = (
        Family::V4.socket(DGRAM)?,
        Family::V4.bound(DGRAM)?,
        Family::V4.bound(DGRAM)?,
    );
    errno_is!(peer(&one), ENOTCONN);
    connect(&one, &name(&two)?)?;
    connect(&one, &name(&three)?)?;
    send(&one, b"third", 0)?;
    check_eq!(three.read(100)?, b"third");
    let mut unspecified = Family::V4.any(0);
    unspecified[..2].fill(0);
    connect(&one, &unspecified)?;
    errno_is!(peer(&one), ENOTCONN);
    errno_is!(send(&one, b"x", 0), EDESTADDRREQ);
    Ok(())
}

fn nobody_listens() -> Outcome {
    for family in FAMILIES {
        let gone = family.bound(DGRAM)?;
        let address = name(&gone)?;
        drop(gone);
        let socket = family.socket(DGRAM)?;
        // Who is not connected is not told.
        send_to(&socket, b"x", &address)?;
        send_to(&socket, b"x", &address)?;
        connect(&socket, &address)?;
        send(&socket, b"x", 0)?;
        check!(poll_one(&socket, libc::POLLIN, 1000)? & libc::POLLERR != 0);
        errno_is!(receive(&socket, 1, 0), ECONNREFUSED);
        errno_is!(receive(&socket, 1, libc::MSG_DONTWAIT), EAGAIN);
        send(&socket, b"x", 0)?;
        check!(poll_one(&socket, libc::POLLIN, 1000)? & libc::POLLERR != 0);
        check_eq!(
            option(&socket, libc::SOL_SOCKET, libc::SO_ERROR)?,
            libc::ECONNREFUSED
        );
        send(&socket, b"x", 0)?;
        check!(poll_one(&socket, libc::POLLIN, 1000)? & libc::POLLERR != 0);
        errno_is!(send(&socket, b"x", 0), ECONNREFUSED);
    }
    Ok(())
}

fn send_errors() -> Outcome {
    let socket = Family::V4.socket(DGRAM)?;
    errno_is!(send(&socket, b"x", 0), EDESTADDRREQ);
    errno_is!(send_to(&socket, b"x", &Family::V4.loopback(0)), EINVAL);
    errno_is!(
        send_to(&socket, b"x", &Family::V6.loopback(1)),
        EAFNOSUPPORT
    );
    let address = Family::V4.loopback(9);
    errno_is!(
        sys!(
            SYS_sendto,
            &socket,
            b"x".as_slice(),
            1,
            0,
            address.as_slice(),
            8
        ),
        EINVAL
    );
    errno_is!(send(&socket, b"x", libc::MSG_OOB), EOPNOTSUPP);
    Ok(())
}

fn the_longest_datagram() -> Outcome {
    for (family, longest) in [(Family::V4, 65_507), (Family::V6, 65_527)] {
        let (one, two) = pair(family)?;
        let bytes = vec![3; longest + 1];
        errno_is!(send(&one, &bytes, 0), EMSGSIZE);
        check_eq!(send(&one, &bytes[..longest], 0)?, longest as i64);
        check_eq!(two.read(1 << 17)?.len(), longest);
    }
    Ok(())
}

fn addresses_are_in_use() -> Outcome {
    for family in FAMILIES {
        let first = family.bound(DGRAM)?;
        errno_is!(bind(&first, &family.loopback(0)), EINVAL);
        let second = family.socket(DGRAM)?;
        errno_is!(bind(&second, &name(&first)?), EADDRINUSE);
        errno_is!(bind(&second, &family.any(port(&name(&first)?))), EADDRINUSE);
        drop(first);
        bind(&second, &family.loopback(0))?;
    }
    Ok(())
}

fn reuse_of_ports_shares_datagrams() -> Outcome {
    let make = || {
        let socket = Family::V4.socket(DGRAM)?;
        set_option(&socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
        Ok::<_, crate::sys::SysError>(socket)
    };
    let (one, two) = (make()?, make()?);
    bind(&one, &Family::V4.loopback(0))?;
    let address = name(&one)?;
    bind(&two, &address)?;
    for _ in 0..40 {
        send_to(&Family::V4.socket(DGRAM)?, b"x", &address)?;
    }
    for socket in [&one, &two] {
        check!(fd::wait_readable(socket, 1000)?);
    }
    Ok(())
}

fn wildcards_take_both_families() -> Outcome {
    let receiver = Family::V6.socket(DGRAM)?;
    bind(&receiver, &Family::V6.any(0))?;
    let number = port(&name(&receiver)?);
    let (four, six) = (Family::V4.bound(DGRAM)?, Family::V6.bound(DGRAM)?);
    send_to(&four, b"four", &Family::V4.loopback(number))?;
    let (bytes, from) = receive_from(&receiver, 10, 0)?;
    check_eq!(bytes, b"four");
    let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
    check_eq!(from, v6(mapped, port(&name(&four)?)));
    send_to(&six, b"six", &Family::V6.loopback(number))?;
    check_eq!(receiver.read(10)?, b"six");
    Ok(())
}

fn mapped_addresses() -> Outcome {
    let receiver = Family::V4.bound(DGRAM)?;
    let number = port(&name(&receiver)?);
    let sender = Family::V6.socket(DGRAM)?;
    send_to(
        &sender,
        b"mapped",
        &v6(Ipv4Addr::LOCALHOST.to_ipv6_mapped(), number),
    )?;
    check_eq!(receiver.read(10)?, b"mapped");
    // An address of IPv4 will do as well.
    send_to(&sender, b"plain", &Family::V4.loopback(number))?;
    check_eq!(receiver.read(10)?, b"plain");
    let only = Family::V6.socket(DGRAM)?;
    set_option(&only, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
    let mapped = v6(Ipv4Addr::LOCALHOST.to_ipv6_mapped(), number);
    errno_is!(send_to(&only, b"x", &mapped), ENETUNREACH);
    send_to(&only, b"x", &v6(Ipv6Addr::LOCALHOST, number))?;
    Ok(())
}

fn a_full_queue_drops() -> Outcome {
    let (one, two) = pair(Family::V4)?;
    set_option(&two, libc::SOL_SOCKET, libc::SO_RCVBUF, 5000)?;
    for _ in 0..200 {
        send(&one, &[0; 1000], 0)?;
    }
    let mut got = 0;
    while receive(&two, 2000, libc::MSG_DONTWAIT).is_ok() {
        got += 1;
    }
    check!((1..20).contains(&got), "{got}");
    send(&one, b"there is room again", 0)?;
    check_eq!(two.read(100)?, b"there is room again");
    Ok(())
}

fn nonblocking_and_timeouts() -> Outcome {
    let socket = Family::V4.bound(DGRAM | libc::SOCK_NONBLOCK)?;
    errno_is!(socket.read(1), EAGAIN);
    let socket = Family::V4.bound(DGRAM)?;
    let time = [0_i64, 30_000];
    sys!(
        SYS_setsockopt,
        &socket,
        libc::SOL_SOCKET,
        libc::SO_RCVTIMEO,
        &time,
        16
    )?;
    errno_is!(socket.read(1), EAGAIN);
    Ok(())
}

fn more_gathers_a_datagram() -> Outcome {
    let (one, two) = pair(Family::V4)?;
    send(&one, b"one ", libc::MSG_MORE)?;
    send(&one, b"two ", libc::MSG_MORE)?;
    errno_is!(receive(&two, 100, libc::MSG_DONTWAIT), EAGAIN);
    send(&one, b"three", 0)?;
    check_eq!(two.read(100)?, b"one two three");
    Ok(())
}

fn shutdown_of_datagrams() -> Outcome {
    let socket = Family::V4.bound(DGRAM)?;
    errno_is!(sys!(SYS_shutdown, &socket, libc::SHUT_WR), ENOTCONN);
    let (one, two) = pair(Family::V4)?;
    sys!(SYS_shutdown, &one, libc::SHUT_WR)?;
    errno_is!(send(&one, b"x", libc::MSG_NOSIGNAL), EPIPE);
    sys!(SYS_shutdown, &two, libc::SHUT_RD)?;
    check_eq!(two.read(10)?, b"");
    Ok(())
}

fn poll_of_datagrams() -> Outcome {
    let events = libc::POLLIN | libc::POLLOUT;
    let (one, two) = pair(Family::V4)?;
    check_eq!(poll_one(&two, events, 0)?, libc::POLLOUT);
    send(&one, b"x", 0)?;
    check_eq!(poll_one(&two, libc::POLLIN, 1000)?, libc::POLLIN);
    check_eq!(poll_one(&two, events, 0)?, events);
    Ok(())
}

fn readable_bytes_are_those_of_the_next() -> Outcome {
    let (one, two) = pair(Family::V4)?;
    send(&one, b"123", 0)?;
    send(&one, b"45678", 0)?;
    check!(fd::wait_readable(&two, 1000)?);
    let mut count = 0_i32;
    sys!(SYS_ioctl, &two, libc::FIONREAD, &mut count)?;
    check_eq!(count, 3);
    Ok(())
}

fn many_messages_at_once() -> Outcome {
    let (one, two) = pair(Family::V4)?;
    let mut child = process::fork(|| {
        for number in 0..500_u32 {
            if send(&one, &number.to_ne_bytes(), 0).is_err() {
                return 1;
            }
            if number % 50 == 0 {
                crate::support::time::sleep_ms(1);
            }
        }
        0
    })?;
    let mut last = None;
    for _ in 0..100 {
        let bytes = two.read(4)?;
        let number = u32::from_ne_bytes(bytes.try_into().unwrap_or_default());
        check!(last.is_none_or(|last| last < number), "{last:?} {number}");
        last = Some(number);
    }
    check_eq!(child.wait()?.code(), Some(0));
    Ok(())
}

fn binding_to_a_network_address() -> Outcome {
    let socket = Family::V4.socket(DGRAM)?;
    errno_is!(
        bind(&socket, &v4(Ipv4Addr::new(192, 0, 2, 1), 0)),
        EADDRNOTAVAIL
    );
    set_option(&socket, libc::IPPROTO_IP, libc::IP_FREEBIND, 1)?;
    bind(&socket, &v4(Ipv4Addr::new(192, 0, 2, 1), 0))?;
    Ok(())
}

fn options() -> Outcome {
    let socket = Family::V4.socket(DGRAM)?;
    for (level, name, first, set) in [
        (libc::SOL_SOCKET, libc::SO_BROADCAST, 0, 1),
        (libc::SOL_SOCKET, libc::SO_REUSEADDR, 0, 1),
        (libc::IPPROTO_IP, libc::IP_TTL, 64, 3),
        (libc::IPPROTO_IP, libc::IP_MULTICAST_TTL, 1, 9),
        (libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP, 1, 0),
    ] {
        check_eq!((name, option(&socket, level, name)?), (name, first));
        set_option(&socket, level, name, set)?;
        check_eq!((name, option(&socket, level, name)?), (name, set));
    }
    check_eq!(
        option(&socket, libc::SOL_SOCKET, libc::SO_PROTOCOL)?,
        libc::IPPROTO_UDP
    );
    errno_is!(
        option(&socket, libc::IPPROTO_TCP, libc::TCP_NODELAY),
        EOPNOTSUPP
    );
    Ok(())
}

fn names_change_with_connect() -> Outcome {
    let other = Family::V4.bound(DGRAM)?;
    let socket = Family::V4.socket(DGRAM)?;
    bind(&socket, &Family::V4.any(0))?;
    let number = port(&name(&socket)?);
    check_eq!(name(&socket)?, Family::V4.any(number));
    connect(&socket, &name(&other)?)?;
    check_eq!(name(&socket)?, Family::V4.loopback(number));
    Ok(())
}

fn not_a_listener() -> Outcome {
    let socket = Family::V6.bound(DGRAM)?;
    errno_is!(sys!(SYS_listen, &socket, 1), EOPNOTSUPP);
    errno_is!(sys!(SYS_accept, &socket, 0, 0), EOPNOTSUPP);
    Ok(())
}
