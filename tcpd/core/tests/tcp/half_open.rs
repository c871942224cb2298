//! Half-open connections (RFC 9293 §3.5.1): a host crashes, comes back under the same address without a memory, and opens the
//! same pair again, or is met by what its old peer still sends.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tcpd_core::stack::{
    ConnectOptions, EndReason, EndpointId, KeepAlive, ListenerId, ReceiveMeta, State,
};
use tcpd_core::wire::{Flags, IpAddresses, IpHeader, SequenceNumber, TcpSegment};

use crate::common::packets::segment_packet;
use crate::wire::{LEFT, Wire, config, stack};

const PORT: u16 = 5000;
const RTO: Duration = Duration::from_secs(1);

/// Left crashes, while right stays.
struct Crash {
    wire: Wire,
    listener: ListenerId,
    left: EndpointId,
    right: EndpointId,
}

fn flags_of(packet: &[u8]) -> Flags {
    let header = IpHeader::parse(packet).expect("an IP packet");
    TcpSegment::parse(&packet[header.payload])
        .expect("a segment")
        .flags
}

impl Crash {
    /// Connected, and right in `state`.
    fn with_right_in(state: State) -> Crash {
        let mut wire = Wire::new();
        let listener = wire.listen();
        let left = connect(&mut wire);
        wire.exchange();
        let right = wire.right.accept(wire.now, listener).expect("accepted");
        let mut crash = Crash {
            wire,
            listener,
            left,
            right,
        };
        crash.bring_right_to(state);
        crash.wire.pass = Box::new(|_, _, _| true);
        assert_eq!(crash.wire.right.state(right), Some(state));
        crash
    }

    fn bring_right_to(&mut self, state: State) {
        let (wire, left, right) = (&mut self.wire, self.left, self.right);
        let now = wire.now;
        match state {
            State::FinWait1 => {
                wire.pass = Box::new(|_, _, _| false);
                wire.right.shutdown_write(now, right).expect("shutdown");
            }
            State::FinWait2 => wire.right.shutdown_write(now, right).expect("shutdown"),
            State::CloseWait => wire.left.shutdown_write(now, left).expect("shutdown"),
            State::Closing => {
                wire.pass = Box::new(|from_left, _, _| from_left);
                wire.right.shutdown_write(now, right).expect("shutdown");
                wire.left.shutdown_write(now, left).expect("shutdown");
            }
            State::LastAck => {
                wire.left.shutdown_write(now, left).expect("shutdown");
                wire.run(Duration::from_millis(50));
                let now = wire.now;
                wire.pass = Box::new(|_, _, _| false);
                wire.right.shutdown_write(now, right).expect("shutdown");
            }
            State::TimeWait => {
                wire.right.shutdown_write(now, right).expect("shutdown");
                wire.run(Duration::from_millis(50));
                let now = wire.now;
                wire.left.shutdown_write(now, left).expect("shutdown");
            }
            _ => {}
        }
        // The ACK of a bare FIN may be delayed.
        wire.run(Duration::from_millis(50));
    }

    fn crash(&mut self) {
        self.wire.left = stack(config(IpAddr::from(LEFT)), 77, self.wire.now);
    }

    /// Opens the same pair again, and says how long it took.
    fn reconnect(&mut self) -> Duration {
        let start = self.wire.now;
        let id = connect(&mut self.wire);
        self.wire.exchange();
        while self.wire.left.state(id) != Some(State::Established) {
            let next = self.wire.next_deadline().expect("something to wait for");
            let pause = next.duration_since(self.wire.now);
            self.wire.run(pause);
            let waited = self.wire.now.duration_since(start);
            assert!(waited < RTO * 200, "never open again");
        }
        let right = self.wire.right.accept(self.wire.now, self.listener);
        assert!(right.is_some(), "the new connection is not the old one");
        self.wire.now.duration_since(start)
    }

    fn end_of_right(&self) -> Option<EndReason> {
        self.wire.right.view(self.right).and_then(|view| view.end)
    }

    /// A RST in the window of right, but not at RCV.NXT: uses its limiter of challenges up.
    fn exhaust_limiter(&mut self) {
        let status = self.wire.right.status(self.right).expect("status");
        for step in 1..5 {
            let segment = TcpSegment {
                source_port: status.remote.port(),
                destination_port: status.local.port(),
                seq: SequenceNumber(status.rcv_nxt.0.wrapping_add(step)),
                flags: Flags::RST,
                ..TcpSegment::default()
            };
            let addresses = IpAddresses {
                source: status.remote.ip(),
                destination: status.local.ip(),
            };
            let packet = segment_packet(addresses, &segment);
            let now = self.wire.now;
            self.wire
                .right
                .receive(now, &packet, ReceiveMeta::default());
        }
        assert!(self.wire.right.counters().challenge_acks_limited > 0);
        // The challenge that it allowed meets nobody: the host is down.
        self.wire.pass = Box::new(|_, _, _| false);
        self.wire.exchange();
        self.wire.pass = Box::new(|_, _, _| true);
    }
}

