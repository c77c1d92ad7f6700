//! `execve(2)`: another program takes the place of the calling one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use abi::Errno;

use crate::error::{Result, SysError, SyscallResult};
use crate::kernel::credentials::Credentials;
use crate::kernel::exec_credentials::{self, Elevation};
use crate::kernel::exit;
use crate::kernel::fs_context::Sharing;
use crate::kernel::program::{Program, Running};
use crate::kernel::task::Task;
use crate::loader::{self, Arguments, Identity, Image, Loader};
use crate::vfs::attr::FileType;
use crate::vfs::fd_table;
use crate::vfs::file::{OpenFile, OpenFlags};
use crate::vfs::locks::DenyWrite;
use crate::vfs::path::Path;
use crate::vfs::permission;
use crate::vfs::walk::{self, WalkFlags};

/// Opens a file to be executed: a regular file, with execute permission, on a mount without `noexec`; EACCES.
pub(crate) fn open_executable(
    task: &Task,
    start: Option<&Path>,
    path: &[u8],
    flags: WalkFlags,
) -> Result<Arc<OpenFile>> {
    let path = walk::resolve(task, start, path, flags)?;
    let attr = path.inode().attr()?;
    match attr.file_type {
        FileType::Regular => {}
        FileType::Symlink => return Err(Errno::ELOOP),
        _ => return Err(Errno::EACCES),
    }
    if path.mount.is_no_exec() {
        return Err(Errno::EACCES);
    }
    permission::check(&task.credentials(), &attr, permission::EXECUTE)?;
    // The file is read by the kernel: execute permission is enough.
    let inode = path.inode().clone();
    let deny_write = DenyWrite::take(&inode)?;
    let file = inode.clone().open(OpenFlags::empty(), task)?;
    Ok(OpenFile::for_execution(path, inode, file, deny_write))
}

/// `execve` of the program at `path`. On success the registers are those of the new program.
pub fn execute(
    task: &Task,
    start: Option<&Path>,
    path: &[u8],
    flags: WalkFlags,
    arguments: Arguments,
) -> SyscallResult {
    let file = open_executable(task, start, path, flags)?;
    let fs = task.fs();
    let executing = fs.begin_exec();
    let (image, new) = prepare(task, file, arguments, executing.sharing)?;
    let old_tid = task.tid();
    end_other_threads(task)?;
    commit(task, image, new);
    task.trap_after_exec(old_tid);
    Err(SysError::NoReturn)
}

/// Loads the first program of a process that comes from outside, before its task runs.
pub(crate) fn load_first(task: &Task, file: Arc<OpenFile>, arguments: Arguments) -> Result<()> {
    let (image, new) = prepare(task, file, arguments, Sharing::Alone)?;
    commit(task, image, new);
    Ok(())
}

/// What changes with the new program besides its memory.
struct New {
    executable: Arc<OpenFile>,
    credentials: Credentials,
    elevation: Elevation,
    name: Vec<u8>,
}

/// All that may fail: the caller is as it was until this has succeeded.
fn prepare(
    task: &Task,
    file: Arc<OpenFile>,
    arguments: Arguments,
    sharing: Sharing,
) -> Result<(Image, New)> {
    let name = short_name(&arguments.filename);
    let open = |path: &[u8]| open_executable(task, None, path, WalkFlags::FOLLOW);
    let resolved = loader::resolve(task, file, arguments, &open)?;
    let (credentials, elevation) = exec_credentials::after_exec(task, &resolved.file, sharing)?;
    let user_ns = &credentials.user_ns;
    let ids = [
        user_ns.user_inward(credentials.uid),
        user_ns.user_inward(credentials.euid),
        user_ns.group_inward(credentials.gid),
        user_ns.group_inward(credentials.egid),
    ];
    let identity = Identity {
        ids,
        secure: elevation == Elevation::Elevated,
    };
    let kernel = task.kernel();
    let loader = Loader {
        task,
        memory: kernel.memory(),
        platform: kernel.platform(),
        limits: task.group().limits(),
    };
    let image = loader::load(&loader, &resolved, identity)?;
    // The first program of a container has none before it.
    if let Some(old) = task.mm_if_alive() {
        image.mm.keep_settings_of(&old);
    }
    Ok((
        image,
        New {
            executable: resolved.file,
            credentials,
            elevation,
            name,
        },
    ))
}

