//! `tcpd sandbox`: a private network with its own daemon, for trying things out and for tests.
pub mod namespace;
