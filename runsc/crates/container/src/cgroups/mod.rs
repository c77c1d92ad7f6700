//! The container's control groups on the host: where the sandbox, the gofer and the watchers live,
//! what limits them, and where their use is read.
//!
//! [`Hierarchies`] is what the host has mounted, version 1 or 2; [`Cgroup`] is one container's
//! directories in it, kept in the state file. [`v1`] and [`v2`] turn the spec's resources into plain
//! writes; [`stats`] reads back. Nothing here is asked of systemd: its names are mapped to the
//! directories that it would use.

mod devices;
mod files;
mod hierarchies;
mod place;
mod setting;
mod shown;
pub mod stats;
mod threads;
mod v1;
mod v2;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use oci_spec::runtime::LinuxResources;
use serde::{Deserialize, Serialize};

use crate::{ContainerError, Result};
use hierarchies::Hierarchies;
pub use place::Place;
use setting::Step;

/// How long processes that were killed may keep a group from being removed.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Versions of the control groups' interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    /// One hierarchy per controller (`man 7 cgroups`, *Cgroups version 1*).
    #[default]
    V1,
    /// One hierarchy for all.
    V2,
}

/// One container's groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    /// Of which interface.
    pub version: Version,
    /// Its directory in the hierarchy of each controller; the one of version 2 has an empty name.
    pub directories: BTreeMap<String, PathBuf>,
    /// Where the threads of the sandbox's own are counted, if the spec limits the guest's: in
    /// `directories` only the sandbox's first thread is, since that limit is the guest's.
    pub threads: Option<PathBuf>,
}

impl Cgroup {
    /// Makes the groups and sets their limits. None: the host has no control groups, or this user
    /// may not make any and no limit is asked for.
    ///
    /// # Errors
    /// [`ContainerError::Path`] and [`ContainerError::Cgroup`], naming the file; nothing is left then.
    pub fn create(place: &Place<'_>, resources: Option<&LinuxResources>) -> Result<Option<Cgroup>> {
        let hierarchies = Hierarchies::of_host()?;
        let steps = match resources {
            Some(resources) => steps(hierarchies.version, resources)?,
            None => Vec::new(),
        };
        let cgroup = Cgroup::make(&hierarchies, place, &steps)?;
        let set = cgroup.set_up(&hierarchies, &steps, resources);
        match set {
            Ok(cgroup) => Ok(cgroup),
            Err(error) => {
                let _ = cgroup.remove();
                Err(error)
            }
        }
    }

    /// Every directory that [`Cgroup::create`] might make at this place.
    ///
    /// # Errors
    /// [`ContainerError::Path`] when the host's control groups can't be read.
    pub fn planned(place: &Place<'_>) -> Result<Cgroup> {
        let hierarchies = Hierarchies::of_host()?;
        let directories: BTreeMap<String, PathBuf> = hierarchies
            .all
            .iter()
            .flat_map(|h| {
                h.names
                    .iter()
                    .map(|name| (name.clone(), place.directory(h)))
            })
            .collect();
        let threads = directories.get("pids").map(|pids| threads::apart(pids));
        Ok(Cgroup {
            version: hierarchies.version,
            directories,
            threads,
        })
    }

    /// Makes a directory in each hierarchy where that is possible.
    fn make(hierarchies: &Hierarchies, place: &Place<'_>, steps: &[Step]) -> Result<Cgroup> {
        let mut cgroup = Cgroup {
            version: hierarchies.version,
            ..Cgroup::default()
        };
        for hierarchy in &hierarchies.all {
            let directory = place.directory(hierarchy);
            match fs::create_dir_all(&directory) {
                Ok(()) => {
                    for name in &hierarchy.names {
                        cgroup.directories.insert(name.clone(), directory.clone());
                    }
                }
                Err(error) => {
                    let needed = steps.iter().filter(|step| step.matters());
                    let needed = needed
                        .map(Step::controller)
                        .any(|controller| hierarchy.names.iter().any(|name| controller == name));
                    if needed && !place.lenient {
                        let _ = cgroup.remove();
                        return Err(ContainerError::path("make control group", directory)(error));
                    }
                    tracing::info!(directory = %directory.display(), %error, "no control group");
                }
            }
        }
        Ok(cgroup)
    }

