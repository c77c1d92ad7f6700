//! Ethernet, neighbors, fragments and errors between two stacks, and frames of attackers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use abi::Errno;
use proptest::prelude::*;

use crate::sim::{Faults, World};
use crate::tests::{Ear, from};
use crate::{Embedder as _, Family, Take, tcp, udp};

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn world(mtu: u32, is_ethernet: bool) -> World {
    let faults = Faults {
        delay: Duration::from_millis(1),
        ..Faults::default()
    };
    World::new(5, mtu, faults, is_ethernet)
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

#[test]
fn neighbors_are_found_and_their_packets_wait() {
    for (place, family) in [
        (at("10.0.0.2:9"), Family::Ipv4),
        (at("[fd00::2]:9"), Family::Ipv6),
    ] {
        let world = world(1500, true);
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
    let world = world(1500, true);
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
        let world = world(1500, true);
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
        false,
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
    let world = world(1500, false);
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
    let world = world(1500, true);
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
fn packets_from_nowhere_are_dropped() {
    let world = world(1500, false);
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
fn conversation(is_ethernet: bool) -> Vec<Vec<u8>> {
    let world = world(1500, is_ethernet);
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
    fn no_frame_panics(is_ethernet in any::<bool>(), frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..40)) {
        let world = world(1500, is_ethernet);
        for frame in &frames {
            world.inject(frame);
        }
    }

    #[test]
    fn no_frame_that_is_nearly_right_panics_or_grows(
        is_ethernet in any::<bool>(),
        seed in any::<u64>(),
        changes in prop::collection::vec((any::<u16>(), any::<u16>(), any::<u8>(), any::<u16>()), 1..400),
    ) {
        let frames = conversation(is_ethernet);
        let world = World::new(seed, 1500, Faults::default(), is_ethernet);
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
    let world = world(1500, false);
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
    let world = world(1500, false);
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
