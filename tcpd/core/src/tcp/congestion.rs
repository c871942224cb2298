//! Congestion control: how much may be in flight.
//!
//! A controller is told what was sent, acknowledged and lost, and answers with CWND. It decides
//! nothing about *what* to send: that is [`crate::tcp::recovery`]. One file an algorithm.

pub(crate) mod new_reno;

pub(crate) use new_reno::NewReno;

/// What an acknowledgment of new data tells the controller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    /// Bytes newly acknowledged.
    pub(crate) bytes: u32,
    /// Whether the window was full when they were in flight: an unused window does not grow (RFC 5681 §3.1, RFC 7661).
    pub(crate) window_was_used: bool,
}
