//! Asynchronous I/O (`man 2 io_submit`).

use crate::case::{Failure, Outcome};
use crate::support::fd::{self, Fd};
use crate::support::file::TempDir;

cases! {
    writes_and_reads_a_file,
    event_descriptors_are_told,
    vectors,
    errors_of_operations_are_results,
    errors_of_submission,
    waiting_ends_with_the_time,
    what_is_done_can_not_be_cancelled,
}

struct Context(u64);

impl Context {
    fn new(room: u32) -> Result<Self, Failure> {
        let mut id = 0_u64;
        sys!(SYS_io_setup, room, &mut id)?;
        Ok(Self(id))
    }

    fn submit(&self, request: &[u64; 8]) -> crate::sys::SysResult {
        let pointers = [request.as_ptr() as u64];
        sys!(SYS_io_submit, self.0, 1, &pointers)
    }

    /// Data and result of one event.
    fn event(&self) -> Result<(u64, i64), Failure> {
        let mut event = [0_u64; 4];
        check_eq!(sys!(SYS_io_getevents, self.0, 1, 1, &mut event, 0)?, 1);
        Ok((event[0], event[2] as i64))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // A test has destroyed it by itself.
        let _ = sys!(SYS_io_destroy, self.0);
    }
}

/// `struct iocb` for an operation.
fn request(opcode: u64, fd: &Fd, buffer: u64, len: u64, offset: u64) -> [u64; 8] {
    [
        42,
        0,
        opcode | (fd.number() as u64) << 32,
        buffer,
        len,
        offset,
        0,
        0,
    ]
}

fn writes_and_reads_a_file() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"")?;
    let context = Context::new(4)?;
    let text = *b"hello world";
    check_eq!(
        context.submit(&request(1, &file, text.as_ptr() as u64, 11, 5))?,
        1
    );
    check_eq!(context.event()?, (42, 11));
    let mut back = [0_u8; 11];
    context.submit(&request(0, &file, back.as_mut_ptr() as u64, 11, 5))?;
    check_eq!(context.event()?, (42, 11));
    check_eq!(back, text);
    context.submit(&request(2, &file, 0, 0, 0))?;
    check_eq!(context.event()?, (42, 0));
    Ok(())
}

fn event_descriptors_are_told() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"abc")?;
    let told = Fd::own(sys!(SYS_eventfd2, 0, libc::EFD_NONBLOCK)?);
    let context = Context::new(4)?;
    let mut back = [0_u8; 3];
    let mut one = request(0, &file, back.as_mut_ptr() as u64, 3, 0);
    one[7] = 1 | (told.number() as u64) << 32;
    context.submit(&one)?;
    check_eq!(told.read(8)?, 1_u64.to_ne_bytes());
    check_eq!(context.event()?, (42, 3));
    Ok(())
}

fn vectors() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"abcdef")?;
    let context = Context::new(4)?;
    let (mut one, mut two) = ([0_u8; 2], [0_u8; 4]);
    let vector = [one.as_mut_ptr() as u64, 2, two.as_mut_ptr() as u64, 4];
    context.submit(&request(7, &file, vector.as_ptr() as u64, 2, 0))?;
    check_eq!(context.event()?, (42, 6));
    check_eq!((&one, &two), (b"ab", b"cdef"));
    Ok(())
}

fn errors_of_operations_are_results() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"abc")?;
    let context = Context::new(4)?;
    context.submit(&request(0, &file, 8, 3, 0))?;
    check_eq!(context.event()?, (42, -i64::from(libc::EFAULT)));
    Ok(())
}

fn errors_of_submission() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"abc")?;
    let context = Context::new(4)?;
    let mut id = 1_u64;
    errno_is!(sys!(SYS_io_setup, 4, &mut id), EINVAL);
    id = 0;
    errno_is!(sys!(SYS_io_setup, 0, &mut id), EINVAL);
    errno_is!(context.submit(&request(99, &file, 0, 0, 0)), EINVAL);
    let pointers = [8_u64];
    errno_is!(sys!(SYS_io_submit, context.0, 1, &pointers), EFAULT);
    errno_is!(sys!(SYS_io_submit, 0x1000, 1, &pointers), EINVAL);
    errno_is!(sys!(SYS_io_submit, context.0, -1, &pointers), EINVAL);
    errno_is!(sys!(SYS_io_destroy, 0x1000), EINVAL);
    let (reader, _writer) = fd::pipe(0)?;
    errno_is!(context.submit(&request(1, &reader, 0, 0, 0)), EBADF);
    Ok(())
}

fn waiting_ends_with_the_time() -> Outcome {
    let context = Context::new(4)?;
    let mut event = [0_u64; 4];
    let short = [0_i64, 1_000_000];
    check_eq!(
        sys!(SYS_io_getevents, context.0, 1, 1, &mut event, &short)?,
        0
    );
    errno_is!(
        sys!(SYS_io_getevents, context.0, 2, 1, &mut event, &short),
        EINVAL
    );
    Ok(())
}

/// The kernel cancels what is under way; reading a file never is when the application can ask.
fn what_is_done_can_not_be_cancelled() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"abc")?;
    let context = Context::new(4)?;
    let mut back = [0_u8; 3];
    let mut event = [0_u64; 4];
    let done = request(0, &file, back.as_mut_ptr() as u64, 3, 0);
    context.submit(&done)?;
    check_eq!(context.event()?, (42, 3));
    errno_is!(sys!(SYS_io_cancel, context.0, &done, &mut event), EINVAL);
    errno_is!(sys!(SYS_io_cancel, 0x1000, &done, &mut event), EINVAL);
    errno_is!(sys!(SYS_io_cancel, context.0, 8, &mut event), EFAULT);
    Ok(())
}
