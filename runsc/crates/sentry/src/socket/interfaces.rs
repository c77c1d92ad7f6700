//! Network interfaces as `ioctl(2)` shows them (`man 7 netdevice`).

use std::net::IpAddr;

use abi::Errno;

use crate::error::{Result, SyscallResult};
use crate::kernel::credentials::Capability;
use crate::kernel::task::Task;
use crate::socket::inet;
use crate::vfs::command::CommandArg;

/// An interface.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its number.
    pub index: i32,
    /// Its name.
    pub name: Vec<u8>,
    /// IFF_*
    pub flags: u16,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// ARPHRD_*
    pub hardware: u16,
    /// Addresses with the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
}

const IFF_UP: u16 = 0x1;
const IFF_LOOPBACK: u16 = 0x8;
const IFF_RUNNING: u16 = 0x40;
/// `ARPHRD_ETHER`
const ARPHRD_ETHER: u16 = 1;
/// `ARPHRD_LOOPBACK`
const ARPHRD_LOOPBACK: u16 = 772;

/// Every interface of the task's network.
#[must_use]
pub fn all(task: &Task) -> Vec<Interface> {
    let namespaces = task.namespaces();
    let interfaces = namespaces.net.stack(task.kernel()).interfaces();
    interfaces.into_iter().map(shown).collect()
}

fn shown(interface: netstack::Interface) -> Interface {
    let mut flags = 0;
    if interface.is_up {
        flags |= IFF_UP | IFF_RUNNING;
    }
    if interface.is_loopback {
        flags |= IFF_LOOPBACK;
    }
    let addresses = interface.addresses.iter().filter(|_| interface.is_up);
    Interface {
        index: i32::try_from(interface.index).unwrap_or(0),
        name: interface.name.into_bytes(),
        flags,
        mtu: interface.mtu,
        hardware: if interface.is_loopback {
            ARPHRD_LOOPBACK
        } else {
            ARPHRD_ETHER
        },
        addresses: addresses
            .map(|address| (address.ip, address.prefix))
            .collect(),
    }
}

impl Interface {
    /// Its first address of IPv4 and the length of the prefix.
    fn ipv4(&self) -> Option<([u8; 4], u8)> {
        self.addresses.iter().find_map(|(ip, prefix)| match ip {
            IpAddr::V4(ip) => Some((ip.octets(), *prefix)),
            IpAddr::V6(_) => None,
        })
    }
}

/// Switches an interface on or off, as `flags` say; EPERM, ENODEV. Other flags are what they are.
pub(super) fn set_flags(task: &Task, index: i32, flags: u16) -> Result<()> {
    if !inet::may_administer(task, Capability::NetAdmin) {
        return Err(Errno::EPERM);
    }
    let change = if flags & IFF_UP != 0 {
        netstack::InterfaceChange::Up
    } else {
        netstack::InterfaceChange::Down
    };
    let index = u32::try_from(index).map_err(|_| Errno::ENODEV)?;
    let namespaces = task.namespaces();
    namespaces
        .net
        .stack(task.kernel())
        .change_interface(index, change)
}

const SIOCGIFNAME: u32 = 0x8910;
const SIOCGIFCONF: u32 = 0x8912;
const SIOCGIFFLAGS: u32 = 0x8913;
const SIOCSIFFLAGS: u32 = 0x8914;
const SIOCGIFADDR: u32 = 0x8915;
const SIOCGIFNETMASK: u32 = 0x891b;
const SIOCGIFMETRIC: u32 = 0x891d;
const SIOCGIFMTU: u32 = 0x8921;
const SIOCGIFHWADDR: u32 = 0x8927;
const SIOCGIFINDEX: u32 = 0x8933;
const SIOCGIFTXQLEN: u32 = 0x8942;

/// Bytes of a `struct ifreq`: a name and a union.
const IFREQ: usize = 40;
const NAME: usize = 16;

