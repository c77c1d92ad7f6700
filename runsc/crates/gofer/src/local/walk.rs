//! Path walks, one component at a time.

use std::os::fd::AsFd;
use std::sync::Arc;

use abi::Errno;
use rustix::fs::{Mode, OFlags};

use super::identity::At;
use super::node::Node;
use super::table::Table;
use super::{found, sys};
use crate::name;
use crate::types::{Attr, FileKind, Found, NodeId, Result, Step, Walk, WalkEnd};

/// See [`crate::HostTree::walk`].
pub(super) fn walk(table: &Table, from: NodeId, steps: &[Step<'_>]) -> Result<Walk> {
    let mut at = table.get(from)?;
    let mut walk = Walk {
        found: Vec::with_capacity(steps.len()),
        end: WalkEnd::Done,
    };
    for (index, step) in steps.iter().enumerate() {
        if at.kind != FileKind::Directory {
            walk.end = WalkEnd::NotDirectory;
            return Ok(walk);
        }
        let (node, attr) = match descend(table, &at, *step, index + 1 == steps.len()) {
            Ok(next) => next,
            Err(error) => {
                walk.end = ended(error);
                return Ok(walk);
            }
        };
        walk.found.push(found(&node, attr));
        if node.kind == FileKind::Symlink {
            walk.end = match target(table, &node) {
                Ok(target) => WalkEnd::Symlink(target),
                Err(error) => {
                    forget_last(table, &mut walk.found, *step);
                    WalkEnd::Failed(error)
                }
            };
            return Ok(walk);
        }
        at = node;
    }
    Ok(walk)
}

fn ended(error: Errno) -> WalkEnd {
    if error == Errno::ENOENT {
        WalkEnd::Missing
    } else {
        WalkEnd::Failed(error)
    }
}

/// Takes back the last node, unless the client had it before.
fn forget_last(table: &Table, found: &mut Vec<Found>, step: Step<'_>) {
    if let Some(last) = found.pop()
        && Some(last.node) != step.known
    {
        table.give_back(&[last.node]);
    }
}

fn descend(
    table: &Table,
    dir: &Arc<Node>,
    step: Step<'_>,
    last: bool,
) -> Result<(Arc<Node>, Attr)> {
    let name = name::to_c(step.name)?;
    let parent = dir.path_fd(table)?;
    // A node that has ended meanwhile is no hint.
    let known = step.known.and_then(|id| table.get(id).ok());
    if known.is_some() || last {
        let attr = sys::stat_at(parent.as_fd(), &name)?;
        let at = At {
            dir: parent.as_fd(),
            name: &name,
        };
        let node = table.child(dir, name.clone(), &attr, at, known)?;
        return Ok((node, attr));
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = sys::open_beneath(parent.as_fd(), &name, flags, Mode::empty())?;
    let attr = sys::stat_fd(fd.as_fd())?;
    let node = table.child(dir, name, &attr, At::open(fd.as_fd()), None)?;
    node.keep(fd, table);
    Ok((node, attr))
}

/// See [`crate::HostTree::read_link`].
pub(super) fn read_link(table: &Table, node: NodeId) -> Result<Vec<u8>> {
    let node = table.get(node)?;
    if node.kind != FileKind::Symlink {
        return Err(Errno::EINVAL);
    }
    target(table, &node)
}

fn target(table: &Table, node: &Arc<Node>) -> Result<Vec<u8>> {
    let by_name = match node.parent_fd(table)? {
        Some((parent, name)) => sys::read_link(parent.as_fd(), &name),
        None => Err(Errno::ENOENT),
    };
    match by_name {
        // It is not there any more, or another file is.
        Err(Errno::ENOENT | Errno::EINVAL) => sys::read_link(node.path_fd(table)?.as_fd(), c""),
        result => result,
    }
}
