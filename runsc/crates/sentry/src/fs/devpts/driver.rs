//! The drivers of terminals: `/dev/ptmx`, `/dev/pts/N`, `/dev/tty`.

use std::any::Any;
use std::sync::Arc;

use abi::Errno;

use super::DevPts;
use crate::error::{Result, SysError};
use crate::fs::tty::control;
use crate::fs::tty::master::MasterFile;
use crate::fs::tty::slave::SlaveFile;
use crate::kernel::Kernel;
use crate::kernel::task::Task;
use crate::vfs::attr::Device;
use crate::vfs::device::{DeviceDriver, DeviceKind, Opened};
use crate::vfs::file::{File, OpenFlags};
use crate::vfs::inode::FileSystem;
use crate::vfs::path::Path;
use crate::vfs::walk::{self, WalkFlags};

/// `/dev/tty`
const TTY: Device = Device::new(5, 0);
/// `/dev/ptmx`
const PTMX: Device = Device::new(5, 2);

/// Enters the drivers for the numbers that never change.
pub fn register(kernel: &Kernel) {
    let devices = &kernel.vfs.devices;
    devices.register(DeviceKind::Character, TTY, Arc::new(TtyDriver));
    devices.register(DeviceKind::Character, PTMX, Arc::new(PtmxDriver));
}

/// Enters the driver for a slave end.
pub(super) fn register_slave(kernel: &Kernel, device: Device) {
    let devices = &kernel.vfs.devices;
    devices.register(DeviceKind::Character, device, Arc::new(SlaveDriver));
}

/// The instance that a path lies in.
fn instance(fs: Arc<dyn FileSystem>) -> Option<Arc<DevPts>> {
    let fs: Arc<dyn Any + Send + Sync> = fs;
    fs.downcast::<DevPts>().ok()
}

/// Makes a terminal.
#[derive(Debug)]
struct PtmxDriver;

impl DeviceDriver for PtmxDriver {
    fn open(
        &self,
        task: &Task,
        _device: Device,
        path: &Path,
        _flags: OpenFlags,
    ) -> core::result::Result<Opened, SysError> {
        let (fs, root) = find_instance(task, path)?;
        let credentials = task.credentials();
        let (index, tty) = fs.create(credentials.fsuid, credentials.fsgid)?;
        let file: Arc<dyn File> = MasterFile::new(tty, index, fs, root);
        Ok(Opened::from(file))
    }
}

/// The instance that `ptmx` at `path` belongs to: the one that it is in, else the one at `pts` beside it;
/// ENODEV.
fn find_instance(task: &Task, path: &Path) -> Result<(Arc<DevPts>, Path)> {
    if let Some(fs) = instance(path.inode().file_system()) {
        return Ok((fs, path.mount.root_path()));
    }
    let parent = path.dentry.parent().ok_or(Errno::ENODEV)?;
    let parent = path.child(parent);
    let pts = walk::resolve(task, Some(&parent), b"pts", WalkFlags::FOLLOW)?;
    let fs = instance(pts.inode().file_system()).ok_or(Errno::ENODEV)?;
    Ok((fs, pts))
}

/// Opens a slave end by its name.
#[derive(Debug)]
struct SlaveDriver;

impl DeviceDriver for SlaveDriver {
    fn open(
        &self,
        task: &Task,
        device: Device,
        path: &Path,
        flags: OpenFlags,
    ) -> core::result::Result<Opened, SysError> {
        let fs = instance(path.inode().file_system()).ok_or(Errno::EIO)?;
        let inode = fs.slave_inode(device.minor).ok_or(Errno::EIO)?;
        let file: Arc<dyn File> = SlaveFile::open(inode.tty(), task, flags)?;
        Ok(Opened::from(file))
    }
}

/// Opens the caller's controlling terminal; ENXIO if it has none.
#[derive(Debug)]
struct TtyDriver;

impl DeviceDriver for TtyDriver {
    fn open(
        &self,
        task: &Task,
        _device: Device,
        _path: &Path,
        flags: OpenFlags,
    ) -> core::result::Result<Opened, SysError> {
        let tty = control::controlling_terminal(task).ok_or(Errno::ENXIO)?;
        let file: Arc<dyn File> = SlaveFile::attach(&tty, flags);
        Ok(Opened::from(file))
    }
}
