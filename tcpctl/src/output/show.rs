//! One connection with everything a TCB holds (RFC 9293 §3.3.1), in groups:
//!
//! 1. what it is, and why it is where it is;
//! 2. the send and the receive sequence space, as figures 3 and 4 draw them;
//! 3. congestion control, round-trip time, timers;
//! 4. options, buffers, counts.

use libtcpclient::protocol::status::{
    CongestionStatus, ConnectionCounters, ConnectionStatus, ListenerRow, OptionsStatus, Owner,
    OwnerKind, RingsStatus, TcpState,
};

use super::human::{bytes, count, counted, duration, exact_bytes, harmless, percent};
use super::list::listening_at;
use super::ruler::{Area, Mark, draw};
use super::sheet::Sheet;
use super::users::Users;
use super::why;

#[cfg(test)]
mod tests;

/// A connection.
pub fn connection(status: &ConnectionStatus, users: &Users) -> String {
    let mut sheet = Sheet::new();
    identity(&mut sheet, status, users);
    send_space(&mut sheet, status);
    receive_space(&mut sheet, status);
    congestion(&mut sheet, status);
    round_trip(&mut sheet, status);
    timers(&mut sheet, status);
    options(&mut sheet, &status.options);
    rings(&mut sheet, &status.rings);
    counters(&mut sheet, status);
    sheet.finish()
}

/// A listener.
pub fn listener(row: &ListenerRow, users: &Users) -> String {
    let mut sheet = Sheet::new();
    sheet
        .group(&format!(
            "Listener {}  {}",
            harmless(&row.id),
            listening_at(row.local)
        ))
        .line("state", "LISTEN: it waits for connection requests")
        .line("owner", owner(&row.owner, users))
        .line(
            "waiting",
            format!(
                "{} of {} may wait to be accepted",
                count(row.queued.into()),
                count(row.backlog.into())
            ),
        )
        .line(
            "half-open",
            counted(row.half_open.into(), "handshake") + " not finished",
        )
        .line("accepted", count(row.accepted))
        .line("refused", count(row.refused));
    sheet.finish()
}

fn identity(sheet: &mut Sheet, status: &ConnectionStatus, users: &Users) {
    let row = &status.row;
    sheet
        .group(&format!(
            "Connection {}  {} <-> {}",
            harmless(&row.id),
            row.local,
            row.peer
        ))
        .line("state", format!("{}: {}", row.state, why::state(status)))
        .maybe("ended", status.end.as_deref().map(why::end))
        .line(
            "opened",
            if status.passive {
                "by the peer (passive OPEN)"
            } else {
                "by this side (active OPEN)"
            },
        )
        .line("owner", owner_of_connection(&row.owner, users))
        .line("age", duration(status.age_ms.saturating_mul(1_000)))
        .line("last received", ago(status.last_received_ms))
        .line("last sent", ago(status.last_sent_ms))
        .line(
            "our side",
            if status.send_closed {
                "closed: nothing more will be written"
            } else {
                "open"
            },
        )
        .line(
            "the peer's side",
            if status.peer_closed {
                "closed: its FIN is in"
            } else {
                "open"
            },
        )
        .line(
            "sending",
            status.not_sending.as_deref().map_or_else(
                || "yes".to_owned(),
                |word| format!("no: {}", why::not_sending(word)),
            ),
        );
}

/// A connection of a service waits in the backlog until a worker has it.
fn owner_of_connection(row: &Owner, users: &Users) -> String {
    match (row.kind, row.pid) {
        (OwnerKind::Service, None) => owner(row, users) + ", no worker yet",
        _ => owner(row, users),
    }
}

