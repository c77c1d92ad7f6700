//! TCP sockets (`man 7 tcp`).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use abi::Errno;
use abi::raw::ioctl;
use locks::Mutex;
use netstack::tcp::{Info, Options, SendFlags, Socket as Stream, State};
use netstack::{Congestion, Family, Take};

use super::address::{self, Given};
use super::network::Network;
use super::options::{self, SOL_TCP, number};
use super::{IPPROTO_TCP, Waiters, check_port, directions, events};
use crate::error::{Result, SyscallResult};
use crate::fs::pipe::broken_pipe;
use crate::kernel::task::Task;
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::socket::{
    Accepted, CommonOptions, Incoming, MessageFlags, Outgoing, Shutdown, Socket, SocketType,
    interfaces,
};
use crate::vfs::command::CommandArg;
use crate::vfs::file::{File, OpenFile, Position, Written};
use crate::vfs::io::{Sink, Source};

const SIOCATMARK: u32 = 0x8905;
const SIOCOUTQNSD: u32 = 0x894b;

const TCP_NODELAY: u32 = 1;
const TCP_MAXSEG: u32 = 2;
const TCP_CORK: u32 = 3;
const TCP_KEEPIDLE: u32 = 4;
const TCP_KEEPINTVL: u32 = 5;
const TCP_KEEPCNT: u32 = 6;
const TCP_SYNCNT: u32 = 7;
const TCP_LINGER2: u32 = 8;
const TCP_DEFER_ACCEPT: u32 = 9;
const TCP_WINDOW_CLAMP: u32 = 10;
const TCP_INFO: u32 = 11;
const TCP_QUICKACK: u32 = 12;
const TCP_CONGESTION: u32 = 13;
const TCP_USER_TIMEOUT: u32 = 18;
const TCP_NOTSENT_LOWAT: u32 = 25;

/// Longest name of a congestion control (`TCP_CA_NAME_MAX`).
const NAME_MAX: usize = 16;

/// A segment's size before anything is known of the path (RFC 9293, 3.7.1).
const MSS_DEFAULT: u16 = 536;

/// A TCP socket.
#[derive(Debug)]
pub struct TcpSocket {
    family: Family,
    stream: Arc<Stream>,
    waiters: Arc<Waiters>,
    common: Mutex<CommonOptions>,
    /// Keeps the namespace.
    network: Arc<Network>,
}

impl TcpSocket {
    /// A socket made by `task`.
    #[must_use]
    pub fn new(task: &Task, family: Family) -> Arc<TcpSocket> {
        let network = task.namespaces().net.clone();
        let waiters = Arc::new(Waiters(WaitQueue::new()));
        let stream = network.stack(task.kernel()).tcp(family, waiters.clone());
        let owner = task.credentials().euid;
        stream.configure(|options| options.owner = owner);
        let options = stream.options();
        let size = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let common = CommonOptions {
            send_buffer: size(options.send_buffer),
            receive_buffer: size(options.receive_buffer),
            ..CommonOptions::default()
        };
        Arc::new(TcpSocket {
            family,
            stream,
            waiters,
            common: Mutex::new(common),
            network,
        })
    }

    fn send_bytes(&self, message: &mut Outgoing<'_>) -> Result<usize> {
        let mut flags = SendFlags::empty();
        flags.set(SendFlags::MORE, message.flags.contains(MessageFlags::MORE));
        let is_urgent = message.flags.contains(MessageFlags::OOB);
        flags.set(SendFlags::OUT_OF_BAND, is_urgent);
        let len = message.source.remaining();
        let source = &mut message.source;
        self.stream
            .send(len, flags, &mut |buffer| source.read(buffer))
    }

    fn receive_bytes(&self, sink: &mut Sink<'_>, flags: MessageFlags) -> Result<usize> {
        let peeks = flags.contains(MessageFlags::PEEK);
        let take = if peeks { Take::Peek } else { Take::Remove };
        if flags.contains(MessageFlags::OOB) {
            let byte = self.stream.receive_urgent(take)?;
            return sink.write(&[byte]);
        }
        let room = sink.remaining();
        let offset = match self.common.lock().peek_offset {
            offset if peeks => usize::try_from(offset).unwrap_or(0),
            _ => 0,
        };
        let mut skip = offset;
        let copied = self
            .stream
            .receive(room.saturating_add(offset), take, &mut |piece| {
                let skipped = skip.min(piece.len());
                skip -= skipped;
                let piece = &piece[skipped..];
                let len = if flags.contains(MessageFlags::TRUNC) {
                    // Bytes are dropped, not copied (`man 7 tcp`).
                    piece.len()
                } else {
                    sink.write(piece)?
                };
                Ok(skipped + len)
            });
        let done = match copied {
            // A call for nothing waits for nothing.
            Err(Errno::EAGAIN) if room == 0 => return Ok(0),
            Ok(copied) if copied <= offset && copied > 0 => return Err(Errno::EAGAIN),
            other => other?.saturating_sub(offset),
        };
        self.move_peek_offset(done, take);
        Ok(done)
    }

