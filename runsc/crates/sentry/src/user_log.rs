//! What the container's user should read: why something does not work here that does elsewhere. It goes to the log as
//! everything does, under a target of its own, and from there to the file of `--user-log`.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::kernel::task::Task;
use crate::syscalls::args::SyscallArgs;
use crate::syscalls::table::{Call, Support};

/// The target of its events.
pub const TARGET: &str = "user";

/// Calls that were spoken of, a bit for each number; those beyond share the last.
#[derive(Debug, Default)]
pub struct Told([AtomicU64; 8]);

/// Says, once for each call, that it is not supported.
pub(crate) fn unsupported(task: &Task, args: &SyscallArgs, call: Option<&Call>) {
    let bit = usize::try_from(args.number).map_or(511, |number| number.min(511));
    let mask = 1_u64 << (bit % 64);
    let told = task.kernel().told.0.get(bit / 64);
    if told.is_none_or(|told| told.fetch_or(mask, Ordering::Relaxed) & mask != 0) {
        return;
    }
    let name = String::from_utf8_lossy(&task.own.lock().name).into_owned();
    let number = args.number;
    match call.map(|call| (call.name, call.support)) {
        Some((call, Support::Refused(errno, why))) => {
            tracing::info!(target: TARGET, "{name:?} calls {call}, which is refused with {errno}: {why}");
        }
        _ => {
            tracing::info!(target: TARGET, "{name:?} makes system call {number}, which is not supported");
        }
    }
}
