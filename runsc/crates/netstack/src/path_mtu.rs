//! What paths carry that carry less than their first link (RFC 1191, RFC 8201).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use locks::RwLock;

use crate::core::Core;
use crate::route::{Path, Way};

/// How long what was learnt is believed (`mtu_expires`).
const BELIEVED: Duration = Duration::from_secs(600);
/// Destinations at most.
const MOST: usize = 1024;
/// Least MTUs (`min_pmtu`; RFC 8200, 5).
const LEAST: u32 = 552;
const LEAST_V6: u32 = 1280;

/// The MTUs of paths, by destination.
#[derive(Debug, Default)]
pub(crate) struct PathMtus {
    known: RwLock<HashMap<IpAddr, (u32, Duration)>>,
    count: AtomicUsize,
}

impl Core {
    /// A packet to `destination` was too long: the path carries `mtu` bytes.
    pub(crate) fn learn_mtu(&self, destination: IpAddr, mtu: u32) {
        let least = if destination.is_ipv4() {
            LEAST
        } else {
            LEAST_V6
        };
        let now = self.now();
        let mut known = self.path_mtus.known.write();
        if known.len() >= MOST {
            known.retain(|_, (_, until)| *until > now);
        }
        if known.len() < MOST {
            known.insert(destination, (mtu.max(least), now + BELIEVED));
        }
        self.path_mtus.count.store(known.len(), Ordering::Relaxed);
    }

    /// The path with what is known of it.
    pub(crate) fn narrow(&self, path: Path, destination: IpAddr) -> Path {
        if path.way != Way::Unicast || self.path_mtus.count.load(Ordering::Relaxed) == 0 {
            return path;
        }
        let known = self.path_mtus.known.read().get(&destination).copied();
        match known {
            Some((mtu, until)) if until > self.now() => Path {
                mtu: path.mtu.min(mtu),
                ..path
            },
            _ => path,
        }
    }
}
