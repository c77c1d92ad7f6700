//! Options of TCP sockets, and what `TCP_INFO` shows (`man 7 tcp`).

use std::time::Duration;

use super::State;
use crate::{Config, Congestion};

/// The options of a TCP socket; the caller checks bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `TCP_NODELAY`
    pub no_delay: bool,
    /// `TCP_CORK`
    pub cork: bool,
    /// `TCP_QUICKACK`
    pub quick_ack: bool,
    /// `TCP_MAXSEG`; `None` leaves it to the path.
    pub max_segment: Option<u16>,
    /// `TCP_KEEPIDLE`
    pub keep_idle: Duration,
    /// `TCP_KEEPINTVL`
    pub keep_interval: Duration,
    /// `TCP_KEEPCNT`
    pub keep_count: u8,
    /// `TCP_USER_TIMEOUT`
    pub user_timeout: Option<Duration>,
    /// `TCP_SYNCNT`
    pub syn_count: u8,
    /// `TCP_LINGER2`: `None` is the system's; zero ends at once.
    pub linger2: Option<Duration>,
    /// `TCP_DEFER_ACCEPT`: how long a connection without data is held back.
    pub defer_accept: Option<Duration>,
    /// `TCP_WINDOW_CLAMP`
    pub window_clamp: Option<u32>,
    /// `TCP_NOTSENT_LOWAT`
    pub not_sent_low_water: Option<u32>,
    /// `TCP_CONGESTION`
    pub congestion: Congestion,
}

impl Options {
    pub(crate) fn new(config: &Config) -> Options {
        Options {
            no_delay: false,
            cork: false,
            quick_ack: false,
            max_segment: None,
            keep_idle: config.tcp_keepalive_time,
            keep_interval: config.tcp_keepalive_interval,
            keep_count: config.tcp_keepalive_probes,
            user_timeout: None,
            syn_count: config.tcp_syn_retries,
            linger2: None,
            defer_accept: None,
            window_clamp: None,
            not_sent_low_water: None,
            congestion: config.tcp_congestion,
        }
    }
}

/// What is known of a connection (`struct tcp_info`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// `tcpi_state`
    pub state: State,
    /// `tcpi_ca_state`: 0 open, 3 recovery, 4 loss
    pub phase: u8,
    /// `tcpi_retransmits`
    pub retransmits: u8,
    /// `tcpi_probes`
    pub probes: u8,
    /// `tcpi_backoff`
    pub backoff: u8,
    /// `TCPI_OPT_TIMESTAMPS`
    pub has_timestamps: bool,
    /// `TCPI_OPT_SACK`
    pub has_sack: bool,
    /// `TCPI_OPT_WSCALE`, with the peer's scale and ours
    pub scales: Option<(u8, u8)>,
    /// `tcpi_rto`
    pub rto: Duration,
    /// `tcpi_snd_mss`
    pub send_mss: u32,
    /// `tcpi_rcv_mss`
    pub receive_mss: u32,
    /// `tcpi_unacked`, in segments
    pub unacked: u32,
    /// `tcpi_sacked`, in segments
    pub sacked: u32,
    /// `tcpi_total_retrans`
    pub total_retransmits: u32,
    /// `tcpi_rtt`
    pub rtt: Duration,
    /// `tcpi_rttvar`
    pub rtt_variation: Duration,
    /// `tcpi_min_rtt`
    pub least_rtt: Duration,
    /// `tcpi_snd_ssthresh`, in segments
    pub threshold: u32,
    /// `tcpi_snd_cwnd`, in segments
    pub window: u32,
    /// `tcpi_advmss`
    pub announced_mss: u32,
    /// `tcpi_pmtu`
    pub path_mtu: u32,
    /// `tcpi_rcv_space`
    pub receive_space: u32,
    /// `tcpi_bytes_acked`
    pub bytes_acked: u64,
    /// `tcpi_bytes_received`
    pub bytes_received: u64,
    /// `tcpi_segs_out`
    pub segments_out: u32,
    /// `tcpi_segs_in`
    pub segments_in: u32,
    /// `tcpi_notsent_bytes`
    pub not_sent: u32,
    /// `tcpi_snd_wnd`
    pub send_window: u32,
    /// `tcpi_rcv_wnd`
    pub receive_window: u32,
    /// `tcpi_last_data_sent`, ago
    pub last_sent: Duration,
    /// `tcpi_last_data_recv`, ago
    pub last_received: Duration,
    /// `tcpi_last_ack_recv`, ago
    pub last_ack: Duration,
}