fn owner(owner: &Owner, users: &Users) -> String {
    let program = owner
        .program
        .as_deref()
        .filter(|name| !name.is_empty())
        .map(harmless);
    let mut parts = Vec::new();
    match owner.kind {
        OwnerKind::Client => parts
            .push(program.map_or_else(|| "a program".to_owned(), |name| format!("program {name}"))),
        OwnerKind::Service => {
            parts.push(format!(
                "service {}",
                owner
                    .service
                    .as_deref()
                    .map(harmless)
                    .or(program)
                    .unwrap_or_default()
            ));
        }
        OwnerKind::Orphan => {
            return "none any more: the program closed it, tcpd finishes it".to_owned();
        }
        OwnerKind::None => return "none".to_owned(),
    }
    let of_worker = if owner.kind == OwnerKind::Service {
        "worker"
    } else {
        "pid"
    };
    parts.extend(owner.pid.map(|pid| format!("{of_worker} {pid}")));
    parts.extend(
        owner
            .uid
            .map(|uid| format!("user {}", harmless(&users.name(uid)))),
    );
    parts.extend(owner.session.map(|session| format!("session {session}")));
    parts.join(", ")
}

fn ago(millis: Option<u64>) -> String {
    match millis {
        Some(millis) => format!("{} ago", duration(millis.saturating_mul(1_000))),
        None => "never".to_owned(),
    }
}

/// Figure 3, then the variables that do not stand on the ruler.
fn send_space(sheet: &mut Sheet, status: &ConnectionStatus) {
    let snd = &status.snd;
    let in_flight = u64::from(snd.nxt.wrapping_sub(snd.una));
    let marks = [
        Mark::new("SND.UNA", snd.una),
        Mark::new("SND.NXT", snd.nxt),
        Mark::plus(
            "SND.UNA",
            "+SND.WND",
            snd.una.wrapping_add(snd.wnd_bytes as u32),
        ),
    ];
    let areas = [
        Area::new(exact_bytes(status.counters.bytes_out), "acknowledged"),
        Area::new(
            exact_bytes(in_flight),
            format!("sent, not yet acknowledged{}", our_syn(status)),
        ),
        usable_window(status, in_flight),
        Area::new("", "not yet allowed"),
    ];
    sheet
        .group("Send sequence space (RFC 9293 figure 3)")
        .text(&draw(&marks, &areas))
        .text("\n");
    let largest = exact_bytes(snd.max_wnd_bytes);
    sheet.line(
        "SND.WND",
        format!(
            "{} (the largest so far: {largest})",
            exact_bytes(snd.wnd_bytes)
        ),
    );
    if status.row.state != TcpState::TimeWait {
        sheet
            .line("SND.WL1, SND.WL2", format!("{}, {}", snd.wl1, snd.wl2))
            .line("SND.UP", snd.up.to_string())
            .line("ISS", snd.iss.to_string());
    }
}

/// SYN takes a sequence number, which looks like a byte here.
fn our_syn(status: &ConnectionStatus) -> &'static str {
    match status.row.state {
        TcpState::SynSent | TcpState::SynReceived => " (our SYN)",
        _ => "",
    }
}

/// The third area: what the peer's window leaves, and what waits to use it.
fn usable_window(status: &ConnectionStatus, in_flight: u64) -> Area {
    let snd = &status.snd;
    match (
        snd.wnd_bytes.checked_sub(in_flight),
        status.rings.transmit_unsent_bytes,
    ) {
        (Some(usable), 0) => Area::new(exact_bytes(usable), "may be sent now"),
        (Some(usable), unsent) => Area::new(
            exact_bytes(usable),
            format!("may be sent now; {} wait in the ring", exact_bytes(unsent)),
        ),
        (None, _) if snd.max_wnd_bytes == 0 => Area::new(
            exact_bytes(0),
            "may be sent now: the peer has not said its window",
        ),
        (None, _) => {
            let beyond = exact_bytes(in_flight - snd.wnd_bytes);
            Area::new(
                exact_bytes(0),
                format!("may be sent now: the peer took back {beyond}"),
            )
        }
    }
}

