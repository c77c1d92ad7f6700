//! Putting packets together that came in pieces (RFC 791, 3.2; RFC 8200, 4.5), within bounds.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::Checksums;
use crate::account::Account;
use crate::core::Core;
use crate::hash::Secret;
use crate::packet::Packet;
use crate::timers::{Armed, Timer};
use crate::wire::{self, Fragment, FragmentKey};

/// Bytes of the longest packet.
const LONGEST: usize = 65_535;
/// What a packet costs beside its bytes, and each of its pieces.
const OVERHEAD: usize = 256;

/// Packets of which pieces are missing.
#[derive(Debug)]
pub(crate) struct Fragments {
    partial: HashMap<FragmentKey, Partial, Secret>,
    /// The packets in the order in which they began, and some that are gone.
    order: VecDeque<(Duration, FragmentKey)>,
    account: Account,
    timer: Armed,
}

#[derive(Debug)]
struct Partial {
    /// Pieces by their offset; they do not overlap.
    pieces: Vec<(usize, Vec<u8>)>,
    /// Bytes of the whole, once the last piece came.
    len: Option<usize>,
    shell: Packet,
    due: Duration,
    weight: usize,
}

impl Partial {
    /// Puts a piece in. `None` if it contradicts another one: the packet is given up (RFC 5722).
    fn add(&mut self, offset: usize, has_more: bool, data: Vec<u8>) -> Option<()> {
        let end = offset + data.len();
        let is_ragged = has_more && !data.len().is_multiple_of(8);
        let is_beyond = self
            .len
            .is_some_and(|len| end > len || (!has_more && end != len));
        if data.is_empty() || is_ragged || is_beyond || end > LONGEST {
            return None;
        }
        let at = self.pieces.partition_point(|(start, _)| *start < offset);
        if self
            .pieces
            .get(at)
            .is_some_and(|(start, other)| *start == offset && *other == data)
        {
            return Some(());
        }
        let before = at.checked_sub(1).and_then(|before| self.pieces.get(before));
        let overlaps = before.is_some_and(|(start, other)| start + other.len() > offset)
            || self.pieces.get(at).is_some_and(|(start, _)| *start < end)
            || (!has_more
                && self
                    .pieces
                    .last()
                    .is_some_and(|(start, other)| start + other.len() > end));
        if overlaps {
            return None;
        }
        if !has_more {
            self.len = Some(end);
        }
        self.weight += data.len() + OVERHEAD;
        self.pieces.insert(at, (offset, data));
        Some(())
    }

    /// The whole, if all is there.
    fn whole(&self) -> Option<Vec<u8>> {
        let len = self.len?;
        let have: usize = self.pieces.iter().map(|(_, data)| data.len()).sum();
        (have == len).then(|| {
            self.pieces
                .iter()
                .flat_map(|(_, data)| data)
                .copied()
                .collect()
        })
    }
}

impl Fragments {
    pub(crate) fn new(secret: Secret, account: Account) -> Fragments {
        Fragments {
            partial: HashMap::with_hasher(secret),
            order: VecDeque::new(),
            account,
            timer: Armed::default(),
        }
    }

    fn forget(&mut self, key: &FragmentKey) {
        if let Some(partial) = self.partial.remove(key) {
            self.account.give(partial.weight);
        }
    }

    /// The packet that began first.
    fn oldest(&mut self) -> Option<(Duration, FragmentKey)> {
        while let Some((due, key)) = self.order.front().copied() {
            if self
                .partial
                .get(&key)
                .is_some_and(|partial| partial.due == due)
            {
                return Some((due, key));
            }
            self.order.pop_front();
        }
        None
    }

    /// Gives up the oldest packets until so much fits.
    fn make_room(&mut self, bytes: usize, most: usize) {
        while self.account.used() + bytes > most {
            let Some((_, oldest)) = self.oldest() else {
                return;
            };
            self.forget(&oldest);
        }
    }

    /// Notes when a packet is given up.
    fn enlist(&mut self, key: FragmentKey, due: Duration) {
        if self.order.len() > 64 + 2 * self.partial.len() {
            let partial = &self.partial;
            self.order
                .retain(|(due, key)| partial.get(key).is_some_and(|one| one.due == *due));
        }
        self.order.push_back((due, key));
    }

    fn add(&mut self, fragment: Fragment, due: Duration, most: usize) -> Option<(Packet, Vec<u8>)> {
        let cost = fragment.data.len() + OVERHEAD;
        self.make_room(cost, most);
        let Fragment {
            key,
            offset,
            has_more,
            data,
            shell,
        } = fragment;
        if !self.partial.contains_key(&key) {
            self.enlist(key, due);
        }
        let partial = self.partial.entry(key).or_insert_with(|| Partial {
            pieces: Vec::new(),
            len: None,
            shell,
            due,
            weight: 0,
        });
        let before = partial.weight;
        let is_fine = partial.add(offset, has_more, data).is_some();
        let more = partial.weight - before;
        let whole = partial.whole().map(|whole| (partial.shell.clone(), whole));
        // What is not counted yet must not be given back.
        if !self.account.take(more) {
            partial.weight = before;
            self.forget(&key);
            return None;
        }
        if !is_fine || whole.is_some() {
            self.forget(&key);
        }
        whole.filter(|_| is_fine)
    }
}

impl Core {
    /// Keeps a piece of a packet, and gives the packet if it is whole.
    pub(crate) fn reassemble(&self, fragment: Fragment, checksums: Checksums) -> Option<Packet> {
        let config = self.config();
        let due = self.now() + config.fragment_timeout;
        let number = fragment.key.protocol;
        let whole = {
            let mut fragments = self.fragments.lock();
            let whole = fragments.add(fragment, due, config.fragment_memory);
            let earliest = fragments.oldest().map(|(due, _)| due);
            self.arm(&mut fragments.timer, earliest, || Timer::Fragments);
            whole
        };
        let (mut shell, body) = whole?;
        shell.transport = wire::parse_transport(&shell, number, &body, checksums)?;
        Some(shell)
    }

    /// Gives up what waits for too long.
    pub(crate) fn expire_fragments(&self) {
        let now = self.now();
        let mut fragments = self.fragments.lock();
        fragments.timer.fired();
        while let Some((_, key)) = fragments.oldest().filter(|(due, _)| *due <= now) {
            fragments.forget(&key);
        }
        let earliest = fragments.oldest().map(|(due, _)| due);
        self.arm(&mut fragments.timer, earliest, || Timer::Fragments);
    }
}
