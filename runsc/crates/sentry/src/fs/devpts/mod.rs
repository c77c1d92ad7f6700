//! devpts: the file system of pseudo terminals (`man 4 pts`, `Documentation/filesystems/devpts`). Every
//! mount is an instance of its own, with its own numbers.

pub mod driver;
mod inode;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use abi::Errno;
use locks::Mutex;

use crate::error::Result;
use crate::fs::tty::Tty;
use crate::kernel::Kernel;
use crate::kernel::user_count::Charge;
use crate::vfs::attr::{Device, StatFs};
use crate::vfs::inode::{CachePolicy, FileSystem, InodeRef};

use inode::{PtmxInode, RootInode, SlaveInode};

/// The major number of slave ends.
const SLAVE_MAJOR: u32 = 136;
/// `DEVPTS_SUPER_MAGIC`
const MAGIC: u64 = 0x1cd1;
/// Most terminals of an instance (`NR_UNIX98_PTY_MAX`).
const MOST: u32 = 1 << 20;

/// Mount options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DevPtsOptions {
    /// `mode=`: permissions of slave ends.
    pub mode: u32,
    /// `uid=`: their owner, rather than who opened the master end.
    pub uid: Option<u32>,
    /// `gid=`: their group.
    pub gid: Option<u32>,
    /// `ptmxmode=`: permissions of `ptmx`.
    pub ptmx_mode: u32,
    /// `max=`: how many terminals there may be.
    pub max: u32,
    /// It may have those that are kept back from others (`kernel.pty.reserve`).
    pub takes_reserve: bool,
}

impl Default for DevPtsOptions {
    fn default() -> DevPtsOptions {
        DevPtsOptions {
            mode: 0o600,
            uid: None,
            gid: None,
            ptmx_mode: 0,
            max: MOST,
            takes_reserve: false,
        }
    }
}

impl DevPtsOptions {
    /// Reads what `mount(2)` was given; EINVAL for what is not known.
    pub fn parse(text: &[u8]) -> Result<DevPtsOptions> {
        let mut options = DevPtsOptions::default();
        let text = std::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        for option in text.split(',').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let octal = || u32::from_str_radix(value, 8).map_err(|_| Errno::EINVAL);
            let decimal = || value.parse::<u32>().map_err(|_| Errno::EINVAL);
            match name {
                "mode" => options.mode = octal()? & 0o777,
                "ptmxmode" => options.ptmx_mode = octal()? & 0o777,
                "uid" => options.uid = Some(decimal()?),
                "gid" => options.gid = Some(decimal()?),
                "max" => options.max = decimal()?.min(MOST),
                "newinstance" => {}
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(options)
    }
}

/// An instance.
#[derive(Debug)]
pub struct DevPts {
    device: Device,
    options: DevPtsOptions,
    kernel: Weak<Kernel>,
    root: Arc<RootInode>,
    ptmx: Arc<PtmxInode>,
    slaves: Mutex<BTreeMap<u32, Slave>>,
}

/// A terminal's name.
#[derive(Debug)]
struct Slave {
    inode: Arc<SlaveInode>,
    _charge: Charge,
}

impl DevPts {
    /// A new instance. The kernel's drivers for terminals are entered with the first one.
    #[must_use]
    pub fn new(kernel: &Arc<Kernel>, options: DevPtsOptions) -> Arc<DevPts> {
        driver::register(kernel);
        Arc::new_cyclic(|fs| DevPts {
            device: kernel.vfs.anonymous_device(),
            options,
            kernel: Arc::downgrade(kernel),
            root: RootInode::new(fs.clone()),
            ptmx: PtmxInode::new(fs.clone(), options.ptmx_mode),
            slaves: Mutex::default(),
        })
    }

