//! Sockets of `AF_INET` and `AF_INET6` over the kernel's own stack (`man 7 ip`, `man 7 ipv6`).
//!
//! - [`network`] is a network namespace with its stack.
//! - [`tcp`] and [`udp`] make sockets of the stack files, and [`options`] has what they have in common.
//!
//! The stack copies user memory with none of its locks held.

mod address;
pub mod network;
mod options;
pub mod tcp;
pub mod udp;

use std::net::SocketAddr;
use std::sync::Arc;

use abi::Errno;
use netstack::{Family, Observer, Readiness};

use crate::error::Result;
use crate::kernel::credentials::Capability;
use crate::kernel::task::Task;
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::socket::{Shutdown, SocketType};
use crate::vfs::file::File;

const IPPROTO_ICMP: i32 = 1;
const IPPROTO_TCP: i32 = 6;
const IPPROTO_UDP: i32 = 17;
const IPPROTO_ICMPV6: i32 = 58;

/// A socket of a family.
///
/// # Errors
/// ESOCKTNOSUPPORT, EPROTONOSUPPORT: there is no such kind. EPERM: raw sockets without `CAP_NET_RAW`. EACCES: ping
/// sockets, which `net.ipv4.ping_group_range` allows to nobody.
pub fn new(task: &Task, family: Family, kind: SocketType, protocol: i32) -> Result<Arc<dyn File>> {
    match (kind, protocol) {
        (SocketType::Stream, 0 | IPPROTO_TCP) => Ok(tcp::TcpSocket::new(task, family)),
        (SocketType::Datagram, 0 | IPPROTO_UDP) => Ok(udp::UdpSocket::new(task, family)),
        (SocketType::Datagram, IPPROTO_ICMP | IPPROTO_ICMPV6) => Err(Errno::EACCES),
        (SocketType::Raw, _) if !may_administer(task, Capability::NetRaw) => Err(Errno::EPERM),
        (SocketType::SeqPacket, _) => Err(Errno::ESOCKTNOSUPPORT),
        _ => Err(Errno::EPROTONOSUPPORT),
    }
}

/// Whether the task has the capability in the user namespace that owns its network.
pub(super) fn may_administer(task: &Task, capability: Capability) -> bool {
    let owner = &task.namespaces().owners.net;
    task.credentials().has_in(owner, capability)
}

/// Whether the task may bind the port (`man 7 ip`, `net.ipv4.ip_unprivileged_port_start`): EACCES.
fn check_port(task: &Task, port: u16) -> Result<()> {
    let first = task
        .kernel()
        .sysctl
        .number("net/ipv4/ip_unprivileged_port_start");
    let is_privileged = port != 0 && u64::from(port) < first;
    if is_privileged && !may_administer(task, Capability::NetBindService) {
        return Err(Errno::EACCES);
    }
    Ok(())
}

/// Where `bind` binds to with `AF_UNSPEC`: any address of IPv4, by an old accident. EAFNOSUPPORT.
fn unspecified_for_bind(bytes: &[u8], family: Family) -> Result<SocketAddr> {
    let address = address::read_v4(bytes)?;
    if family == Family::Ipv4 && address.ip().is_unspecified() {
        Ok(address)
    } else {
        Err(Errno::EAFNOSUPPORT)
    }
}

/// Who waits for a socket of the stack.
#[derive(Debug)]
struct Waiters(WaitQueue);

impl Observer for Waiters {
    fn changed(&self, readiness: Readiness) {
        self.0.wake(events(readiness));
    }
}

/// Readiness as `poll(2)` has it.
fn events(ready: Readiness) -> Events {
    let mut events = Events::empty();
    for (bit, shown) in [
        (Readiness::IN, Events::IN | Events::RDNORM),
        (
            Readiness::OUT,
            Events::OUT | Events::WRNORM | Events::WRBAND,
        ),
        (Readiness::ERROR, Events::ERR),
        (Readiness::HANGUP, Events::HUP),
        (Readiness::READ_HANGUP, Events::RDHUP),
        (Readiness::PRIORITY, Events::PRI),
    ] {
        events.set(shown, ready.contains(bit));
    }
    events
}

/// The directions that `shutdown(2)` closes.
fn directions(how: Shutdown) -> netstack::Shutdown {
    if how == Shutdown::READ {
        netstack::Shutdown::Read
    } else if how == Shutdown::WRITE {
        netstack::Shutdown::Write
    } else {
        netstack::Shutdown::Both
    }
}
