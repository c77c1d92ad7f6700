//! Requests to terminals (`man 2 ioctl_tty`).

use std::sync::Arc;

use abi::Errno;
use abi::termios::{LocalFlags, Termios, Termios2, Winsize, request};

use super::{Tty, packet};
use crate::error::{Result, SyscallResult};
use crate::kernel::signal::Signal;
use crate::kernel::task::Task;
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::vfs::command::CommandArg;

/// The speed of a terminal that has none: what Linux shows for a pseudo terminal.
const SPEED: u32 = 38_400;

/// Which end a request was made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Slave,
    Master,
}

/// A request on a slave end.
pub(super) fn slave(
    tty: &Arc<Tty>,
    task: &Task,
    command: u32,
    argument: CommandArg,
) -> SyscallResult {
    match command {
        request::TIOCSCTTY => {
            tty.become_controlling(task, argument.int() == 1)?;
            Ok(0)
        }
        request::TIOCNOTTY => {
            tty.give_up(task)?;
            Ok(0)
        }
        request::TCXONC => flow(tty, task, argument.int()),
        request::TIOCVHANGUP => {
            if !task.has_capability(crate::kernel::credentials::Capability::SysAdmin) {
                return Err(Errno::EPERM.into());
            }
            tty.hang_up();
            Ok(0)
        }
        _ => common(tty, task, command, argument, End::Slave),
    }
}

/// A request on a master end.
pub(super) fn master(
    tty: &Arc<Tty>,
    task: &Task,
    command: u32,
    argument: CommandArg,
) -> SyscallResult {
    let (mm, at) = (task.mm(), argument.address());
    match command {
        request::TIOCSPTLCK => {
            let locked: i32 = mm.read_value(at)?;
            tty.set_locked(locked != 0);
        }
        request::TIOCGPTLCK => {
            let locked = i32::from(tty.state.lock().locked);
            mm.write_value(at, &locked)?;
        }
        request::TIOCPKT => {
            let on: i32 = mm.read_value(at)?;
            let mut state = tty.state.lock();
            state.packet = if on == 0 {
                None
            } else {
                Some(state.packet.unwrap_or(0))
            };
        }
        request::TIOCGPKT => {
            let on = i32::from(tty.state.lock().packet.is_some());
            mm.write_value(at, &on)?;
        }
        request::TIOCSIG => {
            let number = u64::try_from(argument.int()).map_err(|_| Errno::EINVAL)?;
            let signal = Signal::new(number).ok_or(Errno::EINVAL)?;
            if !matches!(signal, Signal::SIGINT | Signal::SIGQUIT | Signal::SIGTSTP) {
                return Err(Errno::EINVAL.into());
            }
            tty.signal_foreground(signal);
        }
        _ => return common(tty, task, command, argument, End::Master),
    }
    Ok(0)
}

fn common(
    tty: &Arc<Tty>,
    task: &Task,
    command: u32,
    argument: CommandArg,
    end: End,
) -> SyscallResult {
    let (mm, at) = (task.mm(), argument.address());
    match command {
        request::TCGETS => {
            let termios = tty.state.lock().termios;
            mm.write_value(at, &termios)?;
        }
        request::TCGETS2 => {
            let base = tty.state.lock().termios;
            let termios = Termios2 {
                base,
                ispeed: SPEED,
                ospeed: SPEED,
            };
            mm.write_value(at, &termios)?;
        }
        request::TCSETS | request::TCSETSW | request::TCSETSF => {
            let termios = mm.read_value::<Termios>(at)?;
            return set_termios(tty, task, termios, end, command == request::TCSETSF);
        }
        request::TCSETS2 | request::TCSETSW2 | request::TCSETSF2 => {
            let termios = mm.read_value::<Termios2>(at)?.base;
            return set_termios(tty, task, termios, end, command == request::TCSETSF2);
        }
        request::TIOCGWINSZ => mm.write_value(at, &tty.size())?,
        request::TIOCSWINSZ => tty.set_size(mm.read_value::<Winsize>(at)?),
        request::TIOCGPGRP => {
            if end == End::Slave && !tty.controls(task) {
                return Err(Errno::ENOTTY.into());
            }
            mm.write_value(at, &tty.foreground(&task.pid_namespace()))?;
        }
        request::TIOCSPGRP => tty.set_foreground(task, mm.read_value(at)?)?,
        request::TIOCGSID => {
            if end == End::Slave && !tty.controls(task) {
                return Err(Errno::ENOTTY.into());
            }
            mm.write_value(at, &tty.session_id(task)?)?;
        }
        request::FIONREAD => mm.write_value(at, &readable(tty, end))?,
        request::TIOCOUTQ => mm.write_value(at, &to_i32(unread(tty, end)))?,
        request::TCFLSH => {
            if end == End::Slave {
                tty.check_change(task)?;
            }
            flush(tty, argument.int())?;
        }
        // Output is never delayed here, and a break means nothing to a pseudo terminal.
        request::TCSBRK | request::TCSBRKP => {}
        request::TIOCEXCL => tty.state.lock().exclusive = true,
        request::TIOCNXCL => tty.state.lock().exclusive = false,
        request::TIOCGEXCL => {
            let exclusive = i32::from(tty.state.lock().exclusive);
            mm.write_value(at, &exclusive)?;
        }
        request::TIOCGETD => mm.write_value(at, &0i32)?,
        request::TIOCSETD => {
            // N_TTY is the only discipline.
            if mm.read_value::<i32>(at)? != 0 {
                return Err(Errno::EINVAL.into());
            }
        }
        request::TIOCGDEV => {
            let device = u32::try_from(tty.device.encode()).unwrap_or(0);
            mm.write_value(at, &device)?;
        }
        // As with dev.tty.legacy_tiocsti at 0.
        request::TIOCSTI => return Err(Errno::EIO.into()),
        _ => return Err(Errno::ENOTTY.into()),
    }
    Ok(0)
}

