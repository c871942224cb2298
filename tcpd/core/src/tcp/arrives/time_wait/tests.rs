use std::net::IpAddr;

use super::{Outcome, check};
use crate::tcp::config::TcpConfig;
use crate::tcp::drop_reason::DropReason;
use crate::tcp::endpoint::Pair;
use crate::tcp::endpoint::time_wait::{CompactPair, TimeWait};
use crate::tcp::segment::Segment;
use crate::wire::{Ecn, Flags, SequenceNumber, TcpOptions, TcpSegment, Timestamps};

fn old() -> TimeWait {
    let pair = Pair {
        local: IpAddr::from([10, 0, 0, 1]),
        remote: IpAddr::from([10, 0, 0, 2]),
        local_port: 1,
        remote_port: 2,
    };
    TimeWait {
        pair: CompactPair::new(&pair, 0),
        snd_nxt: SequenceNumber(500),
        rcv_nxt: SequenceNumber(100),
        ts_recent: 7,
        window: 0,
        timestamps: true,
        reuse: false,
    }
}

fn outcome(flags: Flags, seq: u32, timestamp: Option<u32>, payload: &[u8]) -> Outcome {
    let tcp = TcpSegment {
        seq: SequenceNumber(seq),
        ack: SequenceNumber(500),
        flags,
        options: TcpOptions {
            timestamps: timestamp.map(|value| Timestamps { value, echo: 0 }),
            ..TcpOptions::default()
        },
        payload,
        ..TcpSegment::default()
    };
    check(
        &mut old(),
        &Segment::new(&tcp, None, Ecn::NotEct),
        &TcpConfig::default(),
    )
}

#[test]
fn the_fin_again_with_or_without_its_text_starts_it_anew() {
    assert_eq!(
        outcome(Flags::FIN | Flags::ACK, 99, Some(8), b""),
        Outcome::Again
    );
    assert_eq!(
        outcome(Flags::FIN | Flags::ACK, 94, Some(8), b"hello"),
        Outcome::Again
    );
    let other = outcome(Flags::FIN | Flags::ACK, 100, Some(8), b"");
    assert_eq!(other, Outcome::Acknowledge(DropReason::TimeWaitDuplicate));
}

#[test]
fn a_pure_ack_is_never_answered() {
    for seq in [0, 99, 100, 5000] {
        assert_eq!(
            outcome(Flags::ACK, seq, Some(8), b""),
            Outcome::Drop(DropReason::TimeWaitDuplicate)
        );
    }
}

#[test]
fn a_syn_is_judged_by_timestamp_first_and_number_second() {
    use Outcome::{Acknowledge, Reopen};
    let old = Acknowledge(DropReason::SynChallenged);
    assert_eq!(outcome(Flags::SYN, 50, Some(8), b""), Reopen);
    assert_eq!(outcome(Flags::SYN, 150, Some(6), b""), old);
    assert_eq!(outcome(Flags::SYN, 150, Some(7), b""), Reopen);
    // The last number seen is 99, the FIN's.
    assert_eq!(outcome(Flags::SYN, 100, Some(7), b""), Reopen);
    assert_eq!(outcome(Flags::SYN, 99, Some(7), b""), old);
    assert_eq!(outcome(Flags::SYN, 100, None, b""), Reopen);
    assert_eq!(outcome(Flags::SYN, 99, None, b""), old);
    assert_eq!(outcome(Flags::SYN | Flags::ACK, 101, None, b""), old);
}

#[test]
fn timestamps_that_only_the_new_connection_would_have_are_enough() {
    let syn = |timestamps: bool, value: Option<u32>| {
        let mut old = TimeWait {
            timestamps: false,
            ..old()
        };
        let tcp = TcpSegment {
            seq: SequenceNumber(50),
            flags: Flags::SYN,
            options: TcpOptions {
                timestamps: value.map(|value| Timestamps { value, echo: 0 }),
                ..TcpOptions::default()
            },
            ..TcpSegment::default()
        };
        let config = TcpConfig {
            timestamps,
            ..TcpConfig::default()
        };
        check(&mut old, &Segment::new(&tcp, None, Ecn::NotEct), &config)
    };
    assert_eq!(syn(true, Some(0)), Outcome::Reopen);
    let refused = Outcome::Acknowledge(DropReason::SynChallenged);
    assert_eq!(syn(true, None), refused);
    // We would not send the option, so it would not be enabled.
    assert_eq!(syn(false, Some(0)), refused);
}
