//! Ethernet, neighbors, fragments and errors between two stacks, and frames of attackers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use abi::Errno;
use proptest::prelude::*;

use crate::sim::{Faults, Kind, World};
use crate::tests::{Ear, from};
use crate::{Embedder as _, Family, Group, Take, tcp, udp};

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn world(mtu: u32, kind: Kind) -> World {
    let faults = Faults {
        delay: Duration::from_millis(1),
        ..Faults::default()
    };
    World::new(5, mtu, faults, kind)
}

fn udp(world: &World, stack: usize, family: Family) -> Arc<udp::Socket> {
    world.stacks[stack].udp(family, Arc::new(Ear::default()))
}

fn send(socket: &Arc<udp::Socket>, to: SocketAddr, bytes: &[u8]) -> Result<usize, Errno> {
    let to = udp::SendTo {
        address: Some(to),
        ..udp::SendTo::default()
    };
    socket.send(&to, bytes.len(), &mut from(bytes))
}

fn settle(world: &World) {
    while world.step() {}
}

fn settle_for(world: &World, time: Duration) {
    while world.clock.now() < time && world.step() {}
}

#[test]
fn neighbors_are_found_and_their_packets_wait() {
    for (place, family) in [
        (at("10.0.0.2:9"), Family::Ipv4),
        (at("[fd00::2]:9"), Family::Ipv6),
    ] {
        let world = world(1500, Kind::Ethernet);
        let server = udp(&world, 1, family);
        server.bind(place).unwrap();
        let client = udp(&world, 0, family);
        send(&client, place, b"one").unwrap();
        send(&client, place, b"two").unwrap();
        settle(&world);
        assert_eq!(
            server.receive(Take::Remove).unwrap().payload.to_vec(),
            b"one"
        );
        let second = server.receive(Take::Remove).unwrap();
        assert_eq!(second.payload.to_vec(), b"two");
        send(&server, second.from, b"back").unwrap();
        settle(&world);
        assert_eq!(
            client.receive(Take::Remove).unwrap().payload.to_vec(),
            b"back"
        );
        let neighbors = world.stacks[0].neighbors();
        assert_eq!(neighbors.len(), 1);
        assert_eq!(
            (neighbors[0].ip, neighbors[0].hardware),
            (place.ip(), Some([2, 0, 0, 0, 0, 2]))
        );
    }
}

#[test]
fn a_neighbor_that_is_not_there_is_a_host_unreachable() {
    let world = world(1500, Kind::Ethernet);
    let client = world.stacks[0].tcp(Family::Ipv4, Arc::new(Ear::default()));
    assert_eq!(client.connect(at("10.0.0.77:80")), Err(Errno::EINPROGRESS));
    while client.state() == tcp::State::SynSent {
        assert!(world.step());
    }
    assert_eq!(client.take_error(), Some(Errno::EHOSTUNREACH));
    assert!(world.clock.now() < Duration::from_secs(5));
}

#[test]
fn long_datagrams_are_cut_up_and_put_together() {
    for (place, family) in [
        (at("10.0.0.2:9"), Family::Ipv4),
        (at("[fd00::2]:9"), Family::Ipv6),
    ] {
        let world = world(1500, Kind::Ethernet);
        let server = udp(&world, 1, family);
        server.bind(place).unwrap();
        let client = udp(&world, 0, family);
        let bytes: Vec<u8> = (0..30_000)
            .map(|at| u8::try_from(at % 253).unwrap())
            .collect();
        send(&client, place, &bytes).unwrap();
        settle(&world);
        assert!(server.receive(Take::Remove).unwrap().payload.to_vec() == bytes);
    }
}

#[test]
fn a_lost_fragment_is_forgotten() {
    let world = World::new(
        5,
        1500,
        Faults {
            loss: 200,
            ..Faults::default()
        },
        Kind::Bare,
    );
    let server = udp(&world, 1, Family::Ipv4);
    server.bind(at("10.0.0.2:9")).unwrap();
    let client = udp(&world, 0, Family::Ipv4);
    for _ in 0..30 {
        send(&client, at("10.0.0.2:9"), &[0; 60_000]).unwrap();
    }
    while world.clock.now() < Duration::from_secs(1) && world.step() {}
    settle(&world);
    server.close();
    assert_eq!(world.held(), 0);
}

