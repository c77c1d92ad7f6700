//! Netlink sockets (`man 7 netlink`): the route family's questions about interfaces, addresses and routes.
//!
//! There is only the kernel at the other end: what is sent is answered at once, into the sender's own queue.
//! Changes are refused (EOPNOTSUPP); nothing is ever announced to multicast groups, since nothing changes.

mod message;
mod route;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use abi::Errno;
use abi::raw::ioctl;
use abi::socket::{AF_NETLINK, SOL_NETLINK};
use locks::Mutex;

use crate::error::{Result, SyscallResult};
use crate::kernel::task::Task;
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::socket::message::Sender;
use crate::socket::{
    CommonOptions, Incoming, MessageFlags, Outgoing, Socket, SocketType, interfaces,
};
use crate::vfs::command::CommandArg;
use crate::vfs::file::{File, OpenFile, Position, Written};
use crate::vfs::io::{Sink, Source};

/// `NETLINK_ROUTE`
pub const ROUTE: i32 = 0;
/// `NETLINK_KOBJECT_UEVENT`: no device ever comes or goes
pub const KOBJECT_UEVENT: i32 = 15;
/// Largest number of a protocol.
const MAX_PROTOCOL: i32 = 32;

/// A request longer than this is EMSGSIZE.
const MAX_REQUEST: usize = 1 << 20;
/// Answers that wait; more are ENOBUFS.
const MAX_WAITING: usize = 4096;

const NETLINK_PKTINFO: u32 = 3;
/// Set and forgotten, or only about messages that are never sent here.
const ACCEPTED_OPTIONS: &[u32] = &[1, 2, 4, 5, 8, 9, 10, 11, 12];

/// A netlink socket.
#[derive(Debug)]
pub struct NetlinkSocket {
    kind: SocketType,
    protocol: i32,
    /// Its address, 0 before it is bound.
    port: AtomicU32,
    groups: AtomicU32,
    queue: WaitQueue,
    common: Mutex<CommonOptions>,
    answers: Mutex<VecDeque<Vec<u8>>>,
}

impl NetlinkSocket {
    /// A socket of `protocol`: EPROTONOSUPPORT, ESOCKTNOSUPPORT.
    pub fn new(kind: SocketType, protocol: i32) -> Result<Arc<NetlinkSocket>> {
        if !matches!(kind, SocketType::Raw | SocketType::Datagram) {
            return Err(Errno::ESOCKTNOSUPPORT);
        }
        if !(0..MAX_PROTOCOL).contains(&protocol) || ![ROUTE, KOBJECT_UEVENT].contains(&protocol) {
            return Err(Errno::EPROTONOSUPPORT);
        }
        Ok(Arc::new(NetlinkSocket {
            kind,
            protocol,
            port: AtomicU32::new(0),
            groups: AtomicU32::new(0),
            queue: WaitQueue::new(),
            common: Mutex::default(),
            answers: Mutex::default(),
        }))
    }

    /// Its address: the process's id for its first socket on Linux, here a number never used before.
    fn port(&self, task: &Task) -> u32 {
        let known = self.port.load(Ordering::Acquire);
        if known != 0 {
            return known;
        }
        let id = task.kernel().unique_id();
        let fresh = task.group().pid() | (u32::try_from(id & 0x3ff).unwrap_or(0) << 22);
        match self
            .port
            .compare_exchange(0, fresh, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => fresh,
            Err(other) => other,
        }
    }

    fn answer(&self, task: &Task, request: &[u8]) -> Result<()> {
        let port = self.port(task);
        let mut answers = Vec::new();
        if self.protocol == ROUTE {
            let all = interfaces::all(task);
            for message in message::requests(request) {
                answers.extend(route::answer(&all, &message, port));
            }
        }
        let mut waiting = self.answers.lock();
        if waiting.len() + answers.len() > MAX_WAITING {
            return Err(Errno::ENOBUFS);
        }
        waiting.extend(answers);
        drop(waiting);
        self.queue.wake(Events::IN | Events::RDNORM);
        Ok(())
    }
}

/// A `struct sockaddr_nl`.
fn address(port: u32, groups: u32) -> Vec<u8> {
    let mut bytes = AF_NETLINK.to_ne_bytes().to_vec();
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(&port.to_ne_bytes());
    bytes.extend_from_slice(&groups.to_ne_bytes());
    bytes
}

/// Port and groups of a `struct sockaddr_nl`; EINVAL.
fn parse(address: &[u8]) -> Result<(u32, u32)> {
    let word = |at: usize| -> Option<u32> {
        Some(u32::from_ne_bytes(
            address.get(at..at + 4)?.try_into().ok()?,
        ))
    };
    let family = address.get(..2).ok_or(Errno::EINVAL)?;
    if family != AF_NETLINK.to_ne_bytes() {
        return Err(Errno::EINVAL);
    }
    word(4).zip(word(8)).ok_or(Errno::EINVAL)
}

