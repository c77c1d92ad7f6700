//! The Sentry's side of the wire: a [`HostTree`] that asks a gofer.
//!
//! A thread that asks takes an idle connection, sends, and waits on it itself: no thread in between
//! has to be woken, so that a request costs one switch to the gofer and one back. Connections are
//! made as they are needed, and of those whose gofer thread is on the same CPU the one used last is used
//! next. Nodes to
//! close are gathered and sent together, without an answer.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use abi::Errno;
use parking_lot::{Condvar, Mutex};

use crate::name;
use crate::tree::HostTree;
use crate::types::{
    Access, Attr, Created, Detail, Found, Linked, Listing, Made, NewFile, NodeId, Opened, Remove,
    Rename, Renamed, Result, SetAttr, SocketKind, StatFs, Step, SyncKind, TreeId, Walk, WalkEnd,
    XattrMode,
};
use crate::wire::request::Request;
use crate::wire::{
    self, MESSAGE_MAX, NAMES_MAX, Reader, ReplyHeader, STEPS_MAX, Wire, channel, cpu,
};

/// Most connections, and so most requests in flight.
const CONNECTIONS_MAX: usize = 16;
/// What a donated descriptor that did not come means: this process has no room for more.
const NO_DESCRIPTOR: Errno = Errno::ENFILE;
/// How often room is made for one descriptor, which other threads may take.
const ROOM_TRIES: usize = 16;
/// How many nodes are gathered before they are closed.
const CLOSE_BATCH: usize = 64;

/// Trees of a gofer.
#[derive(Debug)]
pub struct RemoteTree {
    /// The first connection, used to ask for others.
    first: Mutex<Connection>,
    pool: Mutex<Pool>,
    returned: Condvar,
    to_close: Mutex<Vec<NodeId>>,
    gone: AtomicBool,
    room: Mutex<Vec<MakeRoom>>,
}

/// Closes descriptors of this process that are open for speed only; false if there are none.
struct MakeRoom(Box<dyn Fn() -> bool + Send>);

impl std::fmt::Debug for MakeRoom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MakeRoom")
    }
}

#[derive(Debug, Default)]
struct Pool {
    idle: Vec<Connection>,
    made: usize,
}

impl Pool {
    /// An idle connection, one whose gofer thread is on CPU `here` if there is one. Another is moved, but
    /// only if no more can be made.
    fn take(&mut self, here: u32) -> Option<Connection> {
        let near = self
            .idle
            .iter()
            .rposition(|connection| connection.cpu == here);
        if near.is_none() && self.made < CONNECTIONS_MAX {
            return None;
        }
        let mut connection = match near {
            Some(index) => self.idle.remove(index),
            None => self.idle.pop()?,
        };
        connection.cpu = here;
        Some(connection)
    }
}

#[derive(Debug)]
struct Connection {
    socket: OwnedFd,
    tag: u32,
    /// Where its gofer thread is.
    cpu: u32,
    stay: cpu::Stay,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl RemoteTree {
    /// Asks the [`crate::Server`] at the other end of `socket` (unix seqpacket).
    #[must_use]
    pub fn new(socket: OwnedFd) -> RemoteTree {
        RemoteTree {
            first: Mutex::new(Connection::new(socket)),
            pool: Mutex::new(Pool::default()),
            returned: Condvar::new(),
            to_close: Mutex::new(Vec::new()),
            gone: AtomicBool::new(false),
            room: Mutex::default(),
        }
    }

    /// Has `close` called where this process has no room for a descriptor that the gofer sends: it closes some that are
    /// open for speed only, and says whether there were any.
    pub fn when_full(&self, close: impl Fn() -> bool + Send + 'static) {
        self.room.lock().push(MakeRoom(Box::new(close)));
    }

    /// What came with an answer, or comes with another try, once there is room for it.
    fn received<T>(
        &self,
        first: (T, Option<OwnedFd>),
        again: impl Fn() -> Result<(T, Option<OwnedFd>)>,
    ) -> Result<(T, OwnedFd)> {
        let mut answer = first;
        for _ in 0..ROOM_TRIES {
            match answer {
                (value, Some(fd)) => return Ok((value, fd)),
                (_, None) if !self.make_room() => break,
                (_, None) => answer = again()?,
            }
        }
        Err(NO_DESCRIPTOR)
    }

    fn make_room(&self) -> bool {
        let room = self.room.lock();
        room.iter().filter(|make| make.0()).count() > 0
    }

    /// The descriptor of a file that was made, or, if it found no room, that of the file opened.
    fn created(&self, (made, fd): (Made, Option<OwnedFd>), access: Access) -> Result<Created> {
        let fd = match fd {
            Some(fd) => fd,
            None if self.make_room() => self.open(made.found.node, access)?.fd,
            None => return Err(NO_DESCRIPTOR),
        };
        Ok(Created { made, fd })
    }

    /// Whether the gofer has gone away or broken the protocol: everything fails with `EIO` then.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    fn ask<T: for<'a> Wire<'a>>(&self, request: &Request<'_>) -> Result<T> {
        self.ask_for_fd(request).map(|(value, _)| value)
    }

