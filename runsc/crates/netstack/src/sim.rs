//! Two stacks, joined by a link that loses, repeats, reorders and delays frames by seed, in simulated time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use locks::Mutex;

use crate::tests::Clock;
use crate::{Address, Checksums, Config, Embedder, Frame, InterfaceChange, Link, Stack};

/// What a link does to frames, in thousandths.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) loss: u64,
    pub(crate) duplication: u64,
    pub(crate) reordering: u64,
    pub(crate) corruption: u64,
    pub(crate) delay: Duration,
}

/// What frames of a link begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ethernet,
    /// The IP packet itself.
    Bare,
    /// The same on a link that cuts up long segments of TCP.
    Cutting,
}

/// Frames on their way, by the time at which they arrive.
#[derive(Debug)]
struct Wire {
    clock: Arc<Clock>,
    faults: Mutex<Faults>,
    mtu: u32,
    hardware: Option<[u8; 6]>,
    is_cutting: bool,
    frames: Mutex<BTreeMap<(Duration, u64), Vec<u8>>>,
    count: Mutex<u64>,
}

impl Wire {
    fn chance(&self, thousandths: u64) -> bool {
        (self.clock.random_u64() >> 16) % 1000 < thousandths
    }

    fn put(&self, bytes: Vec<u8>, after: Duration) {
        let mut count = self.count.lock();
        *count += 1;
        self.frames
            .lock()
            .insert((self.clock.now() + after, *count), bytes);
    }
}

impl Link for Wire {
    fn transmit(&self, frames: Vec<Frame>) {
        let faults = *self.faults.lock();
        for frame in frames.into_iter().flat_map(cut) {
            assert!(frame.bytes.len() <= usize::try_from(self.mtu).unwrap() + 14);
            if self.chance(faults.loss) {
                continue;
            }
            let mut bytes = frame.bytes;
            if self.chance(faults.corruption) {
                let at = usize::try_from(self.clock.random_u64() >> 8).unwrap() % bytes.len();
                bytes[at] ^= 1 << (self.clock.random_u64() >> 20 & 7);
            }
            if self.chance(faults.duplication) {
                self.put(bytes.clone(), faults.delay * 2);
            }
            let late = if self.chance(faults.reordering) {
                faults.delay / 2
            } else {
                Duration::ZERO
            };
            self.put(bytes, faults.delay + late);
        }
    }

    fn mtu(&self) -> u32 {
        self.mtu
    }

    fn hardware(&self) -> Option<[u8; 6]> {
        self.hardware
    }

    fn gso_max(&self) -> u32 {
        if self.is_cutting { 65_535 } else { 0 }
    }
}

/// Cuts up a frame as a network card does: each packet has a piece of the payload and a sequence number of its own.
fn cut(frame: Frame) -> Vec<Frame> {
    let Some(gso) = frame.gso else {
        return vec![frame];
    };
    let (headers, payload) = frame.bytes.split_at(gso.headers.into());
    let ip = if headers[0] >> 4 == 4 { 20 } else { 40 };
    let seq = u32::from_be_bytes(headers[ip + 4..ip + 8].try_into().unwrap());
    let last = payload.len().div_ceil(gso.segment.into()) - 1;
    let pieces = payload.chunks(gso.segment.into()).enumerate();
    let pieces = pieces.map(|(number, piece)| {
        let mut bytes = [headers, piece].concat();
        let at = u32::try_from(number * usize::from(gso.segment)).unwrap();
        bytes[ip + 4..ip + 8].copy_from_slice(&seq.wrapping_add(at).to_be_bytes());
        if number != last {
            bytes[ip + 13] &= !0b1001;
        }
        refresh(&mut bytes, ip);
        Frame { bytes, gso: None }
    });
    pieces.collect()
}

/// Makes the lengths and checksums of a TCP packet right.
fn refresh(bytes: &mut [u8], ip: usize) {
    use smoltcp::wire::{IpAddress, Ipv4Packet, Ipv6Packet, TcpPacket};
    let len = u16::try_from(bytes.len()).unwrap();
    let addresses: (IpAddress, IpAddress) = if ip == 20 {
        let mut header = Ipv4Packet::new_unchecked(&mut *bytes);
        header.set_total_len(len);
        header.fill_checksum();
        (header.src_addr().into(), header.dst_addr().into())
    } else {
        let mut header = Ipv6Packet::new_unchecked(&mut *bytes);
        header.set_payload_len(len - 40);
        (header.src_addr().into(), header.dst_addr().into())
    };
    let mut tcp = TcpPacket::new_unchecked(&mut bytes[ip..]);
    tcp.fill_checksum(&addresses.0, &addresses.1);
}

