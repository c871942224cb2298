//! What the connection knows about its path, and what it waits for.

use libtcpclient::protocol::status::{CongestionStatus, ConnectionStatus};

use crate::output::human::{counted, duration, exact_bytes, harmless};
use crate::output::sheet::Sheet;
use crate::output::why;

pub(super) fn congestion(sheet: &mut Sheet, status: &ConnectionStatus) {
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

pub(super) fn round_trip(sheet: &mut Sheet, status: &ConnectionStatus) {
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

pub(super) fn timers(sheet: &mut Sheet, status: &ConnectionStatus) {
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
