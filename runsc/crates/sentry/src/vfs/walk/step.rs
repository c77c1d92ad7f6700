//! A walk under way.

use std::collections::VecDeque;
use std::sync::Arc;

use abi::Errno;

use super::components::{Component, Rest};
use super::resolver::{Last, LastName, Resolver};
use super::{NAME_MAX, PATH_MAX, WalkFlags};
use crate::error::Result;
use crate::kernel::credentials::Credentials;
use crate::kernel::task::Task;
use crate::vfs::attr::FileType;
use crate::vfs::dentry::Dentry;
use crate::vfs::inode::{CachePolicy, InodeRef, LinkTarget};
use crate::vfs::mount::MountFlags;
use crate::vfs::path::Path;
use crate::vfs::permission;

/// Most symbolic links followed in one resolution (MAXSYMLINKS).
const MOST_LINKS: u32 = 40;
/// Most components asked for at once.
const MOST_AHEAD: usize = 32;

/// Where a walk is and what it has left to go.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    task: Option<&'a Task>,
    credentials: Option<Arc<Credentials>>,
    flags: WalkFlags,
    root: Path,
    at: Path,
    rest: Rest,
    links: u32,
    /// Inodes of the next names, found already, and the moment when that was asked.
    ahead: VecDeque<InodeRef>,
    moment: u64,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(from: &Resolver<'a>, path: &[u8], flags: WalkFlags) -> Result<Walk<'a>> {
        let mut walk = Walk {
            task: from.task,
            credentials: from.credentials.clone(),
            flags,
            root: from.root.clone(),
            at: from.start.clone(),
            rest: Rest::new(path),
            links: 0,
            ahead: VecDeque::new(),
            moment: 0,
        };
        if flags.intersects(WalkFlags::BENEATH | WalkFlags::IN_ROOT) {
            walk.root = from.start.clone();
        }
        walk.start_over()?;
        Ok(walk)
    }

    /// Where it is.
    pub(crate) fn into_path(self) -> Path {
        self.at
    }

    /// Walks all components.
    pub(crate) fn go_to_end(&mut self) -> Result<()> {
        let mut directory = self.flags.contains(WalkFlags::DIRECTORY);
        while !self.rest.is_empty() {
            let slash = self.rest.ends_with_slash();
            directory |= slash;
            self.step(slash)?;
        }
        directory |= self.rest.ends_with_slash();
        if directory && self.kind()? != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        Ok(())
    }

    /// Walks to the directory of the last component.
    pub(crate) fn go_to_last(mut self) -> Result<Last> {
        self.go_before_last()?;
        let trailing_slash = self.rest.ends_with_slash();
        let name = match self.rest.take() {
            None => LastName::Root,
            Some(Component::Dot) => LastName::Dot,
            Some(Component::DotDot) => LastName::DotDot,
            Some(Component::Name(name)) => {
                check_name(name)?;
                LastName::Name(name.to_vec())
            }
        };
        self.check_search()?;
        Ok(Last {
            parent: self.at,
            name,
            trailing_slash,
        })
    }

    /// Walks until one component is left, or none if there never was one.
    pub(crate) fn go_before_last(&mut self) -> Result<()> {
        while self.rest.components().nth(1).is_some() {
            self.step(true)?;
        }
        Ok(())
    }

    /// The last component, when the walk stands before it, and whether a slash follows.
    pub(crate) fn last(&self) -> (LastName, bool) {
        let name = match self.rest.components().next() {
            None => LastName::Root,
            Some(Component::Dot) => LastName::Dot,
            Some(Component::DotDot) => LastName::DotDot,
            Some(Component::Name(name)) => LastName::Name(name.to_vec()),
        };
        (name, self.rest.ends_with_slash())
    }

    /// Where it is.
    pub(crate) fn at(&self) -> &Path {
        &self.at
    }

    /// Follows the symbolic link `link`, the last component, which is in the directory where it is.
    pub(crate) fn follow_last(&mut self, link: &Path) -> Result<()> {
        self.rest.take();
        self.follow(link)
    }

    /// At an absolute path's beginning, goes to the root.
    fn start_over(&mut self) -> Result<()> {
        if self.rest.left().first() == Some(&b'/') {
            if self.flags.contains(WalkFlags::BENEATH) {
                return Err(Errno::EXDEV);
            }
            if self.flags.contains(WalkFlags::NO_XDEV)
                && !Arc::ptr_eq(&self.root.mount, &self.at.mount)
            {
                return Err(Errno::EXDEV);
            }
            self.at = self.root.clone();
            self.ahead.clear();
        }
        Ok(())
    }

    fn kind(&self) -> Result<FileType> {
        self.at.inode().kind()
    }

    /// Search permission on the directory where it is; ENOTDIR if it is none.
    fn check_search(&self) -> Result<()> {
        let attr = self.at.inode().attr()?;
        if attr.file_type != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        self.credentials.as_ref().map_or(Ok(()), |credentials| {
            permission::check(credentials, &attr, permission::EXECUTE)
        })
    }

    /// One component. A symbolic link is followed unless it is the last, with no slash behind, and nobody
    /// wants that.
    fn step(&mut self, slash: bool) -> Result<()> {
        self.check_search()?;
        let name = match self.rest.take() {
            None | Some(Component::Dot) => return Ok(()),
            Some(Component::DotDot) => return self.up(),
            Some(Component::Name(name)) => {
                check_name(name)?;
                name.to_vec()
            }
        };
        let next = self.down(&name)?;
        let is_link = next.inode().kind()? == FileType::Symlink;
        let last = self.rest.is_empty();
        if is_link && (!last || slash || self.flags.contains(WalkFlags::FOLLOW)) {
            return self.follow(&next);
        }
        self.enter(next)
    }

    /// `..`
    fn up(&mut self) -> Result<()> {
        self.ahead.clear();
        if self.at == self.root {
            return if self.flags.contains(WalkFlags::BENEATH) {
                Err(Errno::EXDEV)
            } else {
                Ok(())
            };
        }
        let parent = self.at.parent(&self.root);
        self.change_mount(&parent)?;
        self.at = parent;
        Ok(())
    }

    /// Goes to a child, and onto what is mounted there.
    fn enter(&mut self, child: Path) -> Result<()> {
        let top = child.topmost();
        if !Arc::ptr_eq(&top.mount, &child.mount) {
            self.ahead.clear();
            self.change_mount(&top)?;
        }
        self.at = top;
        Ok(())
    }

    fn change_mount(&self, to: &Path) -> Result<()> {
        let crosses = !Arc::ptr_eq(&to.mount, &self.at.mount);
        if crosses && self.flags.contains(WalkFlags::NO_XDEV) {
            return Err(Errno::EXDEV);
        }
        Ok(())
    }

    /// Follows `link`, a child of the directory where it is.
    fn follow(&mut self, link: &Path) -> Result<()> {
        self.ahead.clear();
        self.links += 1;
        let forbidden = self.flags.contains(WalkFlags::NO_SYMLINKS)
            || link.mount.flags().contains(MountFlags::NO_SYMLINK_FOLLOW);
        if self.links > MOST_LINKS || forbidden {
            return Err(Errno::ELOOP);
        }
        let target = match self.task {
            Some(task) => link.inode().read_link(task)?,
            None => LinkTarget::Path(link.inode().symlink_text()?),
        };
        match target {
            LinkTarget::Path(text) => {
                if text.is_empty() {
                    return Err(Errno::ENOENT);
                }
                if text.len() >= PATH_MAX {
                    return Err(Errno::ENAMETOOLONG);
                }
                self.rest.prepend(&text);
                self.start_over()
            }
            LinkTarget::Jump(path) => {
                if self.flags.contains(WalkFlags::NO_MAGICLINKS) {
                    return Err(Errno::ELOOP);
                }
                if self
                    .flags
                    .intersects(WalkFlags::BENEATH | WalkFlags::IN_ROOT)
                {
                    return Err(Errno::EXDEV);
                }
                self.change_mount(&path)?;
                self.at = path;
                Ok(())
            }
        }
    }

    /// The child `name` of the directory where it is, not yet what is mounted on it.
    fn down(&mut self, name: &[u8]) -> Result<Path> {
        let dentry = self.child(name)?;
        Ok(self.at.child(dentry))
    }

    fn child(&mut self, name: &[u8]) -> Result<Arc<Dentry>> {
        let keep = self.at.mount.fs.cache_policy() == CachePolicy::Keep;
        let known = self.at.dentry.known_child(name);
        if let Some(known) = known
            && (keep || known.is_mountpoint())
        {
            self.ahead.pop_front();
            return Ok(known);
        }
        if self.ahead.is_empty() {
            self.look_ahead(name)?;
        }
        let inode = self.ahead.pop_front().ok_or(Errno::ENOENT)?;
        match self.at.dentry.remember(name, &inode, self.moment) {
            Some(dentry) => Ok(dentry),
            None => {
                self.ahead.clear();
                lookup(&self.at.dentry, name)
            }
        }
    }

    /// Asks the file system for `name` and as many of the following components as make sense.
    fn look_ahead(&mut self, name: &[u8]) -> Result<()> {
        let mut names = vec![name];
        let mut here = self.at.dentry.known_child(name);
        for component in self.rest.components().take(MOST_AHEAD - 1) {
            let Component::Name(next) = component else {
                break;
            };
            here = here.and_then(|dentry| dentry.known_child(next));
            let mounted = here.as_ref().is_some_and(|dentry| dentry.is_mountpoint());
            if mounted || next.len() > NAME_MAX {
                break;
            }
            names.push(next);
        }
        self.moment = self.at.dentry.moment();
        match self.at.inode().lookup_path(&names) {
            Ok(found) => {
                self.ahead = found.into();
                Ok(())
            }
            Err(errno) => {
                if errno == Errno::ENOENT {
                    forget(&self.at.dentry, name);
                }
                Err(errno)
            }
        }
    }
}

