//! What runs as `runsc gofer`: detaches the trees it is to serve from the host's mounts, gives up
//! the rest, and serves.
//!
//! The root of its own mount namespace is empty; each tree is a private copy of the host's mounts
//! below one path, reached through a descriptor alone.

use std::os::fd::OwnedFd;
use std::path::Path;

use control::{Connection, GoferConfig, GoferTree, Report};
use gofer::{LocalTree, Policy, Root, Server};
use host::spawn::{keep_donated, take_donated};
use host::{empty_root, errno, privilege};
use rustix::fs::{self, CWD, FileType, Mode};
use rustix::mount::{
    MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, move_mount, open_tree, unmount,
};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, set_name, set_no_new_privs};

use crate::{ContainerError, Result};

/// Reads the configuration that the parent donated.
///
/// # Errors
/// [`ContainerError::Control`] when this is not a child of this program's.
pub fn load_config() -> Result<GoferConfig> {
    Ok(control::read_config(host::spawn::FIRST_DONATED)?)
}

/// Serves until the sandbox is gone. Returns the process's exit code.
#[must_use]
pub fn run(config: &GoferConfig) -> u8 {
    let Ok(report) = take_donated(config.report).map(Connection::new) else {
        return 128;
    };
    match prepare(config) {
        Ok((server, socket, lifeline)) => {
            if report.send(&Report::Ready, &[]).is_err() {
                return 128;
            }
            drop(report);
            let result = server.serve(socket);
            drop(lifeline);
            if let Err(error) = result {
                tracing::warn!(%error, "serving ended");
                return 128;
            }
            tracing::debug!("the sandbox is gone");
            0
        }
        Err(error) => {
            tracing::error!(%error, "cannot serve");
            let _ = report.send(
                &Report::Failed {
                    reason: error.to_string(),
                },
                &[],
            );
            128
        }
    }
}

type Prepared = (std::sync::Arc<Server>, OwnedFd, OwnedFd);

fn prepare(config: &GoferConfig) -> Result<Prepared> {
    let step = ContainerError::host;
    let _ = set_name(c"runsc-gofer");
    let lifeline = take_donated(config.lifeline).map_err(step("take the lifeline"))?;
    let _ = config.host_user.and_then(keep_donated);
    let number = *config
        .sockets
        .first()
        .ok_or_else(|| ContainerError::Refused("no socket".into()))?;
    let socket = take_donated(number).map_err(step("take the sandbox's socket"))?;
    empty_root::make_mounts_private().map_err(step("keep mounts private"))?;
    let roots = config
        .trees
        .iter()
        .map(|tree| open(tree, config))
        .collect::<Result<Vec<_>>>()?;
    // Where no copy of it can be made, files without a name can't be opened again, and no more.
    let own_descriptors = detach(Path::new("/proc/self/fd"), false).ok();
    // Before Linux 6.4 rustix reads it from /proc, when first asked.
    let _ = rustix::param::page_size();
    empty_root::enter().map_err(step("enter an empty root"))?;
    if let Some((uid, gid)) = config.user {
        privilege::become_user(uid, gid)
            .map_err(step("become the user of the container's files"))?;
    }
    let keep =
        CapabilitySet::from_bits_retain(config.capabilities) & privilege::permitted_capabilities();
    privilege::limit_capabilities(keep).map_err(step("give up capabilities"))?;
    set_no_new_privs(true).map_err(|e| step("set no_new_privs")(errno(e)))?;
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let mut tree = LocalTree::new(roots);
    if let Some(directory) = own_descriptors {
        tree = tree.with_own_descriptors(directory);
    }
    install_filter(config)?;
    Ok((Server::new(tree), socket, lifeline))
}

fn install_filter(config: &GoferConfig) -> Result<()> {
    host::denied_call::install_handler(config.log.denied_report("gofer"))
        .map_err(ContainerError::host("handle SIGSYS"))?;
    let refused = |error: seccomp::FilterError| ContainerError::Refused(error.to_string());
    let mut filter =
        seccomp::Filter::new(seccomp::gofer::ENTRIES, seccomp::gofer::REFUSALS).map_err(refused)?;
    if config.host_uds {
        for entry in seccomp::gofer::HOST_SOCKETS {
            filter.add(entry).map_err(refused)?;
        }
    }
    filter.install().map_err(refused)
}

fn open(tree: &GoferTree, config: &GoferConfig) -> Result<Root> {
    let policy = Policy {
        read_only: tree.read_only,
        host_sockets: config.host_uds,
        host_fifos: config.host_fifo,
    };
    let path = Path::new(&tree.path);
    let failed = |error: host::Errno| ContainerError::at("open", path)(error);
    if path.is_dir() {
        let directory = detach(path, tree.recursive).map_err(failed)?;
        restrict(&directory, tree).map_err(failed)?;
        return Ok(Root::directory(directory, policy));
    }
    let file = detach(path, false).map_err(failed)?;
    restrict(&file, tree).map_err(failed)?;
    let directory = alone(&file).map_err(failed)?;
    Root::file(directory, ALONE.as_bytes(), policy).map_err(failed)
}

/// No device can be opened through what is served, whatever its owner; nothing changes where that is asked.
fn restrict(mounts: &OwnedFd, tree: &GoferTree) -> host::Result<()> {
    if tree.read_only {
        privilege::make_tree_read_only(mounts)?;
    }
    privilege::make_tree_without_devices(mounts)
}

/// The name of a single file in its directory.
const ALONE: &str = "file";
/// Where that directory is made, for a moment: one that exists wherever this program can be started.
const SCRATCH: &str = "/proc";

/// A directory of its own in which `file`, a detached mount, is all that there is: its neighbours are out of reach. As
/// with any bind mount of a file, it stays the same file, whatever gets its name.
fn alone(file: &OwnedFd) -> host::Result<OwnedFd> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount(
        "runsc",
        SCRATCH,
        "tmpfs",
        flags,
        c"size=4k,nr_inodes=2,mode=555",
    )
    .map_err(errno)?;
    let made = put(file);
    unmount(SCRATCH, UnmountFlags::DETACH).map_err(errno)?;
    made
}

fn put(file: &OwnedFd) -> host::Result<OwnedFd> {
    let place = format!("{SCRATCH}/{ALONE}");
    fs::mknodat(CWD, &place, FileType::RegularFile, Mode::empty(), 0).map_err(errno)?;
    let from = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(file, "", CWD, &place, from).map_err(errno)?;
    detach(Path::new(SCRATCH), true)
}

/// A private copy of the mounts at `path`, attached nowhere.
fn detach(path: &Path, recursive: bool) -> host::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let all = flags | OpenTreeFlags::AT_RECURSIVE;
    if recursive {
        return open_tree(CWD, path, all).map_err(errno);
    }
    // In a user namespace, mounts that came with it can't be left out.
    open_tree(CWD, path, flags)
        .or_else(|_| open_tree(CWD, path, all))
        .map_err(errno)
}
