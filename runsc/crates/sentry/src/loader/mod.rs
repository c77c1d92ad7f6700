//! Loading programs: ELF (`man 5 elf`), scripts, the initial stack (`man 2 execve`).
//!
//! [`load`] builds a whole new address space beside the old one, so that a failure leaves the caller as
//! it was; `kernel::exec` puts it in place.

pub(crate) mod arguments;
mod elf;
mod script;
mod stack;

use std::sync::Arc;

use abi::Errno;
use memory::MemoryFile;
use mm::AddressSpace;
use mm::address_space::{ExecLayout, MmLimits};
use platform::Platform;

use crate::error::Result;
use crate::kernel::limits::{Limits, Resource};
use crate::kernel::task::Task;
use crate::vfs::file::OpenFile;
use crate::vfs::io::Sink;

/// How deep `#!` interpreters may nest (`man 2 execve`).
const MAX_INTERPRETERS: usize = 5;
/// Bytes of a program's head that tell its format (`BINPRM_BUF_SIZE`).
const HEAD: usize = 256;

/// The arguments of a program: strings without their NUL.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    /// `argv`
    pub argv: Vec<Vec<u8>>,
    /// `envp`
    pub envp: Vec<Vec<u8>>,
    /// The path given to `execve`, for `AT_EXECFN`.
    pub filename: Vec<u8>,
    /// That path names a descriptor which closes on exec: a script's interpreter could not open it.
    pub inaccessible: bool,
}

/// The ids that the auxiliary vector tells, and whether the program is to distrust its environment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity {
    /// Real and effective user, real and effective group.
    pub ids: [u32; 4],
    /// `AT_SECURE`
    pub secure: bool,
}

/// A program ready to run.
#[derive(Debug)]
pub struct Image {
    /// Its address space.
    pub mm: Arc<AddressSpace>,
    /// Where it starts.
    pub entry: u64,
    /// Its initial stack pointer.
    pub stack_pointer: u64,
}

/// What loading needs of the kernel.
#[derive(Debug)]
pub struct Loader<'a> {
    /// The task that loads, on whose behalf files are read.
    pub task: &'a Task,
    /// For the new address space.
    pub memory: &'a Arc<MemoryFile>,
    /// For the new address space.
    pub platform: &'a Arc<Platform>,
    /// The limits in force.
    pub limits: Limits,
}

/// A program whose interpreters (`#!`) have been followed: the ELF file to load and its arguments.
#[derive(Debug)]
pub struct Resolved {
    /// The ELF file.
    pub file: Arc<OpenFile>,
    /// The arguments with interpreters and script names put before.
    pub arguments: Arguments,
}

/// Follows `#!` lines from `file`, opening interpreters with `open`.
pub fn resolve(
    task: &Task,
    file: Arc<OpenFile>,
    arguments: Arguments,
    open: &dyn Fn(&[u8]) -> Result<Arc<OpenFile>>,
) -> Result<Resolved> {
    let mut resolved = Resolved { file, arguments };
    for _ in 0..=MAX_INTERPRETERS {
        let head = read_head(task, &resolved.file)?;
        let Some(line) = script::interpreter(&head)? else {
            return Ok(resolved);
        };
        let arguments = &mut resolved.arguments;
        if arguments.inaccessible {
            return Err(Errno::ENOENT);
        }
        if !arguments.argv.is_empty() {
            arguments.argv.remove(0);
        }
        let mut argv = vec![line.path.clone()];
        argv.extend(line.argument);
        argv.push(std::mem::replace(
            &mut arguments.filename,
            line.path.clone(),
        ));
        argv.append(&mut arguments.argv);
        arguments.argv = argv;
        resolved.file = open(&line.path)?;
    }
    Err(Errno::ELOOP)
}

fn read_head(task: &Task, file: &OpenFile) -> Result<Vec<u8>> {
    let mut head = vec![0; HEAD];
    let len = read_at(task, file, 0, &mut head)?;
    head.truncate(len);
    Ok(head)
}

/// Reads as much of `buffer` as the file has from `offset` on.
fn read_at(task: &Task, file: &OpenFile, offset: u64, buffer: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        let mut sink = Sink::Kernel(&mut buffer[done..]);
        match file.file().read(task, &mut sink, offset + done as u64)? {
            0 => break,
            len => done += len,
        }
    }
    Ok(done)
}

/// Loads the ELF file of `resolved` into a new address space.
pub fn load(loader: &Loader<'_>, resolved: &Resolved, identity: Identity) -> Result<Image> {
    let mm = AddressSpace::new(loader.memory, loader.platform)?;
    let limits = mm_limits(&loader.limits);
    let mapped = elf::map_program(loader, &mm, &resolved.file, &limits)?;
    let vdso = crate::time::vdso::map(loader.task.kernel(), &mm, &limits)?;
    let stack = stack::build(
        &mm,
        loader,
        &resolved.arguments,
        &mapped,
        vdso,
        identity,
        &limits,
    )?;
    mm.set_brk(mapped.brk);
    mm.set_layout(ExecLayout {
        code: mapped.code,
        data: mapped.data,
        stack_start: stack.pointer,
        args: stack.args,
        env: stack.env,
        auxv: stack.auxv,
    });
    Ok(Image {
        mm,
        entry: mapped.start as u64,
        stack_pointer: stack.pointer as u64,
    })
}

fn mm_limits(limits: &Limits) -> MmLimits {
    MmLimits {
        address_space: limits.get(Resource::AddressSpace).soft,
        data: limits.get(Resource::Data).soft,
        stack: limits.get(Resource::Stack).soft,
        locked: limits.get(Resource::LockedMemory).soft,
    }
}

/// `len` random bytes for ASLR and `AT_RANDOM`.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Without GRND_NONBLOCK the call can only fail by being interrupted, which leaves zeros: a weaker
    // layout, not a wrong one.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    bytes
}
