//! The wire between [`crate::RemoteTree`] and [`crate::Server`]: one message each way per operation,
//! at most one descriptor with an answer.
//!
//! A message is a header and a body on a seqpacket socket, in the machine's own byte order (both ends
//! run on it). The header repeats the length, so that a truncated message is noticed. Every length in
//! a body is checked against what is left of it, and a body must be used up exactly.

pub(crate) mod channel;
mod codec;
pub(crate) mod cpu;
pub(crate) mod request;
#[cfg(test)]
mod tests;

pub(crate) use codec::{Malformed, Reader, Wire, errno_number, number_errno};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Longest message in bytes: a 64 KiB extended attribute with its name and headers.
pub(crate) const MESSAGE_MAX: usize = 72 << 10;
/// Most steps of one walk message; a longer walk is several.
pub(crate) const STEPS_MAX: usize = 256;
/// Most bytes of names in one walk message.
pub(crate) const NAMES_MAX: usize = 32 << 10;

/// Starts each request.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct RequestHeader {
    /// Bytes of the message, header included.
    pub(crate) len: u32,
    /// Comes back in the answer.
    pub(crate) tag: u32,
    /// The operation.
    pub(crate) op: u32,
    /// The CPU that the client waits on; see [`cpu`].
    pub(crate) cpu: u32,
}

/// Starts each answer.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct ReplyHeader {
    /// Bytes of the message, header included.
    pub(crate) len: u32,
    /// The request's tag.
    pub(crate) tag: u32,
    /// Zero, or the error number; the body is empty then.
    pub(crate) errno: u32,
}

/// Writes the final length into a message that begins with a header whose first field it is.
///
/// Fails if the message is longer than the other end accepts.
pub(crate) fn seal(message: &mut [u8]) -> Result<(), Malformed> {
    let len = message.len();
    if len > MESSAGE_MAX {
        return Err(Malformed);
    }
    let len = u32::try_from(len).map_err(|_| Malformed)?;
    let field = message.first_chunk_mut::<4>().ok_or(Malformed)?;
    *field = len.to_ne_bytes();
    Ok(())
}

/// Splits a received message into its header and body.
pub(crate) fn open<H: FromBytes + Immutable + KnownLayout>(
    message: &[u8],
) -> Result<(H, &[u8]), Malformed> {
    let (header, body) = H::read_from_prefix(message).map_err(|_| Malformed)?;
    let len = message.first_chunk::<4>().ok_or(Malformed)?;
    if usize::try_from(u32::from_ne_bytes(*len)) != Ok(message.len()) {
        return Err(Malformed);
    }
    Ok((header, body))
}
