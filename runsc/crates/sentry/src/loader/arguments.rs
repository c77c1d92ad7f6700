//! Reads what `execve(2)` is given: within the limits from the first byte on, since it has to be held until it is in
//! the new stack.

use abi::Errno;
use memory::Reserved;

use super::Arguments;
use super::stack::{MAX_STRING, most_bytes};
use crate::error::Result;
use crate::kernel::limits::Resource;
use crate::kernel::oom;
use crate::kernel::task::Task;

/// How much memory a byte of a string takes on its way to the new stack: it is read, laid out, and written.
const COPIES: u64 = 4;
/// So much memory is taken without asking.
const UNASKED_BYTES: u64 = 512 << 10;

/// The strings of two NULL-terminated arrays, and the room that is kept for what becomes of them: as long as the program
/// is being loaded.
///
/// # Errors
/// EFAULT; E2BIG (`man 2 execve`, *Limits on size of arguments and environment*); ENOMEM.
pub(crate) fn read(
    task: &Task,
    filename: Vec<u8>,
    argv: usize,
    envp: usize,
) -> Result<(Arguments, Option<Reserved<'_>>)> {
    let mut reader = Reader {
        task,
        bytes: 0,
        most_bytes: most_bytes(task.group().limits().get(Resource::Stack).soft),
        room: None,
        room_bytes: UNASKED_BYTES,
    };
    let mut argv = reader.strings(argv)?;
    // An empty argument list becomes one empty argument, as on Linux since 5.18.
    if argv.is_empty() {
        argv.push(Vec::new());
    }
    let envp = reader.strings(envp)?;
    let arguments = Arguments {
        argv,
        envp,
        filename,
        inaccessible: false,
    };
    Ok((arguments, reader.room))
}

struct Reader<'task> {
    task: &'task Task,
    /// What was read so far: strings with their NULs, and pointers.
    bytes: u64,
    most_bytes: u64,
    room: Option<Reserved<'task>>,
    /// How much that is.
    room_bytes: u64,
}

impl Reader<'_> {
    /// A NULL-terminated array of strings; NULL itself is an empty one.
    fn strings(&mut self, array: usize) -> Result<Vec<Vec<u8>>> {
        let mut strings = Vec::new();
        if array == 0 {
            return Ok(strings);
        }
        let mm = self.task.mm();
        loop {
            let slot = array
                .checked_add(strings.len() * size_of::<u64>())
                .ok_or(Errno::EFAULT)?;
            let address = mm.read_value::<u64>(slot)?;
            if address == 0 {
                return Ok(strings);
            }
            let address = usize::try_from(address).map_err(|_| Errno::EFAULT)?;
            let string = mm.read_string(address, MAX_STRING);
            let string = string.map_err(|errno| match errno {
                Errno::ENAMETOOLONG => Errno::E2BIG,
                errno => errno,
            })?;
            self.count(string.len() + 1 + size_of::<u64>())?;
            strings.push(string);
        }
    }

    /// So much more was read. Room for it is asked for ahead, twice as much each time.
    fn count(&mut self, bytes: usize) -> Result<()> {
        self.bytes += bytes as u64;
        if self.bytes > self.most_bytes {
            return Err(Errno::E2BIG);
        }
        let wanted = self.bytes * COPIES;
        if wanted > self.room_bytes {
            self.room_bytes = (2 * wanted).min(self.most_bytes * COPIES);
            self.room = None;
            self.room = oom::reserve(self.task, self.room_bytes)?;
        }
        Ok(())
    }
}