/// What every socket answers about interfaces; ENOTTY for other commands, ENODEV.
pub fn ioctl(task: &Task, command: u32, argument: CommandArg) -> SyscallResult {
    let address = argument.address();
    match command {
        SIOCGIFCONF => list(task, address)?,
        SIOCGIFNAME | SIOCGIFFLAGS | SIOCGIFADDR | SIOCGIFNETMASK | SIOCGIFMETRIC | SIOCGIFMTU
        | SIOCGIFHWADDR | SIOCGIFINDEX | SIOCGIFTXQLEN => {
            let mut request = [0; IFREQ];
            task.mm().read_bytes(address, &mut request)?;
            answer(&all(task), command, &mut request)?;
            task.mm().write_bytes(address, &request)?;
        }
        SIOCSIFFLAGS => {
            let mut request = [0; IFREQ];
            task.mm().read_bytes(address, &mut request)?;
            let flags = u16::from_ne_bytes([request[NAME], request[NAME + 1]]);
            set_flags(task, named(&all(task), &request)?.index, flags)?;
        }
        _ => return Err(Errno::ENOTTY.into()),
    }
    Ok(0)
}

/// The interface that a request names; ENODEV.
fn named<'a>(all: &'a [Interface], request: &[u8; IFREQ]) -> Result<&'a Interface> {
    let end = request[..NAME].iter().position(|byte| *byte == 0);
    let name = &request[..end.unwrap_or(NAME)];
    let found = all.iter().find(|interface| interface.name == name);
    found.ok_or(Errno::ENODEV)
}

fn answer(all: &[Interface], command: u32, request: &mut [u8; IFREQ]) -> Result<()> {
    if command == SIOCGIFNAME {
        let index = i32::from_ne_bytes([request[16], request[17], request[18], request[19]]);
        let interface = all.iter().find(|interface| interface.index == index);
        put_name(request, &interface.ok_or(Errno::ENODEV)?.name);
        return Ok(());
    }
    let interface = named(all, request)?;
    let ipv4 = || interface.ipv4().ok_or(Errno::EADDRNOTAVAIL);
    let union = &mut request[NAME..];
    union.fill(0);
    match command {
        SIOCGIFFLAGS => union[..2].copy_from_slice(&interface.flags.to_ne_bytes()),
        SIOCGIFADDR => union[..16].copy_from_slice(&sockaddr(ipv4()?.0)),
        SIOCGIFNETMASK => {
            let mask = u32::MAX
                .checked_shl(32 - u32::from(ipv4()?.1.min(32)))
                .unwrap_or(0);
            union[..16].copy_from_slice(&sockaddr(mask.to_be_bytes()));
        }
        SIOCGIFMTU => union[..4].copy_from_slice(&interface.mtu.to_ne_bytes()),
        SIOCGIFHWADDR => union[..2].copy_from_slice(&interface.hardware.to_ne_bytes()),
        SIOCGIFINDEX => union[..4].copy_from_slice(&interface.index.to_ne_bytes()),
        SIOCGIFTXQLEN => union[..4].copy_from_slice(&1000i32.to_ne_bytes()),
        _ => {}
    }
    Ok(())
}

fn put_name(request: &mut [u8; IFREQ], name: &[u8]) {
    request[..NAME].fill(0);
    // The last byte ends the name.
    let len = name.len().min(NAME - 1);
    request[..len].copy_from_slice(&name[..len]);
}

/// A `struct sockaddr_in` without port.
fn sockaddr(address: [u8; 4]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&abi::socket::AF_INET.to_ne_bytes());
    bytes[4..8].copy_from_slice(&address);
    bytes
}

/// SIOCGIFCONF: as many as fit; with a null buffer, how many bytes it takes.
fn list(task: &Task, address: usize) -> Result<()> {
    let mm = task.mm();
    let header: [u64; 2] = mm.read_value(address)?;
    let room = i32::from_ne_bytes(low_half(header[0]));
    let mut buffer = Vec::new();
    for interface in all(task) {
        let Some((ip, _)) = interface.ipv4() else {
            continue;
        };
        let mut request = [0; IFREQ];
        put_name(&mut request, &interface.name);
        request[NAME..NAME + 16].copy_from_slice(&sockaddr(ip));
        buffer.extend_from_slice(&request);
    }
    let target = usize::try_from(header[1]).map_err(|_| Errno::EFAULT)?;
    let mut len = buffer.len();
    if target != 0 {
        let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
        len = len.min(room / IFREQ * IFREQ);
        mm.write_bytes(target, &buffer[..len])?;
    }
    mm.write_value(address, &i32::try_from(len).unwrap_or(i32::MAX))
}

fn low_half(value: u64) -> [u8; 4] {
    let bytes = value.to_ne_bytes();
    [bytes[0], bytes[1], bytes[2], bytes[3]]
}
