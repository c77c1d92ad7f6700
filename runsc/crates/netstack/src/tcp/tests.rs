//! Connections between sockets of one stack.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use abi::Errno;

use super::{SendFlags, Socket, State};
use crate::tests::{Clock, Ear, from, stack};
use crate::{Config, Family, Readiness, Shutdown, Stack, Take};

fn socket(stack: &Stack, family: Family) -> (Arc<Socket>, Arc<Ear>) {
    let ear = Arc::new(Ear::default());
    (stack.tcp(family, ear.clone()), ear)
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn listener(stack: &Stack, place: SocketAddr) -> (Arc<Socket>, Arc<Ear>) {
    let family = if place.is_ipv4() {
        Family::Ipv4
    } else {
        Family::Ipv6
    };
    let (server, ear) = socket(stack, family);
    server.bind(place).unwrap();
    server.listen(8).unwrap();
    (server, ear)
}

fn accept(server: &Socket) -> Result<(Arc<Socket>, Arc<Ear>), Errno> {
    let ear = Arc::new(Ear::default());
    server
        .accept(ear.clone())
        .map(|accepted| (accepted, ear.clone()))
}

struct Pair {
    stack: Arc<Stack>,
    clock: Arc<Clock>,
    server: Arc<Socket>,
    client: Arc<Socket>,
    client_ear: Arc<Ear>,
    accepted: Arc<Socket>,
    accepted_ear: Arc<Ear>,
}

fn pair() -> Pair {
    let (stack, clock) = stack();
    let place = at("127.0.0.1:80");
    let (server, _) = listener(&stack, place);
    let (client, client_ear) = socket(&stack, Family::Ipv4);
    assert_eq!(client.connect(place), Err(Errno::EINPROGRESS));
    assert_eq!(client_ear.heard(), Readiness::OUT);
    let (accepted, accepted_ear) = accept(&server).unwrap();
    Pair {
        stack,
        clock,
        server,
        client,
        client_ear,
        accepted,
        accepted_ear,
    }
}

impl Pair {
    fn pass(&self, time: Duration) {
        self.clock.pass(&self.stack, time);
    }
}

fn send(socket: &Arc<Socket>, bytes: &[u8]) -> Result<usize, Errno> {
    socket.send(bytes.len(), SendFlags::empty(), &mut from(bytes))
}

fn receive(socket: &Arc<Socket>, max: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    socket.receive(max, Take::Remove, &mut |piece| {
        bytes.extend_from_slice(piece);
        Ok(piece.len())
    })?;
    Ok(bytes)
}

#[test]
fn bytes_go_both_ways() {
    for place in [at("127.0.0.1:80"), at("[::1]:80")] {
        let (stack, clock) = stack();
        let (server, ear) = listener(&stack, place);
        let (client, _) = socket(&stack, server.family);
        assert_eq!(client.connect(place), Err(Errno::EINPROGRESS));
        assert_eq!(client.connect(place), Ok(()));
        assert_eq!(client.connect(place), Err(Errno::EISCONN));
        assert_eq!(ear.heard(), Readiness::IN);
        let (accepted, accepted_ear) = accept(&server).unwrap();
        assert_eq!(accepted.peer_address(), Ok(client.local_address()));
        assert_eq!(client.peer_address(), Ok(place));
        assert_eq!(send(&client, b"question"), Ok(8));
        assert!(accepted_ear.heard().contains(Readiness::IN));
        assert_eq!(receive(&accepted, 100).unwrap(), b"question");
        assert_eq!(receive(&accepted, 100), Err(Errno::EAGAIN));
        assert_eq!(send(&accepted, b"answer"), Ok(6));
        assert_eq!(receive(&client, 4).unwrap(), b"answ");
        assert_eq!(receive(&client, 100).unwrap(), b"er");
        for socket in [client, accepted, server] {
            socket.close();
        }
        clock.pass(&stack, Duration::from_secs(100));
        assert_eq!(stack.timers(), 0);
    }
}

#[test]
fn nothing_is_kept_of_what_is_over() {
    let pair = pair();
    send(&pair.client, &[1; 100_000]).unwrap();
    while receive(&pair.accepted, 100_000).is_ok() {}
    pair.client.close();
    assert_eq!(receive(&pair.accepted, 1).unwrap(), b"");
    pair.accepted.close();
    pair.server.close();
    assert_eq!(pair.stack.connections(), 1, "one is in TIME_WAIT");
    pair.pass(Duration::from_secs(61));
    assert_eq!(pair.stack.connections(), 0);
    let clock = pair.clock.clone();
    drop(pair);
    assert_eq!(clock.charged.load(Ordering::Relaxed), 0);
}

#[test]
fn a_port_without_a_listener_refuses() {
    let (stack, _) = stack();
    let (client, ear) = socket(&stack, Family::Ipv4);
    assert_eq!(client.connect(at("127.0.0.1:81")), Err(Errno::EINPROGRESS));
    assert!(ear.heard().contains(Readiness::ERROR | Readiness::OUT));
    assert_eq!(client.connect(at("127.0.0.1:81")), Err(Errno::ECONNREFUSED));
    assert_eq!(client.connect(at("127.0.0.1:81")), Err(Errno::EINPROGRESS));
    assert_eq!(client.take_error(), Some(Errno::ECONNREFUSED));
    assert_eq!(client.connect(at("127.0.0.1:81")), Err(Errno::ECONNABORTED));
    assert_eq!(client.connect(at("10.0.0.1:81")), Err(Errno::ENETUNREACH));
}

#[test]
fn much_goes_through_small_windows() {
    let pair = pair();
    let bytes: Vec<u8> = (0..3_000_000_u32)
        .map(|byte| u8::try_from(byte % 251).unwrap())
        .collect();
    let (mut sent, mut received) = (0, Vec::new());
    while received.len() < bytes.len() {
        match send(&pair.client, &bytes[sent..]) {
            Ok(more) => sent += more,
            Err(errno) => {
                assert!(errno == Errno::EAGAIN || (errno == Errno::EPIPE && sent == bytes.len()));
            }
        }
        while let Ok(more) = receive(&pair.accepted, 10_000) {
            received.extend(more);
        }
        pair.pass(Duration::from_millis(1));
    }
    assert_eq!(received, bytes);
    assert_eq!(pair.client.info().total_retransmits, 0);
}

#[test]
fn a_full_socket_tells_when_there_is_room() {
    let pair = pair();
    while send(&pair.client, &[0; 50_000]).is_ok() {}
    assert!(!pair.client.readiness().contains(Readiness::OUT));
    pair.client_ear.heard();
    while receive(&pair.accepted, 1 << 20).is_ok() {}
    assert!(pair.client_ear.heard().contains(Readiness::OUT));
    assert!(pair.client.readiness().contains(Readiness::OUT));
}

#[test]
fn one_direction_can_be_shut() {
    let pair = pair();
    send(&pair.client, b"last").unwrap();
    pair.client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(send(&pair.client, b"x"), Err(Errno::EPIPE));
    assert!(pair.accepted_ear.heard().contains(Readiness::READ_HANGUP));
    assert_eq!(receive(&pair.accepted, 9).unwrap(), b"last");
    assert_eq!(receive(&pair.accepted, 9).unwrap(), b"");
    assert_eq!(pair.accepted.state(), State::CloseWait);
    assert_eq!(pair.client.state(), State::FinWait2);
    send(&pair.accepted, b"still").unwrap();
    assert_eq!(receive(&pair.client, 9).unwrap(), b"still");
    pair.accepted.close();
    assert_eq!(receive(&pair.client, 9).unwrap(), b"");
    assert!(pair.client.readiness().contains(Readiness::HANGUP));
    assert_eq!(pair.client.state(), State::Closed);
}

#[test]
fn unread_data_make_a_reset() {
    let pair = pair();
    send(&pair.client, b"unread").unwrap();
    pair.accepted.close();
    assert!(pair.client_ear.heard().contains(Readiness::ERROR));
    assert_eq!(receive(&pair.client, 9), Err(Errno::ECONNRESET));
    assert_eq!(receive(&pair.client, 9).unwrap(), b"");
}

#[test]
fn linger_zero_makes_a_reset() {
    let pair = pair();
    pair.client
        .configure(|options| options.linger = Some(Duration::ZERO));
    pair.client.close();
    assert_eq!(send(&pair.accepted, b"x"), Err(Errno::ECONNRESET));
    assert_eq!(send(&pair.accepted, b"x"), Err(Errno::EPIPE));
    assert_eq!(pair.stack.connections(), 0);
}

#[test]
fn writing_to_who_closed_is_a_reset_then_a_broken_pipe() {
    let pair = pair();
    pair.accepted.close();
    assert_eq!(send(&pair.client, b"x"), Ok(1));
    assert_eq!(send(&pair.client, b"x"), Err(Errno::EPIPE));
}

#[test]
fn the_backlog_is_one_more() {
    let (stack, clock) = stack();
    let place = at("127.0.0.1:80");
    let (server, _) = socket(&stack, Family::Ipv4);
    server.bind(place).unwrap();
    server.listen(1).unwrap();
    let clients: Vec<_> = (0..4).map(|_| socket(&stack, Family::Ipv4).0).collect();
    for client in &clients {
        assert_eq!(client.connect(place), Err(Errno::EINPROGRESS));
    }
    let states: Vec<_> = clients.iter().map(|client| client.state()).collect();
    assert_eq!(states[..2], [State::Established; 2]);
    assert_eq!(states[2..], [State::SynSent; 2]);
    accept(&server).unwrap();
    accept(&server).unwrap();
    clock.pass(&stack, Duration::from_secs(2));
    assert!(
        clients
            .iter()
            .all(|client| client.state() == State::Established)
    );
}

#[test]
fn cookies_open_connections_without_a_queue() {
    let (stack, _) = stack();
    stack.reconfigure(|config| config.tcp_syn_cookies = 2);
    let place = at("127.0.0.1:80");
    let (server, _) = listener(&stack, place);
    let (client, _) = socket(&stack, Family::Ipv4);
    assert_eq!(client.connect(place), Err(Errno::EINPROGRESS));
    assert_eq!(client.state(), State::Established);
    let (accepted, _) = accept(&server).unwrap();
    send(&client, &[5; 200_000]).unwrap();
    assert_eq!(receive(&accepted, 10).unwrap(), [5; 10]);
    assert!(accepted.info().has_sack && accepted.info().scales.is_some());
}

#[test]
fn a_closed_listener_resets_who_waits() {
    let (stack, _) = stack();
    let place = at("127.0.0.1:80");
    let (server, _) = listener(&stack, place);
    let (client, _) = socket(&stack, Family::Ipv4);
    let _begun = client.connect(place);
    server.close();
    assert_eq!(client.take_error(), Some(Errno::ECONNRESET));
    let (again, _) = socket(&stack, Family::Ipv4);
    again.bind(place).unwrap();
    assert_eq!(stack.connections(), 0);
}

#[test]
fn urgent_data_are_out_of_band() {
    let pair = pair();
    send(&pair.client, b"ab").unwrap();
    pair.client
        .send(1, SendFlags::OUT_OF_BAND, &mut from(b"!"))
        .unwrap();
    send(&pair.client, b"cd").unwrap();
    assert!(pair.accepted_ear.heard().contains(Readiness::PRIORITY));
    assert_eq!(pair.accepted.receive_urgent(Take::Remove), Ok(b'!'));
    assert_eq!(
        pair.accepted.receive_urgent(Take::Remove),
        Err(Errno::EINVAL)
    );
    assert!(!pair.accepted.at_mark());
    assert_eq!(receive(&pair.accepted, 9).unwrap(), b"ab");
    assert!(pair.accepted.at_mark());
    assert_eq!(receive(&pair.accepted, 9).unwrap(), b"cd");
}

#[test]
fn urgent_data_can_stay_in_line() {
    let pair = pair();
    pair.accepted
        .configure(|options| options.urgent_inline = true);
    pair.client
        .send(3, SendFlags::OUT_OF_BAND, &mut from(b"ab!"))
        .unwrap();
    send(&pair.client, b"cd").unwrap();
    assert_eq!(receive(&pair.accepted, 9).unwrap(), b"ab");
    assert_eq!(receive(&pair.accepted, 9).unwrap(), b"!cd");
}

#[test]
fn a_corked_segment_waits() {
    let pair = pair();
    pair.client.configure_tcp(|options| options.cork = true);
    send(&pair.client, b"head").unwrap();
    assert_eq!(receive(&pair.accepted, 9), Err(Errno::EAGAIN));
    pair.pass(Duration::from_millis(201));
    assert_eq!(receive(&pair.accepted, 9).unwrap(), b"head");
    send(&pair.client, b"more").unwrap();
    pair.client.configure_tcp(|options| options.cork = false);
    assert_eq!(receive(&pair.accepted, 9).unwrap(), b"more");
}

#[test]
fn an_idle_peer_that_answers_is_kept() {
    let pair = pair();
    pair.client.configure(|options| options.keep_alive = true);
    pair.client
        .configure_tcp(|options| options.keep_idle = Duration::from_secs(10));
    pair.pass(Duration::from_secs(1000));
    assert_eq!(pair.client.state(), State::Established);
    assert!(pair.client.info().segments_out > 10);
}

#[test]
fn both_can_open_at_once() {
    let (stack, _) = stack();
    let (socket, _) = socket(&stack, Family::Ipv4);
    socket.bind(at("127.0.0.1:5000")).unwrap();
    assert_eq!(
        socket.connect(at("127.0.0.1:5000")),
        Err(Errno::EINPROGRESS)
    );
    assert_eq!(socket.state(), State::Established);
    send(&socket, b"to myself").unwrap();
    assert_eq!(receive(&socket, 99).unwrap(), b"to myself");
}

#[test]
fn ports_in_time_wait_are_used_again() {
    let (stack, clock) = stack();
    stack.reconfigure(|config| config.local_ports = (40_000, 40_001));
    let place = at("127.0.0.1:80");
    let (server, _) = listener(&stack, place);
    for turn in 0..10 {
        let (client, _) = socket(&stack, Family::Ipv4);
        assert_eq!(client.connect(place), Err(Errno::EINPROGRESS), "{turn}");
        assert_eq!(client.state(), State::Established, "{turn}");
        let (accepted, _) = accept(&server).unwrap();
        client.close();
        accepted.close();
        clock.pass(&stack, Duration::from_millis(1100));
    }
    assert!(stack.connections() <= 2);
}

#[test]
fn memory_that_is_refused_is_no_panic() {
    let pair = pair();
    pair.clock.refuse.store(true, Ordering::Relaxed);
    assert_eq!(send(&pair.client, &[0; 1 << 20]), Err(Errno::ENOBUFS));
    pair.clock.refuse.store(false, Ordering::Relaxed);
    assert_eq!(send(&pair.client, b"x"), Ok(1));
    assert_eq!(receive(&pair.accepted, 1).unwrap(), b"x");
}

#[test]
fn settings_are_those_of_linux() {
    let (stack, _) = stack();
    let (socket, _) = socket(&stack, Family::Ipv4);
    assert_eq!(socket.options().receive_buffer, 131_072);
    assert_eq!(socket.readiness(), Readiness::OUT | Readiness::HANGUP);
    assert_eq!(
        socket.tcp_options().keep_idle,
        Config::default().tcp_keepalive_time
    );
    assert_eq!(receive(&socket, 1), Err(Errno::ENOTCONN));
}

#[test]
fn sockets_are_listed() {
    let pair = pair();
    let states = |stack: &Stack| {
        let mut states: Vec<u8> = stack
            .sockets()
            .iter()
            .map(|entry| entry.state as u8)
            .collect();
        states.sort_unstable();
        states
    };
    assert_eq!(states(&pair.stack), [1, 1, 10]);
    pair.client.close();
    pair.accepted.close();
    assert_eq!(states(&pair.stack), [6, 10]);
    let entry = pair
        .stack
        .sockets()
        .into_iter()
        .find(|entry| entry.state == State::Listen)
        .unwrap();
    assert_eq!(
        (entry.id, entry.local, entry.queued.send),
        (pair.server.id(), at("127.0.0.1:80"), 8)
    );
}
