//! Peers that complete a handshake and then lie about data: what it may cost the stack. Work is counted in stretches of the scoreboard
//! that were looked at, memory in stretches, ranges and bytes of rings, noise in packets; never in seconds.

mod acknowledgments;
mod liar;
mod resources;
mod sack;
mod windows;
