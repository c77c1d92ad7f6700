use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::Arc;

use ::gofer::{HostTree, LocalTree, Policy, Root, TreeId};
use abi::Errno;
use locks::{Mutex, rank};
use mm::mappable::{Extent, Mappable};
use platform::Access;

use super::dir::GoferDirectory;
use super::file::GoferFile;
use super::inode::GoferInode;
use super::mapped::MappedFile;
use super::{GoferFs, Options};
use crate::vfs::attr::{Device, SetAttr};
use crate::vfs::file::{File, OpenFlags, Position, Whence};
use crate::vfs::inode::{CachePolicy, FileSystem, Inode, InodeRef, NewKind, NewNode, RenameFlags};
use crate::vfs::io::{Sink, Source};

fn mount(path: &Path, policy: CachePolicy, descriptors: usize) -> Arc<GoferFs> {
    let root = Root::open_path(path, Policy::default()).unwrap();
    let tree: Arc<dyn HostTree> = Arc::new(LocalTree::with_descriptor_limit(vec![root], 64));
    let options = Options {
        descriptors,
        ..Options::new(policy)
    };
    GoferFs::new(tree, TreeId(0), Device::new(0, 42), options).unwrap()
}

fn shared(path: &Path) -> Arc<GoferFs> {
    mount(path, CachePolicy::Revalidate, 64)
}

fn find(fs: &GoferFs, path: &str) -> Arc<GoferInode> {
    let names: Vec<&[u8]> = path.split('/').map(str::as_bytes).collect();
    let mut inodes = fs.root_inode().walk(&names).unwrap();
    assert_eq!(inodes.len(), names.len());
    inodes.pop().unwrap()
}

fn read(inode: &Arc<GoferInode>) -> Vec<u8> {
    let file = GoferFile::open(inode.clone(), OpenFlags::empty()).unwrap();
    let mut buffer = [0; 64];
    let len = file.read_into(&mut Sink::Kernel(&mut buffer), 0).unwrap();
    buffer[..len].to_vec()
}

fn write(file: &GoferFile, bytes: &[u8], position: Position) -> u64 {
    file.write_from(&mut Source::Kernel(bytes), position)
        .unwrap()
        .end
}

fn regular() -> NewNode<'static> {
    NewNode {
        kind: NewKind::Regular,
        permissions: 0o640,
        uid: 0,
        gid: 0,
    }
}

#[test]
fn hard_links_are_one_inode() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("one"), "x").unwrap();
    fs::hard_link(dir.path().join("one"), dir.path().join("two")).unwrap();
    let fs = shared(dir.path());
    let (one, two) = (find(&fs, "one"), find(&fs, "two"));
    assert!(Arc::ptr_eq(&one, &two));
    assert_eq!(one.attr().unwrap().nlink, 2);
    let one: InodeRef = one;
    fs.root_inode().link(b"three", &one).unwrap();
    assert_eq!(one.attr().unwrap().nlink, 3);
    // The node that was found last has lost its name; another name finds the file again.
    fs.root_inode().unlink(b"two").unwrap();
    assert_eq!(read(&find(&fs, "three")), b"x");
}

