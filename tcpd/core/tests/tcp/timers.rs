//! Retransmission timeouts, R2, keepalive (RFC 6298, RFC 9293 §3.8.3, §3.8.4).

use std::time::Duration;

use tcpd_core::stack::{ConnectionOptions, EndReason, KeepAlive, State, Timer};

use crate::peer::Peer;

/// RFC 9293 §3.8.2 MUST-19, §3.8.3 MUST-20 (c): exponential backoff, and the end at R2.
#[test]
fn a_lost_segment_is_sent_again_at_doubling_intervals_until_r2() {
    let mut peer = Peer::new(|config| config.tcp.r2 = 5);
    let id = peer.established();
    peer.stack.send(peer.now, id, b"lost").expect("send");
    let sent = peer.wait(Duration::from_secs(100));
    let at: Vec<u64> = sent.iter().map(|(at, _)| *at).collect();
    // The handshake took no time: RTO is at its minimum.
    assert_eq!(at, [0, 200, 600, 1400, 3000, 6200, 12_600]);
    assert!(sent[..6].iter().all(|(_, text)| text == "P. 1(4) ack 1"));
    assert!(sent[6].1.starts_with('R'));
    assert_eq!(
        peer.stack.view(id).and_then(|view| view.end),
        Some(EndReason::TimedOut(Timer::Retransmission))
    );
}

/// RFC 9293 §3.8.3 SHLD-11.
#[test]
fn the_default_r2_is_at_least_a_hundred_seconds() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.stack.send(peer.now, id, b"lost").expect("send");
    peer.wait(Duration::from_secs(100));
    assert_eq!(peer.stack.state(id), Some(State::Established));
    peer.wait(Duration::from_secs(3600));
    assert_eq!(peer.stack.state(id), Some(State::Closed));
}

/// RFC 9293 §3.8.1 MUST-18: Karn's rule.
#[test]
fn what_was_sent_twice_is_not_timed() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    let srtt = |peer: &Peer| peer.stack.status(id).and_then(|status| status.srtt);
    let before = srtt(&peer);
    peer.stack.send(peer.now, id, b"lost").expect("send");
    peer.wait(Duration::from_millis(300));
    peer.now += Duration::from_millis(50);
    peer.tell(".", 1, 5, b"");
    assert_eq!(srtt(&peer), before, "Karn");
    peer.stack.send(peer.now, id, b"timed").expect("send");
    peer.out();
    peer.now += Duration::from_millis(80);
    peer.tell(".", 1, 10, b"");
    assert_eq!(
        srtt(&peer),
        Some(Duration::from_millis(10)),
        "an eighth of 80 ms"
    );
}

#[test]
fn after_a_lost_syn_the_first_data_waits_three_seconds() {
    let mut peer = Peer::new(|_| {});
    let id = peer.connecting();
    peer.wait(Duration::from_millis(1500));
    peer.tell("S.", 0, 1, b"");
    peer.out();
    let status = peer.stack.status(id).expect("status");
    assert_eq!(status.rto, Duration::from_secs(3));
    assert_eq!(status.cwnd, status.mss_send, "one segment");
}

/// RFC 9293 §3.8.4 MUST-25, MUST-27, MUST-29, SHLD-12: off by default, the interval as asked for, no text, and more than one probe.
#[test]
fn an_idle_connection_is_probed_and_given_up_when_nobody_answers() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    assert_eq!(peer.wait(Duration::from_secs(8000)), [], "off by default");
    let keepalive = KeepAlive {
        idle: Duration::from_secs(10),
        interval: Duration::from_secs(3),
        count: 3,
    };
    let options = ConnectionOptions {
        keepalive: Some(keepalive),
        ..ConnectionOptions::default()
    };
    peer.stack
        .set_options(peer.now, id, options)
        .expect("options");
    let sent = peer.wait(Duration::from_secs(11));
    assert_eq!(
        sent,
        [(10_000, ". 0(0) ack 1".to_string())],
        "no text, one before SND.NXT"
    );
    peer.tell(".", 1, 1, b"");
    let at: Vec<u64> = peer
        .wait(Duration::from_secs(60))
        .iter()
        .map(|(at, _)| *at)
        .collect();
    // Heard a second after the probe: ten seconds from then on, three probes, then RST.
    assert_eq!(at.len(), 4, "{at:?}");
    assert_eq!([at[1] - at[0], at[2] - at[1], at[3] - at[2]], [3000; 3]);
    assert_eq!(
        peer.stack.view(id).and_then(|view| view.end),
        Some(EndReason::TimedOut(Timer::KeepAlive))
    );
}

#[test]
fn a_keepalive_probe_of_the_peer_is_answered_every_time() {
    let mut peer = Peer::new(|_| {});
    peer.established();
    for _ in 0..5 {
        peer.now += Duration::from_millis(100);
        peer.tell(".", 0, 1, b"");
        assert_eq!(peer.out(), [". 1(0) ack 1"]);
        peer.now += Duration::from_millis(100);
        peer.tell(".", 0, 1, b"x");
        assert_eq!(peer.out(), [". 1(0) ack 1"]);
    }
}
