//! What happened in a stack, counted (RFC 4293, RFC 4022, RFC 4113): the figures of `/proc/net/snmp` and `snmp6`.

use std::sync::atomic::{AtomicU64, Ordering};

/// A figure that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The figures of a stack, by Linux's names in `/proc/net/snmp`.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Statistics {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The same while they are counted.
        #[derive(Debug, Default)]
        pub(crate) struct Counting {
            $(pub(crate) $name: Count,)*
        }

        impl Counting {
            pub(crate) fn read(&self) -> Statistics {
                Statistics { $($name: self.$name.read(),)* }
            }
        }
    };
}

counters! {
    /// `Ip: InReceives`, of both versions, the loopback's too.
    ip_received,
    /// `Ip: InHdrErrors`, and what has no transport that can be read.
    ip_header_errors,
    /// `Ip: InAddrErrors`: packets for others, or from nowhere.
    ip_address_errors,
    /// `Ip: InDelivers`
    ip_delivered,
    /// `Ip: OutRequests`
    ip_sent,
    /// `Ip: OutNoRoutes`
    ip_no_routes,
    /// `Ip: ReasmReqds`
    ip_fragments,
    /// `Ip: ReasmOKs`
    ip_reassembled,
    /// `Ip: FragCreates`
    ip_fragments_made,
    /// `Icmp: InMsgs`
    icmp_received,
    /// `Icmp: OutMsgs`
    icmp_sent,
    /// `Udp: InDatagrams`
    udp_received,
    /// `Udp: NoPorts`
    udp_no_ports,
    /// `Udp: OutDatagrams`
    udp_sent,
    /// `Udp: RcvbufErrors`
    udp_receive_buffer_errors,
    /// `Tcp: ActiveOpens`
    tcp_active_opens,
    /// `Tcp: PassiveOpens`
    tcp_passive_opens,
    /// `Tcp: InSegs`
    tcp_received,
    /// `Tcp: OutSegs`
    tcp_sent,
    /// `Tcp: RetransSegs`
    tcp_repeated,
    /// `Tcp: OutRsts`
    tcp_resets_sent,
    /// `TcpExt: SyncookiesSent`
    tcp_cookies_sent,
    /// `TcpExt: SyncookiesRecv`
    tcp_cookies_received,
    /// `TcpExt: ListenOverflows`
    tcp_listen_overflows,
}
