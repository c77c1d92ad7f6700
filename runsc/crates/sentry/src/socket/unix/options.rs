//! Options that only unix sockets have: who is at the other end (`man 7 unix`, `SO_PEERCRED`).

use abi::Errno;
use abi::raw::net;
use abi::socket::{SOL_SOCKET, Ucred};
use zerocopy::IntoBytes;

use super::UnixSocket;
use crate::error::Result;
use crate::kernel::task::Task;

/// What an end without peer reports.
const NOBODY: Ucred = Ucred {
    pid: 0,
    uid: u32::MAX,
    gid: u32::MAX,
};

pub(super) fn get(socket: &UnixSocket, task: &Task, level: i32, name: u32) -> Result<Vec<u8>> {
    if level != SOL_SOCKET {
        return Err(refusal(level));
    }
    let state = socket.state.lock();
    match name {
        net::SO_PEERCRED => {
            let namespace = task.pid_namespace();
            let peer = state.peer.as_ref();
            let ucred = peer.map_or(NOBODY, |peer| peer.seen_from(&namespace));
            Ok(ucred.as_bytes().to_vec())
        }
        net::SO_PEERGROUPS => {
            if state.peer.is_none() {
                return Err(Errno::ENODATA);
            }
            Ok(state.peer_groups.as_slice().as_bytes().to_vec())
        }
        _ => Err(Errno::ENOPROTOOPT),
    }
}

/// Unix sockets have no level of their own.
pub(super) fn refusal(level: i32) -> Errno {
    if level == SOL_SOCKET {
        Errno::ENOPROTOOPT
    } else {
        Errno::EOPNOTSUPP
    }
}
