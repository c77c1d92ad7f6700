//! Segments of a peer that is written here, one by one, and what the stack answers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use abi::Errno;

use super::segment::{Flags, Segment};
use super::seq::Seq;
use super::{SendFlags, Socket, State};
use crate::errors::{Origin, Report};
use crate::packet::{Cutting, Packet, Transport};
use crate::sim::{Faults, Kind, World};
use crate::tests::{Ear, from};
use crate::wire::{self, Parsed};
use crate::{Checksums, Family, Readiness, Take};

const SYN: Flags = Flags::SYN;
const ACK: Flags = Flags::ACK;
const FIN: Flags = Flags::FIN.union(Flags::ACK);
const RST: Flags = Flags::RST;

/// A peer at 10.0.0.1, and a listening socket at port 80 of the stack that is tested.
pub(super) struct Script {
    pub(super) world: World,
    pub(super) server: Arc<Socket>,
    /// The sequence number that the peer sends next, and that of the stack which it expects.
    pub(super) seq: Seq,
    pub(super) ack: Seq,
    window: u16,
}

impl Script {
    fn new() -> Script {
        let world = World::new(9, 1500, Faults::default(), Kind::Bare);
        let server = world.stacks[1].tcp(Family::Ipv4, Arc::new(Ear::default()));
        server.bind("10.0.0.2:80".parse().unwrap()).unwrap();
        server.listen(5).unwrap();
        Script {
            world,
            server,
            seq: Seq(1000),
            ack: Seq(0),
            window: 50_000,
        }
    }

    /// One whose handshake is over.
    pub(super) fn connected(options: super::SegmentOptions) -> (Script, Arc<Socket>) {
        let mut script = Script::new();
        let syn = Segment {
            options,
            ..script.segment(SYN, b"")
        };
        script.send(syn);
        script.seq += 1;
        let answer = script.one();
        assert!(answer.has(SYN | ACK));
        script.ack = answer.end();
        script.pass(10);
        script.say(ACK, b"");
        assert!(script.heard().is_empty());
        let accepted = script.server.accept(Arc::new(Ear::default())).unwrap();
        (script, accepted)
    }

    pub(super) fn segment(&self, flags: Flags, payload: &[u8]) -> Segment {
        Segment {
            source_port: 5000,
            destination_port: 80,
            seq: self.seq,
            ack: if flags.contains(ACK) {
                self.ack
            } else {
                Seq(0)
            },
            flags,
            window: self.window,
            payload: payload.to_vec().into(),
            ..Segment::default()
        }
    }

    pub(super) fn send(&self, segment: Segment) {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let packet = Packet {
            source: ip("10.0.0.1"),
            destination: ip("10.0.0.2"),
            ttl: 64,
            tos: 0,
            cutting: Cutting::Forbidden,
            transport: Transport::Tcp(segment),
        };
        self.world.inject(&wire::packet(&packet, 0, 0));
    }

    fn say(&self, flags: Flags, payload: &[u8]) {
        self.send(self.segment(flags, payload));
    }

    /// Sends data, and goes on behind them.
    fn data(&mut self, payload: &[u8]) {
        self.say(ACK, payload);
        self.seq = self.seq.plus(payload.len());
    }

    /// What the stack sent since.
    pub(super) fn heard(&self) -> Vec<Segment> {
        let frames = self.world.take_answers().into_iter();
        let segments = frames.map(|frame| match wire::ip(&frame, Checksums::Verify) {
            Some(Parsed::Whole(Packet {
                transport: Transport::Tcp(segment),
                ..
            })) => segment,
            other => panic!("{other:?}"),
        });
        segments.collect()
    }

    fn one(&self) -> Segment {
        let mut heard = self.heard();
        assert_eq!(heard.len(), 1, "{heard:?}");
        heard.remove(0)
    }

    pub(super) fn pass(&self, ms: u64) {
        self.world.pass_second(Duration::from_millis(ms));
    }
}

fn plain() -> super::SegmentOptions {
    super::SegmentOptions {
        max_segment: Some(1000),
        ..Default::default()
    }
}

