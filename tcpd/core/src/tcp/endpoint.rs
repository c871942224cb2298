//! What a connection is, in its five shapes.
//!
//! RFC 9293 §3.10.7 has four subsections, so: CLOSED is absence, a listener, a [`syn_sent::SynSent`], a
//! [`connection::Connection`] for the synchronised states. Two compact shapes join them because floods and servers make
//! millions of them: [`half_open::HalfOpen`] and [`time_wait::TimeWait`].

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::random::Secret;
use crate::tcp::config::{Limits, TcpConfig};
use crate::tcp::counters::Counters;
use crate::tcp::id::EndpointId;
use crate::tcp::observer::Observer;
use crate::tcp::timers::Timer;
use crate::tcp::transmit::Replies;
use crate::time::Instant;
use crate::wire::{FlowTuple, IpAddresses};

pub(crate) mod connection;
pub(crate) mod half_open;
pub(crate) mod limiters;
mod state;
pub(crate) mod syn_sent;
#[cfg(test)]
mod tests;
pub(crate) mod time_wait;

pub use state::{ARROWS, Cause, State};

/// A connection's two ends as seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pair {
    pub(crate) local: IpAddr,
    pub(crate) remote: IpAddr,
    pub(crate) local_port: u16,
    pub(crate) remote_port: u16,
}

impl Pair {
    pub(crate) fn local_socket(&self) -> SocketAddr {
        SocketAddr::new(self.local, self.local_port)
    }

    pub(crate) fn remote_socket(&self) -> SocketAddr {
        SocketAddr::new(self.remote, self.remote_port)
    }

    /// As our segments name it: source = local.
    pub(crate) fn flow(&self) -> FlowTuple {
        FlowTuple {
            addresses: IpAddresses {
                source: self.local,
                destination: self.remote,
            },
            source_port: self.local_port,
            destination_port: self.remote_port,
        }
    }

    /// The pair of a flow as our segments name it.
    pub(crate) fn of_flow(flow: &FlowTuple) -> Self {
        Self {
            local: flow.addresses.source,
            remote: flow.addresses.destination,
            local_port: flow.source_port,
            remote_port: flow.destination_port,
        }
    }

    /// Bytes of an IP header of this family.
    pub(crate) fn ip_header_len(&self) -> u32 {
        if self.local.is_ipv6() { 40 } else { 20 }
    }

    /// The MSS of a peer that names none (MUST-15): 536, for IPv6 1220.
    pub(crate) fn default_mss(&self) -> u16 {
        if self.local.is_ipv6() { 1220 } else { 536 }
    }
}

/// Why a connection is no more, as its user learns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// Both directions were closed in order.
    Closed,
    /// The peer answered our SYN with RST: "error: connection refused".
    Refused,
    /// The peer reset the connection: "error: connection reset".
    Reset,
    /// A timeout gave the connection up: "error: connection aborted due to user timeout".
    TimedOut(Timer),
    /// ICMP said that the peer cannot be reached.
    Unreachable(IcmpCause),
    /// The local user aborted: "error: connection reset".
    Aborted,
    /// Made way for others at a limit.
    Evicted,
}

impl EndReason {
    /// The reason's word, in kebab-case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::TimedOut(_) => "timed-out",
            Self::Unreachable(_) => "unreachable",
            Self::Aborted => "aborted",
            Self::Evicted => "evicted",
        }
    }
}

/// What was wrong on the way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum IcmpCause {
    /// No route to the network.
    #[error("network unreachable")]
    Network,
    /// No way to the host.
    #[error("host unreachable")]
    Host,
    /// The host has no TCP.
    #[error("protocol unreachable")]
    Protocol,
    /// Nobody on the port.
    #[error("port unreachable")]
    Port,
    /// A policy forbids it.
    #[error("administratively prohibited")]
    Prohibited,
    /// Hop limit or reassembly time used up.
    #[error("time exceeded")]
    TimeExceeded,
    /// Somebody found fault with our header.
    #[error("parameter problem")]
    ParameterProblem,
}

/// What changed at an endpoint since its last event: a set.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes(u8);

impl Changes {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// There is more to read.
    pub const READABLE: Self = Self(1);
    /// Sent bytes were acknowledged: there is more room to write.
    pub const ACKNOWLEDGED: Self = Self(2);
    /// The peer's FIN was reached: nothing follows what is readable.
    pub const PEER_CLOSED: Self = Self(4);
    /// The handshake is complete.
    pub const CONNECTED: Self = Self(8);
    /// The connection is over; its [`EndReason`] says why.
    pub const ENDED: Self = Self(16);
    /// RFC 9293 §3.9.1.8 MUST-47: something is wrong that ends nothing by itself. ICMP said so (`soft_error` of STATUS), or R1 was
    /// reached (`retries`).
    pub const TROUBLE: Self = Self(32);
    /// RFC 9293 §3.8.5 MUST-32: the peer's urgent pointer has advanced; `Stack::urgent` says how far.
    pub const URGENT: Self = Self(64);

