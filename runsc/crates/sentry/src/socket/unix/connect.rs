//! Listening, connecting, accepting.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use abi::Errno;
use abi::socket::AF_UNSPEC;

use super::UnixSocket;
use super::names;
use crate::error::Result;
use crate::kernel::task::Task;
use crate::kernel::wait_queue::Events;
use crate::socket::message::Sender;
use crate::socket::{Accepted, Shutdown};

/// What a socket is connected to.
#[derive(Debug, Default)]
pub(super) enum Connection {
    /// Nothing.
    #[default]
    None,
    /// It waits for connections.
    Listening(Listener),
    /// This one, dead or alive.
    Peer(Weak<UnixSocket>),
}

/// Connections that nobody has accepted yet.
#[derive(Debug)]
pub(super) struct Listener {
    backlog: usize,
    pending: VecDeque<Arc<UnixSocket>>,
    /// Those who wait for room in `pending`.
    blocked: Vec<Weak<UnixSocket>>,
    /// Who called `listen`: the peer of those who connect.
    owner: Sender,
    owner_groups: Vec<u32>,
}

impl Listener {
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(super) fn pending(&self) -> impl Iterator<Item = &Arc<UnixSocket>> {
        self.pending.iter()
    }

    /// The listener is closed: those who connected are reset, those who wait are refused.
    pub(super) fn close(self) {
        for embryo in self.pending {
            if let Some(peer) = embryo.peer() {
                peer.set_error(Errno::ECONNRESET);
            }
            embryo.close();
        }
        for waiting in self.blocked.iter().filter_map(Weak::upgrade) {
            waiting.queue.wake(Events::all());
        }
    }
}

impl UnixSocket {
    pub(super) fn start_listening(&self, task: &Task, backlog: i32) -> Result<()> {
        if !self.has_connections() {
            return Err(Errno::EOPNOTSUPP);
        }
        let most = task.kernel().sysctl.number("net/core/somaxconn");
        // A negative backlog is a large one.
        let backlog = u64::try_from(backlog).map_or(most, |len| len.min(most));
        let backlog = usize::try_from(backlog).unwrap_or(usize::MAX);
        let woken = {
            let mut state = self.state.lock();
            if state.name.is_none() {
                return Err(Errno::EINVAL);
            }
            match &mut state.connection {
                Connection::Peer(_) => return Err(Errno::EINVAL),
                Connection::Listening(listener) => {
                    listener.backlog = backlog;
                    listener.owner = Sender::of_peer(task);
                    std::mem::take(&mut listener.blocked)
                }
                none @ Connection::None => {
                    *none = Connection::Listening(Listener {
                        backlog,
                        pending: VecDeque::new(),
                        blocked: Vec::new(),
                        owner: Sender::of_peer(task),
                        owner_groups: task.credentials().groups.clone(),
                    });
                    Vec::new()
                }
            }
        };
        self.state.lock().peer = Some(Sender::of_peer(task));
        for waiting in woken.iter().filter_map(Weak::upgrade) {
            waiting.queue.wake(Events::OUT);
        }
        Ok(())
    }

    pub(super) fn connect_to(&self, task: &Task, address: &[u8]) -> Result<()> {
        if !self.has_connections() {
            return self.connect_datagrams(task, address);
        }
        match self.state.lock().connection {
            Connection::None => {}
            Connection::Listening(_) => return Err(Errno::EINVAL),
            Connection::Peer(_) => return Err(Errno::EISCONN),
        }
        self.name_if_credentials_pass()?;
        let listener = names::find(task, self.net_ino, address, self.kind)?;
        let embryo = UnixSocket::build(self.kernel.clone(), self.net_ino, self.kind);
        let (owner, groups) = listener.enqueue(self, &embryo, task)?;
        let mut state = self.state.lock();
        if !matches!(state.connection, Connection::None) {
            // Another thread connected it meanwhile; the embryo finds nobody at its end.
            drop(state);
            embryo.hang_up(None);
            return Err(Errno::EISCONN);
        }
        state.connection = Connection::Peer(Arc::downgrade(&embryo));
        state.peer = Some(owner);
        state.peer_groups = groups;
        drop(state);
        listener.queue.wake(Events::IN | Events::RDNORM);
        self.queue.wake(Events::OUT | Events::WRNORM);
        Ok(())
    }