fn with_sack() -> super::SegmentOptions {
    super::SegmentOptions {
        sack_permitted: true,
        ..plain()
    }
}

#[test]
fn a_syn_ack_is_repeated_and_given_up() {
    let script = Script::new();
    script.say(SYN, b"");
    let first = script.one();
    assert_eq!(first.ack, Seq(1001));
    for second in [1, 2, 4, 8, 16] {
        script.pass(second * 1000 - 1);
        assert!(script.heard().is_empty());
        script.pass(1);
        assert_eq!(script.one().seq, first.seq);
    }
    script.pass(100_000);
    assert!(script.heard().is_empty());
    assert_eq!(script.world.held(), 0);
}

#[test]
fn options_of_a_syn_are_answered_as_they_were_offered() {
    let script = Script::new();
    script.send(Segment {
        options: plain(),
        ..script.segment(SYN, b"")
    });
    let answer = script.one().options;
    assert_eq!(
        (
            answer.max_segment,
            answer.window_scale,
            answer.sack_permitted,
            answer.timestamps
        ),
        (Some(1460), None, false, None)
    );
    let script = Script::new();
    let options = super::SegmentOptions {
        window_scale: Some(3),
        timestamps: Some((77, 0)),
        ..with_sack()
    };
    script.send(Segment {
        options,
        ..script.segment(SYN, b"")
    });
    let answer = script.one().options;
    assert_eq!(
        (answer.window_scale, answer.sack_permitted),
        (Some(7), true)
    );
    assert_eq!(answer.timestamps.unwrap().1, 77);
}

#[test]
fn a_port_where_nobody_listens_answers_with_a_reset() {
    let script = Script::new();
    script.send(Segment {
        destination_port: 81,
        ..script.segment(SYN, b"x")
    });
    let answer = script.one();
    assert_eq!(
        (answer.flags, answer.ack, answer.seq),
        (RST | ACK, Seq(1002), Seq(0))
    );
    script.send(Segment {
        destination_port: 81,
        ack: Seq(55),
        ..script.segment(ACK, b"")
    });
    let answer = script.one();
    assert_eq!((answer.flags, answer.seq), (RST, Seq(55)));
    script.send(Segment {
        destination_port: 81,
        ..script.segment(RST, b"")
    });
    assert!(script.heard().is_empty());
}

#[test]
fn first_data_are_acknowledged_at_once_and_later_ones_with_delay() {
    let (mut script, accepted) = Script::connected(plain());
    script.data(b"first");
    assert_eq!(script.one().ack, script.seq);
    // A program that answers makes it a conversation.
    accepted
        .receive(9, Take::Remove, &mut |piece| Ok(piece.len()))
        .unwrap();
    accepted
        .send(2, SendFlags::empty(), &mut from(b"ok"))
        .unwrap();
    script.ack = script.one().end();
    script.data(b"second");
    assert!(script.heard().is_empty());
    script.pass(39);
    assert!(script.heard().is_empty());
    script.pass(1);
    assert_eq!(script.one().ack, script.seq);
}

#[test]
fn two_full_segments_are_acknowledged_at_once() {
    let (mut script, accepted) = Script::connected(plain());
    accepted
        .send(2, SendFlags::empty(), &mut from(b"ok"))
        .unwrap();
    script.ack = script.one().end();
    script.data(&[1; 1000]);
    script.heard();
    accepted
        .send(2, SendFlags::empty(), &mut from(b"ok"))
        .unwrap();
    script.heard();
    script.data(&[1; 1000]);
    let early = script.heard().len();
    script.data(&[1; 1000]);
    assert_eq!((early, script.heard().len()), (0, 1));
}

