use super::super::RawSlice;
use super::*;

fn v4(len: usize) -> Vec<u8> {
    let mut packet = vec![0; len];
    packet[0] = 0x45;
    packet
}

fn v6(len: usize) -> Vec<u8> {
    let mut packet = vec![0; len];
    packet[0] = 0x60;
    packet
}

fn partial() -> VnetHeader {
    VnetHeader {
        flags: NEEDS_CSUM,
        csum_start: 20,
        csum_offset: 16,
        ..VnetHeader::default()
    }
}

fn segments() -> VnetHeader {
    VnetHeader {
        gso_type: GSO_TCPV4,
        gso_size: 1460,
        hdr_len: 40,
        ..partial()
    }
}

#[test]
fn an_empty_header_is_one_packet_whose_checksum_must_be_verified() {
    let meta = VnetHeader::default().verify(&v4(40)).unwrap();
    assert_eq!(
        meta,
        ReceiveMeta {
            checksum_trusted: false,
            segment_size: None
        }
    );
}

#[test]
fn a_partial_or_a_verified_checksum_is_trusted() {
    assert!(partial().verify(&v4(40)).unwrap().checksum_trusted);
    let verified = VnetHeader {
        flags: DATA_VALID,
        ..VnetHeader::default()
    };
    assert!(verified.verify(&v6(60)).unwrap().checksum_trusted);
}

#[test]
fn a_super_segment_tells_its_segment_size() {
    assert_eq!(
        segments().verify(&v4(9000)).unwrap().segment_size,
        Some(1460)
    );
    let six = VnetHeader {
        gso_type: GSO_TCPV6 | GSO_ECN,
        csum_start: 40,
        ..segments()
    };
    assert_eq!(six.verify(&v6(9000)).unwrap().segment_size, Some(1460));
}

#[test]
fn a_segment_size_of_zero_is_refused() {
    let forged = VnetHeader {
        gso_size: 0,
        ..segments()
    };
    assert_eq!(forged.verify(&v4(9000)), Err(Malformed::ZeroSegmentSize));
}

#[test]
fn headers_longer_than_the_packet_are_refused() {
    let forged = VnetHeader {
        hdr_len: 9001,
        ..segments()
    };
    assert_eq!(
        forged.verify(&v4(9000)),
        Err(Malformed::HeaderLongerThanPacket {
            hdr_len: 9001,
            len: 9000
        })
    );
}

#[test]
fn a_checksum_outside_the_packet_or_in_the_ip_header_is_refused() {
    let refused = |start, offset, packet: &[u8]| {
        let forged = VnetHeader {
            csum_start: start,
            csum_offset: offset,
            ..partial()
        };
        let expected = Malformed::ChecksumOutOfRange {
            start,
            offset,
            len: packet.len(),
        };
        assert_eq!(forged.verify(packet), Err(expected));
    };
    refused(20, 19, &v4(40));
    refused(39, 16, &v4(40));
    refused(u16::MAX, u16::MAX, &v4(40));
    refused(19, 16, &v4(40));
    refused(39, 16, &v6(80));
    assert!(
        VnetHeader {
            csum_start: 20,
            csum_offset: 18,
            ..partial()
        }
        .verify(&v4(40))
        .is_ok()
    );
}

#[test]
fn segments_of_the_other_ip_version_are_refused() {
    let forged = VnetHeader {
        gso_type: GSO_TCPV6,
        csum_start: 40,
        ..segments()
    };
    assert_eq!(
        forged.verify(&v4(9000)),
        Err(Malformed::WrongVersion {
            gso_type: GSO_TCPV6,
            version: 4
        })
    );
}

#[test]
fn segments_without_a_partial_checksum_are_refused() {
    let forged = VnetHeader {
        flags: DATA_VALID,
        ..segments()
    };
    assert_eq!(
        forged.verify(&v4(9000)),
        Err(Malformed::SegmentsWithoutChecksum)
    );
}

#[test]
fn kinds_of_segments_that_were_not_offered_are_refused() {
    for gso_type in [2, 3, 5, 6, 0x7f] {
        let forged = VnetHeader {
            gso_type,
            ..segments()
        };
        assert_eq!(
            forged.verify(&v4(9000)),
            Err(Malformed::NotOffered { gso_type })
        );
    }
}

#[test]
fn what_is_not_ip_is_refused() {
    assert_eq!(
        VnetHeader::default().verify(&[]),
        Err(Malformed::TooShort { len: LEN })
    );
    assert_eq!(
        VnetHeader::default().verify(&[0x50; 60]),
        Err(Malformed::NotIp { version: 5 })
    );
}

#[test]
fn the_bytes_are_little_endian_at_their_offsets() {
    let header = VnetHeader {
        flags: 1,
        gso_type: 4,
        hdr_len: 0x0102,
        gso_size: 0x0304,
        csum_start: 0x0506,
        csum_offset: 0x0708,
    };
    let bytes = [1, 4, 0x02, 0x01, 0x04, 0x03, 0x06, 0x05, 0x08, 0x07];
    assert_eq!(header.encode(), bytes);
    assert_eq!(VnetHeader::decode(&bytes), header);
}

#[test]
fn only_what_is_longer_than_a_segment_is_cut() {
    let payload = [0u8; 2921];
    let with = |len: usize| {
        let piece = RawSlice {
            pointer: payload.as_ptr(),
            len,
        };
        let out = OutPacket {
            header: &v4(40),
            payload: [piece, RawSlice::EMPTY],
            segment_size: 1460,
            checksum: Some((20, 16)),
        };
        VnetHeader::for_packet(&out)
    };
    assert_eq!(with(1460), partial());
    assert_eq!(with(2921), segments());
}

#[test]
fn congestion_window_reduced_is_told_to_the_kernel() {
    let payload = [0u8; 3000];
    let mut header = v6(60);
    header[40 + TCP_FLAGS_OFFSET] = 0x90;
    let out = OutPacket {
        header: &header,
        payload: [
            RawSlice {
                pointer: payload.as_ptr(),
                len: 3000,
            },
            RawSlice::EMPTY,
        ],
        segment_size: 1440,
        checksum: Some((40, 16)),
    };
    assert_eq!(VnetHeader::for_packet(&out).gso_type, GSO_TCPV6 | GSO_ECN);
}

#[test]
fn a_complete_packet_asks_for_nothing() {
    let out = v4(28);
    let header = VnetHeader::for_packet(&OutPacket::whole(&out));
    assert_eq!(header, VnetHeader::default());
}

proptest::proptest! {
    #[test]
    fn no_header_and_packet_make_it_panic(header: [u8; LEN], packet: Vec<u8>) {
        let _ = VnetHeader::decode(&header).verify(&packet);
    }
}
