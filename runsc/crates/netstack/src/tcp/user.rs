//! What programs do with a connection.

use std::time::Duration;

use abi::Errno;

use super::State;
use super::connection::{Connection, Cx};
use super::options::Info;
use super::seq::{u32_of, usize_of};
use crate::{Payload, Queued, Readiness, Shutdown, Take};

impl Connection {
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// The error that ended it.
    pub(crate) fn take_error(&mut self) -> Option<Errno> {
        self.error.take()
    }

    pub(crate) fn is_orphan(&self) -> bool {
        self.is_orphan
    }

    /// How many bytes may be written now, or why none. `not_sent` is `TCP_NOTSENT_LOWAT`.
    pub(crate) fn room(&mut self, cx: &Cx<'_>) -> Result<usize, Errno> {
        self.check_writing()?;
        let room = cx
            .options
            .send_buffer
            .saturating_sub(self.queue.bytes() + self.reserved);
        let is_enough = cx
            .tcp
            .not_sent_low_water
            .is_some_and(|most| u32_of(self.queue.unsent.len()) >= most);
        if room == 0 || is_enough {
            self.wants_room = true;
            return Err(Errno::EAGAIN);
        }
        Ok(room)
    }

    /// Bytes that somebody is about to write, and does not hold the lock meanwhile.
    pub(crate) fn set_aside(&mut self, bytes: usize) {
        self.reserved += bytes;
    }

    /// They were written, or not.
    pub(crate) fn take_back(&mut self, bytes: usize, cx: &mut Cx<'_>) {
        self.reserved = self.reserved.saturating_sub(bytes);
        self.tell_room(cx);
    }

    /// Whether enough room is there to wake somebody who writes (Linux's `sk_stream_is_writeable`).
    pub(super) fn has_room(&self, cx: &Cx<'_>) -> bool {
        let used = self.queue.bytes() + self.reserved;
        let is_sent = cx
            .tcp
            .not_sent_low_water
            .is_none_or(|most| u32_of(self.queue.unsent.len()) < most);
        is_sent
            && cx.options.send_buffer.saturating_sub(used) >= used / 2
            && used < cx.options.send_buffer
    }

    /// Tells who waits for room that there is some.
    pub(super) fn tell_room(&mut self, cx: &mut Cx<'_>) {
        if self.wants_room && self.has_room(cx) {
            self.wants_room = false;
            cx.wake |= Readiness::OUT;
        }
    }

    /// Writes bytes. `has_more` is `MSG_MORE`; `is_urgent` makes the last byte urgent.
    pub(crate) fn write(
        &mut self,
        payload: Payload,
        how: super::SendFlags,
        cx: &mut Cx<'_>,
    ) -> Result<(), Errno> {
        self.check_writing()?;
        if !self.reserve(payload.len(), cx.account) {
            return Err(Errno::ENOBUFS);
        }
        self.queue.write(payload);
        if how.contains(super::SendFlags::OUT_OF_BAND) {
            self.urgent.send(self.nxt.plus(self.queue.unsent.len()));
        }
        self.has_more = how.contains(super::SendFlags::MORE);
        if !self.has_more && !cx.tcp.cork {
            self.timers.cork = None;
        }
        self.transmit(cx);
        Ok(())
    }

    /// What was said to follow does not: what waits for it goes.
    pub(crate) fn end_of_write(&mut self, cx: &mut Cx<'_>) {
        self.has_more = false;
        if !cx.tcp.cork {
            self.timers.cork = None;
        }
        self.transmit(cx);
    }

    /// Sends what a changed option no longer holds back.
    pub(crate) fn push(&mut self, cx: &mut Cx<'_>) {
        self.control.set_algorithm(cx.tcp.congestion);
        if !cx.tcp.cork {
            self.timers.cork = None;
            self.is_pushed = cx.tcp.no_delay || !self.has_more;
            self.transmit(cx);
            self.is_pushed = false;
        }
        if !matches!(self.state, State::SynSent | State::Closed | State::TimeWait) {
            self.timers.heard(cx);
        }
        if cx.tcp.quick_ack && self.timers.delayed_ack.is_some() {
            self.send_ack(cx);
        }
    }

