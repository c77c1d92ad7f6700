//! `/dev`: a tmpfs with the standard devices, and the drivers of those that need no other subsystem.

mod memory_devices;

use std::sync::Arc;

use crate::error::Result;
use crate::fs::tmpfs::{TmpFs, TmpfsOptions};
use crate::kernel::Kernel;
use crate::vfs::attr::Device;
use crate::vfs::device::{DeviceKind, DeviceTable};
use crate::vfs::inode::{FileSystem, Inode, NewKind, NewNode};

use memory_devices::MemoryDevice;

/// `MEM_MAJOR`
const MEMORY: u32 = 1;

/// The devices of `man 4 null`, `man 4 full`, `man 4 random`.
const MEMORY_DEVICES: [(u32, MemoryDevice); 5] = [
    (3, MemoryDevice::Null),
    (5, MemoryDevice::Zero),
    (7, MemoryDevice::Full),
    (8, MemoryDevice::Random),
    (9, MemoryDevice::Random),
];

/// Device files, world-readable and -writable as udev makes them.
const FILES: [(&[u8], Device); 6] = [
    (b"null", Device::new(MEMORY, 3)),
    (b"zero", Device::new(MEMORY, 5)),
    (b"full", Device::new(MEMORY, 7)),
    (b"random", Device::new(MEMORY, 8)),
    (b"urandom", Device::new(MEMORY, 9)),
    (b"tty", Device::new(5, 0)),
];

/// What the runtime specification wants in `/dev` besides (*Default Devices*, *Dev symbolic links*).
const LINKS: [(&[u8], &[u8]); 6] = [
    (b"fd", b"/proc/self/fd"),
    (b"stdin", b"/proc/self/fd/0"),
    (b"stdout", b"/proc/self/fd/1"),
    (b"stderr", b"/proc/self/fd/2"),
    (b"core", b"/proc/kcore"),
    (b"ptmx", b"pts/ptmx"),
];

/// Mount points of what else belongs in `/dev`.
const DIRECTORIES: [&[u8]; 3] = [b"pts", b"shm", b"mqueue"];

/// Enters the drivers of the memory devices.
pub(crate) fn register(devices: &DeviceTable) {
    for (minor, device) in MEMORY_DEVICES {
        let number = Device::new(MEMORY, minor);
        devices.register(DeviceKind::Character, number, Arc::new(device));
    }
}

/// A `/dev` with the standard devices, links and directories, which calls itself `type_name`.
///
/// # Errors
/// None in practice: what it makes is new.
pub fn new(
    kernel: &Kernel,
    type_name: &'static str,
    options: &TmpfsOptions,
) -> Result<Arc<dyn FileSystem>> {
    let options = TmpfsOptions {
        mode: options.mode.or(Some(0o755)),
        ..options.clone()
    };
    let fs = TmpFs::with_type(kernel, type_name, &options);
    let root = fs.root_inode();
    let node = |kind, permissions| NewNode {
        kind,
        permissions,
        uid: 0,
        gid: 0,
    };
    for (name, device) in FILES {
        root.create(name, &node(NewKind::CharDevice(device), 0o666))?;
    }
    for (name, target) in LINKS {
        root.create(name, &node(NewKind::Symlink(target), 0o777))?;
    }
    for name in DIRECTORIES {
        root.create(name, &node(NewKind::Directory, 0o755))?;
    }
    Ok(fs)
}
