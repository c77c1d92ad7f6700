//! `/proc/[pid]/fd` and `fdinfo`.

use std::sync::{Arc, Weak};

use abi::Errno;

use super::super::{alive, of_task};
use super::{living, may_inspect};
use crate::error::Result;
use crate::fs::synthetic::{Body, Content, Directory, Entry, Link};
use crate::kernel::task::Task;
use crate::vfs::attr::FileType;
use crate::vfs::inode::LinkTarget;

/// `fd`: links to open files.
pub(super) fn descriptors(task: &Arc<Task>) -> Arc<dyn Directory> {
    Arc::new(FdDirectory {
        task: Arc::downgrade(task),
        information: false,
    })
}

/// `fdinfo`: what is known of them.
pub(super) fn information(task: &Arc<Task>) -> Arc<dyn Directory> {
    Arc::new(FdDirectory {
        task: Arc::downgrade(task),
        information: true,
    })
}

#[derive(Debug)]
struct FdDirectory {
    task: Weak<Task>,
    information: bool,
}

impl Directory for FdDirectory {
    fn entry(&self, name: &[u8]) -> Result<Entry> {
        let fd: i32 = std::str::from_utf8(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(Errno::ENOENT)?;
        let task = living(&self.task)?;
        let open = task.files().get(fd).map_err(|_| Errno::ENOENT)?;
        let item = OpenDescriptor {
            task: self.task.clone(),
            fd,
        };
        if self.information {
            return Ok(of_task(&task, Body::File(Arc::new(item)), 0o444));
        }
        // The link's bits say how the file is open.
        let flags = open.flags();
        let read = if flags.readable() { 0o500 } else { 0 };
        let write = if flags.writable() { 0o300 } else { 0 };
        let mut entry = of_task(&task, Body::Link(Arc::new(item)), read | write);
        entry.identity ^= Arc::as_ptr(&open).addr() as u64;
        Ok(entry)
    }

    fn names(&self) -> Result<Vec<(Vec<u8>, FileType)>> {
        let task = living(&self.task)?;
        let file_type = if self.information {
            FileType::Regular
        } else {
            FileType::Symlink
        };
        Ok(task
            .files()
            .list()
            .into_iter()
            .map(|(fd, _)| (fd.to_string().into_bytes(), file_type))
            .collect())
    }
}

#[derive(Debug)]
struct OpenDescriptor {
    task: Weak<Task>,
    fd: i32,
}

impl Link for OpenDescriptor {
    fn target(&self, viewer: &Task) -> Result<LinkTarget> {
        let task = alive(&self.task)?;
        may_inspect(viewer, &task)?;
        let open = task.files().get(self.fd).map_err(|_| Errno::ENOENT)?;
        Ok(LinkTarget::Jump(open.path().clone()))
    }
}

impl Content for OpenDescriptor {
    fn read(&self, viewer: &Task) -> Result<Vec<u8>> {
        let task = alive(&self.task)?;
        may_inspect(viewer, &task)?;
        let descriptor = task
            .files()
            .descriptor(self.fd)
            .map_err(|_| Errno::ENOENT)?;
        let open = &descriptor.file;
        let mut flags = open.flags().bits();
        if descriptor.close_on_exec {
            flags |= abi::raw::general::O_CLOEXEC;
        }
        let position = open.offset().last();
        let ino = open.inode().attr().map_or(0, |attr| attr.ino);
        let mount = open.path().mount.id;
        let mut text =
            format!("pos:\t{position}\nflags:\t0{flags:o}\nmnt_id:\t{mount}\nino:\t{ino}\n");
        text.push_str(&open.file().fd_info());
        Ok(text.into_bytes())
    }
}
