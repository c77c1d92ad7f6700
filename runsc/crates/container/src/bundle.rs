//! A bundle: a directory with a `config.json`, or a spec made up in memory (`do`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use host::spawn::{IdRange, Namespaces};
use oci_spec::runtime::{LinuxIdMapping, LinuxNamespaceType, Spec};

use crate::spec::{invalid, parse_with_capabilities};
use crate::{ContainerError, Result, namespaces};

/// Most bytes of a `config.json`.
const MAX_CONFIG_BYTES: u64 = 16 << 20;

/// A bundle whose spec was read and checked.
#[derive(Clone, Debug)]
pub struct Bundle {
    directory: PathBuf,
    rootfs: PathBuf,
    spec: Spec,
}

/// A namespace of the host that a process is to be in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joined {
    /// A new one.
    New,
    /// The one at this path.
    At(PathBuf),
    /// The caller's.
    Shared,
}

impl Bundle {
    /// Reads the bundle at `directory`.
    ///
    /// # Errors
    /// [`ContainerError::Path`], [`ContainerError::Parse`], [`ContainerError::Spec`].
    pub fn load(directory: &Path) -> Result<Bundle> {
        let directory =
            fs::canonicalize(directory).map_err(ContainerError::path("find bundle", directory))?;
        let path = directory.join("config.json");
        let text = read_bounded(&path)?;
        let spec: Spec = parse_with_capabilities(&text, "/process/capabilities").map_err(|e| {
            ContainerError::Parse {
                path: path.clone(),
                reason: e.to_string(),
            }
        })?;
        Bundle::from_spec(&directory, spec)
    }

    /// Uses a spec made up for `directory`.
    ///
    /// # Errors
    /// [`ContainerError::Path`], [`ContainerError::Spec`].
    pub fn from_spec(directory: &Path, spec: Spec) -> Result<Bundle> {
        check_version(spec.version())?;
        let root = spec
            .root()
            .as_ref()
            .ok_or_else(|| invalid("root is missing"))?;
        let rootfs = directory.join(root.path());
        let rootfs =
            fs::canonicalize(&rootfs).map_err(ContainerError::path("find root", &rootfs))?;
        if !rootfs.is_dir() {
            return Err(invalid(format!(
                "root {} is not a directory",
                rootfs.display()
            )));
        }
        Ok(Bundle {
            directory: directory.to_owned(),
            rootfs,
            spec,
        })
    }

    /// The bundle's directory, absolute.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The root file system's directory, absolute.
    #[must_use]
    pub fn rootfs(&self) -> &Path {
        &self.rootfs
    }

    /// The spec.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The network namespace that the sandbox is to be in.
    #[must_use]
    pub fn network_namespace(&self) -> Joined {
        let namespaces = self
            .spec
            .linux()
            .as_ref()
            .and_then(|l| l.namespaces().as_deref());
        let network = namespaces
            .unwrap_or_default()
            .iter()
            .find(|n| n.typ() == LinuxNamespaceType::Network);
        match network.map(|n| n.path()) {
            None => Joined::Shared,
            Some(Some(path)) if !path.as_os_str().is_empty() => Joined::At(path.clone()),
            Some(_) => Joined::New,
        }
    }

    /// The namespaces, besides that of the network, that the sandbox's host process joins by path.
    #[must_use]
    pub fn joined_namespaces(&self) -> Vec<(Namespaces, PathBuf)> {
        let linux = self.spec.linux().as_ref();
        let namespaces = linux.and_then(|l| l.namespaces().as_deref());
        let joined = namespaces.unwrap_or_default().iter().filter_map(|n| {
            let path = n.path().clone().filter(|p| !p.as_os_str().is_empty())?;
            let kind = match n.typ() {
                LinuxNamespaceType::Ipc => Namespaces::IPC,
                LinuxNamespaceType::Uts => Namespaces::UTS,
                LinuxNamespaceType::Cgroup => Namespaces::CGROUP,
                _ => return None,
            };
            Some((kind, path))
        });
        joined.collect()
    }

