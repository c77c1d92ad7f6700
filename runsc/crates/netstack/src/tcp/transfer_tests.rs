//! Streams over links with faults, in simulated time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use abi::Errno;
use proptest::prelude::*;

use super::{SendFlags, Socket, State};
use crate::sim::{Faults, Kind, World};
use crate::tests::{Ear, from};
use crate::{Congestion, Embedder as _, Family, Take};

/// One direction of a connection.
struct Flow {
    from: Arc<Socket>,
    to: Arc<Socket>,
    bytes: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
    is_over: bool,
}

impl Flow {
    fn new(from: &Arc<Socket>, to: &Arc<Socket>, len: usize, salt: usize) -> Flow {
        let bytes = (0..len)
            .map(|at| u8::try_from((at * 7 + at / 255 + salt) % 251).unwrap())
            .collect();
        Flow {
            from: from.clone(),
            to: to.clone(),
            bytes,
            sent: 0,
            received: Vec::new(),
            is_over: false,
        }
    }

    /// Sends and receives what can be.
    fn go_on(&mut self) {
        while self.sent < self.bytes.len() {
            let rest = &self.bytes[self.sent..];
            match self
                .from
                .send(rest.len(), SendFlags::empty(), &mut from(rest))
            {
                Ok(more) => self.sent += more,
                Err(errno) => {
                    assert_eq!(errno, Errno::EAGAIN);
                    break;
                }
            }
            if self.sent == self.bytes.len() {
                self.from.shutdown(crate::Shutdown::Write).unwrap();
            }
        }
        let received = &mut self.received;
        while !self.is_over {
            let more = self.to.receive(1 << 20, Take::Remove, &mut |piece| {
                received.extend_from_slice(piece);
                Ok(piece.len())
            });
            match more {
                Ok(0) => self.is_over = true,
                Ok(_) => {}
                Err(errno) => {
                    assert_eq!(errno, Errno::EAGAIN);
                    break;
                }
            }
        }
    }
}

fn connect(world: &World, place: &str) -> (Arc<Socket>, Arc<Socket>) {
    let place: SocketAddr = place.parse().unwrap();
    let family = if place.is_ipv4() {
        Family::Ipv4
    } else {
        Family::Ipv6
    };
    let server = world.stacks[1].tcp(family, Arc::new(Ear::default()));
    server.bind(place).unwrap();
    server.listen(100).unwrap();
    let client = world.stacks[0].tcp(family, Arc::new(Ear::default()));
    assert_eq!(client.connect(place), Err(Errno::EINPROGRESS));
    let accepted = loop {
        if let Ok(accepted) = server.accept(Arc::new(Ear::default())) {
            break accepted;
        }
        if client.state() == State::Closed {
            // Its questions for the neighbor were lost.
            assert_eq!(client.take_error(), Some(Errno::EHOSTUNREACH));
            client.disconnect();
            assert_eq!(client.connect(place), Err(Errno::EINPROGRESS));
        }
        assert!(world.step());
    };
    server.close();
    (client, accepted)
}

/// Sends both ways, and says how long that took.
fn transfer(world: &World, place: &str, len: usize) -> Duration {
    let (client, accepted) = connect(world, place);
    let mut flows = [
        Flow::new(&client, &accepted, len, 1),
        Flow::new(&accepted, &client, len / 3 + 1, 2),
    ];
    let start = world.clock.now();
    while !flows.iter().all(|flow| flow.is_over) {
        flows.iter_mut().for_each(Flow::go_on);
        assert!(
            flows.iter().all(|flow| flow.is_over) || world.step(),
            "nothing happens any more"
        );
        assert!(world.clock.now() < Duration::from_secs(100_000));
    }
    let took = world.clock.now() - start;
    for flow in &flows {
        assert!(flow.received == flow.bytes, "wrong bytes");
    }
    client.close();
    accepted.close();
    while world.step() {}
    for stack in &world.stacks {
        assert_eq!((stack.connections(), stack.timers()), (0, 0));
    }
    took
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn streams_arrive_whatever_a_link_does(
        seed in any::<u64>(),
        loss in 0u64..200,
        duplication in 0u64..100,
        reordering in 0u64..300,
        corruption in 0u64..20,
        delay_us in 10u64..100_000,
        mtu in prop::sample::select(vec![576u32, 1280, 1500, 9000]),
        place in prop::sample::select(vec!["10.0.0.2:80", "[fd00::2]:80"]),
        kind in prop::sample::select(vec![Kind::Bare, Kind::Ethernet, Kind::Cutting]),
        options in any::<[bool; 4]>(),
        len in 1usize..300_000,
    ) {
        let faults = Faults { loss, duplication, reordering, corruption, delay: Duration::from_micros(delay_us) };
        let world = World::new(seed, mtu.max(if place.starts_with('[') { 1280 } else { 0 }), faults, kind);
        for stack in &world.stacks {
            stack.reconfigure(|config| {
                config.tcp_sack = options[0];
                config.tcp_timestamps = options[1];
                config.tcp_window_scaling = options[2];
                config.tcp_congestion = if options[3] { Congestion::Cubic } else { Congestion::Reno };
                config.tcp_retries = 30;
                config.tcp_syn_retries = 30;
                config.tcp_syn_ack_retries = 30;
                config.tcp_orphan_retries = 60;
            });
        }
        transfer(&world, place, len);
    }
}

