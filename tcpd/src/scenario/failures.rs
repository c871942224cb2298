//! What happens when a side crashes, vanishes, aborts, or was never there.

use std::time::Duration;

use tcpd_core::sim::pair::End::{Left, Right};
use tcpd_core::stack::State::{Closed, Established, SynReceived, SynSent};
use tcpd_core::stack::{ConnectionOptions, EndReason};

use super::Scenario;
use super::settings::Own;
use super::stage::{Played, Reading, Stage};
use crate::daemon::config::{Kind, format_duration};

pub(super) const HALF_OPEN_PEER_RESTARTS: Scenario = Scenario {
    name: "half-open-peer-restarts",
    title: "one side crashes, comes back and connects again: the other one's old connection is found and ended",
    rfc: "RFC 9293 §3.5.1, figure 9",
    about: "The right side knows nothing of the crash: its connection is half-open. The client comes back with a new SYN between the same \
            sockets. One exchange finds the old connection out, and the new one opens without waiting for a timeout.",
    settings: &[],
    preset: &[],
    script: peer_restarts,
};

fn peer_restarts(stage: &mut Stage) -> Played {
    let (_, server) = stage.established()?;
    stage.restart(Left)?;
    stage.say(
        "All memory of the connection is lost, and nothing was said to the peer.",
        "RFC 9293 §3.5.1",
    );
    let again = stage.connect(Left)?;
    stage.say(
        "The program starts again and connects from the same port as before.",
        "RFC 9293 §3.5.1",
    );
    stage.line(
        Left,
        "S 500(0)",
        (SynSent, Established),
        "A SYN in ESTABLISHED: an attacker could have sent it, so it ends nothing. It is challenged instead.",
        "RFC 9293 §3.10.7.4, fourth step; RFC 5961 §4",
    )?;
    stage.line(
        Right,
        ". 301(0) ack 101",
        (SynSent, Established),
        "The challenge ACK says where the old connection stands. It acknowledges 101, which this SYN-SENT never sent.",
        "RFC 5961 §4.2",
    )?;
    stage.line(
        Left,
        "R 101(0)",
        (SynSent, Closed),
        "So it is answered with RST, whose number comes from the challenge: exactly what the other side expects. Only who got the challenge could know it. The old \
         connection is over.",
        "RFC 9293 §3.10.7.3, first step",
    )?;
    stage.line(
        Left,
        "S 500(0)",
        (SynSent, SynReceived),
        "The SYN again, at once and not after its timeout: now the way is free.",
        "RFC 9293 §3.5.1",
    )?;
    let reading = stage.read(server)?;
    stage.check(
        reading == Reading::Ended(EndReason::Reset),
        "the old connection was reset",
    )?;
    stage.say(
        "The old connection's program learns that it was reset.",
        "RFC 9293 §3.10.7.4, second step",
    );
    stage.line(
        Right,
        "S. 700(0) ack 501",
        (Established, SynReceived),
        "A new connection.",
        "RFC 9293 §3.5",
    )?;
    stage.line(
        Left,
        ". 501(0) ack 701",
        (Established, Established),
        "Open.",
        "RFC 9293 §3.5",
    )?;
    let state = stage.state(again);
    stage.check(state == Established, "the new connection is ESTABLISHED")
}

pub(super) const HALF_OPEN_PEER_SILENT: Scenario = Scenario {
    name: "half-open-peer-silent",
    title: "one side crashes and stays quiet: the other one finds out when it sends",
    rfc: "RFC 9293 §3.5.1, figure 10",
    about: "A half-open connection without traffic looks like a healthy one: TCP sends nothing to see whether the peer is still there. The first \
            data that is sent into it meets a host without such a connection.",
    settings: &[],
    preset: &[],
    script: peer_silent,
};

fn peer_silent(stage: &mut Stage) -> Played {
    let (_, server) = stage.established()?;
    stage.restart(Left)?;
    stage.say("No FIN, no RST: a crash is not a close.", "RFC 9293 §3.5.1");
    stage.pass(Duration::from_secs(600))?;
    let state = stage.state(server);
    stage.check(state == Established, "the right side is still ESTABLISHED")?;
    stage.remark("ten minutes of silence");
    stage.send(server, 10)?;
    stage.say(
        "The right side is still in ESTABLISHED, and sends.",
        "RFC 9293 §3.10.2",
    );
    stage.line(
        Right,
        "P. 301(10) ack 101",
        (Closed, Established),
        "Data for a connection that is not there.",
        "RFC 9293 §3.10.7.1",
    )?;
    stage.line(
        Left,
        "R 101(0)",
        (Closed, Closed),
        "RST. Its number is the one that the segment acknowledged, so the sender can believe it.",
        "RFC 9293 §3.5.2, group 1",
    )?;
    let reading = stage.read(server)?;
    stage.check(
        reading == Reading::Ended(EndReason::Reset),
        "the right side was reset",
    )?;
    stage.say("The program is told: reset.", "RFC 9293 §3.5.3");
    Ok(())
}