    fn ask_for_fd<T: for<'a> Wire<'a>>(
        &self,
        request: &Request<'_>,
    ) -> Result<(T, Option<OwnedFd>)> {
        let mut connection = self.acquire()?;
        match connection.exchange(request) {
            Ok(answer) => {
                self.release(Some(connection));
                answer
            }
            Err(Broken(error)) => {
                self.lost(error);
                self.release(None);
                Err(Errno::EIO)
            }
        }
    }

    fn lost(&self, error: Errno) {
        if !self.gone.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "lost the gofer");
        }
    }

    fn acquire(&self) -> Result<Connection> {
        let mut pool = self.pool.lock();
        let here = cpu::current();
        loop {
            if let Some(connection) = pool.take(here) {
                return Ok(connection);
            }
            if self.is_gone() {
                return Err(Errno::EIO);
            }
            if pool.made < CONNECTIONS_MAX {
                pool.made += 1;
                break;
            }
            self.returned.wait(&mut pool);
        }
        drop(pool);
        self.connect().inspect_err(|_| self.release(None))
    }

    fn connect(&self) -> Result<Connection> {
        let ask = || {
            let answer = self.first.lock().exchange::<()>(&Request::Connect {});
            answer.unwrap_or_else(|Broken(error)| {
                self.lost(error);
                Err(Errno::EIO)
            })
        };
        let ((), socket) = self.received(ask()?, ask)?;
        Ok(Connection::new(socket))
    }

    /// Gives back a connection, or, with `None`, the right to make one.
    fn release(&self, connection: Option<Connection>) {
        let mut pool = self.pool.lock();
        match connection {
            Some(connection) => pool.idle.push(connection),
            None => pool.made = pool.made.saturating_sub(1),
        }
        drop(pool);
        self.returned.notify_one();
    }

    fn walk_some(&self, from: NodeId, steps: &[Step<'_>]) -> Result<Walk> {
        let request = Request::Walk {
            from,
            steps: steps.to_vec(),
        };
        let walk: Walk = self.ask(&request)?;
        let fits = match &walk.end {
            WalkEnd::Done => walk.found.len() == steps.len(),
            WalkEnd::Missing | WalkEnd::Failed(_) => walk.found.len() < steps.len(),
            WalkEnd::Symlink(_) => {
                walk.found.len() <= steps.len()
                    && walk.found.last().is_some_and(|last| last.attr.is_symlink())
            }
            WalkEnd::NotDirectory => walk.found.len() < steps.len(),
        };
        if fits { Ok(walk) } else { Err(Errno::EIO) }
    }

    /// Sends the nodes gathered so far to be closed.
    fn flush(&self, nodes: Vec<NodeId>) {
        let Ok(mut connection) = self.acquire() else {
            return;
        };
        let sent = connection.tell(&Request::Close { nodes });
        match sent {
            Ok(()) => self.release(Some(connection)),
            Err(Broken(error)) => {
                self.lost(error);
                self.release(None);
            }
        }
    }
}

impl Drop for RemoteTree {
    fn drop(&mut self) {
        channel::shut_down(&self.first.get_mut().socket);
    }
}

/// The connection is of no more use.
#[derive(Debug)]
struct Broken(Errno);

impl Connection {
    fn new(socket: OwnedFd) -> Connection {
        Connection {
            socket,
            tag: 0,
            cpu: cpu::current(),
            stay: cpu::Stay::default(),
            request: Vec::new(),
            reply: Vec::new(),
        }
    }

