//! Who has which local port (`man 2 bind`, `SO_REUSEADDR` and `SO_REUSEPORT` in `man 7 socket`).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use abi::Errno;

use crate::hash::Secret;
use crate::{Config, Family};

/// A socket's right to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The socket.
    pub(crate) id: u64,
    pub(crate) family: Family,
    /// The address; unspecified is all of the family, and with a dual-stack socket all of IPv4 too.
    pub(crate) address: IpAddr,
    pub(crate) v6_only: bool,
    pub(crate) device: Option<u32>,
    pub(crate) reuse_address: bool,
    pub(crate) reuse_port: bool,
    pub(crate) owner: u32,
    /// Nobody reuses the address of a socket that listens.
    pub(crate) is_listening: bool,
    /// The port came with a connection: other connections to other places may have it too.
    pub(crate) is_shared: bool,
}

impl Claim {
    /// Whether it can't have a port that the other has. Of those that share an address, one alone listens.
    fn conflicts(&self, other: &Claim) -> bool {
        let devices =
            self.device.is_none() || other.device.is_none() || self.device == other.device;
        if !devices || !self.overlaps(other) {
            return false;
        }
        let reused = self.reuse_address && other.reuse_address && !other.is_listening;
        let balanced = self.reuse_port && other.reuse_port && self.owner == other.owner;
        !reused && !balanced
    }

    /// Whether a packet could be for both.
    fn overlaps(&self, other: &Claim) -> bool {
        let (one, two) = (self.address, other.address);
        if one.is_ipv4() == two.is_ipv4() {
            return one == two || one.is_unspecified() || two.is_unspecified();
        }
        // An unspecified address of IPv6 takes IPv4 in, unless it is said not to.
        let takes = |claim: &Claim, other: IpAddr| {
            claim.address.is_ipv6()
                && claim.address.is_unspecified()
                && !claim.v6_only
                && other.is_ipv4()
        };
        takes(self, two) || takes(other, one)
    }
}

/// The claims on the ports of one protocol.
#[derive(Debug)]
pub(crate) struct Ports {
    claims: HashMap<u16, HashMap<u64, Claim>, Secret>,
    /// Makes the next search begin elsewhere.
    turn: u64,
}

impl Ports {
    pub(crate) fn new(secret: Secret) -> Ports {
        Ports {
            claims: HashMap::with_hasher(secret),
            turn: 0,
        }
    }

    /// Takes `port`, or with 0 any that is free. `EADDRINUSE` if there is none.
    pub(crate) fn bind(
        &mut self,
        port: u16,
        claim: Claim,
        config: &Config,
        start: u64,
    ) -> Result<u16, Errno> {
        if port != 0 {
            if self
                .of(port)
                .any(|other| other.id != claim.id && claim.conflicts(other))
            {
                return Err(Errno::EADDRINUSE);
            }
            self.put(port, claim);
            return Ok(port);
        }
        // A socket that reuses addresses still gets a port of its own if it lets the stack choose.
        let alone = Claim {
            reuse_address: false,
            reuse_port: false,
            ..claim
        };
        self.choose(claim, config, start, |ports, port| {
            ports.of(port).all(|other| !alone.conflicts(other))
        })
    }

    /// Takes any port for a connection for which `is_free` says that no other one has it with the same peer.
    pub(crate) fn connect(
        &mut self,
        claim: Claim,
        config: &Config,
        start: u64,
        is_free: impl Fn(u16) -> bool,
    ) -> Result<u16, Errno> {
        let shared = Claim {
            is_shared: true,
            ..claim
        };
        let chosen = self.choose(shared, config, start, |ports, port| {
            ports
                .of(port)
                .all(|other| other.is_shared || !shared.conflicts(other))
                && is_free(port)
        });
        chosen.map_err(|_| Errno::EADDRNOTAVAIL)
    }

    fn choose(
        &mut self,
        claim: Claim,
        config: &Config,
        start: u64,
        is_free: impl Fn(&Ports, u16) -> bool,
    ) -> Result<u16, Errno> {
        let (first, last) = config.local_ports;
        let count = u64::from(last.saturating_sub(first)) + 1;
        let begin = start.wrapping_add(self.turn);
        for step in 0..count {
            let offset = begin.wrapping_add(step) % count;
            let port = first.saturating_add(u16::try_from(offset).unwrap_or_default());
            if port != 0 && !config.reserved_ports.contains(&port) && is_free(self, port) {
                self.turn = self.turn.wrapping_add(step + 1);
                self.put(port, claim);
                return Ok(port);
            }
        }
        Err(Errno::EADDRINUSE)
    }

    /// Changes a claim, if others allow that.
    pub(crate) fn change(&mut self, port: u16, claim: Claim) -> Result<(), Errno> {
        self.bind(port, claim, &Config::default(), 0).map(drop)
    }

