use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::Instant;

use abi::Errno;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use zerocopy::IntoBytes;

use super::request::Request;
use super::{Malformed, ReplyHeader, RequestHeader, channel, open, seal};
use crate::local::{LocalTree, Policy, Root};
use crate::remote::{RemoteTree, parse_reply};
use crate::server::Server;
use crate::tree::HostTree;
use crate::types::{
    Access, Attr, Detail, Entry, FileKind, Found, Listing, NewFile, NodeId, Remove, Rename,
    RenameMode, SetAttr, SetTime, Step, Timestamp, TreeId, Walk, WalkEnd, XattrMode,
};

const NEW: NewFile = NewFile {
    mode: 0o644,
    uid: 0,
    gid: 0,
};

fn remote(
    dir: &std::path::Path,
) -> (
    RemoteTree,
    std::thread::JoinHandle<crate::types::Result<()>>,
) {
    let root = Root::open_path(dir, Policy::default()).unwrap();
    let server = Server::new(LocalTree::with_descriptor_limit(vec![root], 64));
    let (ours, theirs) = channel::pair().unwrap();
    let thread = std::thread::spawn(move || server.serve(theirs));
    (RemoteTree::new(ours), thread)
}

/// What a client can see, without node numbers and times.
fn seen(attr: &Attr) -> (u32, u64, u32, u32, u32) {
    (attr.mode, attr.size, attr.nlink, attr.uid, attr.gid)
}

/// Runs a fixed life of a directory and notes every outcome.
fn life(tree: &dyn HostTree) -> Vec<String> {
    let mut log = Vec::new();
    let root = tree.attach(TreeId(0)).unwrap().node;
    log.push(format!("{:?}", tree.attach(TreeId(7)).map(|_| ())));
    let sub = tree
        .make_dir(root, b"sub", &NewFile { mode: 0o755, ..NEW })
        .unwrap();
    let created = tree
        .create(sub.found.node, b"file", Access::ReadWrite, &NEW)
        .unwrap();
    let file = created.made.found.node;
    let long = vec![b'n'; 300];
    let names: [&[u8]; 9] = [
        b"sub",
        b"..",
        b".",
        b"",
        b"a/b",
        b"a\0",
        b"absent",
        &long,
        &long[..255],
    ];
    for name in names {
        let walk = tree
            .walk(root, &[Step::new(name), Step::new(b"file")])
            .unwrap();
        let attrs: Vec<_> = walk.found.iter().map(|found| seen(&found.attr)).collect();
        log.push(format!("walk {:?} {:?}", attrs, walk.end));
        log.push(format!(
            "{:?}",
            tree.link(file, root, name).map(|linked| seen(&linked.attr))
        ));
        log.push(format!(
            "{:?}",
            tree.make_dir(root, name, &NEW)
                .map(|made| seen(&made.found.attr))
        ));
        log.push(format!(
            "{:?}",
            tree.remove(root, name, Remove::Directory, None).map(|_| ())
        ));
        log.push(format!("{:?}", tree.get_xattr(file, name)));
    }
    log.extend(later_life(tree, root, sub.found.node, file));
    log
}

fn later_life(tree: &dyn HostTree, root: NodeId, sub: NodeId, file: NodeId) -> Vec<String> {
    let mut log = Vec::new();
    let change = SetAttr {
        mode: Some(0o4711),
        uid: Some(12),
        gid: Some(13),
        size: Some(77),
        atime: SetTime::Now,
        mtime: SetTime::At(Timestamp { sec: 5, nsec: 6 }),
    };
    log.push(format!(
        "{:?}",
        tree.set_attributes(file, &change)
            .map(|attr| (seen(&attr), attr.mtime))
    ));
    log.push(format!(
        "{:?}",
        tree.symlink(sub, b"link", b"../x", &NEW)
            .map(|made| seen(&made.found.attr))
    ));
    let walk = tree
        .walk(
            root,
            &[Step::new(b"sub"), Step::new(b"link"), Step::new(b"y")],
        )
        .unwrap();
    log.push(format!("{:?}", walk.end));
    log.push(format!("{:?}", tree.read_link(walk.found[1].node)));
    log.push(format!("{:?}", tree.read_link(file)));
    let mut names: Vec<_> = tree.read_dir(sub, 0, Detail::Attributes).unwrap().entries;
    names.sort_by(|one, other| one.name.cmp(&other.name));
    for entry in &names {
        log.push(format!(
            "{:?} {:?} {:?}",
            entry.name,
            entry.kind,
            entry.attr.map(|attr| seen(&attr))
        ));
    }
    let rename = |mode| Rename {
        old_dir: sub,
        old_name: b"file",
        new_dir: root,
        new_name: b"sub",
        mode,
        moved: None,
        replaced: None,
    };
    for mode in [
        RenameMode::Replace,
        RenameMode::NoReplace,
        RenameMode::Exchange,
    ] {
        log.push(format!("{:?}", tree.rename(&rename(mode)).map(|_| ())));
    }
    log.push(format!(
        "{:?}",
        tree.set_xattr(file, b"trusted.x", b"", XattrMode::Any)
    ));
    log.push(format!(
        "{:?}",
        tree.stat_fs(file).map(|fs| (fs.fs_type, fs.name_len))
    ));
    log.push(format!(
        "{:?}",
        tree.open(NodeId(9999), Access::Read).map(drop)
    ));
    log.push(format!(
        "{:?}",
        tree.remove(sub, b"file", Remove::File, Some(file))
            .map(|_| ())
    ));
    log.push(format!(
        "{:?}",
        tree.attributes(file).map(|attr| seen(&attr))
    ));
    tree.close(&[file]);
    log
}