/// Figure 4, then the variables that do not stand on the ruler.
fn receive_space(sheet: &mut Sheet, status: &ConnectionStatus) {
    sheet.group("Receive sequence space (RFC 9293 figure 4)");
    let Some(rcv) = &status.rcv else {
        sheet.line("RCV.NXT", "not known before the peer's SYN");
        return;
    };
    let rings = &status.rings;
    let unread = match rings.receive_unread_bytes {
        0 => String::new(),
        unread => format!("; {} not yet read by the program", exact_bytes(unread)),
    };
    let holes = match rings.out_of_order_ranges {
        0 => String::new(),
        ranges => format!(
            "; {} beyond a hole, in {}",
            exact_bytes(rings.out_of_order_bytes),
            counted(ranges.into(), "range")
        ),
    };
    let marks = [
        Mark::new("RCV.NXT", rcv.nxt),
        Mark::plus(
            "RCV.NXT",
            "+RCV.WND",
            rcv.nxt.wrapping_add(rcv.wnd_bytes as u32),
        ),
    ];
    let areas = [
        Area::new(
            exact_bytes(status.counters.bytes_in),
            format!("received in order{unread}"),
        ),
        Area::new(
            exact_bytes(rcv.wnd_bytes),
            format!("may be received{holes}"),
        ),
        Area::new("", "not yet allowed"),
    ];
    sheet.text(&draw(&marks, &areas)).text("\n");
    sheet
        .line("RCV.WND", exact_bytes(rcv.wnd_bytes))
        .line("announced up to", rcv.adv.to_string());
    if status.row.state != TcpState::TimeWait {
        sheet
            .line("RCV.UP", rcv.up.to_string())
            .line("IRS", rcv.irs.to_string());
    }
}

fn congestion(sheet: &mut Sheet, status: &ConnectionStatus) {
    let congestion = &status.congestion;
    if *congestion == CongestionStatus::default() {
        return;
    }
    let segment = u64::from(status.options.mss_send_bytes);
    let segments = |of: u64| {
        of.checked_div(segment)
            .map_or_else(String::new, |n| format!(" ({})", counted(n, "segment")))
    };
    sheet
        .group("Congestion control (RFC 5681)")
        .line(
            "algorithm",
            format!(
                "{}, {}",
                harmless(&congestion.algorithm),
                harmless(&congestion.phase)
            ),
        )
        .line(
            "cwnd",
            exact_bytes(congestion.cwnd_bytes) + &segments(congestion.cwnd_bytes),
        )
        .line(
            "ssthresh",
            congestion
                .ssthresh_bytes
                .map_or_else(|| "none before the first loss".to_owned(), exact_bytes),
        )
        .line(
            "in flight",
            exact_bytes(congestion.in_flight_bytes) + &segments(congestion.in_flight_bytes),
        )
        .line(
            "duplicate ACKs",
            format!("{} in a row", congestion.duplicate_acks),
        );
}

fn round_trip(sheet: &mut Sheet, status: &ConnectionStatus) {
    let rtt = &status.rtt;
    if rtt.rto_us == 0 && rtt.srtt_us.is_none() {
        return;
    }
    let measured =
        |micros: Option<u64>| micros.map_or_else(|| "not measured yet".to_owned(), duration);
    let backoff = match rtt.backoff {
        0 => String::new(),
        1 => ", doubled once".to_owned(),
        times => format!(", doubled {times} times"),
    };
    sheet
        .group("Round-trip time (RFC 6298)")
        .line("SRTT", measured(rtt.srtt_us))
        .line("RTTVAR", measured(rtt.rttvar_us))
        .maybe("smallest", rtt.min_us.map(duration))
        .maybe("latest", rtt.latest_us.map(duration))
        .line("RTO", duration(rtt.rto_us) + &backoff);
}

fn timers(sheet: &mut Sheet, status: &ConnectionStatus) {
    sheet.group("Timers");
    if status.timers.is_empty() {
        sheet.line(
            "none",
            "it waits for the peer or the program, without a limit",
        );
    }
    for timer in &status.timers {
        let left = match timer.left_ms {
            0 => "now".to_owned(),
            left => format!("in {}", duration(left.saturating_mul(1_000))),
        };
        sheet.line(
            &harmless(&timer.name),
            format!("{left:<16}{}", why::timer(&timer.name)),
        );
    }
}

