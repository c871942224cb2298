//! What happened to packets on an impaired path.

/// Counted since the pipe was made. Every packet that went in is lost, refused by the queue, dropped for want of memory, or carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that went in.
    pub packets: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Packets lost by chance, those of bursts included.
    pub lost: u64,
    /// Packets lost while the path was bad.
    pub lost_in_burst: u64,
    /// Packets for which the queue before the wire had no room.
    pub queue_full: u64,
    /// Packets for which there was no memory while they would have travelled.
    pub overflowed: u64,
    /// Packets marked as having met congestion (CE).
    pub marked: u64,
    /// Packets held back so that others overtake them.
    pub reordered: u64,
    /// Packets that arrive twice.
    pub duplicated: u64,
    /// Packets that arrive with a flipped bit.
    pub corrupted: u64,
    /// Packets that came out, each copy counted.
    pub delivered: u64,
    /// Bytes of these.
    pub delivered_bytes: u64,
}
