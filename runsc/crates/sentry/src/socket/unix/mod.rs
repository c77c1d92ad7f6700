//! Unix sockets (`man 7 unix`).
//!
//! What is sent goes straight into the receiver's [`inbox`]; a sender is charged for what nobody has read
//! yet, up to its send buffer. [`names`] has pathnames and abstract names, [`connect`] listeners and
//! connections, [`rights`] the files that are under way and the collector of those that only each other
//! hold.
//!
//! # Locks
//! rights > state > inbox; of two sockets at most one lock of a kind is held. As a pipe's, an inbox's lock is
//! held while user memory is copied. Wait queues are told with no lock held.

mod connect;
mod inbox;
mod names;
mod notify;
mod options;
mod receive;
pub mod rights;
mod send;

use std::sync::atomic::{AtomicI32, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use abi::Errno;
use abi::raw::ioctl;
use abi::socket::AF_UNIX;
use locks::Mutex;

use crate::error::{Result, SyscallResult};
use crate::kernel::kernel::Kernel;
use crate::kernel::task::Task;
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::socket::message::Sender;
use crate::socket::{
    Accepted, CommonOptions, Incoming, MessageFlags, Outgoing, Shutdown, Socket, SocketType,
    interfaces,
};
use crate::vfs::command::CommandArg;
use crate::vfs::file::{File, OpenFile, Position, Written};
use crate::vfs::io::{Sink, Source};

use connect::Connection;
use inbox::{Budget, Inbox};
use names::Name;
pub use names::{AbstractNames, BoundSocket};
use notify::ServiceManager;

/// A connection that waits to be accepted takes about so much.
const EMBRYO_BYTES: u64 = 1024;

/// A unix socket.
#[derive(Debug)]
pub struct UnixSocket {
    this: Weak<UnixSocket>,
    kernel: Weak<Kernel>,
    /// The network namespace that abstract names belong to.
    net_ino: u64,
    kind: SocketType,
    queue: WaitQueue,
    common: Mutex<CommonOptions>,
    state: Mutex<State>,
    inbox: Mutex<Inbox>,
    /// Where what it is sent goes instead.
    service_manager: OnceLock<ServiceManager>,
    /// What this socket has sent and nobody has read.
    budget: Arc<Budget>,
    /// Bits of [`Shutdown`].
    shut: AtomicU8,
    /// The pending error, an errno; 0 for none.
    error: AtomicI32,
}

/// What changes with `bind`, `listen` and `connect`.
#[derive(Debug, Default)]
struct State {
    name: Option<Arc<Name>>,
    /// Keeps the name leading here.
    bound: Option<Arc<BoundSocket>>,
    connection: Connection,
    /// Who is at the other end (`SO_PEERCRED`).
    peer: Option<Sender>,
    /// Supplementary groups of the peer (`SO_PEERGROUPS`).
    peer_groups: Vec<u32>,
    closed: bool,
}

impl UnixSocket {
    /// A socket made by `task`.
    #[must_use]
    pub fn new(task: &Task, kind: SocketType) -> Arc<UnixSocket> {
        UnixSocket::build(
            Arc::downgrade(task.kernel()),
            task.namespaces().net.ino,
            kind,
        )
    }

    fn build(kernel: Weak<Kernel>, net_ino: u64, kind: SocketType) -> Arc<UnixSocket> {
        let settings = kernel.upgrade().map(|kernel| {
            let most_waiting = kernel.sysctl.number("net/unix/max_dgram_qlen");
            (CommonOptions::of(&kernel), most_waiting)
        });
        let (common, most_waiting) = settings.unwrap_or_default();
        let inbox = Inbox::new(usize::try_from(most_waiting).unwrap_or(usize::MAX));
        Arc::new_cyclic(|this| UnixSocket {
            this: this.clone(),
            kernel,
            net_ino,
            kind,
            queue: WaitQueue::new(),
            common: Mutex::new(common),
            state: Mutex::default(),
            inbox: Mutex::new(inbox),
            service_manager: OnceLock::new(),
            budget: Arc::new(Budget::new(this.clone())),
            shut: AtomicU8::new(0),
            error: AtomicI32::new(0),
        })
    }

    /// `socketpair(2)`
    #[must_use]
    pub fn pair(task: &Task, kind: SocketType) -> (Arc<UnixSocket>, Arc<UnixSocket>) {
        let (one, two) = (UnixSocket::new(task, kind), UnixSocket::new(task, kind));
        let groups = task.credentials().groups.clone();
        for (socket, peer) in [(&one, &two), (&two, &one)] {
            let mut state = socket.state.lock();
            state.connection = Connection::Peer(Arc::downgrade(peer));
            state.peer = Some(Sender::of_peer(task));
            state.peer_groups.clone_from(&groups);
        }
        (one, two)
    }

    fn has_connections(&self) -> bool {
        self.kind != SocketType::Datagram
    }

    fn shut(&self) -> Shutdown {
        Shutdown::from_bits_truncate(self.shut.load(Ordering::Acquire))
    }

    fn add_shut(&self, how: Shutdown) {
        self.shut.fetch_or(how.bits(), Ordering::AcqRel);
    }

    fn set_error(&self, errno: Errno) {
        self.error.store(errno.raw(), Ordering::Release);
    }

    /// The peer; none if there is none or it is closed.
    fn peer(&self) -> Option<Arc<UnixSocket>> {
        match &self.state.lock().connection {
            Connection::Peer(peer) => peer.upgrade(),
            _ => None,
        }
    }

    fn is_connected(&self) -> bool {
        matches!(self.state.lock().connection, Connection::Peer(_))
    }

    fn is_peer(&self, other: &UnixSocket) -> bool {
        match &self.state.lock().connection {
            Connection::Peer(peer) => std::ptr::eq(peer.as_ptr(), other),
            _ => false,
        }
    }

    /// The last descriptor is gone: the peer is told, what nobody read is thrown away.
    fn close(&self) {
        let (connection, bound) = {
            let mut state = self.state.lock();
            if std::mem::replace(&mut state.closed, true) {
                return;
            }
            let connection = std::mem::take(&mut state.connection);
            (connection, state.bound.take())
        };
        drop(bound);
        self.add_shut(Shutdown::all());
        let (had_data, rights, blocked) = {
            let mut inbox = self.inbox.lock();
            let had_data = !inbox.is_empty();
            let (rights, blocked) = inbox.close();
            (had_data, rights, blocked)
        };
        match connection {
            Connection::Peer(peer) if self.has_connections() => {
                if let Some(peer) = peer.upgrade() {
                    peer.hang_up(had_data.then_some(Errno::ECONNRESET));
                }
            }
            Connection::Listening(listener) => listener.close(),
            _ => {}
        }
        for waiting in blocked.iter().filter_map(Weak::upgrade) {
            waiting.queue.wake(Events::all());
        }
        if let Some(kernel) = self.kernel.upgrade() {
            kernel.sockets.rights.bury(rights);
            kernel.sockets.rights.collect();
        }
    }

    /// The other end is gone.
    fn hang_up(&self, error: Option<Errno>) {
        if let Some(error) = error {
            self.set_error(error);
        }
        self.add_shut(Shutdown::all());
        self.queue.wake(Events::all());
    }

    /// Whether POLLOUT holds: the receiver has read most of what was sent.
    fn is_writable(&self) -> bool {
        let limit = self.common.lock().send_buffer as usize;
        if self.budget.used() * 4 > limit {
            return false;
        }
        if self.kind != SocketType::Datagram {
            return true;
        }
        let Some(peer) = self.peer() else {
            return true;
        };
        peer.is_peer(self) || !peer.inbox.lock().note_if_full(&self.this)
    }

    fn address_of(name: Option<&Arc<Name>>) -> Vec<u8> {
        name.map_or_else(|| AF_UNIX.to_ne_bytes().to_vec(), |name| name.encode())
    }

    fn name(&self) -> Option<Arc<Name>> {
        self.state.lock().name.clone()
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        self.close();
    }
}

impl File for UnixSocket {
    fn held_bytes(&self, depth: u32) -> u64 {
        let inbox = self.inbox.try_lock();
        let own = inbox.map_or(0, |inbox| inbox.held_bytes(depth));
        let state = self.state.try_lock();
        let waiting = state.map_or(0, |state| match &state.connection {
            Connection::Listening(listener) => listener
                .pending()
                .map(|embryo| {
                    let inbox = embryo.inbox.try_lock();
                    EMBRYO_BYTES + inbox.map_or(0, |inbox| inbox.held_bytes(0))
                })
                .sum(),
            _ => 0,
        });
        own + waiting
    }

    fn read(&self, task: &Task, sink: &mut Sink<'_>, _offset: u64) -> Result<usize> {
        if sink.remaining() == 0 && self.kind == SocketType::Stream {
            return Ok(0);
        }
        let incoming = self.receive(task, sink, MessageFlags::empty())?;
        Ok(incoming.stored)
    }

    fn write(&self, task: &Task, source: &mut Source<'_>, _position: Position) -> Result<Written> {
        let before = source.remaining();
        let taken = std::mem::replace(source, Source::Kernel(&[]));
        let mut message = Outgoing::bytes(taken);
        if self.kind == SocketType::SeqPacket {
            message.flags |= MessageFlags::EOR;
        }
        let outcome = Socket::send(self, task, &mut message);
        let Outgoing { source: rest, .. } = message;
        *source = rest;
        debug_assert!(source.remaining() <= before, "a send only takes");
        Ok(Written {
            len: outcome?,
            end: 0,
        })
    }

    fn poll(&self) -> Events {
        let mut events = Events::empty();
        let shut = self.shut();
        if self.error.load(Ordering::Acquire) != 0 {
            events |= Events::ERR;
        }
        if shut == Shutdown::all() {
            events |= Events::HUP;
        }
        if shut.contains(Shutdown::READ) {
            events |= Events::RDHUP | Events::IN | Events::RDNORM;
        }
        let (listening, connected, pending) = {
            let state = self.state.lock();
            match &state.connection {
                Connection::Listening(listener) => (true, false, listener.has_pending()),
                Connection::Peer(_) => (false, true, false),
                Connection::None => (false, false, false),
            }
        };
        if pending || !self.inbox.lock().is_empty() {
            events |= Events::IN | Events::RDNORM;
        }
        if self.has_connections() && !connected && !listening {
            events |= Events::HUP;
        }
        if !listening && self.is_writable() {
            events |= Events::OUT | Events::WRNORM | Events::WRBAND;
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
        let len = match command {
            ioctl::FIONREAD => {
                if self.is_listening() {
                    return Err(Errno::EINVAL.into());
                }
                self.inbox.lock().readable(self.kind.has_messages())
            }
            ioctl::TIOCOUTQ => self.budget.used(),
            _ => return interfaces::ioctl(task, command, argument),
        };
        let len = i32::try_from(len).unwrap_or(i32::MAX);
        task.mm().write_value(argument.address(), &len)?;
        Ok(0)
    }

    fn release(&self, _open: &OpenFile) {
        self.close();
    }

    fn fd_info(&self) -> String {
        format!("scm_fds: {}\n", self.inbox.lock().files())
    }

    fn socket(&self) -> Option<&dyn Socket> {
        Some(self)
    }
}

impl Socket for UnixSocket {
    fn family(&self) -> u16 {
        AF_UNIX
    }

    fn kind(&self) -> SocketType {
        self.kind
    }

    fn common(&self) -> &Mutex<CommonOptions> {
        &self.common
    }

    fn bind(&self, task: &Task, address: &[u8]) -> Result<()> {
        self.bind_name(task, address)
    }

    fn listen(&self, task: &Task, backlog: i32) -> Result<()> {
        self.start_listening(task, backlog)
    }

    fn accept(&self, task: &Task) -> Result<Accepted> {
        self.accept_next(task)
    }

    fn connect(&self, task: &Task, address: &[u8]) -> Result<()> {
        self.connect_to(task, address)
    }

    fn local_address(&self) -> Result<Vec<u8>> {
        Ok(UnixSocket::address_of(self.name().as_ref()))
    }

    fn peer_address(&self) -> Result<Vec<u8>> {
        let peer = self.peer().ok_or(Errno::ENOTCONN)?;
        Ok(UnixSocket::address_of(peer.name().as_ref()))
    }

    fn shutdown(&self, how: Shutdown) -> Result<()> {
        self.add_shut(how);
        if self.has_connections()
            && let Some(peer) = self.peer()
        {
            let mut mirrored = Shutdown::empty();
            mirrored.set(Shutdown::READ, how.contains(Shutdown::WRITE));
            mirrored.set(Shutdown::WRITE, how.contains(Shutdown::READ));
            peer.add_shut(mirrored);
            peer.queue.wake(Events::all());
        }
        self.queue.wake(Events::all());
        Ok(())
    }

    fn send(&self, task: &Task, message: &mut Outgoing<'_>) -> Result<usize> {
        self.send_message(task, message)
    }

    fn receive(&self, task: &Task, sink: &mut Sink<'_>, flags: MessageFlags) -> Result<Incoming> {
        self.receive_message(task, sink, flags)
    }

    fn take_error(&self) -> Option<Errno> {
        match self.error.swap(0, Ordering::AcqRel) {
            0 => None,
            raw => Some(Errno::from_raw(raw)),
        }
    }

    fn is_listening(&self) -> bool {
        matches!(self.state.lock().connection, Connection::Listening(_))
    }

    fn get_option(&self, task: &Task, level: i32, name: u32) -> Result<Vec<u8>> {
        options::get(self, task, level, name)
    }

    fn set_option(&self, _task: &Task, level: i32, _name: u32, _value: &[u8]) -> Result<()> {
        Err(options::refusal(level))
    }

    fn peer_process(&self) -> Result<Arc<crate::kernel::thread_group::ThreadGroup>> {
        let peer = self.state.lock().peer.clone();
        peer.and_then(|peer| peer.process()).ok_or(Errno::ENODATA)
    }
}