#[test]
fn contents_are_the_hosts() {
    let dir = tempfile::tempdir().unwrap();
    let fs = shared(dir.path());
    fs.root_inode().create(b"file", &regular()).unwrap();
    assert_eq!(
        fs.root_inode().create(b"file", &regular()).unwrap_err(),
        Errno::EEXIST
    );
    let inode = find(&fs, "file");
    assert_eq!(inode.attr().unwrap().permissions, 0o640);
    let file = GoferFile::open(inode.clone(), OpenFlags::RDWR).unwrap();
    assert_eq!(write(&file, b"hello", Position::At(0)), 5);
    fs::OpenOptions::new()
        .append(true)
        .open(dir.path().join("file"))
        .map(drop)
        .unwrap();
    assert_eq!(write(&file, b" world", Position::End), 11);
    assert_eq!(inode.attr().unwrap().size, 11);
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"hello world");
    assert_eq!(file.seek_special(Whence::End, -1), Ok(10));
    assert_eq!(file.seek_special(Whence::End, -12), Err(Errno::EINVAL));
    assert_eq!(file.seek_special(Whence::Hole, 0), Ok(11));
    assert_eq!(file.seek_special(Whence::Data, 11), Err(Errno::ENXIO));
    let change = SetAttr {
        size: Some(4),
        ..SetAttr::default()
    };
    inode.set_attr(&change).unwrap();
    assert_eq!(read(&inode), b"hell");
    drop(file);
    assert_eq!(inode.attr().unwrap().size, 4);
    inode
        .set_attr(&SetAttr {
            size: Some(2),
            ..change
        })
        .unwrap();
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"he");
}

#[test]
fn an_unlinked_file_lives_while_it_is_open() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "text").unwrap();
    let fs = mount(dir.path(), CachePolicy::Revalidate, 1);
    let inode = find(&fs, "file");
    let file = GoferFile::open(inode.clone(), OpenFlags::empty()).unwrap();
    fs.root_inode().unlink(b"file").unwrap();
    // Others would push its descriptor out if it could be opened again.
    for name in ["a", "b", "c"] {
        fs::write(dir.path().join(name), name).unwrap();
        assert_eq!(read(&find(&fs, name)), name.as_bytes());
    }
    let mut buffer = [0; 8];
    assert_eq!(file.read_into(&mut Sink::Kernel(&mut buffer), 0), Ok(4));
    assert_eq!(inode.attr().unwrap().nlink, 0);
    assert_eq!(fs.root_inode().lookup(b"file").unwrap_err(), Errno::ENOENT);
}

#[test]
fn descriptors_are_few_and_reopened() {
    let dir = tempfile::tempdir().unwrap();
    let fs = mount(dir.path(), CachePolicy::Keep, 4);
    let names: Vec<String> = (0..20).map(|index| format!("file-{index}")).collect();
    let files: Vec<_> = names
        .iter()
        .map(|name| {
            fs::write(dir.path().join(name), name).unwrap();
            GoferFile::open(find(&fs, name), OpenFlags::empty()).unwrap()
        })
        .collect();
    for _ in 0..2 {
        assert!(
            fs.core.descriptors.count() <= 5,
            "{}",
            fs.core.descriptors.count()
        );
        for (name, file) in names.iter().zip(&files) {
            let mut buffer = [0; 16];
            let len = file.read_into(&mut Sink::Kernel(&mut buffer), 0).unwrap();
            assert_eq!(&buffer[..len], name.as_bytes());
        }
    }
    drop(files);
}

#[test]
fn a_writable_descriptor_goes_with_the_last_writer() {
    let dir = tempfile::tempdir().unwrap();
    fs::copy("/bin/true", dir.path().join("true")).unwrap();
    let fs = shared(dir.path());
    let inode = find(&fs, "true");
    let reader = GoferFile::open(inode.clone(), OpenFlags::empty()).unwrap();
    let writer = GoferFile::open(inode.clone(), OpenFlags::WRONLY).unwrap();
    let run = || std::process::Command::new(dir.path().join("true")).status();
    assert_eq!(run().unwrap_err().raw_os_error(), Some(26), "ETXTBSY");
    drop(writer);
    // Another test's thread may be between fork and exec with the descriptor.
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(run().unwrap().success());
    assert_eq!(reader.read_into(&mut Sink::Kernel(&mut [0; 4]), 0), Ok(4));
}

