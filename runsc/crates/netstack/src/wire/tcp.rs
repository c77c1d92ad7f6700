//! Segments as bytes (RFC 9293, 3.1; RFC 7323; RFC 2018).

use smoltcp::wire::{IpAddress, TcpOption, TcpPacket, TcpSeqNumber};

use crate::Checksums;
use crate::packet::Packet;
use crate::tcp::{Flags, Segment, SegmentOptions as Options, Seq};

/// Bytes of a header without options.
const HEADER: usize = smoltcp::wire::TCP_HEADER_LEN;

/// Bytes of the header of a segment, a multiple of 4.
pub(crate) fn header_len(segment: &Segment) -> usize {
    let options: usize = options(&segment.options)
        .iter()
        .map(TcpOption::buffer_len)
        .sum();
    HEADER + options.next_multiple_of(4)
}

fn options(options: &Options) -> Vec<TcpOption<'static>> {
    let mut list = Vec::with_capacity(6);
    list.extend(options.max_segment.map(TcpOption::MaxSegmentSize));
    list.extend(options.window_scale.map(TcpOption::WindowScale));
    if options.sack_permitted {
        list.push(TcpOption::SackPermitted);
    }
    if let Some((tsval, tsecr)) = options.timestamps {
        list.push(TcpOption::TimeStamp { tsval, tsecr });
    }
    let mut ranges = [None; 3];
    for (range, (start, end)) in ranges.iter_mut().zip(options.sack_blocks()) {
        *range = Some((start.0, end.0));
    }
    if ranges[0].is_some() {
        list.push(TcpOption::SackRange(ranges));
    }
    list
}

/// Writes a segment, with its checksum.
pub(super) fn write(packet: &Packet, segment: &Segment, bytes: &mut [u8]) {
    let header = header_len(segment);
    if let Some(data) = bytes.get_mut(header..) {
        segment.payload.copy_to(data);
    }
    let mut tcp = TcpPacket::new_unchecked(bytes);
    tcp.set_src_port(segment.source_port);
    tcp.set_dst_port(segment.destination_port);
    tcp.set_seq_number(TcpSeqNumber(segment.seq.0.cast_signed()));
    tcp.set_ack_number(TcpSeqNumber(segment.ack.0.cast_signed()));
    tcp.clear_flags();
    tcp.set_header_len(u8::try_from(header).unwrap_or_default());
    tcp.set_fin(segment.has(Flags::FIN));
    tcp.set_syn(segment.has(Flags::SYN));
    tcp.set_rst(segment.has(Flags::RST));
    tcp.set_psh(segment.has(Flags::PSH));
    tcp.set_ack(segment.has(Flags::ACK));
    tcp.set_urg(segment.has(Flags::URG));
    tcp.set_ece(segment.has(Flags::ECE));
    tcp.set_cwr(segment.has(Flags::CWR));
    tcp.set_window_len(segment.window);
    tcp.set_urgent_at(segment.urgent);
    let mut room = tcp.options_mut();
    for option in options(&segment.options) {
        room = option.emit(room);
    }
    if !room.is_empty() {
        TcpOption::EndOfList.emit(room);
    }
    tcp.set_checksum(0);
    tcp.fill_checksum(
        &IpAddress::from(packet.source),
        &IpAddress::from(packet.destination),
    );
}

/// Reads a segment.
pub(super) fn read(shell: &Packet, body: &[u8], checksums: Checksums) -> Option<Segment> {
    let tcp = TcpPacket::new_checked(body).ok()?;
    let (source, destination) = (
        IpAddress::from(shell.source),
        IpAddress::from(shell.destination),
    );
    if checksums == Checksums::Verify && !tcp.verify_checksum(&source, &destination) {
        return None;
    }
    let flags = [
        (tcp.fin(), Flags::FIN),
        (tcp.syn(), Flags::SYN),
        (tcp.rst(), Flags::RST),
        (tcp.psh(), Flags::PSH),
        (tcp.ack(), Flags::ACK),
        (tcp.urg(), Flags::URG),
        (tcp.ece(), Flags::ECE),
        (tcp.cwr(), Flags::CWR),
    ];
    Some(Segment {
        source_port: tcp.src_port(),
        destination_port: tcp.dst_port(),
        seq: Seq(tcp.seq_number().0.cast_unsigned()),
        ack: Seq(tcp.ack_number().0.cast_unsigned()),
        flags: flags
            .into_iter()
            .filter(|(is_set, _)| *is_set)
            .map(|(_, flag)| flag)
            .collect(),
        window: tcp.window_len(),
        urgent: tcp.urgent_at(),
        options: read_options(tcp.options()),
        payload: tcp.payload().to_vec().into(),
        segment_size: 0,
    })
}

/// Reads options up to one that is wrong, as Linux does.
fn read_options(mut bytes: &[u8]) -> Options {
    let mut options = Options::default();
    while let Ok((rest, option)) = TcpOption::parse(bytes) {
        match option {
            TcpOption::EndOfList => break,
            TcpOption::MaxSegmentSize(size) => options.max_segment = Some(size),
            TcpOption::WindowScale(scale) => options.window_scale = Some(scale.min(14)),
            TcpOption::SackPermitted => options.sack_permitted = true,
            TcpOption::TimeStamp { tsval, tsecr } => options.timestamps = Some((tsval, tsecr)),
            TcpOption::SackRange(ranges) => {
                for (block, range) in options.sack.iter_mut().zip(ranges) {
                    *block =
                        range.map_or_else(Default::default, |(start, end)| (Seq(start), Seq(end)));
                }
            }
            TcpOption::NoOperation | TcpOption::Unknown { .. } => {}
        }
        bytes = rest;
    }
    options
}
