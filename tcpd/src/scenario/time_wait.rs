//! TIME-WAIT: what it waits for, what disturbs it, and how one gets round it.

use std::time::Duration;

use tcpd_core::sim::pair::End::{Left, Right};
use tcpd_core::stack::State::{
    CloseWait, Closed, Established, FinWait1, LastAck, SynReceived, SynSent, TimeWait,
};
use tcpd_core::stack::{ConnectOptions, ListenOptions};

use super::Scenario;
use super::stage::{CLIENT_PORT, Connection, Played, SERVER_PORT, Stage};
use crate::daemon::config::format_duration;

pub(super) const TIME_WAIT: Scenario = Scenario {
    name: "time-wait",
    title: "who closes first waits for 2MSL, and the pair of sockets waits with it",
    rfc: "RFC 9293 §3.6.1, §3.10.8",
    about: "TIME-WAIT is there for two reasons: the last ACK may be lost, and then somebody must answer the FIN that comes again; and \
            segments of this connection may still be on their way, which must not fall into a new one between the same sockets. Try --set msl=60s: \
            the MSL of RFC 9293 is two minutes, tcpd's default is 30 s.",
    settings: &[],
    preset: &[],
    script: time_wait,
};

fn time_wait(stage: &mut Stage) -> Played {
    let (client, server) = stage.established()?;
    close_both(stage, client, server)?;
    let entered = stage.now();
    let options = ConnectOptions {
        local_port: CLIENT_PORT,
        ..ConnectOptions::to((stage.address(Right), SERVER_PORT).into())
    };
    let now = stage.now();
    let again = stage.stack(Left).connect(now, options);
    stage.refused(Left, "connect()", again, TimeWait)?;
    stage.say(
        "The same pair of sockets again, from the same port: it is in use. (From another port it would go through at once.)",
        "RFC 9293 §3.10.1",
    );
    let msl = stage.settings.stack.tcp.msl;
    stage.timer(
        Left,
        Closed,
        format!(
            "2MSL: twice {}. Nothing of the old connection is on its way any more.",
            format_duration(msl)
        ),
        "RFC 9293 §3.10.8",
    )?;
    // The entry was made when the peer's FIN came, one trip of the network before the last ACK arrived.
    let waited = stage.now().duration_since(entered) + stage.settings.duration("latency");
    stage.check(waited == msl * 2, "TIME-WAIT lasted exactly 2MSL")?;
    let again = stage.open(Left, options)?;
    stage.say("Now the pair is free.", "RFC 9293 §3.10.1");
    stage.line(
        Left,
        "S",
        (SynSent, SynReceived),
        "A new connection, with numbers of its own.",
        "RFC 9293 §3.4.1",
    )?;
    stage.line(
        Right,
        "S.",
        (Established, SynReceived),
        "The server knows nothing of the old one.",
        "RFC 9293 §3.5",
    )?;
    stage.line(
        Left,
        ".",
        (Established, Established),
        "Open.",
        "RFC 9293 §3.5",
    )?;
    let state = stage.state(again);
    stage.check(state == Established, "the new connection is ESTABLISHED")
}

/// The left side closes first, the right one at once after it.
fn close_both(stage: &mut Stage, first: Connection, second: Connection) -> Played {
    let states = |a, b| match first.end {
        Left => (a, b),
        Right => (b, a),
    };
    let numbers = match first.end {
        Left => ["F. 101(0) ack 301", "F. 301(0) ack 102", ". 102(0) ack 302"],
        Right => ["F. 301(0) ack 101", "F. 101(0) ack 302", ". 302(0) ack 102"],
    };
    stage.close(first)?;
    stage.line(
        first.end,
        numbers[0],
        states(FinWait1, CloseWait),
        "This side closes first: the active close.",
        "RFC 9293 §3.6",
    )?;
    stage.close(second)?;
    stage.line(
        second.end,
        numbers[1],
        states(TimeWait, LastAck),
        "The other one closes, too. From its FIN on the first one is in TIME-WAIT.",
        "RFC 9293 §3.6",
    )?;
    stage.line(
        first.end,
        numbers[2],
        states(TimeWait, Closed),
        "The last ACK. Who sends it cannot know whether it arrives.",
        "RFC 9293 §3.6",
    )
}

pub(super) const TIME_WAIT_DUPLICATE_FIN: Scenario = Scenario {
    name: "time-wait-duplicate-fin",
    title: "the last ACK is lost: TIME-WAIT answers the FIN that comes again, and starts anew",
    rfc: "RFC 9293 §3.10.7.4, eighth step; §3.6.1",
    about: "This is what TIME-WAIT is for. The peer in LAST-ACK sends its FIN again; if nobody were there, it would get a RST and tell its \
            program of an error, though everything had arrived.",
    settings: &[],
    preset: &[],
    script: duplicate_fin,
};

