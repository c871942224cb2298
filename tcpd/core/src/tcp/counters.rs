//! What a stack counts: one definition a counter, for tcpctl, JSON and the log alike.
//!
//! Every packet that comes in is counted once under `segments_in`, and once more under `segments_accepted` or a
//! [`DropReason`].

use crate::tcp::drop_reason::DropReason;
use crate::tcp::endpoint::{ARROWS, State};

macro_rules! counters {
    ($($(#[doc = $help:literal])+ $name:ident,)+) => {
        /// Counters since the start. All only grow.
        #[derive(Clone, Debug)]
        pub struct Counters {
            $($(#[doc = $help])+ pub $name: u64,)+
            dropped: [u64; DropReason::COUNT],
            transitions: [[u64; State::COUNT]; State::COUNT],
        }

        impl Counters {
            pub(crate) fn new() -> Self {
                Self {
                    $($name: 0,)+
                    dropped: [0; DropReason::COUNT],
                    transitions: [[0; State::COUNT]; State::COUNT],
                }
            }

            fn each_named(&self, f: &mut impl FnMut(&'static str, &'static str, u64)) {
                $(f(stringify!($name), concat!($($help),+), self.$name);)+
            }
        }
    };
}

counters! {
    /// Packets handed to the stack, by the device or by itself.
    segments_in,
    /// Packets that were taken in; the rest was dropped for a reason.
    segments_accepted,
    /// Packets and super-segments handed out.
    segments_out,
    /// Bytes of IP packets in.
    bytes_in,
    /// Bytes of IP packets out.
    bytes_out,
    /// ICMP messages taken in.
    icmp_in,
    /// ICMP messages sent.
    icmp_out,
    /// Active opens.
    active_opens,
    /// SYNs that made a half-open entry.
    passive_opens,
    /// Connections that reached ESTABLISHED.
    established,
    /// Active opens that failed.
    failed_opens,
    /// Half-open entries given up: no answer to SYN-ACK.
    half_open_timeouts,
    /// Half-open entries that made way for newer ones.
    half_open_evicted,
    /// SYNs answered with a cookie, without an entry (RFC 4987).
    syn_cookies_sent,
    /// Connections made from a cookie that came back.
    syn_cookies_accepted,
    /// ACKs to a listener that bring no valid cookie back, while some are about.
    syn_cookies_refused,
    /// TIME-WAIT entries that made way for newer ones.
    time_wait_evicted,
    /// TIME-WAIT entries reopened by a new SYN (RFC 6191).
    time_wait_reopened,
    /// TIME-WAIT pairs that a local connect took over.
    time_wait_reused,
    /// RSTs that ended a connection.
    resets_in,
    /// RSTs sent.
    resets_out,
    /// Challenge ACKs sent (RFC 5961).
    challenge_acks,
    /// Challenge ACKs held back by their limiter.
    challenge_acks_limited,
    /// Segments sent again.
    retransmissions,
    /// Retransmission timeouts.
    timeouts,
    /// Connections whose retransmissions reached R1.
    paths_suspected,
    /// Fast recoveries.
    fast_retransmits,
    /// Bytes found to be lost.
    bytes_lost,
    /// Tail loss probes sent (RFC 8985).
    tail_loss_probes,
    /// Reductions of the window undone: what was taken for lost was late (RFC 3522, RFC 3708, RFC 5682).
    spurious_reductions,
    /// Duplicate SACKs received (RFC 2883).
    dsacks_in,
    /// SACK blocks that made no sense: turned round, empty, or beyond what was sent.
    sack_blocks_refused,
    /// Times that a peer threw away what it had SACKed (RFC 2018).
    sack_reneged,
    /// Duplicate acknowledgments received.
    duplicate_acks_in,
    /// Zero-window probes sent.
    zero_window_probes,
    /// Keepalive probes sent.
    keep_alive_probes,
    /// Connections without a user given up because there were too many of them, the oldest first.
    orphans_reset,
    /// Segments of their own (RST, ACK of TIME-WAIT, SYN-ACK with a cookie) lost because too many were waiting.
    replies_lost,
    /// Connections established with ECN (RFC 3168).
    ecn_connections,
    /// SYNs sent again without ECN: one with it was not answered, or with RST.
    ecn_withdrawn,
    /// Segments with text that a router had marked (CE).
    ce_in,
    /// Acknowledgments that echo a mark (ECE).
    ece_in,
    /// Reductions of a congestion window for ECE.
    ecn_reductions,
    /// Packets the stack sent to itself.
    loopback_packets,
    /// Changes of state that RFC 9293 figure 5 does not know: each is a bug.
    forbidden_transitions,
    /// Datagrams put together from fragments.
    datagrams_reassembled,
    /// Datagrams of which fragments were missing when their time was over.
    reassembly_timeouts,
    /// Datagrams not yet whole that made way for newer ones.
    reassembly_evicted,
    /// Probes for a larger path MTU sent (RFC 4821).
    path_mtu_probes,
    /// Those of them that were lost.
    path_mtu_probes_lost,
    /// Those that got through, and raised the MSS of a connection.
    path_mtu_raised,
    /// Paths on which large packets vanished without a word (RFC 2923), as connections had to assume.
    path_mtu_black_holes,
    /// Packet-too-big messages that lowered the MSS of a connection.
    path_mtu_lowered,
}

impl Counters {
    /// Calls `f` with name, explanation and value of every counter: first the named ones, then every [`DropReason`] under
    /// its own name, then every arrow of figure 5 as `FROM>TO`.
    pub fn each(&self, mut f: impl FnMut(&'static str, &'static str, u64)) {
        self.each_named(&mut f);
        for &reason in DropReason::ALL {
            f(reason.name(), reason.help(), self.dropped(reason));
        }
        for (index, &(from, to)) in ARROWS.iter().enumerate() {
            f(
                TRANSITION_NAMES[index],
                "Transitions along this arrow of RFC 9293 figure 5.",
                self.transitions(from, to),
            );
        }
    }

    /// Packets dropped for `reason`.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Packets dropped for any reason.
    #[must_use]
    pub fn dropped_in_all(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// How often a connection went from `from` to `to`.
    #[must_use]
    pub fn transitions(&self, from: State, to: State) -> u64 {
        self.transitions[from.index()][to.index()]
    }

    pub(crate) fn drop(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }

    pub(crate) fn transition(&mut self, from: State, to: State) {
        self.transitions[from.index()][to.index()] += 1;
    }
}

/// `FROM>TO` for each of [`ARROWS`], in its order.
const TRANSITION_NAMES: [&str; ARROWS.len()] = [
    "CLOSED>LISTEN",
    "CLOSED>SYN-SENT",
    "LISTEN>SYN-SENT",
    "LISTEN>SYN-RECEIVED",
    "LISTEN>CLOSED",
    "SYN-SENT>SYN-RECEIVED",
    "SYN-SENT>ESTABLISHED",
    "SYN-SENT>CLOSED",
    "SYN-RECEIVED>ESTABLISHED",
    "SYN-RECEIVED>FIN-WAIT-1",
    "SYN-RECEIVED>LISTEN",
    "SYN-RECEIVED>CLOSED",
    "ESTABLISHED>FIN-WAIT-1",
    "ESTABLISHED>CLOSE-WAIT",
    "ESTABLISHED>CLOSED",
    "FIN-WAIT-1>FIN-WAIT-2",
    "FIN-WAIT-1>CLOSING",
    "FIN-WAIT-1>TIME-WAIT",
    "FIN-WAIT-1>CLOSED",
    "FIN-WAIT-2>TIME-WAIT",
    "FIN-WAIT-2>CLOSED",
    "CLOSE-WAIT>LAST-ACK",
    "CLOSE-WAIT>CLOSED",
    "CLOSING>TIME-WAIT",
    "CLOSING>CLOSED",
    "LAST-ACK>CLOSED",
    "TIME-WAIT>CLOSED",
    "TIME-WAIT>SYN-RECEIVED",
];

#[cfg(test)]
mod tests {
    use super::{Counters, TRANSITION_NAMES};
    use crate::tcp::endpoint::ARROWS;

    #[test]
    fn every_counter_has_a_name_of_its_own_and_a_sentence() {
        let mut names = Vec::new();
        Counters::new().each(|name, help, _| {
            assert!(help.trim().ends_with('.'), "{name}");
            names.push(name);
        });
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn arrows_are_named_after_their_states() {
        for (name, (from, to)) in TRANSITION_NAMES.iter().zip(ARROWS) {
            assert_eq!(*name, format!("{from}>{to}"));
        }
    }
}