#[test]
fn a_gap_is_told_at_once() {
    let (mut script, accepted) = Script::connected(with_sack());
    let start = script.seq;
    script.seq = start + 100;
    script.data(&[2; 100]);
    let answer = script.one();
    assert_eq!(
        (answer.ack, answer.options.sack[0]),
        (start, (start + 100, start + 200))
    );
    script.seq = start + 300;
    script.data(&[4; 100]);
    let answer = script.one();
    assert_eq!(
        answer.options.sack[..2],
        [(start + 300, start + 400), (start + 100, start + 200)]
    );
    script.seq = start;
    script.data(&[1; 100]);
    let answer = script.one();
    assert_eq!(
        (answer.ack, answer.options.sack[0]),
        (start + 200, (start + 300, start + 400))
    );
    assert_eq!(accepted.queued().receive, 200);
}

#[test]
fn guesses_are_challenged_rarely() {
    let (script, accepted) = Script::connected(plain());
    let inside = Seq(script.seq.0 + 10);
    for flags in [RST, SYN] {
        script.send(Segment {
            seq: inside,
            ..script.segment(flags, b"")
        });
        let answer = script.one();
        assert_eq!((answer.flags, answer.ack), (ACK, script.seq));
        script.send(Segment {
            seq: inside,
            ..script.segment(flags, b"")
        });
        assert!(script.heard().is_empty(), "a second one soon");
        script.pass(500);
    }
    script.send(Segment {
        ack: script.ack + 1000,
        ..script.segment(ACK, b"evil")
    });
    assert_eq!(script.one().flags, ACK);
    assert_eq!(
        (accepted.state(), accepted.queued().receive),
        (State::Established, 0)
    );
    script.say(RST, b"");
    assert_eq!(
        (accepted.state(), accepted.take_error()),
        (State::Closed, Some(Errno::ECONNRESET))
    );
}

#[test]
fn a_lost_segment_is_sent_again_after_three_duplicates() {
    for options in [plain(), with_sack()] {
        let has_sack = options.sack_permitted;
        let (script, accepted) = Script::connected(options);
        accepted
            .send(5000, SendFlags::empty(), &mut from(&[7; 5000]))
            .unwrap();
        let sent = script.heard();
        assert_eq!(sent.len(), 5);
        script.pass(10);
        for number in 1..=3_usize {
            let mut duplicate = script.segment(ACK, b"");
            if has_sack {
                duplicate.options.sack[0] = (sent[1].seq, sent[number].end());
            }
            script.send(duplicate);
            let again = script.heard();
            assert_eq!(again.len(), usize::from(number == 3), "after {number}");
            assert!(again.iter().all(|again| again.seq == sent[0].seq));
        }
        assert_eq!(accepted.info().phase, 3);
        script.send(Segment {
            ack: sent[4].end(),
            ..script.segment(ACK, b"")
        });
        assert_eq!((accepted.info().phase, accepted.queued().send), (0, 0));
    }
}

#[test]
fn the_last_segment_is_probed_and_then_times_out() {
    let (mut script, accepted) = Script::connected(with_sack());
    accepted
        .send(4, SendFlags::empty(), &mut from(b"ping"))
        .unwrap();
    let first = script.one();
    script.pass(10);
    script.ack = first.end();
    script.say(ACK, b"");
    accepted
        .send(4, SendFlags::empty(), &mut from(b"lost"))
        .unwrap();
    let lost = script.one();
    // Twice the round trip of 10 ms, and 200 ms since it is alone; then the timeout.
    let mut times = Vec::new();
    for ms in 0..3000 {
        script.pass(1);
        times.extend(script.heard().iter().map(|segment| {
            assert_eq!(segment.seq, lost.seq);
            ms + 1
        }));
    }
    assert!((205..=225).contains(&times[0]), "{times:?}");
    let gaps: Vec<i32> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.len() >= 3 && gaps[2] >= 2 * gaps[1] - 4, "{times:?}");
}

#[test]
fn short_segments_wait_for_an_acknowledgement() {
    let (mut script, accepted) = Script::connected(plain());
    accepted
        .send(1, SendFlags::empty(), &mut from(b"a"))
        .unwrap();
    let first = script.one();
    accepted
        .send(1, SendFlags::empty(), &mut from(b"b"))
        .unwrap();
    accepted
        .send(1, SendFlags::empty(), &mut from(b"c"))
        .unwrap();
    assert!(script.heard().is_empty());
    script.ack = first.end();
    script.say(ACK, b"");
    assert_eq!(script.one().payload.to_vec(), b"bc");
    accepted.configure_tcp(|options| options.no_delay = true);
    accepted
        .send(1, SendFlags::empty(), &mut from(b"d"))
        .unwrap();
    assert_eq!(script.one().payload.to_vec(), b"d");
}

