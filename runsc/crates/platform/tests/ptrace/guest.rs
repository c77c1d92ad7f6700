//! A page of code and a page of data that tests run in a space.

use platform::{Access, Context, Exit, Fault, FaultAccess, Platform, Space, ThreadState};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Where tests put code and data.
pub(crate) const CODE: usize = 0x40_0000;
pub(crate) const DATA: usize = 0x80_0000;
pub(crate) const PAGE: usize = 4096;

/// `syscall; jmp` back to it.
pub(crate) const SYSCALL_LOOP: &[u8] = &[0x0f, 0x05, 0xeb, 0xfc];
/// `jmp` to itself.
pub(crate) const SPIN: &[u8] = &[0xeb, 0xfe];
/// `mov (%rdi), %al; syscall`.
pub(crate) const LOAD: &[u8] = &[0x8a, 0x07, 0x0f, 0x05];
/// `movb $42, (%rdi); syscall`.
pub(crate) const STORE: &[u8] = &[0xc6, 0x07, 0x2a, 0x0f, 0x05];
/// `1: mov (%rdi), %al; jmp 1b`.
pub(crate) const LOAD_LOOP: &[u8] = &[0x8a, 0x07, 0xeb, 0xfc];

pub(crate) fn platform() -> Arc<Platform> {
    crate::platform()
}

/// A file with `bytes` at its start, two pages long.
pub(crate) fn file(bytes: &[u8]) -> OwnedFd {
    let file = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::io::write(&file, bytes).unwrap();
    rustix::fs::ftruncate(&file, 2 * 4096).unwrap();
    file
}

/// A space with `code` at [`CODE`], and the file's second page for [`DATA`].
pub(crate) struct Guest {
    pub(crate) space: Arc<Space>,
    pub(crate) file: OwnedFd,
}

impl Guest {
    pub(crate) fn new(platform: &Platform, code: &[u8]) -> Guest {
        let space = platform.new_space().unwrap();
        let file = file(code);
        let access = Access::READ | Access::EXECUTE;
        space
            .map(CODE..CODE + PAGE, file.as_fd(), 0, access, false)
            .unwrap();
        Guest { space, file }
    }

    pub(crate) fn map_data(&self, access: Access) {
        self.space
            .map(DATA..DATA + PAGE, self.file.as_fd(), 4096, access, false)
            .unwrap();
    }

    /// The first byte of the data page.
    pub(crate) fn data_byte(&self) -> u8 {
        let mut byte = [0];
        rustix::io::pread(&self.file, &mut byte, 4096).unwrap();
        byte[0]
    }

    /// A context in the space, to be used on the calling thread.
    pub(crate) fn context(&self, platform: &Platform) -> Context {
        let mut context = platform.new_context();
        context.switch_to(&self.space).unwrap();
        context
    }
}

/// Registers at the start of the code, with `rdi` at the data.
pub(crate) fn start() -> ThreadState {
    ThreadState {
        rdi: u64::try_from(DATA).unwrap(),
        ..at(CODE)
    }
}

/// Registers at an address.
pub(crate) fn at(address: usize) -> ThreadState {
    ThreadState::initial(u64::try_from(address).unwrap(), 0)
}

/// Runs until the next exit. What a fault's access was is left out, since not every platform knows,
/// but for fetches from the kernel's half.
pub(crate) fn run(context: &mut Context, state: &mut ThreadState) -> Exit {
    match context.run(state).unwrap() {
        Exit::Fault(fault) if fault.address < 1 << 47 => Exit::Fault(Fault {
            access: FaultAccess::Unknown,
            ..fault
        }),
        exit => exit,
    }
}

/// A fault where nothing is mapped.
pub(crate) fn unmapped(address: usize) -> Exit {
    fault_of(address, false)
}

/// A fault where what is mapped does not allow the access.
pub(crate) fn refused(address: usize) -> Exit {
    fault_of(address, true)
}

fn fault_of(address: usize, mapped: bool) -> Exit {
    Exit::Fault(Fault {
        address,
        access: FaultAccess::Unknown,
        mapped,
        bus: false,
    })
}
