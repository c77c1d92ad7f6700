//! Where a sandbox's control socket is: a name in the state directory, derived from the id.
//!
//! State directories of engines are longer than the 108 bytes of a socket address, so the socket is
//! bound and connected through the directory's descriptor in `/proc/self/fd`.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use host::{Errno, errno};
use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::Connection;

/// The name of the control socket of container `id`: fixed length, whatever the id.
#[must_use]
pub fn socket_name(id: &str) -> String {
    // FNV-1a, 128 bits (http://www.isthe.com/chongo/tech/comp/fnv): stable, and ids that the same
    // administrator chose do not collide by chance.
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = id.bytes().fold(OFFSET, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    });
    format!("{hash:032x}.sock")
}

/// A control socket's place.
#[derive(Debug)]
pub struct Endpoint {
    directory: OwnedFd,
    name: String,
}

impl Endpoint {
    /// The endpoint of container `id` below the state directory `root`.
    ///
    /// # Errors
    /// Those of opening the directory.
    pub fn new(root: &Path, id: &str) -> Result<Endpoint, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = fs::open(root, flags, Mode::empty()).map_err(errno)?;
        Ok(Endpoint {
            directory,
            name: socket_name(id),
        })
    }

    fn address(&self) -> Result<SocketAddrUnix, Errno> {
        let path = format!("/proc/self/fd/{}/{}", self.directory.as_raw_fd(), self.name);
        SocketAddrUnix::new(path).map_err(errno)
    }

    /// Makes the socket, in place of one that a dead sandbox left, and listens.
    ///
    /// # Errors
    /// Those of socket, bind and listen.
    pub fn listen(&self) -> Result<OwnedFd, Errno> {
        self.remove()?;
        let socket = seqpacket()?;
        net::bind(&socket, &self.address()?).map_err(errno)?;
        fs::chmodat(
            &self.directory,
            &self.name,
            Mode::RUSR | Mode::WUSR,
            AtFlags::empty(),
        )
        .map_err(errno)?;
        net::listen(&socket, 128).map_err(errno)?;
        Ok(socket)
    }

    /// Connects to the sandbox that listens.
    ///
    /// # Errors
    /// `ENOENT` or `ECONNREFUSED` when there is none.
    pub fn connect(&self) -> Result<Connection, Errno> {
        let socket = seqpacket()?;
        net::connect(&socket, &self.address()?).map_err(errno)?;
        Ok(Connection::new(socket))
    }

    /// Removes the socket's name; there being none is no error.
    ///
    /// # Errors
    /// Those of unlink.
    pub fn remove(&self) -> Result<(), Errno> {
        match fs::unlinkat(self.directory.as_fd(), &self.name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(errno(error)),
        }
    }
}

fn seqpacket() -> Result<OwnedFd, Errno> {
    net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(errno)
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, socket_name};

    #[test]
    fn names_have_a_fixed_length() {
        assert_eq!(socket_name("a").len(), socket_name(&"x".repeat(1024)).len());
        assert_ne!(socket_name("a"), socket_name("b"));
    }

    #[test]
    fn a_directory_longer_than_a_socket_address_works() {
        let base = tempfile::tempdir().unwrap();
        let deep = base.path().join("d".repeat(100)).join("e".repeat(100));
        std::fs::create_dir_all(&deep).unwrap();
        let endpoint = Endpoint::new(&deep, "id").unwrap();
        assert!(endpoint.connect().is_err());
        let _listener = endpoint.listen().unwrap();
        endpoint.connect().unwrap();
        endpoint.remove().unwrap();
        assert!(endpoint.connect().is_err());
    }
}
