//! Simultaneous open and close (RFC 9293 §3.5 figure 7 MUST-10, §3.6 figure 13) between two stacks, whatever packets are lost; a socket
//! connected with itself. After each of them nothing is left: no endpoint, no timer, no port.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tcpd_core::stack::{
    Changes, ConnectOptions, EndReason, EndpointId, ListenOptions, OpenError, ReceiveError, State,
    Status,
};

use crate::wire::{LEFT, RIGHT, Wire, config, pattern, stack};

/// So many of the first packets are lost or not: every pattern is played.
const PACKETS: usize = 7;

fn socket(address: [u8; 4], port: u16) -> SocketAddr {
    SocketAddr::new(address.into(), port)
}

/// Both ends connect to each other, their ports bound; the SYNs are under way.
fn both_connect(wire: &mut Wire) -> (EndpointId, EndpointId) {
    let options = |port, remote| ConnectOptions {
        local_port: port,
        ..ConnectOptions::to(remote)
    };
    let now = wire.now;
    let left = wire.left.connect(now, options(5000, socket(RIGHT, 6000)));
    let right = wire.right.connect(now, options(6000, socket(LEFT, 5000)));
    (left.expect("connect"), right.expect("connect"))
}

/// From now on the packets whose bit in `lost` is set do not arrive, counted from the next one.
fn lose(wire: &mut Wire, lost: u32) {
    let first = wire.count + 1;
    wire.pass = Box::new(move |_, number, _| {
        let bit = number - first;
        bit >= PACKETS || lost & 1 << bit == 0
    });
}

fn status(wire: &Wire, on_left: bool, id: EndpointId) -> Status {
    let stack = if on_left { &wire.left } else { &wire.right };
    stack.status(id).expect("status")
}

fn states(wire: &Wire, (left, right): (EndpointId, EndpointId)) -> [Option<State>; 2] {
    [wire.left.state(left), wire.right.state(right)]
}

#[test]
fn both_ends_connect_whatever_is_lost() {
    for lost in 0..1 << PACKETS {
        let mut wire = Wire::new();
        lose(&mut wire, lost);
        let (left, right) = both_connect(&mut wire);
        wire.run(Duration::from_secs(60));
        let established = [Some(State::Established); 2];
        assert_eq!(states(&wire, (left, right)), established, "{lost:b}");
        assert!(wire.count < 40, "a war of {} packets: {lost:b}", wire.count);
        for (end, id) in [(true, left), (false, right)] {
            let status = status(&wire, end, id);
            assert_eq!(status.passive, Some(false));
            assert!(
                status.timestamps && status.window_scale_peer.is_some(),
                "{lost:b}"
            );
            assert_eq!(status.snd_una, status.snd_nxt, "{lost:b}");
            assert!(wire.changes(end, id).contains(Changes::CONNECTED));
        }
        if lost % 16 == 0 {
            let bytes = pattern(20_000);
            assert!(wire.transfer(true, left, right, &bytes) == bytes);
            assert!(wire.transfer(false, right, left, &bytes) == bytes);
        }
        wire.left.close(wire.now, left).expect("close");
        wire.exchange();
        wire.right.close(wire.now, right).expect("close");
        wire.assert_nothing_left();
    }
}

#[test]
fn both_ends_close_at_once_whatever_is_lost() {
    for lost in 0..1 << PACKETS {
        let mut wire = Wire::new();
        let (left, right) = wire.connect();
        let before = wire.count;
        wire.left.send(wire.now, left, b"last words").expect("send");
        wire.left.shutdown_write(wire.now, left).expect("close");
        wire.right.shutdown_write(wire.now, right).expect("close");
        lose(&mut wire, lost);
        wire.run(Duration::from_secs(20));
        let mut out = [0; 20];
        assert_eq!(wire.right.receive_into(wire.now, right, &mut out), Ok(10));
        assert_eq!(wire.right.receive_into(wire.now, right, &mut out), Ok(0));
        for state in states(&wire, (left, right)) {
            // One of them may have heard a FIN again, and the other be done by then.
            assert!(
                matches!(state, Some(State::TimeWait | State::Closed)),
                "{lost:b}: {state:?}"
            );
        }
        let told = wire.left.view(left).and_then(|view| view.end);
        assert_eq!(told, Some(EndReason::Closed));
        wire.left.close(wire.now, left).expect("let go");
        wire.right.close(wire.now, right).expect("let go");
        wire.assert_nothing_left();
        let count = wire.count - before;
        assert!(count < 40, "a war of {count} packets: {lost:b}");
    }
}