    /// Takes up to `max` bytes that can be read. Empty is the end of the stream.
    pub(crate) fn read(&mut self, max: usize, take: Take, cx: &Cx<'_>) -> Result<Payload, Errno> {
        let mut max = max;
        if !cx.options.urgent_inline
            && self.bytes_to_mark() == Some(0)
            && self.urgent.byte.is_some()
            && take == Take::Remove
        {
            // The mark was reached: the urgent byte is no part of the stream.
            self.receive.remove(0);
            (self.urgent.place, self.urgent.byte) = (None, None);
        }
        if let Some(to_mark) = self.bytes_to_mark().filter(|to_mark| *to_mark > 0) {
            max = max.min(to_mark);
        }
        if self.receive.len() > 0 {
            return Ok(if take == Take::Peek {
                self.receive.peek(max)
            } else {
                self.receive.take(max)
            });
        }
        if self.got_fin || self.is_read_shut {
            return Ok(Payload::default());
        }
        if let Some(errno) = self.error.take() {
            return Err(errno);
        }
        match self.state {
            State::Closed if self.was_reported => Err(Errno::ENOTCONN),
            State::Closed | State::TimeWait => {
                self.was_reported = true;
                Ok(Payload::default())
            }
            _ => Err(Errno::EAGAIN),
        }
    }

    /// Puts back what a program could not take after all.
    pub(crate) fn put_back(&mut self, rest: Payload) {
        self.receive.put_back(rest);
    }

    /// A program read `bytes`: the window opens, the buffer grows if it reads fast, and what is due is acknowledged.
    pub(crate) fn was_read(&mut self, bytes: usize, cx: &mut Cx<'_>) {
        if bytes == 0 || !self.state.receives() {
            self.recount(cx.account);
            return;
        }
        self.tune(bytes, cx);
        let unacknowledged = self.rcv_nxt.since(self.acknowledged);
        let is_read_up = self.receive.len() == 0 && unacknowledged > 0 && !self.is_interactive;
        let window = self.current_window();
        let free = self.capacity(cx).saturating_sub(u32_of(self.receive.len()));
        let is_opening = window <= self.capacity(cx) / 2 && free >= window.saturating_mul(2).max(1);
        if unacknowledged > self.receive_mss || is_read_up || is_opening {
            self.send_ack(cx);
        }
        self.recount(cx.account);
    }

    /// Lets the buffer hold twice what was read in one round trip (dynamic right-sizing, `tcp_moderate_rcvbuf`).
    fn tune(&mut self, bytes: usize, cx: &mut Cx<'_>) {
        self.tuning.copied += bytes;
        let round = self.rtt.smoothed().unwrap_or(Duration::from_millis(10));
        if cx.now.saturating_sub(self.tuning.since) < round {
            return;
        }
        let is_allowed = cx.config.tcp_moderate_receive_buffer && !cx.options.receive_buffer_locked;
        if self.tuning.copied > self.tuning.space && is_allowed {
            let segments = usize_of(self.receive_mss).saturating_mul(16);
            let window = self
                .tuning
                .copied
                .saturating_mul(2)
                .saturating_add(segments);
            // While the peer's window still opens, it may send twice as much in the next round.
            let growth = window.saturating_mul(self.tuning.copied - self.tuning.space);
            let window = window.saturating_add(growth / self.tuning.space.max(1) * 2);
            let wanted = window
                .saturating_mul(2)
                .min(cx.config.tcp_receive_buffer[2]);
            cx.options.receive_buffer = cx.options.receive_buffer.max(wanted);
        }
        self.tuning.space = self.tuning.space.max(self.tuning.copied);
        self.tuning.copied = 0;
        self.tuning.since = cx.now;
    }

