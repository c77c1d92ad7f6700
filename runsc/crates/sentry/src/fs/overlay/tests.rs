use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use ::gofer::{HostTree, LocalTree, Policy, Root, TreeId};
use abi::Errno;
use memory::MemoryFile;
use mm::mappable::Extent;
use platform::Access;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert_eq, proptest};

use super::file::{OverlayDirectory, OverlayFile};
use super::{OverlayFs, OverlayInode};
use crate::error::Result;
use crate::fs::gofer::{GoferFs, Options};
use crate::vfs::attr::{Device, FileType, SetAttr};
use crate::vfs::file::{File, OpenFlags, Position};
use crate::vfs::inode::{
    CachePolicy, FileSystem, Inode, InodeRef, NewKind, NewNode, RenameFlags, XattrFlags,
};
use crate::vfs::io::{Sink, Source};

fn mount(path: &Path, limit: Option<u64>) -> Arc<OverlayFs> {
    memory::install_fault_handler().unwrap();
    let policy = Policy {
        read_only: true,
        ..Policy::default()
    };
    let root = Root::open_path(path, policy).unwrap();
    let tree: Arc<dyn HostTree> = Arc::new(LocalTree::with_descriptor_limit(vec![root], 64));
    let lower = GoferFs::new(
        tree,
        TreeId(0),
        Device::new(0, 1),
        Options::new(CachePolicy::Keep),
    )
    .unwrap();
    let memory = MemoryFile::new(Some(64 << 20)).unwrap();
    OverlayFs::new(lower, memory, limit, Device::new(0, 2))
}

fn find(fs: &OverlayFs, path: &str) -> Result<Arc<OverlayInode>> {
    let names: Vec<&[u8]> = path.split('/').map(str::as_bytes).collect();
    let mut found = fs.root_inode().walk(&names)?;
    if found.len() < names.len() {
        return Err(Errno::ENOENT);
    }
    found.pop().ok_or(Errno::ENOENT)
}

fn node(kind: NewKind<'_>) -> NewNode<'_> {
    NewNode {
        kind,
        permissions: 0o755,
        uid: 0,
        gid: 0,
    }
}

fn read(inode: &Arc<OverlayInode>) -> Vec<u8> {
    let mut buffer = vec![0; 1 << 16];
    let len = inode.read_into(&mut Sink::Kernel(&mut buffer), 0).unwrap();
    buffer.truncate(len);
    buffer
}

fn write(inode: &Arc<OverlayInode>, bytes: &[u8], position: Position) -> Result<usize> {
    let file = OverlayFile::open(inode.clone(), OpenFlags::WRONLY)?;
    file.write_from(&mut Source::Kernel(bytes), position)
        .map(|written| written.len)
}

fn names(inode: &Arc<OverlayInode>) -> Vec<String> {
    let mut names = Vec::new();
    let dir = OverlayDirectory::new(inode.clone());
    dir.list(0, &mut |entry| {
        names.push(String::from_utf8(entry.name).unwrap());
        true
    })
    .unwrap();
    names.sort();
    names
}

#[test]
fn a_file_is_copied_up_on_the_first_write() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "lower").unwrap();
    let fs = mount(dir.path(), None);
    let inode = find(&fs, "file").unwrap();
    let ino = inode.attr().unwrap().ino;
    let reader = OverlayFile::open(inode.clone(), OpenFlags::empty()).unwrap();
    assert!(inode.own_content().is_none());
    assert!(matches!(
        reader
            .mappable()
            .unwrap()
            .extent(0..4096, Access::READ)
            .unwrap()
            .0,
        Extent::Host(..)
    ));
    assert_eq!(write(&inode, b" and more", Position::End), Ok(9));
    assert_eq!(read(&inode), b"lower and more");
    let mapped = reader.mappable().unwrap();
    let (extent, len) = mapped
        .extent(0..8192, Access::READ | Access::WRITE)
        .unwrap();
    drop((mapped, reader));
    assert!(matches!(extent, Extent::Memory(_)));
    assert_eq!(len, 4096);
    let attr = inode.attr().unwrap();
    assert_eq!((attr.size, attr.ino), (14, ino));
    // The copy stays although nobody holds the inode.
    drop(inode);
    assert_eq!(read(&find(&fs, "file").unwrap()), b"lower and more");
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"lower");
}