#[test]
fn a_close_in_syn_received_gets_through_whatever_is_lost() {
    // RFC 9293 §3.10.4: round ESTABLISHED, to TIME-WAIT.
    for (lost, both) in (0..1 << PACKETS).flat_map(|lost| [(lost, false), (lost, true)]) {
        let mut wire = Wire::new();
        // Only the SYNs arrive.
        wire.pass = Box::new(|_, number, _| number <= 2);
        let (left, right) = both_connect(&mut wire);
        wire.exchange();
        let received = [Some(State::SynReceived); 2];
        assert_eq!(states(&wire, (left, right)), received);
        lose(&mut wire, lost);
        wire.left.close(wire.now, left).expect("close");
        if both {
            wire.right.close(wire.now, right).expect("close");
        }
        assert_eq!(wire.left.state(left), Some(State::FinWait1));
        wire.run(Duration::from_secs(50));
        if !both {
            assert_eq!(wire.right.state(right), Some(State::CloseWait), "{lost:b}");
            let end = wire.right.receive_into(wire.now, right, &mut [0; 4]);
            assert_eq!(end, Ok(0), "end of file, not a reset");
            wire.right.close(wire.now, right).expect("close");
            wire.run(Duration::from_secs(30));
        }
        assert_eq!(wire.left.state(left), Some(State::TimeWait), "{lost:b}");
        let counters = wire.left.counters();
        assert_eq!(counters.transitions(State::SynReceived, State::FinWait1), 1);
        assert_eq!(counters.established, 0);
        assert_eq!(counters.resets_out, 0, "{lost:b}");
        wire.assert_nothing_left();
        assert!(wire.count < 50, "a war of {} packets: {lost:b}", wire.count);
    }
}

#[test]
fn an_abort_during_it_is_a_refusal_to_the_other_end() {
    // MUST-11: the origin is active on both sides.
    let mut wire = Wire::new();
    wire.pass = Box::new(|_, number, _| number <= 2);
    let (left, right) = both_connect(&mut wire);
    wire.exchange();
    wire.pass = Box::new(|_, _, _| true);
    wire.left.abort(wire.now, left).expect("abort");
    wire.exchange();
    let end = wire.right.receive_into(wire.now, right, &mut [0; 4]);
    assert_eq!(end, Err(ReceiveError::Ended(EndReason::Refused)));
    wire.right.close(wire.now, right).expect("let go");
    wire.assert_nothing_left();
}

#[test]
fn a_socket_connected_with_itself_talks_to_itself_and_ends() {
    // RFC 9293 §3.5: a simultaneous open with itself; source and destination are the same.
    let own = socket(RIGHT, 7777);
    let options = ConnectOptions {
        local_port: own.port(),
        ..ConnectOptions::to(own)
    };
    for (half_close_first, bytes) in [(true, 3), (false, 200_000)] {
        let mut wire = Wire::new();
        let id = wire.right.connect(wire.now, options).expect("connect");
        wire.exchange();
        assert_eq!(wire.right.state(id), Some(State::Established));
        let packets = wire.right.counters().loopback_packets;
        assert_eq!(packets, 2, "SYN and SYN-ACK: no loop");
        let bytes = pattern(bytes);
        let (mut sent, mut got) = (0, Vec::new());
        while got.len() < bytes.len() {
            sent += wire.right.send(wire.now, id, &bytes[sent..]).unwrap_or(0);
            wire.run(Duration::from_millis(1));
            let mut out = vec![0; 65_536];
            let count = wire.right.receive_into(wire.now, id, &mut out).unwrap_or(0);
            got.extend_from_slice(&out[..count]);
        }
        assert!(got == bytes);
        if half_close_first {
            wire.right.shutdown_write(wire.now, id).expect("close");
            wire.exchange();
            assert_eq!(wire.right.state(id), Some(State::TimeWait));
            let end = wire.right.receive_into(wire.now, id, &mut [0; 4]);
            assert_eq!(end, Ok(0));
        }
        wire.right.close(wire.now, id).expect("close");
        wire.assert_nothing_left();
        assert_eq!(wire.count, 0, "nothing leaves the stack");
    }
}