/// The two stacks.
pub(crate) struct World {
    pub(crate) clock: Arc<Clock>,
    pub(crate) stacks: [Arc<Stack>; 2],
    clocks: [Arc<Clock>; 2],
    wires: [Arc<Wire>; 2],
}

/// The index of the link in both.
const LINK: u32 = 2;

impl World {
    /// Stacks with the addresses 10.0.0.1 and 10.0.0.2, `fd00::1` and `fd00::2`.
    pub(crate) fn new(seed: u64, mtu: u32, faults: Faults, kind: Kind) -> World {
        let clock = Arc::new(Clock::seeded(seed));
        let clocks = [1, 2].map(|add| Arc::new(Clock::seeded(seed ^ add << 60)));
        let stacks =
            [0, 1].map(|index: usize| Stack::new(clocks[index].clone(), Config::default()));
        let wires = [1, 2].map(|number| {
            Arc::new(Wire {
                clock: clock.clone(),
                faults: Mutex::new(faults),
                mtu,
                hardware: (kind == Kind::Ethernet).then_some([2, 0, 0, 0, 0, number]),
                is_cutting: kind == Kind::Cutting,
                frames: Mutex::default(),
                count: Mutex::default(),
            })
        });
        for (number, (stack, wire)) in (1..).zip(stacks.iter().zip(&wires)) {
            let index = stack.add_interface("eth0", wire.clone()).unwrap();
            assert_eq!(index, LINK);
            stack.change_interface(index, InterfaceChange::Up).unwrap();
            for (ip, prefix) in [
                (format!("10.0.0.{number}"), 24),
                (format!("fd00::{number}"), 64),
            ] {
                let ip: IpAddr = ip.parse().unwrap();
                let address = Address {
                    ip,
                    prefix,
                    broadcast: None,
                    scope: 0,
                };
                stack.add_address(index, address).unwrap();
            }
        }
        World {
            clock,
            stacks,
            clocks,
            wires,
        }
    }

    /// Changes what the link does.
    pub(crate) fn set_faults(&self, faults: Faults) {
        for wire in &self.wires {
            *wire.faults.lock() = faults;
        }
    }

    /// The next moment at which something happens.
    fn next(&self) -> Option<Duration> {
        let frames = self
            .wires
            .iter()
            .filter_map(|wire| wire.frames.lock().keys().next().map(|(at, _)| *at));
        frames
            .chain(self.clocks.iter().filter_map(|clock| clock.deadline()))
            .min()
    }

    /// Goes on to the next moment at which something happens; false if nothing will.
    pub(crate) fn step(&self) -> bool {
        let Some(next) = self.next() else {
            return false;
        };
        let now = next.max(self.clock.now());
        self.clock.set(now);
        for (index, stack) in self.stacks.iter().enumerate() {
            self.clocks[index].set(now);
            stack.advance();
            let other = &self.wires[1 - index];
            loop {
                let mut frames = other.frames.lock();
                let Some(entry) = frames.first_entry().filter(|entry| entry.key().0 <= now) else {
                    break;
                };
                let bytes = entry.remove();
                drop(frames);
                stack.receive(LINK, &bytes, Checksums::Verify);
            }
        }
        true
    }

    /// Frames that the second stack would get now.
    pub(crate) fn take_frames(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.wires[0].frames.lock())
            .into_values()
            .collect()
    }

    /// Frames that the second stack sent, on their way to the first.
    pub(crate) fn take_answers(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.wires[1].frames.lock())
            .into_values()
            .collect()
    }

    /// Lets time pass for the second stack alone.
    pub(crate) fn pass_second(&self, time: Duration) {
        self.clocks[1].pass(&self.stacks[1], time);
        self.clock.set(self.clocks[1].now());
    }

    /// Gives the second stack a frame.
    pub(crate) fn inject(&self, bytes: &[u8]) {
        self.stacks[1].receive(LINK, bytes, Checksums::Trusted);
    }

    /// Ends it, but for the stacks and their clocks.
    pub(crate) fn end(self) -> ([Arc<Stack>; 2], [Arc<Clock>; 2]) {
        (self.stacks, self.clocks)
    }

    /// Memory that the second stack holds.
    pub(crate) fn held(&self) -> usize {
        self.clocks[1]
            .charged
            .load(std::sync::atomic::Ordering::Relaxed)
    }
}
