//! Processes: fork, execve and wait.

#![expect(unsafe_code, reason = "fork, execve and _exit")]

use std::ffi::CStr;
use std::io;

use crate::call::check;
use crate::rows::Place;

/// Where this program is, on the host and in every runtime.
const SELF: &CStr = c"/proc/self/exe";

/// `fork`, `_exit` in the child, `wait`.
pub(crate) fn fork_wait(place: &Place) -> io::Result<Vec<f64>> {
    place.timer.measure(|| match fork()? {
        Some(child) => wait(child),
        None => exit(0),
    })
}

/// `fork`, `execve` of a static `true` in the child, `wait`.
pub(crate) fn fork_exec_wait(place: &Place) -> io::Result<Vec<f64>> {
    let program = std::fs::read_link(SELF.to_string_lossy().as_ref())?;
    let program = std::ffi::CString::new(program.into_os_string().into_encoded_bytes())?;
    let argv = [program.as_ptr(), c"true".as_ptr(), std::ptr::null()];
    let envp = [std::ptr::null()];
    place.timer.measure(|| {
        let Some(child) = fork()? else {
            // SAFETY: a C string, and arrays of C strings that end with a null pointer.
            unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
            exit(127);
        };
        wait(child)
    })
}

/// A thread that does nothing, made and joined.
pub(crate) fn thread_create_join(place: &Place) -> io::Result<Vec<f64>> {
    place.timer.measure(|| {
        let thread = std::thread::Builder::new().spawn(|| {})?;
        thread
            .join()
            .map_err(|_| io::Error::other("the thread panicked"))
    })
}

/// Forks; the child's id in the parent.
pub(crate) fn fork() -> io::Result<Option<i32>> {
    // SAFETY: this program has one thread.
    let pid = unsafe { libc::fork() };
    check(pid.into())?;
    Ok((pid > 0).then_some(pid))
}

/// Waits for a child, which must exit with 0.
pub(crate) fn wait(child: i32) -> io::Result<()> {
    let mut status = 0;
    // SAFETY: the status is ours to write.
    let result = unsafe { libc::waitpid(child, &raw mut status, 0) };
    check(result.into())?;
    if status != 0 {
        return Err(io::Error::other(format!("child's status {status:#x}")));
    }
    Ok(())
}

/// Ends the process without the library's clean-up.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: `_exit` runs no destructor and does not return.
    unsafe { libc::_exit(code) }
}