    pub(crate) fn release(&mut self, port: u16, id: u64) {
        if let Some(claims) = self.claims.get_mut(&port) {
            claims.remove(&id);
            if claims.is_empty() {
                self.claims.remove(&port);
            }
        }
    }

    fn of(&self, port: u16) -> impl Iterator<Item = &Claim> {
        self.claims.get(&port).into_iter().flat_map(HashMap::values)
    }

    /// Takes a port that the caller knows to be right: of a connection that a listener got.
    pub(crate) fn put(&mut self, port: u16, claim: Claim) {
        self.claims.entry(port).or_default().insert(claim.id, claim);
    }
}

/// A local address that a socket has, as the tables show it.
pub(crate) fn local(address: Option<IpAddr>, port: u16, family: Family) -> SocketAddr {
    let address = address.unwrap_or(crate::address::any(family));
    crate::address::outward(address, port, family, 0)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Claim, Ports};
    use crate::hash::Secret;
    use crate::tests::Clock;
    use crate::{Config, Family};

    fn ports() -> Ports {
        Ports::new(Secret::new(&Clock::default()))
    }

    fn claim(id: u64, address: &str) -> Claim {
        let address: IpAddr = address.parse().unwrap();
        Claim {
            id,
            family: if address.is_ipv4() {
                Family::Ipv4
            } else {
                Family::Ipv6
            },
            address,
            v6_only: false,
            device: None,
            reuse_address: false,
            reuse_port: false,
            owner: 0,
            is_listening: false,
            is_shared: false,
        }
    }

    #[test]
    fn addresses_that_overlap_conflict() {
        for (one, other, is_ok) in [
            ("0.0.0.0", "127.0.0.1", false),
            ("127.0.0.1", "127.0.0.1", false),
            ("127.0.0.1", "127.0.0.2", true),
            ("::", "127.0.0.1", false),
            ("::", "::1", false),
            ("::1", "0.0.0.0", true),
        ] {
            for (one, other) in [(one, other), (other, one)] {
                let mut ports = ports();
                ports
                    .bind(80, claim(1, one), &Config::default(), 0)
                    .unwrap();
                let second = ports.bind(80, claim(2, other), &Config::default(), 0);
                assert_eq!(second.is_ok(), is_ok, "{one} and {other}");
            }
        }
    }

    #[test]
    fn reused_addresses_conflict_when_one_listens() {
        let mut ports = ports();
        let reusing = |id| Claim {
            reuse_address: true,
            ..claim(id, "0.0.0.0")
        };
        ports.bind(80, reusing(1), &Config::default(), 0).unwrap();
        ports.bind(80, reusing(2), &Config::default(), 0).unwrap();
        let listening = |id| Claim {
            is_listening: true,
            ..reusing(id)
        };
        ports.change(80, listening(1)).unwrap();
        assert!(ports.change(80, listening(2)).is_err());
        assert!(ports.bind(80, reusing(3), &Config::default(), 0).is_err());
    }

    #[test]
    fn a_port_is_balanced_among_sockets_of_one_user() {
        let mut ports = ports();
        let balanced = |id, owner| Claim {
            reuse_port: true,
            is_listening: true,
            owner,
            ..claim(id, "::")
        };
        ports
            .bind(80, balanced(1, 7), &Config::default(), 0)
            .unwrap();
        assert!(
            ports
                .bind(80, balanced(2, 7), &Config::default(), 0)
                .is_ok()
        );
        assert!(
            ports
                .bind(80, balanced(3, 8), &Config::default(), 0)
                .is_err()
        );
    }

    #[test]
    fn all_ports_of_the_range_are_given_once() {
        let mut ports = ports();
        let config = Config {
            local_ports: (40_000, 40_009),
            reserved_ports: vec![40_003],
            ..Config::default()
        };
        let mut given: Vec<u16> = (0..9)
            .map(|id| ports.bind(0, claim(id, "0.0.0.0"), &config, 77).unwrap())
            .collect();
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), 9);
        assert!(!given.contains(&40_003));
        assert!(ports.bind(0, claim(99, "127.0.0.1"), &config, 3).is_err());
    }

    #[test]
    fn connections_share_ports_that_connections_took() {
        let mut ports = ports();
        let config = Config {
            local_ports: (40_000, 40_000),
            ..Config::default()
        };
        assert_eq!(
            ports.connect(claim(1, "127.0.0.1"), &config, 0, |_| true),
            Ok(40_000)
        );
        assert_eq!(
            ports.connect(claim(2, "127.0.0.1"), &config, 0, |_| true),
            Ok(40_000)
        );
        assert!(
            ports
                .connect(claim(3, "127.0.0.1"), &config, 0, |_| false)
                .is_err()
        );
        assert!(
            ports
                .bind(40_000, claim(4, "127.0.0.1"), &config, 0)
                .is_err()
        );
    }
}