#[test]
fn remote_and_local_trees_are_alike() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let local = LocalTree::new(vec![
        Root::open_path(one.path(), Policy::default()).unwrap(),
    ]);
    let (remote, server) = remote(other.path());
    let (local, remote_log) = (life(&local), life(&remote));
    assert_eq!(local, remote_log);
    drop(remote);
    assert_eq!(server.join().unwrap(), Ok(()));
}

#[test]
fn long_walks_take_several_messages() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, _server) = remote(dir.path());
    let root = tree.attach(TreeId(0)).unwrap().node;
    let mut at = root;
    for _ in 0..600 {
        at = tree
            .make_dir(at, b"d", &NewFile { mode: 0o755, ..NEW })
            .unwrap()
            .found
            .node;
    }
    let steps = vec![Step::new(b"d"); 600];
    let walk = tree.walk(root, &steps).unwrap();
    assert_eq!((walk.found.len(), walk.end), (600, WalkEnd::Done));
    let steps = vec![Step::new(b"d"); 601];
    let walk = tree.walk(root, &steps).unwrap();
    assert_eq!((walk.found.len(), walk.end), (600, WalkEnd::Missing));
}

#[test]
fn many_threads_ask_at_once() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    symlink("file", dir.path().join("link")).unwrap();
    let (tree, _server) = remote(dir.path());
    let root = tree.attach(TreeId(0)).unwrap().node;
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let found = tree.walk(root, &[Step::new(b"file")]).unwrap().found[0];
                    let opened = tree.open(found.node, Access::Read).unwrap();
                    assert_eq!(opened.attr.ino, found.attr.ino);
                    tree.close(&[found.node]);
                }
            });
        }
    });
}

#[test]
fn a_dead_gofer_is_eio() {
    let (ours, theirs) = channel::pair().unwrap();
    drop(theirs);
    let tree = RemoteTree::new(ours);
    assert_eq!(tree.attach(TreeId(0)).unwrap_err(), Errno::EIO);
    assert!(tree.is_gone());
    assert_eq!(tree.attach(TreeId(0)).unwrap_err(), Errno::EIO);
}

/// Prints the cost of a request; no bound is asserted, since machines differ.
#[test]
fn one_walk_is_one_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("a/b/c")).unwrap();
    let (tree, _server) = remote(dir.path());
    let root = tree.attach(TreeId(0)).unwrap().node;
    let names = [Step::new(b"a"), Step::new(b"b"), Step::new(b"c")];
    let found = tree.walk(root, &names).unwrap().found;
    let known = [0, 1, 2].map(|index: usize| Step {
        known: Some(found[index].node),
        ..names[index]
    });
    let start = Instant::now();
    for _ in 0..1000 {
        assert_eq!(tree.walk(root, &known).unwrap().found.len(), 3);
    }
    println!(
        "walk of three known components: {:?}",
        start.elapsed() / 1000
    );
    let start = Instant::now();
    for _ in 0..1000 {
        tree.attributes(root).unwrap();
    }
    println!("attributes: {:?}", start.elapsed() / 1000);
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let node = (1..6u64).prop_map(NodeId);
    let name = prop_oneof![
        Just(b"sub".to_vec()),
        Just(b"..".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..260),
    ];
    (0..12u8, node, name, any::<u64>(), any::<u32>()).prop_map(|(op, node, name, number, tag)| {
        let name = name.as_slice();
        let steps = vec![
            Step::new(name),
            Step {
                name: b"x",
                known: Some(node),
            },
        ];
        let new = NewFile {
            mode: tag & 0o777,
            ..NEW
        };
        let request = match op {
            0 => Request::Attach {
                tree: TreeId(tag % 3),
            },
            1 => Request::Walk { from: node, steps },
            2 => Request::Attributes { node },
            3 => Request::SetAttributes {
                node,
                change: SetAttr {
                    size: Some(number % 4096),
                    mode: Some(tag),
                    ..SetAttr::default()
                },
            },
            4 => Request::Open {
                node,
                access: Access::Read,
            },
            5 => Request::Create {
                dir: node,
                name,
                access: Access::Write,
                new,
            },
            6 => Request::MakeDir {
                dir: node,
                name,
                new,
            },
            7 => Request::Symlink {
                dir: node,
                name,
                target: name,
                new,
            },
            8 => Request::ReadDir {
                node,
                cookie: number,
                detail: Detail::Attributes,
            },
            9 => Request::Remove {
                dir: node,
                name,
                what: Remove::File,
                known: Some(node),
            },
            10 => Request::SetXattr {
                node,
                name: b"user.x",
                value: name,
                mode: XattrMode::Any,
            },
            _ => Request::Close { nodes: vec![node] },
        };
        let mut message = Vec::new();
        request.encode(tag, 0, &mut message).unwrap();
        let (header, body): (RequestHeader, _) = open(&message).unwrap();
        assert_eq!(Request::decode(header.op, body).as_ref(), Ok(&request));
        message
    })
}