    /// `SO_PEEK_OFF` goes forward with what is peeked at, and back with what is taken.
    fn move_peek_offset(&self, done: usize, take: Take) {
        let moved = i32::try_from(done).unwrap_or(i32::MAX);
        let mut common = self.common.lock();
        if common.peek_offset >= 0 {
            common.peek_offset = match take {
                Take::Peek => common.peek_offset.saturating_add(moved),
                Take::Remove => common.peek_offset.saturating_sub(moved).max(0),
            };
        }
    }

    fn set_tcp_option(&self, name: u32, value: &[u8]) -> Result<()> {
        if name == TCP_CONGESTION {
            let name = &value[..value.len().min(NAME_MAX)];
            let end = name.iter().position(|byte| *byte == 0);
            let name = std::str::from_utf8(&name[..end.unwrap_or(name.len())]);
            let congestion = name.ok().and_then(Congestion::named).ok_or(Errno::ENOENT)?;
            self.stream
                .configure_tcp(|options| options.congestion = congestion);
            return Ok(());
        }
        if value.len() < size_of::<i32>() {
            return Err(Errno::EINVAL);
        }
        let change = change_of(name, number(value)?)?;
        self.stream.configure_tcp(change);
        Ok(())
    }

    fn tcp_option(&self, name: u32) -> Result<Vec<u8>> {
        let options = self.stream.tcp_options();
        let seconds = |time: Duration| i32::try_from(time.as_secs()).unwrap_or(i32::MAX);
        let number = match name {
            TCP_NODELAY => options.no_delay.into(),
            TCP_CORK => options.cork.into(),
            TCP_QUICKACK => options.quick_ack.into(),
            TCP_MAXSEG => match self.stream.state() {
                State::Closed | State::Listen => options.max_segment.unwrap_or(MSS_DEFAULT).into(),
                _ => self.stream.info().send_mss.cast_signed(),
            },
            TCP_KEEPIDLE => seconds(options.keep_idle),
            TCP_KEEPINTVL => seconds(options.keep_interval),
            TCP_KEEPCNT => options.keep_count.into(),
            TCP_SYNCNT => options.syn_count.into(),
            TCP_LINGER2 => options.linger2.map_or(60, seconds),
            TCP_DEFER_ACCEPT => options.defer_accept.map_or(0, seconds),
            TCP_WINDOW_CLAMP => options.window_clamp.unwrap_or(0).cast_signed(),
            TCP_NOTSENT_LOWAT => options.not_sent_low_water.unwrap_or(u32::MAX).cast_signed(),
            TCP_USER_TIMEOUT => {
                let time = options.user_timeout.unwrap_or_default();
                i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
            }
            TCP_CONGESTION => {
                let mut name = options.congestion.name().as_bytes().to_vec();
                name.resize(NAME_MAX, 0);
                return Ok(name);
            }
            TCP_INFO => return Ok(info(&self.stream.info())),
            _ => return Err(Errno::ENOPROTOOPT),
        };
        Ok(number.to_ne_bytes().to_vec())
    }
}

/// A change of options.
type Change = Box<dyn FnOnce(&mut Options)>;