fn to_i32(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}

/// FIONREAD: what a read on this end would find.
fn readable(tty: &Tty, end: End) -> i32 {
    let state = tty.state.lock();
    to_i32(match end {
        End::Slave => state.line.readable(),
        End::Master => state.output.len(),
    })
}

/// TIOCOUTQ: what was written on this end and not yet read at the other.
fn unread(tty: &Tty, end: End) -> usize {
    let state = tty.state.lock();
    match end {
        End::Slave => state.output.len(),
        End::Master => 0,
    }
}

fn set_termios(
    tty: &Arc<Tty>,
    task: &Task,
    new: Termios,
    end: End,
    flushes: bool,
) -> SyscallResult {
    if end == End::Slave {
        tty.check_change(task)?;
    }
    {
        let mut state = tty.state.lock();
        if flushes {
            state.line.flush();
        }
        let was_canonical = state.is_canonical();
        state.termios = new;
        let is_canonical = new.local().contains(LocalFlags::ICANON);
        if was_canonical != is_canonical {
            state.line.mode_changed(is_canonical);
        }
        if !new.input().contains(abi::termios::InputFlags::IXON) {
            state.output.set_stopped(false);
        }
    }
    wake(&tty.slave_queue);
    wake(&tty.master_queue);
    Ok(0)
}

fn wake(queue: &WaitQueue) {
    queue.wake(Events::IN | Events::RDNORM | Events::OUT | Events::WRNORM);
}

/// TCFLSH
fn flush(tty: &Tty, what: i32) -> Result<()> {
    const INPUT: i32 = 0;
    const OUTPUT: i32 = 1;
    const BOTH: i32 = 2;
    if !matches!(what, INPUT | OUTPUT | BOTH) {
        return Err(Errno::EINVAL);
    }
    {
        let mut state = tty.state.lock();
        let mut status = 0;
        if what != OUTPUT {
            state.line.flush();
            status |= packet::FLUSH_READ;
        }
        if what != INPUT {
            state.output.flush();
            status |= packet::FLUSH_WRITE;
        }
        if let Some(packet) = &mut state.packet {
            *packet |= status;
        }
    }
    wake(&tty.slave_queue);
    wake(&tty.master_queue);
    Ok(())
}

/// TCXONC
fn flow(tty: &Tty, task: &Task, what: i32) -> SyscallResult {
    const OUTPUT_OFF: i32 = 0;
    const OUTPUT_ON: i32 = 1;
    const INPUT_OFF: i32 = 2;
    const INPUT_ON: i32 = 3;
    tty.check_change(task)?;
    match what {
        OUTPUT_OFF => tty.state.lock().output.set_stopped(true),
        OUTPUT_ON => {
            tty.state.lock().output.set_stopped(false);
            wake(&tty.slave_queue);
        }
        INPUT_OFF | INPUT_ON => {
            // Tells the other end to stop or start: a stop or start character.
            let mut state = tty.state.lock();
            let index = if what == INPUT_OFF {
                abi::termios::cc::VSTOP
            } else {
                abi::termios::cc::VSTART
            };
            let byte = state.termios.cc[index];
            if byte != 0 {
                state.output.put_back(&[byte]);
            }
            drop(state);
            wake(&tty.master_queue);
        }
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}
