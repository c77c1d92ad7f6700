//! Whether a platform works on this host: it is set up, and runs a first program.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use abi::{Errno, PAGE_SIZE};

use crate::names::{Unusable, device};
use crate::{Access, Exit, Platform, Space, ThreadState};

/// Sets a platform up and has it run a program of one system call, on a thread of its own.
///
/// # Errors
/// What is missing.
pub fn self_test(name: &'static str) -> Result<(), Unusable> {
    let test = std::thread::spawn(move || {
        let platform = open(name)?;
        match first_exit(&platform).map_err(Unusable::Program)? {
            Exit::Syscall => Ok(()),
            other => Err(Unusable::Exit(other)),
        }
    });
    test.join().unwrap_or(Err(Unusable::Program(Errno::EIO)))
}

/// Sets a platform up by its name, opening the device that it needs.
///
/// # Errors
/// What is missing.
pub fn open(name: &str) -> Result<Arc<Platform>, Unusable> {
    let open = |path| {
        let device = std::fs::File::options().read(true).write(true).open(path);
        device.map_err(|error| Unusable::Device {
            path,
            errno: error.into(),
        })
    };
    let device = device(name).map(open).transpose()?;
    Platform::named(name, device.map(OwnedFd::from))
}

fn first_exit(platform: &Arc<Platform>) -> crate::Result<Exit> {
    const CODE: usize = 0x40_0000;
    const SYSCALL: &[u8] = &[0x0f, 0x05];
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let file = rustix::fs::memfd_create("runsc-self-test", flags).map_err(host::errno)?;
    rustix::fs::ftruncate(&file, PAGE_SIZE as u64).map_err(host::errno)?;
    rustix::io::pwrite(&file, SYSCALL, 0).map_err(host::errno)?;
    let space: Arc<Space> = platform.new_space()?;
    let access = Access::READ | Access::EXECUTE;
    space.map(CODE..CODE + PAGE_SIZE, file.as_fd(), 0, access, false)?;
    let mut context = platform.new_context();
    context.switch_to(&space)?;
    context.run(&mut ThreadState::initial(CODE as u64, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{PTRACE, SYSTRAP};

    #[test]
    fn ptrace_works_and_what_there_is_not_says_so() {
        assert_eq!(self_test(PTRACE), Ok(()));
        assert_eq!(self_test(SYSTRAP), Err(Unusable::Unknown));
    }
}
