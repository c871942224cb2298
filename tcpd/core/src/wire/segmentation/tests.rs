use super::*;
use crate::wire::ipv4::Ipv4Fields;
use crate::wire::ipv6::Ipv6Fields;
use crate::wire::{IpAddresses, IpHeader, SequenceNumber, TcpOptions, TcpSegment, Timestamps};
use proptest::prelude::*;
use std::net::IpAddr;

/// The header of a super-segment as the stack makes it, its checksum field the folded sum of the pseudo header.
fn header(
    v6: bool,
    segment: &TcpSegment<'_>,
    payload_len: u32,
    dont_fragment: bool,
) -> (Vec<u8>, PartialChecksum) {
    let mut out = Vec::new();
    let tcp_len = segment.header_len() as u32 + payload_len;
    let addresses = if v6 {
        let (source, destination) = ("fd00::2".parse().unwrap(), "fd00::1".parse().unwrap());
        let payload_len = tcp_len as u16;
        Ipv6Fields {
            source,
            destination,
            protocol: 6,
            hop_limit: 64,
            traffic_class: 1,
            flow_label: 77,
            payload_len,
        }
        .emit(&mut out);
        IpAddresses {
            source: source.into(),
            destination: destination.into(),
        }
    } else {
        let (source, destination) = ([10, 0, 0, 2], [10, 0, 0, 1]);
        Ipv4Fields {
            source: source.into(),
            destination: destination.into(),
            protocol: 6,
            ttl: 64,
            traffic_class: 1,
            identification: 5,
            dont_fragment,
            payload_len: tcp_len as u16,
        }
        .emit(&mut out);
        IpAddresses {
            source: IpAddr::from(source),
            destination: IpAddr::from(destination),
        }
    };
    let start = out.len();
    segment.emit_header(&mut out);
    let partial = checksum::pseudo_header(&addresses, 6, tcp_len).fold();
    out[start + 16..start + 18].copy_from_slice(&partial.to_be_bytes());
    (
        out,
        PartialChecksum {
            start: start as u16,
            offset: 16,
        },
    )
}

fn cut(
    header: &[u8],
    checksum: Option<PartialChecksum>,
    payload: &[u8],
    segment_size: u16,
) -> Vec<Vec<u8>> {
    let super_segment = SuperSegment {
        header,
        checksum,
        payload_len: payload.len() as u32,
        segment_size,
    };
    let (mut packets, mut scratch) = (Vec::new(), vec![9; 3]);
    super_segment.for_each_packet(
        &mut scratch,
        |offset, out| out.copy_from_slice(&payload[offset as usize..][..out.len()]),
        |packet| packets.push(packet.to_vec()),
    );
    packets
}

#[test]
fn fin_and_psh_stay_on_the_last_packet_and_cwr_on_the_first() {
    let flags = Flags::ACK | Flags::FIN | Flags::PSH | Flags::CWR | Flags::ECE;
    let (header, checksum) = header(
        false,
        &TcpSegment {
            flags,
            ..Default::default()
        },
        25,
        true,
    );
    let packets = cut(&header, Some(checksum), &[1; 25], 10);
    let seen: Vec<_> = packets
        .iter()
        .map(|packet| TcpSegment::parse(&packet[20..]).unwrap().flags)
        .collect();
    let always = Flags::ACK | Flags::ECE;
    assert_eq!(
        seen,
        [
            always | Flags::CWR,
            always,
            always | Flags::FIN | Flags::PSH
        ]
    );
}

#[test]
fn the_urgent_pointer_keeps_pointing_at_the_same_byte() {
    let segment = TcpSegment {
        flags: Flags::ACK | Flags::URG,
        urgent_pointer: 15,
        ..Default::default()
    };
    let (header, checksum) = header(true, &segment, 30, true);
    let packets = cut(&header, Some(checksum), &[1; 30], 10);
    let seen: Vec<_> = packets
        .iter()
        .map(|packet| TcpSegment::parse(&packet[40..]).unwrap())
        .map(|segment| (segment.flags.contains(Flags::URG), segment.urgent_pointer))
        .collect();
    assert_eq!(seen, [(true, 15), (true, 5), (false, 0)]);
}

#[test]
fn the_identification_differs_only_where_fragments_are_possible() {
    for (dont_fragment, expected) in [(true, [5, 5, 5]), (false, [5, 15, 25])] {
        let (header, checksum) = header(false, &TcpSegment::default(), 30, dont_fragment);
        let packets = cut(&header, Some(checksum), &[1; 30], 10);
        assert_eq!(
            packets
                .iter()
                .map(|packet| be16(packet, 4))
                .collect::<Vec<_>>(),
            expected
        );
    }
}

#[test]
fn a_complete_packet_passes_untouched() {
    let packets = cut(b"whatever", None, &[], 0);
    assert_eq!(packets, [b"whatever"]);
    assert_eq!(
        cut(
            b"x",
            Some(PartialChecksum {
                start: 9,
                offset: 16
            }),
            b"yz",
            1
        )
        .len(),
        2
    );
}

proptest! {
    #[test]
    fn every_packet_is_valid_and_together_they_are_the_stream(
        v6: bool, payload in prop::collection::vec(any::<u8>(), 0..5000), segment_size in 0u16..2000, seq: u32, timestamps: Option<(u32, u32)>, dont_fragment: bool,
    ) {
        let segment = TcpSegment {
            source_port: 80, destination_port: 1000, seq: SequenceNumber(seq), ack: SequenceNumber(9), flags: Flags::ACK | Flags::FIN, window: 77,
            options: TcpOptions { timestamps: timestamps.map(|(value, echo)| Timestamps { value, echo }), ..Default::default() },
            ..Default::default()
        };
        let (header, checksum) = header(v6, &segment, payload.len() as u32, dont_fragment);
        let packets = cut(&header, Some(checksum), &payload, segment_size);
        let mut stream = Vec::new();
        for (index, packet) in packets.iter().enumerate() {
            let ip = IpHeader::parse(packet).unwrap();
            prop_assert_eq!(ip.total_len(), packet.len());
            let bytes = &packet[ip.payload.clone()];
            prop_assert!(TcpSegment::verify(&ip.addresses, bytes));
            let seen = TcpSegment::parse(bytes).unwrap();
            prop_assert_eq!(seen.seq, SequenceNumber(seq) + stream.len() as u32);
            prop_assert_eq!(seen.flags.contains(Flags::FIN), index + 1 == packets.len());
            prop_assert_eq!((seen.ack, seen.window, seen.options), (segment.ack, segment.window, segment.options));
            if segment_size > 0 {
                prop_assert!(seen.payload.len() <= usize::from(segment_size));
                prop_assert!(index + 1 == packets.len() || seen.payload.len() == usize::from(segment_size));
            }
            stream.extend_from_slice(seen.payload);
        }
        prop_assert_eq!(stream, payload);
        prop_assert!(segment_size != 0 || packets.len() == 1);
    }
}
