//! Two stacks on a wire that a test rules packet by packet: what the network only delays is not sent again, what it loses is repaired
//! without a timeout, and windows move as the RFCs' formulas have them.

mod delay;
mod formulas;
mod losses;
mod reordering;
mod wire;
