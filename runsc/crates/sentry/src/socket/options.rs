//! What every socket remembers for `setsockopt(2)` at `SOL_SOCKET` (`man 7 socket`).

use abi::socket::Linger;

use crate::kernel::Kernel;

/// Send and receive buffers where no setting says otherwise.
pub const BUFFER_DEFAULT: u32 = 212_992;
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
    /// Those of a new socket (`man 7 socket`, */proc interfaces*).
    #[must_use]
    pub fn of(kernel: &Kernel) -> CommonOptions {
        let size = |path| u32::try_from(kernel.sysctl.number(path)).unwrap_or(BUFFER_DEFAULT);
        CommonOptions {
            send_buffer: size("net/core/wmem_default"),
            receive_buffer: size("net/core/rmem_default"),
            ..CommonOptions::default()
        }
    }

    /// `SO_SNDBUF` with this upper bound, or `SO_SNDBUFFORCE` with none: doubled, as Linux does.
    pub fn set_send_buffer(&mut self, asked: i32, most: Option<u64>) {
        self.send_buffer = doubled(asked, most).max(SEND_BUFFER_MIN);
    }

    /// `SO_RCVBUF` with this upper bound, or `SO_RCVBUFFORCE` with none.
    pub fn set_receive_buffer(&mut self, asked: i32, most: Option<u64>) {
        self.receive_buffer = doubled(asked, most).max(RECEIVE_BUFFER_MIN);
    }
}

fn doubled(asked: i32, most: Option<u64>) -> u32 {
    const MOST: u32 = i32::MAX.unsigned_abs() / 2;
    match most {
        None => asked.max(0).cast_unsigned().min(MOST) * 2,
        // A negative size is a huge one (`man 7 socket` says nothing; Linux compares unsigned).
        Some(most) => {
            let most = u32::try_from(most).map_or(MOST, |most| most.min(MOST));
            asked.cast_unsigned().min(most) * 2
        }
    }
}