/// A name that was there is there no more: someone outside removed it.
fn forget(parent: &Arc<Dentry>, name: &[u8]) {
    let known = parent.known_child(name);
    if let Some(known) = known {
        parent.forget_child(name, &known);
    }
}

/// Looks up one name while nobody changes the directory.
pub(crate) fn lookup(parent: &Arc<Dentry>, name: &[u8]) -> Result<Arc<Dentry>> {
    let _changes = parent.lock_changes();
    lookup_locked(parent, name)
}

/// As [`lookup`], for a caller that has locked the changes of `parent`.
pub(crate) fn lookup_locked(parent: &Arc<Dentry>, name: &[u8]) -> Result<Arc<Dentry>> {
    check_name(name)?;
    let known = parent.known_child(name);
    let keep = parent
        .tree()
        .is_none_or(|tree| tree.fs().cache_policy() == CachePolicy::Keep);
    if let Some(known) = known
        && (keep || known.is_mountpoint())
    {
        return Ok(known);
    }
    match parent.inode().lookup(name) {
        Ok(inode) => Ok(parent.add_child(name, &inode)),
        Err(errno) => {
            if errno == Errno::ENOENT {
                forget(parent, name);
            }
            Err(errno)
        }
    }
}

fn check_name(name: &[u8]) -> Result<()> {
    if name.len() > NAME_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    Ok(())
}
