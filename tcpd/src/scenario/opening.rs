//! How a connection is opened.

use std::time::Duration;

use tcpd_core::sim::pair::End::{Left, Right};
use tcpd_core::stack::State::{Closed, Established, Listen, SynReceived, SynSent};
use tcpd_core::stack::{ConnectOptions, ListenOptions};
use tcpd_core::wire::{Flags, SequenceNumber};

use super::Scenario;
use super::stage::{CLIENT_PORT, Forged, Played, SERVER_PORT, Stage};

pub(super) const THREE_WAY_HANDSHAKE: Scenario = Scenario {
    name: "three-way-handshake",
    title: "three segments, and both sides know that both sides are there",
    rfc: "RFC 9293 §3.5, figure 6",
    about: "Each side must learn the other's initial sequence number, and know that its own was learnt. That takes two questions and \
            two answers; the second question rides on the first answer, so three segments do.",
    settings: &[],
    preset: &[],
    script: three_way_handshake,
};

fn three_way_handshake(stage: &mut Stage) -> Played {
    stage.listen(Right)?;
    stage.say(
        "A passive OPEN: the server waits for whoever comes.",
        "RFC 9293 §3.10.1",
    );
    stage.connect(Left)?;
    stage.say(
        "An active OPEN: the client chooses its initial sequence number (ISS) and sends it.",
        "RFC 9293 §3.10.1",
    );
    stage.line(
        Left,
        "S 100(0)",
        (SynSent, SynReceived),
        "SYN: \"my numbers begin at 100\". The SYN itself takes number 100, so that it can be acknowledged and sent again like data. The \
         server keeps a small half-open entry and no buffers yet.",
        "RFC 9293 §3.10.7.2",
    )?;
    stage.line(
        Right,
        "S. 300(0) ack 101",
        (Established, SynReceived),
        "SYN and ACK: \"mine begin at 300, and I expect your 101\". The client now knows that both directions work.",
        "RFC 9293 §3.10.7.3",
    )?;
    stage.line(
        Left,
        ". 101(0) ack 301",
        (Established, Established),
        "ACK: \"I expect your 301\". Only this tells the server that its number arrived. Without it an old duplicate SYN could open a \
         connection that nobody wants.",
        "RFC 9293 §3.10.7.4",
    )?;
    stage.accept(Right).map(drop)
}

pub(super) const HANDSHAKE_WITH_LOSSES: Scenario = Scenario {
    name: "handshake-with-losses",
    title: "SYN, SYN-ACK and last ACK are lost in turn, and the connection opens all the same",
    rfc: "RFC 9293 §3.5, §3.8.1",
    about: "Each side sends its SYN again until it is acknowledged, with the same number each time: it is one SYN. The last ACK is sent once only, for an ACK is \
            never acknowledged; but every later segment says the same, so the first data completes the handshake.",
    settings: &[],
    preset: &[],
    script: handshake_with_losses,
};

fn handshake_with_losses(stage: &mut Stage) -> Played {
    stage.listen(Right)?;
    stage.lose(Left, 1);
    let client = stage.connect(Left)?;
    stage.lost(
        Left,
        "S 100(0)",
        SynSent,
        "The SYN is lost.",
        "RFC 9293 §3.8.1",
    )?;
    stage.lose(Right, 1);
    stage.line(
        Left,
        "S 100(0)",
        (SynSent, SynReceived),
        "After the first retransmission timeout the same SYN again.",
        "RFC 6298 §2.1",
    )?;
    stage.lost(
        Right,
        "S. 300(0) ack 101",
        SynReceived,
        "The SYN-ACK is lost.",
        "RFC 9293 §3.8.1",
    )?;
    stage.lose(Left, 1);
    stage.line(
        Right,
        "S. 300(0) ack 101",
        (Established, SynReceived),
        "The server sends it again by its own timer, with the same number.",
        "RFC 9293 §3.8.1",
    )?;
    stage.lost(
        Left,
        ". 101(0) ack 301",
        Established,
        "The last ACK is lost: one side is ESTABLISHED, the other one is not.",
        "RFC 9293 §3.5",
    )?;
    stage.send(client, 10)?;
    stage.say(
        "The client knows nothing of that, and sends.",
        "RFC 9293 §3.10.2",
    );
    stage.line(Left, "P. 101(10) ack 301", (Established, Established), "Its acknowledgment field says what the lost ACK said: the handshake is complete, and the data is taken in at once.", "RFC 9293 §3.10.7.4, fifth step")?;
    let server = stage.accept(Right)?;
    stage.read(server)?;
    stage.line(
        Right,
        ". 301(0) ack 111",
        (Established, Established),
        "Acknowledged.",
        "RFC 9293 §3.8.6.3",
    )
}

