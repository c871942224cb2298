use std::time::Duration;

use super::{Fate, Link, LinkConfig};
use crate::time::Instant;

const MS: Duration = Duration::from_millis(1);

/// Sends `count` numbered packets of 100 bytes, one a millisecond, and returns (arrival, number) of what comes out.
fn run(config: LinkConfig, seed: u64, count: u8) -> Vec<(Instant, u8)> {
    let mut link = Link::new(config, seed);
    for number in 0..count {
        link.send(Instant::ZERO + MS * number.into(), &[number; 100]);
    }
    let mut out = Vec::new();
    while let Some(at) = link.next_arrival() {
        let packet = link.receive(at).unwrap_or_default();
        out.push((at, packet[50]));
    }
    out
}

#[test]
fn a_perfect_link_delivers_everything_in_order_after_its_delay() {
    let arrivals = run(LinkConfig::default(), 1, 100);
    assert_eq!(arrivals.len(), 100);
    for (index, (at, number)) in (0u8..).zip(arrivals) {
        assert_eq!(
            (at, number),
            (Instant::from_millis(10 + u64::from(index)), index)
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_arrivals_and_another_seed_others() {
    let config = LinkConfig {
        loss: 0.1,
        reorder: 0.2,
        duplicate: 0.1,
        corrupt: 0.1,
        jitter: MS * 3,
        ..LinkConfig::default()
    };
    assert_eq!(run(config.clone(), 7, 200), run(config.clone(), 7, 200));
    assert_ne!(run(config.clone(), 7, 200), run(config, 8, 200));
}

#[test]
fn jitter_alone_never_reorders() {
    let config = LinkConfig {
        jitter: MS * 50,
        ..LinkConfig::default()
    };
    let order: Vec<u8> = run(config, 3, 200).into_iter().map(|(_, n)| n).collect();
    assert!(order.is_sorted());
}

#[test]
fn loss_is_about_what_was_asked_for() {
    let config = LinkConfig {
        loss: 0.5,
        ..LinkConfig::default()
    };
    let arrived = run(config, 5, 250).len();
    assert!((90..160).contains(&arrived), "{arrived} of 250");
}

#[test]
fn a_rate_spaces_packets_and_a_full_queue_drops_them() {
    let config = LinkConfig {
        rate: 100_000,
        queue: 300,
        ..LinkConfig::default()
    };
    let mut link = Link::new(config, 1);
    let now = Instant::from_secs(1);
    let fates: Vec<Fate> = (0..5).map(|_| link.send(now, &[0; 100])).collect();
    let arrives = |ms: u64| Fate::Arrives {
        at: Instant::from_millis(1000 + ms),
        twice: false,
        damaged: false,
    };
    assert_eq!(
        fates,
        [
            arrives(11),
            arrives(12),
            arrives(13),
            Fate::QueueFull,
            Fate::QueueFull
        ]
    );
}

#[test]
fn a_damaged_packet_differs_in_one_bit() {
    let config = LinkConfig {
        corrupt: 1.0,
        ..LinkConfig::default()
    };
    let mut link = Link::new(config, 9);
    link.send(Instant::ZERO, &[0; 60]);
    let packet = link.receive(Instant::from_secs(1)).unwrap_or_default();
    let bits: u32 = packet.iter().map(|byte| byte.count_ones()).sum();
    assert_eq!((packet.len(), bits), (60, 1));
}