/// What setting an option to a number changes. EINVAL, ENOPROTOOPT.
fn change_of(name: u32, number: i32) -> Result<Change> {
    let is_on = number != 0;
    let within = |most: i32| {
        if (1..=most).contains(&number) {
            Ok(number.unsigned_abs())
        } else {
            Err(Errno::EINVAL)
        }
    };
    let seconds = |number: u32| Duration::from_secs(u64::from(number));
    let count = || within(127).map(|number| u8::try_from(number).unwrap_or(u8::MAX));
    Ok(match name {
        TCP_NODELAY => Box::new(move |options| options.no_delay = is_on),
        TCP_CORK => Box::new(move |options| options.cork = is_on),
        TCP_QUICKACK => Box::new(move |options| options.quick_ack = is_on),
        TCP_MAXSEG => {
            let size = match number {
                0 => None,
                number if (88..=32_767).contains(&number) => u16::try_from(number).ok(),
                _ => return Err(Errno::EINVAL),
            };
            Box::new(move |options| options.max_segment = size)
        }
        TCP_KEEPIDLE => {
            let time = seconds(within(32_767)?);
            Box::new(move |options| options.keep_idle = time)
        }
        TCP_KEEPINTVL => {
            let time = seconds(within(32_767)?);
            Box::new(move |options| options.keep_interval = time)
        }
        TCP_KEEPCNT => {
            let count = count()?;
            Box::new(move |options| options.keep_count = count)
        }
        TCP_SYNCNT => {
            let count = count()?;
            Box::new(move |options| options.syn_count = count)
        }
        TCP_LINGER2 => {
            let time = u32::try_from(number).map_or(Duration::ZERO, seconds);
            Box::new(move |options| options.linger2 = Some(time))
        }
        TCP_DEFER_ACCEPT => {
            let time = u32::try_from(number).ok().filter(|number| *number > 0);
            let time = time.map(seconds);
            Box::new(move |options| options.defer_accept = time)
        }
        TCP_WINDOW_CLAMP => {
            let clamp = u32::try_from(number).map_err(|_| Errno::EINVAL)?;
            Box::new(move |options| options.window_clamp = (clamp > 0).then_some(clamp))
        }
        TCP_NOTSENT_LOWAT => {
            let low = number.cast_unsigned();
            Box::new(move |options| options.not_sent_low_water = Some(low))
        }
        TCP_USER_TIMEOUT => {
            let time = u64::try_from(number).map_err(|_| Errno::EINVAL)?;
            let time = (time > 0).then(|| Duration::from_millis(time));
            Box::new(move |options| options.user_timeout = time)
        }
        _ => return Err(Errno::ENOPROTOOPT),
    })
}

/// A `struct tcp_info` up to `tcpi_rcv_wnd` (`linux/tcp.h`).
fn info(info: &Info) -> Vec<u8> {
    const LEN: usize = 236;
    let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    let millis = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    let mut bytes = vec![0; LEN];
    let mut options = 0;
    for (bit, is_set) in [
        (1, info.has_timestamps),
        (2, info.has_sack),
        (4, info.scales.is_some()),
    ] {
        options |= if is_set { bit } else { 0 };
    }
    let (theirs, ours) = info.scales.unwrap_or_default();
    let first = [
        info.state as u8,
        info.phase,
        info.retransmits,
        info.probes,
        info.backoff,
        options,
        (theirs & 0xf) | (ours << 4),
    ];
    bytes[..first.len()].copy_from_slice(&first);
    for (at, number) in [
        (8, micros(info.rto)),
        (16, info.send_mss),
        (20, info.receive_mss),
        (24, info.unacked),
        (28, info.sacked),
        (44, millis(info.last_sent)),
        (52, millis(info.last_received)),
        (56, millis(info.last_ack)),
        (60, info.path_mtu),
        (68, micros(info.rtt)),
        (72, micros(info.rtt_variation)),
        (76, info.threshold),
        (80, info.window),
        (84, info.announced_mss),
        (96, info.receive_space),
        (100, info.total_retransmits),
        (136, info.segments_out),
        (140, info.segments_in),
        (144, info.not_sent),
        (148, micros(info.least_rtt)),
        (228, info.send_window),
        (232, info.receive_window),
    ] {
        bytes[at..at + 4].copy_from_slice(&number.to_ne_bytes());
    }
    bytes[120..128].copy_from_slice(&info.bytes_acked.to_ne_bytes());
    bytes[128..136].copy_from_slice(&info.bytes_received.to_ne_bytes());
    bytes
}

impl File for TcpSocket {
    fn held_bytes(&self, _depth: u32) -> u64 {
        let queued = self.stream.queued();
        (queued.receive + queued.send) as u64
    }

    fn read(&self, _task: &Task, sink: &mut Sink<'_>, _offset: u64) -> Result<usize> {
        self.receive_bytes(sink, MessageFlags::empty())
    }

    fn write(&self, task: &Task, source: &mut Source<'_>, _position: Position) -> Result<Written> {
        let taken = std::mem::replace(source, Source::Kernel(&[]));
        let mut message = Outgoing::bytes(taken);
        let outcome = Socket::send(self, task, &mut message);
        let Outgoing { source: rest, .. } = message;
        *source = rest;
        Ok(Written {
            len: outcome?,
            end: 0,
        })
    }

