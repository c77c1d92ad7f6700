//! UDP sockets (`man 7 udp`).

use std::sync::Arc;

use abi::Errno;
use abi::raw::ioctl;
use locks::Mutex;
use netstack::udp::{SendTo, Socket as Datagrams};
use netstack::{Family, Take};

use super::address::{self, Given};
use super::network::Network;
use super::options::{self, Membership};
use super::{IPPROTO_UDP, Waiters, check_port, directions, events};
use crate::error::{Result, SyscallResult};
use crate::kernel::task::Task;
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::socket::{
    CommonOptions, Incoming, MessageFlags, Outgoing, Shutdown, Socket, SocketType, interfaces,
};
use crate::vfs::command::CommandArg;
use crate::vfs::file::{File, OpenFile, Position, Written};
use crate::vfs::io::{Sink, Source};

/// A UDP socket.
#[derive(Debug)]
pub struct UdpSocket {
    family: Family,
    datagrams: Arc<Datagrams>,
    waiters: Arc<Waiters>,
    common: Mutex<CommonOptions>,
    /// What `MSG_MORE` has gathered, and where it goes.
    gathered: Mutex<Option<(SendTo, Vec<u8>)>>,
    /// Keeps the namespace.
    _network: Arc<Network>,
}

impl UdpSocket {
    /// A socket made by `task`.
    #[must_use]
    pub fn new(task: &Task, family: Family) -> Arc<UdpSocket> {
        let network = task.namespaces().net.clone();
        let common = CommonOptions::of(task.kernel());
        let waiters = Arc::new(Waiters(WaitQueue::new()));
        let datagrams = network.stack(task.kernel()).udp(family, waiters.clone());
        let owner = task.credentials().euid;
        datagrams.configure(|options| options.owner = owner);
        Arc::new(UdpSocket {
            family,
            datagrams,
            waiters,
            common: Mutex::new(common),
            gathered: Mutex::default(),
            _network: network,
        })
    }

