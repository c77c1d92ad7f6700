//! The mounts of a spec.

use std::fs;
use std::path::{Component, Path, PathBuf};

use control::{GoferTree, Mount, MountFlags, MountKind};
use oci_spec::runtime::Mount as SpecMount;

use crate::bundle::Bundle;
use crate::mount_info::MountInfo;
use crate::spec::mount_options::Options;
use crate::spec::{invalid, overlay};
use crate::{ContainerError, Result, Settings, mount_points};

/// Converts the spec's mounts; the trees that the gofer must serve for them are added to `trees`.
pub(super) fn convert(
    bundle: &Bundle,
    settings: &Settings,
    trees: &mut Vec<GoferTree>,
) -> Result<Vec<Mount>> {
    let mounts = bundle.spec().mounts().as_deref().unwrap_or_default();
    let mut converted = Vec::with_capacity(mounts.len());
    let host = MountInfo::default();
    for mount in mounts {
        let one = convert_one(mount, &converted, bundle, settings, &host, trees)?;
        converted.push(one);
    }
    if !converted.iter().any(|mount| mount.destination == "/dev") {
        converted.insert(0, default_dev());
    }
    Ok(converted)
}

fn convert_one(
    mount: &SpecMount,
    earlier: &[Mount],
    bundle: &Bundle,
    settings: &Settings,
    host: &MountInfo,
    trees: &mut Vec<GoferTree>,
) -> Result<Mount> {
    let destination = absolute_destination(mount.destination())?;
    if mount.uid_mappings().is_some() || mount.gid_mappings().is_some() {
        return Err(ContainerError::Unsupported(format!(
            "mount {destination}: uidMappings and gidMappings of mounts are not supported"
        )));
    }
    let mut options = Options::parse(mount.options().as_deref().unwrap_or_default())?;
    let typ = mount.typ().as_deref().unwrap_or_default();
    let is_bind = options.bind || matches!(typ, "bind" | "rbind");
    let mut kind = if is_bind {
        bind(mount, &options, bundle, settings, host, trees)?
    } else {
        internal(typ, &destination, &mut options)?
    };
    if options.copy_up
        && let MountKind::Tmpfs { copied, .. } = &mut kind
    {
        let covered = mount_points::covered(bundle.rootfs(), earlier, destination.as_ref());
        *copied = covered.map(|path| copied_tree(path, trees)).transpose()?;
    }
    let source = mount.source().as_ref().filter(|_| !is_bind);
    Ok(Mount {
        destination,
        source: source.map_or_else(String::new, |path| path.to_string_lossy().into_owned()),
        kind,
        flags: options.flags,
        propagation: options.propagation,
    })
}

fn absolute_destination(path: &Path) -> Result<String> {
    // runc takes a relative destination as one below the root.
    let path = Path::new("/").join(path);
    if path.components().any(|c| c == Component::ParentDir) {
        return Err(invalid(format!(
            "mount destination {} must not contain ..",
            path.display()
        )));
    }
    // Without doubled slashes and dots.
    let path: PathBuf = path.components().collect();
    path.to_str()
        .filter(|text| !text.contains('\0'))
        .map(ToOwned::to_owned)
        .ok_or_else(|| invalid(format!("mount destination {} is not UTF-8", path.display())))
}

fn bind(
    mount: &SpecMount,
    options: &Options,
    bundle: &Bundle,
    settings: &Settings,
    host: &MountInfo,
    trees: &mut Vec<GoferTree>,
) -> Result<MountKind> {
    let source = mount.source().as_ref().ok_or_else(|| {
        invalid(format!(
            "mount {} has no source",
            mount.destination().display()
        ))
    })?;
    let source = fs::canonicalize(bundle.directory().join(source))
        .map_err(ContainerError::path("find mount source", source))?;
    let metadata =
        fs::metadata(&source).map_err(ContainerError::path("look at mount source", &source))?;
    let tree = u32::try_from(trees.len()).map_err(|_| invalid("too many mounts"))?;
    let overlay = overlay(settings.overlay_mounts && metadata.is_dir());
    let root_name = utf8(host.path_in_file_system(&source)?)?;
    trees.push(GoferTree {
        path: utf8(source)?,
        read_only: options.flags.read_only || overlay == control::Overlay::Memory,
        recursive: options.recursive || mount.typ().as_deref() == Some("rbind"),
    });
    Ok(MountKind::Bind {
        tree,
        overlay,
        directory: metadata.is_dir(),
        root_name,
    })
}

/// The image's content that a tmpfs starts with (`tmpcopyup`).
fn copied_tree(path: PathBuf, trees: &mut Vec<GoferTree>) -> Result<u32> {
    let tree = u32::try_from(trees.len()).map_err(|_| invalid("too many mounts"))?;
    trees.push(GoferTree {
        path: utf8(path)?,
        read_only: true,
        recursive: false,
    });
    Ok(tree)
}

