use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use abi::Errno;
use rustix::fs::{OFlags, fcntl_getfl};

use super::{LocalTree, Policy, Root};
use crate::tree::HostTree;
use crate::types::{
    Access, Detail, NewFile, NodeId, Remove, Rename, RenameMode, SetAttr, Step, TreeId, WalkEnd,
};

const NEW: NewFile = NewFile {
    mode: 0o644,
    uid: 0,
    gid: 0,
};

fn tree(path: &Path, policy: Policy) -> (LocalTree, NodeId) {
    let tree = LocalTree::with_descriptor_limit(vec![Root::open_path(path, policy).unwrap()], 16);
    let root = tree.attach(TreeId(0)).unwrap().node;
    (tree, root)
}

fn lookup(tree: &LocalTree, from: NodeId, path: &str) -> NodeId {
    let steps: Vec<_> = path
        .split('/')
        .map(|name| Step::new(name.as_bytes()))
        .collect();
    let walk = tree.walk(from, &steps).unwrap();
    assert_eq!(walk.found.len(), steps.len(), "{path}: {:?}", walk.end);
    walk.found.last().unwrap().node
}

#[test]
fn hostile_names_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, root) = tree(dir.path(), Policy::default());
    let long = [b'x'; 256];
    let cases: [(&[u8], Errno); 7] = [
        (b"", Errno::ENOENT),
        (b".", Errno::EINVAL),
        (b"..", Errno::EINVAL),
        (b"a/b", Errno::EINVAL),
        (b"/etc", Errno::EINVAL),
        (b"a\0b", Errno::EINVAL),
        (&long, Errno::ENAMETOOLONG),
    ];
    for (name, error) in cases {
        let end = tree.walk(root, &[Step::new(name)]).unwrap().end;
        let expected = if error == Errno::ENOENT {
            WalkEnd::Missing
        } else {
            WalkEnd::Failed(error)
        };
        assert_eq!(end, expected);
        assert_eq!(
            tree.create(root, name, Access::Write, &NEW).unwrap_err(),
            error
        );
        assert_eq!(tree.make_dir(root, name, &NEW).unwrap_err(), error);
        assert_eq!(tree.remove(root, name, Remove::File, None), Err(error));
    }
}

#[test]
fn walks_stop_at_links_files_and_holes() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("a/b")).unwrap();
    fs::write(dir.path().join("a/b/file"), "x").unwrap();
    symlink("/etc", dir.path().join("a/link")).unwrap();
    let (tree, root) = tree(dir.path(), Policy::default());
    let walk = |names: &[&str]| {
        let steps: Vec<_> = names
            .iter()
            .map(|name| Step::new(name.as_bytes()))
            .collect();
        let walk = tree.walk(root, &steps).unwrap();
        (walk.found.len(), walk.end)
    };
    assert_eq!(walk(&["a", "b", "file"]), (3, WalkEnd::Done));
    assert_eq!(walk(&["a", "b", "file", "x"]), (3, WalkEnd::NotDirectory));
    assert_eq!(walk(&["a", "none", "x"]), (1, WalkEnd::Missing));
    assert_eq!(
        walk(&["a", "link", "passwd"]),
        (2, WalkEnd::Symlink(b"/etc".to_vec()))
    );
    assert_eq!(
        walk(&["a", "link"]),
        (2, WalkEnd::Symlink(b"/etc".to_vec()))
    );
    assert_eq!(walk(&[]), (0, WalkEnd::Done));
}

#[test]
fn a_known_node_is_recognised_until_it_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    let (tree, root) = tree(dir.path(), Policy::default());
    let node = lookup(&tree, root, "file");
    let step = Step {
        name: b"file",
        known: Some(node),
    };
    assert_eq!(tree.walk(root, &[step]).unwrap().found[0].node, node);
    fs::write(dir.path().join("other"), "y").unwrap();
    fs::rename(dir.path().join("other"), dir.path().join("file")).unwrap();
    assert_ne!(tree.walk(root, &[step]).unwrap().found[0].node, node);
    assert_eq!(tree.attributes(node), Err(Errno::ESTALE));
    assert_eq!(tree.open(node, Access::Read).unwrap_err(), Errno::ESTALE);
}

#[test]
fn few_descriptors_serve_many_nodes() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, root) = tree(dir.path(), Policy::default());
    let mut at = root;
    let mut nodes = vec![root];
    for _ in 0..200 {
        at = tree
            .make_dir(at, b"sub", &NewFile { mode: 0o755, ..NEW })
            .unwrap()
            .found
            .node;
        nodes.push(at);
    }
    assert!(
        tree.table.open_descriptors() <= 16,
        "{}",
        tree.table.open_descriptors()
    );
    for node in nodes.iter().rev().step_by(7).chain(&nodes) {
        assert!(tree.attributes(*node).unwrap().is_dir());
        tree.create(*node, b"file", Access::Write, &NEW)
            .map(drop)
            .or_else(exists)
            .unwrap();
    }
    assert!(tree.table.open_descriptors() <= 16);
    tree.close(&nodes);
}