fn duplicate_fin(stage: &mut Stage) -> Played {
    let (client, server) = stage.established()?;
    stage.close(client)?;
    stage.line(
        Left,
        "F. 101(0) ack 301",
        (FinWait1, CloseWait),
        "The active close.",
        "RFC 9293 §3.6",
    )?;
    stage.close(server)?;
    stage.lose(Left, 1);
    stage.line(
        Right,
        "F. 301(0) ack 102",
        (TimeWait, LastAck),
        "The second FIN: TIME-WAIT begins.",
        "RFC 9293 §3.6",
    )?;
    stage.lost(
        Left,
        ". 102(0) ack 302",
        TimeWait,
        "The last ACK is lost on the way.",
        "RFC 9293 §3.6.1",
    )?;
    stage.line(
        Right,
        "F. 301(0) ack 102",
        (TimeWait, LastAck),
        "No ACK within the retransmission timeout, so the FIN comes again.",
        "RFC 9293 §3.8.1",
    )?;
    let restarted = stage.now();
    stage.line(
        Left,
        ". 102(0) ack 302",
        (TimeWait, Closed),
        "TIME-WAIT acknowledges it again, and 2MSL begin anew: this ACK may be lost, too.",
        "RFC 9293 §3.10.7.4, eighth step",
    )?;
    stage.timer(
        Left,
        Closed,
        "2MSL after the second FIN, not after the first.",
        "RFC 9293 §3.10.8",
    )?;
    let (waited, msl) = (
        stage.now().duration_since(restarted),
        stage.settings.stack.tcp.msl,
    );
    stage.check(waited == msl * 2, "2MSL began anew with the second FIN")
}

pub(super) const TIME_WAIT_PORT_IN_USE: Scenario = Scenario {
    name: "time-wait-port-in-use",
    title: "a server that closed first cannot listen on its port again, unless it asks for reuse",
    rfc: "RFC 9293 §3.10.1, §3.6.1",
    about: "\"Address already in use\" after a restart: the old server closed its connections itself, so their TIME-WAIT pairs are on its side and \
            hold the port. A listener that asks for reuse (SO_REUSEADDR) may share it with them, if the old one had asked for it, too: new connections are told from old ones by \
            the peer's socket.",
    settings: &[],
    preset: &[],
    script: port_in_use,
};

fn port_in_use(stage: &mut Stage) -> Played {
    let shared = ListenOptions {
        port: SERVER_PORT,
        reuse: true,
        ..ListenOptions::default()
    };
    let listener = stage.listen_with(Right, shared)?;
    let client = stage.connect(Left)?;
    stage.settle()?;
    let server = stage.accept(Right)?;
    stage.begin([Established, Established]);
    close_both(stage, server, client)?;
    let now = stage.now();
    stage.stack(Right).close_listener(now, listener);
    stage.happens(Right, "the server stops", TimeWait)?;
    stage.say("The listener is gone; the pair in TIME-WAIT is not the program's any more, but the stack's.", "RFC 9293 §3.6.1");
    let alone = ListenOptions {
        reuse: false,
        ..shared
    };
    let now = stage.now();
    let refused = stage.stack(Right).listen(now, alone);
    stage.refused(Right, "listen(80)", refused, TimeWait)?;
    stage.say(
        "The server starts again, and its port is still in use: by TIME-WAIT.",
        "RFC 9293 §3.10.1",
    );
    let listener = stage.listen_with(Right, shared)?;
    stage.say("Asking for reuse, as the first one did, it may share the port with pairs in TIME-WAIT (never with another listener).", "as SO_REUSEADDR has it");
    let now = stage.now();
    stage.stack(Right).close_listener(now, listener);
    stage.happens(Right, "the server stops again", TimeWait)?;
    stage.timer(Right, Closed, "2MSL are over.", "RFC 9293 §3.10.8")?;
    stage.listen_with(Right, alone)?;
    stage.say("Now the port is free for everybody.", "RFC 9293 §3.10.1");
    Ok(())
}

pub(super) const TIME_WAIT_ASSASSINATION: Scenario = Scenario {
    name: "time-wait-assassination",
    title: "an old duplicate makes two hosts kill a TIME-WAIT between them, if RSTs are not ignored",
    rfc: "RFC 1337 §1, figure 1",
    about: "An old segment arrives in TIME-WAIT and is acknowledged; the peer has forgotten the connection and answers the ACK with a RST; the RST ends \
            TIME-WAIT, and the next old duplicate may fall into a new connection. Here rfc1337=false shows it; with --set rfc1337=true, tcpd's default, \
            TIME-WAIT ignores the RST.",
    settings: &[],
    preset: &[("rfc1337", "false")],
    script: assassination,
};

