//! The state directory: one JSON file per container, written atomically, guarded by a lock file.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use control::Process;
use host::denied_call::LAST_WORDS_BYTES;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::cgroups::Cgroup;
use crate::hooks::SavedHooks;
use crate::host_user::HostUser;
use crate::process_ref::ProcessRef;
use crate::{ContainerError, Result, id};

/// What the name of a file ends with that names control groups without a container.
const GROUPS: &str = "groups";
/// The same, of a file that keeps why a container's processes ended.
const LAST_WORDS: &str = "last-words";
/// Version of the file's form.
const VERSION: u32 = 1;

/// What is known of a container between commands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Version of this form.
    pub version: u32,
    /// The container's id.
    pub id: String,
    /// Version of the specification that its `config.json` names.
    pub oci_version: String,
    /// Its bundle.
    pub bundle: PathBuf,
    /// Its root file system on the host.
    pub rootfs: PathBuf,
    /// When it was created, RFC 3339.
    pub created: String,
    /// The name of the user who created it.
    pub owner: String,
    /// Annotations of its spec.
    pub annotations: BTreeMap<String, String>,
    /// Whether `start` has succeeded.
    pub started: bool,
    /// The sandbox.
    pub sandbox: ProcessRef,
    /// The gofer.
    pub gofer: ProcessRef,
    /// Who they are outside of their user namespaces; of a state that does not say, whom all share.
    #[serde(default = "HostUser::shared")]
    pub user: HostUser,
    /// The init process, from which `exec` takes its defaults.
    pub process: Process,
    /// Its control groups, if it has any of its own.
    #[serde(default)]
    pub cgroup: Option<Cgroup>,
    /// Whether `pause` stopped it and `resume` has not been called since.
    #[serde(default)]
    pub paused: bool,
    /// The hooks that are still to be run.
    pub hooks: SavedHooks,
    /// What its user is to be told at its start.
    #[serde(default)]
    pub notices: Vec<String>,
}

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The sandbox is there and has loaded nothing.
    Created,
    /// The init process was started.
    Running,
    /// The init process was started, and all processes were stopped by `pause`.
    Paused,
    /// The sandbox is gone.
    Stopped,
}

impl Status {
    /// The specification's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        }
    }
}

impl State {
    /// The form's current version.
    #[must_use]
    pub const fn version() -> u32 {
        VERSION
    }

    /// Where the container is, judged by whether its sandbox lives.
    #[must_use]
    pub fn status(&self) -> Status {
        match (self.sandbox.is_alive(), self.started) {
            (false, _) => Status::Stopped,
            (true, false) => Status::Created,
            (true, true) if self.paused => Status::Paused,
            (true, true) => Status::Running,
        }
    }
}

/// The state directory.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

