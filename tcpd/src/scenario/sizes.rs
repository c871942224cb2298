//! How large a segment may be, and what happens in a full buffer.

use tcpd_core::sim::pair::End::{Left, Right};
use tcpd_core::stack::State::{Established, SynReceived, SynSent};
use tcpd_core::stack::{ConnectionOptions, ListenOptions};
use tcpd_core::wire::{Flags, SequenceNumber};

use super::Scenario;
use super::settings::Own;
use super::stage::{CLIENT_PORT, Forged, Played, Reading, SERVER_PORT, Stage};
use crate::daemon::config::Kind;

/// Bytes of the timestamp option, padded, in each segment.
const TIMESTAMPS: u32 = 12;

pub(super) const MSS_NEGOTIATION: Scenario = Scenario {
    name: "mss-negotiation",
    title: "each side says how large a segment it can take; nothing is negotiated",
    rfc: "RFC 9293 §3.7.1",
    about: "The MSS option of a SYN is an announcement: \"send me no more than this\". The two directions may differ. What is really sent is the least of the \
            peer's announcement and what the own link carries, less the options in the header. Try --set right_mtu=1280, or --set timestamps=false.",
    settings: &[Own {
        name: "right_mtu",
        default: "9000",
        kind: Kind::Integer(1280, 65_535),
        help: "bytes of an IP packet on the right side's link",
    }],
    preset: &[],
    script: mss_negotiation,
};

fn mss_negotiation(stage: &mut Stage) -> Played {
    let headers = if stage.address(Left).is_ipv6() {
        60
    } else {
        40
    };
    let [left, right] = ["mtu", "right_mtu"].map(|mtu| stage.settings.number(mtu) as u32 - headers);
    let options = if stage.settings.stack.tcp.timestamps {
        TIMESTAMPS
    } else {
        0
    };
    let size = left.min(right) - options;
    stage.listen(Right)?;
    let client = stage.connect(Left)?;
    let syn = format!("S 100(0) mss {left}");
    stage.line(
        Left,
        &syn,
        (SynSent, SynReceived),
        format!("\"Send me no more than {left} bytes of text\": the MTU of the left side's link, {}, less {headers} bytes for the IP and TCP headers \
                 without options.", left + headers),
        "RFC 9293 §3.7.1 (MUST-14)",
    )?;
    let syn_ack = format!("S. 300(0) ack 101 mss {right}");
    stage.line(
        Right,
        &syn_ack,
        (Established, SynReceived),
        format!("\"And me no more than {right}\": its own link, whatever the other side said."),
        "RFC 9293 §3.7.1",
    )?;
    stage.line(
        Left,
        ".",
        (Established, Established),
        "The option is for SYNs only.",
        "RFC 9293 §3.2 (MUST-65)",
    )?;
    let server = stage.accept(Right)?;
    let count = size as usize + 100;
    for (connection, seq, from, limit) in [
        (
            client,
            101,
            Left,
            "what the left side's own link can carry and what the right one takes",
        ),
        (
            server,
            301,
            Right,
            "what the left side takes and what the right side's own link can carry",
        ),
    ] {
        stage.send(connection, count)?;
        let states = (Established, Established);
        let other = if from == Left {
            301
        } else {
            101 + count as u32
        };
        stage.line(
            from,
            &format!(". {seq}({size}) ack {other}"),
            states,
            format!("The least of {limit}, less {options} bytes of options that ride in each header: {size}."),
            "RFC 9293 §3.7.1 (MUST-16)",
        )?;
        stage.line(
            from,
            "P.",
            states,
            "The rest, at once: only an earlier short segment would make it wait (Nagle's rule as Minshall has it).",
            "RFC 9293 §3.7.4, A.3",
        )?;
        stage.line(
            from.other(),
            ".",
            states,
            "Two segments, one acknowledgment.",
            "RFC 9293 §3.8.6.3 (SHLD-18)",
        )?;
    }
    Ok(())
}

pub(super) const MSS_DEFAULT: Scenario = Scenario {
    name: "mss-default",
    title: "a peer that names no MSS gets segments of 536 bytes, over IPv6 1220",
    rfc: "RFC 9293 §3.7.1, MUST-15",
    about: "536 is 576 less 40: every IPv4 host can take a packet of 576 bytes; every IPv6 link carries 1280. The old host here is played by the script, packet \
            by packet, for tcpd itself always sends the option.",
    settings: &[],
    preset: &[],
    script: mss_default,
};

