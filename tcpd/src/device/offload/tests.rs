use super::*;

fn piece(bytes: &[u8]) -> RawSlice {
    RawSlice {
        pointer: bytes.as_ptr(),
        len: bytes.len(),
    }
}

fn header() -> Vec<u8> {
    let ip = etherparse::Ipv4Header::new(
        20,
        64,
        etherparse::IpNumber::TCP,
        [198, 18, 0, 2],
        [198, 18, 0, 1],
    )
    .unwrap();
    let mut tcp = etherparse::TcpHeader::new(7, 40_000, 1000, 65_535);
    (tcp.ack, tcp.psh) = (true, true);
    [ip.to_bytes().to_vec(), tcp.to_bytes().to_vec()].concat()
}

/// The payload of each packet, after checking its checksums.
fn cut(packet: &OutPacket<'_>) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    Cutter::default().for_each_packet(packet, |bytes| {
        let sliced = etherparse::SlicedPacket::from_ip(bytes).unwrap();
        let Some(etherparse::NetSlice::Ipv4(ip)) = sliced.net else {
            panic!("not IPv4")
        };
        let Some(etherparse::TransportSlice::Tcp(tcp)) = sliced.transport else {
            panic!("not TCP")
        };
        let expected = tcp
            .to_header()
            .calc_checksum_ipv4(&ip.header().to_header(), tcp.payload())
            .unwrap();
        assert_eq!(tcp.checksum(), expected);
        payloads.push(tcp.payload().to_vec());
    });
    payloads
}

#[test]
fn a_payload_in_two_pieces_is_cut_across_the_seam() {
    let bytes: Vec<u8> = (0..=249).collect();
    for seam in 0..=bytes.len() {
        let (first, second) = bytes.split_at(seam);
        let packet = OutPacket {
            header: &header(),
            payload: [piece(first), piece(second)],
            segment_size: 100,
            checksum: Some((20, 16)),
        };
        let payloads = cut(&packet);
        assert_eq!(
            payloads.iter().map(Vec::len).collect::<Vec<_>>(),
            [100, 100, 50]
        );
        assert_eq!(payloads.concat(), bytes);
    }
}

#[test]
fn a_packet_without_payload_is_one_packet() {
    let packet = OutPacket {
        header: &header(),
        payload: [RawSlice::EMPTY; 2],
        segment_size: 1460,
        checksum: Some((20, 16)),
    };
    assert_eq!(cut(&packet), [Vec::<u8>::new()]);
}

#[test]
fn a_complete_packet_is_left_as_it_is() {
    let complete = [0x45, 1, 2, 3];
    let mut seen = Vec::new();
    Cutter::default().for_each_packet(&OutPacket::whole(&complete), |bytes| {
        seen.push(bytes.to_vec())
    });
    assert_eq!(seen, [complete]);
}