/// The right to change one container; given up when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl StateDir {
    /// Uses `path`, without making it.
    #[must_use]
    pub fn new(path: &Path) -> StateDir {
        StateDir {
            path: path.to_owned(),
        }
    }

    /// Makes the directory if need be.
    ///
    /// # Errors
    /// [`ContainerError::Path`].
    pub fn create(&self) -> Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(&self.path)
            .map_err(ContainerError::path("create state directory", &self.path))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self, id: &str, extension: &str) -> PathBuf {
        self.path.join(format!("{}.{extension}", id::file_stem(id)))
    }

    /// Waits for the exclusive right to change container `id`.
    ///
    /// # Errors
    /// [`ContainerError::DoesNotExist`] when there is no state directory.
    pub fn lock(&self, id: &str) -> Result<Lock> {
        id::validate(id)?;
        let path = self.file(id, "lock");
        loop {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .open(&path)
                .map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => ContainerError::DoesNotExist(id.to_owned()),
                    _ => ContainerError::path("open lock file", &path)(error),
                })?;
            flock(&file, FlockOperation::LockExclusive)
                .map_err(|e| ContainerError::path("lock", &path)(e.into()))?;
            // Whoever deleted the container meanwhile has removed the name: then it is another file.
            let ours = file
                .metadata()
                .map_err(ContainerError::path("look at", &path))?
                .ino();
            if fs::metadata(&path).is_ok_and(|named| named.ino() == ours) {
                return Ok(Lock { _file: file });
            }
        }
    }

    /// Like [`StateDir::lock`], for a container that must exist: leaves no lock file where there is none.
    ///
    /// # Errors
    /// [`ContainerError::DoesNotExist`].
    pub fn lock_existing(&self, id: &str) -> Result<Lock> {
        id::validate(id)?;
        if !self.exists(id) {
            return Err(ContainerError::DoesNotExist(id.to_owned()));
        }
        let lock = self.lock(id)?;
        if self.exists(id) {
            return Ok(lock);
        }
        self.remove(id, lock)?;
        Err(ContainerError::DoesNotExist(id.to_owned()))
    }

    /// Whether there is a container of that id.
    #[must_use]
    pub fn exists(&self, id: &str) -> bool {
        self.file(id, "json").exists()
    }

    /// Reads a container's state.
    ///
    /// # Errors
    /// [`ContainerError::DoesNotExist`], [`ContainerError::Parse`].
    pub fn load(&self, id: &str) -> Result<State> {
        id::validate(id)?;
        let path = self.file(id, "json");
        let text = fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ContainerError::DoesNotExist(id.to_owned()),
            _ => ContainerError::path("read", &path)(error),
        })?;
        parse(&path, &text)
    }

    /// Writes a container's state: whole or not at all.
    ///
    /// # Errors
    /// [`ContainerError::Path`].
    pub fn save(&self, state: &State, _lock: &Lock) -> Result<()> {
        let path = self.file(&state.id, "json");
        let text = serde_json::to_vec_pretty(state).map_err(|e| ContainerError::Parse {
            path: path.clone(),
            reason: e.to_string(),
        })?;
        write_atomically(&path, &text, 0o600)
    }

    /// Writes down which control groups a container is about to be given: should whoever creates it be killed, they are
    /// known until [`StateDir::remove`], or until its state, which has them too, is saved.
    ///
    /// # Errors
    /// [`ContainerError::Path`].
    pub fn note_groups(&self, id: &str, groups: &Cgroup, _lock: &Lock) -> Result<()> {
        let path = self.file(id, GROUPS);
        let text = serde_json::to_vec(groups).map_err(|e| ContainerError::Parse {
            path: path.clone(),
            reason: e.to_string(),
        })?;
        write_atomically(&path, &text, 0o600)
    }

    /// The control groups of a container whose creation began and did not end.
    #[must_use]
    pub fn noted_groups(&self, id: &str) -> Option<Cgroup> {
        let text = fs::read(self.file(id, GROUPS)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Opens the file where a process of a container leaves why it ended, where nobody reads that at once.
    ///
    /// # Errors
    /// [`ContainerError::Path`].
    pub fn open_last_words(&self, id: &str) -> Result<OwnedFd> {
        let path = self.file(id, LAST_WORDS);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(ContainerError::path("open", &path))?;
        // Nothing of an earlier container is left in it.
        file.set_len(0)
            .and_then(|()| file.set_len(LAST_WORDS_BYTES))
            .map_err(ContainerError::path("size", &path))?;
        Ok(file.into())
    }

    /// Why a container's processes ended, if that was left behind: a line, of printable characters only, since who
    /// wrote it may have been hostile.
    #[must_use]
    pub fn last_words(&self, id: &str) -> Option<String> {
        let mut bytes = Vec::new();
        let file = File::open(self.file(id, LAST_WORDS)).ok()?;
        file.take(LAST_WORDS_BYTES).read_to_end(&mut bytes).ok()?;
        let line = bytes.split(|byte| matches!(byte, 0 | b'\n')).next()?;
        let printable = line.iter().filter(|byte| matches!(byte, b' '..=b'~'));
        let line: String = printable.map(|byte| char::from(*byte)).collect();
        (!line.is_empty()).then_some(line)
    }

    /// Forgets a container.
    ///
    /// # Errors
    /// [`ContainerError::Path`].
    pub fn remove(&self, id: &str, _lock: Lock) -> Result<()> {
        for extension in ["json", GROUPS, LAST_WORDS, "lock"] {
            let path = self.file(id, extension);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(ContainerError::path("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// All containers, by id. Files that are no states are left out.
    ///
    /// # Errors
    /// [`ContainerError::Path`] when the directory can't be read.
    pub fn list(&self) -> Result<Vec<State>> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(ContainerError::path("list", &self.path))?,
        };
        let mut states: Vec<State> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "json")
            })
            .filter_map(|path| parse(&path, &fs::read(&path).ok()?).ok())
            .collect();
        states.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(states)
    }
}

