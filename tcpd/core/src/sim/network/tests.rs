use std::time::Duration;

use super::traffic::{Stream, Traffic};
use super::{HostConfig, Network, Router, START};
use crate::sim::link::Impairment;
use crate::sim::pair::End;
use crate::stack::{CongestionControl, StackConfig};
use crate::time::Instant;

mod windows;

const MS: Duration = Duration::from_millis(1);

fn host(side: End, delay: Duration) -> HostConfig {
    HostConfig {
        stack: StackConfig::default(),
        side,
        delay,
    }
}

/// Two senders on the left, the second 40 ms farther away, and one reader on the right, over 8 Mbit/s.
fn dumbbell(seed: u64) -> Network {
    let hosts = vec![
        host(End::Left, Duration::ZERO),
        host(End::Left, MS * 40),
        host(End::Right, MS * 5),
    ];
    let link = Impairment {
        delay: MS * 10,
        rate: 1_000_000,
        queue: 60_000,
        ..Impairment::default()
    };
    Network::new(hosts, [link.clone(), link], false, seed)
}

fn bytes(from: usize, to: usize, bytes: u64) -> Stream {
    Stream {
        bytes,
        ..Stream::endless(from, to)
    }
}

#[test]
fn streams_of_two_hosts_share_the_bottleneck_and_come_out_whole() {
    let mut network = dumbbell(1);
    network.watch();
    let streams = vec![bytes(0, 2, 1_000_000), bytes(1, 2, 300_000)];
    let mut traffic = Traffic::new(network, streams).expect("listeners");
    traffic.run(START + MS * 60_000).expect("all is well");
    traffic.check_finished().expect("both are over");
    let over = traffic.streams().iter().filter_map(|s| s.finished).max();
    let took = over.expect("finished").duration_since(START);
    // 1.3 MB of text take 1.35 s of a wire of 1 MB/s, if nobody idles.
    assert!(took > MS * 1_346, "faster than the wire: {took:?}");
    assert!(took < MS * 4_000, "the wire was mostly idle: {took:?}");
    traffic.check_packets(1_448, 100).expect("no storm");
    traffic.wind_down().expect("nothing is left");
}

#[test]
fn the_round_trip_is_that_of_the_bottleneck_and_of_both_hosts() {
    for (from, rtt) in [(0, 10 + 10 + 5), (1, 10 + 10 + 5 + 40)] {
        let streams = vec![bytes(from, 2, 1)];
        let mut traffic = Traffic::new(dumbbell(2), streams).expect("listeners");
        traffic.run(START + MS * (rtt * 3 / 2)).expect("no trouble");
        let least = traffic.sender(0).and_then(|status| status.min_rtt);
        let least = least.expect("the handshake gave a sample");
        // And the time that SYN and SYN-ACK take on the wire.
        assert!(least >= MS * rtt && least < MS * rtt + MS, "{least:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let run = |seed: u64| -> (Instant, u64) {
        let mut network = dumbbell(seed);
        let lossy = Impairment {
            loss: 0.02,
            ..network.link(End::Left).clone()
        };
        network.set_link(End::Left, lossy);
        let streams = vec![bytes(0, 2, 200_000), bytes(1, 2, 200_000)];
        let mut traffic = Traffic::new(network, streams).expect("listeners");
        traffic.run(START + MS * 60_000).expect("all is well");
        traffic.check_finished().expect("both are over");
        (
            traffic.network.now(),
            traffic.network.passed(End::Left).packets,
        )
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn an_outage_loses_everything_of_its_direction_and_the_streams_go_on_after_it() {
    let streams = vec![bytes(0, 2, 500_000)];
    let mut traffic = Traffic::new(dumbbell(5), streams).expect("listeners");
    traffic.run(START + MS * 200).expect("no trouble");
    let lost = traffic.network.passed(End::Left).lost;
    traffic.network.set_outage(End::Left, true);
    let read = traffic.streams()[0].read;
    traffic.run(START + MS * 2_200).expect("no trouble");
    let sent = traffic.network.passed(End::Left).lost - lost;
    assert!(sent > 0, "nothing was sent into the outage");
    // What was on its way still came.
    assert!(traffic.streams()[0].read - read < 100_000);
    traffic.network.set_outage(End::Left, false);
    traffic.run(START + MS * 60_000).expect("no trouble");
    traffic.check_finished().expect("it is over");
}

#[test]
fn the_ladder_shows_hosts_and_packets() {
    let mut network = dumbbell(6);
    network.record();
    let streams = vec![bytes(0, 2, 10)];
    let mut traffic = Traffic::new(network, streams).expect("listeners");
    traffic.run(START + MS * 1_000).expect("no trouble");
    let ladder = traffic.network.ladder().render();
    let first = ladder.lines().next().unwrap_or_default();
    assert!(
        first.contains("host 0") && first.contains("host 2"),
        "{ladder}"
    );
    assert!(first.contains("S "), "{ladder}");
}

#[test]
fn a_router_lets_nothing_larger_through_and_says_so_if_it_tells() {
    for tells in [true, false] {
        let streams = vec![bytes(0, 2, 100_000)];
        let mut traffic = Traffic::new(dumbbell(7), streams).expect("listeners");
        traffic
            .network
            .set_router(End::Left, Router { mtu: 900, tells });
        traffic.run(START + MS * 2_000).expect("no trouble");
        let passed = traffic.network.passed(End::Left);
        assert!(passed.too_large > 0, "{passed:?}");
        assert_eq!(traffic.check_finished().is_ok(), tells);
    }
}

#[test]
fn a_writer_who_pauses_has_a_piece_at_a_time() {
    let stream = Stream {
        writes: Some((1_000, MS * 100)),
        ..bytes(0, 2, 5_000)
    };
    let mut traffic = Traffic::new(dumbbell(8), vec![stream]).expect("listeners");
    traffic.run(START + MS * 60_000).expect("all is well");
    traffic.check_finished().expect("it is over");
    let over = traffic.streams()[0].finished.expect("finished");
    let took = over.duration_since(START);
    assert!(took > MS * 425 && took < MS * 520, "{took:?}");
}

#[test]
fn a_controller_is_exchanged_on_a_stream_that_runs() {
    let streams = vec![bytes(0, 2, 500_000)];
    let mut traffic = Traffic::new(dumbbell(9), streams).expect("listeners");
    let switch = |traffic: &mut Traffic, kind| {
        traffic.switch(0, kind).expect("nothing else changes");
        traffic.streams()[0].switched
    };
    assert_eq!(switch(&mut traffic, CongestionControl::NewReno), 0);
    traffic.run(START + MS * 200).expect("no trouble");
    assert_eq!(traffic.sender(0).expect("there").congestion, "cubic");
    assert_eq!(switch(&mut traffic, CongestionControl::NewReno), 1);
    assert_eq!(traffic.sender(0).expect("there").congestion, "newreno");
    traffic.run(START + MS * 60_000).expect("no trouble");
    traffic.check_finished().expect("it is over");
    traffic.wind_down().expect("nothing is left");
    assert_eq!(switch(&mut traffic, CongestionControl::Cubic), 1);
}
