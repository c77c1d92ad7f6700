//! Whatever a process does, SIGKILL ends it, and soon; and what would take for ever is refused.

use crate::case::{Failure, Outcome};
use crate::long::{self, system};
use crate::support::fd;
use crate::support::file::{TempDir, cstring};
use crate::support::process::{self, in_child};
use crate::support::time;

cases!(
    long_operations_end_with_a_kill,
    pivot_root_above_the_root_is_einval,
    mounts_end_at_mount_max,
    pid_namespaces_nest_32_deep,
);

/// How long an end may take, on a machine that does other things too.
const LIMIT_NS: i64 = 10_000_000_000;

fn long_operations_end_with_a_kill() -> Outcome {
    let mut late = Vec::new();
    for (name, _) in long::OPERATIONS {
        match time_to_end(name) {
            Ok(ns) if ns < LIMIT_NS => {}
            Ok(ns) => late.push(format!("{name}: {} ms", ns / 1_000_000)),
            Err(Failure::Skipped(_)) => {}
            Err(failure) => late.push(format!("{name}: {failure}")),
        }
    }
    check_eq!(late, Vec::<String>::new());
    Ok(())
}

/// How long a child that performs the operation takes to end once it is killed.
fn time_to_end(name: &str) -> Result<i64, Failure> {
    let (reader, writer) = fd::pipe(libc::O_CLOEXEC)?;
    let mut child = process::fork(move || {
        process::new_group();
        let begun = || {
            let _ = writer.write(b"b");
        };
        let failure = long::run(name, &begun);
        let tag = if matches!(failure, Failure::Skipped(_)) {
            "s"
        } else {
            "f"
        };
        let _ = writer.write(format!("{tag}{failure}").as_bytes());
        0
    })?;
    let report = String::from_utf8_lossy(&reader.read(1000)?).into_owned();
    if let Some(why) = report.strip_prefix('s') {
        return Err(Failure::Skipped(why.to_owned()));
    }
    if report != "b" {
        return Err(Failure::Failed(format!("did not begin: {report}")));
    }
    time::sleep_ms(20);
    let before = time::monotonic_ns();
    child.kill(libc::SIGKILL)?;
    let status = child.wait()?;
    let taken = time::monotonic_ns() - before;
    // What it has started.
    let _ = sys!(SYS_kill, -child.pid, libc::SIGKILL);
    check_eq!(status.signal(), Some(libc::SIGKILL));
    Ok(taken)
}

fn pivot_root_above_the_root_is_einval() -> Outcome {
    let directory = TempDir::new()?;
    in_child(|| {
        if !system::own_mounts(&directory)? {
            skip!("needs the privilege to mount");
        }
        system::leave_root()?;
        errno_is!(sys!(SYS_pivot_root, &cstring("."), &cstring("put")), EINVAL);
        errno_is!(sys!(SYS_pivot_root, &cstring("."), &cstring("in")), EBUSY);
        Ok(())
    })
}

/// Mounts in the table of the calling process.
fn nr_mounts() -> Result<usize, Failure> {
    Ok(std::fs::read_to_string("/proc/self/mountinfo")?
        .lines()
        .count())
}

fn mounts_end_at_mount_max() -> Outcome {
    let directory = TempDir::new()?;
    in_child(|| {
        if !system::own_mounts(&directory)? {
            skip!("needs the privilege to mount");
        }
        system::shared_tree()?;
        // Each mount of the tree receives all that is bound.
        let mut tree = 1;
        for index in 0..4 {
            let before = nr_mounts()?;
            system::bind_into_itself(index)??;
            let more = tree * if index == 0 { 1 } else { tree };
            check_eq!(nr_mounts()?, before + more);
            tree += more;
        }
        let before = nr_mounts()?;
        errno_is!(system::bind_into_itself(4)?, ENOSPC);
        check_eq!(nr_mounts()?, before);
        Ok(())
    })
}

fn pid_namespaces_nest_32_deep() -> Outcome {
    if sys!(SYS_unshare, libc::CLONE_NEWPID).is_err() {
        skip!("needs the privilege to make namespaces");
    }
    let deepest = process::status_of(|| descend(1))?;
    let code = deepest.code().unwrap_or_default();
    // This process may be in some already.
    check!((20..=32).contains(&code));
    Ok(())
}

/// The first process of a namespace that is `level` deep makes those below it: how many there are at the end.
fn descend(level: i32) -> i32 {
    match sys!(SYS_unshare, libc::CLONE_NEWPID) {
        Ok(_) if level < 40 => {
            let below = process::status_of(|| descend(level + 1));
            below.ok().and_then(process::Status::code).unwrap_or(99)
        }
        Ok(_) => 98,
        Err(error) if error.errno == libc::ENOSPC => level,
        Err(_) => 97,
    }
}
