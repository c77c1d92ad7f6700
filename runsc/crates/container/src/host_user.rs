//! The user that a container's sandbox and exec watchers are on the host, outside of their user namespaces.
//!
//! Where `/etc/subuid` and `/etc/subgid` give the user [`OWNER`] a range (`man 5 subuid`), each container is somebody
//! else: what the host limits by user, and signals, do not cross from one sandbox to another. An id is taken as long
//! as somebody holds a shared lock on its file in [`LOCKS`], one place for all state directories. The gofer, the
//! sandbox and the watchers each hold one of their own: the last end gives the id back, however it came about, and a
//! compromised sandbox can let go of nothing but its own. Without a range, all containers are nobody.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{getegid, geteuid};
use serde::{Deserialize, Serialize};

use crate::{ContainerError, Result};

/// The user that the sandbox is in its user namespace, and outside too where there is no other.
pub(crate) const NOBODY: u32 = 65534;
/// In whose name the range is written down; no account needs to have that name.
const OWNER: &str = "runsc";
const SUBUID: &str = "/etc/subuid";
const SUBGID: &str = "/etc/subgid";
/// The locks, one file for each id that was ever used since the host's boot.
const LOCKS: &str = "/run/runsc-ids";
/// The lock of whoever looks for an id that is free.
const CHOOSING: &str = "lock";

/// A user and a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostUser {
    /// The user's id.
    pub uid: u32,
    /// The group's.
    pub gid: u32,
}

impl HostUser {
    /// Whom all containers share: nobody where this process may choose, else this process's own user. Root of a
    /// small user namespace has no nobody.
    #[must_use]
    pub fn shared() -> HostUser {
        let choose = |map: &str, own: u32| {
            if geteuid().is_root() && holds(&own_map(map), NOBODY) {
                NOBODY
            } else {
                own
            }
        };
        HostUser {
            uid: choose("uid_map", geteuid().as_raw()),
            gid: choose("gid_map", getegid().as_raw()),
        }
    }

    /// A descriptor that keeps the user taken until its last copy is closed; none for one that is shared.
    ///
    /// # Errors
    /// [`ContainerError::Path`].
    pub fn hold(self) -> Result<Option<OwnedFd>> {
        let path = self.lock_in(Path::new(LOCKS));
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(ContainerError::path("open", &path))?,
        };
        // Where it is somebody's who looks whether it is free, the container has ended.
        Ok(lock(&file, FlockOperation::NonBlockingLockShared, &path)?.then(|| file.into()))
    }

    fn lock_in(self, directory: &Path) -> PathBuf {
        directory.join(self.uid.to_string())
    }
}

/// A container's user, taken while this lives.
#[derive(Debug)]
pub struct Claim {
    user: HostUser,
    _lock: Option<File>,
}

impl Claim {
    /// Takes a user that no other container has, if there is a range of them.
    ///
    /// # Errors
    /// [`ContainerError::NoUserLeft`] when all are taken: whoever wrote the range down wants no two containers to be
    /// the same. [`ContainerError::Path`].
    pub fn new() -> Result<Claim> {
        let users = of_range()?;
        if users.is_empty() {
            return Ok(Claim {
                user: HostUser::shared(),
                _lock: None,
            });
        }
        claim_in(Path::new(LOCKS), &users)
    }

    /// Whom.
    #[must_use]
    pub fn user(&self) -> HostUser {
        self.user
    }
}

fn claim_in(directory: &Path, users: &Users) -> Result<Claim> {
    make(directory)?;
    let path = directory.join(CHOOSING);
    let choosing = open(&path)?;
    lock(&choosing, FlockOperation::LockExclusive, &path)?;
    for user in users.each() {
        let path = user.lock_in(directory);
        let file = open(&path)?;
        if lock(&file, FlockOperation::NonBlockingLockExclusive, &path)? {
            // This lets go of it for a moment, in which nobody else chooses.
            lock(&file, FlockOperation::LockShared, &path)?;
            return Ok(Claim {
                user,
                _lock: Some(file),
            });
        }
    }
    Err(ContainerError::NoUserLeft(users.each().count()))
}

fn make(directory: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(ContainerError::path("make directory", directory)),
    }
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(ContainerError::path("open", path))
}

/// Whether the lock could be had.
fn lock(file: &File, operation: FlockOperation, path: &Path) -> Result<bool> {
    loop {
        match flock(file, operation) {
            Ok(()) => return Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(ContainerError::path("lock", path)(error.into())),
        }
    }
}

/// The users to choose from: the nth user has the nth group.
#[derive(Debug, Default, PartialEq)]
struct Users {
    uids: Vec<Range<u32>>,
    gids: Vec<Range<u32>>,
}

impl Users {
    fn is_empty(&self) -> bool {
        self.each().next().is_none()
    }

    fn each<'a>(&'a self) -> impl Iterator<Item = HostUser> + use<'a> {
        let ids = |ranges: &'a [Range<u32>]| ranges.iter().cloned().flatten();
        let pairs = ids(&self.uids).zip(ids(&self.gids));
        pairs.map(|(uid, gid)| HostUser { uid, gid })
    }
}

