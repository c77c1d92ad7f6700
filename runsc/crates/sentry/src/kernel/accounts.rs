//! The home directory that a process from outside starts with: what the accounts file of its root says of its user
//! (`man 5 passwd`), as runc sets it.

use crate::error::Result;
use crate::kernel::task::Task;
use crate::vfs::attr::FileType;
use crate::vfs::file::OpenFlags;
use crate::vfs::io::Sink;
use crate::vfs::mount::MountNamespace;
use crate::vfs::walk::{Resolver, WalkFlags};

/// What is read of the file; a user behind that has no entry.
const MAX_FILE: usize = 4 << 20;
/// Longest directory that is taken (`limits.h`, `PATH_MAX`).
const MAX_HOME: usize = 4096;
/// The home of whoever has no entry.
const NO_HOME: &[u8] = b"/";
const HOME: &[u8] = b"HOME=";

/// Adds HOME to an environment that has none, or an empty one.
pub(super) fn add_home(
    task: &Task,
    mounts: &MountNamespace,
    accounts: &[u8],
    envp: &mut Vec<Vec<u8>>,
) {
    let given = envp.iter().rposition(|pair| pair.starts_with(HOME));
    if given.is_some_and(|index| envp[index] != HOME) {
        return;
    }
    let text = read(task, mounts, accounts).unwrap_or_else(|errno| {
        tracing::debug!(?errno, "there are no accounts to take HOME from");
        Vec::new()
    });
    let home = home_of(&text, task.credentials().uid).unwrap_or(NO_HOME);
    let pair = [HOME, home].concat();
    match given {
        Some(index) => envp[index] = pair,
        None => envp.push(pair),
    }
}

/// Reads the front of a regular file, whoever may: it is the kernel that asks.
fn read(task: &Task, mounts: &MountNamespace, path: &[u8]) -> Result<Vec<u8>> {
    let found = Resolver::of_namespace(mounts).resolve(path, WalkFlags::FOLLOW)?;
    if found.inode().kind()? != FileType::Regular {
        return Err(abi::Errno::EINVAL);
    }
    let file = found.inode().clone().open(OpenFlags::empty(), task)?;
    let mut text = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    while text.len() < MAX_FILE {
        let mut sink = Sink::Kernel(&mut chunk);
        let len = file.read(task, &mut sink, text.len() as u64)?;
        if len == 0 {
            break;
        }
        text.extend_from_slice(&chunk[..len.min(chunk.len())]);
    }
    Ok(text)
}

/// The home directory of the first account with this id; what is no account is skipped.
fn home_of(text: &[u8], uid: u32) -> Option<&[u8]> {
    text.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .find_map(|line| {
            let mut fields = line.split(|byte| *byte == b':');
            let id = std::str::from_utf8(fields.nth(2)?).ok()?;
            let is_it = id.parse::<u32>().is_ok_and(|id| id == uid);
            // A line that ends early has an empty home.
            is_it.then(|| fields.nth(2).unwrap_or_default())
        })
        .filter(|home| home.len() < MAX_HOME && !home.contains(&0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::home_of;

    #[test]
    fn the_first_account_of_the_user_counts() {
        let text = b"# comment\nroot:x:0:0:root:/root:/bin/sh\n\n\
            \tindented:x:7:0::/seven:/bin/sh\nzero:x:0:0::/other:/bin/sh\n\
            short:x:8\nempty:x:9:0:::/bin/sh\nword:x:ten:0::/ten:/bin/sh\n\
            zeros:x:0011:1:1:/eleven\nlast:x:12:1::/twelve";
        let cases: [(u32, Option<&[u8]>); 8] = [
            (0, Some(b"/root")),
            (7, Some(b"/seven")),
            (8, Some(b"")),
            (9, Some(b"")),
            (10, None),
            (11, Some(b"/eleven")),
            (12, Some(b"/twelve")),
            (13, None),
        ];
        for (uid, home) in cases {
            assert_eq!(home_of(text, uid), home, "{uid}");
        }
    }

    #[test]
    fn homes_that_are_no_paths_are_not_taken() {
        let long = [b"a:x:1:1::/", "x".repeat(5000).as_bytes(), b":\n"].concat();
        assert_eq!(home_of(&long, 1), None);
        assert_eq!(home_of(b"a:x:1:1::/h\0ome:\n", 1), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(text: Vec<u8>, uid: u32) {
            let home = home_of(&text, uid);
            prop_assert!(home.is_none_or(|home| !home.contains(&b'\n') && !home.contains(&b':')));
        }

        #[test]
        fn an_account_is_found_among_others(
            before in "([a-z]{1,8}:x:[0-9]{1,4}:1::/o:/s\n)*",
            uid in 10_000u32..,
            home in "/[a-z0-9/ ]{0,40}[a-z]",
            after: Vec<u8>,
        ) {
            let text = [format!("{before}me:x:{uid}:1:My Name:{home}:/bin/sh\n").as_bytes(), &after].concat();
            prop_assert_eq!(home_of(&text, uid), Some(home.as_bytes()));
        }
    }
}
