//! The send and the receive sequence space, drawn as RFC 9293 draws them in figures 3 and 4.

use libtcpclient::protocol::status::{ConnectionCounters, ConnectionStatus, TcpState};

use crate::output::human::{counted, exact_bytes};
use crate::output::ruler::{Area, Mark, draw};
use crate::output::sheet::Sheet;

/// Figure 3, then the variables that do not stand on the ruler.
pub(super) fn send_space(sheet: &mut Sheet, status: &ConnectionStatus) {
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
        Area::new(
            counted_bytes(status, |counters| counters.bytes_out),
            "acknowledged",
        ),
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
pub(super) fn receive_space(sheet: &mut Sheet, status: &ConnectionStatus) {
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
            counted_bytes(status, |counters| counters.bytes_in),
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

/// Bytes that the connection counts, or nothing where it does not count.
fn counted_bytes(status: &ConnectionStatus, of: impl Fn(&ConnectionCounters) -> u64) -> String {
    let counters = status.counters.as_ref();
    counters.map_or_else(String::new, |counters| exact_bytes(of(counters)))
}
