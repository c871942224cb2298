use super::super::{Malformed, RECEIVE_BUFFER_LEN, RawSlice, ReceiveMeta};
use super::*;

fn piece(bytes: &[u8]) -> RawSlice {
    RawSlice {
        pointer: bytes.as_ptr(),
        len: bytes.len(),
    }
}

fn super_segment<'a>(header: &'a [u8], first: &[u8], second: &[u8]) -> OutPacket<'a> {
    OutPacket {
        header,
        payload: [piece(first), piece(second)],
        segment_size: 1000,
        checksum: Some((20, 16)),
    }
}

fn tcp_v4_header() -> Vec<u8> {
    let mut header = vec![0; 40];
    header[0] = 0x45;
    header[9] = 6;
    header[32] = 0x50;
    header
}

#[test]
fn a_super_segment_crosses_whole_with_its_segment_size() {
    let (mut left, mut right) = channel(1500, true).unwrap();
    let (first, second) = (vec![1; 2000], vec![2; 30_000]);
    left.transmit(&super_segment(&tcp_v4_header(), &first, &second))
        .unwrap();
    let mut buffer = vec![0; RECEIVE_BUFFER_LEN];
    let received = right.receive(&mut buffer).unwrap();
    assert_eq!(
        received,
        Received {
            len: 32_040,
            meta: ReceiveMeta {
                checksum_trusted: true,
                segment_size: Some(1000)
            }
        }
    );
    assert_eq!(buffer[40..2040], first[..]);
    assert_eq!(buffer[2040..32_040], second[..]);
    assert_eq!(right.statistics().packets_in, 1);
    assert_eq!(left.statistics().bytes_out, 32_040);
}

#[test]
fn an_empty_channel_and_a_full_one_would_block() {
    let (mut left, mut right) = channel(1500, true).unwrap();
    let mut buffer = vec![0; RECEIVE_BUFFER_LEN];
    assert_eq!(
        right.receive(&mut buffer).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    let payload = vec![7; 60_000];
    let error = loop {
        if let Err(error) = left.transmit(&super_segment(&tcp_v4_header(), &payload, &[])) {
            break error;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert_eq!(left.statistics().lost_out, 0);
    assert_eq!(right.receive(&mut buffer).unwrap().len, 60_040);
}

#[test]
fn a_malformed_packet_is_named_and_counted_and_the_next_one_arrives() {
    let (mut left, mut right) = channel(1500, true).unwrap();
    let header = tcp_v4_header();
    let mut forged = super_segment(&header, &[0; 5000], &[]);
    forged.checksum = Some((20, 60_000));
    left.transmit(&forged).unwrap();
    left.transmit(&super_segment(&header, &[0; 10], &[]))
        .unwrap();
    let mut buffer = vec![0; RECEIVE_BUFFER_LEN];
    let error = right.receive(&mut buffer).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let malformed = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Malformed>());
    assert!(
        matches!(malformed, Some(Malformed::ChecksumOutOfRange { .. })),
        "{error}"
    );
    assert_eq!(right.receive(&mut buffer).unwrap().len, 50);
    assert_eq!(right.statistics().malformed, 1);
}
