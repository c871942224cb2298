use std::time::Duration;

use super::{Burst, Counters, Fate, Impairment, Pipe};
use crate::time::Instant;

mod text;

const MS: Duration = Duration::from_millis(1);

fn delayed() -> Impairment {
    Impairment {
        delay: MS * 10,
        ..Impairment::default()
    }
}

/// Sends `count` numbered packets of 100 bytes, one a millisecond, and returns (arrival, number) of what comes out.
fn run(impairment: Impairment, seed: u64, count: u16) -> Vec<(Instant, u16)> {
    run_counted(impairment, seed, count).0
}

fn run_counted(impairment: Impairment, seed: u64, count: u16) -> (Vec<(Instant, u16)>, Counters) {
    let mut pipe = Pipe::new(impairment, seed);
    for number in 0..count {
        pipe.send(at(u64::from(number)), vec![0; 100], number);
    }
    let mut out = Vec::new();
    while let Some(at) = pipe.next_arrival() {
        let (_, number) = pipe.receive(at).expect("what arrives is there");
        out.push((at, number));
    }
    assert_eq!((pipe.held(), pipe.in_flight()), (0, 0));
    (out, *pipe.counters())
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

#[test]
fn no_impairment_delivers_at_once_and_unchanged() {
    let mut pipe = Pipe::new(Impairment::default(), 1);
    assert!(pipe.impairment().is_nothing());
    pipe.send(at(5), vec![1, 2, 3], "tag");
    assert_eq!(pipe.next_arrival(), Some(at(5)));
    assert_eq!(pipe.receive(at(5)), Some((vec![1, 2, 3], "tag")));
}

#[test]
fn a_delay_delivers_everything_in_order_after_it_and_not_before() {
    let arrivals = run(delayed(), 1, 100);
    let expected: Vec<_> = (0..100).map(|n| (at(10 + u64::from(n)), n)).collect();
    assert_eq!(arrivals, expected);

    let mut pipe = Pipe::new(delayed(), 1);
    pipe.send(at(0), vec![0; 100], ());
    assert_eq!(pipe.receive(at(9)), None);
}

#[test]
fn the_same_seed_gives_the_same_arrivals_and_another_seed_others() {
    let impairment = Impairment {
        loss: 0.1,
        reorder: 0.2,
        duplicate: 0.1,
        corrupt: 0.1,
        jitter: MS * 3,
        ..delayed()
    };
    assert_eq!(
        run(impairment.clone(), 7, 200),
        run(impairment.clone(), 7, 200)
    );
    assert_ne!(run(impairment.clone(), 7, 200), run(impairment, 8, 200));
}

#[test]
fn which_packets_are_lost_does_not_depend_on_what_else_goes_wrong() {
    let numbers = |impairment| {
        let mut numbers: Vec<u16> = run(impairment, 3, 500)
            .into_iter()
            .map(|(_, n)| n)
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    };
    let loss = Impairment {
        loss: 0.2,
        ..delayed()
    };
    let more = Impairment {
        duplicate: 0.3,
        corrupt: 0.3,
        reorder: 0.3,
        jitter: MS * 7,
        ..loss.clone()
    };
    assert_eq!(numbers(loss), numbers(more));
}

#[test]
fn jitter_alone_never_reorders() {
    let impairment = Impairment {
        jitter: MS * 50,
        ..delayed()
    };
    let arrivals = run(impairment, 3, 200);
    assert!(arrivals.is_sorted_by_key(|(_, number)| *number));
    let held_up = arrivals
        .iter()
        .filter(|(when, n)| *when > at(10 + u64::from(*n)))
        .count();
    assert!(held_up > 150, "{held_up} of 200");
}

#[test]
fn loss_is_about_what_was_asked_for() {
    let impairment = Impairment {
        loss: 0.25,
        ..delayed()
    };
    let (arrived, counters) = run_counted(impairment, 5, 10_000);
    assert!((7_200..7_800).contains(&arrived.len()), "{}", arrived.len());
    assert_eq!(counters.lost + counters.delivered, counters.packets);
    assert_eq!(counters.lost_in_burst, 0);
}

#[test]
fn bursts_lose_as_much_and_as_long_as_gilbert_and_elliott_say() {
    let impairment = Impairment {
        burst: Some(Burst {
            enter: 0.01,
            leave: 0.25,
            loss: 1.0,
        }),
        ..delayed()
    };
    let count = 50_000;
    let (arrived, counters) = run_counted(impairment, 11, count);
    // Bad for 0.01 / (0.01 + 0.25) = 3.85 % of the packets, for 1 / 0.25 = 4 packets on average.
    let share = counters.lost as f64 / f64::from(count);
    assert!((0.033..0.044).contains(&share), "{share}");
    assert_eq!(counters.lost, counters.lost_in_burst);
    let gaps = arrived
        .windows(2)
        .filter(|pair| pair[1].1 > pair[0].1 + 1)
        .count();
    let length = counters.lost as f64 / gaps as f64;
    assert!((3.5..4.5).contains(&length), "{length}");
}

#[test]
fn a_rate_spaces_packets_and_a_full_queue_drops_them() {
    let impairment = Impairment {
        rate: 100_000,
        queue: 300,
        ..delayed()
    };
    let mut pipe = Pipe::new(impairment, 1);
    let fates: Vec<Fate> = (0..5)
        .map(|_| pipe.send(at(1000), vec![0; 100], ()))
        .collect();
    let arrives = |ms: u64| Fate::Arrives {
        at: at(1000 + ms),
        twice: false,
        marked: false,
        damaged: false,
    };
    let full = Fate::QueueFull;
    assert_eq!(fates, [arrives(11), arrives(12), arrives(13), full, full]);
    assert_eq!(pipe.counters().queue_full, 2);
    // A millisecond later one packet has left the wire: there is room for one.
    assert_eq!(pipe.send(at(1001), vec![0; 100], ()), arrives(14));
    assert_eq!(pipe.send(at(1001), vec![0; 100], ()), full);
}

#[test]
fn a_packet_longer_than_the_queue_still_passes_an_idle_wire() {
    let impairment = Impairment {
        rate: 100_000,
        queue: 300,
        ..Impairment::default()
    };
    let mut pipe = Pipe::new(impairment, 1);
    assert!(matches!(
        pipe.send(at(1), vec![0; 1000], ()),
        Fate::Arrives { .. }
    ));
    assert_eq!(pipe.next_arrival(), Some(at(11)));
}

#[test]
fn a_reordered_packet_is_overtaken() {
    let impairment = Impairment {
        reorder: 0.1,
        reorder_delay: Duration::from_micros(3_500),
        ..delayed()
    };
    let (arrivals, counters) = run_counted(impairment, 2, 1000);
    assert_eq!(arrivals.len(), 1000);
    let late = arrivals
        .iter()
        .filter(|(when, n)| *when > at(10 + u64::from(*n)))
        .count();
    assert_eq!(late as u64, counters.reordered);
    assert!((70..130).contains(&late), "{late}");
    assert!(!arrivals.is_sorted_by_key(|(_, number)| *number));
}

#[test]
fn a_duplicate_comes_no_earlier_than_its_original() {
    let impairment = Impairment {
        duplicate: 1.0,
        ..delayed()
    };
    let (arrivals, counters) = run_counted(impairment, 2, 100);
    assert_eq!((arrivals.len(), counters.duplicated), (200, 100));
    for number in 0..100 {
        let times: Vec<_> = arrivals.iter().filter(|(_, n)| *n == number).collect();
        let [first, second] = times[..] else {
            panic!("packet {number} came {} times", times.len());
        };
        assert_eq!(first.0, at(10 + u64::from(number)));
        assert!(second.0 <= first.0 + Impairment::REORDER_DELAY);
    }
}

#[test]
fn a_damaged_packet_differs_in_one_bit_and_its_copy_does_not() {
    let impairment = Impairment {
        corrupt: 1.0,
        duplicate: 1.0,
        ..Impairment::default()
    };
    let mut pipe = Pipe::new(impairment, 9);
    let fate = pipe.send(at(0), vec![0; 60], ());
    assert!(
        matches!(
            fate,
            Fate::Arrives {
                damaged: true,
                twice: true,
                ..
            }
        ),
        "{fate:?}"
    );
    let mut bits = Vec::new();
    while let Some((packet, ())) = pipe.receive(at(1000)) {
        assert_eq!(packet.len(), 60);
        bits.push(packet.iter().map(|byte| byte.count_ones()).sum::<u32>());
    }
    bits.sort_unstable();
    assert_eq!(bits, [0, 1]);
}

#[test]
fn an_empty_packet_cannot_be_damaged_and_harms_nothing() {
    let impairment = Impairment {
        corrupt: 1.0,
        ..Impairment::default()
    };
    let mut pipe = Pipe::new(impairment, 9);
    pipe.send(at(0), Vec::new(), ());
    assert_eq!(pipe.receive(at(0)), Some((Vec::new(), ())));
}

#[test]
fn a_change_does_not_touch_what_travels() {
    let mut pipe = Pipe::new(delayed(), 1);
    pipe.send(at(0), vec![1], ());
    pipe.reconfigure(Impairment {
        loss: 1.0,
        ..Impairment::default()
    });
    assert_eq!(pipe.send(at(1), vec![2], ()), Fate::Lost);
    assert_eq!(pipe.next_arrival(), Some(at(10)));
}

#[test]
fn a_long_queue_marks_packets_that_understand_it_and_keeps_their_checksums_good() {
    let impairment = Impairment {
        rate: 100_000,
        queue: 10_000,
        ce_threshold: 250,
        ..Impairment::default()
    };
    for (ecn, expected) in [(0b00, 0b00), (0b01, 0b11), (0b10, 0b11), (0b11, 0b11)] {
        for packet in [ipv4(ecn), ipv6(ecn)] {
            let mut pipe = Pipe::new(impairment.clone(), 1);
            for _ in 0..5 {
                pipe.send(at(0), packet.clone(), ());
            }
            let out: Vec<u8> = std::iter::from_fn(|| pipe.receive(at(1000)))
                .map(|(packet, ())| ecn_of(&packet))
                .collect();
            assert_eq!(out, [ecn, ecn, ecn, expected, expected]);
            assert_eq!(pipe.counters().marked, if ecn == 0 { 0 } else { 2 });
        }
    }
}

#[test]
fn a_mark_does_not_mend_a_damaged_header() {
    let impairment = Impairment {
        rate: 100_000,
        queue: 10_000,
        ce_threshold: 1,
        ..Impairment::default()
    };
    let mut damaged = ipv4(0b10);
    damaged[8] ^= 1;
    let mut pipe = Pipe::new(impairment, 1);
    pipe.send(at(0), ipv4(0b10), ());
    pipe.send(at(0), damaged, ());
    let out: Vec<Vec<u8>> = std::iter::from_fn(|| pipe.receive(at(1000)))
        .map(|(packet, ())| packet)
        .collect();
    assert_eq!(out[1][1] & 3, 3, "marked");
    assert_ne!(
        crate::wire::checksum::of(&out[1][..20]),
        0,
        "and as bad as before"
    );
}

fn ipv4(ecn: u8) -> Vec<u8> {
    let mut packet = vec![0; 100];
    packet[..4].copy_from_slice(&[0x45, ecn, 0, 100]);
    packet[8] = 64;
    let sum = crate::wire::checksum::of(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn ipv6(ecn: u8) -> Vec<u8> {
    let mut packet = vec![0; 100];
    packet[..2].copy_from_slice(&[0x60, ecn << 4]);
    packet
}

fn ecn_of(packet: &[u8]) -> u8 {
    if packet[0] >> 4 == 6 {
        return packet[1] >> 4 & 3;
    }
    assert_eq!(crate::wire::checksum::of(&packet[..20]), 0, "a good header");
    packet[1] & 3
}

#[test]
fn bytes_that_are_no_packet_are_carried_and_never_marked() {
    let impairment = Impairment {
        rate: 125,
        queue: 1 << 20,
        ce_threshold: 1,
        ..Impairment::default()
    };
    let mut pipe = Pipe::new(impairment, 1);
    for packet in [
        vec![0x4f; 5],
        vec![0x45],
        vec![0x6f; 39],
        vec![0xff; 99],
        vec![],
    ] {
        pipe.send(at(0), packet, ());
    }
    // An IPv4 header that says it is longer than its packet: marked, and nothing is read beyond it.
    pipe.send(at(0), vec![0x4f; 20], ());
    let counters = *pipe.counters();
    assert_eq!((counters.packets, counters.marked), (6, 1));
}
