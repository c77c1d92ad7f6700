//! Ancillary data as it lies in memory (`man 3 cmsg`, `man 7 unix`, *Ancillary messages*).

use std::sync::Arc;

use abi::Errno;
use abi::socket::{Cmsghdr, SCM_CREDENTIALS, SCM_MAX_FD, SCM_PIDFD, SCM_RIGHTS, SOL_SOCKET, Ucred};
use zerocopy::{FromBytes, IntoBytes};

use super::{install, socket_options};
use crate::error::Result;
use crate::kernel::task::Task;
use crate::socket::message::{OVERFLOW_ID, Sender};
use crate::socket::{Control, Incoming, MessageFlags};
use crate::vfs::file::{OpenFile, OpenFlags};

const HEADER: usize = size_of::<Cmsghdr>();
/// Headers are aligned to this.
const ALIGN: usize = 8;
/// Reads what is sent along: EINVAL, EBADF, EPERM, ENOBUFS.
pub(super) fn read(task: &Task, address: usize, len: usize) -> Result<Control> {
    let mut control = Control::default();
    if address == 0 || len == 0 {
        return Ok(control);
    }
    if len as u64 >= task.kernel().sysctl.number("net/core/optmem_max") {
        return Err(Errno::ENOBUFS);
    }
    let mut bytes = vec![0; len];
    task.mm().read_bytes(address, &mut bytes)?;
    let mut rest = bytes.as_slice();
    while let Some(message) = split(rest)? {
        if message.header.level == SOL_SOCKET {
            read_one(task, message.header.kind, message.data, &mut control)?;
        }
        rest = message.after;
    }
    Ok(control)
}

/// One message of ancillary data.
struct Message<'a> {
    header: Cmsghdr,
    data: &'a [u8],
    /// What is behind it.
    after: &'a [u8],
}

/// The first message; None where no header fits. EINVAL if it is longer
/// than what is there, or shorter than its header.
fn split(bytes: &[u8]) -> Result<Option<Message<'_>>> {
    let Ok((header, _)) = Cmsghdr::read_from_prefix(bytes) else {
        return Ok(None);
    };
    let len = usize::try_from(header.len).map_err(|_| Errno::EINVAL)?;
    let data = bytes.get(HEADER..len).ok_or(Errno::EINVAL)?;
    let after = bytes.get(len.next_multiple_of(ALIGN)..).unwrap_or_default();
    Ok(Some(Message {
        header,
        data,
        after,
    }))
}

fn read_one(task: &Task, kind: i32, data: &[u8], control: &mut Control) -> Result<()> {
    match kind {
        SCM_RIGHTS => {
            let (fds, _) = data.as_chunks::<4>();
            if control.files.len() + fds.len() > SCM_MAX_FD {
                return Err(Errno::EINVAL);
            }
            let files = task.files();
            for fd in fds {
                control.files.push(files.get(i32::from_ne_bytes(*fd))?);
            }
            Ok(())
        }
        SCM_CREDENTIALS => {
            let claim = Ucred::read_from_bytes(data).map_err(|_| Errno::EINVAL)?;
            control.sender = Some(Sender::claimed(task, &claim)?);
            Ok(())
        }
        _ => Err(Errno::EINVAL),
    }
}

/// Where received ancillary data goes.
struct Room<'a> {
    task: &'a Task,
    address: usize,
    left: usize,
    written: usize,
    flags: MessageFlags,
}

/// Stores what came along at `address`, at most `len` bytes; how many were used, and `MSG_CTRUNC`.
pub(super) fn write(
    task: &Task,
    address: usize,
    len: usize,
    incoming: &Incoming,
    asked: MessageFlags,
) -> Result<(usize, MessageFlags)> {
    let mut room = Room {
        task,
        address,
        left: if address == 0 { 0 } else { len },
        written: 0,
        flags: MessageFlags::empty(),
    };
    if incoming.wants_credentials {
        let ucred = match &incoming.control.sender {
            Some(sender) => sender.seen_from(&task.pid_namespace()),
            None => Ucred {
                pid: 0,
                uid: OVERFLOW_ID,
                gid: OVERFLOW_ID,
            },
        };
        room.put(SCM_CREDENTIALS, ucred.as_bytes())?;
    }
    if incoming.wants_pidfd {
        room.put_pidfd(incoming.control.sender.as_ref())?;
    }
    if !incoming.control.files.is_empty() {
        room.put_files(&incoming.control.files, asked)?;
    }
    Ok((room.written, room.flags))
}

impl Room<'_> {
    /// One item, cut off where the room ends.
    fn put(&mut self, kind: i32, data: &[u8]) -> Result<()> {
        if self.left < HEADER {
            self.flags |= MessageFlags::CTRUNC;
            return Ok(());
        }
        let mut len = HEADER + data.len();
        if len > self.left {
            self.flags |= MessageFlags::CTRUNC;
            len = self.left;
        }
        let header = Cmsghdr {
            len: len as u64,
            level: SOL_SOCKET,
            kind,
        };
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(&data[..len - HEADER]);
        self.task
            .mm()
            .write_bytes(self.address + self.written, &bytes)?;
        let used = len.next_multiple_of(ALIGN).min(self.left);
        self.left -= used;
        self.written += used;
        Ok(())
    }

    fn put_pidfd(&mut self, sender: Option<&Sender>) -> Result<()> {
        if self.left < HEADER + size_of::<i32>() {
            self.flags |= MessageFlags::CTRUNC;
            return Ok(());
        }
        let fd = match sender {
            Some(sender) => socket_options::sender_pidfd(self.task, sender),
            None => Err(Errno::ESRCH),
        };
        // A failure is what is told instead of the number.
        let number = fd.unwrap_or_else(|errno| -errno.raw());
        self.put(SCM_PIDFD, &number.to_ne_bytes())
    }

    /// As many descriptors as fit and as the process may have; the other files are closed.
    fn put_files(&mut self, files: &[Arc<OpenFile>], asked: MessageFlags) -> Result<()> {
        let most = self.left.saturating_sub(HEADER) / size_of::<i32>();
        let flags = if asked.contains(MessageFlags::CMSG_CLOEXEC) {
            OpenFlags::CLOEXEC
        } else {
            OpenFlags::empty()
        };
        let mut numbers = Vec::new();
        for file in files.iter().take(most) {
            match install::descriptor(self.task, file.clone(), flags) {
                Ok(fd) => numbers.extend_from_slice(&fd.to_ne_bytes()),
                Err(_) => break,
            }
        }
        if numbers.len() < files.len() * size_of::<i32>() {
            self.flags |= MessageFlags::CTRUNC;
        }
        if numbers.is_empty() {
            return Ok(());
        }
        self.put(SCM_RIGHTS, &numbers)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};

    use super::{HEADER, split};

    proptest! {
        #[test]
        fn random_bytes_come_to_an_end(bytes in vec(any::<u8>(), 0..200), len in 0u64..64) {
            // A length that is small now and then reaches further than a random one.
            let mut bytes = bytes;
            if let Some(place) = bytes.get_mut(..8) {
                place.copy_from_slice(&len.to_ne_bytes());
            }
            let mut rest = bytes.as_slice();
            while let Ok(Some(message)) = split(rest) {
                assert!(message.after.len() + message.data.len() + HEADER <= rest.len());
                rest = message.after;
            }
        }
    }
}