#[test]
fn a_datagram_that_must_not_be_cut_is_too_long() {
    let world = world(1500, Kind::Bare);
    let client = udp(&world, 0, Family::Ipv4);
    client.configure(|options| options.path_mtu = crate::PathMtu::Do);
    assert_eq!(
        send(&client, at("10.0.0.2:9"), &[0; 1473]),
        Err(Errno::EMSGSIZE)
    );
    assert_eq!(send(&client, at("10.0.0.2:9"), &[0; 1472]), Ok(1472));
}

#[test]
fn a_closed_port_elsewhere_is_heard_of() {
    let world = world(1500, Kind::Ethernet);
    for place in [at("10.0.0.2:9"), at("[fd00::2]:9")] {
        let family = if place.is_ipv4() {
            Family::Ipv4
        } else {
            Family::Ipv6
        };
        let client = udp(&world, 0, family);
        client.connect(Some(place)).unwrap();
        send(&client, place, b"x").unwrap();
        settle(&world);
        assert_eq!(client.take_error(), Some(Errno::ECONNREFUSED));
    }
}

#[test]
fn a_ping_is_answered() {
    for (place, family, kinds) in [
        (at("10.0.0.2:0"), Family::Ipv4, (8, 0)),
        (at("[fd00::2]:0"), Family::Ipv6, (128, 129)),
        (at("127.0.0.1:0"), Family::Ipv4, (8, 0)),
    ] {
        let world = world(1500, Kind::Ethernet);
        let ping = world.stacks[0].ping(family, Arc::new(Ear::default()));
        let protocol = if place.is_ipv4() { 1 } else { 58 };
        let raw = world.stacks[0].raw(family, protocol, Arc::new(Ear::default()));
        raw.configure(|options| {
            options.icmp6_filter = [0, 0, 0, 0, 0xff, 0, 0, 0].map(|word: u32| word & 0xffff_ff00);
        });
        let request = [kinds.0, 0, 0, 0, 0, 0, 0, 7, b'h', b'i'];
        send(&ping, place, &request).unwrap();
        settle(&world);
        let answer = ping.receive(Take::Remove).unwrap().payload.to_vec();
        assert_eq!(answer[0], kinds.1);
        assert_eq!(answer[4..6], ping.local_address().port().to_be_bytes());
        assert_eq!(answer[6..], request[6..]);
        let seen: Vec<_> = std::iter::from_fn(|| raw.receive(Take::Remove).ok()).collect();
        let header = if place.is_ipv4() { 20 } else { 0 };
        assert!(
            seen.iter()
                .any(|one| one.payload.to_vec()[header] == kinds.1)
        );
        assert_eq!(send(&ping, place, &[kinds.1; 8]), Err(Errno::EINVAL));
        let lost: SocketAddr = if place.is_ipv4() {
            at("10.0.0.2:9")
        } else {
            at("[fd00::2]:9")
        };
        let sender = world.stacks[0].raw(family, 253, Arc::new(Ear::default()));
        send(&sender, lost, b"unknown protocol").unwrap();
        settle(&world);
        let seen: Vec<_> = std::iter::from_fn(|| raw.receive(Take::Remove).ok()).collect();
        assert!(
            seen.iter()
                .any(|one| one.payload.to_vec()[header] == if place.is_ipv4() { 3 } else { 4 })
        );
    }
}

#[test]
fn a_raw_socket_can_write_the_header() {
    let world = world(1500, Kind::Bare);
    let server = udp(&world, 1, Family::Ipv4);
    server.bind(at("10.0.0.2:9")).unwrap();
    let client = udp(&world, 0, Family::Ipv4);
    send(&client, at("10.0.0.2:9"), b"model").unwrap();
    let mut packet = world.take_frames().remove(0);
    packet[12..16].fill(0);
    packet[2..4].fill(0);
    let raw = world.stacks[0].raw(Family::Ipv4, 255, Arc::new(Ear::default()));
    raw.configure(|options| options.header_included = true);
    send(&raw, at("10.0.0.2:0"), &packet).unwrap();
    settle(&world);
    let message = server.receive(Take::Remove).unwrap();
    assert_eq!(
        (message.payload.to_vec().as_slice(), message.from.ip()),
        (&b"model"[..], at("10.0.0.1:0").ip())
    );
}