#[test]
fn a_closed_window_is_probed_ever_more_rarely() {
    let (mut script, accepted) = Script::connected(plain());
    script.window = 0;
    script.say(ACK, b"");
    accepted
        .send(4, SendFlags::empty(), &mut from(b"wait"))
        .unwrap();
    let mut times = Vec::new();
    for ms in 0..10_000 {
        script.pass(1);
        for probe in script.heard() {
            assert_eq!((probe.seq, probe.len()), (script.ack - 1, 0));
            script.say(ACK, b"");
            times.push(ms);
        }
    }
    assert!(
        times
            .windows(3)
            .all(|three| three[2] - three[1] >= 2 * (three[1] - three[0]) - 4),
        "{times:?}"
    );
    assert!(times.len() >= 4);
    script.window = 100;
    script.say(ACK, b"");
    assert_eq!(script.one().payload.to_vec(), b"wait");
    assert_eq!(accepted.state(), State::Established);
}

#[test]
fn a_dead_peer_is_found_by_probes() {
    let (script, accepted) = Script::connected(plain());
    accepted.configure(|options| options.keep_alive = true);
    accepted.configure_tcp(|options| {
        options.keep_idle = Duration::from_secs(10);
        options.keep_interval = Duration::from_secs(2);
        options.keep_count = 3;
    });
    script.pass(9_999);
    assert!(script.heard().is_empty());
    script.pass(4_002);
    assert_eq!(script.heard().len(), 3);
    script.pass(2_000);
    assert!(script.one().has(RST));
    assert_eq!(accepted.take_error(), Some(Errno::ETIMEDOUT));
}

#[test]
fn a_user_timeout_ends_it_early() {
    let (script, accepted) = Script::connected(plain());
    accepted.configure_tcp(|options| options.user_timeout = Some(Duration::from_secs(5)));
    accepted
        .send(1, SendFlags::empty(), &mut from(b"a"))
        .unwrap();
    script.pass(4_900);
    assert_eq!(accepted.state(), State::Established);
    script.pass(10_000);
    assert_eq!(accepted.take_error(), Some(Errno::ETIMEDOUT));
}

#[test]
fn an_orphan_does_not_wait_for_ever() {
    let (mut script, accepted) = Script::connected(plain());
    accepted.close();
    let fin = script.one();
    assert!(fin.has(FIN));
    script.ack = fin.end();
    script.say(ACK, b"");
    assert_eq!(accepted.state(), State::FinWait2);
    script.pass(59_000);
    assert_eq!(script.world.stacks[1].connections(), 1);
    script.pass(2_000);
    assert_eq!(script.world.stacks[1].connections(), 0);
}

#[test]
fn data_for_an_orphan_are_reset() {
    let (mut script, accepted) = Script::connected(plain());
    accepted.close();
    script.ack = script.one().end();
    script.say(ACK, b"too late");
    assert!(script.one().has(RST));
}

#[test]
fn both_can_close_at_once() {
    let (mut script, accepted) = Script::connected(plain());
    accepted.close();
    let fin = script.one();
    script.say(FIN, b"");
    script.seq += 1;
    assert_eq!(script.one().ack, script.seq);
    assert_eq!(accepted.state(), State::Closing);
    script.ack = fin.end();
    script.say(ACK, b"");
    assert_eq!(
        script.world.stacks[1]
            .sockets()
            .iter()
            .filter(|entry| entry.state == State::TimeWait)
            .count(),
        1
    );
}