    /// The urgent byte (`MSG_OOB`): `EINVAL` if there is none or it was read, `EAGAIN` if it did not come yet.
    pub(crate) fn read_urgent(&mut self, take: Take) -> Result<u8, Errno> {
        if self.urgent.place.is_none() && self.urgent.byte.is_none() {
            return Err(Errno::EINVAL);
        }
        if self.urgent.is_read {
            return Err(Errno::EINVAL);
        }
        let byte = self.urgent.byte.ok_or(Errno::EAGAIN)?;
        if take == Take::Remove {
            self.urgent.is_read = true;
        }
        Ok(byte)
    }

    pub(crate) fn is_at_mark(&self) -> bool {
        self.bytes_to_mark() == Some(0)
    }

    pub(crate) fn shutdown(&mut self, how: Shutdown, cx: &mut Cx<'_>) {
        if how.reads() {
            self.is_read_shut = true;
            cx.wake |= Readiness::IN | Readiness::READ_HANGUP;
        }
        if how.writes() && !self.is_write_shut {
            self.is_write_shut = true;
            self.finish(cx);
            cx.wake |= Readiness::OUT;
        }
        if self.is_write_shut && (self.is_read_shut || self.got_fin) {
            cx.wake |= Readiness::HANGUP;
        }
    }

    /// Sends a FIN behind all that was written.
    fn finish(&mut self, cx: &mut Cx<'_>) {
        self.state = match self.state {
            State::Established | State::SynReceived => State::FinWait1,
            State::CloseWait => State::LastAck,
            other => {
                if other == State::SynSent {
                    self.end(None, cx);
                }
                return;
            }
        };
        self.fin_wanted = true;
        self.transmit(cx);
        self.recount(cx.account);
    }

    /// No program has it any more. What was written is still sent; what was not read makes it a reset (RFC 2525, 2.17).
    pub(crate) fn close(&mut self, cx: &mut Cx<'_>) {
        self.is_orphan = true;
        let is_unread = self.receive.len() > 0;
        let is_hard = cx.options.linger == Some(Duration::ZERO);
        self.receive = super::receive_queue::ReceiveQueue::default();
        if (is_unread || is_hard)
            && !matches!(self.state, State::Closed | State::TimeWait | State::SynSent)
        {
            self.send_reset(cx);
            self.end(None, cx);
        } else if !self.is_write_shut {
            self.is_write_shut = true;
            self.finish(cx);
        }
        self.limit_fin_wait(cx);
        self.recount(cx.account);
    }

    /// Ends it with a reset.
    pub(crate) fn abort(&mut self, error: Option<Errno>, cx: &mut Cx<'_>) {
        if !matches!(self.state, State::Closed | State::TimeWait | State::SynSent) {
            self.send_reset(cx);
        }
        self.receive = super::receive_queue::ReceiveQueue::default();
        self.end(error, cx);
    }

    /// Whether a sequence number is of something that is on its way, and no guess.
    pub(crate) fn has_sent(&self, seq: u32) -> bool {
        super::seq::Seq(seq).is_within(self.una, self.nxt)
    }

    /// Hears from the network that something did not arrive. While it opens, that ends it.
    pub(crate) fn hear(&mut self, errno: Errno, seq: u32, cx: &mut Cx<'_>) {
        if !self.has_sent(seq) {
            return;
        }
        if self.state.is_opening() {
            self.end(Some(errno), cx);
        } else {
            self.soft_error = Some(errno);
        }
    }

