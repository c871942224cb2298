use super::Marks;
use crate::sim::pair::End;
use crate::wire::{Ecn, Flags, SequenceNumber, TcpOptions, TcpSegment};

/// Flags, sequence number, bytes of text, and what the IP header says.
type Packet = (&'static str, u32, usize, Ecn);

fn check(
    marks: &mut Marks,
    end: End,
    (flags, seq, length, ecn): Packet,
    marked: bool,
) -> Result<(), String> {
    let segment = TcpSegment {
        source_port: 1,
        destination_port: 2,
        seq: SequenceNumber(seq),
        ack: SequenceNumber(0),
        flags: flags.parse::<Flags>().expect("flags"),
        window: 1_000,
        urgent_pointer: 0,
        options: TcpOptions::default(),
        payload: &[0; 100][..length],
    };
    marks.check(end, ecn, Some(&segment), marked)
}

/// After a handshake that agrees, or does not; and 100 bytes from the left.
fn opened(agreed: bool) -> Marks {
    let mut marks = Marks::default();
    let (syn, syn_ack) = if agreed { ("SEW", "S.E") } else { ("S", "S.") };
    let text = if agreed { Ecn::Ect0 } else { Ecn::NotEct };
    for (end, packet) in [
        (End::Left, (syn, 0, 0, Ecn::NotEct)),
        (End::Right, (syn_ack, 0, 0, Ecn::NotEct)),
        (End::Left, (".", 1, 0, Ecn::NotEct)),
        (End::Left, (".", 1, 100, text)),
    ] {
        assert_eq!(check(&mut marks, end, packet, false), Ok(()));
    }
    marks
}

#[test]
fn what_the_rfc_allows_is_let_pass() {
    let mut marks = opened(true);
    for (end, packet, marked) in [
        (End::Left, (".", 101, 100, Ecn::Ect0), true),
        (End::Right, (".E", 1, 0, Ecn::NotEct), false),
        (End::Left, (".W", 201, 100, Ecn::Ect0), false),
        (End::Left, (".", 101, 100, Ecn::NotEct), false),
        (End::Left, ("R", 301, 0, Ecn::NotEct), false),
    ] {
        assert_eq!(check(&mut marks, end, packet, marked), Ok(()));
    }
}

#[test]
fn what_it_forbids_is_told() {
    let (left, right) = (End::Left, End::Right);
    let (none, ect) = (Ecn::NotEct, Ecn::Ect0);
    let on_syn = "says of ECN on a SYN what it may not";
    let (on_old, other) = ("ECT(0) on what is no new text", "and not ECT(0)");
    let unasked = "was not agreed on";
    for (agreed, end, packet, message) in [
        (true, left, ("S", 0, 0, ect), "says Ect0 on a SYN"),
        (true, left, ("SE", 0, 0, none), on_syn),
        (true, left, ("SW", 0, 0, none), on_syn),
        (true, right, ("S.W", 0, 0, none), on_syn),
        (true, right, ("S.EW", 0, 0, none), on_syn),
        (false, right, ("S.E", 0, 0, none), on_syn),
        (true, left, (".", 101, 0, ect), on_old),
        (true, left, (".", 1, 100, ect), on_old),
        (true, left, (".", 101, 9, Ecn::Ce), other),
        (true, left, (".", 101, 9, Ecn::Ect1), other),
        (true, left, (".W", 1, 100, none), "says CWR"),
        (true, right, (".E", 1, 0, none), "echoes a mark"),
        (false, left, (".", 101, 9, ect), unasked),
        (false, right, (".E", 1, 0, none), unasked),
        (false, left, (".W", 101, 9, none), unasked),
    ] {
        let told = check(&mut opened(agreed), end, packet, false);
        assert!(
            told.as_ref().is_err_and(|told| told.contains(message)),
            "{packet:?}: {told:?}, not {message}"
        );
    }
    let told = Marks::default().check(left, ect, None, false);
    assert!(told.is_err_and(|told| told.contains("on what is not TCP")));
}
