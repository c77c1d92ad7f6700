//! Files without names: pipes, sockets, and the anonymous inodes of eventfd, epoll and the like.
//!
//! They live in file systems of the kernel's own, mounted nowhere that a path leads to.

use std::any::Any;
use std::sync::{Arc, Weak};

use locks::Mutex;

use crate::error::Result;
use crate::kernel::Kernel;
use crate::kernel::credentials::Credentials;
use crate::kernel::task::Task;
use crate::vfs::Vfs;
use crate::vfs::attr::{Attr, Device, FileType, SetAttr, SetTime, StatFs, Timestamp};
use crate::vfs::dentry::Dentry;
use crate::vfs::file::{File, OpenFile, OpenFlags};
use crate::vfs::inode::{FileSystem, Inode, InodeRef};
use crate::vfs::mount::{Mount, MountFlags};
use crate::vfs::path::Path;
use crate::vfs::shared::InodeShared;

/// What a file without a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// `pipe:[N]`
    Pipe,
    /// `socket:[N]`
    Socket,
    /// `anon_inode:` and this, brackets included where Linux has them (`[eventfd]`, `inotify`).
    Inode(&'static str),
}

/// The mounts of such files, one per kind of file system.
#[derive(Debug)]
pub(crate) struct AnonymousMount {
    pipes: Arc<Mount>,
    sockets: Arc<Mount>,
    inodes: Arc<Mount>,
    namespaces: Arc<Mount>,
}

impl AnonymousMount {
    pub(crate) fn new(vfs: &Vfs) -> AnonymousMount {
        let mount = |type_name, magic| {
            let fs = AnonymousFs::new(vfs.anonymous_device(), type_name, magic);
            vfs.mount(fs, type_name.as_bytes(), MountFlags::empty())
        };
        AnonymousMount {
            pipes: mount("pipefs", 0x5049_5045),
            sockets: mount("sockfs", 0x534f_434b),
            inodes: mount("anon_inodefs", 0x0904_1934),
            namespaces: mount("nsfs", 0x6e73_6673),
        }
    }

    fn of(&self, what: Anonymous) -> &Arc<Mount> {
        match what {
            Anonymous::Pipe => &self.pipes,
            Anonymous::Socket => &self.sockets,
            Anonymous::Inode(_) => &self.inodes,
        }
    }
}

/// The mount of such files.
pub(crate) fn mount(kernel: &Kernel, what: Anonymous) -> &Arc<Mount> {
    kernel.vfs.anonymous().of(what)
}

/// The mount of the files that hold namespaces.
pub(crate) fn nsfs(kernel: &Kernel) -> &Arc<Mount> {
    &kernel.vfs.anonymous().namespaces
}

/// A new inode without a name, owned by `credentials`, and where `/proc/[pid]/fd` says it is.
#[must_use]
pub fn new_path(kernel: &Kernel, credentials: &Credentials, what: Anonymous) -> Path {
    let mount = kernel.vfs.anonymous().of(what).clone();
    let ino = kernel.unique_id();
    let inode = Arc::new(AnonymousInode {
        ino,
        file_type: match what {
            Anonymous::Pipe => FileType::Fifo,
            Anonymous::Socket => FileType::Socket,
            Anonymous::Inode(_) => FileType::Regular,
        },
        state: Mutex::new(State {
            permissions: if what == Anonymous::Socket {
                0o777
            } else {
                0o600
            },
            uid: credentials.fsuid,
            gid: credentials.fsgid,
            times: [Timestamp::now(); 3],
        }),
        shared: InodeShared::default(),
        mount: mount.clone(),
    });
    let name = match what {
        Anonymous::Pipe => format!("pipe:[{ino}]"),
        Anonymous::Socket => format!("socket:[{ino}]"),
        Anonymous::Inode(name) => format!("anon_inode:{name}"),
    };
    Path {
        dentry: Dentry::anonymous(inode, name.into_bytes()),
        mount,
    }
}

