//! The service manager that started the runtime (`man 3 sd_notify`): what the container says to it reaches it.
//!
//! A socket of the container's kernel lies where `NOTIFY_SOCKET` in there says, on a small file system of its own; the
//! sandbox passes what comes to a socket that is connected here, where the manager's can be reached.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use control::{Container, Mount, MountFlags, MountKind, NOTIFY_SOCKET};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

/// What is in the file system beside its root.
const INODES: u64 = 2;

/// Connects to the manager's `socket` and makes its place in the container. None: there is nobody to be told.
pub(crate) fn pass_on(socket: &OsStr, container: &mut Container) -> Option<OwnedFd> {
    let connected = connected(socket.as_bytes());
    let connected = connected.inspect_err(|error| {
        tracing::warn!("NOTIFY_SOCKET {socket:?} is not passed on: {error}");
    });
    let connected = connected.ok()?;
    let directory = Path::new(NOTIFY_SOCKET).parent()?;
    container.mounts.push(Mount {
        destination: directory.to_str()?.to_owned(),
        source: "tmpfs".into(),
        kind: MountKind::Tmpfs {
            size_bytes: None,
            max_inodes: Some(INODES),
            mode: Some(0o755),
            uid: None,
            gid: None,
            copied: None,
        },
        flags: MountFlags {
            no_suid: true,
            no_dev: true,
            no_exec: true,
            ..MountFlags::default()
        },
        propagation: Vec::new(),
    });
    let environment = &mut container.process.env;
    environment.retain(|pair| !pair.starts_with("NOTIFY_SOCKET="));
    environment.push(format!("NOTIFY_SOCKET={NOTIFY_SOCKET}"));
    Some(connected)
}

fn connected(address: &[u8]) -> Result<OwnedFd, Errno> {
    let address = match address {
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
        path => SocketAddrUnix::new(path)?,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    connect(&socket, &address)?;
    Ok(socket)
}
