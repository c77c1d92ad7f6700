//! What every socket remembers for `setsockopt(2)` at `SOL_SOCKET` (`man 7 socket`).

use abi::socket::Linger;

/// Send and receive buffers before anyone asks (`/proc/sys/net/core/{w,r}mem_default`).
pub const BUFFER_DEFAULT: u32 = 212_992;
/// The most that may be asked for (`/proc/sys/net/core/{w,r}mem_max`), before Linux doubles it.
pub const BUFFER_MAX: u32 = 212_992;
/// The least that a send buffer is.
pub const SEND_BUFFER_MIN: u32 = 4608;
/// The least that a receive buffer is.
pub const RECEIVE_BUFFER_MIN: u32 = 2304;

/// Options at `SOL_SOCKET`.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub struct CommonOptions {
    /// `SO_SNDBUF` in bytes.
    pub send_buffer: u32,
    /// `SO_RCVBUF` in bytes.
    pub receive_buffer: u32,
    /// `SO_SNDTIMEO` in nanoseconds, 0 for none.
    pub send_timeout_ns: u64,
    /// `SO_RCVTIMEO` in nanoseconds, 0 for none.
    pub receive_timeout_ns: u64,
    /// `SO_RCVLOWAT` in bytes.
    pub receive_low_water: i32,
    /// `SO_PASSCRED`
    pub pass_credentials: bool,
    /// `SO_PASSPIDFD`
    pub pass_pidfd: bool,
    /// `SO_PASSSEC`
    pub pass_security: bool,
    /// `SO_REUSEADDR`
    pub reuse_address: bool,
    /// `SO_REUSEPORT`
    pub reuse_port: bool,
    /// `SO_KEEPALIVE`
    pub keep_alive: bool,
    /// `SO_BROADCAST`
    pub broadcast: bool,
    /// `SO_OOBINLINE`
    pub oob_inline: bool,
    /// `SO_DONTROUTE`
    pub dont_route: bool,
    /// `SO_DEBUG`
    pub debug: bool,
    /// `SO_TIMESTAMP`
    pub timestamp: bool,
    /// `SO_TIMESTAMPNS`
    pub timestamp_ns: bool,
    /// `SO_NO_CHECK`
    pub no_check: bool,
    /// `SO_PRIORITY`
    pub priority: i32,
    /// `SO_MARK`
    pub mark: u32,
    /// `SO_LINGER`
    pub linger: Linger,
    /// `SO_PEEK_OFF`; negative: off.
    pub peek_offset: i32,
}

impl Default for CommonOptions {
    fn default() -> CommonOptions {
        CommonOptions {
            send_buffer: BUFFER_DEFAULT,
            receive_buffer: BUFFER_DEFAULT,
            send_timeout_ns: 0,
            receive_timeout_ns: 0,
            receive_low_water: 1,
            pass_credentials: false,
            pass_pidfd: false,
            pass_security: false,
            reuse_address: false,
            reuse_port: false,
            keep_alive: false,
            broadcast: false,
            oob_inline: false,
            dont_route: false,
            debug: false,
            timestamp: false,
            timestamp_ns: false,
            no_check: false,
            priority: 0,
            mark: 0,
            linger: Linger::default(),
            peek_offset: -1,
        }
    }
}

impl CommonOptions {
    /// `SO_SNDBUF`, or `SO_SNDBUFFORCE` without the upper bound: doubled, as Linux does.
    pub fn set_send_buffer(&mut self, asked: i32, forced: bool) {
        self.send_buffer = doubled(asked, forced).max(SEND_BUFFER_MIN);
    }

    /// `SO_RCVBUF`, or `SO_RCVBUFFORCE`.
    pub fn set_receive_buffer(&mut self, asked: i32, forced: bool) {
        self.receive_buffer = doubled(asked, forced).max(RECEIVE_BUFFER_MIN);
    }
}

fn doubled(asked: i32, forced: bool) -> u32 {
    // A negative size is a huge one (`man 7 socket` says nothing; Linux compares unsigned).
    let limit = if forced {
        i32::MAX.unsigned_abs() / 2
    } else {
        BUFFER_MAX
    };
    let asked = if forced {
        asked.max(0).cast_unsigned()
    } else {
        asked.cast_unsigned()
    };
    asked.min(limit) * 2
}
