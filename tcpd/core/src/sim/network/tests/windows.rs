//! Rings that follow the path: 100 Mbit/s and a round trip of 100 ms, with every setting at its default.

use super::*;

/// Bytes a second of the wire.
const RATE: u64 = 12_500_000;
const RTT: Duration = Duration::from_millis(100);

fn long_fat(streams: Vec<Stream>) -> Traffic {
    let hosts = vec![
        host(End::Left, Duration::ZERO),
        host(End::Right, Duration::ZERO),
    ];
    let link = Impairment {
        delay: RTT / 2,
        rate: RATE,
        queue: 4 << 20,
        ..Impairment::default()
    };
    let network = Network::new(hosts, [link.clone(), link], false, 5);
    Traffic::new(network, streams).expect("listeners")
}

/// Bytes read from two to four seconds after the start.
fn read_in_two_seconds(tunes: bool) -> (u64, Traffic) {
    let mut traffic = long_fat(vec![Stream::endless(0, 1)]);
    if tunes {
        traffic.tune_rings();
    }
    traffic.run(START + MS * 2_000).expect("all is well");
    let before = traffic.streams()[0].read;
    traffic.run(START + MS * 4_000).expect("all is well");
    (traffic.streams()[0].read - before, traffic)
}

#[test]
fn a_stream_over_a_long_fat_path_fills_it_with_default_settings() {
    let (read, traffic) = read_in_two_seconds(true);
    // 1448 bytes of text in each 1500 on the wire.
    let most = 2 * RATE * 1_448 / 1_500;
    assert!(read >= most * 98 / 100, "{read} of {most}");
    let receiver = traffic.receiver(0).expect("a receiver");
    let rtt = receiver.receive_rtt.expect("measured");
    assert!(rtt >= RTT * 9 / 10, "{rtt:?}");
    let product = RATE as u32 / 10;
    assert!(receiver.receive_capacity >= 2 * product, "{receiver:?}");
    let sender = traffic.sender(0).expect("a sender");
    assert!(sender.send_capacity >= 2 * product, "{sender:?}");
}

#[test]
fn rings_of_a_fixed_size_hold_the_same_stream_back() {
    let (read, _) = read_in_two_seconds(false);
    // 64 KiB a round trip.
    assert!(read <= 21 * 65_536, "{read}");
}

#[test]
fn a_slow_reader_keeps_the_ring_it_began_with_and_an_idle_one_too() {
    let slow = Stream {
        reads: Some((1_000, MS * 10)),
        ..Stream::endless(0, 1)
    };
    let mut traffic = long_fat(vec![slow, bytes(0, 1, 10_000)]);
    traffic.tune_rings();
    traffic.run(START + MS * 10_000).expect("all is well");
    let receiver = traffic.receiver(0).expect("a receiver");
    assert_eq!(receiver.receive_capacity, 65_536);
    let sender = traffic.sender(0).expect("a sender");
    assert!(sender.send_capacity <= 262_144, "{}", sender.send_capacity);
    assert_eq!(traffic.streams()[1].read, 10_000);
}