    fn tell(&mut self, request: &Request<'_>) -> std::result::Result<(), Broken> {
        self.tag = self.tag.wrapping_add(1);
        request
            .encode(self.tag, self.cpu, &mut self.request)
            .map_err(|_| Broken(Errno::EMSGSIZE))?;
        channel::send(self.socket.as_fd(), &self.request, None).map_err(Broken)
    }

    /// Asks and waits for the answer: the outer error ends the connection.
    fn exchange<T: for<'a> Wire<'a>>(
        &mut self,
        request: &Request<'_>,
    ) -> std::result::Result<Result<(T, Option<OwnedFd>)>, Broken> {
        self.tag = self.tag.wrapping_add(1);
        if request
            .encode(self.tag, self.cpu, &mut self.request)
            .is_err()
        {
            return Ok(Err(Errno::E2BIG));
        }
        self.reply.resize(MESSAGE_MAX, 0);
        let (socket, request, reply) = (self.socket.as_fd(), &self.request, &mut self.reply);
        let answer = self.stay.during(self.cpu, || {
            channel::send(socket, request, None)?;
            channel::receive(socket, reply)
        });
        let received = answer.map_err(Broken)?;
        if received.len == 0 {
            return Err(Broken(Errno::EPIPE));
        }
        let message = self
            .reply
            .get(..received.len)
            .ok_or(Broken(Errno::EPROTO))?;
        let answer = parse_reply(message, self.tag).ok_or(Broken(Errno::EPROTO))?;
        Ok(answer.map(|value| (value, received.fd)))
    }
}

/// Reads an answer; `None` if it is malformed.
pub(crate) fn parse_reply<'a, T: Wire<'a>>(message: &'a [u8], tag: u32) -> Option<Result<T>> {
    let (header, body): (ReplyHeader, _) = wire::open(message).ok()?;
    if header.tag != tag {
        return None;
    }
    if header.errno != 0 {
        return body
            .is_empty()
            .then_some(Err(wire::number_errno(header.errno)?));
    }
    let mut reader = Reader::new(body);
    let value = T::take(&mut reader).ok()?;
    reader.finish().ok()?;
    Some(Ok(value))
}

