//! One file is one node, on an overlayfs too, with so few descriptors that all are closed all the time.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use abi::Errno;
use tempfile::TempDir;

use super::{LocalTree, Policy, Root};
use crate::tree::HostTree;
use crate::types::{Access, Detail, NewFile, NodeId, Remove, SetAttr, Step, TreeId};

const NEW: NewFile = NewFile {
    mode: 0o755,
    uid: 0,
    gid: 0,
};

/// An overlayfs over a lower layer with a directory `d`, in it `file` with a second name `hard`.
struct Overlay {
    dir: TempDir,
    mounted: Vec<PathBuf>,
}

/// Lower layers on the file system of the upper one or on their own, with and without `xino`.
const KINDS: [(bool, &str); 3] = [(false, "off"), (true, "off"), (true, "on")];

impl Overlay {
    fn new((own_lower, xino): (bool, &str)) -> Overlay {
        let dir = tempfile::tempdir().unwrap();
        let mut overlay = Overlay {
            dir,
            mounted: Vec::new(),
        };
        for name in ["lower", "upper", "work", "merged"] {
            fs::create_dir(overlay.path(name)).unwrap();
        }
        if own_lower {
            overlay.mount("tmpfs", "mode=755", "lower");
        }
        fs::create_dir(overlay.path("lower/d")).unwrap();
        fs::write(overlay.path("lower/d/file"), "lower").unwrap();
        fs::hard_link(overlay.path("lower/d/file"), overlay.path("lower/d/hard")).unwrap();
        fs::write(overlay.path("lower/d/single"), "lower").unwrap();
        let layer = |name: &str| format!("{name}dir={}", overlay.path(name).display());
        let options = [layer("lower"), layer("upper"), layer("work")].join(",");
        overlay.mount(
            "overlay",
            &format!("{options},index=off,xino={xino}"),
            "merged",
        );
        overlay
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn mount(&mut self, kind: &str, options: &str, name: &str) {
        let at = self.path(name);
        let mut mount = Command::new("mount");
        mount.args(["-t", kind, "-o", options, "none"]).arg(&at);
        let status = mount.status().unwrap();
        assert!(status.success(), "mount -t {kind} -o {options}");
        self.mounted.push(at);
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        for at in self.mounted.iter().rev() {
            let _ = Command::new("umount").arg("--lazy").arg(at).status();
        }
    }
}

fn tree(path: &Path) -> (LocalTree, NodeId) {
    let tree = LocalTree::with_descriptor_limit(
        vec![Root::open_path(path, Policy::default()).unwrap()],
        8,
    );
    let root = tree.attach(TreeId(0)).unwrap().node;
    (tree, root)
}

fn find(tree: &LocalTree, dir: NodeId, name: &str) -> NodeId {
    let walk = tree.walk(dir, &[Step::new(name.as_bytes())]).unwrap();
    let [found] = walk.found[..] else {
        panic!("{name}: {:?}", walk.end);
    };
    found.node
}

/// Makes the tree close the descriptors that it has open.
fn close_all(tree: &LocalTree, root: NodeId) {
    let name = |index: u32| format!("other-{index}");
    let others: Vec<_> = (0..20)
        .map(|index| {
            let made = tree.make_dir(root, name(index).as_bytes(), &NEW);
            made.unwrap().found.node
        })
        .collect();
    tree.close(&others);
    for index in 0..20 {
        let name = name(index);
        tree.remove(root, name.as_bytes(), Remove::Directory, None)
            .unwrap();
    }
}

fn write(tree: &LocalTree, node: NodeId, text: &str) {
    let opened = tree.open(node, Access::ReadWrite).unwrap();
    rustix::io::pwrite(opened.fd.as_fd(), text.as_bytes(), 0).unwrap();
}

fn read(tree: &LocalTree, node: NodeId) -> String {
    let opened = tree.open(node, Access::Read).unwrap();
    let mut buffer = [0; 16];
    let len = rustix::io::pread(opened.fd.as_fd(), &mut buffer, 0).unwrap();
    String::from_utf8(buffer[..len].to_vec()).unwrap()
}

#[test]
fn a_copy_up_changes_no_node() {
    for kind in KINDS {
        for evict in [false, true] {
            let overlay = Overlay::new(kind);
            let (tree, root) = tree(&overlay.path("merged"));
            let dir = find(&tree, root, "d");
            let file = find(&tree, dir, "single");
            let around = |act: &dyn Fn()| {
                if evict {
                    close_all(&tree, root);
                }
                act();
                if evict {
                    close_all(&tree, root);
                }
            };
            around(&|| write(&tree, file, "upper"));
            assert_eq!(find(&tree, dir, "single"), file, "{kind:?} {evict}");
            assert_eq!(find(&tree, root, "d"), dir, "{kind:?} {evict}");
            around(&|| {
                tree.make_dir(dir, b"sub", &NEW).unwrap();
            });
            assert_eq!(find(&tree, root, "d"), dir, "{kind:?} {evict}");
            assert_eq!(read(&tree, file), "upper");
            assert!(
                !tree
                    .read_dir(dir, 0, Detail::Types)
                    .unwrap()
                    .entries
                    .is_empty()
            );
        }
    }
}

#[test]
fn every_change_that_copies_up_keeps_the_node() {
    let time = crate::types::SetTime::Now;
    let plain = SetAttr::default();
    let changes = [
        SetAttr {
            mode: Some(0o600),
            ..plain
        },
        SetAttr {
            uid: Some(7),
            ..plain
        },
        SetAttr {
            size: Some(2),
            ..plain
        },
        SetAttr {
            mtime: time,
            ..plain
        },
    ];
    for kind in KINDS {
        for change in changes {
            let overlay = Overlay::new(kind);
            let (tree, root) = tree(&overlay.path("merged"));
            let dir = find(&tree, root, "d");
            let file = find(&tree, dir, "single");
            close_all(&tree, root);
            tree.set_attributes(file, &change).unwrap();
            close_all(&tree, root);
            assert_eq!(find(&tree, dir, "single"), file, "{kind:?} {change:?}");
            assert!(tree.attributes(file).is_ok());
        }
        let overlay = Overlay::new(kind);
        let (tree, root) = tree(&overlay.path("merged"));
        let dir = find(&tree, root, "d");
        let file = find(&tree, dir, "single");
        let set = tree.set_xattr(file, b"user.a", b"1", crate::types::XattrMode::Any);
        if set != Err(Errno::EOPNOTSUPP) {
            set.unwrap();
            close_all(&tree, root);
            assert_eq!(find(&tree, dir, "single"), file, "{kind:?}");
        }
    }
}

#[test]
fn names_of_one_lower_file_are_separate_as_overlayfs_has_them() {
    for kind in KINDS {
        let overlay = Overlay::new(kind);
        let (tree, root) = tree(&overlay.path("merged"));
        let dir = find(&tree, root, "d");
        let (file, hard) = (find(&tree, dir, "file"), find(&tree, dir, "hard"));
        assert_ne!(file, hard, "{kind:?}");
        assert_eq!(find(&tree, dir, "hard"), hard, "{kind:?}");
        write(&tree, file, "upper");
        close_all(&tree, root);
        assert_eq!(read(&tree, hard), "lower", "{kind:?}");
        assert_eq!(read(&tree, file), "upper", "{kind:?}");
        assert_eq!(find(&tree, dir, "file"), file, "{kind:?}");
        assert_eq!(find(&tree, dir, "hard"), hard, "{kind:?}");
        // Links of the copy are one file.
        tree.link(file, dir, b"third").unwrap();
        close_all(&tree, root);
        assert_eq!(find(&tree, dir, "third"), file, "{kind:?}");
        tree.remove(dir, b"file", Remove::File, Some(file)).unwrap();
        close_all(&tree, root);
        assert_eq!(read(&tree, file), "upper", "{kind:?}");
    }
}

#[test]
fn a_directory_that_the_host_renames_is_found_again() {
    for kind in KINDS {
        let overlay = Overlay::new(kind);
        let merged = overlay.path("merged");
        fs::create_dir_all(merged.join("new/cwd")).unwrap();
        fs::write(merged.join("new/cwd/inside"), "").unwrap();
        let (tree, root) = tree(&merged);
        let new = find(&tree, root, "new");
        let cwd = find(&tree, new, "cwd");
        find(&tree, cwd, "inside");
        fs::rename(merged.join("new/cwd"), merged.join("new/moved")).unwrap();
        // Held open, and then not.
        find(&tree, cwd, "inside");
        close_all(&tree, root);
        find(&tree, cwd, "inside");
        assert_eq!(find(&tree, new, "moved"), cwd, "{kind:?}");
        fs::rename(merged.join("new/moved"), merged.join("away")).unwrap();
        assert_eq!(find(&tree, root, "away"), cwd, "{kind:?}");
        close_all(&tree, root);
        find(&tree, cwd, "inside");
    }
}

#[test]
fn a_number_that_is_used_again_is_another_file() {
    let overlay = Overlay::new((false, "off"));
    for path in [overlay.path("merged"), overlay.path("upper")] {
        let (tree, root) = tree(&path);
        for round in 0..20 {
            let (old, new) = (path.join("old"), path.join("new"));
            fs::write(&old, "old").unwrap();
            let ino = fs::metadata(&old).unwrap().ino();
            let node = find(&tree, root, "old");
            if round % 2 == 0 {
                tree.set_attributes(
                    node,
                    &SetAttr {
                        mode: Some(0o600),
                        ..SetAttr::default()
                    },
                )
                .unwrap();
                close_all(&tree, root);
            }
            fs::remove_file(&old).unwrap();
            fs::write(&new, "new").unwrap();
            if fs::metadata(&new).unwrap().ino() == ino {
                assert_ne!(find(&tree, root, "new"), node);
                assert_eq!(tree.attributes(node).unwrap_err(), Errno::ESTALE);
            }
            fs::remove_file(&new).unwrap();
        }
    }
}

#[test]
fn a_node_ends_when_every_finding_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    fs::write(dir.path().join("d/file"), "x").unwrap();
    let (tree, root) = tree(dir.path());
    assert_eq!(tree.attach(TreeId(0)).unwrap().node, root);
    tree.close(&[root]);
    let d = find(&tree, root, "d");
    let file = find(&tree, d, "file");
    tree.close(&[d]);
    // Known no more, but a parent still: it is the same node when it is found again.
    assert_eq!(tree.attributes(d), Err(Errno::EBADF));
    assert_eq!(find(&tree, root, "d"), d);
    assert_eq!(find(&tree, d, "file"), file);
    let known = Step {
        name: b"file",
        known: Some(file),
    };
    assert_eq!(tree.walk(d, &[known]).unwrap().found[0].node, file);
    tree.close(&[file]);
    assert_eq!(tree.attributes(file).unwrap().size, 1);
    tree.close(&[file, d]);
    assert_eq!(tree.attributes(file), Err(Errno::EBADF));
    assert_eq!(tree.table.count(), 1);
}

#[test]
fn threads_that_find_one_file_at_once_find_one_node() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, root) = tree(dir.path());
    for round in 0..200 {
        let name = format!("file-{round}");
        fs::write(dir.path().join(&name), "").unwrap();
        let start = std::sync::Barrier::new(4);
        let look = || {
            start.wait();
            find(&tree, root, &name)
        };
        let nodes: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(look)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(nodes.iter().all(|node| *node == nodes[0]), "{nodes:?}");
        tree.close(&nodes);
    }
    assert_eq!(tree.table.count(), 1);
}