pub(super) const OLD_DUPLICATE_SYN: Scenario = Scenario {
    name: "old-duplicate-syn",
    title: "an old duplicate SYN wakes a listener; the third segment is a RST, and it listens again",
    rfc: "RFC 9293 §3.5.1, figure 11",
    about: "This is why two segments are not enough. The listener cannot tell an old SYN from a new one; it asks with its SYN-ACK, and the host that sent the SYN long ago \
            knows that it wants no such connection.",
    settings: &[],
    preset: &[],
    script: old_duplicate_syn,
};

fn old_duplicate_syn(stage: &mut Stage) -> Played {
    let both = ListenOptions {
        port: CLIENT_PORT,
        ..ListenOptions::default()
    };
    stage.listen_with(Left, both)?;
    stage.listen(Right)?;
    stage.say("Both sides listen; nobody has called.", "RFC 9293 §3.5.1");
    let syn = Forged {
        flags: Flags::SYN,
        seq: SequenceNumber(100),
        ack: SequenceNumber(0),
        length: 0,
    };
    let source = stage.address(Left);
    stage.forge_from(source, (CLIENT_PORT, SERVER_PORT), "duplicate", Right, syn)?;
    stage.right_line(
        Left,
        "S 100(0)",
        SynReceived,
        "A SYN of a connection that was over long ago, late on the network.",
        "RFC 9293 §3.4",
    )?;
    stage.line(
        Right,
        "S. 300(0) ack 101",
        (Listen, SynReceived),
        "The listener cannot know, so it asks. Half a connection, and no program has heard of it.",
        "RFC 9293 §3.10.7.2",
    )?;
    stage.line(Left, "R 101(0)", (Listen, Listen), "An acknowledgment of something never sent: RST, with the number it acknowledged. The right side goes back to LISTEN, for it got there from LISTEN.", "RFC 9293 §3.10.7.2, second; §3.10.7.4, second step")
}

pub(super) const SIMULTANEOUS_OPEN: Scenario = Scenario {
    name: "simultaneous-open",
    title: "both sides connect to each other at once: two SYNs cross, one connection comes of it",
    rfc: "RFC 9293 §3.5, figure 7",
    about: "Neither side listens; both call connect() with the other's port, and the SYNs meet on the way. TCP makes one connection of \
            it, not two and not none, and neither side is the server. Most programs never see this; programs that punch holes into firewalls live \
            on it.",
    settings: &[],
    preset: &[],
    script: simultaneous_open,
};

fn simultaneous_open(stage: &mut Stage) -> Played {
    let left = stage.connect_port(Left)?;
    stage.say(
        "An active OPEN with a port of its own choice, to the very port from which the other side calls.",
        "RFC 9293 §3.5",
    );
    let right = stage.connect_port(Right)?;
    stage.say(
        "The same from the other side, before the first SYN has arrived.",
        "RFC 9293 §3.5",
    );
    stage.line(
        Left,
        "S 100(0)",
        (SynSent, SynReceived),
        "Arriving in SYN-SENT, a SYN without ACK does not answer anything: it is a second opening of the same pair of sockets. So \
         SYN-RECEIVED, and the ACK bit is added to the own SYN.",
        "RFC 9293 §3.10.7.3",
    )?;
    stage.line(
        Right,
        "S 300(0)",
        (SynReceived, SynSent),
        "The other SYN, on its way at the same time. Its sender was in SYN-SENT when it left.",
        "RFC 9293 §3.10.7.3",
    )?;
    stage.line(
        Left,
        "S. 100(0) ack 301",
        (SynReceived, Established),
        "SYN and ACK with the same initial sequence number as before: it is the old SYN, sent again with an acknowledgment. Its number lies one \
         left of what the receiver expects (101), yet its ACK must count, or both would wait for ever.",
        "RFC 9293 §3.10.7.4, A.2",
    )?;
    stage.line(
        Right,
        "S. 300(0) ack 101",
        (Established, SynReceived),
        "The mirror image. Both are ESTABLISHED after four segments, and nothing more is owed.",
        "RFC 9293 §3.10.7.4, A.2",
    )?;
    let states = [stage.state(left), stage.state(right)];
    stage.check(states == [Established; 2], "both are ESTABLISHED")
}

