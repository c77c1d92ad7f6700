//! Operations that take long, or for ever, until they are killed: one name each, for the behaviour tests
//! (`killable::`), and as `helper long NAME` for whoever kills a whole container.

mod files;
mod many;
mod memory;
mod queues;
pub(crate) mod system;
mod waits;

use std::convert::Infallible;

use crate::case::Failure;
use crate::support::map::Map;
use crate::support::process;
use crate::sys::SysError;

/// An operation comes to no end; what it returns is why it could not begin.
pub(crate) type Endless = Result<Infallible, Failure>;

/// Runs an operation, after `begun` was called.
type Operation = fn(begun: &dyn Fn()) -> Endless;

/// All of them.
pub(crate) const OPERATIONS: &[(&str, Operation)] = &[
    ("sendfile", files::sendfile),
    ("splice", files::splice),
    ("read", files::read),
    ("writev", files::writev),
    ("seek", files::seek),
    ("readdir", files::readdir),
    ("deep_directories", files::deep_directories),
    ("sent_descriptors", files::sent_descriptors),
    ("getrandom", memory::getrandom),
    ("process_vm_readv", memory::process_vm_readv),
    ("mprotect", memory::mprotect),
    ("madvise", memory::madvise),
    ("mincore", memory::mincore),
    ("populate", memory::populate),
    ("maps", memory::maps),
    ("fork", memory::fork),
    ("robust_list", memory::robust_list),
    ("full_pipe", waits::full_pipe),
    ("poll", waits::poll),
    ("epoll", waits::epoll),
    ("futex", waits::futex),
    ("flock", waits::flock),
    ("semop", waits::semop),
    ("vfork", waits::vfork),
    ("stopped", waits::stopped),
    ("all_signals_blocked", waits::all_signals_blocked),
    ("interval_timer", system::interval_timer),
    ("exit_stop", system::exit_stop),
    ("mount_propagation", system::mount_propagation),
    ("pivot_root", system::pivot_root),
    ("kill_group", many::kill_group),
    ("kill_everyone", many::kill_everyone),
    ("priorities", many::priorities),
    ("wait_children", many::wait_children),
    ("proc_of_all", many::proc_of_all),
    ("futex_requeue", many::futex_requeue),
    ("posix_timers", many::posix_timers),
    ("script_chain", many::script_chain),
    ("exec_arguments", many::exec_arguments),
    ("seccomp_chain", many::seccomp_chain),
    ("mqueue", queues::mqueue),
    ("msgrcv", queues::msgrcv),
    ("nested_epoll", queues::nested_epoll),
    ("inotify", queues::inotify),
    ("record_locks", queues::record_locks),
    ("aio", queues::aio),
    ("fifo", queues::fifo),
];

/// Runs the named operation; the reason why it could not begin.
pub(crate) fn run(name: &str, begun: &dyn Fn()) -> Failure {
    match OPERATIONS.iter().find(|(other, _)| *other == name) {
        Some((_, operation)) => match operation(begun) {
            Ok(never) => match never {},
            Err(failure) => failure,
        },
        None => Failure::Failed(format!("there is no operation {name}")),
    }
}

/// Calls `round` for ever.
fn for_ever(begun: &dyn Fn(), mut round: impl FnMut() -> Result<(), SysError>) -> Endless {
    begun();
    loop {
        round()?;
    }
}

/// Waits in a child until its parent ends, and ends with it.
fn wait_for_the_end_of(parent: i32) -> ! {
    let _ = sys!(SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
    // A parent that ended before the request sends nothing.
    while sys!(SYS_getppid).is_ok_and(|pid| pid == i64::from(parent)) {
        let _ = sys!(SYS_pause);
    }
    process::exit_now(0)
}

/// Memory in many areas, every second page of which may be written.
fn areas() -> Result<Map, SysError> {
    const PAGES: usize = 20_000;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let map = Map::new(PAGES * 4096, libc::PROT_READ, flags, -1, 0)?;
    for page in (0..PAGES).step_by(2) {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        sys!(SYS_mprotect, map.addr() + page * 4096, 4096, access)?;
    }
    Ok(map)
}
