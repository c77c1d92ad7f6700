//! `/dev/null`, `/dev/zero`, `/dev/full`, `/dev/random` and `/dev/urandom`.

use std::sync::Arc;

use abi::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::error::{Result, SysError, SyscallResult};
use crate::kernel::task::Task;
use crate::vfs::attr::Device;
use crate::vfs::command::CommandArg;
use crate::vfs::device::{DeviceDriver, Opened};
use crate::vfs::file::{File, OpenFile, OpenFlags, OwnOffset, Position, Whence, Written};
use crate::vfs::io::{Sink, Source};
use crate::vfs::path::Path;

/// Most random bytes made at a time.
const STEP: usize = 4096;
/// `RNDGETENTCNT`
const GET_ENTROPY: u32 = 0x8004_5200;
/// Bits of entropy that Linux reports once its generator is ready.
const ENTROPY: i32 = 256;

/// A device without state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemoryDevice {
    Null,
    Zero,
    Full,
    Random,
}

impl DeviceDriver for MemoryDevice {
    fn open(
        &self,
        _task: &Task,
        _device: Device,
        _path: &Path,
        _flags: OpenFlags,
    ) -> core::result::Result<Opened, SysError> {
        let file: Arc<dyn File> = Arc::new(*self);
        Ok(file.into())
    }
}

fn random(sink: &mut Sink<'_>) -> Result<usize> {
    let mut done = 0;
    let mut bytes = [0; STEP];
    while sink.remaining() > 0 {
        let want = sink.remaining().min(STEP);
        let len = getrandom(&mut bytes[..want], GetRandomFlags::empty()).map_err(host::errno)?;
        match sink.write(&bytes[..len]) {
            Ok(0) => break,
            Ok(len) => done += len,
            Err(_) if done > 0 => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(done)
}

impl OwnOffset for MemoryDevice {
    fn read(&self, sink: &mut Sink<'_>) -> Result<usize> {
        match self {
            MemoryDevice::Null => Ok(0),
            MemoryDevice::Zero | MemoryDevice::Full => sink.zero(usize::MAX),
            MemoryDevice::Random => random(sink),
        }
    }

    fn write(&self, source: &mut Source<'_>) -> Result<usize> {
        if *self == MemoryDevice::Full && source.remaining() > 0 {
            return Err(Errno::ENOSPC);
        }
        let len = source.remaining();
        source.skip(len);
        Ok(len)
    }

    fn seek(&self, _whence: Whence, _by: i64) -> Result<u64> {
        Ok(0)
    }
}

impl File for MemoryDevice {
    fn read(&self, _task: &Task, sink: &mut Sink<'_>, _offset: u64) -> Result<usize> {
        OwnOffset::read(self, sink)
    }

    fn write(&self, _task: &Task, source: &mut Source<'_>, position: Position) -> Result<Written> {
        let len = OwnOffset::write(self, source)?;
        let start = match position {
            Position::At(offset) => offset,
            Position::End => 0,
        };
        Ok(Written {
            len,
            end: start.saturating_add(len as u64),
        })
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn own_offset(&self) -> Option<&dyn OwnOffset> {
        // Whatever is sought, the offset of these stays 0.
        (*self != MemoryDevice::Random).then_some(self)
    }

    fn ioctl(
        &self,
        task: &Task,
        _open: &Arc<OpenFile>,
        command: u32,
        argument: CommandArg,
    ) -> SyscallResult {
        if *self == MemoryDevice::Random && command == GET_ENTROPY {
            task.mm().write_value(argument.address(), &ENTROPY)?;
            return Ok(0);
        }
        Err(Errno::ENOTTY.into())
    }

    fn maps_as_memory(&self) -> bool {
        *self == MemoryDevice::Zero
    }
}
