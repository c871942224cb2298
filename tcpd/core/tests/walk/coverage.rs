//! What all walks together have come through: a walk that goes nowhere finds nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use tcpd_core::stack::State;

static ARROWS: [[AtomicU64; State::COUNT]; State::COUNT] =
    [const { [const { AtomicU64::new(0) }; State::COUNT] }; State::COUNT];
/// Bytes read by users.
static BYTES: AtomicU64 = AtomicU64::new(0);
/// Ends of stream read by users.
static ENDS: AtomicU64 = AtomicU64::new(0);

/// Arrows of figure 5 that this stack does not use: a listener does not become an active open (§3.10.1 would allow it), FIN with the ACK
/// of ours leads through FIN-WAIT-2, and a reopened pair begins in LISTEN.
const NEVER: [(State, State); 3] = [
    (State::Listen, State::SynSent),
    (State::FinWait1, State::TimeWait),
    (State::TimeWait, State::SynReceived),
];

pub(crate) fn arrow(from: State, to: State) {
    ARROWS[from.index()][to.index()].fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn read(bytes: usize) {
    BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
}

pub(crate) fn read_the_end() {
    ENDS.fetch_add(1, Ordering::Relaxed);
}

/// What is missing of what `walks` walks must come through; nothing is asked of a few.
pub(crate) fn missing(walks: u64) -> Vec<String> {
    let mut missing = Vec::new();
    for (from, to) in tcpd_core::tcp::endpoint::ARROWS {
        let count = ARROWS[from.index()][to.index()].load(Ordering::Relaxed);
        if count == 0 && !NEVER.contains(&(from, to)) {
            missing.push(format!("{from} to {to}"));
        }
    }
    let (bytes, ends) = (BYTES.load(Ordering::Relaxed), ENDS.load(Ordering::Relaxed));
    if bytes < 100 * walks || ends < walks / 4 {
        missing.push(format!("{bytes} bytes and {ends} ends of stream were read"));
    }
    missing
}

/// A line an arrow, for a look.
pub(crate) fn table() -> String {
    let mut text = String::new();
    for from in State::ALL {
        for to in State::ALL {
            let count = ARROWS[from.index()][to.index()].load(Ordering::Relaxed);
            if count > 0 {
                text += &format!("{count:8} {from} to {to}\n");
            }
        }
    }
    let (bytes, ends) = (BYTES.load(Ordering::Relaxed), ENDS.load(Ordering::Relaxed));
    text + &format!("{bytes:8} bytes, {ends} ends of stream\n")
}
