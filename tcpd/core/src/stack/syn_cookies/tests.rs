use super::*;
use crate::random::Generator;
use crate::wire::IpAddresses;
use std::net::IpAddr;
use std::time::Duration;

const IRS: SequenceNumber = SequenceNumber(0xffff_fff0);
const OFFER: Offer = Offer {
    mss: 1460,
    window_scale: Some(7),
    sack_permitted: true,
};

struct Both(InitialSequence, SynCookies);

impl Both {
    fn new(key: u8) -> Self {
        let secret = Secret::new([key; 16]);
        Self(InitialSequence::new(&secret), SynCookies::new(&secret))
    }

    fn issue(&self, now: Instant, flow: &FlowTuple, offer: Offer) -> SequenceNumber {
        self.1.issue(&self.0, now, flow, IRS, offer)
    }

    fn redeem(&self, now: Instant, flow: &FlowTuple, iss: SequenceNumber) -> Option<Offer> {
        self.1.redeem(&self.0, now, flow, IRS, iss)
    }
}

fn flow(port: u16) -> FlowTuple {
    FlowTuple {
        addresses: IpAddresses {
            source: IpAddr::from([198, 18, 0, 2]),
            destination: IpAddr::from([198, 18, 0, 1]),
        },
        source_port: 80,
        destination_port: port,
    }
}

fn at(window: u64) -> Instant {
    Instant::from_nanos(window * WINDOW_NANOS)
}

#[test]
fn every_offer_comes_back_with_its_mss_rounded_down_and_nothing_else_lost() {
    let (both, now) = (Both::new(1), at(10));
    for window_scale in (0..=14).map(Some).chain([None]) {
        for sack_permitted in [false, true] {
            for (mss, known) in [
                (0, 0),
                (1, 0),
                (535, 0),
                (536, 536),
                (1219, 536),
                (1220, 1220),
                (1380, 1360),
                (1452, 1440),
                (1460, 1460),
                (8960, 8900),
                (65_535, 8900),
            ] {
                let offer = Offer {
                    mss,
                    window_scale,
                    sack_permitted,
                };
                let cookie = both.issue(now, &flow(1), offer);
                let expected = Offer {
                    mss: known,
                    ..offer
                };
                assert_eq!(both.redeem(now, &flow(1), cookie), Some(expected));
            }
        }
    }
}

#[test]
fn a_cookie_is_good_in_its_window_and_the_next_and_never_after() {
    let both = Both::new(1);
    let window = Duration::from_nanos(WINDOW_NANOS);
    let nanosecond = Duration::from_nanos(1);
    for start in [at(0), at(7), at(511), at(512), at(1 << 20)] {
        for issued in [start, start + window - nanosecond] {
            let cookie = both.issue(issued, &flow(1), OFFER);
            let good = |now| both.redeem(now, &flow(1), cookie).is_some();
            assert!(good(issued) && good(start + window), "{start} {issued}");
            assert!(good(start + 2 * window - nanosecond), "{start} {issued}");
            assert!(!good(start + 2 * window), "{start} {issued}");
            // When the upper bits of the clock have gone round, the same number is no cookie any more.
            assert!(!good(start + 512 * window), "{start} {issued}");
        }
    }
}

#[test]
fn a_cookie_is_bound_to_the_pair_the_peers_number_and_the_secret() {
    let (both, now) = (Both::new(1), at(3));
    let cookie = both.issue(now, &flow(1), OFFER);
    assert_eq!(both.redeem(now, &flow(1), cookie), Some(OFFER));
    assert_eq!(both.redeem(now, &flow(2), cookie), None);
    assert_eq!(both.redeem(now, &flow(1).reversed(), cookie), None);
    assert_eq!(Both::new(2).redeem(now, &flow(1), cookie), None);
    let other = both.1.redeem(&both.0, now, &flow(1), IRS + 1, cookie);
    assert_eq!(other, None);
}

#[test]
fn the_options_in_a_cookie_cannot_be_exchanged() {
    let (both, now) = (Both::new(1), at(3));
    let cookie = both.issue(now, &flow(1), OFFER);
    let good: Vec<u32> = (0..COOKIE_BITS)
        .filter(|bit| {
            let first = first_of(&both.0, 3, &flow(1));
            let bent = first + (cookie.offset_from(first) ^ (1 << bit));
            both.redeem(now, &flow(1), bent).is_some()
        })
        .collect();
    assert_eq!(good, Vec::<u32>::new(), "bits that may be turned over");
}

#[test]
fn who_knows_the_secret_sum_of_a_pair_still_has_to_guess_fifteen_bits() {
    let (both, now) = (Both::new(1), at(3));
    let first = first_of(&both.0, 3, &flow(1)) + (OFFER.pack() << MAC_BITS);
    let good = (0..1 << MAC_BITS)
        .filter(|mac| both.redeem(now, &flow(1), first + *mac).is_some())
        .count();
    assert_eq!(good, 1, "of 32768");
}

#[test]
fn blind_guesses_are_good_about_once_in_eight_million() {
    let (both, now) = (Both::new(1), at(3));
    let mut random = Generator::from_seed(1);
    let good = (0..300_000)
        .filter(|_| {
            let port = random.next_u64() as u16;
            let guess = SequenceNumber(random.next_u64() as u32);
            both.redeem(now, &flow(port), guess).is_some()
        })
        .count();
    // 0.036 are to be expected; three or more come about once in 10⁵ secrets.
    assert!(good < 3, "{good}");
}

/// RFC 9293 §3.4.1 MUST-8: a pair's cookies and ordinary numbers stay within one window of each other, so they grow with the clock.
#[test]
fn the_iss_grows_with_the_clock_as_an_ordinary_one_does() {
    let both = Both::new(1);
    let mut last = None;
    for window in 500..530 {
        let now = at(window) + Duration::from_millis(window);
        let cookie = both.issue(now, &flow(1), OFFER);
        let ordinary = both.0.isn(now, &flow(1));
        let apart = cookie.signed_offset_from(ordinary).unsigned_abs();
        assert!(apart < 1 << COOKIE_BITS, "{apart} in window {window}");
        assert!(last.is_none_or(|last| cookie.after(last)), "{window}");
        last = Some(cookie);
    }
}