#[test]
fn chance_connects_no_socket_with_itself() {
    let mut right = config(IpAddr::from(RIGHT));
    right.ports = 40_000..=40_001;
    let mut wire = Wire::with(config(IpAddr::from(LEFT)), right);
    let to = ConnectOptions::to(socket(RIGHT, 40_000));
    for _ in 0..4 {
        let id = wire.right.connect(wire.now, to).expect("the other port");
        let local = wire.right.view(id).expect("view").local.port();
        assert_eq!(local, 40_001);
        wire.exchange();
        let end = wire.right.view(id).and_then(|view| view.end);
        assert_eq!(end, Some(EndReason::Refused), "nobody listens there");
        wire.right.close(wire.now, id).expect("let go");
    }
    wire.assert_nothing_left();

    let mut right = config(IpAddr::from(RIGHT));
    right.ports = 40_000..=40_000;
    let mut wire = Wire::with(config(IpAddr::from(LEFT)), right);
    let refused = wire.right.connect(wire.now, to);
    assert_eq!(
        refused,
        Err(OpenError::NoFreePort),
        "a clear error, no loop"
    );
    // A listener on it makes it an ordinary connection.
    let options = ListenOptions {
        port: 40_000,
        ..ListenOptions::default()
    };
    wire.right.listen(wire.now, options).expect("listen");
    assert_eq!(wire.right.connect(wire.now, to), Err(OpenError::NoFreePort));
}

#[test]
fn a_restarted_stack_goes_on_above_its_old_numbers_with_the_secret_kept_or_after_the_quiet_time() {
    // RFC 9293 §3.4.3: either it knows that its numbers are new, or it keeps quiet for an MSL.
    for quiet in [None, Some(Duration::from_secs(30))] {
        let mut wire = Wire::new();
        let listener = wire.listen();
        let (left, right) = wire.connect_to(listener);
        let old = status(&wire, true, left);
        let bytes = pattern(100_000);
        wire.transfer(true, left, right, &bytes);
        let last = status(&wire, true, left).snd_nxt;
        let port = old.local.port();

        // The left end dies without a word, and comes back a second later with the same secret.
        wire.run(Duration::from_secs(1));
        let mut again = config(IpAddr::from(LEFT));
        again.quiet_time = quiet;
        wire.left = stack(again, 1, wire.now);
        let options = ConnectOptions {
            local_port: port,
            ..ConnectOptions::to(wire.right_socket())
        };
        let before = wire.count;
        let id = wire.left.connect(wire.now, options).expect("connect");
        wire.exchange();
        assert_eq!(wire.count == before, quiet.is_some(), "quiet");
        wire.run(quiet.unwrap_or_default() + Duration::from_millis(100));
        assert_eq!(wire.left.state(id), Some(State::Established));
        let new = status(&wire, true, id);
        assert!(
            new.iss.after(last),
            "the same secret, and the clock went on"
        );
        // The other end had the old connection still: its challenge ACK and our RST have ended it (figure 9).
        let end = wire.right.view(right).and_then(|view| view.end);
        assert_eq!(end, Some(EndReason::Reset));
    }
}
