//! What an administrator sets for a whole stack: the sysctls below `net` (`man 7 ip`, `man 7 tcp`, `man 7 udp`).

use std::time::Duration;

/// The settings of a stack, with Linux's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `ip_default_ttl` and `hop_limit`.
    pub default_ttl: u8,
    /// `ip_local_port_range`: first and last port that is given to sockets without one.
    pub local_ports: (u16, u16),
    /// `ip_local_reserved_ports`: ports that are never given.
    pub reserved_ports: Vec<u16>,
    /// `ip_unprivileged_port_start`: the stack does not look at it; those who call `bind` do.
    pub unprivileged_port_start: u16,
    /// `ip_nonlocal_bind`
    pub nonlocal_bind: bool,
    /// `icmp_echo_ignore_all`
    pub ignore_echo: bool,
    /// `rmem_default`: receive buffer of datagram sockets.
    pub receive_buffer: usize,
    /// `wmem_default`: send buffer of datagram sockets.
    pub send_buffer: usize,
    /// `tcp_rmem`: least, first and most.
    pub tcp_receive_buffer: [usize; 3],
    /// `tcp_wmem`: least, first and most.
    pub tcp_send_buffer: [usize; 3],
    /// `tcp_moderate_rcvbuf`
    pub tcp_moderate_receive_buffer: bool,
    /// `tcp_window_scaling`
    pub tcp_window_scaling: bool,
    /// `tcp_timestamps`
    pub tcp_timestamps: bool,
    /// `tcp_sack`
    pub tcp_sack: bool,
    /// `tcp_congestion_control`
    pub tcp_congestion: Congestion,
    /// `tcp_syncookies`: 0 never, 1 when the queue is full, 2 always.
    pub tcp_syn_cookies: u8,
    /// `tcp_syn_retries`
    pub tcp_syn_retries: u8,
    /// `tcp_synack_retries`
    pub tcp_syn_ack_retries: u8,
    /// `tcp_retries2`
    pub tcp_retries: u8,
    /// `tcp_orphan_retries`; 0 means 8.
    pub tcp_orphan_retries: u8,
    /// `tcp_fin_timeout`
    pub tcp_fin_timeout: Duration,
    /// `tcp_keepalive_time`
    pub tcp_keepalive_time: Duration,
    /// `tcp_keepalive_intvl`
    pub tcp_keepalive_interval: Duration,
    /// `tcp_keepalive_probes`
    pub tcp_keepalive_probes: u8,
    /// `tcp_max_tw_buckets`
    pub tcp_max_time_wait: usize,
    /// `tcp_max_orphans`
    pub tcp_max_orphans: usize,
    /// `tcp_tw_reuse`: 0 never, 1 always, 2 on loopback.
    pub tcp_time_wait_reuse: u8,
    /// `tcp_abort_on_overflow`
    pub tcp_abort_on_overflow: bool,
    /// `tcp_challenge_ack_limit`, in a second; `None` for no limit, which is Linux's default.
    pub tcp_challenge_ack_limit: Option<u32>,
    /// `ipfrag_high_thresh`: bytes of fragments that are kept.
    pub fragment_memory: usize,
    /// `ipfrag_time`
    pub fragment_timeout: Duration,
}

/// How a sender finds out how much a path carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Congestion {
    /// RFC 9438.
    #[default]
    Cubic,
    /// RFC 5681 and RFC 6582.
    Reno,
}

impl Congestion {
    /// The name that `TCP_CONGESTION` shows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Congestion::Cubic => "cubic",
            Congestion::Reno => "reno",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Congestion> {
        [Congestion::Cubic, Congestion::Reno]
            .into_iter()
            .find(|congestion| congestion.name() == name)
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            default_ttl: 64,
            local_ports: (32_768, 60_999),
            reserved_ports: Vec::new(),
            unprivileged_port_start: 1024,
            nonlocal_bind: false,
            ignore_echo: false,
            receive_buffer: 212_992,
            send_buffer: 212_992,
            tcp_receive_buffer: [4096, 131_072, 6 << 20],
            tcp_send_buffer: [4096, 16 << 10, 4 << 20],
            tcp_moderate_receive_buffer: true,
            tcp_window_scaling: true,
            tcp_timestamps: true,
            tcp_sack: true,
            tcp_congestion: Congestion::Cubic,
            tcp_syn_cookies: 1,
            tcp_syn_retries: 6,
            tcp_syn_ack_retries: 5,
            tcp_retries: 15,
            tcp_orphan_retries: 0,
            tcp_fin_timeout: Duration::from_secs(60),
            tcp_keepalive_time: Duration::from_secs(7200),
            tcp_keepalive_interval: Duration::from_secs(75),
            tcp_keepalive_probes: 9,
            tcp_max_time_wait: 65_536,
            tcp_max_orphans: 65_536,
            tcp_time_wait_reuse: 2,
            tcp_abort_on_overflow: false,
            tcp_challenge_ack_limit: None,
            fragment_memory: 4 << 20,
            fragment_timeout: Duration::from_secs(30),
        }
    }
}