    /// Whether the sandbox's host process is to have a namespace of the control groups of its own.
    #[must_use]
    pub fn new_cgroup_namespace(&self) -> bool {
        let linux = self.spec.linux().as_ref();
        let namespaces = linux.and_then(|l| l.namespaces().as_deref());
        namespaces.unwrap_or_default().iter().any(|n| {
            let at = n.path().as_ref().filter(|p| !p.as_os_str().is_empty());
            n.typ() == LinuxNamespaceType::Cgroup && at.is_none()
        })
    }

    /// Host and domain name of the UTS namespace that the spec names, else of the caller's.
    ///
    /// # Errors
    /// [`ContainerError::Path`] when the namespace can't be entered.
    pub fn uts_names(&self) -> Result<(String, String)> {
        let mut joined = self.joined_namespaces();
        joined.retain(|(kind, _)| *kind == Namespaces::UTS);
        namespaces::inside(&joined, || {
            let names = rustix::system::uname();
            let text = |name: &std::ffi::CStr| name.to_string_lossy().into_owned();
            Ok((text(names.nodename()), text(names.domainname())))
        })
    }

    /// The id maps of the spec's own user namespace, if it asks for one.
    #[must_use]
    pub fn user_namespace(&self) -> Option<(Vec<IdRange>, Vec<IdRange>)> {
        let linux = self.spec.linux().as_ref()?;
        let wanted = linux
            .namespaces()
            .as_deref()?
            .iter()
            .any(|n| n.typ() == LinuxNamespaceType::User);
        let ranges = |mappings: &Option<Vec<LinuxIdMapping>>| -> Vec<IdRange> {
            mappings
                .as_deref()
                .unwrap_or_default()
                .iter()
                .map(|m| IdRange {
                    inside: m.container_id(),
                    outside: m.host_id(),
                    count: m.size(),
                })
                .collect()
        };
        let (uids, gids) = (ranges(linux.uid_mappings()), ranges(linux.gid_mappings()));
        (wanted && !uids.is_empty() && !gids.is_empty()).then_some((uids, gids))
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>> {
    let length = fs::metadata(path)
        .map_err(ContainerError::path("read", path))?
        .len();
    if length > MAX_CONFIG_BYTES {
        return Err(ContainerError::path("read", path)(io::Error::from(
            io::ErrorKind::FileTooLarge,
        )));
    }
    fs::read(path).map_err(ContainerError::path("read", path))
}

fn check_version(version: &str) -> Result<()> {
    let mut parts = version.splitn(3, '.');
    let number = |part: Option<&str>| part?.parse::<u32>().ok();
    let (major, minor) = (number(parts.next()), number(parts.next()));
    // The patch level may have a suffix: `-dev`, `-rc.1`, `+dev`.
    let patch = parts.next().and_then(|rest| {
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (digits, suffix) = rest.split_at(end);
        let fits = suffix.is_empty() || suffix.starts_with(['-', '+']);
        digits.parse::<u32>().ok().filter(|_| fits)
    });
    if major == Some(1) && minor.is_some() && patch.is_some() {
        Ok(())
    } else {
        Err(invalid(format!(
            "ociVersion {version:?} is not a version 1.x.y"
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Bundle;

    fn error(config: Option<&str>) -> String {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("rootfs")).unwrap();
        if let Some(config) = config {
            fs::write(directory.path().join("config.json"), config).unwrap();
        }
        let text = Bundle::load(directory.path()).unwrap_err().to_string();
        text.replace(&directory.path().to_string_lossy().into_owned(), "B")
    }

    #[test]
    fn bad_bundles_are_named() {
        for (config, text) in [
            (None, "cannot read B/config.json: No such file or directory"),
            (
                Some("{"),
                "cannot parse B/config.json: EOF while parsing an object at line 1 column 1",
            ),
            (
                Some(r#"{"ociVersion":"2.0.0"}"#),
                "invalid spec: ociVersion \"2.0.0\" is not a version 1.x.y",
            ),
            (
                Some(r#"{"ociVersion":"1.0.2"}"#),
                "invalid spec: root is missing",
            ),
            (
                Some(r#"{"ociVersion":"1.0.2","root":{"path":"none"}}"#),
                "cannot find root B/none: No such file or directory",
            ),
        ] {
            assert_eq!(error(config), text);
        }
    }
}
