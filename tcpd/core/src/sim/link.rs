//! A simulated one-way network: the impairment model itself, with the size at which a super-segment would be cut beside each
//! packet (0 for what is none).

pub use crate::impairment::{Burst, Fate, Impairment};

/// One direction of a network between two stacks.
pub type Link = crate::impairment::Pipe<u16>;