/// The first steps that fit in one message.
fn batch_len(steps: &[Step<'_>]) -> usize {
    let mut bytes = 0;
    let fits = steps.iter().take(STEPS_MAX).take_while(|step| {
        bytes += step.name.len();
        bytes <= NAMES_MAX
    });
    fits.count().max(1).min(steps.len())
}

impl HostTree for RemoteTree {
    fn attach(&self, tree: TreeId) -> Result<Found> {
        self.ask(&Request::Attach { tree })
    }

    fn walk(&self, from: NodeId, mut steps: &[Step<'_>]) -> Result<Walk> {
        let mut walk = Walk {
            found: Vec::new(),
            end: WalkEnd::Done,
        };
        let mut at = from;
        loop {
            let (now, later) = steps.split_at(batch_len(steps));
            let (now, too_long) = match now.iter().position(|step| step.name.len() > name::NAME_MAX)
            {
                Some(index) => (&now[..index], true),
                None => (now, false),
            };
            let part = self.walk_some(at, now)?;
            walk.found.extend(part.found);
            walk.end = part.end;
            if walk.end != WalkEnd::Done {
                return Ok(walk);
            }
            let last = walk.found.last();
            if too_long || !later.is_empty() {
                if last.is_some_and(|last| !last.attr.is_dir()) {
                    walk.end = WalkEnd::NotDirectory;
                    return Ok(walk);
                }
                if too_long {
                    walk.end = WalkEnd::Failed(Errno::ENAMETOOLONG);
                    return Ok(walk);
                }
            }
            if later.is_empty() {
                return Ok(walk);
            }
            at = last.map_or(at, |last| last.node);
            steps = later;
        }
    }

    fn attributes(&self, node: NodeId) -> Result<Attr> {
        self.ask(&Request::Attributes { node })
    }

    fn set_attributes(&self, node: NodeId, change: &SetAttr) -> Result<Attr> {
        self.ask(&Request::SetAttributes {
            node,
            change: *change,
        })
    }

    fn open(&self, node: NodeId, access: Access) -> Result<Opened> {
        let ask = || self.ask_for_fd(&Request::Open { node, access });
        let (attr, fd) = self.received(ask()?, ask)?;
        Ok(Opened { fd, attr })
    }

    fn create(&self, dir: NodeId, name: &[u8], access: Access, new: &NewFile) -> Result<Created> {
        let new = *new;
        let answer = self.ask_for_fd(&Request::Create {
            dir,
            name,
            access,
            new,
        })?;
        self.created(answer, access)
    }

    fn create_unnamed(&self, dir: NodeId, access: Access, new: &NewFile) -> Result<Created> {
        let new = *new;
        let answer = self.ask_for_fd(&Request::CreateUnnamed { dir, access, new })?;
        self.created(answer, access)
    }

    fn make_dir(&self, dir: NodeId, name: &[u8], new: &NewFile) -> Result<Made> {
        self.ask(&Request::MakeDir {
            dir,
            name,
            new: *new,
        })
    }

    fn symlink(&self, dir: NodeId, name: &[u8], target: &[u8], new: &NewFile) -> Result<Made> {
        let new = *new;
        self.ask(&Request::Symlink {
            dir,
            name,
            target,
            new,
        })
    }

    fn make_node(&self, dir: NodeId, name: &[u8], new: &NewFile, rdev: u64) -> Result<Made> {
        let new = *new;
        self.ask(&Request::MakeNode {
            dir,
            name,
            new,
            rdev,
        })
    }

    fn link(&self, node: NodeId, dir: NodeId, name: &[u8]) -> Result<Linked> {
        self.ask(&Request::Link { node, dir, name })
    }

    fn remove(
        &self,
        dir: NodeId,
        name: &[u8],
        what: Remove,
        known: Option<NodeId>,
    ) -> Result<Option<Attr>> {
        self.ask(&Request::Remove {
            dir,
            name,
            what,
            known,
        })
    }

    fn rename(&self, rename: &Rename<'_>) -> Result<Renamed> {
        self.ask(&Request::Rename {
            old_dir: rename.old_dir,
            old_name: rename.old_name,
            new_dir: rename.new_dir,
            new_name: rename.new_name,
            mode: rename.mode,
            moved: rename.moved,
            replaced: rename.replaced,
        })
    }

    fn read_link(&self, node: NodeId) -> Result<Vec<u8>> {
        self.ask(&Request::ReadLink { node })
    }

    fn read_dir(&self, node: NodeId, cookie: u64, detail: Detail) -> Result<Listing> {
        let listing: Listing = self.ask(&Request::ReadDir {
            node,
            cookie,
            detail,
        })?;
        let named = listing
            .entries
            .iter()
            .all(|entry| name::check(&entry.name).is_ok());
        if named && (listing.end || !listing.entries.is_empty()) {
            Ok(listing)
        } else {
            Err(Errno::EIO)
        }
    }

    fn stat_fs(&self, node: NodeId) -> Result<StatFs> {
        self.ask(&Request::StatFs { node })
    }

    fn sync(&self, node: NodeId, kind: SyncKind) -> Result<()> {
        self.ask(&Request::Sync { node, kind })
    }

    fn get_xattr(&self, node: NodeId, name: &[u8]) -> Result<Vec<u8>> {
        self.ask(&Request::GetXattr { node, name })
    }

    fn set_xattr(&self, node: NodeId, name: &[u8], value: &[u8], mode: XattrMode) -> Result<()> {
        self.ask(&Request::SetXattr {
            node,
            name,
            value,
            mode,
        })
    }

    fn list_xattrs(&self, node: NodeId) -> Result<Vec<u8>> {
        self.ask(&Request::ListXattrs { node })
    }

    fn remove_xattr(&self, node: NodeId, name: &[u8]) -> Result<()> {
        self.ask(&Request::RemoveXattr { node, name })
    }

    fn connect(&self, node: NodeId, kind: SocketKind) -> Result<OwnedFd> {
        let ((), fd) = self.ask_for_fd(&Request::ConnectSocket { node, kind })?;
        fd.ok_or(NO_DESCRIPTOR)
    }

    fn close(&self, nodes: &[NodeId]) {
        let mut to_close = self.to_close.lock();
        to_close.extend_from_slice(nodes);
        if to_close.len() < CLOSE_BATCH {
            return;
        }
        let mut full = std::mem::take(&mut *to_close);
        drop(to_close);
        while !full.is_empty() {
            let rest = full.split_off(full.len().min(4096));
            self.flush(std::mem::replace(&mut full, rest));
        }
    }
}
