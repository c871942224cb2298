use super::*;

const MSS: u32 = 1_000;
const RTT: Duration = Duration::from_millis(100);

fn at(ms: u64) -> Instant {
    Instant::from_secs(10) + Duration::from_millis(ms)
}

fn tuner() -> Tuner {
    Tuner::new(Some(RTT), 0, 65_536, at(0))
}

/// Reads `sizes` bytes, one size a round trip.
fn wanted_after(sizes: &[u64]) -> u32 {
    let mut tuner = tuner();
    let (mut read, mut now) = (0, 0);
    for size in sizes {
        now += 100;
        read += size;
        tuner.read(at(now), read, MSS);
    }
    tuner.wanted()
}

#[test]
fn a_steady_reader_gets_twice_what_it_reads_in_a_round_trip_and_sixteen_segments() {
    let steady = [10_000, 20_000, 40_000, 80_000, 100_000, 101_000, 101_000];
    // Of the last growth, 1 %, twice as much again.
    let settled = 2 * 101_000 + 16_000;
    let wanted = wanted_after(&steady[..]);
    let slow_start = 3 * (2 * 80_000 + 16_000);
    assert_eq!(wanted, slow_start, "what slow start had it ask for");
    let gently: Vec<u64> = (0..100).map(|n| 10_000 + n * 1_000).collect();
    let wanted = wanted_after(&gently);
    assert!(
        (settled..settled * 11 / 10).contains(&u64::from(wanted)),
        "{wanted}"
    );
}

#[test]
fn it_stays_ahead_of_a_sender_in_slow_start() {
    let mut flight = 10_000;
    let mut sizes = Vec::new();
    for _ in 0..12 {
        sizes.push(flight);
        let wanted = wanted_after(&sizes);
        if sizes.len() > 1 {
            assert!(u64::from(wanted) >= 4 * flight, "{wanted} for {flight}");
        }
        flight *= 2;
    }
}

#[test]
fn a_trickle_asks_for_nothing() {
    assert_eq!(wanted_after(&[1_000; 1_000]), 0);
    assert_eq!(wanted_after(&[10_000; 1_000]), 0);
}

#[test]
fn what_is_read_late_does_not_count_as_slow_start() {
    let mut tuner = tuner();
    tuner.read(at(5_000), 60_000, MSS);
    assert_eq!(tuner.wanted(), 2 * 60_000 + 16_000);
    tuner.read(at(10_000), 120_000, MSS);
    assert_eq!(
        tuner.wanted(),
        2 * 60_000 + 16_000,
        "as much again is no more"
    );
}

#[test]
fn pieces_within_a_round_trip_are_added_up() {
    let mut tuner = tuner();
    for ms in 1..=100 {
        tuner.read(at(ms), ms * 1_000, MSS);
    }
    assert_eq!(tuner.most, 100_000);
}

#[test]
fn without_a_round_trip_nothing_is_asked_for() {
    let mut tuner = Tuner::new(None, 0, 65_536, at(0));
    tuner.read(at(1_000), 1_000_000, MSS);
    assert_eq!((tuner.wanted(), tuner.rtt()), (0, None));
}

fn text(nxt: u64, window: u64) -> Arrival {
    Arrival {
        nxt,
        adv: nxt + window,
        echo: None,
    }
}

#[test]
fn a_window_that_was_filled_measures_a_round_trip_and_a_slow_sender_does_not_prolong_it() {
    let mut tuner = Tuner::new(None, 0, 65_536, at(0));
    tuner.arrived(at(0), text(1_000, 10_000));
    tuner.arrived(at(10), text(5_000, 10_000));
    assert_eq!(tuner.rtt(), None);
    tuner.arrived(at(50), text(11_000, 10_000));
    assert_eq!(tuner.rtt(), Some(Duration::from_millis(50)));
    tuner.arrived(at(2_050), text(21_000, 10_000));
    assert_eq!(tuner.rtt(), Some(Duration::from_millis(50)));
    tuner.arrived(at(2_090), text(31_000, 10_000));
    assert_eq!(tuner.rtt(), Some(Duration::from_millis(40)));
}

#[test]
fn echoes_follow_a_path_that_became_longer() {
    let mut tuner = tuner();
    let mut now = 0;
    for echo in 1..400 {
        now += 5;
        let elapsed = Duration::from_millis(300);
        let text = Arrival {
            echo: Some((echo, elapsed)),
            ..text(u64::from(echo), 1 << 20)
        };
        tuner.arrived(at(now), text);
    }
    let rtt = tuner.rtt().expect("an estimate");
    assert!(rtt > Duration::from_millis(290), "{rtt:?}");
}

#[test]
fn an_echo_counts_once_and_after_a_pause_not_at_all() {
    let mut tuner = tuner();
    let echo = |echo, ms| Arrival {
        echo: Some((echo, Duration::from_millis(ms))),
        ..text(1, 1 << 20)
    };
    for ms in 1..100 {
        tuner.arrived(at(ms), echo(1, 180));
    }
    assert_eq!(
        tuner.rtt(),
        Some(Duration::from_millis(110)),
        "one eighth of the way to 180"
    );
    for second in 1..100 {
        tuner.arrived(at(second * 1_000), echo(1 + second as u32, 1_000));
    }
    assert_eq!(tuner.rtt(), Some(Duration::from_millis(110)));
}

#[test]
fn a_clock_of_milliseconds_says_nothing_about_a_way_of_microseconds() {
    let rtt = Duration::from_micros(50);
    let mut tuner = Tuner::new(Some(rtt), 0, 65_536, at(0));
    for echo in 1..100 {
        let text = Arrival {
            echo: Some((echo, Duration::from_millis(1))),
            ..text(1, 1 << 20)
        };
        tuner.arrived(at(0), text);
    }
    assert_eq!(tuner.rtt(), Some(rtt));
}

#[test]
fn a_ring_smaller_than_a_first_flight_grows_when_half_of_it_is_emptied_in_a_round_trip() {
    for (read, wants) in [(2_048, false), (2_049, true)] {
        let mut tuner = Tuner::new(Some(RTT), 0, 4_096, at(0));
        tuner.read(at(100), read, MSS);
        assert_eq!(tuner.wanted() > 0, wants, "{read}");
    }
}

#[test]
fn on_the_shortest_way_what_counts_is_a_millisecond() {
    let mut tuner = Tuner::new(Some(Duration::from_micros(20)), 0, 65_536, at(0));
    for step in 1..=10 {
        tuner.read(
            at(0) + Duration::from_micros(100 * step),
            step * 10_000,
            MSS,
        );
    }
    assert_eq!(tuner.most, 100_000);
}
