//! End to end: a daemon, its clients and services, and the kernel's TCP, each test in a network namespace of its own.

#[path = "../common/deadline.rs"]
mod deadline;
#[path = "../common/namespace.rs"]
mod namespace;
#[path = "../common/rerun.rs"]
mod rerun;

mod daemon;
mod pattern;
mod programs;
