//! tcpd: TCP as a service.

pub mod daemon;