impl File for NetlinkSocket {
    fn read(&self, task: &Task, sink: &mut Sink<'_>, _offset: u64) -> Result<usize> {
        Ok(self.receive(task, sink, MessageFlags::empty())?.stored)
    }

    fn write(&self, task: &Task, source: &mut Source<'_>, _position: Position) -> Result<Written> {
        let request = request(source)?;
        self.answer(task, &request)?;
        Ok(Written {
            len: request.len(),
            end: 0,
        })
    }

    fn poll(&self) -> Events {
        let mut events = Events::OUT | Events::WRNORM;
        if !self.answers.lock().is_empty() {
            events |= Events::IN | Events::RDNORM;
        }
        events
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn ioctl(
        &self,
        task: &Task,
        _open: &Arc<OpenFile>,
        command: u32,
        argument: CommandArg,
    ) -> SyscallResult {
        if command == ioctl::FIONREAD {
            return Err(Errno::EOPNOTSUPP.into());
        }
        interfaces::ioctl(task, command, argument)
    }

    fn socket(&self) -> Option<&dyn Socket> {
        Some(self)
    }
}

fn request(source: &mut Source<'_>) -> Result<Vec<u8>> {
    if source.remaining() > MAX_REQUEST {
        return Err(Errno::EMSGSIZE);
    }
    source.read_to_vec(MAX_REQUEST)
}

impl Socket for NetlinkSocket {
    fn family(&self) -> u16 {
        AF_NETLINK
    }

    fn kind(&self) -> SocketType {
        self.kind
    }

    fn protocol(&self) -> i32 {
        self.protocol
    }

    fn common(&self) -> &Mutex<CommonOptions> {
        &self.common
    }

    fn bind(&self, task: &Task, address: &[u8]) -> Result<()> {
        let (port, groups) = parse(address)?;
        let bound = self.port.load(Ordering::Acquire);
        if bound != 0 && port != bound {
            return Err(Errno::EINVAL);
        }
        if port != 0 {
            self.port.store(port, Ordering::Release);
        } else {
            self.port(task);
        }
        self.groups.store(groups, Ordering::Release);
        Ok(())
    }

    fn connect(&self, task: &Task, address: &[u8]) -> Result<()> {
        let (port, _) = parse(address)?;
        if port != 0 {
            return Err(Errno::ECONNREFUSED);
        }
        self.port(task);
        Ok(())
    }

    fn local_address(&self) -> Result<Vec<u8>> {
        Ok(address(
            self.port.load(Ordering::Acquire),
            self.groups.load(Ordering::Acquire),
        ))
    }

    fn peer_address(&self) -> Result<Vec<u8>> {
        Ok(address(0, 0))
    }

    fn send(&self, task: &Task, message: &mut Outgoing<'_>) -> Result<usize> {
        if let Some(address) = &message.address
            && parse(address)?.0 != 0
        {
            return Err(Errno::ECONNREFUSED);
        }
        let request = request(&mut message.source)?;
        self.answer(task, &request)?;
        Ok(request.len())
    }

    fn receive(&self, task: &Task, sink: &mut Sink<'_>, flags: MessageFlags) -> Result<Incoming> {
        let mut answers = self.answers.lock();
        let first = answers.front().ok_or(Errno::EAGAIN)?;
        let mut incoming = Incoming {
            len: first.len(),
            address: Some(address(0, 0)),
            wants_credentials: self.common.lock().pass_credentials,
            ..Incoming::default()
        };
        if sink.remaining() > 0 {
            incoming.stored = sink.write(first)?;
        }
        if incoming.stored < incoming.len {
            incoming.flags |= MessageFlags::TRUNC;
        }
        if incoming.wants_credentials {
            incoming.control.sender = Some(Sender::kernel());
        }
        if !flags.contains(MessageFlags::PEEK) {
            answers.pop_front();
        }
        let _ = task;
        Ok(incoming)
    }

    fn get_option(&self, _task: &Task, level: i32, name: u32) -> Result<Vec<u8>> {
        if level == SOL_NETLINK && (name == NETLINK_PKTINFO || ACCEPTED_OPTIONS.contains(&name)) {
            return Ok(0i32.to_ne_bytes().to_vec());
        }
        Err(Errno::ENOPROTOOPT)
    }

    fn set_option(&self, _task: &Task, level: i32, name: u32, _value: &[u8]) -> Result<()> {
        if level == SOL_NETLINK && (name == NETLINK_PKTINFO || ACCEPTED_OPTIONS.contains(&name)) {
            return Ok(());
        }
        Err(Errno::ENOPROTOOPT)
    }
}
