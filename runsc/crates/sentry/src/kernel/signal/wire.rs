//! `siginfo_t` as bytes (`asm-generic/siginfo.h`).

use abi::signal::SIGINFO_LEN;

use super::info::Detail;
use super::{Signal, SignalInfo};

/// Where the union begins.
const UNION_AT: usize = 16;

struct Bytes([u8; SIGINFO_LEN]);

impl Bytes {
    fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) -> &mut Bytes {
        self.0[at..at + N].copy_from_slice(&bytes);
        self
    }
}

impl SignalInfo {
    /// As the application reads it.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; SIGINFO_LEN] {
        let mut out = Bytes([0; SIGINFO_LEN]);
        out.put(0, i32::from(self.signal.number()).to_ne_bytes())
            .put(4, self.errno.to_ne_bytes())
            .put(8, self.code.to_ne_bytes());
        match self.detail {
            Detail::None => {}
            Detail::Sender { pid, uid } => {
                out.put(16, pid.to_ne_bytes()).put(20, uid.to_ne_bytes());
            }
            Detail::Value { pid, uid, value } => {
                out.put(16, pid.to_ne_bytes())
                    .put(20, uid.to_ne_bytes())
                    .put(24, value.to_ne_bytes());
            }
            Detail::Timer { id, overrun, value } => {
                out.put(16, id.to_ne_bytes())
                    .put(20, overrun.to_ne_bytes())
                    .put(24, value.to_ne_bytes());
            }
            Detail::Child {
                pid,
                uid,
                status,
                utime,
                stime,
            } => {
                out.put(16, pid.to_ne_bytes())
                    .put(20, uid.to_ne_bytes())
                    .put(24, status.to_ne_bytes())
                    .put(32, utime.to_ne_bytes())
                    .put(40, stime.to_ne_bytes());
            }
            Detail::Fault { address } => {
                out.put(16, address.to_ne_bytes());
            }
            Detail::Poll { band, fd } => {
                out.put(16, band.to_ne_bytes()).put(24, fd.to_ne_bytes());
            }
            Detail::Syscall {
                address,
                number,
                arch,
            } => {
                out.put(16, address.to_ne_bytes())
                    .put(24, number.to_ne_bytes())
                    .put(28, arch.to_ne_bytes());
            }
            Detail::Raw(bytes) => {
                out.put(UNION_AT, bytes);
            }
        }
        out.0
    }

    /// What an application gave to `rt_sigqueueinfo(2)` for `signal`; its own `si_signo` is ignored.
    #[must_use]
    pub fn from_bytes(signal: Signal, bytes: &[u8; SIGINFO_LEN]) -> SignalInfo {
        let word = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[at..at + 4]);
            i32::from_ne_bytes(word)
        };
        let mut rest = [0; SIGINFO_LEN - UNION_AT];
        rest.copy_from_slice(&bytes[UNION_AT..]);
        SignalInfo {
            signal,
            errno: word(4),
            code: word(8),
            detail: Detail::Raw(rest),
        }
    }
}