#[test]
fn nothing_outlives_a_stack() {
    let world = world(1500, Kind::Bare);
    let server = world.stacks[1].tcp(Family::Ipv4, Arc::new(Ear::default()));
    server.bind(at("10.0.0.2:80")).unwrap();
    server.listen(3).unwrap();
    let client = world.stacks[0].tcp(Family::Ipv4, Arc::new(Ear::default()));
    let _begun = client.connect(at("10.0.0.2:80"));
    settle_for(&world, Duration::from_secs(1));
    assert!(world.held() > 0);
    let observed = Arc::downgrade(&world.stacks[1].core);
    let (world, clocks) = world.end();
    drop((server, client, world));
    assert!(observed.upgrade().is_none());
    assert_eq!(
        clocks[1].charged.load(std::sync::atomic::Ordering::Relaxed),
        0
    );
}

#[test]
fn packets_from_nowhere_are_dropped() {
    let world = world(1500, Kind::Bare);
    let server = udp(&world, 1, Family::Ipv4);
    server.bind(at("0.0.0.0:9")).unwrap();
    let client = udp(&world, 0, Family::Ipv4);
    send(&client, at("10.0.0.2:9"), b"true").unwrap();
    let frame = world.take_frames().remove(0);
    for source in [
        [127, 0, 0, 1],
        [10, 0, 0, 2],
        [224, 0, 0, 1],
        [255, 255, 255, 255],
    ] {
        let mut forged = frame.clone();
        forged[12..16].copy_from_slice(&source);
        world.inject(&forged);
        assert_eq!(
            server.receive(Take::Remove).err(),
            Some(Errno::EAGAIN),
            "{source:?}"
        );
    }
    let mut inside = frame.clone();
    inside[16..20].copy_from_slice(&[127, 0, 0, 1]);
    world.inject(&inside);
    assert_eq!(server.receive(Take::Remove).err(), Some(Errno::EAGAIN));
    world.inject(&frame);
    assert!(server.receive(Take::Remove).is_ok());
}

/// Frames as both stacks send them in a conversation of all protocols.
fn conversation(kind: Kind) -> Vec<Vec<u8>> {
    let world = world(1500, kind);
    let mut frames = Vec::new();
    for place in [at("10.0.0.2:80"), at("[fd00::2]:80")] {
        let family = if place.is_ipv4() {
            Family::Ipv4
        } else {
            Family::Ipv6
        };
        let datagrams = udp(&world, 0, family);
        let stream = world.stacks[0].tcp(family, Arc::new(Ear::default()));
        let _begun = stream.connect(place);
        let _sent = send(&datagrams, place, &[1; 4000]);
        frames.extend(world.take_frames());
        for _ in 0..2 {
            world.step();
            frames.extend(world.take_frames());
        }
    }
    frames
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_frame_panics(kind in prop::sample::select(vec![Kind::Ethernet, Kind::Bare]), frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..40)) {
        let world = world(1500, kind);
        for frame in &frames {
            world.inject(frame);
        }
    }

    #[test]
    fn no_frame_that_is_nearly_right_panics_or_grows(
        kind in prop::sample::select(vec![Kind::Ethernet, Kind::Bare]),
        seed in any::<u64>(),
        changes in prop::collection::vec((any::<u16>(), any::<u16>(), any::<u8>(), any::<u16>()), 1..400),
    ) {
        let frames = conversation(kind);
        let world = World::new(seed, 1500, Faults::default(), kind);
        let server = world.stacks[1].tcp(Family::Ipv6, Arc::new(Ear::default()));
        server.bind(at("[::]:80")).unwrap();
        server.listen(20).unwrap();
        let datagrams = udp(&world, 1, Family::Ipv6);
        datagrams.bind(at("[::]:80")).unwrap();
        for (which, place, value, cut) in changes {
            let mut frame = frames[usize::from(which) % frames.len()].clone();
            let place = usize::from(place) % frame.len();
            frame[place] = value;
            if cut % 8 == 0 {
                frame.truncate(usize::from(cut) % frame.len());
            }
            world.inject(&frame);
        }
        prop_assert!(world.held() < 4 << 20, "{}", world.held());
        server.close();
        datagrams.close();
        while world.step() && world.clock.now() < Duration::from_secs(3000) {}
        prop_assert_eq!(world.held(), 0);
        prop_assert_eq!(world.stacks[1].connections(), 0);
    }
}