#[test]
fn attributes_change_without_a_copy() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "lower").unwrap();
    let fs = mount(dir.path(), None);
    let inode = find(&fs, "file").unwrap();
    let change = SetAttr {
        permissions: Some(0o4711),
        uid: Some(5),
        ..SetAttr::default()
    };
    inode.set_attr(&change).unwrap();
    inode
        .set_xattr(b"user.a", b"1", XattrFlags::CREATE)
        .unwrap();
    assert_eq!(
        inode.set_xattr(b"user.a", b"2", XattrFlags::CREATE),
        Err(Errno::EEXIST)
    );
    assert_eq!(
        inode.set_xattr(b"user.b", b"2", XattrFlags::REPLACE),
        Err(Errno::ENODATA)
    );
    drop(inode);
    let inode = find(&fs, "file").unwrap();
    let attr = inode.attr().unwrap();
    assert_eq!((attr.permissions, attr.uid, attr.size), (0o4711, 5, 5));
    assert_eq!(inode.get_xattr(b"user.a").unwrap(), b"1");
    assert_eq!(inode.list_xattr().unwrap(), [b"user.a"]);
    assert!(inode.own_content().is_none());
    inode
        .set_attr(&SetAttr {
            size: Some(3),
            ..SetAttr::default()
        })
        .unwrap();
    assert_eq!(read(&inode), b"low");
}

#[test]
fn whiteouts_hide_and_new_directories_are_opaque() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(dir.path().join("sub/old"), "x").unwrap();
    let fs = mount(dir.path(), None);
    let root = fs.root_inode();
    assert_eq!(root.rmdir(b"sub"), Err(Errno::ENOTEMPTY));
    let sub = find(&fs, "sub").unwrap();
    sub.unlink(b"old").unwrap();
    assert_eq!(find(&fs, "sub/old").unwrap_err(), Errno::ENOENT);
    assert!(names(&sub).is_empty());
    root.rmdir(b"sub").unwrap();
    assert_eq!(
        sub.create(b"late", &node(NewKind::Regular)).unwrap_err(),
        Errno::ENOENT
    );
    assert_eq!(sub.attr().unwrap().nlink, 0);
    root.create(b"sub", &node(NewKind::Directory)).unwrap();
    assert!(names(&find(&fs, "sub").unwrap()).is_empty());
    root.rmdir(b"sub").unwrap();
    assert_eq!(find(&fs, "sub").unwrap_err(), Errno::ENOENT);
    assert!(dir.path().join("sub/old").exists());
}

#[test]
fn merged_directories_can_be_renamed() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("a/deep/er")).unwrap();
    fs::write(dir.path().join("a/deep/er/file"), "x").unwrap();
    let fs = mount(dir.path(), None);
    let root: InodeRef = fs.root();
    find(&fs, "a/deep")
        .unwrap()
        .create(b"new", &node(NewKind::Regular))
        .unwrap();
    let nlink = root.attr().unwrap().nlink;
    find(&fs, "a")
        .unwrap()
        .rename(b"deep", &root, b"moved", RenameFlags::NOREPLACE)
        .unwrap();
    assert_eq!(names(fs.root_inode()), ["a", "moved"]);
    assert_eq!(root.attr().unwrap().nlink, nlink + 1);
    assert_eq!(names(&find(&fs, "moved").unwrap()), ["er", "new"]);
    assert_eq!(read(&find(&fs, "moved/er/file").unwrap()), b"x");
    assert_eq!(find(&fs, "a/deep").unwrap_err(), Errno::ENOENT);
    root.rename(b"a", &root, b"moved", RenameFlags::EXCHANGE)
        .unwrap();
    assert_eq!(read(&find(&fs, "a/er/file").unwrap()), b"x");
    assert!(names(&find(&fs, "moved").unwrap()).is_empty());
}

#[test]
fn hard_links_survive_copying_up() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("one"), "x").unwrap();
    fs::hard_link(dir.path().join("one"), dir.path().join("two")).unwrap();
    let fs = mount(dir.path(), None);
    write(&find(&fs, "one").unwrap(), b"y", Position::At(0)).unwrap();
    fs.root_inode().unlink(b"one").unwrap();
    let two = find(&fs, "two").unwrap();
    assert_eq!(read(&two), b"y");
    assert_eq!(two.attr().unwrap().nlink, 1);
    let two: InodeRef = two;
    fs.root_inode().link(b"three", &two).unwrap();
    fs.root_inode().unlink(b"two").unwrap();
    assert_eq!(read(&find(&fs, "three").unwrap()), b"y");
}

