use super::*;
use std::collections::{BTreeMap, HashSet};

const LOCAL: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(198, 18, 0, 2)));

fn ports(range: RangeInclusive<u16>) -> Ports {
    Ports::new(&Secret::new([3; 16]), range)
}

fn remote(last: u8, port: u16) -> Option<SocketAddr> {
    Some(SocketAddr::from(([198, 18, 0, last], port)))
}

#[test]
fn every_port_of_the_range_is_given_before_it_is_exhausted() {
    let mut ports = ports(40_000..=40_099);
    let mut taken = HashSet::new();
    for _ in 0..100 {
        let port = ports
            .pick(LOCAL, remote(1, 80), |port| taken.contains(&port))
            .unwrap();
        assert!((40_000..=40_099).contains(&port) && taken.insert(port));
    }
    let mut asked = 0;
    assert_eq!(
        ports.pick(LOCAL, remote(1, 80), |_| {
            asked += 1;
            true
        }),
        None
    );
    assert_eq!(asked, 100);
}

#[test]
fn odd_ranges_are_harmless() {
    #[expect(clippy::reversed_empty_ranges, reason = "a configuration could say so")]
    let empty = ports(10..=9).pick(LOCAL, None, |_| false);
    assert_eq!(empty, None);
    assert_eq!(ports(0..=0).pick(LOCAL, None, |_| false), None);
    assert_eq!(ports(0..=1).pick(LOCAL, None, |_| false), Some(1));
    assert_eq!(ports(1..=u16::MAX).count(), 65_535);
}

#[test]
fn a_port_is_not_given_twice_in_a_row_to_one_remote_end() {
    let mut ports = ports(32_768..=60_999);
    let mut last = None;
    for _ in 0..1000 {
        let port = ports.pick(LOCAL, remote(1, 80), |_| false);
        assert_ne!(port, last);
        last = port;
    }
}

/// RFC 6056 §3.3.3: where the search begins depends on the remote end and on a secret.
#[test]
fn remote_ends_start_at_unrelated_ports_spread_over_the_range() {
    let mut ports = ports(32_768..=60_999);
    let mut quarters = BTreeMap::new();
    let mut differences = HashSet::new();
    let mut previous = 0;
    for port in 0..4000 {
        let picked = ports.pick(LOCAL, remote(1, port), |_| false).unwrap();
        *quarters.entry((picked - 32_768) / 7058).or_insert(0) += 1;
        differences.insert(picked.wrapping_sub(previous));
        previous = picked;
    }
    assert!(
        quarters.values().all(|count| (850..1150).contains(count)),
        "{quarters:?}"
    );
    assert!(differences.len() > 3500, "{}", differences.len());
}

#[test]
fn what_one_remote_end_sees_does_not_move_with_what_another_does() {
    let (mut quiet, mut busy) = (ports(32_768..=60_999), ports(32_768..=60_999));
    for _ in 0..100 {
        busy.pick(LOCAL, remote(7, 80), |_| false);
    }
    assert_eq!(
        quiet.pick(LOCAL, remote(1, 80), |_| false),
        busy.pick(LOCAL, remote(1, 80), |_| false)
    );
}
