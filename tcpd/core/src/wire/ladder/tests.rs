use super::*;
use crate::wire::{IpAddresses, TcpOptions, ipv4::Ipv4Fields};
use proptest::prelude::*;
use std::net::IpAddr;

#[test]
fn the_ladder_of_the_style_guide_comes_out_letter_for_letter() {
    let segment = |seq, ack, flags, mss, payload| TcpSegment {
        seq: SequenceNumber(seq),
        ack: SequenceNumber(ack),
        flags,
        window: 1000,
        options: TcpOptions {
            mss,
            ..Default::default()
        },
        payload,
        ..Default::default()
    };
    let zero = SequenceNumber(0);
    let syn = brief(&segment(100, 0, Flags::SYN, Some(1460), &[]), zero, zero);
    let syn_ack = brief(
        &segment(300, 101, Flags::SYN | Flags::ACK, None, &[]),
        zero,
        zero,
    );
    let data = brief(
        &segment(101, 301, Flags::PSH | Flags::ACK, None, &[0; 512]),
        zero,
        zero,
    );
    let line = |millis, left, direction, packet, arrives, right| {
        Line {
            time: Instant::from_millis(millis),
            left,
            direction,
            packet,
            arrives,
            right,
        }
        .to_string()
    };
    let ladder = [
        line(0, "SYN-SENT", Direction::Right, &syn, true, "LISTEN"),
        line(
            50,
            "ESTABLISHED",
            Direction::Left,
            &syn_ack,
            true,
            "SYN-RECEIVED",
        ),
        line(51, "", Direction::Right, &data, false, "lost (seed 7)"),
        line(52, "", Direction::Right, &data, true, ""),
    ];
    assert_eq!(
        ladder.join("\n"),
        "\
0.000    SYN-SENT     ── S  100(0) mss 1460 ──▶   LISTEN
0.050    ESTABLISHED  ◀─ S. 300(0) ack 101  ──    SYN-RECEIVED
0.051                 ── P. 101(512) ack 301 ─✗   lost (seed 7)
0.052                 ── P. 101(512) ack 301 ──▶"
    );
}

#[test]
fn a_whole_ladder_is_as_wide_as_its_longest_text() {
    let line = |packet, direction| Line {
        time: Instant::ZERO,
        left: "A",
        direction,
        packet,
        arrives: true,
        right: "B",
    };
    let long = ".  1(1460) ack 123456789";
    let ladder = render(&[
        line("S  0(0)", Direction::Left),
        line(long, Direction::Right),
    ]);
    assert_eq!(
        ladder,
        "\
0.000    A            ◀─ S  0(0)                  ──    B
0.000    A            ── .  1(1460) ack 123456789 ──▶   B
"
    );
}

#[test]
fn numbers_in_a_ladder_can_be_relative() {
    let segment = TcpSegment {
        seq: SequenceNumber(5),
        ack: SequenceNumber(1),
        flags: Flags::ACK,
        ..Default::default()
    };
    assert_eq!(
        brief(&segment, SequenceNumber(u32::MAX), SequenceNumber(0)),
        ".  6(0) ack 1 win 0"
    );
}

#[test]
fn a_packet_prints_on_one_line() {
    let addresses = IpAddresses {
        source: IpAddr::from([10, 0, 0, 1]),
        destination: IpAddr::from([10, 0, 0, 2]),
    };
    let segment = TcpSegment {
        source_port: 1,
        destination_port: 2,
        flags: Flags::SYN,
        window: 9,
        ..Default::default()
    };
    let mut packet = Vec::new();
    let fields = Ipv4Fields {
        source: [10, 0, 0, 1].into(),
        destination: [10, 0, 0, 2].into(),
        protocol: 6,
        ttl: 64,
        traffic_class: 3,
        identification: 0,
        dont_fragment: true,
        payload_len: 20,
    };
    fields.emit(&mut packet);
    segment.emit(&addresses, &mut packet);
    assert_eq!(
        one_line(&packet),
        "10.0.0.1:1 > 10.0.0.2:2: S 0:0(0) win 9 [CE]"
    );
    packet[39] ^= 1;
    assert_eq!(
        one_line(&packet),
        "10.0.0.1:1 > 10.0.0.2:2: S 0:0(0) win 9 [bad checksum] [CE]"
    );

    let mut answer = Vec::new();
    Ipv4Fields {
        protocol: 1,
        payload_len: 8 + 40,
        traffic_class: 0,
        ..fields
    }
    .emit(&mut answer);
    Icmpv4Message::Unreachable {
        code: 4,
        mtu: 1200,
        quote: &packet,
    }
    .emit(&mut answer);
    assert_eq!(
        one_line(&answer),
        "10.0.0.1 > 10.0.0.2: fragmentation needed, mtu 1200 [about 10.0.0.1:1 > 10.0.0.2:2 seq 0]"
    );
}

proptest! {
    #[test]
    fn any_bytes_print(bytes in prop::collection::vec(any::<u8>(), 0..120), version in prop::sample::select(vec![4u8, 6, 9])) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = version << 4 | *first & 15;
        }
        prop_assert!(!one_line(&bytes).is_empty());
    }
}

#[test]
fn what_happens_at_the_right_stands_at_the_right() {
    let remark = |left, text, right| {
        let time = Instant::from_millis(50);
        Remark {
            time,
            left,
            text,
            right,
        }
        .render(18)
    };
    let packet = Line {
        time: Instant::from_millis(50),
        left: "",
        direction: Direction::Left,
        packet: "F. 1(0)",
        arrives: true,
        right: "LAST-ACK",
    };
    assert_eq!(
        [
            remark("FIN-WAIT-1", "close()", ""),
            remark("", "close()", "LAST-ACK"),
            packet.render(18)
        ]
        .join("\n"),
        "\
0.050    FIN-WAIT-1   close()
0.050                                   close()   LAST-ACK
0.050                 ◀─ F. 1(0)            ──    LAST-ACK"
    );
}
