//! Where in the hierarchies a container's groups are.

use std::path::{Component, Path, PathBuf};

use crate::cgroups::hierarchies::Hierarchy;

/// What decides on the place of a container's groups.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The spec's `cgroupsPath`.
    pub path: Option<&'a Path>,
    /// The container's id.
    pub id: &'a str,
    /// The path has systemd's form, `slice:prefix:name`.
    pub systemd: bool,
    /// Without privilege: limits that can't be set are left out.
    pub lenient: bool,
}

impl Place<'_> {
    /// The group's directory: absolute paths count from the hierarchy's root, others from where this
    /// process is (runtime-spec, *Cgroups Path*).
    pub(super) fn directory(&self, hierarchy: &Hierarchy) -> PathBuf {
        let path = self.path.filter(|path| !path.as_os_str().is_empty());
        let (absolute, inner) = match path {
            None => (false, PathBuf::from(self.id)),
            Some(path) => match path.to_str().filter(|_| self.systemd).and_then(scope) {
                Some(scope) => (true, scope),
                None => (path.is_absolute(), cleaned(path)),
            },
        };
        let from = if absolute {
            PathBuf::new()
        } else {
            cleaned(&hierarchy.own)
        };
        hierarchy.mount_point.join(from).join(inner)
    }
}

/// A path without `.`, and whose `..` lead nowhere above its beginning; relative.
fn cleaned(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            _ => {}
        }
    }
    clean
}

/// The directory that systemd gives to the scope `prefix-name.scope` in `slice`.
fn scope(text: &str) -> Option<PathBuf> {
    let mut parts = text.splitn(3, ':');
    let (slice, prefix, name) = (parts.next()?, parts.next()?, parts.next()?);
    let slice = if slice.is_empty() {
        "system.slice"
    } else {
        slice
    };
    let mut directory = PathBuf::new();
    let stem = slice.strip_suffix(".slice")?;
    if stem != "-" {
        // A dash in a slice's name is a level: a-b.slice lies in a.slice (man 5 systemd.slice).
        let dashes = stem.match_indices('-').map(|(at, _)| at);
        for end in dashes.chain([stem.len()]) {
            directory.push(format!("{}.slice", stem.get(..end)?));
        }
    }
    let unit = match (prefix, name) {
        (_, name) if name.ends_with(".slice") => name.to_owned(),
        ("", name) => format!("{name}.scope"),
        (prefix, name) => format!("{prefix}-{name}.scope"),
    };
    directory.push(unit);
    Some(cleaned(&directory))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::Place;
    use crate::cgroups::hierarchies::Hierarchy;

    #[test]
    fn paths_of_groups() {
        let hierarchy = Hierarchy {
            names: vec!["memory".into()],
            mount_point: "/m".into(),
            own: "/own/place".into(),
        };
        for (path, systemd, directory) in [
            (None, false, "/m/own/place/c"),
            (Some(""), false, "/m/own/place/c"),
            (Some("/docker/c"), false, "/m/docker/c"),
            (Some("a/b"), false, "/m/own/place/a/b"),
            (Some("/../../etc"), false, "/m/etc"),
            (Some("../../../x"), false, "/m/own/place/x"),
            (Some("s.slice:p:n"), false, "/m/own/place/s.slice:p:n"),
            (
                Some("system.slice:docker:n"),
                true,
                "/m/system.slice/docker-n.scope",
            ),
            (Some(":p:n"), true, "/m/system.slice/p-n.scope"),
            (
                Some("kube-pods-x.slice:cri:n"),
                true,
                "/m/kube.slice/kube-pods.slice/kube-pods-x.slice/cri-n.scope",
            ),
            (Some("-.slice::n"), true, "/m/n.scope"),
            (Some("/plain"), true, "/m/plain"),
        ] {
            let place = Place {
                path: path.map(Path::new),
                id: "c",
                systemd,
                lenient: false,
            };
            assert_eq!(
                place.directory(&hierarchy),
                PathBuf::from(directory),
                "{path:?}"
            );
        }
    }
}