#[test]
fn a_flood_of_fragments_is_bounded() {
    let world = world(1500, Kind::Bare);
    let client = udp(&world, 0, Family::Ipv4);
    for _ in 0..5000 {
        send(&client, at("10.0.0.2:9"), &[0; 4000]).unwrap();
        let frames = world.take_frames();
        world.inject(&frames[0]);
    }
    assert!(world.held() <= (4 << 20) + (64 << 10), "{}", world.held());
}

#[test]
fn a_flood_of_syns_leaves_others_alive() {
    let world = world(1500, Kind::Bare);
    let server = world.stacks[1].tcp(Family::Ipv4, Arc::new(Ear::default()));
    server.bind(at("10.0.0.2:80")).unwrap();
    server.listen(64).unwrap();
    let client = world.stacks[0].tcp(Family::Ipv4, Arc::new(Ear::default()));
    let _begun = client.connect(at("10.0.0.2:80"));
    let syn = world.take_frames().remove(0);
    for source in 0..5000_u16 {
        let mut forged = syn.clone();
        forged[14..16].copy_from_slice(&source.to_be_bytes());
        forged[12] = 11;
        world.inject(&forged);
    }
    assert!(world.held() < 128 << 10, "{}", world.held());
    assert_eq!(world.stacks[1].connections(), 0);
    // The handshake of somebody who is there goes on, with a cookie.
    world.inject(&syn);
    while client.state() == tcp::State::SynSent {
        assert!(world.step());
    }
    assert_eq!(client.state(), tcp::State::Established);
    while server.accept(Arc::new(Ear::default())).is_err() {
        assert!(world.step());
    }
}

#[test]
fn what_happens_is_counted() {
    let world = world(1500, Kind::Ethernet);
    let client = udp(&world, 0, Family::Ipv4);
    client.connect(Some(at("10.0.0.2:9"))).unwrap();
    send(&client, at("10.0.0.2:9"), &[0; 2000]).unwrap();
    settle(&world);
    let [sender, receiver] = [0, 1].map(|index: usize| world.stacks[index].statistics());
    assert_eq!(
        (
            sender.udp_sent,
            sender.ip_fragments_made,
            sender.icmp_received
        ),
        (1, 2, 1)
    );
    assert_eq!(
        (
            receiver.ip_fragments,
            receiver.ip_reassembled,
            receiver.udp_no_ports
        ),
        (2, 1, 1)
    );
    let interface = &world.stacks[1].interfaces()[1];
    assert!(interface.counters.received >= 3 && interface.counters.sent >= 2);
}

#[test]
fn a_group_gets_what_is_sent_to_it() {
    for (place, group) in [
        (at("239.1.2.3:9"), at("10.0.0.2:0")),
        (at("[ff05::7]:9"), at("[fd00::2]:0")),
    ] {
        let world = world(1500, Kind::Ethernet);
        let family = if group.is_ipv4() {
            Family::Ipv4
        } else {
            Family::Ipv6
        };
        let server = udp(&world, 1, family);
        server
            .bind(SocketAddr::new(crate::address::any(family), 9))
            .unwrap();
        server.configure(|options| {
            options.multicast.gets_all = false;
            options.multicast_v6.gets_all = false;
        });
        let client = udp(&world, 0, family);
        client.configure(|options| {
            options.multicast.interface = Some(2);
            options.multicast_v6.interface = Some(2);
        });
        send(&client, place, b"early").unwrap();
        settle(&world);
        assert_eq!(server.receive(Take::Remove).err(), Some(Errno::EAGAIN));
        let group = Group {
            group: place.ip(),
            interface: Some(2),
            source: None,
        };
        server.join(group).unwrap();
        assert_eq!(server.join(group), Err(Errno::EADDRINUSE));
        let report = world.take_answers().remove(0);
        let kind = if place.is_ipv4() {
            (34, 0x22)
        } else {
            (62, 143)
        };
        assert_eq!(
            (report[kind.0], report[kind.0 + 8]),
            (kind.1, 4),
            "{report:?}"
        );
        send(&client, place, b"now").unwrap();
        settle(&world);
        assert_eq!(server.receive(Take::Remove).unwrap().to, place.ip());
        server.leave(group).unwrap();
        let report = world.take_answers().remove(0);
        assert_eq!(report[kind.0 + 8], 3);
        assert_eq!(server.leave(group), Err(Errno::EADDRNOTAVAIL));
    }
}

