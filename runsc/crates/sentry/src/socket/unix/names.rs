//! Addresses of unix sockets: pathnames and abstract names (`man 7 unix`, *Address format*).

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use abi::Errno;
use abi::socket::{AF_UNIX, SOCKADDR_UN_LEN};
use locks::Mutex;

use super::UnixSocket;
use crate::error::Result;
use crate::kernel::task::Task;
use crate::socket::SocketType;
use crate::vfs::attr::FileType;
use crate::vfs::edit::{self, Entry};
use crate::vfs::inode::NewKind;
use crate::vfs::path::Path;
use crate::vfs::permission;
use crate::vfs::walk::{self, WalkFlags};

/// A name that a socket is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Name {
    /// Bytes of a path, without NUL.
    Path(Vec<u8>),
    /// What follows the first NUL of an abstract name.
    Abstract(Vec<u8>),
}

impl Name {
    /// As a `struct sockaddr_un`, as long as `getsockname(2)` says.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = AF_UNIX.to_ne_bytes().to_vec();
        match self {
            Name::Path(path) => {
                bytes.extend_from_slice(path);
                bytes.push(0);
            }
            Name::Abstract(name) => {
                bytes.push(0);
                bytes.extend_from_slice(name);
            }
        }
        bytes
    }
}

/// What an address means.
enum Address {
    /// Only the family: `bind` picks a name.
    Unnamed,
    Name(Name),
}

/// EINVAL unless it is a `sockaddr_un` of a fitting length.
fn parse(address: &[u8]) -> Result<Address> {
    if address.len() < 2 || address.len() > SOCKADDR_UN_LEN {
        return Err(Errno::EINVAL);
    }
    if u16::from_ne_bytes([address[0], address[1]]) != AF_UNIX {
        return Err(Errno::EINVAL);
    }
    Ok(match &address[2..] {
        [] => Address::Unnamed,
        [0, name @ ..] => Address::Name(Name::Abstract(name.to_vec())),
        path => {
            let end = path.iter().position(|byte| *byte == 0);
            Address::Name(Name::Path(path[..end.unwrap_or(path.len())].to_vec()))
        }
    })
}

/// The unix socket that a name leads to; bound as long as the socket keeps it.
#[derive(Debug, Default)]
pub struct BoundSocket {
    socket: Weak<UnixSocket>,
    abstract_name: Option<AbstractBinding>,
    /// Keeps the inode, through which the way back leads.
    _place: Option<Path>,
}

#[derive(Debug)]
struct AbstractBinding {
    kernel: Weak<crate::kernel::kernel::Kernel>,
    key: AbstractKey,
}

impl Drop for BoundSocket {
    fn drop(&mut self) {
        if let Some(binding) = &self.abstract_name
            && let Some(kernel) = binding.kernel.upgrade()
        {
            let mut names = kernel.sockets.names.names.lock();
            let mine = names
                .get(&binding.key)
                .is_some_and(|known| known.ptr_eq(&self.socket));
            if mine {
                names.remove(&binding.key);
            }
        }
    }
}

/// Abstract names belong to a network namespace.
type AbstractKey = (u64, Vec<u8>);

/// The abstract names in use.
#[derive(Debug, Default)]
pub struct AbstractNames {
    names: Mutex<HashMap<AbstractKey, Weak<UnixSocket>>>,
}

impl UnixSocket {
    /// `bind(2)`: EINVAL if it has a name, EADDRINUSE.
    pub(super) fn bind_name(&self, task: &Task, address: &[u8]) -> Result<()> {
        let parsed = parse(address)?;
        if self.state.lock().name.is_some() {
            return match parsed {
                Address::Unnamed => Ok(()),
                Address::Name(_) => Err(Errno::EINVAL),
            };
        }
        match parsed {
            Address::Unnamed => self.bind_automatically(),
            Address::Name(Name::Abstract(name)) => self.bind_abstract(name),
            Address::Name(Name::Path(path)) => self.bind_path(task, path),
        }
    }

    /// Gives the socket a free abstract name of five hexadecimal digits, if it has none.
    pub(super) fn bind_automatically(&self) -> Result<()> {
        if self.state.lock().name.is_some() {
            return Ok(());
        }
        let kernel = self.kernel.upgrade().ok_or(Errno::EADDRINUSE)?;
        let start = kernel.unique_id();
        for try_number in 0..0x10_0000 {
            let name = format!("{:05x}", (start + try_number) & 0xf_ffff);
            match self.bind_abstract(name.into_bytes()) {
                Err(Errno::EADDRINUSE) => {}
                other => return other,
            }
        }
        Err(Errno::ENOSPC)
    }

