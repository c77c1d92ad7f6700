//! Messages: what goes along with their bytes.

use std::sync::Arc;

use abi::Errno;
use abi::raw::net;
use abi::socket::Ucred;
use bitflags::bitflags;

use crate::error::Result;
use crate::kernel::credentials::Capability;
use crate::kernel::pids::{PidNamespace, PidNumbers};
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;
use crate::vfs::file::OpenFile;
use crate::vfs::io::Source;

bitflags! {
    /// `MSG_*`
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct MessageFlags: u32 {
        /// MSG_OOB
        const OOB = net::MSG_OOB;
        /// MSG_PEEK
        const PEEK = net::MSG_PEEK;
        /// MSG_DONTROUTE
        const DONTROUTE = net::MSG_DONTROUTE;
        /// MSG_CTRUNC
        const CTRUNC = net::MSG_CTRUNC;
        /// MSG_TRUNC
        const TRUNC = net::MSG_TRUNC;
        /// MSG_DONTWAIT
        const DONTWAIT = net::MSG_DONTWAIT;
        /// MSG_EOR
        const EOR = net::MSG_EOR;
        /// MSG_WAITALL
        const WAITALL = net::MSG_WAITALL;
        /// MSG_ERRQUEUE
        const ERRQUEUE = net::MSG_ERRQUEUE;
        /// MSG_NOSIGNAL
        const NOSIGNAL = net::MSG_NOSIGNAL;
        /// MSG_MORE
        const MORE = net::MSG_MORE;
        /// MSG_WAITFORONE
        const WAITFORONE = 0x1_0000;
        /// MSG_CMSG_CLOEXEC
        const CMSG_CLOEXEC = net::MSG_CMSG_CLOEXEC;
    }
}

/// A user id that a namespace does not know.
pub const OVERFLOW_ID: u32 = 65_534;

/// Who sent a message, or is at the other end.
#[derive(Clone, Debug)]
pub struct Sender {
    numbers: PidNumbers,
    group: std::sync::Weak<ThreadGroup>,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Sender {
    /// A task, by its real ids, as messages have it.
    #[must_use]
    pub fn of_message(task: &Task) -> Sender {
        let credentials = task.credentials();
        Sender::new(task.group(), credentials.uid, credentials.gid)
    }

    /// A task, by its effective ids, as `SO_PEERCRED` has it.
    #[must_use]
    pub fn of_peer(task: &Task) -> Sender {
        let credentials = task.credentials();
        Sender::new(task.group(), credentials.euid, credentials.egid)
    }

    /// The kernel itself.
    #[must_use]
    pub fn kernel() -> Sender {
        Sender {
            numbers: PidNumbers(Vec::new()),
            group: std::sync::Weak::new(),
            uid: 0,
            gid: 0,
        }
    }

    fn new(group: &Arc<ThreadGroup>, uid: u32, gid: u32) -> Sender {
        Sender {
            numbers: group
                .leader()
                .map_or(PidNumbers(Vec::new()), |leader| leader.numbers()),
            group: Arc::downgrade(group),
            uid,
            gid,
        }
    }

    /// What an application claims in `SCM_CREDENTIALS`; EPERM unless the ids are its own or it may claim
    /// others (`CAP_SYS_ADMIN` for the process, `CAP_SETUID`, `CAP_SETGID`). ESRCH: no such process.
    pub fn claimed(task: &Task, claim: &Ucred) -> Result<Sender> {
        let credentials = task.credentials();
        let pid = u32::try_from(claim.pid).map_err(|_| Errno::ESRCH)?;
        let own_pid = pid == task.group().pid();
        let own_uid = [credentials.uid, credentials.euid, credentials.suid].contains(&claim.uid);
        let own_gid = [credentials.gid, credentials.egid, credentials.sgid].contains(&claim.gid);
        if !(own_pid || credentials.has_in(&task.pid_namespace().user_ns, Capability::SysAdmin))
            || !(own_uid || credentials.has_own(Capability::Setuid))
            || !(own_gid || credentials.has_own(Capability::Setgid))
        {
            return Err(Errno::EPERM);
        }
        let group = task.pid_namespace().group(pid).ok_or(Errno::ESRCH)?;
        Ok(Sender::new(&group, claim.uid, claim.gid))
    }

    /// As a receiver in `namespace` sees it.
    #[must_use]
    pub fn seen_from(&self, namespace: &Arc<PidNamespace>) -> Ucred {
        Ucred {
            pid: self.numbers.in_namespace(namespace).cast_signed(),
            uid: self.uid,
            gid: self.gid,
        }
    }

    /// The process, while it is there.
    #[must_use]
    pub fn process(&self) -> Option<Arc<ThreadGroup>> {
        self.group.upgrade()
    }

    /// Whether it is the same process with the same ids.
    #[must_use]
    pub fn same(&self, other: &Sender) -> bool {
        self.group.ptr_eq(&other.group) && self.uid == other.uid && self.gid == other.gid
    }
}

/// Ancillary data.
#[derive(Clone, Debug, Default)]
pub struct Control {
    /// `SCM_RIGHTS`
    pub files: Vec<Arc<OpenFile>>,
    /// `SCM_CREDENTIALS`
    pub sender: Option<Sender>,
    /// Something of netlink's: its group (`NETLINK_PKTINFO`).
    pub netlink_group: Option<u32>,
}

/// A message to be sent.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The bytes.
    pub source: Source<'a>,
    /// Where to, if not to the peer.
    pub address: Option<Vec<u8>>,
    /// What goes along.
    pub control: Control,
    /// MSG_*
    pub flags: MessageFlags,
}

impl<'a> Outgoing<'a> {
    /// Bytes for the peer and nothing else.
    #[must_use]
    pub fn bytes(source: Source<'a>) -> Outgoing<'a> {
        Outgoing {
            source,
            address: None,
            control: Control::default(),
            flags: MessageFlags::empty(),
        }
    }
}

/// A message that was received, but for its bytes.
#[derive(Debug, Default)]
pub struct Incoming {
    /// Bytes that were stored.
    pub stored: usize,
    /// Bytes that the message had.
    pub len: usize,
    /// `MSG_TRUNC`, `MSG_EOR` and the like.
    pub flags: MessageFlags,
    /// Where from; none: the address is not reported.
    pub address: Option<Vec<u8>>,
    /// What came along.
    pub control: Control,
    /// The socket wants credentials (`SO_PASSCRED`).
    pub wants_credentials: bool,
    /// The socket wants a descriptor of the sending process (`SO_PASSPIDFD`).
    pub wants_pidfd: bool,
}