    pub(crate) fn readiness(&mut self, cx: &Cx<'_>) -> Readiness {
        let mut readiness = Readiness::empty();
        let is_over = matches!(self.state, State::Closed | State::TimeWait);
        let is_ended = self.got_fin || self.is_read_shut || is_over;
        if self.state.is_opening() && self.error.is_none() {
            return readiness;
        }
        let urgent = usize::from(
            self.urgent.byte.is_some() && !cx.options.urgent_inline && self.is_at_mark(),
        );
        if self.receive.len().saturating_sub(urgent) >= cx.options.receive_low_water.max(1)
            || is_ended
        {
            readiness |= Readiness::IN;
        }
        if is_ended {
            readiness |= Readiness::READ_HANGUP;
        }
        if is_over || (self.is_write_shut && (self.got_fin || self.is_read_shut)) {
            readiness |= Readiness::HANGUP;
        }
        if self.is_write_shut || is_over || self.has_room(cx) {
            readiness |= Readiness::OUT;
        } else {
            self.wants_room = true;
        }
        if self.urgent.byte.is_some() && !self.urgent.is_read {
            readiness |= Readiness::PRIORITY;
        }
        if self.error.is_some() {
            readiness |= Readiness::ERROR;
        }
        readiness
    }

    pub(crate) fn queued(&self) -> Queued {
        let receive = self
            .bytes_to_mark()
            .filter(|to_mark| *to_mark > 0)
            .unwrap_or(usize::MAX);
        Queued {
            receive: self.receive.len().min(receive),
            send: self.queue.bytes(),
            unsent: self.queue.unsent.len(),
        }
    }

    pub(crate) fn info(&self, cx: &Cx<'_>) -> Info {
        let segments = |bytes: u64| {
            u32::try_from(bytes / u64::from(self.mss.max(1))).unwrap_or(i32::MAX.cast_unsigned())
        };
        let small = |count: u32| u8::try_from(count).unwrap_or(u8::MAX);
        let stats = &self.stats;
        Info {
            state: self.state,
            phase: self.recovery.number(),
            retransmits: self.timers.retransmits,
            probes: self.timers.probes,
            backoff: small(self.timers.backoff),
            has_timestamps: self.has_timestamps,
            has_sack: self.has_sack,
            scales: self
                .is_scaled
                .then_some((self.send_scale, self.receive_scale)),
            rto: self.rtt.timeout(self.timers.backoff),
            send_mss: self.mss,
            receive_mss: self.receive_mss,
            unacked: u32_of(self.queue.sent.len()),
            sacked: segments(self.queue.sacked()),
            total_retransmits: stats.repeated,
            rtt: self.rtt.smoothed().unwrap_or_default(),
            rtt_variation: self.rtt.variation(),
            least_rtt: self.rtt.least().unwrap_or_default(),
            threshold: segments(self.control.threshold()),
            window: segments(self.control.window()),
            announced_mss: self.announced_mss(cx).into(),
            path_mtu: self.setup.path_mss + 40,
            receive_space: u32_of(self.tuning.space),
            bytes_acked: stats.bytes_acked,
            bytes_received: stats.bytes_received,
            segments_out: stats.segments_out,
            segments_in: stats.segments_in,
            not_sent: u32_of(self.queue.unsent.len()),
            send_window: self.window,
            receive_window: self.current_window(),
            last_sent: cx.now.saturating_sub(stats.last_sent),
            last_received: cx.now.saturating_sub(stats.last_received),
            last_ack: cx.now.saturating_sub(stats.last_ack),
        }
    }

    /// Segments that were sent again.
    pub(crate) fn repeated(&self) -> u32 {
        self.stats.repeated
    }

    /// The tables have it no more.
    pub(crate) fn bury(&mut self) {
        self.state = State::Closed;
    }

    /// What a connection in `TIME_WAIT` leaves behind.
    pub(crate) fn remains(&self) -> super::time_wait::Remains {
        super::time_wait::Remains {
            nxt: self.nxt,
            rcv_nxt: self.rcv_nxt,
            window: u16::try_from(self.current_window() >> self.receive_scale).unwrap_or(u16::MAX),
            recent_timestamp: self.has_timestamps.then_some(self.recent_timestamp),
            clock_offset: self.setup.clock_offset,
        }
    }
}
