//! End to end: a daemon, its clients and services, and the kernel's TCP, each test in a network namespace of its own.

#[path = "../common"]
mod common {
    #[expect(dead_code, reason = "other tests use the rest of it")]
    pub(crate) mod daemon;
    pub(crate) mod deadline;
    pub(crate) mod namespace;
    pub(crate) mod pattern;
    pub(crate) mod rerun;
}

mod lifecycle;
mod programs;