fn parse(path: &Path, text: &[u8]) -> Result<State> {
    let failed = |reason: String| ContainerError::Parse {
        path: path.to_owned(),
        reason,
    };
    let state: State = serde_json::from_slice(text).map_err(|e| failed(e.to_string()))?;
    id::validate(&state.id)?;
    if state.version != VERSION {
        return Err(failed(format!(
            "form {} is not this program's form {VERSION}",
            state.version
        )));
    }
    Ok(state)
}

/// Writes a file under a temporary name and renames it.
///
/// # Errors
/// [`ContainerError::Path`].
pub fn write_atomically(path: &Path, text: &[u8], mode: u32) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(text)?;
        drop(file);
        fs::rename(&temporary, path)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&temporary);
        ContainerError::path("write", path)(error)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{State, StateDir, Status, parse};
    use crate::ContainerError;
    use crate::host_user::HostUser;
    use crate::process_ref::ProcessRef;

    fn state(id: &str) -> State {
        State {
            version: 1,
            id: id.to_owned(),
            oci_version: "1.0.2".into(),
            bundle: "/b".into(),
            rootfs: "/b/rootfs".into(),
            created: "2026-01-01T00:00:00Z".into(),
            owner: "root".into(),
            annotations: [("a".to_owned(), "b".to_owned())].into(),
            started: false,
            sandbox: ProcessRef::of(i32::try_from(std::process::id()).unwrap()),
            gofer: ProcessRef::default(),
            user: HostUser { uid: 7, gid: 8 },
            process: control::Process::default(),
            cgroup: None,
            paused: false,
            hooks: crate::hooks::SavedHooks::default(),
            notices: Vec::new(),
        }
    }

    #[test]
    fn a_state_comes_back_as_it_was_saved() {
        let base = tempfile::tempdir().unwrap();
        let directory = StateDir::new(&base.path().join("new"));
        assert!(matches!(
            directory.lock("c"),
            Err(ContainerError::DoesNotExist(_))
        ));
        directory.create().unwrap();
        let long = "x".repeat(1024);
        for id in ["c", &long] {
            let lock = directory.lock(id).unwrap();
            directory.save(&state(id), &lock).unwrap();
            assert_eq!(directory.load(id).unwrap(), state(id));
        }
        assert_eq!(directory.list().unwrap().len(), 2);
        let lock = directory.lock("c").unwrap_or_else(|_| unreachable!());
        directory.remove("c", lock).unwrap();
        assert!(matches!(
            directory.load("c"),
            Err(ContainerError::DoesNotExist(_))
        ));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn last_words_are_one_printable_line_of_this_container() {
        let base = tempfile::tempdir().unwrap();
        let directory = StateDir::new(base.path());
        assert_eq!(directory.last_words("c"), None);
        for (written, read) in [
            (&b""[..], None),
            (b"why\nnot\0", Some("why")),
            (b"\x1b[2Jto\xffo\0late", Some("[2Jtoo")),
            (&[b'a'; 9000], Some(&*"a".repeat(4096))),
        ] {
            drop(directory.open_last_words("c").unwrap());
            assert_eq!(directory.last_words("c"), None);
            std::fs::write(directory.file("c", "last-words"), written).unwrap();
            assert_eq!(directory.last_words("c").as_deref(), read);
        }
        let lock = directory.lock("c").unwrap();
        directory.remove("c", lock).unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_status_follows_the_sandbox() {
        let mut state = state("c");
        assert_eq!(state.status(), Status::Created);
        state.started = true;
        assert_eq!(state.status(), Status::Running);
        state.paused = true;
        assert_eq!(state.status(), Status::Paused);
        state.sandbox.start_ticks += 1;
        assert_eq!(state.status(), Status::Stopped);
    }

    proptest! {
        #[test]
        fn damaged_files_are_errors(cut in any::<usize>(), with in any::<u8>()) {
            let mut text = serde_json::to_vec(&state("c")).unwrap();
            let at = cut % text.len();
            text[at] = with;
            let _ = parse("s".as_ref(), &text);
            assert!(parse("s".as_ref(), &text[..at]).is_err());
        }
    }
}
