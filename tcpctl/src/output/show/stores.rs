//! What was agreed on, what is held, and what happened so far.

use libtcpclient::protocol::status::{
    ConnectionCounters, ConnectionStatus, OptionsStatus, RingsStatus,
};

use crate::output::human::{bytes, count, counted, duration, harmless, percent};
use crate::output::sheet::Sheet;

pub(super) fn options(sheet: &mut Sheet, options: &OptionsStatus) {
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
        )
        .maybe(
            "the peer's",
            options
                .peer_user_timeout_ms
                .map(|millis| duration(millis.saturating_mul(1_000)) + ", of no effect here"),
        )
        .line(
            "idle timeout",
            options.idle_timeout_ms.map_or_else(
                || "off".to_owned(),
                |millis| duration(millis.saturating_mul(1_000)),
            ),
        )
        .maybe(
            "codepoint",
            (options.dscp != 0).then(|| options.dscp.to_string()),
        );
}

pub(super) fn rings(sheet: &mut Sheet, rings: &RingsStatus) {
    if *rings == RingsStatus::default() {
        return;
    }
    let capacity = |used: u64, capacity: u32, wanted: u32, maximum: u32| {
        let wants = match wanted > capacity {
            true => format!(", wants {}", bytes(wanted.into())),
            false => String::new(),
        };
        format!(
            "{} of {} used ({}){wants}, may grow to {}",
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
                rings.transmit_wanted_bytes,
                rings.transmit_maximum_bytes,
            ),
        )
        .line("  never sent", bytes(rings.transmit_unsent_bytes))
        .line(
            "receive",
            capacity(
                rings.receive_unread_bytes,
                rings.receive_capacity_bytes,
                rings.receive_wanted_bytes,
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

pub(super) fn counters(sheet: &mut Sheet, status: &ConnectionStatus) {
    let Some(counters) = &status.counters else {
        return;
    };
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
        .line("lost", lost(counters));
    // What did not happen on this connection is not worth a line each.
    let rare = [
        ("tail loss probes", counters.tail_loss_probes),
        ("D-SACKs in", counters.duplicate_sacks_in),
        ("reductions undone", counters.undone_reductions),
        ("duplicate ACKs in", counters.duplicate_acks_in),
        ("out of order in", counters.out_of_order_in),
        ("zero-window probes", counters.zero_window_probes),
        ("keepalive probes", counters.keepalive_probes),
        ("challenge ACKs", counters.challenge_acks),
    ];
    for (name, times) in rare {
        sheet.maybe(name, (times > 0).then(|| count(times)));
    }
    for (reason, times) in &counters.dropped {
        sheet.line("dropped", format!("{} {}", count(*times), harmless(reason)));
    }
}

/// What was declared lost, and how much of it without reason.
fn lost(counters: &ConnectionCounters) -> String {
    counted(counters.lost_segments, "segment")
        + &match counters.spurious_segments {
            0 => String::new(),
            spurious => format!(", {} of them arrived after all", count(spurious)),
        }
}