/// `comm`: the last component, at most 15 bytes.
fn short_name(filename: &[u8]) -> Vec<u8> {
    let last = filename
        .rsplit(|byte| *byte == b'/')
        .next()
        .unwrap_or_default();
    last[..last.len().min(15)].to_vec()
}

/// Every other thread of the group ends; the caller becomes the leader (`man 2 execve`).
fn end_other_threads(task: &Task) -> Result<()> {
    let group = task.group();
    {
        let mut links = group.links.lock();
        if links.exiting.is_some() || links.execing {
            return Err(Errno::EAGAIN);
        }
        links.execing = true;
    }
    exit::end_siblings(task);
    let alone = task.wait_unless_exiting(&[&group.child_events], || {
        (group.links.lock().live == 1).then_some(())
    });
    group.links.lock().execing = false;
    alone.map_err(|_| Errno::EAGAIN)?;
    take_over_leadership(task);
    Ok(())
}

/// The caller gets the ids of the leader that has exited.
fn take_over_leadership(task: &Task) {
    if task.is_leader() {
        return;
    }
    let _tree = task.kernel().task_set.lock();
    let mut links = task.group().links.lock();
    let Some(myself) = links
        .tasks
        .iter()
        .find(|other| std::ptr::eq(Arc::as_ptr(other), task))
        .cloned()
    else {
        return;
    };
    let old = links.leader.upgrade();
    links.leader = Arc::downgrade(&myself);
    links.last_status = None;
    links.tasks = vec![myself.clone()];
    drop(links);
    let Some(old) = old else {
        return;
    };
    if let Some(tracer) = old.tracer() {
        crate::kernel::ptrace::attach::forget(&tracer, &old);
    }
    myself.take_numbers_of(&old);
}

/// Puts the new program in place. Nothing here fails.
fn commit(task: &Task, image: Image, new: New) {
    let group = task.group();
    unshare_files(task);
    let dispositions = group.dispositions.lock().lock().clone();
    *group.dispositions.lock() = Arc::new(locks::Mutex::new(dispositions));
    task.reset_signals_for_exec();
    crate::kernel::timers::release_posix(group);
    {
        let mut own = task.own.lock();
        own.name = new.name;
        own.clear_child_tid = 0;
        own.robust_list = 0;
        own.restart_block = None;
        if new.elevation == Elevation::Elevated {
            own.parent_death_signal = 0;
        }
    }
    if new.elevation == Elevation::Elevated {
        image.mm.set_dumpable(false);
    }
    let program = Program {
        executable: new.executable,
        user_ns: new.credentials.user_ns.clone(),
    };
    task.set_credentials(new.credentials);
    group.aio.clear();
    group.membarrier.store(0, Ordering::Relaxed);
    group.has_execed.store(true, Ordering::Relaxed);
    group.exit_signal.store(
        crate::kernel::signal::Signal::SIGCHLD.number(),
        Ordering::Relaxed,
    );
    let registers = initial_registers(&image);
    image.mm.provide_ahead(&registers);
    *task.registers.lock() = registers;
    let running = Running {
        mm: image.mm,
        program: Arc::new(program),
    };
    let old = task.running.lock().replace(running);
    // Closing the files that were mapped may do anything: not under the lock.
    drop(old);
    exit::finish_vfork(task);
}

/// The descriptor table becomes the task's own, and what is close-on-exec goes.
fn unshare_files(task: &Task) {
    let shared = std::mem::take(&mut *task.files.lock());
    let own = match Arc::try_unwrap(shared) {
        Ok(own) => Arc::new(own),
        Err(shared) => {
            let own = Arc::new(shared.fork());
            fd_table::release(task, shared);
            own
        }
    };
    let closed = own.take_close_on_exec();
    *task.files.lock() = own;
    for descriptor in closed {
        // As on Linux, the program is not told of a failed flush.
        let _ = descriptor.file.file().flush(task);
    }
}

/// The registers a program starts with (System V ABI for x86-64, 3.4.1): all zero but these.
pub(crate) fn initial_registers(image: &Image) -> platform::ThreadState {
    platform::ThreadState {
        rip: image.entry,
        rsp: image.stack_pointer,
        cs: 0x33,
        ss: 0x2b,
        eflags: 0x202,
        orig_rax: u64::MAX,
        ..platform::ThreadState::default()
    }
}
