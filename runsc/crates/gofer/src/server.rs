//! The gofer's side of the wire: answers requests with a [`LocalTree`].
//!
//! One thread per connection, which takes a request, acts, and answers. A client asks for further
//! connections over the first; when that ends, all end. The client is taken for hostile: what is
//! malformed ends its connection, and nothing it says is used unchecked.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use abi::Errno;
use parking_lot::Mutex;
use zerocopy::IntoBytes;

use crate::local::LocalTree;
use crate::tree::HostTree;
use crate::types::{Rename, Result};
use crate::wire::cpu::Follower;
use crate::wire::request::Request;
use crate::wire::{self, Malformed, ReplyHeader, RequestHeader, STEPS_MAX, Wire, channel};

/// Most connections of one client: also a bound on threads and on requests in flight.
const CONNECTIONS_MAX: usize = 64;

/// Serves host files to one client.
#[derive(Debug)]
pub struct Server {
    tree: LocalTree,
    connections: Mutex<Vec<Arc<OwnedFd>>>,
}

impl Server {
    /// A server over `tree`.
    #[must_use]
    pub fn new(tree: LocalTree) -> Arc<Server> {
        Arc::new(Server {
            tree,
            connections: Mutex::new(Vec::new()),
        })
    }

    /// Answers requests on `socket` (unix seqpacket) until the client closes it, then ends the further
    /// connections that the client asked for. A thread is started for each of those.
    ///
    /// # Errors
    /// Those of `recvmsg(2)` and `sendmsg(2)`; `EPROTO` after a malformed request.
    pub fn serve(self: &Arc<Self>, socket: OwnedFd) -> Result<()> {
        let result = self.answer_all(&socket);
        for connection in self.connections.lock().drain(..) {
            channel::shut_down(&connection);
        }
        result
    }

    fn answer_all(self: &Arc<Self>, socket: &OwnedFd) -> Result<()> {
        let mut buffer = vec![0; wire::MESSAGE_MAX];
        let mut answer = Answer::default();
        loop {
            let received = match channel::receive(socket.as_fd(), &mut buffer) {
                Ok(received) if received.len == 0 => return Ok(()),
                Ok(received) => received,
                Err(Errno::ECONNRESET) => return Ok(()),
                Err(error) => return Err(error),
            };
            let message = buffer.get(..received.len).ok_or(Errno::EPROTO)?;
            if !self
                .handle(message, &mut answer)
                .map_err(|Malformed| Errno::EPROTO)?
            {
                continue;
            }
            let fd = answer.fd.take();
            match channel::send(
                socket.as_fd(),
                &answer.message,
                fd.as_ref().map(AsFd::as_fd),
            ) {
                Err(Errno::EPIPE | Errno::ECONNRESET) => return Ok(()),
                result => result?,
            }
        }
    }

    /// Acts on one message; returns whether it is to be answered.
    fn handle(self: &Arc<Self>, message: &[u8], answer: &mut Answer) -> Result2<bool> {
        let (header, body): (RequestHeader, _) = wire::open(message)?;
        let request = Request::decode(header.op, body)?;
        if let Request::Close { nodes } = &request {
            self.tree.close(nodes);
            return Ok(false);
        }
        answer.follower.follow(header.cpu);
        answer.begin(header.tag);
        let done = match request {
            Request::Connect {} => self.connect().map(|fd| answer.fd = Some(fd)),
            request => act(&self.tree, request, answer),
        };
        answer.end(header.tag, done)?;
        Ok(true)
    }

    fn connect(self: &Arc<Self>) -> Result<OwnedFd> {
        let (ours, theirs) = channel::pair()?;
        let ours = Arc::new(ours);
        let mut connections = self.connections.lock();
        if connections.len() >= CONNECTIONS_MAX {
            return Err(Errno::EMFILE);
        }
        let (server, socket) = (self.clone(), ours.clone());
        let thread = std::thread::Builder::new().name("gofer".into());
        thread
            .spawn(move || {
                if let Err(error) = server.answer_all(&socket) {
                    tracing::warn!(%error, "a connection of the sandbox ended");
                }
                server
                    .connections
                    .lock()
                    .retain(|other| !Arc::ptr_eq(other, &socket));
            })
            .map_err(Errno::from)?;
        connections.push(ours);
        Ok(theirs)
    }
}

type Result2<T> = std::result::Result<T, Malformed>;

/// The answer being made.
#[derive(Debug, Default)]
struct Answer {
    message: Vec<u8>,
    fd: Option<OwnedFd>,
    follower: Follower,
}

