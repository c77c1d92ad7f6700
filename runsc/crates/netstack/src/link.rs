//! Between packets and the frames of a link.

use crate::core::Core;
use crate::hash::Purpose;
use crate::packet::{Cutting, Packet};
use crate::route::Path;
use crate::wire::{self, Parsed};
use crate::{Checksums, Frame};

impl Core {
    /// Takes a frame of an interface.
    pub(crate) fn receive(&self, interface: u32, frame: &[u8], checksums: Checksums) {
        let Some((counts, is_ethernet)) =
            self.network.read().device(interface).and_then(|device| {
                let link = device.link.as_ref().filter(|_| device.is_up)?;
                Some((device.counts.clone(), link.hardware().is_some()))
            })
        else {
            return;
        };
        counts.receive(frame.len());
        if is_ethernet {
            return;
        }
        match wire::ip(frame, checksums) {
            Some(Parsed::Whole(packet)) if self.accepts(interface, &packet) => {
                self.input(interface, packet)
            }
            _ => counts.drop_received(),
        }
    }

    /// Whether a packet from a link is for this host and from another one.
    fn accepts(&self, interface: u32, packet: &Packet) -> bool {
        let network = self.network.read();
        let is_ours = network.is_local(packet.destination)
            || network.is_broadcast(interface, packet.destination)
            || packet.destination.is_multicast();
        is_ours && !network.is_martian(packet.source)
    }

    /// Sends a packet by a link. No lock is held.
    pub(crate) fn transmit(&self, packet: Packet, path: &Path) {
        let found = self
            .network
            .read()
            .device(path.interface)
            .and_then(|device| {
                let link = device.link.clone()?;
                Some((link, device.counts.clone(), device.mtu))
            });
        let Some((link, counts, mtu)) = found else {
            return;
        };
        let mtu = usize::try_from(mtu.min(path.mtu)).unwrap_or(usize::MAX);
        let identification = self.secret.hash(
            Purpose::Identification,
            (packet.source, packet.destination, self.new_id()),
        );
        let short = u16::try_from(identification & 0xffff).unwrap_or_default();
        let long = u32::try_from(identification >> 32).unwrap_or_default();
        let packets = if packet.len() <= mtu {
            vec![wire::packet(&packet, short, 0)]
        } else if packet.cutting == Cutting::Allowed {
            wire::fragments(&packet, mtu, long, 0)
        } else {
            return;
        };
        let frames: Vec<Frame> = packets
            .into_iter()
            .map(|bytes| Frame { bytes, gso: None })
            .collect();
        frames
            .iter()
            .for_each(|frame| counts.send(frame.bytes.len()));
        link.transmit(frames);
    }
}
