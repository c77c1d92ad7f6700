//! Extended attributes in memory (`man 7 xattr`).

use std::collections::BTreeMap;

use abi::Errno;

use crate::error::Result;
use crate::vfs::inode::XattrFlags;
use crate::vfs::xattr::CAPABILITY as CAPABILITY_XATTR;

/// Most bytes of names and values of one inode: they are the kernel's memory.
const MOST_BYTES: usize = 128 << 10;

/// The extended attributes of one inode.
#[derive(Debug, Default)]
pub(super) struct Xattrs {
    by_name: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Xattrs {
    /// The value of a name; ENODATA.
    pub(super) fn get(&self, name: &[u8]) -> Result<Vec<u8>> {
        self.by_name.get(name).cloned().ok_or(Errno::ENODATA)
    }

    /// Sets a value; EEXIST, ENODATA, ENOSPC.
    pub(super) fn set(&mut self, name: &[u8], value: &[u8], flags: XattrFlags) -> Result<()> {
        let exists = self.by_name.contains_key(name);
        if exists && flags.contains(XattrFlags::CREATE) {
            return Err(Errno::EEXIST);
        }
        if !exists && flags.contains(XattrFlags::REPLACE) {
            return Err(Errno::ENODATA);
        }
        let used: usize = self
            .by_name
            .iter()
            .filter(|(other, _)| other.as_slice() != name)
            .map(|(other, value)| other.len() + value.len())
            .sum();
        if used + name.len() + value.len() > MOST_BYTES {
            return Err(Errno::ENOSPC);
        }
        self.by_name.insert(name.to_vec(), value.to_vec());
        Ok(())
    }

    /// Removes a name; ENODATA.
    pub(super) fn remove(&mut self, name: &[u8]) -> Result<()> {
        self.by_name.remove(name).map(drop).ok_or(Errno::ENODATA)
    }

    /// The file's contents or owner change: what its capabilities were given for is gone (`man 7 capabilities`).
    pub(super) fn drop_capabilities(&mut self) {
        self.by_name.remove(CAPABILITY_XATTR);
    }

    /// All names.
    pub(super) fn names(&self) -> Vec<Vec<u8>> {
        self.by_name.keys().cloned().collect()
    }
}
