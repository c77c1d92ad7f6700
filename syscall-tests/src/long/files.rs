//! Long operations on files.

use super::{Endless, for_ever};
use crate::support::fd::{self, Fd};
use crate::support::file::{TempDir, cstring};
use crate::sys::SysError;

/// More than one call moves.
const MUCH: usize = 0x7fff_f000;
/// Bytes of a file without contents.
const SPARSE: i64 = 1 << 40;

fn sparse_file() -> Result<Fd, SysError> {
    let file = fd::memfd(0)?;
    file.truncate(SPARSE)?;
    Ok(file)
}

fn device(path: &str) -> Result<Fd, SysError> {
    fd::open(&cstring(path), libc::O_RDWR, 0)
}

pub(super) fn sendfile(begun: &dyn Fn()) -> Endless {
    let (file, null) = (sparse_file()?, device("/dev/null")?);
    for_ever(begun, || {
        let mut offset = 0_i64;
        sys!(SYS_sendfile, &null, &file, &mut offset, MUCH).map(drop)
    })
}

pub(super) fn splice(begun: &dyn Fn()) -> Endless {
    let (file, null) = (sparse_file()?, device("/dev/null")?);
    let (reader, writer) = fd::pipe(0)?;
    for_ever(begun, || {
        sys!(SYS_splice, &file, 0, &writer, 0, 1 << 16, 0)?;
        sys!(SYS_splice, &reader, 0, &null, 0, 1 << 16, 0).map(drop)
    })
}

pub(super) fn read(begun: &dyn Fn()) -> Endless {
    let file = sparse_file()?;
    let mut buffer = vec![0_u8; 64 << 20];
    for_ever(begun, || {
        sys!(SYS_pread64, &file, buffer.as_mut_slice(), buffer.len(), 0).map(drop)
    })
}

pub(super) fn writev(begun: &dyn Fn()) -> Endless {
    let null = device("/dev/null")?;
    let mut bytes = vec![0_u8; 1 << 20];
    let piece = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let pieces = vec![piece; 1024];
    for_ever(begun, || {
        sys!(SYS_writev, &null, pieces.as_slice(), pieces.len()).map(drop)
    })
}

pub(super) fn seek(begun: &dyn Fn()) -> Endless {
    let file = sparse_file()?;
    file.pwrite(b"x", SPARSE - 1)?;
    for_ever(begun, || {
        file.seek(0, libc::SEEK_DATA)?;
        file.seek(0, libc::SEEK_HOLE).map(drop)
    })
}

pub(super) fn readdir(begun: &dyn Fn()) -> Endless {
    let directory = TempDir::new()?;
    for index in 0..2_000 {
        directory.file(&format!("f{index}"), b"")?;
    }
    let open = directory.open()?;
    let mut buffer = vec![0_u8; 1 << 20];
    for_ever(begun, || {
        open.seek(0, libc::SEEK_SET)?;
        sys!(SYS_getdents64, &open, buffer.as_mut_slice(), buffer.len()).map(drop)
    })
}

/// Directories in directories, deeper than any path can say.
pub(super) fn deep_directories(begun: &dyn Fn()) -> Endless {
    let directory = TempDir::new()?;
    sys!(SYS_chdir, &cstring(directory.path()))?;
    let name = cstring("d");
    for _ in 0..3_000 {
        sys!(SYS_mkdir, &name, 0o755)?;
        sys!(SYS_chdir, &name)?;
    }
    let far = cstring(&"../".repeat(1_300));
    let mut buffer = vec![0_u8; 1 << 16];
    for_ever(begun, || {
        sys!(SYS_getcwd, buffer.as_mut_slice(), buffer.len()).map(drop)?;
        let mut stat = crate::sys::zeroed::<libc::stat>();
        sys!(SYS_stat, &far, &mut stat).map(drop)
    })
}

/// Sockets in the queues of sockets, a long chain of which is closed at once.
pub(super) fn sent_descriptors(begun: &dyn Fn()) -> Endless {
    for_ever(begun, || {
        let mut held = fd::socketpair(libc::SOCK_DGRAM)?;
        for _ in 0..500 {
            let next = fd::socketpair(libc::SOCK_DGRAM)?;
            send(&next.0, &held.0)?;
            send(&next.0, &held.1)?;
            held = next;
        }
        Ok(())
    })
}

fn send(over: &Fd, sent: &Fd) -> Result<(), SysError> {
    #[repr(C)]
    struct Control {
        header: libc::cmsghdr,
        fd: i32,
        padding: i32,
    }
    let mut control = Control {
        header: libc::cmsghdr {
            cmsg_len: size_of::<libc::cmsghdr>() + 4,
            cmsg_level: libc::SOL_SOCKET,
            cmsg_type: libc::SCM_RIGHTS,
        },
        fd: sent.number(),
        padding: 0,
    };
    let mut byte = [0_u8];
    let mut piece = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    };
    let mut message = crate::sys::zeroed::<libc::msghdr>();
    message.msg_iov = &raw mut piece;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>();
    sys!(SYS_sendmsg, over, &message, 0).map(drop)
}