fn options(sheet: &mut Sheet, options: &OptionsStatus) {
    if *options == OptionsStatus::default() {
        return;
    }
    let on = |on: bool| if on { "yes" } else { "no" };
    let scale = |shift: Option<u8>| {
        shift.map_or_else(
            || "not negotiated".to_owned(),
            |shift| format!("{shift} (x {})", count(1 << shift.min(63))),
        )
    };
    let keepalive = match (
        options.keepalive_idle_s,
        options.keepalive_interval_s,
        options.keepalive_count,
    ) {
        (Some(idle), Some(interval), Some(probes)) => {
            let span = |seconds: u32| duration(u64::from(seconds) * 1_000_000);
            format!(
                "after {} of silence, then every {}, {}",
                span(idle),
                span(interval),
                counted(probes.into(), "time")
            )
        }
        _ => "off".to_owned(),
    };
    sheet
        .group("Options")
        .line("MSS, sending", bytes(options.mss_send_bytes.into()))
        .line("MSS, receiving", bytes(options.mss_receive_bytes.into()))
        .maybe(
            "path MTU",
            options.path_mtu_bytes.map(|mtu| bytes(mtu.into())),
        )
        .line("Snd.Wind.Shift", scale(options.window_scale_send))
        .line("Rcv.Wind.Shift", scale(options.window_scale_receive))
        .line("timestamps", on(options.timestamps))
        .line("SACK", on(options.sack))
        .line(
            "Nagle",
            if options.nodelay {
                "off (nodelay)"
            } else {
                "on"
            },
        )
        .line("keepalive", keepalive)
        .line(
            "user timeout",
            options.user_timeout_ms.map_or_else(
                || "the daemon's".to_owned(),
                |millis| duration(millis.saturating_mul(1_000)),
            ),
        );
}

fn rings(sheet: &mut Sheet, rings: &RingsStatus) {
    if *rings == RingsStatus::default() {
        return;
    }
    let capacity = |used: u64, capacity: u32, maximum: u32| {
        format!(
            "{} of {} used ({}), may grow to {}",
            bytes(used),
            bytes(capacity.into()),
            percent(used, capacity.into()),
            bytes(maximum.into())
        )
    };
    sheet
        .group("Rings")
        .line(
            "transmit",
            capacity(
                rings.transmit_used_bytes,
                rings.transmit_capacity_bytes,
                rings.transmit_maximum_bytes,
            ),
        )
        .line("  never sent", bytes(rings.transmit_unsent_bytes))
        .line(
            "receive",
            capacity(
                rings.receive_unread_bytes,
                rings.receive_capacity_bytes,
                rings.receive_maximum_bytes,
            ),
        )
        .line(
            "  beyond a hole",
            format!(
                "{}, in {}",
                bytes(rings.out_of_order_bytes),
                counted(rings.out_of_order_ranges.into(), "range")
            ),
        );
}

fn counters(sheet: &mut Sheet, status: &ConnectionStatus) {
    let counters = &status.counters;
    if *counters == ConnectionCounters::default() {
        return;
    }
    let again = format!(
        "{}, {} ({} of what was sent)",
        counted(counters.retransmitted_segments, "segment"),
        bytes(counters.retransmitted_bytes),
        percent(counters.retransmitted_segments, counters.segments_out),
    );
    sheet
        .group("Counts")
        .line(
            "received",
            format!(
                "{}, {} in order",
                counted(counters.segments_in, "segment"),
                bytes(counters.bytes_in)
            ),
        )
        .line(
            "sent",
            format!(
                "{}, {} acknowledged",
                counted(counters.segments_out, "segment"),
                bytes(counters.bytes_out)
            ),
        )
        .line("sent again", again)
        .line("timeouts", count(counters.timeouts))
        .line("fast retransmits", count(counters.fast_retransmits))
        .line("duplicate ACKs in", count(counters.duplicate_acks_in))
        .line("out of order in", count(counters.out_of_order_in))
        .line("zero-window probes", count(counters.zero_window_probes))
        .line("keepalive probes", count(counters.keepalive_probes))
        .line("challenge ACKs", count(counters.challenge_acks));
    if counters.dropped.is_empty() {
        sheet.line("dropped", "none");
    }
    for (reason, times) in &counters.dropped {
        sheet.line("dropped", format!("{} {}", count(*times), harmless(reason)));
    }
}
