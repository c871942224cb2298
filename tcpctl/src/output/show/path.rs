//! What the connection knows about its path, and what it waits for.

use libtcpclient::protocol::status::{CongestionStatus, ConnectionStatus, EcnStatus};

use crate::output::human::{bytes, count, counted, duration, exact_bytes, harmless};
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
            "in flight (pipe)",
            exact_bytes(congestion.in_flight_bytes) + &segments(congestion.in_flight_bytes),
        )
        .line(
            "delivery rate",
            rate(congestion.delivery_rate_bytes_per_s, "not measured yet"),
        )
        .line(
            "pacing rate",
            rate(congestion.pacing_rate_bytes_per_s, "not paced"),
        )
        .line("reordering", reordering(congestion))
        .line(
            "duplicate ACKs",
            format!("{} in a row", congestion.duplicate_acks),
        );
}

fn rate(bytes_per_second: Option<u64>, none: &str) -> String {
    bytes_per_second.map_or_else(|| none.to_owned(), |rate| bytes(rate) + "/s")
}

/// RFC 8985 §6.2: how long a segment may be overtaken before it counts as lost.
fn reordering(congestion: &CongestionStatus) -> String {
    let seen = match congestion.reordering_seen {
        true => "seen",
        false => "none seen",
    };
    let window = congestion.reordering_window_us.map(|micros| {
        let window = duration(micros);
        format!("; a segment may be overtaken by {window} before it counts as lost")
    });
    seen.to_owned() + &window.unwrap_or_default()
}

/// RFC 3168: whether marks of congestion are understood, and what came of them.
pub(super) fn ecn(sheet: &mut Sheet, status: &ConnectionStatus) {
    let ecn = &status.ecn;
    if *ecn == EcnStatus::default() {
        return;
    }
    sheet
        .group("Explicit congestion notification (RFC 3168)")
        .line("state", harmless(&ecn.state))
        .line("marks received", counted(ecn.ce_in, "packet"))
        .line("echoes received", counted(ecn.ece_in, "segment"))
        .line("reductions", count(ecn.reductions));
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
        .maybe("as the receiver", rtt.receiver_us.map(duration))
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