#[test]
fn changes_of_the_host_are_seen_when_shared() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "old").unwrap();
    let fs = shared(dir.path());
    let old = find(&fs, "file");
    fs::write(dir.path().join("new"), "new!").unwrap();
    fs::rename(dir.path().join("new"), dir.path().join("file")).unwrap();
    let new = find(&fs, "file");
    assert!(!Arc::ptr_eq(&old, &new));
    assert_eq!(new.attr().unwrap().size, 4);
    fs::remove_file(dir.path().join("file")).unwrap();
    assert_eq!(fs.root_inode().lookup(b"file").unwrap_err(), Errno::ENOENT);
    fs::create_dir(dir.path().join("file")).unwrap();
    assert!(find(&fs, "file").attr().unwrap().permissions & 0o700 != 0);
}

#[test]
fn walks_end_at_links() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("a/b")).unwrap();
    symlink("b/../..", dir.path().join("a/link")).unwrap();
    for policy in [CachePolicy::Keep, CachePolicy::Revalidate] {
        let fs = mount(dir.path(), policy, 16);
        for _ in 0..2 {
            let found = fs.root_inode().walk(&[b"a", b"link", b"x"]).unwrap();
            assert_eq!(found.len(), 2);
            assert_eq!(found[1].link_target().unwrap(), b"b/../..");
            assert_eq!(found[1].attr().unwrap().size, 7);
            assert_eq!(
                fs.root_inode().walk(&[b"a", b"none", b"x"]).unwrap().len(),
                1
            );
            assert_eq!(fs.root_inode().walk(&[b"none"]).unwrap_err(), Errno::ENOENT);
        }
    }
}

#[test]
fn renames_keep_inodes() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("a/sub")).unwrap();
    fs::write(dir.path().join("a/sub/file"), "x").unwrap();
    fs::write(dir.path().join("other"), "yy").unwrap();
    let fs = mount(dir.path(), CachePolicy::Keep, 16);
    let (a, sub, file) = (find(&fs, "a"), find(&fs, "a/sub"), find(&fs, "a/sub/file"));
    let root: InodeRef = fs.root();
    a.rename(b"sub", &root, b"moved", RenameFlags::NOREPLACE)
        .unwrap();
    assert!(Arc::ptr_eq(&find(&fs, "moved/file"), &file));
    assert_eq!(a.lookup(b"sub").unwrap_err(), Errno::ENOENT);
    let sub_ref: InodeRef = sub.clone();
    root.rename(b"other", &sub_ref, b"file", RenameFlags::EXCHANGE)
        .unwrap();
    assert!(Arc::ptr_eq(&find(&fs, "other"), &file));
    root.rename(b"other", &sub_ref, b"file", RenameFlags::empty())
        .unwrap();
    assert_eq!(read(&find(&fs, "moved/file")), b"x");
    assert_eq!(root.lookup(b"other").unwrap_err(), Errno::ENOENT);
    assert_eq!(root.rmdir(b"moved"), Err(Errno::ENOTEMPTY));
    assert_eq!(root.unlink(b"moved"), Err(Errno::EISDIR));
    assert_eq!(
        root.rename(b"a", &root, b"b", RenameFlags::WHITEOUT),
        Err(Errno::EINVAL)
    );
    let elsewhere = shared(dir.path());
    assert_eq!(
        root.rename(b"a", &elsewhere.root(), b"b", RenameFlags::empty()),
        Err(Errno::EXDEV)
    );
}

#[test]
fn listings_continue_where_they_stopped() {
    let dir = tempfile::tempdir().unwrap();
    for index in 0..1000 {
        fs::write(dir.path().join(format!("file-{index}")), "").unwrap();
    }
    let fs = shared(dir.path());
    let list = GoferDirectory::new(fs.root_inode().clone());
    let (mut names, mut from) = (Vec::new(), 0);
    loop {
        let before = names.len();
        list.list(from, &mut |entry| {
            if names.len() - before == 7 {
                return false;
            }
            from = entry.next;
            names.push(entry.name);
            true
        })
        .unwrap();
        if names.len() == before {
            break;
        }
    }
    assert_eq!(names.len(), 1000);
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 1000);
    let mut first = None;
    list.list(0, &mut |entry| {
        first = Some(entry);
        false
    })
    .unwrap();
    let first = first.unwrap();
    let name = String::from_utf8(first.name).unwrap();
    assert_eq!(
        first.ino,
        fs::metadata(dir.path().join(name)).unwrap().ino()
    );
}

