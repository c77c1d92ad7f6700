//! [`Running`]: the program that a task runs, and its memory.

use std::sync::Arc;

use mm::AddressSpace;

use crate::kernel::user_namespace::UserNamespace;
use crate::vfs::file::OpenFile;

/// What `execve(2)` has started, and forked children go on with.
#[derive(Debug)]
pub struct Program {
    /// The file (`/proc/[pid]/exe`).
    pub executable: Arc<OpenFile>,
    /// The user namespace in which it was executed (`mm->user_ns` of Linux).
    pub user_ns: Arc<UserNamespace>,
}

/// A program and the address space that it runs in.
#[derive(Clone, Debug)]
pub struct Running {
    /// The address space, which `CLONE_VM` shares and fork copies.
    pub mm: Arc<AddressSpace>,
    /// The program.
    pub program: Arc<Program>,
}
