//! `ioctl(2)` on donated descriptors: what a terminal's user asks, passed on to the host's terminal.

use std::os::fd::AsFd;

use abi::Errno;
use host::terminal::{self, Termios, When, WindowSize};

use super::HostDescriptor;
use crate::error::{Result, SyscallResult};
use crate::kernel::task::Task;
use crate::vfs::command::CommandArg;

const TCGETS: u32 = 0x5401;
const TCSETS: u32 = 0x5402;
const TCSETSW: u32 = 0x5403;
const TCSETSF: u32 = 0x5404;
const TIOCGWINSZ: u32 = 0x5413;
const TIOCSWINSZ: u32 = 0x5414;
const FIONREAD: u32 = 0x541b;

pub(super) fn ioctl(
    task: &Task,
    file: &HostDescriptor,
    command: u32,
    argument: CommandArg,
) -> SyscallResult {
    let fd = file.fd.as_fd();
    let (mm, address) = (task.mm(), argument.address());
    if command == FIONREAD {
        mm.write_value(address, &terminal::readable_bytes(fd)?)?;
        return Ok(0);
    }
    if !file.is_terminal() {
        return Err(Errno::ENOTTY.into());
    }
    let set = |when| -> Result<()> {
        let mut termios: Termios = [0; 36];
        mm.read_bytes(address, &mut termios)?;
        terminal::set_attributes(fd, &termios, when)
    };
    match command {
        TCGETS => mm.write_bytes(address, &terminal::attributes(fd)?)?,
        TCSETS => set(When::Now)?,
        TCSETSW => set(When::Drained)?,
        TCSETSF => set(When::Flushed)?,
        TIOCGWINSZ => mm.write_bytes(address, &terminal::window_size(fd)?)?,
        TIOCSWINSZ => {
            let mut size: WindowSize = [0; 8];
            mm.read_bytes(address, &mut size)?;
            terminal::set_window_size(fd, size)?;
        }
        _ => return Err(Errno::ENOTTY.into()),
    }
    Ok(0)
}
