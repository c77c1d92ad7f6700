//! Calls of those who run the machine: reboot, and what nobody in a container may do.

use abi::Errno;
use abi::raw::general as nr;

use crate::error::SyscallResult;
use crate::kernel::credentials::Capability;
use crate::kernel::exit;
use crate::kernel::signal::Signal;
use crate::kernel::task::Task;
use crate::kernel::thread_group::ExitStatus;
use crate::syscalls::{Call, SyscallArgs};

pub(super) const CALLS: &[Call] = &[
    Call::full(nr::__NR_reboot, "reboot", reboot),
    Call::refused(
        nr::__NR_acct,
        "acct",
        Errno::EPERM,
        "there is no accounting",
    ),
    Call::refused(
        nr::__NR_vhangup,
        "vhangup",
        Errno::EPERM,
        "terminals are hung up from outside",
    ),
    Call::refused(
        nr::__NR_quotactl,
        "quotactl",
        Errno::ENOSYS,
        "as a kernel without CONFIG_QUOTA",
    ),
    Call::refused(
        nr::__NR_quotactl_fd,
        "quotactl_fd",
        Errno::ENOSYS,
        "as a kernel without CONFIG_QUOTA",
    ),
    Call::refused(
        nr::__NR_add_key,
        "add_key",
        Errno::ENOSYS,
        "as a kernel without CONFIG_KEYS",
    ),
    Call::refused(
        nr::__NR_request_key,
        "request_key",
        Errno::ENOSYS,
        "as a kernel without CONFIG_KEYS",
    ),
    Call::refused(
        nr::__NR_keyctl,
        "keyctl",
        Errno::ENOSYS,
        "as a kernel without CONFIG_KEYS",
    ),
    Call::refused(
        nr::__NR_fanotify_init,
        "fanotify_init",
        Errno::ENOSYS,
        "as a kernel without CONFIG_FANOTIFY",
    ),
    Call::refused(
        nr::__NR_fanotify_mark,
        "fanotify_mark",
        Errno::ENOSYS,
        "as a kernel without CONFIG_FANOTIFY",
    ),
    Call::refused(
        nr::__NR_landlock_create_ruleset,
        "landlock_create_ruleset",
        Errno::EOPNOTSUPP,
        "as a kernel that has landlock turned off",
    ),
    Call::refused(
        nr::__NR_landlock_add_rule,
        "landlock_add_rule",
        Errno::EOPNOTSUPP,
        "as a kernel that has landlock turned off",
    ),
    Call::refused(
        nr::__NR_landlock_restrict_self,
        "landlock_restrict_self",
        Errno::EOPNOTSUPP,
        "as a kernel that has landlock turned off",
    ),
    Call::refused(
        nr::__NR_kexec_file_load,
        "kexec_file_load",
        Errno::EPERM,
        "there is nothing to boot",
    ),
    Call::refused(
        nr::__NR_memfd_secret,
        "memfd_secret",
        Errno::ENOSYS,
        "as a kernel without secretmem.enable",
    ),
];

const MAGIC: u32 = 0xfee1_dead;
/// Dates of birth, as Linux has them.
const MAGIC_2: [u32; 4] = [672_274_793, 85_072_278, 369_367_448, 537_993_216];
const RESTART: u32 = 0x0123_4567;
const RESTART_2: u32 = 0xa1b2_c3d4;
const HALT: u32 = 0xcdef_0123;
const POWER_OFF: u32 = 0x4321_fedc;

/// In a pid namespace it ends the namespace's init as if by SIGHUP or SIGINT (`man 2 reboot`, *Behavior inside
/// PID namespaces*).
fn reboot(task: &Task, args: &SyscallArgs) -> SyscallResult {
    if !task.has_capability(Capability::SysBoot) {
        return Err(Errno::EPERM.into());
    }
    if args.u32(0) != MAGIC || !MAGIC_2.contains(&args.u32(1)) {
        return Err(Errno::EINVAL.into());
    }
    let signal = match args.u32(2) {
        RESTART | RESTART_2 => Signal::SIGHUP,
        HALT | POWER_OFF => Signal::SIGINT,
        _ => return Err(Errno::EINVAL.into()),
    };
    let init = task.pid_namespace().group(1).ok_or(Errno::ESRCH)?;
    let status = ExitStatus::Killed {
        signal,
        core: false,
    };
    exit::end_group(&init, status);
    exit::end_task(task, 0);
    Ok(0)
}
