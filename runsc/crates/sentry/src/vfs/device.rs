//! The table of devices: what a device file stands for.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use abi::Errno;
use locks::RwLock;

use crate::error::SysError;
use crate::kernel::task::Task;
use crate::vfs::attr::Device;
use crate::vfs::file::{File, OpenFlags};
use crate::vfs::path::Path;

/// Character and block devices have numbers of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceKind {
    /// `S_IFCHR`
    Character,
    /// `S_IFBLK`
    Block,
}

/// What opening a device file gives.
pub struct Opened {
    /// What the device does.
    pub file: Arc<dyn File>,
    /// Where the file really is, if not where the device file is (a new terminal of `/dev/ptmx`).
    pub path: Option<Path>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened({:?})", self.file)
    }
}

impl From<Arc<dyn File>> for Opened {
    fn from(file: Arc<dyn File>) -> Opened {
        Opened { file, path: None }
    }
}

/// A driver.
pub trait DeviceDriver: Send + Sync + fmt::Debug {
    /// Opens the device file `path`, whose number is `device`.
    fn open(
        &self,
        task: &Task,
        device: Device,
        path: &Path,
        flags: OpenFlags,
    ) -> Result<Opened, SysError>;
}

/// Drivers by number.
#[derive(Debug, Default)]
pub struct DeviceTable {
    drivers: RwLock<HashMap<(DeviceKind, Device), Arc<dyn DeviceDriver>>>,
}

impl DeviceTable {
    /// Enters a driver; the last one for a number counts.
    pub fn register(&self, kind: DeviceKind, device: Device, driver: Arc<dyn DeviceDriver>) {
        self.drivers.write().insert((kind, device), driver);
    }

    /// The driver of a number; ENXIO, as `open(2)` has it for a device that is not there.
    pub fn find(
        &self,
        kind: DeviceKind,
        device: Device,
    ) -> crate::error::Result<Arc<dyn DeviceDriver>> {
        let drivers = self.drivers.read();
        drivers.get(&(kind, device)).cloned().ok_or(Errno::ENXIO)
    }
}
