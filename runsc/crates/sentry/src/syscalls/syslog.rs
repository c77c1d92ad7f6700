//! The kernel's log (`man 2 syslog`): what `dmesg` prints.

use abi::Errno;
use mm::user_ptr::UserPtr;

use crate::error::{Result, SyscallResult};
use crate::kernel::credentials::Capability;
use crate::kernel::task::Task;
use crate::syscalls::declare::calls;

calls! {
    103 syslog(action: i32, buffer: UserPtr<u8>, len: i32)
        => partial("the log can't be cleared or consumed") ["creds::dmesg_restriction"];
}

const ACTION_CLOSE: i32 = 0;
const ACTION_OPEN: i32 = 1;
const ACTION_READ_ALL: i32 = 3;
const ACTION_CONSOLE_LEVEL: i32 = 8;
const ACTION_SIZE_UNREAD: i32 = 9;
const ACTION_SIZE_BUFFER: i32 = 10;

fn log(task: &Task) -> Vec<u8> {
    task.kernel().log.text()
}

fn check_privilege(task: &Task) -> Result<()> {
    if task.has_capability(Capability::Syslog) || task.has_capability(Capability::SysAdmin) {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

/// What everyone may do unless `dmesg_restrict` is set.
fn check_restriction(task: &Task) -> Result<()> {
    if task.kernel().sysctl.flag("kernel/dmesg_restrict") {
        check_privilege(task)
    } else {
        Ok(())
    }
}

fn syslog(task: &Task, action: i32, buffer: UserPtr<u8>, len: i32) -> SyscallResult {
    match action {
        ACTION_READ_ALL => {
            check_restriction(task)?;
            read_all(task, buffer, len)
        }
        ACTION_SIZE_BUFFER => {
            check_restriction(task)?;
            Ok(log(task).len() as u64)
        }
        ACTION_CLOSE | ACTION_OPEN => Ok(0),
        ACTION_SIZE_UNREAD => {
            check_privilege(task)?;
            Ok(0)
        }
        // Reading waits for news, of which there are none; clearing and levels would change nothing.
        2 | 4..=ACTION_CONSOLE_LEVEL => Err(Errno::EPERM.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// The newest whole bytes that fit.
fn read_all(task: &Task, buffer: UserPtr<u8>, len: i32) -> SyscallResult {
    let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
    if buffer.is_null() {
        return Err(Errno::EINVAL.into());
    }
    let log = log(task);
    let newest = &log[log.len() - len.min(log.len())..];
    buffer.write_array(&task.mm(), newest)?;
    Ok(newest.len() as u64)
}
