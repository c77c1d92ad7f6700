//! Connecting to a unix socket of the host, where the tree allows it.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use abi::Errno;
use host::errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::fchdir;

use super::identity::At;
use super::sys;
use super::table::Table;
use crate::types::{FileKind, NodeId, Result, SocketKind};

/// See [`crate::HostTree::connect`].
pub(super) fn connect(table: &Table, node: NodeId, kind: SocketKind) -> Result<OwnedFd> {
    let node = table.get(node)?;
    if node.kind != FileKind::Socket || !node.root.policy.host_sockets {
        return Err(Errno::ECONNREFUSED);
    }
    let (parent, name) = node.parent_fd(table)?.ok_or(Errno::ECONNREFUSED)?;
    let at = At {
        dir: parent.as_fd(),
        name: &name,
    };
    node.expect(table, &sys::stat_at(parent.as_fd(), &name)?, at)?;
    // An address is a path, and only a thread of its own can have a working directory of its own.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("connect".into());
        let connecting = thread.spawn_scoped(scope, || connect_in(parent.as_fd(), &name, kind));
        let result = connecting.map_err(Errno::from)?.join();
        result.map_err(|_| Errno::EIO)?
    })
}

fn connect_in(dir: BorrowedFd<'_>, name: &CStr, kind: SocketKind) -> Result<OwnedFd> {
    host::at::unshare_working_directory()?;
    fchdir(dir).map_err(errno)?;
    let socket_type = match kind {
        SocketKind::Stream => SocketType::STREAM,
        SocketKind::Datagram => SocketType::DGRAM,
        SocketKind::SeqPacket => SocketType::SEQPACKET,
    };
    let socket = net::socket_with(AddressFamily::UNIX, socket_type, SocketFlags::CLOEXEC, None);
    let socket = socket.map_err(errno)?;
    let address = SocketAddrUnix::new(name).map_err(errno)?;
    net::connect(&socket, &address).map_err(errno)?;
    Ok(socket)
}