    /// A new terminal for a user and group: its number, locked. ENOSPC: there are as many as there may be.
    pub fn create(self: &Arc<Self>, uid: u32, gid: u32) -> Result<(u32, Arc<Tty>)> {
        let kernel = self.kernel.upgrade().ok_or(Errno::ENOSPC)?;
        let charge = self.charge(&kernel)?;
        let mut slaves = self.slaves.lock();
        let index = (0..self.options.max)
            .find(|index| !slaves.contains_key(index))
            .ok_or(Errno::ENOSPC)?;
        let device = Device::new(SLAVE_MAJOR, index);
        driver::register_slave(&kernel, device);
        let tty = Tty::new(device);
        let owner = (
            self.options.uid.unwrap_or(uid),
            self.options.gid.unwrap_or(gid),
        );
        let inode = SlaveInode::new(
            Arc::downgrade(self),
            index,
            tty.clone(),
            self.options.mode,
            owner,
        );
        let _charge = charge;
        slaves.insert(index, Slave { inode, _charge });
        Ok((index, tty))
    }

    /// Counts a terminal more of all instances: Linux makes one less than `kernel.pty.max`, and keeps
    /// `kernel.pty.reserve` of them for those that the system mounted.
    fn charge(&self, kernel: &Kernel) -> Result<Charge> {
        let reserve = match self.options.takes_reserve {
            true => 0,
            false => kernel.sysctl.number("kernel/pty/reserve"),
        };
        let most = kernel.sysctl.number("kernel/pty/max");
        let most = most.saturating_sub(reserve.saturating_add(1));
        kernel.terminals.charge_within(1, most).ok_or(Errno::ENOSPC)
    }

    /// The master end is closed: the name goes.
    pub fn remove(&self, index: u32) {
        let gone = self.slaves.lock().remove(&index);
        drop(gone);
    }

    /// The slave end with this number.
    #[must_use]
    pub fn slave(&self, index: u32) -> Option<InodeRef> {
        let inode = self.slave_inode(index)?;
        Some(inode)
    }

    fn slave_inode(&self, index: u32) -> Option<Arc<SlaveInode>> {
        let slaves = self.slaves.lock();
        slaves.get(&index).map(|slave| slave.inode.clone())
    }

    fn indices(&self) -> Vec<u32> {
        self.slaves.lock().keys().copied().collect()
    }

    fn ptmx(&self) -> Arc<PtmxInode> {
        self.ptmx.clone()
    }
}

impl FileSystem for DevPts {
    fn type_name(&self) -> &'static str {
        "devpts"
    }

    fn root(&self) -> InodeRef {
        self.root.clone()
    }

    fn device(&self) -> Device {
        self.device
    }

    fn stat(&self) -> Result<StatFs> {
        Ok(StatFs {
            magic: MAGIC,
            block_size: 4096,
            name_max: 255,
            ..StatFs::default()
        })
    }

    fn cache_policy(&self) -> CachePolicy {
        // Names come and go with their terminals.
        CachePolicy::Revalidate
    }

    fn options(&self) -> String {
        let mut text = String::new();
        if let Some(uid) = self.options.uid {
            text.push_str(&format!("uid={uid},"));
        }
        if let Some(gid) = self.options.gid {
            text.push_str(&format!("gid={gid},"));
        }
        let DevPtsOptions {
            mode,
            ptmx_mode,
            max,
            ..
        } = self.options;
        text.push_str(&format!("mode={mode:03o},ptmxmode={ptmx_mode:03o}"));
        if max < MOST {
            text.push_str(&format!(",max={max}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{DevPtsOptions, MOST};

    proptest! {
        #[test]
        fn any_text_is_options_or_einval(
            text in "((mode|ptmxmode|uid|gid|max|newinstance|x)=?[-0-9]{0,12},?){0,5}|.{0,40}",
        ) {
            if let Ok(options) = DevPtsOptions::parse(text.as_bytes()) {
                prop_assert!(options.mode <= 0o777 && options.ptmx_mode <= 0o777);
                prop_assert!(options.max <= MOST);
            }
        }
    }
}
