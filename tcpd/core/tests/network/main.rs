//! Several stacks behind one bottleneck: see `sim::network` for the path and for what is true of every stream over it.

#[path = "../common"]
mod common {
    pub(crate) mod threads;
}

mod fairness;
mod goodput;
mod recovery;
mod seeds;