pub(super) const ISN_OVER_TIME: Scenario = Scenario {
    name: "isn-over-time",
    title: "initial sequence numbers follow a clock of 4 µs, for each pair of sockets from another start",
    rfc: "RFC 9293 §3.4.1 (RFC 6528)",
    about: "ISN = M + F(pair of sockets, secret). M counts once every 4 µs, so a new connection between the same sockets begins above the numbers of \
            the old one; some textbooks say 4 ms, which would be a thousand times too slow: data at more than 250 bytes a second would overtake it. F is a keyed \
            hash, so the numbers of one pair say nothing of another's. Nobody listens here: each SYN is refused, so that the pair is free again at once.",
    settings: &[],
    preset: &[("numbers", "wire")],
    script: isn_over_time,
};

/// How fast M counts.
const TICK: Duration = Duration::from_micros(4);

fn isn_over_time(stage: &mut Stage) -> Played {
    let first = refused(stage, CLIENT_PORT, |_, iss| {
        Ok(format!(
            "The first ISN of this pair is {iss}: clock plus hash."
        ))
    })?;
    let began = stage.now();
    let mut before = (first, began);
    for wait in [1, 60, 3_600].map(Duration::from_secs) {
        stage.pass(wait)?;
        let iss = refused(stage, CLIENT_PORT, |stage, iss| {
            let grown = iss.wrapping_sub(before.0);
            let passed =
                stage.now().duration_since(before.1) + stage.settings.duration("latency") * 2;
            let ticks = passed.as_micros() / TICK.as_micros();
            let far = u128::from(grown).abs_diff(ticks);
            stage.check(far <= 1, "the ISN counts every 4 µs")?;
            let (slow, seconds) = (ticks / 1_000, passed.as_secs_f64());
            Ok(format!(
                "{seconds:.1} s later it is {grown} higher: one for every 4 µs. A clock of 4 ms would have made it {slow}."
            ))
        })?;
        before = (iss, stage.now());
    }
    let other = refused(stage, CLIENT_PORT + 1, |_, iss| {
        Ok(format!(
            "From port {} a moment later: {}, {} away. The hash is another one, so nobody who sees this number can tell that of the other pair.",
            CLIENT_PORT + 1,
            iss,
            iss.wrapping_sub(before.0)
        ))
    })?;
    let apart = other.wrapping_sub(before.0);
    stage.check(
        (1 << 20..u32::MAX - (1 << 20)).contains(&apart),
        "the numbers of two pairs lie far apart",
    )
}

/// A SYN from `port`, which is refused; its ISN. `text` explains it.
fn refused(
    stage: &mut Stage,
    port: u16,
    text: impl FnOnce(&mut Stage, u32) -> Played<String>,
) -> Played<u32> {
    let options = ConnectOptions {
        local_port: port,
        ..ConnectOptions::to((stage.address(Right), SERVER_PORT).into())
    };
    let client = stage.open(Left, options)?;
    let iss = stage.last_iss(Left)?.0;
    let text = text(stage, iss)?;
    stage.line(
        Left,
        "S",
        (SynSent, Closed),
        text,
        "RFC 9293 §3.4.1 (MUST-8)",
    )?;
    stage.line(
        Right,
        "R. 0(0)",
        (Closed, Closed),
        "Refused.",
        "RFC 9293 §3.10.7.1",
    )?;
    let now = stage.now();
    stage.stack(Left).close(now, client.id).ok();
    Ok(iss)
}