#[test]
fn time_wait_answers_and_is_reopened() {
    let (mut script, accepted) = Script::connected(plain());
    accepted.close();
    script.ack = script.one().end();
    script.say(FIN, b"");
    script.heard();
    script.pass(10_000);
    script.say(FIN, b"");
    assert_eq!(script.one().ack, script.seq + 1);
    // The late FIN begins the minute anew.
    script.pass(55_000);
    assert_eq!(script.world.stacks[1].connections(), 1);
    let new = Segment {
        seq: script.seq + 5000,
        ..script.segment(SYN, b"")
    };
    script.send(new);
    let answer = script.one();
    assert!(answer.has(SYN | ACK) && answer.seq.is_after(script.ack));
    assert_eq!(script.world.stacks[1].connections(), 0);
}

#[test]
fn old_timestamps_are_refused() {
    let options = super::SegmentOptions {
        timestamps: Some((1000, 0)),
        ..plain()
    };
    let mut script = Script::new();
    script.send(Segment {
        options,
        ..script.segment(SYN, b"")
    });
    script.seq += 1;
    let answer = script.one();
    script.ack = answer.end();
    let echo = answer.options.timestamps.unwrap().0;
    let stamped = |script: &Script, value: u32, payload: &[u8]| {
        let mut segment = script.segment(ACK, payload);
        segment.options.timestamps = Some((value, echo));
        script.send(segment);
    };
    stamped(&script, 1001, b"");
    let accepted = script.server.accept(Arc::new(Ear::default())).unwrap();
    stamped(&script, 999, b"old");
    assert_eq!(accepted.queued().receive, 0);
    assert_eq!(script.one().ack, script.seq);
    stamped(&script, 1002, b"new");
    assert_eq!(accepted.queued().receive, 3);
    assert_eq!(script.one().options.timestamps.unwrap().1, 1002);
}

#[test]
fn a_path_that_shrinks_makes_segments_shorter() {
    let (script, accepted) = Script::connected(super::SegmentOptions {
        max_segment: Some(1460),
        ..plain()
    });
    accepted
        .send(1460, SendFlags::empty(), &mut from(&[3; 1460]))
        .unwrap();
    let long = script.one();
    let report = Report {
        errno: Errno::EMSGSIZE,
        is_fatal: false,
        origin: Origin::Icmp,
        kind: 3,
        code: 4,
        info: 1000,
        offender: "10.0.0.254".parse().unwrap(),
    };
    let place = |text: &str| text.parse::<SocketAddr>().unwrap();
    let core = &script.world.stacks[1].core;
    core.report_tcp(
        place("10.0.0.2:80"),
        place("10.0.0.1:5000"),
        long.seq.0.wrapping_sub(5),
        &report,
    );
    core.flush();
    assert!(script.heard().is_empty(), "somebody guessed");
    core.report_tcp(
        place("10.0.0.2:80"),
        place("10.0.0.1:5000"),
        long.seq.0,
        &report,
    );
    core.flush();
    let lens: Vec<usize> = script
        .heard()
        .iter()
        .map(|segment| segment.payload.len())
        .collect();
    assert_eq!(lens, [960, 500]);
}

#[test]
fn a_connection_without_data_is_held_back_if_asked() {
    let script = Script::new();
    script
        .server
        .configure_tcp(|options| options.defer_accept = Some(Duration::from_secs(3)));
    let mut script = script;
    script.say(SYN, b"");
    script.seq += 1;
    script.ack = script.one().end();
    script.say(ACK, b"");
    assert!(!script.server.readiness().contains(Readiness::IN));
    script.data(b"now");
    let accepted = script.server.accept(Arc::new(Ear::default())).unwrap();
    assert_eq!(accepted.queued().receive, 3);
}

#[test]
fn a_window_that_was_announced_is_not_taken_back() {
    let (mut script, accepted) = Script::connected(plain());
    let mut edge = Seq(0);
    for _ in 0..200 {
        script.data(&[1; 700]);
        for answer in script.heard() {
            let next = answer.ack + u32::from(answer.window);
            assert!(edge == Seq(0) || !next.is_before(edge));
            edge = next;
        }
    }
    assert!(accepted.queued().receive <= 65_536);
    assert!(accepted.queued().receive > 60_000);
}
