//! tcpd-core: the sans-I/O TCP/IP stack of tcpd.
//!
//! No clock, no randomness of its own, no thread, no file, no socket: time is an argument, the next deadline a return
//! value, output is polled. Arrows point downwards only: [`stack`] knows [`tcp`], both know [`wire`], everybody knows
//! [`time`] and [`random`]. [`impairment`] stands beside the stack; neither knows the other.
#![forbid(unsafe_code)]

pub mod impairment;
pub mod random;
#[cfg(feature = "sim")]
pub mod sim;
pub mod stack;
pub mod tcp;
pub mod time;
pub mod wire;
