//! Every scenario, in the order of a connection's life.

use super::{Scenario, attacks, closing, failures, fsm, opening, sizes, time_wait, tour};

/// All of them.
pub(super) const ALL: &[Scenario] = &[
    opening::THREE_WAY_HANDSHAKE,
    opening::HANDSHAKE_WITH_LOSSES,
    opening::OLD_DUPLICATE_SYN,
    opening::ISN_OVER_TIME,
    opening::SIMULTANEOUS_OPEN,
    sizes::MSS_NEGOTIATION,
    sizes::MSS_DEFAULT,
    sizes::FILLED_BUFFER_MISSING_FIRST,
    closing::FOUR_WAY_CLOSE,
    closing::FIN_ACK_MERGED,
    closing::HALF_CLOSE,
    closing::SIMULTANEOUS_CLOSE,
    closing::FIN_WAIT_2_FOREVER,
    closing::FIN_WAIT_2_ORPHAN,
    time_wait::TIME_WAIT,
    time_wait::TIME_WAIT_DUPLICATE_FIN,
    time_wait::TIME_WAIT_PORT_IN_USE,
    time_wait::TIME_WAIT_ASSASSINATION,
    time_wait::TIME_WAIT_REUSE,
    failures::HALF_OPEN_PEER_RESTARTS,
    failures::HALF_OPEN_PEER_SILENT,
    failures::KEEPALIVE,
    failures::APPLICATION_IDLE_TIMEOUT,
    failures::RST_CLOSED_PORT,
    failures::ABORTIVE_RELEASE,
    failures::CLOSE_WITH_UNREAD_DATA,
    attacks::RST_ATTACK,
    attacks::SYN_FLOOD_COOKIES,
    tour::ALL_STATES,
];

/// A line each.
pub(super) fn list() -> String {
    let width = ALL.iter().map(|scenario| scenario.name.len()).max();
    let width = width.unwrap_or(0);
    let mut text = String::from("Scenarios, for tcpd scenario NAME:\n");
    for Scenario { name, title, .. } in ALL {
        text += &format!("  {name:<width$}  {title}\n");
    }
    let name = fsm::NAME;
    text += &format!("  {name:<width$}  the state diagram; --svg FILE draws it\n");
    text += "\nEach can be drawn (--svg FILE, --fsm FILE), written for Wireshark (--pcap FILE), varied (--set KEY=VALUE) and played over IPv6 (--ipv6).\n";
    text
}
