use super::*;
use crate::wire::IpAddresses;
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

fn flow(source_port: u16) -> FlowTuple {
    let addresses = IpAddresses {
        source: IpAddr::from([198, 18, 0, 2]),
        destination: IpAddr::from([198, 18, 0, 1]),
    };
    FlowTuple {
        addresses,
        source_port,
        destination_port: 80,
    }
}

fn generator(key: u8) -> InitialSequence {
    InitialSequence::new(&Secret::new([key; 16]))
}

/// RFC 9293 §3.4.1 MUST-8, RFC 6528 §3: a tick every 4 µs.
#[test]
fn the_isn_of_one_pair_grows_with_the_clock() {
    let (generator, start) = (generator(1), Instant::from_secs(5));
    let first = generator.isn(start, &flow(1));
    assert_eq!(
        generator.isn(start + Duration::from_micros(4), &flow(1)),
        first + 1
    );
    assert_eq!(
        generator.isn(start + Duration::from_secs(1), &flow(1)),
        first + 250_000
    );
}

/// RFC 9293 §3.4.1 MUST-9, SHLD-1, RFC 6528 §3: the offset depends on the pair and on a secret.
#[test]
fn isns_of_different_pairs_and_secrets_have_no_linear_relation() {
    let now = Instant::from_secs(5);
    let differences: HashSet<_> = (0..1000u16)
        .map(|port| {
            generator(1)
                .isn(now, &flow(port + 1))
                .offset_from(generator(1).isn(now, &flow(port)))
        })
        .collect();
    assert_eq!(differences.len(), 1000);
    assert_ne!(
        generator(1).isn(now, &flow(1)),
        generator(2).isn(now, &flow(1))
    );
    assert_ne!(
        generator(1).isn(now, &flow(1)),
        generator(1).isn(now, &flow(1).reversed())
    );
}

#[test]
fn a_new_incarnation_starts_after_the_old_one_whatever_the_clock_says() {
    let (generator, now) = (generator(1), Instant::from_secs(5));
    let clocked = generator.isn(now, &flow(1));
    for used in [0u32, 1, 65_536, 1 << 20, 1 << 30] {
        let next = generator.isn_after(now, &flow(1), clocked + used);
        assert!(next.after(clocked + used), "{used} bytes sent");
    }
    assert_eq!(
        generator.isn_after(now, &flow(1), clocked - 1_000_000),
        clocked
    );
}

#[test]
fn timestamp_offsets_differ_by_pair_and_stay_for_one() {
    let offsets: HashSet<_> = (0..1000)
        .map(|port| generator(1).timestamp_offset(&flow(port)))
        .collect();
    assert_eq!(offsets.len(), 1000);
    let wrapped = crate::tcp::endpoint::timestamp_value(u32::MAX, Instant::from_millis(7));
    assert_eq!(wrapped, 6);
}

/// A number of each pair; `pairs` differ from one to the next in one port or one address.
fn numbers(of: impl Fn(&FlowTuple) -> u32, by_address: bool) -> Vec<u32> {
    (0..SAMPLES)
        .map(|i| {
            let [high, low] = (i as u16).to_be_bytes();
            let mut pair = flow(if by_address { 5000 } else { i as u16 });
            if by_address {
                pair.addresses.destination = IpAddr::from([10, 0, high, low]);
            }
            of(&pair)
        })
        .collect()
}

const SAMPLES: usize = 1 << 16;

/// How far `numbers` are from chance, in standard deviations of what chance gives: 1. each bit of the difference between neighbours is set half
/// the time; 2. the differences fall evenly into 256 classes; 3. neighbours are not correlated.
fn distance_from_chance(numbers: &[u32]) -> f64 {
    let count = (numbers.len() - 1) as f64;
    let differences: Vec<u32> = numbers
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect();
    let bits = (0..32).map(|bit| {
        let set = differences.iter().filter(|d| *d >> bit & 1 == 1).count() as f64;
        (set - count / 2.0).abs() / (count.sqrt() / 2.0)
    });
    let mut classes = [0u32; 256];
    for difference in &differences {
        classes[(difference >> 24) as usize] += 1;
    }
    let expected = count / 256.0;
    let chi: f64 = classes
        .iter()
        .map(|&n| (f64::from(n) - expected).powi(2) / expected)
        .sum();
    let uneven = (chi - 255.0).abs() / (2.0f64 * 255.0).sqrt();
    // Uniform numbers of mean 0 and variance 1/12.
    let centred = |n: u32| f64::from(n) / f64::from(u32::MAX) - 0.5;
    let products: f64 = numbers
        .windows(2)
        .map(|pair| centred(pair[0]) * centred(pair[1]))
        .sum();
    let correlated = (12.0 * products / count.sqrt()).abs();
    bits.fold(uneven.max(correlated), f64::max)
}

/// RFC 9293 §3.4.1 SHLD-1, RFC 7323 §7.1, RFC 6528 §3. The bound of six standard deviations is passed by chance once in about ten million secrets.
#[test]
fn numbers_and_timestamps_of_neighbouring_pairs_look_like_chance() {
    let now = Instant::from_secs(5);
    for key in 1..=3 {
        let generator = generator(key);
        let isn = |flow: &FlowTuple| generator.isn(now, flow).0;
        let offset = |flow: &FlowTuple| generator.timestamp_offset(flow);
        let both = |flow: &FlowTuple| isn(flow).wrapping_sub(offset(flow));
        let directions =
            |flow: &FlowTuple| isn(flow).wrapping_sub(generator.isn(now, &flow.reversed()).0);
        for by_address in [false, true] {
            for (what, numbers) in [
                ("ISN", numbers(isn, by_address)),
                ("timestamp offset", numbers(offset, by_address)),
                ("ISN and timestamp offset", numbers(both, by_address)),
                ("ISN of both directions", numbers(directions, by_address)),
            ] {
                let distance = distance_from_chance(&numbers);
                assert!(distance < 6.0, "{what}, secret {key}: {distance}");
            }
        }
    }
}

/// The measure above must see what RFC 6528 warns of: a global counter, a counter by pair, a weak sum of the pair.
#[test]
fn the_measure_sees_generators_that_are_not_chance() {
    let counter: Vec<u32> = (0..SAMPLES as u32).map(|i| i * 64_000).collect();
    let weak: Vec<u32> = (0..SAMPLES as u32)
        .map(|i| i.wrapping_mul(0x9e37_79b9) ^ 0x1234_5678)
        .collect();
    let truth = numbers(|flow| generator(1).isn(Instant::ZERO, flow).0, false);
    let leaky: Vec<u32> = truth.iter().map(|n| n & !1).collect();
    for (what, numbers) in [("counter", counter), ("product", weak), ("a bit", leaky)] {
        let distance = distance_from_chance(&numbers);
        assert!(distance > 20.0, "{what}: {distance}");
    }
}

/// RFC 9293 §3.4.1 MUST-8: M ticks each 4 µs, wraps after 4.77 hours, and goes on.
#[test]
fn the_clock_of_one_pair_goes_round_in_4_77_hours() {
    let generator = generator(1);
    let round = Duration::from_micros(4 << 32);
    for start in [
        Instant::ZERO,
        Instant::from_secs(17_179),
        Instant::from_secs(1 << 20),
    ] {
        let first = generator.isn(start, &flow(1));
        assert_eq!(generator.isn(start + round, &flow(1)), first);
        assert_eq!(
            generator.isn(start + round / 4, &flow(1)),
            first + (1 << 30)
        );
        assert_eq!(
            generator.isn(start + Duration::from_nanos(3_999), &flow(1)),
            first
        );
    }
}
