//! TCP itself: RFC 9293 as nouns, verbs and algorithms.
//!
//! | RFC 9293 | here |
//! |---|---|
//! | §3.3.1 key connection state variables | [`endpoint`], `send_space`, `receive_space` |
//! | §3.3.2 states, figure 5 | [`endpoint::State`] |
//! | §3.4 sequence numbers | `send_space`, `receive_space`: positions of 64 bits inside |
//! | §3.5 establishing, §3.6 closing a connection | `arrives`, `calls` |
//! | §3.7 segmentation | `transmit/segmentize`, `transmit/nagle` |
//! | §3.8.1–3.8.3 retransmission, congestion, failures | `rtt`, `recovery`, `congestion`, `timeouts/retransmission` |
//! | §3.8.2 ECN (RFC 3168) | [`ecn`], `recovery/ecn` |
//! | §3.8.4 keepalive | `timeouts/keep_alive` |
//! | §3.8.5 urgent | `arrives/step6_urgent` |
//! | §3.8.6 windows | `receive_space`, `transmit/probes`, `timeouts/zero_window`, `timeouts/delayed_ack` |
//! | §3.10.1–3.10.6 user calls | [`calls`] |
//! | §3.10.7 SEGMENT ARRIVES | `arrives` |
//! | §3.10.8 timeouts | `timeouts` |

pub(crate) mod arrives;
pub(crate) mod bill;
pub mod buffer;
pub mod calls;
pub mod config;
pub(crate) mod congestion;
pub mod counters;
pub mod drop_reason;
pub mod ecn;
pub mod endpoint;
pub mod id;
pub mod observer;
pub(crate) mod path_mtu;
pub(crate) mod receive_space;
pub(crate) mod recovery;
pub(crate) mod rtt;
pub(crate) mod segment;
pub(crate) mod send_space;
pub(crate) mod timeouts;
pub mod timers;
pub(crate) mod transmit;

pub use drop_reason::DropReason;
pub use ecn::EcnMode;
pub use endpoint::{Cause, Changes, EndReason, State};
pub use receive_space::ranges::Range;
pub use timers::Timer;
pub use transmit::limit::SendLimit;