#[test]
fn a_question_for_groups_is_answered() {
    let world = world(1500, Kind::Bare);
    let server = udp(&world, 1, Family::Ipv4);
    let group = Group {
        group: at("239.1.2.3:0").ip(),
        interface: Some(2),
        source: None,
    };
    server.join(group).unwrap();
    world.take_answers();
    let mut query = vec![
        0x45, 0xc0, 0, 28, 0, 0, 0, 0, 1, 2, 0, 0, 10, 0, 0, 1, 224, 0, 0, 1,
    ];
    query.extend([0x11, 10, 0, 0, 0, 0, 0, 0]);
    world.inject(&query);
    assert!(world.take_answers().is_empty());
    world.pass_second(Duration::from_secs(1));
    let report = world.take_answers().remove(0);
    assert_eq!(
        (report[20], report[28], &report[32..36]),
        (0x22, 2, &[239, 1, 2, 3][..])
    );
}

#[test]
fn a_path_that_carries_less_is_remembered() {
    let world = world(1500, Kind::Bare);
    let client = udp(&world, 0, Family::Ipv4);
    client.configure(|options| options.path_mtu = crate::PathMtu::Do);
    let to = at("10.0.0.2:9");
    send(&client, to, &[0; 1400]).unwrap();
    let sent = world.take_frames().remove(0);
    let mut error = vec![3, 4, 0, 0, 0, 0, 4, 0];
    error.extend_from_slice(&sent[..28]);
    let sum = crate::wire::checksum(&[&error]);
    error[2..4].copy_from_slice(&sum.to_be_bytes());
    let raw = world.stacks[1].raw(Family::Ipv4, 1, Arc::new(Ear::default()));
    send(&raw, at("10.0.0.1:0"), &error).unwrap();
    settle(&world);
    assert_eq!(send(&client, to, &[0; 1400]), Err(Errno::EMSGSIZE));
    assert_eq!(send(&client, to, &[0; 996]), Ok(996));
}

#[test]
fn an_address_of_a_link_needs_its_interface() {
    let world = world(1500, Kind::Ethernet);
    for (number, stack) in (1..).zip(&world.stacks) {
        let ip = format!("fe80::{number}").parse().unwrap();
        let address = crate::Address {
            ip,
            prefix: 64,
            broadcast: None,
            scope: 253,
        };
        stack.add_address(2, address).unwrap();
    }
    let client = world.stacks[0].tcp(Family::Ipv6, Arc::new(Ear::default()));
    assert_eq!(client.connect(at("[fe80::2]:80")), Err(Errno::EINVAL));
    let server = world.stacks[1].tcp(Family::Ipv6, Arc::new(Ear::default()));
    server.bind(at("[::]:80")).unwrap();
    server.listen(1).unwrap();
    assert_eq!(
        client.connect(at("[fe80::2%2]:80")),
        Err(Errno::EINPROGRESS)
    );
    settle(&world);
    assert_eq!(client.peer_address(), Ok(at("[fe80::2%2]:80")));
    assert!(server.accept(Arc::new(Ear::default())).is_ok());
    let datagrams = udp(&world, 0, Family::Ipv6);
    datagrams.connect(Some(at("[fe80::2%2]:9"))).unwrap();
    send(&datagrams, at("[fe80::2%2]:9"), b"nobody there").unwrap();
    settle(&world);
    assert_eq!(datagrams.take_error(), Some(Errno::ECONNREFUSED));
}