    /// Puts `embryo`, the server's end of a connection of `client`, into the queue. EAGAIN: it is full, and
    /// the client will be told.
    fn enqueue(
        &self,
        client: &UnixSocket,
        embryo: &Arc<UnixSocket>,
        task: &Task,
    ) -> Result<(Sender, Vec<u32>)> {
        if self.shut().contains(Shutdown::READ) {
            return Err(Errno::ECONNREFUSED);
        }
        let mut state = self.state.lock();
        let name = state.name.clone();
        let Connection::Listening(listener) = &mut state.connection else {
            return Err(Errno::ECONNREFUSED);
        };
        if listener.pending.len() > listener.backlog {
            if !listener
                .blocked
                .iter()
                .any(|known| known.ptr_eq(&client.this))
            {
                listener.blocked.push(client.this.clone());
            }
            return Err(Errno::EAGAIN);
        }
        {
            // Nobody else has it yet.
            let mut own = embryo.state.lock();
            own.name = name;
            own.connection = Connection::Peer(client.this.clone());
            own.peer = Some(Sender::of_peer(task));
            own.peer_groups.clone_from(&task.credentials().groups);
        }
        let passes = self.common.lock().pass_credentials;
        embryo.common.lock().pass_credentials = passes;
        listener.pending.push_back(embryo.clone());
        Ok((listener.owner.clone(), listener.owner_groups.clone()))
    }

    pub(super) fn accept_next(&self, _task: &Task) -> Result<Accepted> {
        if !self.has_connections() {
            return Err(Errno::EOPNOTSUPP);
        }
        let (embryo, blocked) = {
            let mut state = self.state.lock();
            let Connection::Listening(listener) = &mut state.connection else {
                return Err(Errno::EINVAL);
            };
            match listener.pending.pop_front() {
                Some(embryo) => (embryo, std::mem::take(&mut listener.blocked)),
                None if self.shut().contains(Shutdown::READ) => return Err(Errno::EINVAL),
                None => return Err(Errno::EAGAIN),
            }
        };
        for waiting in blocked.iter().filter_map(Weak::upgrade) {
            waiting.queue.wake(Events::OUT | Events::WRNORM);
        }
        let client = embryo.peer().and_then(|client| client.name());
        Ok(Accepted {
            peer: UnixSocket::address_of(client.as_ref()),
            file: embryo,
        })
    }

    /// Sets, or with `AF_UNSPEC` ends, the peer that datagrams go to and come from.
    fn connect_datagrams(&self, task: &Task, address: &[u8]) -> Result<()> {
        let family = address.get(..2).ok_or(Errno::EINVAL)?;
        if u16::from_ne_bytes([family[0], family[1]]) == AF_UNSPEC {
            self.state.lock().connection = Connection::None;
            self.queue.wake(Events::OUT);
            return Ok(());
        }
        self.name_if_credentials_pass()?;
        let peer = names::find(task, self.net_ino, address, self.kind)?;
        self.check_may_send(&peer)?;
        let mut state = self.state.lock();
        state.connection = Connection::Peer(Arc::downgrade(&peer));
        state.peer = Some(Sender::of_peer(task));
        drop(state);
        self.queue.wake(Events::OUT);
        Ok(())
    }

    /// EPERM: the receiver is connected to somebody else.
    pub(super) fn check_may_send(&self, receiver: &UnixSocket) -> Result<()> {
        let peer = match &receiver.state.lock().connection {
            Connection::Peer(peer) => peer.as_ptr(),
            _ => return Ok(()),
        };
        if std::ptr::eq(peer, self) {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }

    /// With `SO_PASSCRED` a socket without name gets one before it connects or sends (`man 7 unix`).
    pub(super) fn name_if_credentials_pass(&self) -> Result<()> {
        if self.common.lock().pass_credentials {
            self.bind_automatically()?;
        }
        Ok(())
    }
}