fn exists(error: Errno) -> crate::types::Result<()> {
    if error == Errno::EEXIST {
        Ok(())
    } else {
        Err(error)
    }
}

#[test]
fn created_files_have_owner_and_special_bits() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, root) = tree(dir.path(), Policy::default());
    let new = NewFile {
        mode: 0o6755,
        uid: 1000,
        gid: 1001,
    };
    let created = tree.create(root, b"file", Access::ReadWrite, &new).unwrap();
    assert_eq!(
        (created.made.found.attr.uid, created.made.found.attr.gid),
        (1000, 1001)
    );
    assert_eq!(created.made.found.attr.mode & 0o7777, 0o6755);
    let made = tree
        .make_dir(
            root,
            b"dir",
            &NewFile {
                mode: 0o1777,
                ..new
            },
        )
        .unwrap();
    assert_eq!(made.found.attr.mode & 0o7777, 0o1777);
    let link = tree.symlink(root, b"link", b"nowhere", &new).unwrap();
    assert_eq!((link.found.attr.uid, link.found.attr.gid), (1000, 1001));
    let meta = fs::symlink_metadata(dir.path().join("file")).unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o7777), (1000, 0o6755));
}

#[test]
fn read_only_trees_refuse_changes() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    let policy = Policy {
        read_only: true,
        ..Policy::default()
    };
    let (tree, root) = tree(dir.path(), policy);
    let file = lookup(&tree, root, "file");
    assert_eq!(tree.open(file, Access::Write).unwrap_err(), Errno::EROFS);
    assert_eq!(
        tree.open(file, Access::ReadWrite).unwrap_err(),
        Errno::EROFS
    );
    assert_eq!(
        tree.create(root, b"new", Access::Write, &NEW).unwrap_err(),
        Errno::EROFS
    );
    assert_eq!(tree.make_dir(root, b"new", &NEW), Err(Errno::EROFS));
    assert_eq!(tree.symlink(root, b"new", b"x", &NEW), Err(Errno::EROFS));
    assert_eq!(tree.link(file, root, b"new"), Err(Errno::EROFS));
    assert_eq!(
        tree.remove(root, b"file", Remove::File, None),
        Err(Errno::EROFS)
    );
    assert_eq!(
        tree.set_attributes(file, &SetAttr::default()),
        Err(Errno::EROFS)
    );
    assert_eq!(
        tree.set_xattr(file, b"user.a", b"", crate::types::XattrMode::Any),
        Err(Errno::EROFS)
    );
    let opened = tree.open(file, Access::Read).unwrap();
    let flags = fcntl_getfl(opened.fd.as_fd()).unwrap();
    assert!(!flags.intersects(OFlags::WRONLY | OFlags::RDWR));
}

#[test]
fn only_regular_files_are_opened() {
    let dir = tempfile::tempdir().unwrap();
    symlink("/etc/passwd", dir.path().join("link")).unwrap();
    let (tree, root) = tree(dir.path(), Policy::default());
    let fifo = NewFile {
        mode: 0o010_644,
        ..NEW
    };
    let fifo = tree.make_node(root, b"fifo", &fifo, 0).unwrap().found.node;
    let link = tree.walk(root, &[Step::new(b"link")]).unwrap().found[0].node;
    assert_eq!(tree.open(root, Access::Read).unwrap_err(), Errno::EISDIR);
    assert_eq!(tree.open(fifo, Access::Read).unwrap_err(), Errno::ENXIO);
    assert_eq!(tree.open(link, Access::Read).unwrap_err(), Errno::ELOOP);
    let device = NewFile {
        mode: 0o020_666,
        ..NEW
    };
    assert_eq!(
        tree.make_node(root, b"null", &device, 0x103),
        Err(Errno::EPERM)
    );
    assert_eq!(
        tree.connect(fifo, crate::types::SocketKind::Stream)
            .unwrap_err(),
        Errno::ECONNREFUSED
    );
}

