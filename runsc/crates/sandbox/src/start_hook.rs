//! `startContainer` hooks: programs of the container's own image, run inside before its init process loads, with the
//! init process's user, capabilities and directory (runtime-spec, *Hooks*).

use std::os::fd::OwnedFd;
use std::time::Duration;

use control::{Process, StartHook};

use crate::guest::Running;

/// The standard descriptors of one hook: the state to read, and two that take what it says.
pub(crate) type HookFiles = [OwnedFd; 3];

/// Sorts a request's descriptors by hook; none when their number is not three for each.
pub(crate) fn sort_files(hooks: usize, fds: Vec<OwnedFd>) -> Option<Vec<HookFiles>> {
    let mut fds = fds.into_iter();
    let mut sorted = Vec::new();
    for _ in 0..hooks {
        sorted.push([fds.next()?, fds.next()?, fds.next()?]);
    }
    fds.next().is_none().then_some(sorted)
}

/// The hook as a process.
pub(crate) fn process(hook: &StartHook, init: &Process) -> Process {
    let args = match hook.args.is_empty() {
        true => vec![hook.path.clone()],
        false => hook.args.clone(),
    };
    Process {
        args,
        env: hook.env.clone(),
        terminal: false,
        ..init.clone()
    }
}

/// Waits for a hook's end, and kills it after its time.
pub(crate) fn wait(running: &Running, timeout_s: Option<u64>) -> Result<(), String> {
    let status = match timeout_s {
        None => running.wait(),
        Some(seconds) => match running.wait_for(Duration::from_secs(seconds)) {
            Some(status) => status,
            None => {
                running.kill();
                running.wait();
                return Err(format!("timed out after {seconds} s"));
            }
        },
    };
    match status {
        0 => Ok(()),
        status => Err(format!("exit status: {status}")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::OwnedFd;

    use super::sort_files;

    #[test]
    fn descriptors_come_in_threes() {
        let fds = |count: usize| -> Vec<OwnedFd> {
            let open = |_| File::open("/dev/null").unwrap().into();
            (0..count).map(open).collect()
        };
        assert_eq!(sort_files(2, fds(6)).unwrap().len(), 2);
        assert!(sort_files(0, fds(0)).is_some());
        for (hooks, count) in [(2, 5), (2, 7), (0, 1)] {
            assert!(sort_files(hooks, fds(count)).is_none());
        }
    }
}