    fn poll(&self) -> Events {
        events(self.stream.readiness())
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.waiters.0)
    }

    fn ioctl(
        &self,
        task: &Task,
        _open: &Arc<OpenFile>,
        command: u32,
        argument: CommandArg,
    ) -> SyscallResult {
        let queued = self.stream.queued();
        let len = match command {
            ioctl::FIONREAD | ioctl::TIOCOUTQ | SIOCOUTQNSD if self.is_listening() => {
                return Err(Errno::EINVAL.into());
            }
            ioctl::FIONREAD => queued.receive,
            ioctl::TIOCOUTQ => queued.send,
            SIOCOUTQNSD => queued.unsent,
            SIOCATMARK => usize::from(self.stream.at_mark()),
            _ => return interfaces::ioctl(task, command, argument),
        };
        let len = i32::try_from(len).unwrap_or(i32::MAX);
        task.mm().write_value(argument.address(), &len)?;
        Ok(0)
    }

    fn release(&self, _open: &OpenFile) {
        self.stream.close();
    }

    fn socket(&self) -> Option<&dyn Socket> {
        Some(self)
    }
}

impl Drop for TcpSocket {
    fn drop(&mut self) {
        // One that was accepted and found no descriptor was never released.
        self.stream.close();
    }
}

impl Socket for TcpSocket {
    fn family(&self) -> u16 {
        address::number(self.family)
    }

    fn kind(&self) -> SocketType {
        SocketType::Stream
    }

    fn protocol(&self) -> i32 {
        IPPROTO_TCP
    }

    fn common(&self) -> &Mutex<CommonOptions> {
        &self.common
    }

    fn common_changed(&self) {
        let common = *self.common.lock();
        self.stream
            .configure(|options| options::set_common(options, &common));
    }

    fn bind(&self, task: &Task, bytes: &[u8]) -> Result<()> {
        let address = match address::read(bytes, self.family)? {
            Given::Of(address) => address,
            Given::Unspecified => super::unspecified_for_bind(bytes, self.family)?,
        };
        check_port(task, address.port())?;
        self.stream.bind(address)
    }

    fn listen(&self, task: &Task, backlog: i32) -> Result<()> {
        let most = task.kernel().sysctl.number("net/core/somaxconn");
        let asked = u64::from(backlog.cast_unsigned());
        let backlog = u32::try_from(asked.min(most)).unwrap_or(u32::MAX);
        self.stream.listen(backlog)
    }

    fn accept(&self, _task: &Task) -> Result<Accepted> {
        let waiters = Arc::new(Waiters(WaitQueue::new()));
        let stream = self.stream.accept(waiters.clone())?;
        let nobody = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let peer = stream.peer_address().unwrap_or(nobody);
        let accepted = TcpSocket {
            family: self.family,
            stream,
            waiters,
            common: Mutex::new(*self.common.lock()),
            network: self.network.clone(),
        };
        Ok(Accepted {
            file: Arc::new(accepted),
            peer: address::write(peer),
        })
    }

    fn connect(&self, _task: &Task, bytes: &[u8]) -> Result<()> {
        match address::read(bytes, self.family)? {
            Given::Of(address) => self.stream.connect(address),
            Given::Unspecified => {
                self.stream.disconnect();
                Ok(())
            }
        }
    }

    fn local_address(&self) -> Result<Vec<u8>> {
        Ok(address::write(self.stream.local_address()))
    }

    fn peer_address(&self) -> Result<Vec<u8>> {
        self.stream.peer_address().map(address::write)
    }

    fn shutdown(&self, how: Shutdown) -> Result<()> {
        self.stream.shutdown(directions(how))
    }

    fn send(&self, task: &Task, message: &mut Outgoing<'_>) -> Result<usize> {
        let is_quiet = message.flags.contains(MessageFlags::NOSIGNAL);
        match self.send_bytes(message) {
            Err(Errno::EPIPE) if !is_quiet => Err(broken_pipe(task)),
            other => other,
        }
    }

    fn receive(&self, _task: &Task, sink: &mut Sink<'_>, flags: MessageFlags) -> Result<Incoming> {
        let stored = self.receive_bytes(sink, flags)?;
        Ok(Incoming {
            stored,
            len: stored,
            ..Incoming::default()
        })
    }

    fn take_error(&self) -> Option<Errno> {
        self.stream.take_error()
    }

    fn is_listening(&self) -> bool {
        self.stream.state() == State::Listen
    }

    fn get_option(&self, _task: &Task, level: i32, name: u32) -> Result<Vec<u8>> {
        if level == SOL_TCP {
            return self.tcp_option(name);
        }
        options::get(&self.stream.options(), self.family, level, name)
    }

    fn set_option(&self, _task: &Task, level: i32, name: u32, value: &[u8]) -> Result<()> {
        if level == SOL_TCP {
            return self.set_tcp_option(name, value);
        }
        let port = self.stream.local_address().port();
        let mut set = Ok(());
        self.stream.configure(|all| {
            set = options::set(all, self.family, (level, name), value, port);
        });
        set
    }

    fn stack_id(&self) -> Option<u64> {
        Some(self.stream.id())
    }
}
