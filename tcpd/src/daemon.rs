//! The daemon: a control thread and a stack thread, wired together.

pub mod config;
