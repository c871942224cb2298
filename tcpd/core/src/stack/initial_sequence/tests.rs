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
    assert_eq!(timestamp_value(Instant::from_millis(7), u32::MAX), 6);
}
