//! Calls of those who run the machine: reboot, and what nobody in a container may do.

use abi::Errno;
use mm::user_ptr::UserPtr;

use crate::error::SyscallResult;
use crate::kernel::credentials::Capability;
use crate::kernel::exit;
use crate::kernel::signal::Signal;
use crate::kernel::task::Task;
use crate::kernel::thread_group::ExitStatus;
use crate::syscalls::args::{DirFd, Fd, UserPath, UserText};
use crate::syscalls::declare::calls;

calls! {
    169 reboot(magic: u32 as Hex, magic2: u32, command: u32 as Hex, argument: UserPtr<u8>)
        => full ["limits::setting_names_needs_privilege"];
    163 acct(path: UserPath) => refused(EPERM, "there is no accounting");
    153 vhangup() => refused(EPERM, "terminals are hung up from outside");
    179 quotactl(command: u64, special: UserPath, id: i32, address: UserPtr<u8>)
        => refused(ENOSYS, "as a kernel without CONFIG_QUOTA");
    443 quotactl_fd(fd: Fd, command: u64, id: i32, address: UserPtr<u8>)
        => refused(ENOSYS, "as a kernel without CONFIG_QUOTA");
    248 add_key(kind: UserText, description: UserText, payload: UserPtr<u8>, len: usize, keyring: i32)
        => refused(ENOSYS, "as a kernel without CONFIG_KEYS");
    249 request_key(kind: UserText, description: UserText, callout: UserText, keyring: i32)
        => refused(ENOSYS, "as a kernel without CONFIG_KEYS");
    250 keyctl(operation: i32, first: u64, second: u64, third: u64, fourth: u64)
        => refused(ENOSYS, "as a kernel without CONFIG_KEYS");
    300 fanotify_init(flags: u64, event_flags: u64) => refused(ENOSYS, "as a kernel without CONFIG_FANOTIFY");
    301 fanotify_mark(fd: Fd, flags: u64, mask: u64, dirfd: DirFd, path: UserPath)
        => refused(ENOSYS, "as a kernel without CONFIG_FANOTIFY");
    444 landlock_create_ruleset(attributes: UserPtr<u8>, size: usize, flags: u64)
        => refused(EOPNOTSUPP, "as a kernel that has landlock turned off");
    445 landlock_add_rule(ruleset: Fd, kind: i32, attributes: UserPtr<u8>, flags: u64)
        => refused(EOPNOTSUPP, "as a kernel that has landlock turned off");
    446 landlock_restrict_self(ruleset: Fd, flags: u64)
        => refused(EOPNOTSUPP, "as a kernel that has landlock turned off");
    320 kexec_file_load(kernel_fd: Fd, initrd_fd: Fd, len: usize, command_line: UserText, flags: u64)
        => refused(EPERM, "there is nothing to boot");
    447 memfd_secret(flags: u64) => refused(ENOSYS, "as a kernel without secretmem.enable");
}

const MAGIC: u32 = 0xfee1_dead;
/// Dates of birth, as Linux has them.
const MAGIC_2: [u32; 4] = [672_274_793, 85_072_278, 369_367_448, 537_993_216];
const RESTART: u32 = 0x0123_4567;
const RESTART_2: u32 = 0xa1b2_c3d4;
const HALT: u32 = 0xcdef_0123;
const POWER_OFF: u32 = 0x4321_fedc;

/// In a pid namespace it ends the namespace's init as if by SIGHUP or SIGINT (`man 2 reboot`, *Behavior inside
/// PID namespaces*).
fn reboot(
    task: &Task,
    magic: u32,
    magic2: u32,
    command: u32,
    _argument: UserPtr<u8>,
) -> SyscallResult {
    if !task.has_capability(Capability::SysBoot) {
        return Err(Errno::EPERM.into());
    }
    if magic != MAGIC || !MAGIC_2.contains(&magic2) {
        return Err(Errno::EINVAL.into());
    }
    let signal = match command {
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
