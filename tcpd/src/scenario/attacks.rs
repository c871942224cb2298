//! Attackers who are not on the path: they know addresses and ports, and guess numbers.

use std::net::IpAddr;
use std::time::Duration;

use tcpd_core::sim::pair::End::{Left, Right};
use tcpd_core::stack::State::{Closed, Established, Listen, SynSent};
use tcpd_core::stack::{EndReason, State};
use tcpd_core::wire::{Flags, SequenceNumber};

use super::Scenario;
use super::settings::Own;
use super::stage::{Forged, Played, Reading, SERVER_PORT, Stage, Wrong};
use crate::daemon::config::Kind;

pub(super) const RST_ATTACK: Scenario = Scenario {
    name: "rst-attack",
    title: "forged RSTs and SYNs: outside the window silence, inside a challenge, only the exact number resets",
    rfc: "RFC 5961 §3, §4; RFC 9293 §3.5.3",
    about: "Before RFC 5961 any RST in the window ended a connection: with a window of 64 KiB one of 65,536 guesses hits. Now only RCV.NXT itself does, one of \
            four thousand million. For the rest of the window the stack asks its peer: who has really lost the connection answers the challenge with the exact number. \
            Here without timestamps; with --set timestamps=true forged data must guess those, too.",
    settings: &[],
    preset: &[("timestamps", "false")],
    script: rst_attack,
};

fn rst_attack(stage: &mut Stage) -> Played {
    let (client, server) = stage.established()?;
    let status = stage
        .stack(Right)
        .status(server.id)
        .ok_or_else(|| Wrong("the server has no status".to_owned()))?;
    let (exact, window) = (status.rcv_nxt, status.rcv_wnd);
    let both = (Established, Established);
    let reset = |seq: SequenceNumber| Forged {
        flags: Flags::RST,
        seq,
        ack: SequenceNumber(0),
        length: 0,
    };
    // The limiter of challenges lets one through in so long, at the most.
    let between = stage.settings.stack.limits.challenge_ack_interval * 2 + Duration::from_millis(1);

    stage.forge(Right, reset(exact + window))?;
    let outside = format!("R {}(0)", 101 + window);
    stage.line(
        Left,
        &outside,
        both,
        format!("A forged RST just outside the window of {window} bytes: dropped without a word."),
        "RFC 5961 §3.2, rule 1",
    )?;

    stage.forge(Right, reset(exact + window / 2))?;
    let inside = format!("R {}(0)", 101 + window / 2);
    stage.line(Left, &inside, both, "One inside the window, but not the next number expected. It resets nothing; it might be true, though, so the peer is asked.", "RFC 5961 §3.2, rule 3")?;
    stage.line(Right, ". 301(0) ack 101", both, "The challenge ACK goes to the true peer, never to the attacker. The peer is well and sees nothing new in it.", "RFC 5961 §3.2")?;
    stage.pass(between)?;

    let syn = Forged {
        flags: Flags::SYN,
        ..reset(exact + 1)
    };
    stage.forge(Right, syn)?;
    let data = Forged {
        flags: Flags::ACK | Flags::PSH,
        seq: exact,
        ack: status.snd_nxt + 1_000_000,
        length: 4,
    };
    stage.line(
        Left,
        "S 102(0)",
        both,
        "A forged SYN. Once, a SYN in the window was answered with RST and ended the connection.",
        "RFC 5961 §4.1",
    )?;
    stage.line(
        Right,
        ". 301(0) ack 101",
        both,
        "Now it gets the same challenge, whatever its number is. A peer that really restarted would answer with RST.",
        "RFC 5961 §4.2",
    )?;
    stage.pass(between)?;
    stage.forge(Right, data)?;
    if status.timestamps {
        stage.line(
            Left,
            "P. 101(4)",
            both,
            "Forged data with exactly the right number; but this connection agreed on timestamps, and it has none: dropped.",
            "RFC 7323 §3.2",
        )?;
    } else {
        stage.line(
            Left,
            "P. 101(4) ack 1000301",
            both,
            "Forged data with exactly the right number: it must guess the acknowledgment, too, and this one acknowledges what was never sent.",
            "RFC 5961 §5",
        )?;
        stage.line(
            Right,
            ". 301(0) ack 101",
            both,
            "Challenged and thrown away; not a byte of it reaches the program.",
            "RFC 9293 §3.10.7.4, fifth step",
        )?;
    }

    stage.forge(Right, reset(exact))?;
    stage.line(Left, "R 101(0)", (Established, Closed), "The one number in 2^32 that hits. Against somebody who can see the traffic TCP has no defence of its own.", "RFC 5961 §3.2, rule 2")?;
    let reading = stage.read(server)?;
    stage.check(
        reading == Reading::Ended(EndReason::Reset),
        "the server was reset",
    )?;
    stage.say(
        "The right side believes it. The left one knows nothing: its connection is half-open now.",
        "RFC 9293 §3.5.1",
    );
    let state = stage.state(client);
    stage.check(state == Established, "the left side is still ESTABLISHED")
}

