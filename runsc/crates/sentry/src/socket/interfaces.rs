//! Network interfaces as `ioctl(2)` shows them (`man 7 netdevice`). There is one, the loopback interface.

use abi::Errno;

use crate::error::{Result, SyscallResult};
use crate::kernel::task::Task;
use crate::vfs::command::CommandArg;

/// An interface.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    /// Its number.
    pub index: i32,
    /// Its name.
    pub name: &'static [u8],
    /// IFF_*
    pub flags: u16,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// ARPHRD_*
    pub hardware: u16,
    /// Address and prefix length.
    pub ipv4: ([u8; 4], u8),
}

/// `IFF_UP`, `IFF_LOOPBACK`, `IFF_RUNNING`
pub const LOOPBACK_FLAGS: u16 = 0x1 | 0x8 | 0x40;
/// `ARPHRD_LOOPBACK`
const ARPHRD_LOOPBACK: u16 = 772;

/// The loopback interface.
pub const LOOPBACK: Interface = Interface {
    index: 1,
    name: b"lo",
    flags: LOOPBACK_FLAGS,
    mtu: 65_536,
    hardware: ARPHRD_LOOPBACK,
    ipv4: ([127, 0, 0, 1], 8),
};

/// Every interface.
pub const ALL: &[Interface] = &[LOOPBACK];

const SIOCGIFNAME: u32 = 0x8910;
const SIOCGIFCONF: u32 = 0x8912;
const SIOCGIFFLAGS: u32 = 0x8913;
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
            answer(command, &mut request)?;
            task.mm().write_bytes(address, &request)?;
        }
        _ => return Err(Errno::ENOTTY.into()),
    }
    Ok(0)
}

fn answer(command: u32, request: &mut [u8; IFREQ]) -> Result<()> {
    if command == SIOCGIFNAME {
        let index = i32::from_ne_bytes([request[16], request[17], request[18], request[19]]);
        let interface = ALL.iter().find(|interface| interface.index == index);
        put_name(request, interface.ok_or(Errno::ENODEV)?.name);
        return Ok(());
    }
    let end = request[..NAME].iter().position(|byte| *byte == 0);
    let name = &request[..end.unwrap_or(NAME)];
    let interface = ALL.iter().find(|interface| interface.name == name);
    let interface = *interface.ok_or(Errno::ENODEV)?;
    let union = &mut request[NAME..];
    union.fill(0);
    match command {
        SIOCGIFFLAGS => union[..2].copy_from_slice(&interface.flags.to_ne_bytes()),
        SIOCGIFADDR => union[..16].copy_from_slice(&sockaddr(interface.ipv4.0)),
        SIOCGIFNETMASK => {
            let mask = u32::MAX
                .checked_shl(32 - u32::from(interface.ipv4.1))
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
    request[..name.len()].copy_from_slice(name);
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
    for interface in ALL {
        let mut request = [0; IFREQ];
        put_name(&mut request, interface.name);
        request[NAME..NAME + 16].copy_from_slice(&sockaddr(interface.ipv4.0));
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
