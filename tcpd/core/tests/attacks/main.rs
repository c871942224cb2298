//! Peers that complete a handshake and then lie about data: what it may cost the stack. Work is counted in stretches of the scoreboard
//! that were looked at, memory in stretches, ranges and bytes of rings, noise in packets; never in seconds.

#[path = "../common"]
mod common {
    pub(crate) mod packets;
}

mod acknowledgments;
mod liar;
mod resources;
mod sack;
mod windows;