#[test]
fn what_is_unlinked_gives_its_memory_back() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), vec![1; 10_000]).unwrap();
    let fs = mount(dir.path(), Some(16 << 10));
    let inode = find(&fs, "file").unwrap();
    write(&inode, b"x", Position::At(0)).unwrap();
    assert_eq!(fs.core.quota.used(), 12 << 10);
    assert_eq!(write(&inode, &[0; 8192], Position::End), Ok(6384));
    assert_eq!(write(&inode, b"x", Position::End), Err(Errno::ENOSPC));
    assert_eq!(fs.stat().unwrap().blocks_free, 0);
    fs.root_inode().unlink(b"file").unwrap();
    assert_eq!(read(&inode).len(), 16 << 10);
    drop(inode);
    assert_eq!(fs.core.quota.used(), 0);
}

/// A step of the comparison with a real directory.
#[derive(Clone, Debug)]
enum Action {
    Write(String, u8),
    Append(String, u8),
    Truncate(String, u16),
    MakeDir(String),
    Symlink(String),
    Unlink(String),
    RemoveDir(String),
    Rename(String, String),
    Link(String, String),
}

fn path() -> impl Strategy<Value = String> {
    let name = || (0..4usize).prop_map(|index| ["a", "b", "c", "d"][index]);
    (1..4usize, name(), name(), name())
        .prop_map(|(depth, one, two, three)| [one, two, three][..depth].join("/"))
}

fn action() -> impl Strategy<Value = Action> {
    (0..9u8, path(), path(), any::<u16>()).prop_map(|(kind, one, two, number)| {
        let byte = number.to_le_bytes()[0];
        match kind {
            0 => Action::Write(one, byte),
            1 => Action::Append(one, byte),
            2 => Action::Truncate(one, number % 9000),
            3 => Action::MakeDir(one),
            4 => Action::Symlink(one),
            5 => Action::Unlink(one),
            6 => Action::RemoveDir(one),
            7 => Action::Rename(one, two),
            _ => Action::Link(one, two),
        }
    })
}

fn split<'a>(fs: &OverlayFs, path: &'a str) -> Result<(Arc<OverlayInode>, &'a [u8])> {
    match path.rsplit_once('/') {
        None => Ok((fs.root_inode().clone(), path.as_bytes())),
        Some((parent, name)) => {
            let parent = find(fs, parent)?;
            let is_dir = parent.file_type() == FileType::Directory;
            if is_dir {
                Ok((parent, name.as_bytes()))
            } else {
                Err(Errno::ENOTDIR)
            }
        }
    }
}

fn regular(fs: &OverlayFs, path: &str) -> Result<Arc<OverlayInode>> {
    let inode = find(fs, path)?;
    if inode.file_type() == FileType::Regular {
        Ok(inode)
    } else {
        Err(Errno::EISDIR)
    }
}

fn act(fs: &OverlayFs, action: &Action) -> Result<()> {
    match action {
        Action::Write(path, byte) => {
            let (parent, name) = split(fs, path)?;
            parent.create(name, &node(NewKind::Regular))?;
            write(&find(fs, path)?, &[*byte; 5000], Position::At(0)).map(drop)
        }
        Action::Append(path, byte) => {
            write(&regular(fs, path)?, &[*byte; 100], Position::End).map(drop)
        }
        Action::Truncate(path, size) => {
            let size = Some(u64::from(*size));
            regular(fs, path)?.set_attr(&SetAttr {
                size,
                ..SetAttr::default()
            })
        }
        Action::MakeDir(path) => {
            let (parent, name) = split(fs, path)?;
            parent.create(name, &node(NewKind::Directory)).map(drop)
        }
        Action::Symlink(path) => {
            let (parent, name) = split(fs, path)?;
            parent
                .create(name, &node(NewKind::Symlink(b"nowhere")))
                .map(drop)
        }
        Action::Unlink(path) => split(fs, path).and_then(|(parent, name)| parent.unlink(name)),
        Action::RemoveDir(path) => split(fs, path).and_then(|(parent, name)| parent.rmdir(name)),
        Action::Rename(old, new) => {
            let ((parent, name), (new_parent, new_name)) = (split(fs, old)?, split(fs, new)?);
            let new_parent: InodeRef = new_parent;
            parent.rename(name, &new_parent, new_name, RenameFlags::empty())
        }
        Action::Link(old, new) => {
            let target: InodeRef = find(fs, old)?;
            let (parent, name) = split(fs, new)?;
            parent.link(name, &target)
        }
    }
}