    fn set_up(
        &self,
        hierarchies: &Hierarchies,
        steps: &[Step],
        resources: Option<&LinuxResources>,
    ) -> Result<Option<Cgroup>> {
        if self.directories.is_empty() {
            if let Some(step) = steps.iter().find(|step| step.matters()) {
                return step.refuse_or_warn(self.version).map(|()| None);
            }
            return Ok(None);
        }
        let mut cgroup = self.clone();
        match self.version {
            Version::V1 => {
                if let (Some(directory), Some(root)) = (
                    self.directories.get("cpuset"),
                    hierarchies.mount_point("cpuset"),
                ) {
                    v1::inherit_cpuset(root, directory);
                }
                if let Some(resources) = resources {
                    cgroup.count_threads_apart(resources)?;
                }
            }
            Version::V2 => {
                if let Some(directory) = self.directories.get("") {
                    v2::enable_controllers(&hierarchies.all, directory);
                }
            }
        }
        setting::apply(&cgroup, steps)?;
        Ok(Some(cgroup))
    }

    /// Sets limits anew, for a container whose sandbox is the process `sandbox`.
    ///
    /// # Errors
    /// [`ContainerError::Cgroup`] and [`ContainerError::Path`], naming the file.
    pub fn update(&mut self, resources: &LinuxResources, sandbox: i32) -> Result<()> {
        let steps = steps(self.version, resources)?;
        if self.version == Version::V1 {
            self.count_threads_apart(resources)?;
            self.move_threads_apart(sandbox)?;
        }
        setting::apply(self, &steps)
    }

    /// The files that take the id of a process that is to be in all groups.
    ///
    /// # Errors
    /// [`ContainerError::Path`].
    pub fn joinable(&self) -> Result<Vec<OwnedFd>> {
        let mut directories: Vec<&PathBuf> = self
            .directories
            .iter()
            .map(|(name, directory)| match (&self.threads, name.as_str()) {
                (Some(threads), "pids") => threads,
                _ => directory,
            })
            .collect();
        directories.sort();
        directories.dedup();
        directories
            .into_iter()
            .map(|directory| {
                let path = directory.join("cgroup.procs");
                File::options()
                    .write(true)
                    .open(&path)
                    .map(OwnedFd::from)
                    .map_err(ContainerError::path("open", path))
            })
            .collect()
    }

    /// Lets everything in the groups run that somebody has frozen there: version 1 keeps it from being killed.
    pub fn thaw(&self) {
        let (file, value) = match self.version {
            Version::V1 => ("freezer.state", "THAWED"),
            Version::V2 => ("cgroup.freeze", "0"),
        };
        let path = self.directory("freezer").map(|group| group.join(file));
        if let Some(path) = path.filter(|path| path.exists())
            && let Err(error) = files::write(&path, value)
        {
            // Nobody who may not thaw it has frozen it, most likely.
            tracing::warn!("{error}");
        }
    }

    /// Removes the groups, once what was in them has ended.
    ///
    /// # Errors
    /// [`ContainerError::Path`] when something lives in them.
    pub fn remove(&self) -> Result<()> {
        let deadline = Instant::now() + REMOVE_TIMEOUT;
        let mut directories: Vec<&PathBuf> = self.directories.values().collect();
        directories.extend(&self.threads);
        directories.sort();
        directories.dedup();
        directories
            .into_iter()
            .try_for_each(|directory| remove_directory(directory, deadline))
    }

    /// The files of usage, limit and statistics of its memory; none if there is no such group.
    #[must_use]
    pub fn memory_files(&self) -> Option<[OwnedFd; 3]> {
        let names = match self.version {
            Version::V1 => ["usage_in_bytes", "limit_in_bytes", "stat"],
            Version::V2 => ["current", "max", "stat"],
        };
        let directory = self.directory("memory")?;
        let open = |name| {
            let path = directory.join(format!("memory.{name}"));
            File::open(path).ok().map(OwnedFd::from)
        };
        let [usage, limit, stat] = names;
        Some([open(usage)?, open(limit)?, open(stat)?])
    }

    /// The directory of one controller.
    #[must_use]
    pub fn directory(&self, controller: &str) -> Option<&Path> {
        let name = match self.version {
            Version::V1 => controller,
            Version::V2 => "",
        };
        self.directories.get(name).map(PathBuf::as_path)
    }
}

fn steps(version: Version, resources: &LinuxResources) -> Result<Vec<Step>> {
    match version {
        Version::V1 => v1::steps(resources),
        Version::V2 => v2::steps(resources),
    }
}

/// Removes a group and those below it. Processes that are just ending keep it for a moment.
fn remove_directory(directory: &Path, deadline: Instant) -> Result<()> {
    let mut pause = Duration::from_millis(1);
    loop {
        match fs::remove_dir(directory) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if Instant::now() >= deadline => {
                return Err(ContainerError::path("remove control group", directory)(
                    error,
                ));
            }
            Err(_) => {}
        }
        let below = fs::read_dir(directory).into_iter().flatten().flatten();
        for entry in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            let _ = fs::remove_dir(entry.path());
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
