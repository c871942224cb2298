use std::net::Ipv4Addr;
use std::time::Duration;

use super::*;

const NOW: Instant = Instant::from_secs(1000);

fn v4() -> IpAddr {
    IpAddr::from([203, 0, 113, 9])
}

fn v6() -> IpAddr {
    "2001:db8::9".parse().unwrap()
}

fn memory() -> PathMtu {
    PathMtu::new(4, DEFAULT_FLOOR_V4)
}

/// Why a message changes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Refusal {
    BelowMinimum,
    NotLower,
}

/// What a message that is believed makes of the MTU.
fn lower(
    memory: &mut PathMtu,
    now: Instant,
    destination: IpAddr,
    reported: u32,
    quoted_len: u32,
    link: u16,
) -> Result<u16, Refusal> {
    let before = memory.mtu(now, destination, link);
    let mtu = memory.judge(destination, reported, quoted_len);
    let mtu = mtu.ok_or(Refusal::BelowMinimum)?;
    memory.lower(now, destination, mtu, link);
    let after = memory.mtu(now, destination, link);
    assert!(after <= before, "it was raised");
    (after < before).then_some(after).ok_or(Refusal::NotLower)
}

#[test]
fn boundary_values_of_the_reported_mtu() {
    use Refusal::{BelowMinimum, NotLower};
    for (reported, expected) in [
        (1, Err(BelowMinimum)),
        (67, Err(BelowMinimum)),
        (68, Ok(552)),
        (300, Ok(552)),
        (551, Ok(552)),
        (552, Ok(552)),
        (553, Ok(553)),
        (1499, Ok(1499)),
        (1500, Err(NotLower)),
        (u32::MAX, Err(NotLower)),
    ] {
        assert_eq!(
            lower(&mut memory(), NOW, v4(), reported, 1500, 1500),
            expected,
            "IPv4 {reported}"
        );
    }
    for (reported, expected) in [
        (0, Err(BelowMinimum)),
        (1279, Err(BelowMinimum)),
        (1280, Ok(1280)),
        (1500, Err(NotLower)),
    ] {
        assert_eq!(
            lower(&mut memory(), NOW, v6(), reported, 1500, 1500),
            expected,
            "IPv6 {reported}"
        );
    }
    assert_eq!(
        lower(&mut PathMtu::new(4, 0), NOW, v4(), 68, 1500, 1500),
        Ok(68)
    );
}

#[test]
fn an_old_router_without_an_mtu_leads_down_the_plateaus() {
    let mut memory = PathMtu::new(4, 68);
    let mut length = 9000;
    let mut seen = Vec::new();
    while let Ok(mtu) = lower(&mut memory, NOW, v4(), 0, length, 9000) {
        seen.push(mtu);
        length = u32::from(mtu);
    }
    assert_eq!(seen, [8166, 4352, 2002, 1492, 1006, 508, 296, 68]);
    assert_eq!(
        lower(&mut memory, NOW, v4(), 0, 0, 9000),
        Err(Refusal::NotLower)
    );
}

#[test]
fn a_message_never_raises_and_age_does() {
    let mut memory = memory();
    assert_eq!(lower(&mut memory, NOW, v4(), 1200, 1500, 1500), Ok(1200));
    assert_eq!(
        lower(&mut memory, NOW, v4(), 1300, 1500, 1500),
        Err(Refusal::NotLower)
    );
    let last = NOW + (AGE - Duration::from_nanos(1));
    assert_eq!(memory.mtu(last, v4(), 1500), 1200);
    assert_eq!(memory.mtu(NOW + AGE, v4(), 1500), 1500);
    assert_eq!(memory.mtu(NOW, v4(), 1000), 1000, "the link became smaller");
    assert_eq!(
        lower(&mut memory, NOW + AGE, v4(), 1300, 1500, 1500),
        Ok(1300)
    );
}

#[test]
fn memory_is_bounded_and_the_oldest_goes_first() {
    let mut memory = memory();
    let destination = |index: u8| IpAddr::V4(Ipv4Addr::new(203, 0, 113, index));
    for index in 0..10 {
        lower(
            &mut memory,
            NOW + Duration::from_secs(u64::from(index)),
            destination(index),
            1000,
            1500,
            1500,
        )
        .unwrap();
    }
    let now = NOW + Duration::from_secs(10);
    assert_eq!(memory.len(), 4);
    assert_eq!(
        (0..10)
            .map(|index| memory.mtu(now, destination(index), 1500))
            .filter(|mtu| *mtu == 1000)
            .count(),
        4
    );
    assert_eq!(memory.mtu(now, destination(9), 1500), 1000);
    // What has aged goes with the next that is learnt.
    let later = NOW + AGE + Duration::from_secs(8);
    memory.lower(later, destination(77), 1000, 1500);
    assert_eq!(memory.len(), 2);
}
