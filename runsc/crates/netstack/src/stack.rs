//! The stack as its embedder sees it.

use std::net::IpAddr;
use std::sync::Arc;

use abi::Errno;

use crate::core::Core;
use crate::{
    Address, Config, Embedder, Family, Interface, InterfaceChange, Link, Neighbor, Observer, Route,
    SocketEntry, Statistics, tcp, udp,
};

/// A TCP/IP stack.
#[derive(Debug)]
pub struct Stack {
    pub(crate) core: Arc<Core>,
}

/// Whether a frame's checksums have to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksums {
    /// The frame came from afar.
    Verify,
    /// The link says that they are right, or that the frame never was on a wire.
    Trusted,
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.core.shut_down();
    }
}

impl Stack {
    /// A stack with a loopback interface.
    #[must_use]
    pub fn new(embedder: Arc<dyn Embedder>, config: Config) -> Arc<Stack> {
        let core = Arc::new(Core::new(embedder, config));
        Arc::new(Stack { core })
    }

    /// Takes a frame that came in by an interface.
    pub fn receive(&self, interface: u32, frame: &[u8], checksums: Checksums) {
        self.core.receive(interface, frame, checksums);
        self.core.flush();
    }

    /// Does what is due: to be called at the time that [`Embedder::deadline`] was told, or a little later.
    pub fn advance(&self) {
        self.core.advance();
        self.core.flush();
    }

    /// A TCP socket.
    pub fn tcp(&self, family: Family, observer: Arc<dyn Observer>) -> Arc<tcp::Socket> {
        tcp::Socket::new(&self.core, family, observer)
    }

    /// A UDP socket.
    pub fn udp(&self, family: Family, observer: Arc<dyn Observer>) -> Arc<udp::Socket> {
        udp::Socket::new(&self.core, family, udp::Kind::Udp, observer)
    }

    /// A ping socket.
    pub fn ping(&self, family: Family, observer: Arc<dyn Observer>) -> Arc<udp::Socket> {
        udp::Socket::new(&self.core, family, udp::Kind::Ping, observer)
    }

    /// A raw socket, which gets packets of `protocol` from now on.
    pub fn raw(
        &self,
        family: Family,
        protocol: u8,
        observer: Arc<dyn Observer>,
    ) -> Arc<udp::Socket> {
        udp::Socket::new(&self.core, family, udp::Kind::Raw(protocol), observer)
    }

    /// The sockets that have an address, and connections that no program has any more or yet.
    #[must_use]
    pub fn sockets(&self) -> Vec<SocketEntry> {
        self.core.list()
    }

    /// What happened so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.core.counts.read()
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.core.config()
    }

    /// Changes settings.
    pub fn reconfigure(&self, change: impl FnOnce(&mut Config)) {
        self.core.reconfigure(change);
    }

    /// The interfaces, in the order of their indices.
    #[must_use]
    pub fn interfaces(&self) -> Vec<Interface> {
        self.core.network.read().interfaces()
    }

    /// Adds an interface, which is down and has no addresses, and says its index. `EEXIST` if the name is taken.
    pub fn add_interface(&self, name: &str, link: Arc<dyn Link>) -> Result<u32, Errno> {
        self.core
            .change_network(|network| network.add_interface(name, link))
    }

    /// Takes an interface away, with its addresses and routes. `ENODEV` if there is none, `EOPNOTSUPP` if it is the loopback.
    pub fn remove_interface(&self, index: u32) -> Result<(), Errno> {
        self.core
            .change_network(|network| network.remove_interface(index))?;
        self.core.forget_neighbors(index);
        Ok(())
    }

    /// Changes an interface. `ENODEV` if there is none, `EEXIST` if the name is taken, `EINVAL` for an MTU below 68.
    pub fn change_interface(&self, index: u32, change: InterfaceChange) -> Result<(), Errno> {
        let is_down = change == InterfaceChange::Down;
        self.core
            .change_network(|network| network.change(index, change))?;
        if is_down {
            self.core.forget_neighbors(index);
        }
        Ok(())
    }

    /// Gives an interface an address, and a route to its network. `EEXIST` if it is there.
    pub fn add_address(&self, index: u32, address: Address) -> Result<(), Errno> {
        self.core
            .change_network(|network| network.add_address(index, address))
    }

    /// Takes an address away, and the routes that came with it. `EADDRNOTAVAIL` if there is none.
    pub fn remove_address(&self, index: u32, ip: IpAddr, prefix: u8) -> Result<(), Errno> {
        self.core
            .change_network(|network| network.remove_address(index, ip, prefix))
    }

    /// The neighbors on the links.
    #[must_use]
    pub fn neighbors(&self) -> Vec<Neighbor> {
        self.core.show_neighbors()
    }

    /// Sets the hardware address of a neighbor, for good. `ENOBUFS` if there are too many.
    pub fn add_neighbor(&self, index: u32, ip: IpAddr, hardware: [u8; 6]) -> Result<(), Errno> {
        self.core.add_neighbor(index, ip, hardware)
    }

    /// Forgets a neighbor. `ENOENT` if there is none.
    pub fn remove_neighbor(&self, index: u32, ip: IpAddr) -> Result<(), Errno> {
        self.core.remove_neighbor(index, ip)
    }

    /// The routes, in the order in which they are looked at.
    #[must_use]
    pub fn routes(&self) -> Vec<Route> {
        self.core.network.read().routes().to_vec()
    }

    /// Adds a route. `EEXIST` if there is one to the same network with the same metric, `ENODEV` or `ENETDOWN` for its interface.
    pub fn add_route(&self, route: Route) -> Result<(), Errno> {
        self.core.change_network(|network| network.add_route(route))
    }

    /// Takes a route away. `ESRCH` if there is none.
    pub fn remove_route(&self, route: &Route) -> Result<(), Errno> {
        self.core
            .change_network(|network| network.remove_route(route))
    }
}
