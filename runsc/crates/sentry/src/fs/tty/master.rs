//! The end of a pseudo terminal that shows it: a terminal emulator's, sshd's, `script`'s.

use std::sync::Arc;

use abi::Errno;
use abi::termios::request;

use super::slave::SlaveFile;
use super::{Tty, ioctl};
use crate::error::{Result, SyscallResult};
use crate::fs::devpts::DevPts;
use crate::kernel::limits::Resource;
use crate::kernel::task::Task;
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::vfs::command::CommandArg;
use crate::vfs::fd_table::Descriptor;
use crate::vfs::file::{File, OpenFile, OpenFlags, Position, Written};
use crate::vfs::io::{Sink, Source};
use crate::vfs::path::Path;

/// Most bytes taken from or given to a program at a time.
const CHUNK: usize = 4096;

/// An open master end.
#[derive(Debug)]
pub struct MasterFile {
    tty: Arc<Tty>,
    index: u32,
    fs: Arc<DevPts>,
    /// The root of the mount that it was opened in, which has the slave end's name.
    root: Path,
}

impl MasterFile {
    /// The master end of terminal `index` of `fs`, which is mounted at `root`.
    #[must_use]
    pub fn new(tty: Arc<Tty>, index: u32, fs: Arc<DevPts>, root: Path) -> Arc<MasterFile> {
        Arc::new(MasterFile {
            tty,
            index,
            fs,
            root,
        })
    }

    /// TIOCGPTPEER: a descriptor for the slave end, whatever its name leads to by now.
    fn open_peer(&self, task: &Task, flags: OpenFlags) -> SyscallResult {
        let name = self.index.to_string().into_bytes();
        let dentry = crate::vfs::walk::lookup(&self.root.dentry, &name)?;
        let path = self.root.child(dentry);
        let file = SlaveFile::open(&self.tty, task, flags)?;
        let open = OpenFile::new(path.clone(), path.inode().clone(), file, flags);
        crate::vfs::file_count::count(task, &open)?;
        let descriptor = Descriptor {
            file: open,
            close_on_exec: flags.contains(OpenFlags::CLOEXEC),
        };
        let limit = task.group().limits().get(Resource::OpenFiles).soft;
        let fd = task.files().insert(descriptor, 0, limit)?;
        Ok(u64::from(fd.unsigned_abs()))
    }
}

impl File for MasterFile {
    fn read(&self, _task: &Task, sink: &mut Sink<'_>, _offset: u64) -> Result<usize> {
        let count = sink.remaining().min(CHUNK);
        if count == 0 {
            return Ok(0);
        }
        let bytes = {
            let mut state = self.tty.state.lock();
            let status = state.packet;
            match status {
                Some(status) if status != 0 => {
                    state.packet = Some(0);
                    vec![status]
                }
                _ => {
                    let prefix = usize::from(status.is_some());
                    let taken = state.output.take(count - prefix);
                    if taken.is_empty() {
                        return Err(if state.had_slave && state.slaves == 0 {
                            Errno::EIO
                        } else {
                            Errno::EAGAIN
                        });
                    }
                    let mut bytes = vec![0; prefix];
                    bytes.extend(taken);
                    bytes
                }
            }
        };
        self.tty.slave_queue.wake(Events::OUT | Events::WRNORM);
        sink.write(&bytes)
    }

    fn write(&self, _task: &Task, source: &mut Source<'_>, _position: Position) -> Result<Written> {
        let mut done = 0;
        while source.remaining() > 0 {
            let room = self.tty.input_room();
            if room == 0 {
                break;
            }
            let bytes = source.read_to_vec(room.min(CHUNK))?;
            done += bytes.len();
            self.tty.type_in(&bytes);
        }
        if done == 0 && source.remaining() > 0 {
            return Err(Errno::EAGAIN);
        }
        Ok(Written { len: done, end: 0 })
    }

    fn poll(&self) -> Events {
        let state = self.tty.state.lock();
        let mut events = Events::empty();
        let status = state.packet.is_some_and(|status| status != 0);
        events.set(
            Events::IN | Events::RDNORM,
            state.output.len() > 0 || status,
        );
        events.set(Events::PRI, status);
        let room = state.line.room(state.is_canonical()) > 0;
        events.set(Events::OUT | Events::WRNORM, room);
        events.set(Events::HUP, state.had_slave && state.slaves == 0);
        events
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.tty.master_queue)
    }

    fn ioctl(
        &self,
        task: &Task,
        _open: &Arc<OpenFile>,
        command: u32,
        argument: CommandArg,
    ) -> SyscallResult {
        match command {
            request::TIOCGPTN => {
                task.mm().write_value(argument.address(), &self.index)?;
                Ok(0)
            }
            request::TIOCGPTPEER => {
                let flags = OpenFlags::from_bits_retain(argument.unsigned());
                self.open_peer(task, flags)
            }
            _ => ioctl::master(&self.tty, task, command, argument),
        }
    }

    fn release(&self, _open: &OpenFile) {
        self.tty.state.lock().master_open = false;
        self.tty.hang_up();
        self.fs.remove(self.index);
    }
}