#[test]
fn a_clean_link_is_used_up() {
    let world = World::new(
        1,
        1500,
        Faults {
            delay: Duration::from_millis(10),
            ..Faults::default()
        },
        Kind::Bare,
    );
    let took = transfer(&world, "10.0.0.2:80", 20_000_000);
    // Slow start from ten segments to the largest buffers, and then these every round trip of 20 ms.
    assert!(took < Duration::from_millis(600), "{took:?}");
}

#[test]
fn a_little_loss_costs_little() {
    let faults = Faults {
        loss: 10,
        delay: Duration::from_millis(10),
        ..Faults::default()
    };
    let took = transfer(
        &World::new(7, 1500, faults, Kind::Bare),
        "10.0.0.2:80",
        2_000_000,
    );
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn reordering_alone_is_no_loss() {
    let faults = Faults {
        reordering: 50,
        delay: Duration::from_millis(10),
        ..Faults::default()
    };
    let world = World::new(7, 1500, faults, Kind::Bare);
    let took = transfer(&world, "10.0.0.2:80", 2_000_000);
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_peer_that_vanishes_times_out() {
    let world = World::new(
        3,
        1500,
        Faults {
            delay: Duration::from_millis(1),
            ..Faults::default()
        },
        Kind::Bare,
    );
    let (client, _accepted) = connect(&world, "10.0.0.2:80");
    let start = world.clock.now();
    world.set_faults(Faults {
        loss: 1000,
        ..Faults::default()
    });
    client
        .send(5, SendFlags::empty(), &mut from(b"hello"))
        .unwrap();
    while client.state() == State::Established {
        assert!(world.step());
    }
    assert_eq!(client.take_error(), Some(Errno::ETIMEDOUT));
    let took = world.clock.now() - start;
    assert!((900..1100).contains(&took.as_secs()), "{took:?}");
}

#[test]
fn a_syn_without_an_answer_times_out() {
    let world = World::new(
        3,
        1500,
        Faults {
            loss: 1000,
            ..Faults::default()
        },
        Kind::Bare,
    );
    let client = world.stacks[0].tcp(Family::Ipv4, Arc::new(Ear::default()));
    assert_eq!(
        client.connect("10.0.0.2:80".parse().unwrap()),
        Err(Errno::EINPROGRESS)
    );
    while client.state() == State::SynSent {
        assert!(world.step());
    }
    assert_eq!(client.take_error(), Some(Errno::ETIMEDOUT));
    assert_eq!(world.clock.now().as_secs(), 127);
}

#[test]
fn a_closed_window_is_probed_until_it_opens() {
    let world = World::new(
        3,
        1500,
        Faults {
            delay: Duration::from_millis(1),
            ..Faults::default()
        },
        Kind::Bare,
    );
    let (client, accepted) = connect(&world, "10.0.0.2:80");
    let begin = world.clock.now();
    while world.clock.now() < begin + Duration::from_secs(300) {
        while client
            .send(10_000, SendFlags::empty(), &mut |to| Ok(to.len()))
            .is_ok()
        {}
        assert!(world.step());
    }
    assert_eq!(client.state(), State::Established);
    // The window update that reading makes is lost; a probe finds it.
    world.set_faults(Faults {
        loss: 1000,
        ..Faults::default()
    });
    let mut received = 0;
    while let Ok(more) = accepted.receive(1 << 20, Take::Remove, &mut |piece| Ok(piece.len())) {
        received += more;
    }
    world.set_faults(Faults {
        delay: Duration::from_millis(1),
        ..Faults::default()
    });
    while received < 100_000 {
        assert!(world.step());
        while let Ok(more) = accepted.receive(1 << 20, Take::Remove, &mut |piece| Ok(piece.len())) {
            received += more;
        }
    }
}
