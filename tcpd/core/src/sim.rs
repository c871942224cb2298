//! The simulator: everything that tests, scripts, benches and fuzzers need around a [`Stack`](crate::stack::Stack) to run it
//! in virtual time.
//!
//! * [`link`]: a one-way network with faults, seeded.
//! * [`pair`]: two stacks, a link each way, one clock.
//! * [`simulation`]: conversations over such a pair, each decided by one seed, and what must be true of all.
//! * [`script`]: one stack; the far end is played by a script in a subset of packetdrill's language.
//! * [`ladder`]: what happened, in the one ladder format.

pub mod ladder;
pub mod link;
pub mod pair;
pub mod script;
pub mod simulation;
