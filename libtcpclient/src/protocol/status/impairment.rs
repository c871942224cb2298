//! What the impairment layer does and has done.

use serde::{Deserialize, Serialize};

/// A rule of the impairment layer: some packets, one direction. See [`crate::protocol::Request::Impairments`].
///
/// The counts are of whole packets as they would be on a wire, since the rule was set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImpairmentRow {
    /// `everything`, a network as `198.18.0.0/24`, or `connection 12.1`.
    pub packets: String,
    /// `in` or `out`, as the stack sees it.
    pub direction: String,
    /// Words as `loss=1% delay=20ms`; empty: nothing happens to these packets.
    pub impairment: String,
    /// What decides every chance.
    pub seed: u64,
    /// It stands in the configuration; otherwise it was set on the running daemon.
    pub configured: bool,
    /// Packets that came.
    pub packets_in: u64,
    /// Bytes of these, IP headers included.
    pub bytes_in: u64,
    /// Lost by chance, those of bursts included.
    pub lost: u64,
    /// Lost in bursts.
    pub lost_in_burst: u64,
    /// Dropped because the queue before the wire was full.
    pub queue_full: u64,
    /// Dropped because what is on its way would have taken too much memory.
    pub overflowed: u64,
    /// Marked as having met congestion (CE).
    pub marked: u64,
    /// Held back, so that others overtook them.
    pub reordered: u64,
    /// Sent twice.
    pub duplicated: u64,
    /// Damaged.
    pub corrupted: u64,
    /// Packets that went on, copies included.
    pub delivered: u64,
    /// Bytes of these.
    pub delivered_bytes: u64,
    /// Packets on their way now.
    pub held: u64,
    /// Bytes of these.
    pub held_bytes: u64,
}