pub(super) const SYN_FLOOD_COOKIES: Scenario = Scenario {
    name: "syn-flood-cookies",
    title: "a flood of SYNs fills the table of half-open entries; a good client gets in by a cookie",
    rfc: "RFC 4987 §3.6",
    about: "Each forged SYN costs an entry that waits for an ACK which never comes. When the table is full, the SYN-ACK itself becomes the memory: its initial sequence \
            number holds, in its low 23 bits, the client's MSS (rounded down), window scale and SACK, and a keyed hash of who is connecting. \
            Timestamps need no bit: the ACK brings them along. Nothing is kept until then. Try --set \
            syn_cookies=false.",
    settings: &[Own {
        name: "flood",
        default: "1000",
        kind: Kind::Integer(1, 100_000),
        help: "forged SYNs before the good client comes",
    }],
    preset: &[("half_open", "64")],
    script: syn_flood,
};

fn syn_flood(stage: &mut Stage) -> Played {
    stage.journal.borrow_mut().numbers.all_options = true;
    stage.listen(Right)?;
    let flood = stage.settings.number("flood");
    let table = stage.settings.stack.limits.half_open;
    stage.unseen(|stage| {
        for number in 0..flood {
            let syn = Forged {
                flags: Flags::SYN,
                seq: SequenceNumber(number as u32),
                ack: SequenceNumber(0),
                length: 0,
            };
            let ports = (1_024 + number as u16 % 60_000, SERVER_PORT);
            stage.forge_from(
                nobody(stage.address(Left), number),
                ports,
                "forged",
                Right,
                syn,
            )?;
        }
        stage.settle()
    })?;
    let half_open = stage
        .stack(Right)
        .endpoints()
        .filter(|endpoint| endpoint.state == State::SynReceived)
        .count();
    let cookies = stage.stack(Right).counters().syn_cookies_sent;
    stage.remark(format!(
        "{flood} forged SYNs: {half_open} half-open entries, {cookies} cookies"
    ));
    stage.check(half_open <= table, "the table is no larger than allowed")?;
    let client = stage.connect(Left)?;
    stage.say("Now a good client comes.", "RFC 9293 §3.10.1");
    if stage.settings.stack.tcp.syn_cookies && flood >= table as u64 {
        by_cookie(stage)?;
    } else {
        by_entry(stage)?;
    }
    let server = stage.accept(Right)?;
    let status = stage.stack(Right).status(server.id);
    let asked = &stage.settings.stack.tcp;
    let kept = status.is_some_and(|status| {
        status.timestamps == asked.timestamps
            && status.window_scale_peer.is_some() == asked.window_scale
            && status.sack == asked.sack
    });
    stage.check(kept, "all options survive the cookie")?;
    stage.send(client, 10)?;
    stage.line(
        Left,
        "P. 101(10) ack 301",
        (Established, Established),
        "Data flows as ever.",
        "RFC 9293 §3.10.2",
    )?;
    stage.read(server)?;
    stage.line(
        Right,
        ". 301(0) ack 111",
        (Established, Established),
        "And is acknowledged, flood or not.",
        "RFC 9293 §3.8.6.3",
    )
}

fn by_cookie(stage: &mut Stage) -> Played {
    stage.line(Left, "S 100(0)", (SynSent, Listen), "A SYN as any other. The table is full, so no entry is made: the server is still in LISTEN for this pair.", "RFC 4987 §3.6")?;
    stage.line(Right, "S. 300(0) ack 101", (Established, Listen), "The cookie is the initial sequence number. It can be computed again from the ACK that answers it and the server's secret.", "RFC 4987 §3.6")?;
    stage.line(Left, ". 101(0) ack 301", (Established, Established), "The ACK brings the cookie back: it fits this pair and this minute, so the connection is made now, with all its options.", "RFC 4987 §3.6")
}

fn by_entry(stage: &mut Stage) -> Played {
    stage.line(Left, "S 100(0)", (SynSent, State::SynReceived), "There is room, or the oldest entry makes way: without cookies a flood costs its own entries first, but a fast one also those of good clients, before \
                their ACK comes.", "RFC 4987 §3.4")?;
    stage.line(
        Right,
        "S. 300(0) ack 101",
        (Established, State::SynReceived),
        "The entry remembers what was offered.",
        "RFC 4987 §3.5",
    )?;
    stage.line(
        Left,
        ". 101(0) ack 301",
        (Established, Established),
        "In time.",
        "RFC 9293 §3.5",
    )
}

/// An address of the network that belongs to nobody.
fn nobody(like: IpAddr, number: u64) -> IpAddr {
    match like {
        IpAddr::V4(_) => [198, 18, 0, 16 + (number % 200) as u8].into(),
        IpAddr::V6(_) => [0xfd00, 0x7463, 0x7064, 0, 0, 0, 1, number as u16].into(),
    }
}