fn assassination(stage: &mut Stage) -> Played {
    let (client, server) = stage.established()?;
    stage.send(server, 5)?;
    stage.line(
        Right,
        "P. 301(5) ack 101",
        (Established, Established),
        "Some data. Say the network keeps a copy of it, and delivers it later.",
        "RFC 9293 §3.4",
    )?;
    let copy = stage.last_packet(Right)?;
    stage.read(client)?;
    stage.close(client)?;
    stage.line(
        Left,
        "F. 101(0) ack 306",
        (FinWait1, CloseWait),
        "The active close.",
        "RFC 9293 §3.6",
    )?;
    stage.close(server)?;
    stage.line(
        Right,
        "F. 306(0) ack 102",
        (TimeWait, LastAck),
        "The second FIN.",
        "RFC 9293 §3.6",
    )?;
    stage.line(
        Left,
        ". 102(0) ack 307",
        (TimeWait, Closed),
        "The last ACK: the right side has forgotten everything.",
        "RFC 9293 §3.6",
    )?;
    stage.pass(Duration::from_secs(5))?;
    stage.inject(Left, "duplicate", &copy)?;
    stage.line(
        Right,
        "P. 301(5) ack 101",
        (TimeWait, Closed),
        "The copy arrives. It is unacceptable, so TIME-WAIT must say where it stands.",
        "RFC 9293 §3.10.7.4, first step",
    )?;
    stage.line(
        Left,
        ". 102(0) ack 307",
        (TimeWait, Closed),
        "An ACK to a host that knows nothing of it.",
        "RFC 1337 §1, line 5.2",
    )?;
    let ignores = stage.settings.stack.tcp.time_wait_ignores_reset;
    if ignores {
        stage.line(
            Right,
            "R 307(0)",
            (TimeWait, Closed),
            "The RST with exactly the right number is ignored: TIME-WAIT goes on.",
            "RFC 1337 §3, fix F1",
        )?;
        return stage.timer(
            Left,
            Closed,
            "It ends when 2MSL are over, not before.",
            "RFC 9293 §3.10.8",
        );
    }
    stage.line(Right, "R 307(0)", (Closed, Closed), "RST with exactly the right number: TIME-WAIT is dead long before its time, by no one's fault.", "RFC 1337 §1, line 5.3")
}

pub(super) const TIME_WAIT_REUSE: Scenario = Scenario {
    name: "time-wait-reuse",
    title: "a SYN that is surely newer than the old connection may take its pair out of TIME-WAIT",
    rfc: "RFC 6191; RFC 9293 §3.6.1, MAY-2",
    about: "A client with few ports comes back from the same port while the server is in TIME-WAIT. Timestamps (or a sequence number above the \
            last one) show that this SYN is no old duplicate; then nothing of the old connection can be mistaken for the new one, and there is nothing to \
            wait for.",
    settings: &[],
    preset: &[],
    script: reuse,
};

fn reuse(stage: &mut Stage) -> Played {
    let (client, server) = stage.established()?;
    close_both(stage, server, client)?;
    stage.pass(Duration::from_secs(2))?;
    let copy = stage
        .journal
        .borrow()
        .before
        .iter()
        .find(|(_, packet)| packet.from == Left)
        .map(|(_, packet)| packet.bytes.clone());
    if let Some(old) = copy {
        stage.inject(Right, "duplicate", &old)?;
        stage.line(
            Left,
            "S 100(0)",
            (Closed, TimeWait),
            "An old duplicate of the first SYN: neither its timestamp nor its number is newer.",
            "RFC 6191 §2",
        )?;
        stage.line(
            Right,
            ". 302(0) ack 102",
            (Closed, TimeWait),
            "So it gets an ACK that says where the old connection ended.",
            "RFC 9293 §3.10.7.4, fourth step (RFC 6191 §2 would be silent)",
        )?;
        stage.line(
            Left,
            "R 102(0)",
            (Closed, TimeWait),
            "The client has no such connection. The RST does not disturb TIME-WAIT.",
            "RFC 1337 §3, fix F1",
        )?;
    }
    let old_iss = stage.last_iss(Right)?;
    stage.connect(Left)?;
    stage.say(
        "The client comes back from the same port.",
        "RFC 9293 §3.10.1",
    );
    stage.line(
        Left,
        "S 500(0)",
        (SynSent, SynReceived),
        "A newer timestamp than any of the old connection: TIME-WAIT gives way to SYN-RECEIVED.",
        "RFC 6191 §2",
    )?;
    stage.line(
        Right,
        "S. 700(0) ack 501",
        (Established, SynReceived),
        "The new initial sequence number lies above everything the old connection used.",
        "RFC 9293 §3.6.1 (MAY-2)",
    )?;
    let above = stage.last_iss(Right)?.after(old_iss);
    stage.check(above, "the new ISS lies above the old one")?;
    stage.line(
        Left,
        ". 501(0) ack 701",
        (Established, Established),
        "Open, though 2MSL are far from over.",
        "RFC 9293 §3.5",
    )?;

    Ok(())
}