    fn send_datagram(&self, message: &mut Outgoing<'_>) -> Result<usize> {
        if message.flags.contains(MessageFlags::OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        let address = match &message.address {
            Some(bytes) => Some(address::read_destination(bytes, self.family)?),
            None => None,
        };
        let to = SendTo {
            address,
            ..SendTo::default()
        };
        let len = message.source.remaining();
        let (to, mut bytes) = match self.gathered.lock().take() {
            Some((to, bytes)) => (to, bytes),
            None => (to, Vec::new()),
        };
        if message.flags.contains(MessageFlags::MORE) || !bytes.is_empty() {
            if bytes.len() + len > LONGEST {
                return Err(Errno::EMSGSIZE);
            }
            bytes.extend(message.source.read_to_vec(len)?);
            if message.flags.contains(MessageFlags::MORE) {
                *self.gathered.lock() = Some((to, bytes));
                return Ok(len);
            }
            let mut rest = Source::Kernel(&bytes);
            self.datagrams
                .send(&to, bytes.len(), &mut |buffer| rest.read(buffer))?;
            return Ok(len);
        }
        let source = &mut message.source;
        self.datagrams.send(&to, len, &mut |buffer| {
            let read = source.read(buffer)?;
            if read < buffer.len() {
                return Err(Errno::EFAULT);
            }
            Ok(read)
        })
    }

    fn receive_datagram(&self, sink: &mut Sink<'_>, flags: MessageFlags) -> Result<Incoming> {
        if flags.contains(MessageFlags::OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        let take = if flags.contains(MessageFlags::PEEK) {
            Take::Peek
        } else {
            Take::Remove
        };
        let received = match self.datagrams.receive(take) {
            // Nothing comes after a shutdown.
            Err(Errno::ESHUTDOWN) => return Ok(Incoming::default()),
            other => other?,
        };
        let len = received.payload.len();
        let mut stored = 0;
        for piece in received.payload.pieces() {
            let written = sink.write(piece)?;
            stored += written;
            if written < piece.len() {
                break;
            }
        }
        let mut incoming = Incoming {
            stored,
            len,
            address: Some(address::write(received.from)),
            ..Incoming::default()
        };
        incoming.flags.set(MessageFlags::TRUNC, stored < len);
        Ok(incoming)
    }
}

/// No datagram is longer.
const LONGEST: usize = 65_535;

impl File for UdpSocket {
    fn held_bytes(&self, _depth: u32) -> u64 {
        self.datagrams.queued().receive as u64
    }

    fn read(&self, _task: &Task, sink: &mut Sink<'_>, _offset: u64) -> Result<usize> {
        let incoming = self.receive_datagram(sink, MessageFlags::empty())?;
        Ok(incoming.stored)
    }

    fn write(&self, _task: &Task, source: &mut Source<'_>, _position: Position) -> Result<Written> {
        let taken = std::mem::replace(source, Source::Kernel(&[]));
        let mut message = Outgoing::bytes(taken);
        let outcome = self.send_datagram(&mut message);
        let Outgoing { source: rest, .. } = message;
        *source = rest;
        Ok(Written {
            len: outcome?,
            end: 0,
        })
    }

    fn poll(&self) -> Events {
        events(self.datagrams.readiness())
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
        let len = match command {
            ioctl::FIONREAD => self.datagrams.queued().receive,
            ioctl::TIOCOUTQ => self.datagrams.queued().send,
            _ => return interfaces::ioctl(task, command, argument),
        };
        let len = i32::try_from(len).unwrap_or(i32::MAX);
        task.mm().write_value(argument.address(), &len)?;
        Ok(0)
    }

    fn release(&self, _open: &OpenFile) {
        self.datagrams.close();
    }

    fn socket(&self) -> Option<&dyn Socket> {
        Some(self)
    }
}

impl Socket for UdpSocket {
    fn family(&self) -> u16 {
        address::number(self.family)
    }

    fn kind(&self) -> SocketType {
        SocketType::Datagram
    }

    fn protocol(&self) -> i32 {
        IPPROTO_UDP
    }

    fn common(&self) -> &Mutex<CommonOptions> {
        &self.common
    }

    fn common_changed(&self) {
        let common = *self.common.lock();
        self.datagrams
            .configure(|options| options::set_common(options, &common));
    }

    fn bind(&self, task: &Task, bytes: &[u8]) -> Result<()> {
        let address = match address::read(bytes, self.family)? {
            Given::Of(address) => address,
            Given::Unspecified => super::unspecified_for_bind(bytes, self.family)?,
        };
        check_port(task, address.port())?;
        self.datagrams.bind(address)
    }

    fn connect(&self, _task: &Task, bytes: &[u8]) -> Result<()> {
        self.datagrams
            .connect(match address::read(bytes, self.family)? {
                Given::Of(address) => Some(address),
                Given::Unspecified => None,
            })
    }

    fn local_address(&self) -> Result<Vec<u8>> {
        Ok(address::write(self.datagrams.local_address()))
    }

    fn peer_address(&self) -> Result<Vec<u8>> {
        self.datagrams.peer_address().map(address::write)
    }

    fn shutdown(&self, how: Shutdown) -> Result<()> {
        self.datagrams.shutdown(directions(how))
    }

    fn send(&self, _task: &Task, message: &mut Outgoing<'_>) -> Result<usize> {
        self.send_datagram(message)
    }

    fn receive(&self, _task: &Task, sink: &mut Sink<'_>, flags: MessageFlags) -> Result<Incoming> {
        self.receive_datagram(sink, flags)
    }

    fn take_error(&self) -> Option<Errno> {
        self.datagrams.take_error()
    }

    fn get_option(&self, _task: &Task, level: i32, name: u32) -> Result<Vec<u8>> {
        options::get(&self.datagrams.options(), self.family, level, name)
    }

    fn set_option(&self, _task: &Task, level: i32, name: u32, value: &[u8]) -> Result<()> {
        match options::membership(level, name, value)? {
            Some(Membership::Join(group)) => return self.datagrams.join(group),
            Some(Membership::Leave(group)) => return self.datagrams.leave(group),
            None => {}
        }
        let port = self.datagrams.local_address().port();
        let mut set = Ok(());
        self.datagrams.configure(|all| {
            set = options::set(all, self.family, (level, name), value, port);
        });
        set
    }

    fn stack_id(&self) -> Option<u64> {
        Some(self.datagrams.id())
    }
}
