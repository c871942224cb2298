//! The simulator: everything that tests, scripts, benches and fuzzers need around a [`Stack`](crate::stack::Stack) to run it
//! in virtual time.
//!
//! * [`link`]: a one-way network with faults, seeded.
//! * [`pair`]: two stacks, a link each way, one clock.
//! * [`simulation`]: conversations over such a pair, each decided by one seed, and what must be true of all.
//! * [`network`]: two and more stacks that share a bottleneck, and streams between them.
//! * [`splice`]: two ends that do not belong together, and must fall silent.
//! * [`script`]: one stack; the far end is played by a script in a subset of packetdrill's language.
//! * [`ladder`]: what happened, in the one ladder format.

mod dice;
pub mod ladder;
pub mod link;
mod marks;
pub mod network;
pub mod pair;
mod right_edge;
pub mod script;
pub mod simulation;
pub mod splice;
mod well_formed;

/// Runs `f`; a panic in it, as of an invariant that does not hold, becomes its text, so that the run can be told.
fn catching<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("no text").to_owned()
    })
}
