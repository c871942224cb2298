//! Why a connection is where it is, in sentences: its state, what it waits for, why it sends nothing, why it ended.

use libtcpclient::protocol::EndReason;
use libtcpclient::protocol::status::{ConnectionStatus, TcpState};

use super::human::{bytes, harmless};

/// What the state means for this connection (RFC 9293 §3.3.2).
pub fn state(status: &ConnectionStatus) -> String {
    match status.row.state {
        TcpState::Closed => "it has ended; the program that holds it has not closed it yet".to_owned(),
        TcpState::Listen => "it waits for connection requests".to_owned(),
        TcpState::SynSent => "our SYN went out; the peer has not answered it".to_owned(),
        TcpState::SynReceived if status.passive == Some(true) => "the peer's SYN is answered; its ACK of our SYN is missing".to_owned(),
        TcpState::SynReceived => "both sides sent SYN at the same time; the peer's ACK of ours is missing".to_owned(),
        TcpState::Established => "open in both directions".to_owned(),
        TcpState::FinWait1 => format!("we closed first; {}", fin_not_acknowledged(status)),
        TcpState::FinWait2 => "we closed first and the peer acknowledged it; it has not closed its side, and may still send".to_owned(),
        TcpState::CloseWait => "the peer closed its side; the program here has not closed, and may still send".to_owned(),
        TcpState::Closing => format!("both sides closed at the same time; {}", fin_not_acknowledged(status)),
        TcpState::LastAck => format!("the peer closed first, then we; {}", fin_not_acknowledged(status)),
        TcpState::TimeWait => "both sides closed; it stays 2 MSL, until no old segment can be under way any more".to_owned(),
    }
}

fn fin_not_acknowledged(status: &ConnectionStatus) -> String {
    match status.rings.transmit_used_bytes {
        0 => "our FIN is not yet acknowledged".to_owned(),
        queued => format!(
            "our FIN goes after {} that are not yet acknowledged",
            bytes(queued)
        ),
    }
}

/// What happens when a timer fires, by the core's name for it.
pub fn timer(name: &str) -> &'static str {
    match name {
        "handshake" => "then SYN is sent again, or the attempt is given up",
        "retransmission" => "then the segment at SND.UNA is sent again",
        "zero-window" => "then one segment probes the peer's window",
        "delayed-ack" => "then what came is acknowledged, if no other segment did",
        "keep-alive" => "then a probe asks whether the peer is still there",
        "challenge-ack" => "then a segment that proved nothing is answered (RFC 5961)",
        "user" => "then the connection is given up",
        "idle" => "then the connection is aborted, if no data has moved",
        "orphan" => "then it is given up: no program holds it any more",
        "time-wait" => "then it is forgotten",
        _ => "",
    }
}

/// Whether something is being sent, and if not, what limits it: the daemon's word as a sentence.
pub fn sending(status: &ConnectionStatus) -> String {
    status.not_sending.as_deref().map_or_else(
        || "yes".to_owned(),
        |word| format!("no: {}", not_sending(word)),
    )
}

/// A word for why nothing is sent, as a sentence.
fn not_sending(word: &str) -> String {
    let sentence = match word {
        "nothing-to-send" => "nothing is waiting to be sent",
        "acknowledgment" => "all is sent, and waits for its acknowledgment",
        "send-ring" => {
            "all is sent and fills the transmit ring; the program can write no more before an acknowledgment"
        }
        "zero-window" => "the peer's window is closed",
        "peer-window" => "the peer's window is full",
        "congestion-window" => "the congestion window is full",
        "recovery" => "loss recovery lets out as much as is delivered (RFC 9937)",
        "pacing" => "the pacer has not released the next segment yet",
        "nagle" => "a small segment waits for the acknowledgment of the one before it (Nagle)",
        "silly-window" => "the peer's window has too little room for a segment worth sending",
        "handshake" => "the handshake is not finished",
        "closed" => "this side is closed, and nothing is left to send",
        other => return harmless(other),
    };
    sentence.to_owned()
}

/// Why it ended, by the protocol's word.
pub fn end(word: &str) -> String {
    let known = EndReason::ALL.iter().find(|reason| reason.name() == word);
    known.map_or_else(|| harmless(word), |reason| reason.sentence().to_owned())
}