    /// Whether all of `other` is in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set as bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
}

impl std::ops::BitOr for Changes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for Changes {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = [
            (Self::READABLE, "READABLE"),
            (Self::ACKNOWLEDGED, "ACKNOWLEDGED"),
            (Self::PEER_CLOSED, "PEER_CLOSED"),
            (Self::CONNECTED, "CONNECTED"),
            (Self::ENDED, "ENDED"),
            (Self::TROUBLE, "TROUBLE"),
            (Self::URGENT, "URGENT"),
        ];
        let present: Vec<_> = words
            .iter()
            .filter(|(bit, _)| self.contains(*bit))
            .map(|(_, word)| *word)
            .collect();
        if present.is_empty() {
            f.write_str("NONE")
        } else {
            f.write_str(&present.join("|"))
        }
    }
}

/// Whose a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// It waits in its listener's queue.
    Listener(EndpointId),
    /// A user holds it.
    User,
    /// The user closed and let go: only the peer is left (an orphan).
    Nobody,
}

/// What surrounds one event: the time, the configuration, and where to report.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    /// Which endpoint the event is about.
    pub(crate) id: EndpointId,
    pub(crate) tcp: &'a TcpConfig,
    pub(crate) limits: &'a Limits,
    /// The largest super-segment, whole IP packet, bytes.
    pub(crate) gso_max: u32,
    pub(crate) counters: &'a mut Counters,
    pub(crate) observer: &'a mut dyn Observer,
    /// Key of the jitter of limiters.
    pub(crate) chance: &'a Secret,
    /// Segments that belong to no connection's own stream: RST, and ACKs of the compact shapes.
    pub(crate) replies: &'a mut Replies,
}

impl Context<'_> {
    /// The one place where states change (but TIME-WAIT's end, whose slot is gone by then: the stack counts it itself): checks the arrow against figure 5, counts it, reports it. A forbidden arrow is a
    /// bug: it panics in tests and simulations; a running daemon counts it and serves its other connections.
    pub(crate) fn transition(&mut self, state: &mut State, to: State, why: Cause) {
        let from = *state;
        if !from.may_become(to) {
            debug_assert!(false, "no arrow leads from {from} to {to} ({})", why.name());
            self.counters.forbidden_transitions += 1;
        }
        *state = to;
        self.counters.transition(from, to);
        self.observer.transition(self.now, self.id, from, to, why);
    }
}

impl Context<'_> {
    /// A time in `0..most` that nobody can foretell: a keyed hash of the pair and the time. A generator shared by all would let one
    /// connection see what happens on another in the numbers it draws (RFC 5961 §7, CVE-2016-5696).
    pub(crate) fn jitter(&self, pair: &Pair, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        let hash = self.chance.hash((pair.flow(), self.now.as_nanos()));
        Duration::from_nanos(((u128::from(hash) * u128::from(nanos)) >> 64) as u64)
    }
}

/// What the timestamp option needs to know once it was agreed (RFC 7323 §3, §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimestampState {
    /// Added to our clock: one for each pair of addresses and ports, so that two connections tell nothing of each other.
    pub(crate) offset: u32,
    /// TS.Recent: what to echo.
    pub(crate) recent: u32,
    /// When TS.Recent was set; it is void after 24 days (RFC 7323 §5.5).
    pub(crate) recent_at: Instant,
    /// The handshake was completed by a segment without the option: others without it are taken as well.
    pub(crate) may_be_missing: bool,
}

/// RFC 7323 §5.5: how long TS.Recent can be believed.
const TS_RECENT_LIFE: Duration = Duration::from_secs(24 * 24 * 3600);

impl TimestampState {
    /// Our timestamp clock, in milliseconds.
    pub(crate) fn value(&self, now: Instant) -> u32 {
        timestamp_value(self.offset, now)
    }

    /// Whether PAWS refuses a segment with this value (RFC 7323 §5.3 R1).
    pub(crate) fn refuses(&self, value: u32, now: Instant) -> bool {
        (value.wrapping_sub(self.recent) as i32) < 0
            && now.duration_since(self.recent_at) < TS_RECENT_LIFE
    }

    /// Takes `value` over as TS.Recent.
    pub(crate) fn remember(&mut self, value: u32, now: Instant) {
        self.recent = value;
        self.recent_at = now;
    }
}

/// TSval at `now`: milliseconds plus the pair's offset (RFC 7323 §5.4: between 1 ms and 1 s a tick).
pub(crate) fn timestamp_value(offset: u32, now: Instant) -> u32 {
    (now.as_millis() as u32).wrapping_add(offset)
}
