//! The framing of netlink messages (`man 7 netlink`, `man 3 rtnetlink`).

/// Bytes of a `struct nlmsghdr`.
pub(super) const HEADER: usize = 16;

/// `NLM_F_MULTI`
pub(super) const MULTI: u16 = 2;
/// `NLM_F_ACK`
pub(super) const ACK: u16 = 4;
/// `NLM_F_DUMP`
pub(super) const DUMP: u16 = 0x300;
/// `NLM_F_DUMP_FILTERED` is left out: nothing is filtered here.
/// `NLMSG_ERROR`
const ERROR: u16 = 2;
/// `NLMSG_DONE`
const DONE: u16 = 3;

/// A request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    /// What follows the header.
    pub(super) body: &'a [u8],
    header: &'a [u8],
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The messages in a buffer, up to the first that does not fit.
pub(super) fn requests(mut bytes: &[u8]) -> impl Iterator<Item = Request<'_>> {
    std::iter::from_fn(move || {
        let len = usize::try_from(word(bytes, 0)?).ok()?;
        if len < HEADER || len > bytes.len() {
            return None;
        }
        let (message, rest) = (bytes.get(..len)?, bytes.get(len.next_multiple_of(4)..));
        bytes = rest.unwrap_or_default();
        Some(Request {
            kind: half(message, 4)?,
            flags: half(message, 6)?,
            sequence: word(message, 8)?,
            body: &message[HEADER..],
            header: &message[..HEADER],
        })
    })
}

impl<'a> Request<'a> {
    /// The attributes behind a fixed part of `fixed` bytes: type and value.
    pub(super) fn attributes(&self, fixed: usize) -> impl Iterator<Item = (u16, &'a [u8])> + 'a {
        let mut bytes = self.body.get(fixed..).unwrap_or_default();
        std::iter::from_fn(move || {
            let len = usize::from(half(bytes, 0)?);
            let kind = half(bytes, 2)?;
            let value = bytes.get(4..len)?;
            bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
            Some((kind, value))
        })
    }
}

/// A message that is being put together.
#[derive(Debug)]
pub(super) struct Builder(Vec<u8>);

impl Builder {
    pub(super) fn new(kind: u16, flags: u16, request: &Request<'_>, port: u32) -> Builder {
        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&request.sequence.to_ne_bytes());
        bytes.extend_from_slice(&port.to_ne_bytes());
        Builder(bytes)
    }

    /// The fixed part.
    pub(super) fn fixed(mut self, bytes: &[u8]) -> Builder {
        self.0.extend_from_slice(bytes);
        self.pad();
        self
    }

    pub(super) fn attribute(mut self, kind: u16, value: &[u8]) -> Builder {
        let len = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&len.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.pad();
        self
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let len = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&len.to_ne_bytes());
        self.0
    }
}

/// The end of a dump.
pub(super) fn done(request: &Request<'_>, port: u32) -> Vec<u8> {
    Builder::new(DONE, MULTI, request, port)
        .fixed(&0i32.to_ne_bytes())
        .finish()
}

/// An error, or with 0 an acknowledgement.
pub(super) fn error(request: &Request<'_>, port: u32, errno: i32) -> Vec<u8> {
    Builder::new(ERROR, 0, request, port)
        .fixed(&(-errno).to_ne_bytes())
        .fixed(request.header)
        .finish()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::super::route::answer;
    use super::{Builder, requests};
    use crate::socket::interfaces::Interface;

    #[test]
    fn messages_are_framed_and_padded() {
        let ask = [
            20u32.to_ne_bytes(),
            [18, 0, 1, 3],
            7u32.to_ne_bytes(),
            [0; 4],
            [0; 4],
        ]
        .concat();
        let request = requests(&ask).next().unwrap();
        assert_eq!(
            (request.kind, request.flags, request.sequence),
            (18, 0x301, 7)
        );
        let bytes = Builder::new(16, 2, &request, 9)
            .attribute(3, b"lo\0")
            .finish();
        assert_eq!(bytes.len(), 24);
        assert_eq!(bytes[..4], 24u32.to_ne_bytes());
        assert_eq!(bytes[16..18], 7u16.to_ne_bytes());
    }

    #[test]
    fn a_message_that_claims_more_than_there_is_ends_the_buffer() {
        let lie = [64u32.to_ne_bytes(), [0; 4], [0; 4], [0; 4]].concat();
        assert!(requests(&lie).next().is_none());
        assert!(requests(&[1, 0]).next().is_none());
    }

    /// A message with a header whose length may be wrong, and attributes.
    fn message() -> impl Strategy<Value = Vec<u8>> {
        let attribute = (
            prop_oneof![0..12_u16, any::<u16>()],
            0..6_u16,
            any::<Vec<u8>>(),
        );
        let attributes = prop::collection::vec(attribute, 0..4);
        (
            any::<i8>(),
            0..80_u16,
            any::<u16>(),
            any::<[u8; 16]>(),
            attributes,
        )
            .prop_map(|(wrong, kind, flags, fixed, attributes)| {
                let mut bytes = vec![0; 4];
                bytes.extend(kind.to_ne_bytes());
                bytes.extend(flags.to_ne_bytes());
                bytes.extend([0; 8]);
                bytes.extend(fixed);
                for (len, kind, value) in attributes {
                    bytes.extend(len.to_ne_bytes());
                    bytes.extend(kind.to_ne_bytes());
                    bytes.extend(value);
                }
                let len = bytes.len().saturating_add_signed(isize::from(wrong / 8));
                bytes[..4].copy_from_slice(&u32::try_from(len).unwrap().to_ne_bytes());
                bytes
            })
    }

    proptest! {
        #[test]
        fn any_request_is_answered_in_well_formed_messages(
            messages in prop::collection::vec(message(), 0..4),
            noise in any::<Vec<u8>>(),
        ) {
            let interfaces = [Interface {
                index: 1,
                name: b"lo".to_vec(),
                flags: 0x49,
                mtu: 65_536,
                hardware: 772,
                addresses: vec![(Ipv4Addr::LOCALHOST.into(), 8), (Ipv6Addr::LOCALHOST.into(), 128)],
            }];
            for bytes in [messages.concat(), noise] {
                for request in requests(&bytes) {
                    request.attributes(16).for_each(drop);
                    for answer in answer(&interfaces, &request, 9) {
                        let len = u32::from_ne_bytes(answer[..4].try_into().unwrap());
                        prop_assert_eq!(usize::try_from(len).unwrap(), answer.len());
                        prop_assert_eq!(&answer[8..12], &request.sequence.to_ne_bytes());
                    }
                }
            }
        }

        #[test]
        fn any_address_is_read_or_refused(bytes in any::<Vec<u8>>()) {
            let address = [&16_u16.to_ne_bytes(), bytes.as_slice()].concat();
            let whole = super::super::parse(&address).is_ok();
            prop_assert_eq!(whole, address.len() >= 12);
        }
    }
}