fn act_natively(root: &Path, action: &Action) -> std::io::Result<()> {
    use std::io::Write;
    let open = |path: &String| {
        let path = root.join(path);
        if !path.symlink_metadata()?.is_file() {
            return Err(std::io::ErrorKind::IsADirectory.into());
        }
        fs::OpenOptions::new().append(true).open(path)
    };
    match action {
        Action::Write(path, byte) => {
            fs::File::create_new(root.join(path))?.write_all(&[*byte; 5000])
        }
        Action::Append(path, byte) => open(path)?.write_all(&[*byte; 100]),
        Action::Truncate(path, size) => open(path)?.set_len(u64::from(*size)),
        Action::MakeDir(path) => fs::create_dir(root.join(path)),
        Action::Symlink(path) => symlink("nowhere", root.join(path)),
        Action::Unlink(path) => fs::remove_file(root.join(path)),
        Action::RemoveDir(path) => fs::remove_dir(root.join(path)),
        Action::Rename(old, new) => fs::rename(root.join(old), root.join(new)),
        Action::Link(old, new) => fs::hard_link(root.join(old), root.join(new)),
    }
}

/// Everything beneath `inode`: what it is, its size, its links and a byte of its contents.
fn snapshot(inode: &Arc<OverlayInode>, prefix: &str, into: &mut BTreeMap<String, String>) {
    for name in names(inode) {
        let path = format!("{prefix}/{name}");
        let child = inode.find(name.as_bytes()).unwrap();
        let attr = child.attr().unwrap();
        let line = match child.file_type() {
            FileType::Directory => format!("dir {}", attr.nlink),
            FileType::Symlink => String::from_utf8(child.link_target().unwrap()).unwrap(),
            _ => format!("{} {:?} {}", attr.size, summary(&read(&child)), attr.nlink),
        };
        into.insert(path.clone(), line);
        if child.file_type() == FileType::Directory {
            snapshot(&child, &path, into);
        }
    }
}

fn native_snapshot(dir: &Path, prefix: &str, into: &mut BTreeMap<String, String>) {
    use std::os::unix::fs::MetadataExt;
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}/{}", entry.file_name().to_str().unwrap());
        let meta = entry.metadata().unwrap();
        let line = if meta.is_dir() {
            format!("dir {}", meta.nlink())
        } else if meta.is_symlink() {
            fs::read_link(entry.path())
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        } else {
            format!(
                "{} {:?} {}",
                meta.len(),
                summary(&fs::read(entry.path()).unwrap()),
                meta.nlink()
            )
        };
        into.insert(path.clone(), line);
        if meta.is_dir() {
            native_snapshot(&entry.path(), &path, into);
        }
    }
}

fn summary(bytes: &[u8]) -> (Option<u8>, Option<u8>, u64) {
    (
        bytes.first().copied(),
        bytes.last().copied(),
        bytes.iter().map(|byte| u64::from(*byte)).sum(),
    )
}

fn populate(root: &Path) {
    fs::create_dir_all(root.join("a/b/c")).unwrap();
    fs::create_dir_all(root.join("b/a")).unwrap();
    fs::write(root.join("a/b/d"), vec![1; 3000]).unwrap();
    fs::write(root.join("a/d"), vec![2; 6000]).unwrap();
    fs::hard_link(root.join("a/d"), root.join("b/d")).unwrap();
    symlink("nowhere", root.join("b/c")).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_a_real_directory(actions in proptest::collection::vec(action(), 1..60)) {
        let (lower, native) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        populate(lower.path());
        populate(native.path());
        let fs = mount(lower.path(), None);
        let mut before = BTreeMap::new();
        native_snapshot(lower.path(), "", &mut before);
        for action in &actions {
            if let Action::Rename(old, new) = action
                && (new.starts_with(&format!("{old}/")) || old.starts_with(&format!("{new}/")))
            {
                continue; // The caller's business.
            }
            let (ours, theirs) = (act(&fs, action), act_natively(native.path(), action));
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?}: {:?} {:?}", action, ours, theirs);
            if let (Err(ours), Some(theirs)) = (ours, theirs.err().and_then(|error| error.raw_os_error()))
                && ours != Errno::ENOTDIR
                && theirs != Errno::ENOTDIR.raw()
                && theirs != Errno::ENOENT.raw()
            {
                prop_assert_eq!(ours.raw(), theirs, "{:?}", action);
            }
        }
        let (mut ours, mut theirs, mut after) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        snapshot(fs.root_inode(), "", &mut ours);
        native_snapshot(native.path(), "", &mut theirs);
        native_snapshot(lower.path(), "", &mut after);
        prop_assert_eq!(ours, theirs);
        prop_assert_eq!(before, after);
    }
}