fn server() -> (tempfile::TempDir, Arc<Server>) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    let root = Root::open_path(dir.path(), Policy::default()).unwrap();
    (
        dir,
        Server::new(LocalTree::with_descriptor_limit(vec![root], 16)),
    )
}

fn attr() -> impl Strategy<Value = Attr> {
    (
        any::<u64>(),
        any::<u64>(),
        prop_oneof![Just(4u32), Just(8), Just(10)],
    )
        .prop_map(|(ino, size, kind)| Attr {
            ino,
            size,
            mode: kind << 12,
            ..Attr::default()
        })
}

fn reply() -> impl Strategy<Value = Vec<u8>> {
    use super::Wire;
    let name = proptest::collection::vec(1..255u8, 0..20);
    (0..4u8, attr(), name, 1..u64::MAX).prop_map(|(kind, attr, name, id)| {
        let found = Found {
            node: NodeId(id),
            attr,
        };
        let header = ReplyHeader {
            len: 0,
            tag: 1,
            errno: 0,
        };
        let mut message = header.as_bytes().to_vec();
        match kind {
            0 => found.put(&mut message),
            1 => Walk {
                found: vec![found; 3],
                end: WalkEnd::Symlink(name),
            }
            .put(&mut message),
            2 => {
                let entry = Entry {
                    name,
                    ino: id,
                    kind: Some(FileKind::Fifo),
                    cookie: id,
                    attr: Some(attr),
                };
                Listing {
                    entries: vec![entry; 3],
                    end: false,
                }
                .put(&mut message);
            }
            _ => name.put(&mut message),
        }
        seal(&mut message).unwrap();
        message
    })
}

/// Reads `message` as every kind of answer.
fn read_all(message: &[u8]) {
    let _ = parse_reply::<Found>(message, 1);
    let _ = parse_reply::<Walk>(message, 1);
    let _ = parse_reply::<Listing>(message, 1);
    let _ = parse_reply::<Vec<u8>>(message, 1);
    let _ = parse_reply::<crate::types::StatFs>(message, 1);
    let _ = parse_reply::<()>(message, 1);
}

fn mutate(mut message: Vec<u8>, changes: &[(usize, u8)], cut: usize) -> Vec<u8> {
    for &(at, byte) in changes {
        let at = at % message.len();
        message[at] = byte;
    }
    message.truncate(message.len().saturating_sub(cut));
    if message.len() >= 4 && cut.is_multiple_of(2) {
        seal(&mut message).unwrap();
    }
    message
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let (_dir, server) = server();
        server.feed(&bytes);
        read_all(&bytes);
        let mut sealed = bytes;
        if seal(&mut sealed).is_ok() {
            server.feed(&sealed);
            read_all(&sealed);
        }
    }

    #[test]
    fn mutated_messages_never_panic(
        messages in proptest::collection::vec(request(), 1..12),
        answer in reply(),
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4),
        cut in 0..9usize,
    ) {
        let (dir, server) = server();
        for message in &messages {
            prop_assert!(server.feed(message));
            server.feed(&mutate(message.clone(), &changes, cut));
        }
        prop_assert!(dir.path().join("sub").exists() || dir.path().exists());
        read_all(&answer);
        read_all(&mutate(answer, &changes, cut));
    }

    #[test]
    fn answers_arrive_as_they_were(answer in reply()) {
        let read = [
            parse_reply::<Found>(&answer, 1).is_some(),
            parse_reply::<Walk>(&answer, 1).is_some(),
            parse_reply::<Listing>(&answer, 1).is_some(),
            parse_reply::<Vec<u8>>(&answer, 1).is_some(),
        ];
        prop_assert!(read.contains(&true));
        prop_assert_eq!(parse_reply::<Found>(&answer, 2), None);
    }
}

#[test]
fn lengths_are_checked() {
    let mut message = Vec::new();
    Request::Attributes { node: NodeId(1) }
        .encode(3, 0, &mut message)
        .unwrap();
    assert_eq!(
        open::<RequestHeader>(&message[..message.len() - 1]).unwrap_err(),
        Malformed
    );
    message.push(0);
    assert_eq!(open::<RequestHeader>(&message).unwrap_err(), Malformed);
    seal(&mut message).unwrap();
    let (header, body): (RequestHeader, _) = open(&message).unwrap();
    assert_eq!(Request::decode(header.op, body), Err(Malformed));
    assert_eq!(seal(&mut vec![0; super::MESSAGE_MAX + 1]), Err(Malformed));
}