/// Those of [`OWNER`] that this process's user namespace knows; only root may be anybody else.
fn of_range() -> Result<Users> {
    if !geteuid().is_root() {
        return Ok(Users::default());
    }
    let (uids, gids) = (written(SUBUID)?, written(SUBGID)?);
    if uids.is_empty() != gids.is_empty() {
        tracing::warn!(
            "{OWNER} has a range in one of {SUBUID} and {SUBGID} alone: all containers are the same user"
        );
    }
    Ok(Users {
        uids: common(&uids, &own_map("uid_map")),
        gids: common(&gids, &own_map("gid_map")),
    })
}

fn written(path: &str) -> Result<Vec<Range<u32>>> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        text => text
            .map(|text| subordinate(&text))
            .map_err(ContainerError::path("read", path)),
    }
}

/// The ranges of [`OWNER`], without root. Lines of another form are not its.
fn subordinate(text: &str) -> Vec<Range<u32>> {
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let mut number = || fields.next()?.parse::<u32>().ok();
        let (first, count) = (number()?, number()?);
        let range = first.max(1)..first.saturating_add(count);
        (fields.next().is_none() && !range.is_empty()).then_some(range)
    };
    text.lines()
        .filter_map(|line| line.trim().strip_prefix(OWNER)?.strip_prefix(':'))
        .filter_map(range)
        .collect()
}

/// The ids of this process's user namespace (`man 7 user_namespaces`).
fn own_map(map: &str) -> Vec<Range<u32>> {
    let text = fs::read_to_string(format!("/proc/self/{map}")).unwrap_or_default();
    let range = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let (first, count) = (numbers.next()?.ok()?, numbers.nth(1)?.ok()?);
        Some(first..first.saturating_add(count))
    };
    text.lines().filter_map(range).collect()
}

fn holds(ranges: &[Range<u32>], id: u32) -> bool {
    ranges.iter().any(|range| range.contains(&id))
}

fn common(wanted: &[Range<u32>], known: &[Range<u32>]) -> Vec<Range<u32>> {
    let pairs = wanted
        .iter()
        .flat_map(|wanted| known.iter().map(move |known| (wanted, known)));
    pairs
        .map(|(wanted, known)| wanted.start.max(known.start)..wanted.end.min(known.end))
        .filter(|range| !range.is_empty())
        .collect()
}

#[cfg(test)]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "lists of ranges are what is tested"
)]
mod tests {
    use super::{HostUser, Users, claim_in, common, subordinate};
    use crate::ContainerError;

    #[test]
    fn ranges_are_read_as_they_are_written() {
        let text =
            "root:1:5\n runsc:100:3 \nrunscx:7:7\n#runsc:8:8\nrunsc:0:2\nrunsc:4294967290:100\n";
        assert_eq!(
            subordinate(text),
            [100..103, 1..2, 4_294_967_290..4_294_967_295]
        );
        for bad in [
            "",
            "runsc",
            "runsc:",
            "runsc:1",
            "runsc:a:1",
            "runsc:1:-1",
            "runsc:1:2:3",
            "runsc:9:0",
            "runsc:0:1",
        ] {
            assert_eq!(subordinate(bad), [], "{bad}");
        }
        assert_eq!(common(&[5..10, 20..30], &[0..7, 25..100]), [5..7, 25..30]);
        assert_eq!(common(&[5..10], &[10..20]), []);
    }

    #[test]
    fn each_user_is_taken_once_until_it_is_given_back() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("ids");
        let users = Users {
            uids: vec![10..11, 20..22],
            gids: vec![30..40],
        };
        let claims: Vec<_> = (0..3).map(|_| claim_in(&place, &users).unwrap()).collect();
        let taken: Vec<_> = claims
            .iter()
            .map(|claim| (claim.user.uid, claim.user.gid))
            .collect();
        assert_eq!(taken, [(10, 30), (20, 31), (21, 32)]);
        let full = claim_in(&place, &users).unwrap_err();
        assert!(matches!(full, ContainerError::NoUserLeft(3)), "{full}");
        let [_first, second, _third] = <[_; 3]>::try_from(claims).unwrap();
        drop(second);
        let again = claim_in(&place, &users).unwrap();
        assert_eq!(again.user, HostUser { uid: 20, gid: 31 });
    }

    #[test]
    fn users_that_are_chosen_at_once_differ() {
        let directory = tempfile::tempdir().unwrap();
        let users = Users {
            uids: vec![1..9],
            gids: vec![1..9],
        };
        let claims: Vec<_> = std::thread::scope(|scope| {
            let choose = || claim_in(&directory.path().join("ids"), &users).unwrap();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(choose)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let mut uids: Vec<_> = claims.iter().map(|claim| claim.user.uid).collect();
        uids.sort_unstable();
        assert_eq!(uids, (1..9).collect::<Vec<_>>());
    }
}
