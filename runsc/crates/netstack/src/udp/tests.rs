//! Datagrams between sockets of one stack.

use std::net::SocketAddr;
use std::sync::Arc;

use abi::Errno;

use super::{SendTo, Socket};
use crate::tests::{Ear, from, stack};
use crate::{Family, Readiness, Stack, Take};

fn socket(stack: &Stack, family: Family) -> (Arc<Socket>, Arc<Ear>) {
    let ear = Arc::new(Ear::default());
    (stack.udp(family, ear.clone()), ear)
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn send(socket: &Arc<Socket>, to: SocketAddr, bytes: &[u8]) -> Result<usize, Errno> {
    socket.send(
        &SendTo {
            address: Some(to),
            ..SendTo::default()
        },
        bytes.len(),
        &mut from(bytes),
    )
}

#[test]
fn a_datagram_arrives_with_its_sender() {
    for (family, place) in [(Family::Ipv4, "127.0.0.1:53"), (Family::Ipv6, "[::1]:53")] {
        let (stack, clock) = stack();
        let (server, ear) = socket(&stack, family);
        server.bind(at(place)).unwrap();
        let (client, _) = socket(&stack, family);
        assert_eq!(send(&client, at(place), b"question"), Ok(8));
        assert_eq!(ear.heard(), Readiness::IN);
        assert_eq!(
            server.receive(Take::Peek).unwrap().payload.to_vec(),
            b"question"
        );
        let message = server.receive(Take::Remove).unwrap();
        assert_eq!(message.from.ip(), at(place).ip());
        assert_eq!(message.from.port(), client.local_address().port());
        assert_eq!(server.receive(Take::Remove).err(), Some(Errno::EAGAIN));
        server.close();
        client.close();
        assert_eq!(clock.charged.load(std::sync::atomic::Ordering::Relaxed), 0);
    }
}

#[test]
fn a_dual_stack_socket_hears_both_families() {
    let (stack, _) = stack();
    let (server, _) = socket(&stack, Family::Ipv6);
    server.bind(at("[::]:53")).unwrap();
    let (client, _) = socket(&stack, Family::Ipv4);
    send(&client, at("127.0.0.1:53"), b"four").unwrap();
    let message = server.receive(Take::Remove).unwrap();
    assert_eq!(message.from.ip(), at("[::ffff:127.0.0.1]:1").ip());
    send(&server, message.from, b"back").unwrap();
    assert_eq!(
        client.receive(Take::Remove).unwrap().from,
        at("127.0.0.1:53")
    );
}

#[test]
fn a_connected_socket_hears_of_a_closed_port() {
    let (stack, _) = stack();
    let (client, ear) = socket(&stack, Family::Ipv4);
    client.connect(Some(at("127.0.0.1:9"))).unwrap();
    let to_peer = SendTo::default();
    client.send(&to_peer, 1, &mut from(b"x")).unwrap();
    assert_eq!(ear.heard(), Readiness::ERROR);
    assert_eq!(
        client.send(&to_peer, 1, &mut from(b"x")),
        Err(Errno::ECONNREFUSED)
    );
    client.send(&to_peer, 1, &mut from(b"x")).unwrap();
    assert_eq!(client.take_error(), Some(Errno::ECONNREFUSED));
    assert_eq!(client.take_error(), None);
}

#[test]
fn the_error_queue_says_who_refused() {
    let (stack, _) = stack();
    let (client, _) = socket(&stack, Family::Ipv6);
    client.configure(|options| options.receive_errors_v6 = true);
    send(&client, at("[::1]:9"), b"lost").unwrap();
    let error = client.error_queue().unwrap();
    assert_eq!(
        (error.errno, error.kind, error.code),
        (Errno::ECONNREFUSED, 1, 4)
    );
    assert_eq!(
        (error.destination, error.payload.to_vec().as_slice()),
        (at("[::1]:9"), &b"lost"[..])
    );
}

#[test]
fn a_connected_socket_hears_only_its_peer() {
    let (stack, _) = stack();
    let (one, _) = socket(&stack, Family::Ipv4);
    let (peer, _) = socket(&stack, Family::Ipv4);
    let (other, _) = socket(&stack, Family::Ipv4);
    one.bind(at("127.0.0.1:1000")).unwrap();
    peer.bind(at("127.0.0.1:1001")).unwrap();
    one.connect(Some(at("127.0.0.1:1001"))).unwrap();
    send(&other, at("127.0.0.1:1000"), b"x").unwrap();
    assert_eq!(one.receive(Take::Remove).err(), Some(Errno::EAGAIN));
    send(&peer, at("127.0.0.1:1000"), b"y").unwrap();
    assert!(one.receive(Take::Remove).is_ok());
    one.connect(None).unwrap();
    assert_eq!(one.peer_address(), Err(Errno::ENOTCONN));
    send(&other, at("127.0.0.1:1000"), b"x").unwrap();
    assert!(one.receive(Take::Remove).is_ok());
}

#[test]
fn a_full_queue_drops() {
    let (stack, _) = stack();
    let (server, _) = socket(&stack, Family::Ipv4);
    server.bind(at("127.0.0.1:1000")).unwrap();
    server.configure(|options| options.receive_buffer = 10_000);
    let (client, _) = socket(&stack, Family::Ipv4);
    for _ in 0..100 {
        send(&client, at("127.0.0.1:1000"), &[7; 1000]).unwrap();
    }
    let received = std::iter::from_fn(|| server.receive(Take::Remove).ok()).count();
    assert!((4..10).contains(&received), "{received}");
}

#[test]
fn errors_are_linuxs() {
    let (stack, _) = stack();
    let (socket, _) = socket(&stack, Family::Ipv4);
    assert_eq!(
        socket.send(&SendTo::default(), 1, &mut from(b"x")),
        Err(Errno::EDESTADDRREQ)
    );
    assert_eq!(
        send(&socket, at("127.0.0.1:9"), &vec![0; 65_508]),
        Err(Errno::EMSGSIZE)
    );
    assert_eq!(
        send(&socket, at("10.0.0.1:9"), b"x"),
        Err(Errno::ENETUNREACH)
    );
    assert_eq!(send(&socket, at("[::1]:9"), b"x"), Err(Errno::EAFNOSUPPORT));
    assert_eq!(socket.bind(at("10.0.0.1:9")), Err(Errno::EADDRNOTAVAIL));
    socket.bind(at("127.0.0.1:1000")).unwrap();
    assert_eq!(socket.bind(at("127.0.0.1:1001")), Err(Errno::EINVAL));
    let other = Socket::new(
        &socket.core,
        Family::Ipv4,
        super::Kind::Udp,
        Arc::new(Ear::default()),
    );
    assert_eq!(other.bind(at("0.0.0.0:1000")), Err(Errno::EADDRINUSE));
}

#[test]
fn a_segmented_message_is_many_datagrams() {
    let (stack, _) = stack();
    let (server, _) = socket(&stack, Family::Ipv4);
    server.bind(at("127.0.0.1:1000")).unwrap();
    let (client, _) = socket(&stack, Family::Ipv4);
    let to = SendTo {
        address: Some(at("127.0.0.1:1000")),
        segment: Some(4),
        ..SendTo::default()
    };
    client.send(&to, 10, &mut from(b"0123456789")).unwrap();
    let parts: Vec<_> = std::iter::from_fn(|| server.receive(Take::Remove).ok())
        .map(|message| message.payload.to_vec())
        .collect();
    assert_eq!(parts, [&b"0123"[..], b"4567", b"89"]);
}
