use super::Marks;
use crate::sim::pair::End;
use crate::wire::{
    Ecn, Flags, IpAddresses, IpFields, SequenceNumber, TcpOptions, TcpSegment, protocol,
};

fn packet(flags: &str, seq: u32, length: usize, ecn: Ecn) -> Vec<u8> {
    let addresses = IpAddresses {
        source: [198, 18, 0, 1].into(),
        destination: [198, 18, 0, 2].into(),
    };
    let text = vec![0; length];
    let segment = TcpSegment {
        source_port: 1,
        destination_port: 2,
        seq: SequenceNumber(seq),
        ack: SequenceNumber(0),
        flags: flags.parse::<Flags>().expect("flags"),
        window: 1_000,
        urgent_pointer: 0,
        options: TcpOptions::default(),
        payload: &text,
    };
    let mut body = Vec::new();
    segment.emit(&addresses, &mut body);
    let mut fields = IpFields::new(addresses, protocol::TCP);
    fields.traffic_class = ecn as u8;
    let mut packet = Vec::new();
    fields.emit(body.len(), &mut packet);
    packet.extend_from_slice(&body);
    packet
}

/// After a handshake that agrees, or does not; and 100 bytes from the left.
fn opened(agreed: bool) -> Marks {
    let mut marks = Marks::default();
    let (syn, syn_ack) = if agreed { ("SEW", "S.E") } else { ("S", "S.") };
    let text = if agreed { Ecn::Ect0 } else { Ecn::NotEct };
    for (end, packet) in [
        (End::Left, packet(syn, 0, 0, Ecn::NotEct)),
        (End::Right, packet(syn_ack, 0, 0, Ecn::NotEct)),
        (End::Left, packet(".", 1, 0, Ecn::NotEct)),
        (End::Left, packet(".", 1, 100, text)),
    ] {
        assert_eq!(marks.check(end, &packet, false), Ok(()));
    }
    marks
}

#[test]
fn what_the_rfc_allows_is_let_pass() {
    let mut marks = opened(true);
    for (end, packet, marked) in [
        (End::Left, packet(".", 101, 100, Ecn::Ect0), true),
        (End::Right, packet(".E", 1, 0, Ecn::NotEct), false),
        (End::Left, packet(".W", 201, 100, Ecn::Ect0), false),
        (End::Left, packet(".", 101, 100, Ecn::NotEct), false),
        (End::Left, packet("R", 301, 0, Ecn::NotEct), false),
    ] {
        assert_eq!(marks.check(end, &packet, marked), Ok(()));
    }
}

#[test]
fn what_it_forbids_is_told() {
    let sent = |agreed: bool, end: End, packet: Vec<u8>| opened(agreed).check(end, &packet, false);
    for (what, told) in [
        ("a SYN", sent(true, End::Left, packet("S", 0, 0, Ecn::Ect0))),
        (
            "a bare ACK",
            sent(true, End::Left, packet(".", 101, 0, Ecn::Ect0)),
        ),
        (
            "text again",
            sent(true, End::Left, packet(".", 1, 100, Ecn::Ect0)),
        ),
        (
            "a mark of its own",
            sent(true, End::Left, packet(".", 101, 9, Ecn::Ce)),
        ),
        (
            "ECT(1)",
            sent(true, End::Left, packet(".", 101, 9, Ecn::Ect1)),
        ),
        (
            "CWR again",
            sent(true, End::Left, packet(".W", 1, 100, Ecn::NotEct)),
        ),
        (
            "ECE without a mark",
            sent(true, End::Right, packet(".E", 1, 0, Ecn::NotEct)),
        ),
        (
            "ECT unasked",
            sent(false, End::Left, packet(".", 101, 9, Ecn::Ect0)),
        ),
        (
            "ECE unasked",
            sent(false, End::Right, packet(".E", 1, 0, Ecn::NotEct)),
        ),
        (
            "CWR unasked",
            sent(false, End::Left, packet(".W", 101, 9, Ecn::NotEct)),
        ),
    ] {
        assert!(told.is_err(), "{what}");
    }
}
