//! The service manager's socket, as `sd_notify(3)` finds it: a name in the container behind which the host listens.
//!
//! What a service tells of its state leaves the kernel line by line. Lines that name processes or pass descriptors stay:
//! the host has no process of that number, and the descriptors are this kernel's.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use abi::Errno;

use super::UnixSocket;
use crate::error::Result;
use crate::kernel::kernel::Kernel;
use crate::socket::{Outgoing, SocketType};
use crate::vfs::inode::{NewKind, NewNode};
use crate::vfs::mount::MountNamespace;
use crate::vfs::setup::make_node_at;
use crate::vfs::walk::{Resolver, WalkFlags};

/// Longest message that a service manager reads.
const LONGEST: usize = 4096;

/// What may be said (`man 3 sd_notify`, *Well-known assignments*).
const SAID: [&str; 11] = [
    "READY=",
    "RELOADING=",
    "STOPPING=",
    "STATUS=",
    "NOTIFYACCESS=",
    "ERRNO=",
    "BUSERROR=",
    "EXIT_STATUS=",
    "WATCHDOG=",
    "EXTEND_TIMEOUT_USEC=",
    "MONOTONIC_USEC=",
];

/// The host's end: a datagram socket that is connected to the service manager's, and never blocks.
#[derive(Debug)]
pub(super) struct ServiceManager(OwnedFd);

impl UnixSocket {
    /// Binds a socket to `path`, whose directory is there, that passes what it is sent to `host`. It is there as long as
    /// the socket is kept.
    ///
    /// # Errors
    /// EEXIST, and those of the file system.
    pub fn notify(
        kernel: &Arc<Kernel>,
        namespace: &Arc<MountNamespace>,
        path: &[u8],
        host: OwnedFd,
    ) -> Result<Arc<UnixSocket>> {
        let node = NewNode {
            kind: NewKind::Socket,
            permissions: 0o777,
            uid: 0,
            gid: 0,
        };
        make_node_at(namespace, path, &node)?;
        let resolver = Resolver::of_namespace(namespace);
        let place = resolver.resolve(path, WalkFlags::empty())?;
        let socket = UnixSocket::build(Arc::downgrade(kernel), 0, SocketType::Datagram);
        socket.bind_to(place, path.to_vec())?;
        let _ = socket.service_manager.set(ServiceManager(host));
        Ok(socket)
    }
}

impl ServiceManager {
    /// Passes a datagram on; never EAGAIN, since nobody would wake the sender.
    pub(super) fn tell(&self, message: &mut Outgoing<'_>) -> Result<usize> {
        let len = message.source.remaining();
        if len > LONGEST {
            return Err(Errno::EMSGSIZE);
        }
        let text = message.source.read_to_vec(LONGEST)?;
        let said = said(&text);
        if said.is_empty() {
            return Ok(len);
        }
        if let Err(error) = rustix::io::write(&self.0, &said) {
            tracing::warn!(%error, "the service manager was not told");
        }
        Ok(len)
    }
}

fn said(text: &[u8]) -> Vec<u8> {
    let lines = text.split(|byte| *byte == b'\n');
    let kept = lines.filter(|line| SAID.iter().any(|name| line.starts_with(name.as_bytes())));
    kept.collect::<Vec<&[u8]>>().join(&b'\n')
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn processes_and_descriptors_are_not_spoken_of() {
        for (text, passed) in [
            ("READY=1", "READY=1"),
            ("READY=1\nMAINPID=7\nSTATUS=up\n", "READY=1\nSTATUS=up"),
            ("FDSTORE=1\nBARRIER=1", ""),
            ("", ""),
        ] {
            assert_eq!(said(text.as_bytes()), passed.as_bytes());
        }
    }
}
