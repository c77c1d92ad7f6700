//! One address space.

use std::sync::Arc;

use abi::Errno;
use memory::MemoryFile;
use platform::{Access, Fault, Platform, Space};

use crate::error::Result;
use crate::mm::mappable::Mappable;
use crate::vfs::file::OpenFile;

/// What backs a new mapping.
#[derive(Clone, Debug)]
pub enum Backing {
    /// Zeroed memory of its own.
    Anonymous,
    /// A file, from an offset in bytes (page-aligned).
    File {
        mappable: Arc<dyn Mappable>,
        offset: u64,
        open: Option<Arc<OpenFile>>,
    },
    /// A special area with a name of its own (`[vdso]`, `[vvar]`), pages given by the mappable.
    Special {
        mappable: Arc<dyn Mappable>,
        name: &'static str,
    },
}

/// Where a new mapping goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapAt {
    /// Anywhere; the address is a hint (0: none).
    Hint(usize),
    /// There, over whatever is there (MAP_FIXED).
    Fixed(usize),
    /// There, EEXIST if something is there (MAP_FIXED_NOREPLACE).
    FixedNoReplace(usize),
    /// Below 2 GiB (MAP_32BIT).
    Low,
}

/// A request for `mmap(2)`.
#[derive(Clone, Debug)]
pub struct MapRequest {
    /// Where.
    pub at: MapAt,
    /// Length in bytes; rounded up to pages.
    pub len: usize,
    /// PROT_*.
    pub access: Access,
    /// What `mprotect` may raise it to (a file open read-only can't be mapped shared and writable).
    pub max_access: Access,
    /// MAP_PRIVATE rather than MAP_SHARED.
    pub private: bool,
    /// What backs it.
    pub backing: Backing,
    /// MAP_GROWSDOWN.
    pub grows_down: bool,
    /// MAP_LOCKED or `mlockall(MCL_FUTURE)`.
    pub locked: bool,
    /// MAP_NORESERVE.
    pub no_reserve: bool,
    /// MAP_POPULATE.
    pub populate: bool,
    /// The main thread's stack: shown as `[stack]`.
    pub stack: bool,
}

/// The signal that a fault becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultSignal {
    /// SIGSEGV or SIGBUS.
    pub signal: u8,
    /// `si_code`.
    pub code: i32,
    /// `si_addr`.
    pub address: u64,
}

/// Resource limits that the calling process has now, in bytes (`man 2 getrlimit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmLimits {
    /// RLIMIT_AS
    pub address_space: u64,
    /// RLIMIT_DATA
    pub data: u64,
    /// RLIMIT_STACK
    pub stack: u64,
    /// RLIMIT_MEMLOCK, `u64::MAX` with CAP_IPC_LOCK
    pub locked: u64,
}

/// What tells futexes apart (`man 2 futex`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FutexKey {
    /// Private: the address space's id and the address.
    Private { mm: u64, address: usize },
    /// Shared: the backing object's id and the offset in it.
    Shared { object: u64, offset: u64 },
}

/// A set of mappings and the platform's space that realises them.
#[derive(Debug)]
pub struct AddressSpace {
    space: Arc<Space>,
}

macro_rules! unbuilt { ($($(#[$m:meta])* fn $name:ident($($arg:ident: $t:ty),*) -> $r:ty;)*) => { $($(#[$m])* pub fn $name(&self, $($arg: $t),*) -> $r { let _ = ($(&$arg),*); todo!() })* } }

impl AddressSpace {
    pub fn new(_memory: &Arc<MemoryFile>, _platform: &Arc<Platform>) -> Result<Arc<AddressSpace>> {
        todo!()
    }
    pub fn read_value<T: zerocopy::FromBytes>(&self, _address: usize) -> Result<T> {
        todo!()
    }
    pub fn write_value<T: zerocopy::IntoBytes + zerocopy::Immutable>(
        &self,
        _address: usize,
        _value: &T,
    ) -> Result<()> {
        todo!()
    }
    pub fn fetch_update_u32(&self, _address: usize, _change: impl Fn(u32) -> u32) -> Result<u32> {
        todo!()
    }
    pub fn space(&self) -> &Arc<Space> {
        &self.space
    }
    pub fn fork(&self) -> Result<Arc<AddressSpace>> {
        todo!()
    }
    unbuilt! {
        fn id() -> u64;
        fn map(request: &MapRequest, limits: &MmLimits) -> Result<usize>;
        fn unmap(address: usize, len: usize) -> Result<()>;
        fn protect(address: usize, len: usize, access: Access, grows_down: bool) -> Result<()>;
        fn brk(address: usize, limits: &MmLimits) -> usize;
        fn set_brk(start: usize) -> ();
        fn handle_fault(fault: &Fault, rip: u64, rsp: u64, stack_limit: u64) -> core::result::Result<(), FaultSignal>;
        fn read_bytes(address: usize, buffer: &mut [u8]) -> Result<()>;
        fn write_bytes(address: usize, bytes: &[u8]) -> Result<()>;
        fn read_string(address: usize, max: usize) -> Result<Vec<u8>>;
        fn load_u32(address: usize) -> Result<u32>;
        fn store_u32(address: usize, value: u32) -> Result<()>;
        fn compare_exchange_u32(address: usize, old: u32, new: u32) -> Result<u32>;
        fn futex_key(address: usize, private: bool) -> Result<FutexKey>;
        fn maps_text() -> String;
        fn release() -> ();
        fn executable() -> Option<Arc<OpenFile>>;
        fn set_executable(file: Arc<OpenFile>) -> ();
        fn set_layout(layout: ExecLayout) -> ();
        fn layout() -> ExecLayout;
    }
}

/// Where `execve` put things, for /proc/[pid]/{stat,cmdline,environ,auxv} and `prctl(PR_SET_MM)`.
#[derive(Clone, Debug, Default)]
pub struct ExecLayout {
    /// The text.
    pub code: std::ops::Range<usize>,
    /// Initialised data.
    pub data: std::ops::Range<usize>,
    /// The bottom of the stack: the initial stack pointer.
    pub stack_start: usize,
    /// The argument strings.
    pub args: std::ops::Range<usize>,
    /// The environment strings.
    pub env: std::ops::Range<usize>,
    /// The auxiliary vector, as on the stack.
    pub auxv: Vec<u8>,
}