impl Answer {
    fn begin(&mut self, tag: u32) {
        self.fd = None;
        self.message.clear();
        let header = ReplyHeader {
            len: 0,
            tag,
            errno: 0,
        };
        self.message.extend_from_slice(header.as_bytes());
    }

    fn put<'a>(&mut self, value: &impl Wire<'a>) {
        value.put(&mut self.message);
    }

    fn end(&mut self, tag: u32, done: Result<()>) -> Result2<()> {
        let done =
            done.and_then(|()| wire::seal(&mut self.message).map_err(|Malformed| Errno::EMSGSIZE));
        let Err(error) = done else {
            return Ok(());
        };
        self.fd = None;
        self.message.clear();
        let header = ReplyHeader {
            len: 0,
            tag,
            errno: wire::errno_number(error),
        };
        self.message.extend_from_slice(header.as_bytes());
        wire::seal(&mut self.message)
    }
}

fn act(tree: &LocalTree, request: Request<'_>, answer: &mut Answer) -> Result<()> {
    match request {
        Request::Attach { tree: id } => answer.put(&tree.attach(id)?),
        Request::Walk { steps, .. } if steps.len() > STEPS_MAX => return Err(Errno::E2BIG),
        Request::Walk { from, steps } => answer.put(&tree.walk(from, &steps)?),
        Request::Attributes { node } => answer.put(&tree.attributes(node)?),
        Request::SetAttributes { node, change } => answer.put(&tree.set_attributes(node, &change)?),
        Request::ReadLink { node } => answer.put(&tree.read_link(node)?),
        Request::ReadDir {
            node,
            cookie,
            detail,
        } => answer.put(&tree.read_dir(node, cookie, detail)?),
        Request::StatFs { node } => answer.put(&tree.stat_fs(node)?),
        Request::Sync { node, kind } => answer.put(&tree.sync(node, kind)?),
        Request::GetXattr { node, name } => answer.put(&tree.get_xattr(node, name)?),
        Request::SetXattr {
            node,
            name,
            value,
            mode,
        } => answer.put(&tree.set_xattr(node, name, value, mode)?),
        Request::ListXattrs { node } => answer.put(&tree.list_xattrs(node)?),
        Request::RemoveXattr { node, name } => answer.put(&tree.remove_xattr(node, name)?),
        request => return act_on_entries(tree, request, answer),
    }
    Ok(())
}

fn act_on_entries(tree: &LocalTree, request: Request<'_>, answer: &mut Answer) -> Result<()> {
    match request {
        Request::MakeDir { dir, name, new } => answer.put(&tree.make_dir(dir, name, &new)?),
        Request::Symlink {
            dir,
            name,
            target,
            new,
        } => answer.put(&tree.symlink(dir, name, target, &new)?),
        Request::MakeNode {
            dir,
            name,
            new,
            rdev,
        } => answer.put(&tree.make_node(dir, name, &new, rdev)?),
        Request::Link { node, dir, name } => answer.put(&tree.link(node, dir, name)?),
        Request::Remove {
            dir,
            name,
            what,
            known,
        } => answer.put(&tree.remove(dir, name, what, known)?),
        Request::Rename {
            old_dir,
            old_name,
            new_dir,
            new_name,
            mode,
            moved,
            replaced,
        } => {
            answer.put(&tree.rename(&Rename {
                old_dir,
                old_name,
                new_dir,
                new_name,
                mode,
                moved,
                replaced,
            })?);
        }
        request => return act_with_descriptor(tree, request, answer),
    }
    Ok(())
}

fn act_with_descriptor(tree: &LocalTree, request: Request<'_>, answer: &mut Answer) -> Result<()> {
    match request {
        Request::Open { node, access } => {
            let opened = tree.open(node, access)?;
            answer.put(&opened.attr);
            answer.fd = Some(opened.fd);
        }
        Request::Create {
            dir,
            name,
            access,
            new,
        } => {
            let created = tree.create(dir, name, access, &new)?;
            answer.put(&created.made);
            answer.fd = Some(created.fd);
        }
        Request::CreateUnnamed { dir, access, new } => {
            let created = tree.create_unnamed(dir, access, &new)?;
            answer.put(&created.made);
            answer.fd = Some(created.fd);
        }
        Request::ConnectSocket { node, kind } => answer.fd = Some(tree.connect(node, kind)?),
        _ => return Err(Errno::ENOSYS),
    }
    Ok(())
}

#[cfg(test)]
impl Server {
    /// Feeds one message as if received; whether it was well formed.
    pub(crate) fn feed(self: &Arc<Self>, message: &[u8]) -> bool {
        self.handle(message, &mut Answer::default()).is_ok()
    }
}
