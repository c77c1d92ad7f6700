//! A peer that says anything, with numbers that are nearly right.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::segment_tests::Script;
use super::{Flags, SegmentOptions, SendFlags};
use crate::Take;
use crate::tests::from;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Segment {
        seq: i16,
        ack: i32,
        flags: u8,
        window: u16,
        urgent: u16,
        len: usize,
        sack: Vec<(i32, u16)>,
        stamp: Option<(i8, i8)>,
    },
    Write(usize),
    Read(usize),
    Urgent,
    Pass(u32),
    Shrink(u32),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let near = prop_oneof![Just(0_i32), -3000..3000_i32, any::<i32>()];
    let flags = prop_oneof![
        Just(Flags::ACK.bits()),
        Just(Flags::ACK.bits() | Flags::PSH.bits()),
        any::<u8>()
    ];
    let segment = (
        prop_oneof![Just(0_i16), -3000..3000_i16, any::<i16>()],
        near.clone(),
        flags,
        any::<u16>(),
        any::<u16>(),
        prop_oneof![Just(0_usize), 0..1400_usize],
        prop::collection::vec((near, 0..4000_u16), 0..4),
        any::<Option<(i8, i8)>>(),
    );
    let segment =
        segment.prop_map(
            |(seq, ack, flags, window, urgent, len, sack, stamp)| Step::Segment {
                seq,
                ack,
                flags,
                window,
                urgent,
                len,
                sack,
                stamp,
            },
        );
    prop_oneof![
        12 => segment,
        3 => (1..200_000_usize).prop_map(Step::Write),
        3 => (1..100_000_usize).prop_map(Step::Read),
        1 => Just(Step::Urgent),
        3 => (1..300_000_u32).prop_map(Step::Pass),
        1 => (0..2000_u32).prop_map(Step::Shrink),
        1 => Just(Step::Close),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_peer_breaks_a_connection(has_options in any::<bool>(), steps in prop::collection::vec(step(), 1..120)) {
        let options = if has_options {
            SegmentOptions { max_segment: Some(1400), window_scale: Some(9), sack_permitted: true, timestamps: Some((5, 0)), ..Default::default() }
        } else {
            SegmentOptions::default()
        };
        let (mut script, accepted) = Script::connected(options);
        let mut echo = 0;
        for step in steps {
            match step {
                Step::Segment { seq, ack, flags, window, urgent, len, sack, stamp } => {
                    let mut segment = script.segment(Flags::from_bits_truncate(flags), &vec![1; len]);
                    segment.seq.0 = segment.seq.0.wrapping_add_signed(seq.into());
                    segment.ack.0 = script.ack.0.wrapping_add_signed(ack);
                    (segment.window, segment.urgent) = (window, urgent);
                    for (place, (start, len)) in segment.options.sack.iter_mut().zip(sack) {
                        place.0.0 = script.ack.0.wrapping_add_signed(start);
                        place.1 = place.0 + u32::from(len);
                    }
                    if let Some((value, heard)) = stamp.filter(|_| has_options) {
                        let value = 100_u32.wrapping_add_signed(value.into());
                        segment.options.timestamps = Some((value, u32::wrapping_add_signed(echo, heard.into())));
                    }
                    script.send(segment);
                }
                Step::Write(len) => drop(accepted.send(len, SendFlags::empty(), &mut |to| Ok(to.len()))),
                Step::Read(len) => drop(accepted.receive(len, Take::Remove, &mut |piece| Ok(piece.len()))),
                Step::Urgent => {
                    let _sent = accepted.send(1, SendFlags::OUT_OF_BAND, &mut from(b"!"));
                    let _read = accepted.receive_urgent(Take::Remove);
                }
                Step::Pass(ms) => script.pass(ms.into()),
                Step::Shrink(mss) => {
                    accepted.with(|connection, cx| connection.shrink_path(mss, cx));
                }
                Step::Close => accepted.close(),
            }
            for answer in script.heard() {
                prop_assert!(answer.payload.len() <= 1460);
                if let Some((value, _)) = answer.options.timestamps {
                    echo = value;
                }
                if answer.has(Flags::ACK) {
                    script.seq = answer.ack;
                    script.ack = script.ack.max(answer.end());
                }
            }
            let _ready = accepted.readiness();
            prop_assert!(script.world.held() < 16 << 20);
        }
        accepted.close();
        script.server.close();
        script.world.pass_second(Duration::from_secs(3000));
        prop_assert_eq!(script.world.stacks[1].connections(), 0);
        prop_assert_eq!(Arc::strong_count(&accepted), 1);
        drop(accepted);
        drop(script.server);
        prop_assert_eq!(script.world.held(), 0);
    }
}