fn utf8(path: PathBuf) -> Result<String> {
    path.into_os_string()
        .into_string()
        .map_err(|path| invalid(format!("path {} is not UTF-8", path.display())))
}

/// There on hosts with version 2 of control groups.
const UNIFIED: &str = "/sys/fs/cgroup/cgroup.controllers";

fn internal(typ: &str, destination: &str, options: &mut Options) -> Result<MountKind> {
    let kind = match typ {
        // Docker and runc mount a tmpfs on /dev and make the nodes; this kernel has them itself.
        "tmpfs" | "ramfs" if destination == "/dev" => devtmpfs(options, false)?,
        "tmpfs" | "ramfs" => tmpfs(options)?,
        "devtmpfs" => devtmpfs(options, true)?,
        "proc" => proc(options)?,
        "sysfs" => MountKind::Sysfs,
        "devpts" => devpts(options)?,
        "mqueue" => MountKind::Mqueue,
        // The container sees the version that its host has, as with other runtimes.
        "cgroup" | "cgroup2" => {
            options.data.clear();
            MountKind::Cgroup {
                unified: typ == "cgroup2" || Path::new(UNIFIED).exists(),
            }
        }
        _ => {
            return Err(ContainerError::Unsupported(format!(
                "mount {destination}: file system type {typ:?} is not supported"
            )));
        }
    };
    options.finish(destination)?;
    Ok(kind)
}

fn tmpfs(options: &mut Options) -> Result<MountKind> {
    let blocks = options.take_size("nr_blocks")?;
    let size_bytes = options.take_size("size")?;
    ignore(options, &["huge", "mpol", "inode32", "inode64", "noswap"]);
    Ok(MountKind::Tmpfs {
        size_bytes: size_bytes.or(blocks.map(|n| n.saturating_mul(4096))),
        max_inodes: options.take_size("nr_inodes")?,
        mode: options.take_mode("mode")?,
        uid: options.take_number("uid")?,
        gid: options.take_number("gid")?,
        copied: None,
    })
}

fn devtmpfs(options: &mut Options, shown_as_devtmpfs: bool) -> Result<MountKind> {
    let size_bytes = options.take_size("size")?;
    let mode = options.take_mode("mode")?;
    ignore(options, &["nr_inodes", "uid", "gid", "mpol", "inode64"]);
    Ok(MountKind::Devtmpfs {
        shown_as_devtmpfs,
        size_bytes,
        mode,
    })
}

/// Every instance is new (`newinstance`), as Linux has had it since 4.7.
fn devpts(options: &mut Options) -> Result<MountKind> {
    ignore(options, &["newinstance"]);
    Ok(MountKind::Devpts {
        mode: options.take_mode("mode")?,
        uid: options.take_number("uid")?,
        gid: options.take_number("gid")?,
        ptmx_mode: options.take_mode("ptmxmode")?,
        max: options.take_number("max")?,
    })
}

fn proc(options: &mut Options) -> Result<MountKind> {
    ignore(options, &["gid"]);
    match options.take_data("hidepid").as_deref() {
        None | Some("0" | "off") => Ok(MountKind::Proc),
        Some(value) => Err(ContainerError::Unsupported(format!(
            "mount option hidepid={value} of proc is not supported"
        ))),
    }
}

fn ignore(options: &mut Options, names: &[&str]) {
    for name in names {
        options.take_data(name);
    }
}

/// What runc makes in the root file system when nothing is mounted on `/dev`: the default devices.
fn default_dev() -> Mount {
    Mount {
        destination: "/dev".into(),
        source: "tmpfs".into(),
        kind: MountKind::Devtmpfs {
            shown_as_devtmpfs: false,
            size_bytes: None,
            mode: Some(0o755),
        },
        flags: MountFlags {
            no_suid: true,
            ..MountFlags::default()
        },
        propagation: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, absolute_destination, internal};

    fn options(names: &[&str]) -> Options {
        let names: Vec<String> = names.iter().map(|&n| n.to_owned()).collect();
        Options::parse(&names).unwrap()
    }

    #[test]
    fn destinations_stay_below_the_root() {
        assert_eq!(absolute_destination("proc".as_ref()).unwrap(), "/proc");
        assert_eq!(
            absolute_destination("/a//b/./c/".as_ref()).unwrap(),
            "/a/b/c"
        );
        assert!(absolute_destination("/a/../../b".as_ref()).is_err());
    }

    #[test]
    fn file_systems_know_their_options() {
        for (typ, names, good) in [
            (
                "tmpfs",
                &["size=64k", "mode=1777", "uid=5", "nr_inodes=7"][..],
                true,
            ),
            ("tmpfs", &["size=much"], false),
            ("tmpfs", &["no-such-option"], false),
            (
                "devpts",
                &["newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
                true,
            ),
            ("devpts", &["mode=9"], false),
            ("proc", &["hidepid=2"], false),
            ("overlay", &[], false),
        ] {
            let kind = internal(typ, "/x", &mut options(names));
            assert_eq!(kind.is_ok(), good, "{typ} {names:?}");
        }
    }
}