pub(super) const KEEPALIVE: Scenario = Scenario {
    name: "keepalive",
    title: "a silent connection is probed; a peer that answers keeps it, one that is gone loses it",
    rfc: "RFC 9293 §3.8.4",
    about: "Off unless a program asks for it, and by default after two hours at the earliest. A probe is an empty segment one left of what the \
            peer expects: useless, so that it must be answered with an ACK. One lost answer proves nothing. Try --set keepalive_idle=1min.",
    settings: &[],
    preset: &[("keepalive_count", "3")],
    script: keepalive,
};

fn keepalive(stage: &mut Stage) -> Played {
    let keepalive = stage.settings.stack.tcp.keepalive;
    let options = ConnectionOptions {
        keepalive: Some(keepalive),
        ..ConnectionOptions::default()
    };
    let (client, _) = stage.established_with(options)?;
    let idle = format_duration(keepalive.idle);
    stage.line(Left, ". 100(0) ack 301", (Established, Established), format!("After {idle} without a segment, a probe: number 100 was acknowledged long ago, so it is out of the window."), "RFC 9293 §3.8.4 (MUST-28)")?;
    stage.line(
        Right,
        ". 301(0) ack 101",
        (Established, Established),
        "An unacceptable segment must be answered with an ACK. The peer's program notices nothing.",
        "RFC 9293 §3.10.7.4, first step",
    )?;
    stage.lose(Left, u32::MAX);
    stage.remark("the cable is cut");
    let probes = [
        "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    ];
    for index in 0..keepalive.count {
        let number = probes
            .get(usize::from(index))
            .copied()
            .unwrap_or("one more");
        let text = match index {
            0 => format!("{idle} later, a probe that nobody hears."),
            _ => format!(
                "Number {number}, {} later.",
                format_duration(keepalive.interval)
            ),
        };
        stage.lost(
            Left,
            ". 100(0) ack 301",
            Established,
            text,
            "RFC 9293 §3.8.4 (MUST-29)",
        )?;
    }
    stage.timer(
        Left,
        Closed,
        format!("{} probes without an answer: given up.", keepalive.count),
        "RFC 9293 §3.8.4",
    )?;
    stage.lost(
        Left,
        "R 101(0)",
        Closed,
        "A RST for a peer that might be there after all.",
        "tcpd, as Linux",
    )?;
    let reading = stage.read(client)?;
    stage.check(
        matches!(reading, Reading::Ended(EndReason::TimedOut(_))),
        "the program is told of a timeout",
    )?;
    stage.say(
        "The program learns that it was a timeout, neither a close nor a reset.",
        "RFC 9293 §3.10.8",
    );
    Ok(())
}

pub(super) const APPLICATION_IDLE_TIMEOUT: Scenario = Scenario {
    name: "application-idle-timeout",
    title: "an application's own idle timer, as a connection option: no text for so long, and it is over",
    rfc: "RFC 9293 §3.8.3; the option is tcpd's",
    about: "Keepalive finds out whether the peer's host lives; it keeps a connection whose program hangs. Most servers want something else: to let go \
            of peers that say nothing. Here text must pass in either direction, or the connection is aborted. Keepalive probes do not count. Try --set \
            idle_timeout=5min.",
    settings: &[Own {
        name: "idle_timeout",
        default: "30s",
        kind: Kind::Duration(Duration::from_millis(100), Duration::from_secs(86_400)),
        help: "so long without text, and the connection is aborted",
    }],
    preset: &[],
    script: idle_timeout,
};

fn idle_timeout(stage: &mut Stage) -> Played {
    let patience = stage.settings.duration("idle_timeout");
    let options = ConnectionOptions {
        idle_timeout: Some(patience),
        ..ConnectionOptions::default()
    };
    let (client, server) = stage.established_with(options)?;
    stage.send(client, 10)?;
    stage.line(
        Left,
        "P. 101(10) ack 301",
        (Established, Established),
        "Some text.",
        "RFC 9293 §3.10.2",
    )?;
    stage.read(server)?;
    stage.line(
        Right,
        ". 301(0) ack 111",
        (Established, Established),
        "Its acknowledgment: text has passed, and the timer begins anew.",
        "tcpd: ConnectionOptions::idle_timeout",
    )?;
    stage.timer(
        Left,
        Closed,
        format!(
            "{} without text in either direction: the connection is aborted.",
            format_duration(patience)
        ),
        "RFC 9293 §3.10.5",
    )?;
    stage.line(
        Left,
        "R 111(0)",
        (Closed, Closed),
        "The peer is told; silence would leave it half-open.",
        "RFC 9293 §3.10.5",
    )?;
    let reading = stage.read(client)?;
    stage.check(
        matches!(reading, Reading::Ended(EndReason::TimedOut(_))),
        "the left program is told of a timeout",
    )?;
    stage.say("This side: timed out, by its own wish.", "RFC 9293 §3.10.8");
    let reading = stage.read(server)?;
    stage.check(
        reading == Reading::Ended(EndReason::Reset),
        "the right program is told of a reset",
    )?;
    stage.say("The other one: reset.", "RFC 9293 §3.5.3");
    Ok(())
}

pub(super) const RST_CLOSED_PORT: Scenario = Scenario {
    name: "rst-closed-port",
    title: "a SYN to a port where nobody listens is refused",
    rfc: "RFC 9293 §3.10.7.1, §3.5.2",
    about: "CLOSED answers everything but a RST with a RST, so that a caller knows at once and need not wait for a timeout.",
    settings: &[],
    preset: &[],
    script: closed_port,
};

fn closed_port(stage: &mut Stage) -> Played {
    let client = stage.connect(Left)?;
    stage.say("Nobody listens there.", "RFC 9293 §3.10.1");
    stage.line(
        Left,
        "S 100(0)",
        (SynSent, Closed),
        "The SYN takes number 100.",
        "RFC 9293 §3.10.7.1",
    )?;
    stage.line(
        Right,
        "R. 0(0) ack 101",
        (Closed, Closed),
        "The SYN had no ACK from which a number could be taken, so SEQ = 0, and ACK = SEG.SEQ + SEG.LEN, where the SYN counts as one. In SYN-SENT a RST is believed \
         only if it acknowledges the SYN: a blind attacker cannot refuse for others.",
        "RFC 9293 §3.5.2, §3.10.7.3 second step",
    )?;
    let reading = stage.read(client)?;
    stage.check(
        reading == Reading::Ended(EndReason::Refused),
        "the program is told: refused",
    )?;
    stage.say(
        "Refused: not reset, not timed out.",
        "RFC 9293 §3.10.7.3, second step",
    );
    Ok(())
}

pub(super) const ABORTIVE_RELEASE: Scenario = Scenario {
    name: "abortive-release",
    title: "ABORT throws away what is queued and resets the peer; nobody waits in TIME-WAIT",
    rfc: "RFC 9293 §3.10.5",
    about: "close() promises to deliver what was written; abort() promises to stop at once. The peer learns that data is missing, for reset is not end \
            of file.",
    settings: &[],
    preset: &[],
    script: abortive_release,
};

fn abortive_release(stage: &mut Stage) -> Played {
    let (client, server) = stage.established()?;
    stage.send(client, 10)?;
    stage.line(
        Left,
        "P. 101(10) ack 301",
        (Established, Established),
        "Ten bytes arrive, and nobody reads them yet.",
        "RFC 9293 §3.10.2",
    )?;
    stage.line(
        Right,
        ". 301(0) ack 111",
        (Established, Established),
        "They are acknowledged.",
        "RFC 9293 §3.8.6.3",
    )?;
    stage.abort(client)?;
    stage.say(
        "ABORT: everything queued is thrown away, the connection is CLOSED at once.",
        "RFC 9293 §3.10.5",
    );
    stage.line(
        Left,
        "R 111(0)",
        (Closed, Closed),
        "RST with SND.NXT: exactly the number the peer expects, so it is believed. No answer, no retransmission, no TIME-WAIT.",
        "RFC 9293 §3.10.5, §3.10.7.4 second step",
    )?;
    stage.read(server)?;
    let reading = stage.read(server)?;
    stage.check(
        reading == Reading::Ended(EndReason::Reset),
        "the peer is told of a reset",
    )?;
    stage.say(
        "What had arrived can still be read; after it comes the error, and never end of file.",
        "RFC 9293 §3.5.3",
    );
    Ok(())
}

pub(super) const CLOSE_WITH_UNREAD_DATA: Scenario = Scenario {
    name: "close-with-unread-data",
    title: "who closes without reading everything resets: a FIN would say that all was well",
    rfc: "RFC 2525 §2.17; RFC 9293 §3.6.1 (SHLD-3)",
    about: "The peer's bytes were acknowledged but no program will ever see them. A FIN would hide that, so the stack sends a RST.",
    settings: &[],
    preset: &[],
    script: unread_data,
};

fn unread_data(stage: &mut Stage) -> Played {
    let (client, server) = stage.established()?;
    stage.send(server, 10)?;
    stage.line(
        Right,
        "P. 301(10) ack 101",
        (Established, Established),
        "Ten bytes, which the program on the left does not read.",
        "RFC 9293 §3.10.2",
    )?;
    stage.line(
        Left,
        ". 101(0) ack 311",
        (Established, Established),
        "TCP acknowledges them: they are in its buffer. That says nothing of the program.",
        "RFC 9293 §3.8.6.3",
    )?;
    stage.close(client)?;
    stage.say(
        "The program closes without having read them.",
        "RFC 9293 §3.10.4",
    );
    stage.line(
        Left,
        "R 101(0)",
        (Closed, Closed),
        "RST instead of FIN: the peer is told that its data was lost.",
        "RFC 2525 §2.17",
    )?;
    let reading = stage.read(server)?;
    stage.check(
        reading == Reading::Ended(EndReason::Reset),
        "the peer is told of a reset",
    )?;
    stage.say("And its program learns it.", "RFC 9293 §3.5.3");
    Ok(())
}
