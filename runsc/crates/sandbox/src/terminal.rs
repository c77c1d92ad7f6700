//! The terminal that a container's process was given: a pseudo terminal of the guest's kernel in front
//! of the host's.

use std::any::Any;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use host::Errno;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::termios::isatty;
use sentry::fs::devpts::DevPts;
use sentry::fs::tty::Tty;
use sentry::fs::tty::host::HostTerminal;
use sentry::fs::tty::slave::SlaveFile;
use sentry::kernel::kernel::Kernel;
use sentry::vfs::attr::{FileType, SetAttr};
use sentry::vfs::file::{OpenFile, OpenFlags};
use sentry::vfs::mount::{MountFlags, MountNamespace};
use sentry::vfs::walk::{Resolver, WalkFlags};

/// How long output may take to be shown after its process has ended.
const DRAIN: Duration = Duration::from_secs(1);

/// The terminal of one process.
#[derive(Debug)]
pub(crate) struct Terminal {
    host: Arc<HostTerminal>,
    slave: Arc<OpenFile>,
    name: String,
}

impl Terminal {
    /// Makes the pseudo terminal in the container's `/dev/pts` and connects it with the host's `fd`.
    /// None: the container has no `/dev/pts`.
    pub(crate) fn new(
        kernel: &Arc<Kernel>,
        namespace: &Arc<MountNamespace>,
        owner: (u32, u32),
        fd: OwnedFd,
    ) -> Result<Option<Terminal>, Errno> {
        let resolver = Resolver::of_namespace(namespace);
        let Ok(directory) = resolver.resolve(b"/dev/pts", WalkFlags::FOLLOW) else {
            return Ok(None);
        };
        let fs: Arc<dyn Any + Send + Sync> = directory.inode().file_system();
        let Ok(fs) = fs.downcast::<DevPts>() else {
            return Ok(None);
        };
        let (index, tty) = fs.create(owner.0, owner.1)?;
        tty.set_locked(false);
        let name = format!("/dev/pts/{index}");
        let path = resolver.resolve(name.as_bytes(), WalkFlags::FOLLOW)?;
        let inode = path.inode().clone();
        let file = SlaveFile::attach(&tty, OpenFlags::RDWR);
        let slave = OpenFile::new(path, inode, file, OpenFlags::RDWR);
        let host = HostTerminal::start(tty, fd)?;
        tracing::debug!(processors = kernel.processors(), "terminal {name}");
        Ok(Some(Terminal { host, slave, name }))
    }

    /// Shows it as `/dev/console` too, as the init process's terminal is (runtime-spec, *Default Devices*).
    pub(crate) fn be_console(&self, kernel: &Kernel, namespace: &Arc<MountNamespace>) {
        let console = b"/dev/console";
        let bound = kernel.bind_at(
            namespace,
            self.name.as_bytes(),
            console,
            MountFlags::empty(),
        );
        if let Err(errno) = bound {
            tracing::info!(%errno, "no /dev/console");
        }
    }

    /// The pseudo terminal.
    pub(crate) fn tty(&self) -> Arc<Tty> {
        self.host.tty().clone()
    }

    /// The host's window has another size.
    pub(crate) fn take_size(&self) {
        self.host.take_size();
    }

    /// Its process has ended: shows what was written, and lets go of the host's terminal.
    pub(crate) fn finish(&self) {
        if !self.host.drain(DRAIN) {
            tracing::info!("output to the terminal is lost: nobody reads it");
        }
        self.host.close();
    }
}

/// A process's files from 0 on, and its terminal if it has one: those of the first three descriptors
/// that are terminals become the pseudo terminal's slave end.
pub(crate) fn open_files(
    kernel: &Arc<Kernel>,
    namespace: &Arc<MountNamespace>,
    owner: (u32, u32),
    wants_terminal: bool,
    files: Vec<OwnedFd>,
) -> Result<(Vec<Arc<OpenFile>>, Option<Terminal>), Errno> {
    let first = files.iter().take(3).find(|fd| wants_terminal && isatty(fd));
    let terminal = match first {
        Some(fd) => {
            let copy = fcntl_dupfd_cloexec(fd, 0).map_err(host::errno)?;
            Terminal::new(kernel, namespace, owner, copy)?
        }
        None => None,
    };
    let open = |(index, fd): (usize, OwnedFd)| match &terminal {
        Some(terminal) if index < 3 && isatty(&fd) => Ok(terminal.slave.clone()),
        _ if index < 3 => {
            let file = kernel.open_host_descriptor(fd)?;
            own(&file, owner.0)?;
            Ok(file)
        }
        _ => kernel.open_host_descriptor(fd),
    };
    let opened = files
        .into_iter()
        .enumerate()
        .map(open)
        .collect::<Result<_, _>>()?;
    Ok((opened, terminal))
}

/// Gives a standard stream to the process's user, as runc does; a device stays root's.
fn own(file: &OpenFile, uid: u32) -> Result<(), Errno> {
    let is_device = file.inode().kind()? == FileType::CharDevice;
    file.inode().set_attr(&SetAttr {
        uid: Some(if is_device { 0 } else { uid }),
        gid: Some(0),
        ..SetAttr::default()
    })
}