fn connect(wire: &mut Wire) -> EndpointId {
    let remote: SocketAddr = wire.right_socket();
    let options = ConnectOptions {
        local_port: PORT,
        ..ConnectOptions::to(remote)
    };
    wire.left.connect(wire.now, options).expect("connect")
}

/// What the user who stayed hears, by the state it was in.
fn heard(state: State) -> EndReason {
    match state {
        State::Closing | State::LastAck => EndReason::Closed,
        _ => EndReason::Reset,
    }
}

const STATES: [State; 6] = [
    State::Established,
    State::FinWait1,
    State::FinWait2,
    State::CloseWait,
    State::Closing,
    State::LastAck,
];

// RFC 9293 §3.5.1 figure 9, §3.10.7.4 fourth; RFC 5961 §4.
#[test]
fn a_crashed_peer_that_comes_back_is_found_out_in_every_state_within_one_round_trip() {
    for state in STATES {
        let mut crash = Crash::with_right_in(state);
        crash.crash();
        let took = crash.reconnect();
        assert_eq!(
            took,
            Duration::ZERO,
            "{state}: the quick SYN, on a wire without delay"
        );
        assert_eq!(crash.end_of_right(), Some(heard(state)), "{state}");
    }
}

// RFC 9293 §3.5.1 figure 9; RFC 5961 §7: the limiter delays, it does not forget.
#[test]
fn it_is_found_out_within_one_timeout_though_the_limiter_of_challenges_was_exhausted() {
    for state in STATES {
        let mut crash = Crash::with_right_in(state);
        crash.crash();
        crash.exhaust_limiter();
        let took = crash.reconnect();
        assert!(took < RTO, "{state}: {took:?}");
        assert_eq!(crash.end_of_right(), Some(heard(state)), "{state}");
    }
}

// RFC 9293 §3.5.1 figure 9.
#[test]
fn it_is_found_out_by_a_later_syn_when_the_reset_is_lost() {
    for state in STATES {
        let mut crash = Crash::with_right_in(state);
        crash.crash();
        let mut lost = 0;
        crash.wire.pass = Box::new(move |from_left, _, packet| {
            let is_reset = from_left && flags_of(packet).contains(Flags::RST);
            lost += u32::from(is_reset);
            !is_reset || lost > 1
        });
        let took = crash.reconnect();
        assert!(took <= RTO, "{state}: {took:?}");
        assert_eq!(crash.end_of_right(), Some(heard(state)), "{state}");
    }
}

// RFC 9293 §3.10.7.4 (TIME-WAIT), RFC 1337, RFC 6191: no RST ends it; a newer SYN does, or 2MSL.
#[test]
fn time_wait_is_left_by_a_newer_syn_or_when_it_is_over_never_by_a_reset() {
    let mut crash = Crash::with_right_in(State::TimeWait);
    crash.crash();
    let took = crash.reconnect();
    let msl = crash.wire.right.config().tcp.msl;
    assert!(took == Duration::ZERO || took >= msl * 2, "{took:?}");
    // SYN goes out again at 1, 3, 7, 15, 31 and 63 s.
    assert!(took <= msl * 2 + Duration::from_secs(32), "{took:?}");
}

// RFC 9293 §3.5.1 figure 10.
#[test]
fn data_for_a_host_that_forgot_the_connection_is_answered_with_its_reset() {
    for state in [State::Established, State::CloseWait] {
        let mut crash = Crash::with_right_in(state);
        crash.crash();
        let now = crash.wire.now;
        crash
            .wire
            .right
            .send(now, crash.right, b"hello?")
            .expect("send");
        crash.wire.exchange();
        assert_eq!(crash.end_of_right(), Some(EndReason::Reset), "{state}");
        assert_eq!(crash.wire.left.counters().resets_out, 1, "{state}");
    }
}

// RFC 9293 §3.5.1 figure 10: what is repeated finds it out as well, whoever has let go.
#[test]
fn a_fin_for_a_host_that_forgot_the_connection_finds_it_out() {
    for state in [State::FinWait1, State::Closing, State::LastAck] {
        let mut crash = Crash::with_right_in(state);
        crash.crash();
        crash.wire.run(RTO);
        assert_eq!(crash.end_of_right(), Some(heard(state)), "{state}");
    }
}

// RFC 9293 §3.8.4 MUST-24: with nothing to send only keepalive finds it out.
#[test]
fn an_idle_half_open_connection_is_found_out_by_keepalive_alone() {
    let mut crash = Crash::with_right_in(State::Established);
    crash.crash();
    crash.wire.run(Duration::from_secs(86_400));
    assert_eq!(
        crash.wire.right.state(crash.right),
        Some(State::Established)
    );

    let now = crash.wire.now;
    let mut options = crash
        .wire
        .right
        .status(crash.right)
        .expect("status")
        .options;
    options.keepalive = Some(KeepAlive {
        idle: Duration::from_secs(60),
        ..KeepAlive::default()
    });
    crash
        .wire
        .right
        .set_options(now, crash.right, options)
        .expect("options");
    crash.wire.run(Duration::from_secs(61));
    assert_eq!(crash.end_of_right(), Some(EndReason::Reset));
}