#[test]
fn mappings_end_with_the_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), vec![1; 5000]).unwrap();
    let fs = shared(dir.path());
    let inode = find(&fs, "file");
    let mapped = MappedFile::new(inode).unwrap();
    let (extent, len) = mapped.extent(4096..40960, Access::READ).unwrap();
    assert_eq!(len, 4096);
    assert!(matches!(extent, Extent::Host(_, 4096)));
    assert_eq!(
        mapped.extent(8192..12288, Access::READ).unwrap_err(),
        Errno::EFAULT
    );
}

/// Looks for a page as a fault does: under the lock of the areas.
fn fault(mapped: &Arc<dyn Mappable>) -> Extent {
    let areas = Mutex::<_, rank::Mappings>::new(());
    let _held = areas.lock();
    mapped.extent(0..4096, Access::READ).unwrap().0
}

#[test]
fn a_page_fault_never_waits_for_the_gofer() {
    let dir = tempfile::tempdir().unwrap();
    let fs = mount(dir.path(), CachePolicy::Keep, 2);
    let open = |name: &str, flags| {
        fs::write(dir.path().join(name), name).unwrap();
        GoferFile::open(find(&fs, name), flags).unwrap()
    };
    let file = open("file", OpenFlags::empty());
    let mapped = file.mappable().unwrap();
    assert!(Arc::ptr_eq(&mapped, &file.mappable().unwrap()));
    // Others take the place of every descriptor that may be closed.
    let others: Vec<_> = (0..8)
        .map(|index| open(&format!("other-{index}"), OpenFlags::empty()))
        .collect();
    fault(&mapped);
    // The last writer takes its descriptor along.
    drop(GoferFile::open(find(&fs, "file"), OpenFlags::RDWR).unwrap());
    fault(&mapped);
    // What is not mapped any more is closed like any other.
    drop(mapped);
    let inode = find(&fs, "file");
    for other in &others {
        other.read_into(&mut Sink::Kernel(&mut [0; 4]), 0).unwrap();
    }
    drop(others);
    for index in 10..16 {
        open(&format!("other-{index}"), OpenFlags::empty());
    }
    assert!(inode.attr_of_open_file().is_none());
}

#[test]
fn unnamed_files_can_be_named() {
    let dir = tempfile::tempdir().unwrap();
    let fs = shared(dir.path());
    let inode = match fs.root_inode().make_unnamed(0o600, 0, 0) {
        Err(Errno::EOPNOTSUPP) => return, // The file system of the test cannot.
        made => made.unwrap(),
    };
    let file = GoferFile::open(inode.clone(), OpenFlags::RDWR).unwrap();
    write(&file, b"late", Position::At(0));
    let target: InodeRef = inode;
    fs.root_inode().link(b"named", &target).unwrap();
    assert_eq!(fs::read(dir.path().join("named")).unwrap(), b"late");
}

#[test]
fn fifos_that_others_made_are_strangers_in_shared_trees() {
    let dir = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(dir.path().join("theirs"))
        .status();
    assert!(made.unwrap().success());
    let own = NewNode {
        kind: NewKind::Fifo,
        ..regular()
    };
    let fs = shared(dir.path());
    fs.root_inode().create(b"own", &own).unwrap();
    // However often it is looked up again.
    assert!(!find(&fs, "own").is_foreign_fifo());
    assert!(find(&fs, "theirs").is_foreign_fifo());
    let exclusive = mount(dir.path(), CachePolicy::Keep, 64);
    assert!(!find(&exclusive, "theirs").is_foreign_fifo());
}