fn mss_default(stage: &mut Stage) -> Played {
    let ipv6 = stage.address(Left).is_ipv6();
    let old_host = match ipv6 {
        true => "fd00:7463:7064::9".parse(),
        false => "198.18.0.9".parse(),
    }
    .unwrap_or(stage.address(Left));
    let size: usize = if ipv6 { 1220 } else { 536 };
    let (mut seq, ack) = (SequenceNumber(100), SequenceNumber(0));
    let ports = (CLIENT_PORT, SERVER_PORT);
    let send = |stage: &mut Stage, flags, seq, ack| {
        let segment = Forged {
            flags,
            seq,
            ack,
            length: 0,
        };
        stage.forge_from(old_host, ports, "old host", Right, segment)
    };
    stage.listen(Right)?;
    send(stage, Flags::SYN, seq, ack)?;
    stage.right_line(
        Left,
        "S 100(0)",
        SynReceived,
        "A SYN without a single option, as in 1981.",
        "RFC 9293 §3.2",
    )?;
    stage.right_line(
        Right,
        "S. 300(0) ack 101 mss",
        SynReceived,
        "The answer has an MSS option all the same: it says what this side can take. Nothing else \
                is offered that the SYN did not offer.",
        "RFC 9293 §3.7.1 (SHLD-5)",
    )?;
    seq += 1;
    let iss = stage.last_iss(Right)?;
    send(stage, Flags::ACK, seq, iss + 1)?;
    stage.right_line(
        Left,
        ". 101(0) ack 301",
        Established,
        "The old host acknowledges.",
        "RFC 9293 §3.5",
    )?;
    let server = stage.accept(Right)?;
    stage.send(server, 2 * size + 100)?;

    for (index, text) in [
        "The default, as nothing was said, and no options to subtract.",
        "Another one of the same size.",
    ]
    .into_iter()
    .enumerate()
    {
        let line = format!(". {}({size}) ack 101", 301 + index * size);
        stage.right_line(Right, &line, Established, text, "RFC 9293 §3.7.1 (MUST-15)")?;
    }
    stage.right_line(Right, "P.", Established, "And the rest.", "RFC 9293 §3.7.4")?;
    let all = iss + 1 + 2 * size as u32 + 100;
    send(stage, Flags::ACK, seq, all)?;
    stage.right_line(
        Left,
        ".",
        Established,
        "Everything is acknowledged.",
        "RFC 9293 §3.8.6.3",
    )
}

pub(super) const FILLED_BUFFER_MISSING_FIRST: Scenario = Scenario {
    name: "filled-buffer-missing-first",
    title: "segments 2 to 6 fill the receive buffer, segment 1 comes last: it has its place",
    rfc: "RFC 9293 §3.10.7.4, seventh step; §3.8.6",
    about: "A receiver that counts out-of-order bytes against its window can promise space for segment 1 and then have none: it must throw segment 1 away, or reset. \
            tcpd stores bytes where they belong in the buffer, so the bytes that were promised are there, and the window's right edge never moves left.",
    settings: &[],
    preset: &[("receive_initial", "8KiB"), ("receive_max", "8KiB")],
    script: filled_buffer,
};

fn filled_buffer(stage: &mut Stage) -> Played {
    stage.listen_with(
        Right,
        ListenOptions {
            port: SERVER_PORT,
            connection: ConnectionOptions {
                nodelay: true,
                ..ConnectionOptions::default()
            },
            ..ListenOptions::default()
        },
    )?;
    let client = stage.connect(Left)?;
    stage.settle()?;
    let server = stage.accept(Right)?;
    stage.begin([Established, Established]);
    let window = stage
        .stack(Left)
        .status(client.id)
        .map_or(0, |status| status.rcv_wnd) as usize;
    // The first is as large as a segment can be, so that it is sent again as it was; the other five fill the rest.
    let first = stage
        .stack(Right)
        .status(server.id)
        .map_or(0, |status| status.mss_send) as usize;
    let states = (Established, Established);
    let fits = first < window && window - first <= 5 * first;
    stage.check(fits, "six segments fill the window")?;
    let pieces: Vec<usize> = (0..5).map(|index| (window - first + index) / 5).collect();
    stage.lose(Right, 1);
    stage.send(server, first)?;
    stage.lost(
        Right,
        &format!("P. 301({first}) ack 101"),
        Established,
        format!("Segment 1 of 6, and it is lost. The window is {window} bytes."),
        "RFC 9293 §3.8",
    )?;
    for piece in &pieces {
        stage.send(server, *piece)?;
    }
    let mut seq = 301 + first;
    for (number, piece) in (2..).zip(&pieces) {
        let text = match number {
            2 => "Segment 2 does not fit on what came before; its bytes go where they belong, behind the hole.".to_owned(),
            6 => "Segment 6: now the window is full to the last byte, except for the hole.".to_owned(),
            number => format!("Segment {number}."),
        };
        stage.line(
            Right,
            &format!("P. {seq}({piece}) ack 101"),
            states,
            text,
            "RFC 9293 §3.10.7.4, first step (SHLD-31)",
        )?;
        seq += piece;
    }
    let right_edge = |stage: &mut Stage| {
        stage
            .stack(Left)
            .status(client.id)
            .map(|status| status.rcv_adv)
    };
    let edge = right_edge(stage);
    for number in 2..=6 {
        let text = match number {
            2 => "At once a duplicate ACK: \"I still expect 301\". Its window says the same right edge as before.".to_owned(),
            _ => format!("Another one, for segment {number}."),
        };
        stage.line(Left, ". 101(0) ack 301", states, text, "RFC 5681 §4.2")?;
    }
    stage.line(Right, &format!(". 301({first}) ack 101"), states, "Three duplicate ACKs: segment 1 again, without waiting for a timeout. It is exactly what was missing, and its place is free.", "RFC 5681 §3.2")?;
    stage.line(Left, &format!(". 101(0) ack {} win 0", 301 + window), states, "All six at once: 301 to the end of the window. Nothing was thrown away, nothing reset. Nobody has read yet, so the window is zero, and its right edge \
                is where it was.", "RFC 9293 §3.10.7.4, seventh step")?;
    let same = right_edge(stage) == edge;
    stage.check(same, "the window's right edge has not moved left")?;
    let reading = stage.read(client)?;
    stage.check(reading == Reading::Bytes(window), "everything can be read")?;
    stage.say("The program reads all of it.", "RFC 9293 §3.10.3");
    stage.line(
        Left,
        &format!(". 101(0) ack {}", 301 + window),
        states,
        "And the window opens again.",
        "RFC 9293 §3.8.6.2.2",
    )
}