#[test]
fn nodes_follow_renames_and_survive_removal() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("a/b")).unwrap();
    fs::create_dir(dir.path().join("c")).unwrap();
    fs::write(dir.path().join("a/b/file"), "x").unwrap();
    let (tree, root) = tree(dir.path(), Policy::default());
    let (a, b, c) = (
        lookup(&tree, root, "a"),
        lookup(&tree, root, "a/b"),
        lookup(&tree, root, "c"),
    );
    let file = tree.walk(b, &[Step::new(b"file")]).unwrap().found[0].node;
    let rename = Rename {
        old_dir: a,
        old_name: b"b",
        new_dir: c,
        new_name: b"moved",
        mode: RenameMode::NoReplace,
        moved: Some(b),
        replaced: None,
    };
    tree.rename(&rename).unwrap();
    assert_eq!(tree.attributes(file).unwrap().size, 1);
    tree.open(file, Access::Write).unwrap();
    tree.remove(b, b"file", Remove::File, Some(file)).unwrap();
    assert_eq!(tree.attributes(file).unwrap().nlink, 0);
    assert_eq!(tree.open(file, Access::Read).unwrap_err(), Errno::ESTALE);
    let own = fs::File::open("/proc/self/fd").unwrap();
    let tree = tree.with_own_descriptors(own.into());
    assert_eq!(tree.open(file, Access::ReadWrite).unwrap().attr.size, 1);
    tree.remove(c, b"moved", Remove::Directory, Some(b))
        .unwrap();
    assert_eq!(tree.attributes(b).unwrap().nlink, 0);
    // As getdents64(2) has it for a directory that was removed.
    assert_eq!(tree.read_dir(b, 0, Detail::Types), Err(Errno::ENOENT));
}

#[test]
fn a_client_cannot_make_a_loop_of_parents() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("a/b")).unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let (tree, root) = tree(dir.path(), Policy::default());
    let (a, b) = (lookup(&tree, root, "a"), lookup(&tree, root, "a/b"));
    let rename = Rename {
        old_dir: root,
        old_name: b"file",
        new_dir: b,
        new_name: b"file",
        mode: RenameMode::Replace,
        moved: Some(a),
        replaced: Some(b),
    };
    tree.rename(&rename).unwrap();
    assert!(tree.attributes(a).unwrap().is_dir());
    assert!(tree.attributes(b).unwrap().is_dir());
}

#[test]
fn large_directories_are_listed_in_batches() {
    let dir = tempfile::tempdir().unwrap();
    for index in 0..3000 {
        fs::write(dir.path().join(format!("file-{index}")), "").unwrap();
    }
    let (tree, root) = tree(dir.path(), Policy::default());
    let (mut cookie, mut names) = (0, std::collections::HashSet::new());
    loop {
        let listing = tree.read_dir(root, cookie, Detail::Attributes).unwrap();
        for entry in &listing.entries {
            assert_eq!(entry.attr.unwrap().ino, entry.ino);
            assert!(names.insert(entry.name.clone()));
            cookie = entry.cookie;
        }
        if listing.end {
            break;
        }
    }
    assert_eq!(names.len(), 3000);
}

#[test]
fn a_single_file_can_be_a_tree() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hosts"), "x").unwrap();
    let (tree, root) = tree(&dir.path().join("hosts"), Policy::default());
    assert_eq!(tree.open(root, Access::ReadWrite).unwrap().attr.size, 1);
    assert_eq!(
        tree.set_attributes(
            root,
            &SetAttr {
                size: Some(9),
                ..SetAttr::default()
            }
        )
        .unwrap()
        .size,
        9
    );
    assert_eq!(
        tree.walk(root, &[Step::new(b"x")]).unwrap().end,
        WalkEnd::NotDirectory
    );
}

#[test]
fn swapping_a_link_in_never_leads_out() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("real")).unwrap();
    fs::write(dir.path().join("real/secret"), "x").unwrap();
    let outside_ino = fs::metadata(outside.path().join("secret")).unwrap().ino();
    let (tree, root) = tree(dir.path(), Policy::default());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (name, real) = (dir.path().join("name"), dir.path().join("real"));
            while !stop.load(Ordering::Relaxed) {
                symlink(outside.path(), &name).unwrap();
                fs::remove_file(&name).unwrap();
                fs::rename(&real, &name).unwrap();
                fs::rename(&name, &real).unwrap();
            }
        });
        for _ in 0..3000 {
            let walk = tree
                .walk(root, &[Step::new(b"name"), Step::new(b"secret")])
                .unwrap();
            let nodes: Vec<_> = walk.found.iter().map(|found| found.node).collect();
            if let [_, file] = nodes[..]
                && let Ok(opened) = tree.open(file, Access::Read)
            {
                assert_ne!(opened.attr.ino, outside_ino);
            }
            tree.close(&nodes);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn extended_attributes_of_the_host_stay_hidden() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let (tree, root) = tree(dir.path(), Policy::default());
    let file = lookup(&tree, root, "file");
    let any = crate::types::XattrMode::Any;
    for (name, unseen) in [
        (&b"trusted.overlay.opaque"[..], Errno::ENODATA),
        (b"security.selinux", Errno::ENODATA),
        (b"user.", Errno::EOPNOTSUPP),
        (b"system.other", Errno::EOPNOTSUPP),
    ] {
        assert_eq!(
            tree.set_xattr(file, name, b"y", any),
            Err(Errno::EOPNOTSUPP)
        );
        assert_eq!(tree.get_xattr(file, name), Err(unseen));
    }
    match tree.set_xattr(file, b"user.a", b"value", any) {
        Err(Errno::EOPNOTSUPP) => return, // The file system of the test has none.
        result => result.unwrap(),
    }
    assert_eq!(tree.get_xattr(file, b"user.a").unwrap(), b"value");
    assert_eq!(tree.list_xattrs(file).unwrap(), b"user.a\0");
    tree.remove_xattr(file, b"user.a").unwrap();
    assert_eq!(tree.get_xattr(file, b"user.a"), Err(Errno::ENODATA));
}