    fn bind_abstract(&self, name: Vec<u8>) -> Result<()> {
        let kernel = self.kernel.upgrade().ok_or(Errno::EADDRINUSE)?;
        let key = (self.net_ino, name.clone());
        {
            let mut names = kernel.sockets.names.names.lock();
            if names
                .get(&key)
                .is_some_and(|socket| socket.strong_count() > 0)
            {
                return Err(Errno::EADDRINUSE);
            }
            names.insert(key.clone(), self.this.clone());
        }
        let bound = Arc::new(BoundSocket {
            socket: self.this.clone(),
            abstract_name: Some(AbstractBinding {
                kernel: self.kernel.clone(),
                key,
            }),
            _place: None,
        });
        self.take_name(Name::Abstract(name), bound)
    }

    fn bind_path(&self, task: &Task, path: Vec<u8>) -> Result<()> {
        let (parent, name) = match walk::resolve_parent(task, None, &path, WalkFlags::empty()) {
            Err(Errno::EEXIST) => return Err(Errno::EADDRINUSE),
            other => other?,
        };
        let entry = Entry {
            parent,
            name,
            must_be_directory: false,
        };
        let place = match edit::make(task, &entry, NewKind::Socket, 0o777) {
            Err(Errno::EEXIST) => return Err(Errno::EADDRINUSE),
            other => other?,
        };
        self.bind_to(place, path)
    }

    /// Binds it to a socket's inode.
    pub(super) fn bind_to(&self, place: Path, path: Vec<u8>) -> Result<()> {
        let bound = Arc::new(BoundSocket {
            socket: self.this.clone(),
            abstract_name: None,
            _place: Some(place.clone()),
        });
        *place.inode().shared().socket.lock() = Arc::downgrade(&bound);
        self.take_name(Name::Path(path), bound)
    }

    fn take_name(&self, name: Name, bound: Arc<BoundSocket>) -> Result<()> {
        let mut state = self.state.lock();
        if state.name.is_some() || state.closed {
            drop(state);
            return Err(Errno::EINVAL);
        }
        state.name = Some(Arc::new(name));
        state.bound = Some(bound);
        Ok(())
    }
}

/// The socket that an address leads to: ECONNREFUSED, EPROTOTYPE, and what a path can fail with.
pub(super) fn find(
    task: &Task,
    net_ino: u64,
    address: &[u8],
    kind: SocketType,
) -> Result<Arc<UnixSocket>> {
    let Address::Name(name) = parse(address)? else {
        return Err(Errno::EINVAL);
    };
    let socket = match name {
        Name::Abstract(name) => {
            let names = task.kernel().sockets.names.names.lock();
            names.get(&(net_ino, name)).and_then(Weak::upgrade)
        }
        Name::Path(path) => find_path(task, &path)?,
    };
    let socket = socket.ok_or(Errno::ECONNREFUSED)?;
    if socket.kind != kind {
        return Err(Errno::EPROTOTYPE);
    }
    Ok(socket)
}

/// The type of the file systems that a gofer serves.
const HOST_FILES: &str = "9p";

fn find_path(task: &Task, path: &[u8]) -> Result<Option<Arc<UnixSocket>>> {
    let place = walk::resolve(task, None, path, WalkFlags::FOLLOW)?;
    let inode = place.inode();
    let attr = inode.attr()?;
    permission::check(&task.credentials(), &attr, permission::WRITE)?;
    if attr.file_type != FileType::Socket {
        return Err(Errno::ECONNREFUSED);
    }
    let bound = inode.shared().socket.lock().upgrade();
    if bound.is_none() && inode.file_system().type_name() == HOST_FILES {
        let path = String::from_utf8_lossy(path);
        task.kernel().vfs.tell_user_once(format!(
            "{path:?}: connection refused; sockets of the host and of other containers are out of reach (--host-uds=none)"
        ));
    }
    Ok(bound.and_then(|bound| bound.socket.upgrade()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{AF_UNIX, Address, Name, SOCKADDR_UN_LEN, parse};

    proptest! {
        #[test]
        fn any_bytes_are_a_name_or_einval(rest in prop::collection::vec(0..4_u8, 0..130)) {
            let bytes = [&AF_UNIX.to_ne_bytes(), rest.as_slice()].concat();
            let Ok(address) = parse(&bytes) else {
                prop_assert!(bytes.len() > SOCKADDR_UN_LEN);
                return Ok(());
            };
            match address {
                Address::Unnamed => prop_assert!(rest.is_empty()),
                Address::Name(Name::Abstract(name)) => prop_assert_eq!(&name, &rest[1..]),
                Address::Name(Name::Path(path)) => {
                    prop_assert!(!path.is_empty() && !path.contains(&0) && rest.starts_with(&path));
                }
            }
        }
    }
}