/// Whether the inode is the kernel's own, not a donated descriptor's.
pub(crate) fn is_anonymous(inode: &InodeRef) -> bool {
    let any: &dyn Any = &**inode;
    any.is::<AnonymousInode>()
}

/// An open file description for a file without a name.
#[must_use]
pub fn open(task: &Task, what: Anonymous, file: Arc<dyn File>, flags: OpenFlags) -> Arc<OpenFile> {
    let path = new_path(task.kernel(), &task.credentials(), what);
    let inode = path.inode().clone();
    OpenFile::new(path, inode, file, flags)
}

#[derive(Debug)]
struct AnonymousFs {
    device: Device,
    type_name: &'static str,
    magic: u64,
    root: InodeRef,
}

impl AnonymousFs {
    fn new(device: Device, type_name: &'static str, magic: u64) -> Arc<AnonymousFs> {
        Arc::new_cyclic(|fs: &Weak<AnonymousFs>| AnonymousFs {
            device,
            type_name,
            magic,
            root: Arc::new(Root {
                fs: fs.clone(),
                shared: InodeShared::default(),
            }),
        })
    }
}

impl FileSystem for AnonymousFs {
    fn type_name(&self) -> &'static str {
        self.type_name
    }

    fn root(&self) -> InodeRef {
        self.root.clone()
    }

    fn device(&self) -> Device {
        self.device
    }

    fn stat(&self) -> Result<StatFs> {
        Ok(StatFs {
            magic: self.magic,
            block_size: 4096,
            name_max: 255,
            ..StatFs::default()
        })
    }
}

/// The root directory, which nobody ever sees.
#[derive(Debug)]
struct Root {
    fs: Weak<AnonymousFs>,
    shared: InodeShared,
}

impl Inode for Root {
    fn shared(&self) -> &InodeShared {
        &self.shared
    }

    fn file_system(&self) -> Arc<dyn FileSystem> {
        self.fs
            .upgrade()
            .expect("the kernel keeps the mount of files without names")
    }

    fn attr(&self) -> Result<Attr> {
        Ok(attr(1, FileType::Directory, &State::default()))
    }

    fn set_attr(&self, _change: &SetAttr) -> Result<()> {
        Err(abi::Errno::EPERM)
    }
}

#[derive(Debug)]
struct AnonymousInode {
    /// Keeps the file system.
    mount: Arc<Mount>,
    ino: u64,
    file_type: FileType,
    state: Mutex<State>,
    shared: InodeShared,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    permissions: u32,
    uid: u32,
    gid: u32,
    /// Access, modification, change.
    times: [Timestamp; 3],
}

fn attr(ino: u64, file_type: FileType, state: &State) -> Attr {
    Attr {
        ino,
        file_type,
        permissions: state.permissions,
        nlink: 1,
        uid: state.uid,
        gid: state.gid,
        rdev: Device::default(),
        size: 0,
        blocks: 0,
        block_size: 4096,
        atime: state.times[0],
        mtime: state.times[1],
        ctime: state.times[2],
        btime: None,
    }
}

impl Inode for AnonymousInode {
    fn shared(&self) -> &InodeShared {
        &self.shared
    }

    fn file_system(&self) -> Arc<dyn FileSystem> {
        self.mount.fs.clone()
    }

    fn attr(&self) -> Result<Attr> {
        Ok(attr(self.ino, self.file_type, &self.state.lock()))
    }

    fn kind(&self) -> Result<FileType> {
        Ok(self.file_type)
    }

    fn set_attr(&self, change: &SetAttr) -> Result<()> {
        let mut state = self.state.lock();
        let now = Timestamp::now();
        let time = |set: SetTime| match set {
            SetTime::Now => now,
            SetTime::To(time) => time,
        };
        state.permissions = change.permissions.unwrap_or(state.permissions);
        state.uid = change.uid.unwrap_or(state.uid);
        state.gid = change.gid.unwrap_or(state.gid);
        state.times = [
            change.atime.map_or(state.times[0], time),
            change.mtime.map_or(state.times[1], time),
            now,
        ];
        Ok(())
    }
}
