//! The mounts of a spec.

use std::fs;
use std::path::{Component, Path, PathBuf};

use control::{GoferTree, Mount, MountFlags, MountKind};
use oci_spec::runtime::Mount as SpecMount;

use crate::bundle::Bundle;
use crate::spec::{invalid, overlay};
use crate::{ContainerError, Result, Settings};

/// Options of a mount as its file system sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Those of mount(2).
    pub flags: MountFlags,
    /// `bind` or `rbind` was given.
    pub bind: bool,
    /// `rbind` was given.
    pub recursive: bool,
    /// `name=value` and unknown names: the file system's own.
    pub data: Vec<(String, String)>,
}

/// Converts the spec's mounts; the trees that the gofer must serve for them are added to `trees`.
pub(super) fn convert(
    bundle: &Bundle,
    settings: &Settings,
    trees: &mut Vec<GoferTree>,
) -> Result<Vec<Mount>> {
    let mounts = bundle.spec().mounts().as_deref().unwrap_or_default();
    mounts
        .iter()
        .map(|mount| convert_one(mount, bundle, settings, trees))
        .collect()
}

fn convert_one(
    mount: &SpecMount,
    bundle: &Bundle,
    settings: &Settings,
    trees: &mut Vec<GoferTree>,
) -> Result<Mount> {
    let destination = absolute_destination(mount.destination())?;
    let options = Options::parse(mount.options().as_deref().unwrap_or_default());
    let typ = mount.typ().as_deref().unwrap_or_default();
    let kind = if options.bind || typ == "bind" {
        bind(mount, &options, bundle, settings, trees)?
    } else {
        internal(typ, &destination, &options)?
    };
    Ok(Mount {
        destination,
        kind,
        flags: options.flags,
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
    path.to_str()
        .map(ToOwned::to_owned)
        .ok_or_else(|| invalid(format!("mount destination {} is not UTF-8", path.display())))
}

fn bind(
    mount: &SpecMount,
    options: &Options,
    bundle: &Bundle,
    settings: &Settings,
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
    trees.push(GoferTree {
        path: utf8(source)?,
        read_only: options.flags.read_only || overlay == control::Overlay::Memory,
        recursive: options.recursive,
    });
    Ok(MountKind::Bind {
        tree,
        overlay,
        directory: metadata.is_dir(),
    })
}

fn utf8(path: PathBuf) -> Result<String> {
    path.into_os_string()
        .into_string()
        .map_err(|path| invalid(format!("path {} is not UTF-8", path.display())))
}

fn internal(typ: &str, destination: &str, options: &Options) -> Result<MountKind> {
    Ok(match typ {
        // Docker and runc mount a tmpfs on /dev and make the nodes; this kernel has them itself.
        "tmpfs" | "ramfs" if destination == "/dev" => MountKind::Devtmpfs,
        "tmpfs" | "ramfs" => tmpfs(options)?,
        "devtmpfs" => MountKind::Devtmpfs,
        "proc" => MountKind::Proc,
        "sysfs" => MountKind::Sysfs,
        "devpts" => MountKind::Devpts,
        "mqueue" => MountKind::Mqueue,
        "cgroup" | "cgroup2" => MountKind::Cgroup,
        _ => {
            return Err(ContainerError::Unsupported(format!(
                "mount {destination}: file system type {typ:?} is not supported"
            )));
        }
    })
}

fn tmpfs(options: &Options) -> Result<MountKind> {
    let number = |name: &str, radix: u32| -> Result<Option<u64>> {
        let Some((_, value)) = options.data.iter().rev().find(|(n, _)| n == name) else {
            return Ok(None);
        };
        let bad = || invalid(format!("tmpfs option {name}={value} is not a number"));
        if radix == 8 {
            return u64::from_str_radix(value, 8).map(Some).map_err(|_| bad());
        }
        scaled(value).map(Some).ok_or_else(bad)
    };
    let narrow = |value: Option<u64>| value.and_then(|v| u32::try_from(v).ok());
    Ok(MountKind::Tmpfs {
        size_bytes: number("size", 10)?,
        max_inodes: number("nr_inodes", 10)?,
        mode: narrow(number("mode", 8)?),
        uid: narrow(number("uid", 10)?),
        gid: narrow(number("gid", 10)?),
    })
}

/// A number with `k`, `m`, `g` (`man 5 tmpfs`); percentages are of nothing fixed here and so unlimited.
fn scaled(text: &str) -> Option<u64> {
    if text
        .strip_suffix('%')
        .is_some_and(|n| n.parse::<u64>().is_ok())
    {
        return Some(u64::MAX);
    }
    let (digits, shift) = match text.char_indices().last()? {
        (at, 'k' | 'K') => (text.get(..at)?, 10),
        (at, 'm' | 'M') => (text.get(..at)?, 20),
        (at, 'g' | 'G') => (text.get(..at)?, 30),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

impl Options {
    /// Sorts options; later ones win, as in mount(8).
    #[must_use]
    pub fn parse(options: &[String]) -> Options {
        let mut parsed = Options::default();
        for option in options {
            let flags = &mut parsed.flags;
            match option.as_str() {
                "ro" => flags.read_only = true,
                "rw" => flags.read_only = false,
                "nosuid" => flags.no_suid = true,
                "suid" => flags.no_suid = false,
                "nodev" => flags.no_dev = true,
                "dev" => flags.no_dev = false,
                "noexec" => flags.no_exec = true,
                "exec" => flags.no_exec = false,
                "noatime" => flags.no_atime = true,
                "atime" => flags.no_atime = false,
                "bind" => parsed.bind = true,
                "rbind" => {
                    parsed.bind = true;
                    parsed.recursive = true;
                }
                other => {
                    let (name, value) = other.split_once('=').unwrap_or((other, ""));
                    parsed.data.push((name.to_owned(), value.to_owned()));
                }
            }
        }
        parsed
    }
}

#[cfg(test)]
mod tests {
    use control::MountKind;
    use proptest::prelude::{any, proptest};

    use super::{Options, absolute_destination, scaled, tmpfs};

    #[test]
    fn later_options_win() {
        let options: Vec<String> = ["ro", "nosuid", "rw", "size=64k", "mode=1777", "rprivate"]
            .map(ToOwned::to_owned)
            .into();
        let parsed = Options::parse(&options);
        assert!(!parsed.flags.read_only && parsed.flags.no_suid && !parsed.bind);
        let MountKind::Tmpfs {
            size_bytes, mode, ..
        } = tmpfs(&parsed).unwrap()
        else {
            panic!("not a tmpfs");
        };
        assert_eq!((size_bytes, mode), (Some(65536), Some(0o1777)));
    }

    #[test]
    fn destinations_stay_below_the_root() {
        assert_eq!(absolute_destination("proc".as_ref()).unwrap(), "/proc");
        assert!(absolute_destination("/a/../../b".as_ref()).is_err());
    }

    proptest! {
        #[test]
        fn sizes_never_panic(text in any::<String>()) {
            let _ = scaled(&text);
        }
    }
}