/// Whoever opens its own memory through proc may do so; its client may not have it.
#[test]
fn proc_is_for_looking_at_the_machine() {
    let (tree, root) = tree(Path::new("/proc"), Policy::default());
    let own = std::process::id().to_string();
    let open = |names: &[&str], access| {
        let steps: Vec<Step<'_>> = names
            .iter()
            .map(|name| Step::new(name.as_bytes()))
            .collect();
        let found = tree.walk(root, &steps).unwrap().found;
        tree.open(found.last().unwrap().node, access).map(drop)
    };
    assert_eq!(open(&["stat"], Access::Read), Ok(()));
    assert_eq!(open(&[&own, "stat"], Access::Read), Ok(()));
    for name in ["mem", "maps", "environ", "auxv", "pagemap", "smaps"] {
        let outcome = open(&[&own, name], Access::Read);
        assert_eq!(outcome, Err(Errno::EACCES), "{name}");
    }
    assert_eq!(open(&[&own, "mem"], Access::ReadWrite), Err(Errno::EACCES));
    assert_eq!(open(&[&own, "comm"], Access::Write), Err(Errno::EACCES));
}

#[test]
fn any_number_of_files_outlive_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, root) = tree(dir.path(), Policy::default());
    let mut nodes = Vec::new();
    for index in 0..60 {
        let name = format!("file-{index}");
        fs::write(dir.path().join(&name), &name).unwrap();
        let node = lookup(&tree, root, &name);
        tree.remove(root, name.as_bytes(), Remove::File, Some(node))
            .unwrap();
        nodes.push(node);
    }
    for node in nodes {
        assert_eq!(tree.attributes(node).unwrap().nlink, 0);
    }
}

#[test]
fn files_outlive_names_that_are_removed_while_others_are_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, root) = tree(dir.path(), Policy::default());
    for index in 0..100 {
        fs::write(dir.path().join(format!("other-{index}")), "").unwrap();
    }
    std::thread::scope(|scope| {
        let work = |thread: usize| {
            let tree = &tree;
            let dir = dir.path();
            move || {
                for index in 0..200 {
                    let name = format!("file-{thread}-{index}");
                    fs::write(dir.join(&name), "").unwrap();
                    let node = lookup(tree, root, &name);
                    let other = lookup(tree, root, &format!("other-{}", index % 100));
                    tree.open(other, Access::Write).unwrap();
                    tree.remove(root, name.as_bytes(), Remove::File, Some(node))
                        .unwrap();
                    assert_eq!(tree.attributes(node).unwrap().nlink, 0, "{name}");
                    tree.close(&[node, other]);
                }
            }
        };
        for thread in 0..4 {
            scope.spawn(work(thread));
        }
    });
}

#[test]
fn directories_that_are_half_read_take_few_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, root) = tree(dir.path(), Policy::default());
    let mut nodes = Vec::new();
    for index in 0..12 {
        let below = dir.path().join(format!("{index}"));
        fs::create_dir(&below).unwrap();
        for file in 0..60 {
            fs::write(below.join(format!("{file:0200}")), "").unwrap();
        }
        let node = lookup(&tree, root, &index.to_string());
        assert!(!tree.read_dir(node, 0, Detail::Types).unwrap().end);
        nodes.push(node);
    }
    let open = nodes.iter().filter(|node| {
        let node = tree.table.get(**node).unwrap();
        let reader = node.reader.lock();
        reader.is_some()
    });
    assert!((1..=4).contains(&open.count()));
}
